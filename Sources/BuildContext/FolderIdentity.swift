public import Linux
import SystemPackage

/// What tells a folder, with all that is mounted below it, from one of that name on another machine or in another mount namespace,
/// and who reads it from whoever has other rights.
public enum FolderIdentity {
    public static func make(of folder: borrowing OwnedFD) throws(SystemError) -> String {
        let boot = try OwnedFD.open("/proc/sys/kernel/random/boot_id", .readOnly).readAll(limit: 64)
        let users = try fstat(try OwnedFD.open("/proc/self/ns/user", .readOnly))
        let metadata = try fstat(folder)
        // A mount has another number in every namespace, and what is mounted below it belongs to it.
        let mount = try Mount.number(of: folder).number
        let name = String(decoding: boot.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return "\(name):\(users.inode):\(mount):\(metadata.device):\(metadata.inode)"
    }
}
