import Linux
import SystemPackage

/// Takes out of a fresh file tree what belongs to the machine that it was made on, and what only takes space. May block.
func finishRootfs(_ path: FilePath, hostCertificates: Bool) throws {
    let root = try OwnedFD.open(path, [.readOnly, .directory])
    for folder in ["dev", "var/cache/apt", "var/lib/apt/lists", "var/log", "var/cache/ldconfig", "run", "tmp"] {
        try emptyFolder(folder, root)
    }
    // Folders that apt and its friends expect.
    for folder in ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "run/lock", "var/log/apt"] {
        try PathInRoot.makeDirectories(folder, root: root)
    }
    let etc = try directory("etc", root)
    for name: FileName in ["resolv.conf", "hostname", "mtab"] { try removeTree(in: etc, name) }
    try write([], "machine-id", in: etc, mode: 0o444)
    // Packages must not start their services while they are installed.
    let sbin = try directory("usr/sbin", root)
    try write(Array("#!/bin/sh\nexit 101\n".utf8), "policy-rc.d", in: sbin, mode: 0o755)
    if hostCertificates { try copyCertificates(to: root) }
}

/// The authorities that the host's administrator added, and the bundle that the host's programs use.
private func copyCertificates(to root: borrowing OwnedFD) throws {
    let added: FilePath = "/usr/local/share/ca-certificates"
    if try lstatIfExists(added) != nil {
        let target = try PathInRoot.makeDirectories("usr/local/share/ca-certificates", root: root)
        let source = try OwnedFD.open(added, [.readOnly, .directory])
        for name in try namesInDirectory(source) where name.description.hasSuffix(".crt") {
            try write(OwnedFD.open(added.appending(name.description), .readOnly).readAll(limit: 1 << 20), name, in: target, mode: 0o644)
        }
    }
    let bundle: FilePath = "/etc/ssl/certs/ca-certificates.crt"
    if try lstatIfExists(bundle) != nil {
        let target = try PathInRoot.makeDirectories("etc/ssl/certs", root: root)
        try write(OwnedFD.open(bundle, .readOnly).readAll(limit: 8 << 20), "ca-certificates.crt", in: target, mode: 0o644)
    }
}

private func emptyFolder(_ path: String, _ root: borrowing OwnedFD) throws {
    do {
        let folder = try directory(path, root)
        for name in try namesInDirectory(folder) { try removeTree(in: folder, name) }
    } catch {
        guard error.errno == .noSuchFileOrDirectory else { throw error }
    }
}

private func directory(_ path: String, _ root: borrowing OwnedFD) throws(SystemError) -> OwnedFD {
    try PathInRoot.open(path, root: root, flags: [.readOnly, .directory])
}

private func write(_ bytes: [UInt8], _ name: FileName, in directory: borrowing OwnedFD, mode: UInt32) throws {
    try removeTree(in: directory, name)
    let file = try openat(directory, name, [.writeOnly, .create, .exclusive])
    try file.writeAll(bytes)
    try fchmod(file, mode: mode)
}
