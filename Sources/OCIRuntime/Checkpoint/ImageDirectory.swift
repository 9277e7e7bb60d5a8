import Linux
import OCI
import SystemPackage

/// The directory with CRIU's images, and the one for its log, which may be the same.
///
/// Images hold the memory of processes, and what rights they have. So both directories and the images have to belong to the
/// caller or to root and to be closed to other writers; then what is looked at here cannot be exchanged before CRIU comes to
/// it. The same goes for the images of the dumps before. Links and what else is no file, which an archive may have brought,
/// are refused among the images, and files that are written anew are removed before.
final class ImageDirectory {
    private(set) var images: OwnedFD
    private(set) var work: OwnedFD
    private let log: FileName
    private let logPath: FilePath

    private static let descriptorsName: FileName = "descriptors.json"
    /// Each has the one before it open, and so has CRIU.
    private static let mostParents = 100

    /// Of a dump, which makes the directories where they are missing, or of a restore.
    init(_ request: CheckpointRequest, isDump: Bool) throws {
        let path = FilePath(request.imagePath)
        images = try Self.open(path, "image path", makes: isDump)
        work = try request.workPath.map { try Self.open(FilePath($0), "work path", makes: true) } ?? images.duplicate()
        log = isDump ? "dump.log" : "restore.log"
        logPath = try realPath(of: work).appending(log.description)
        try Self.checkImages(images)
        if let parent = request.parentPath { try checkParent(parent) }
        for name in [log, isDump ? "stats-dump" : "stats-restore"] { try Self.removeFile(work, name) }
    }

    private static func open(_ path: FilePath, _ what: String, makes: Bool) throws -> OwnedFD {
        func refusal(_ reason: String) -> RuntimeError { RuntimeError("invalid \(what) \(path): \(reason)") }
        let directory: OwnedFD
        do {
            if makes { try makeDirectories(path) }
            directory = try OwnedFD.open(path, [.readOnly, .directory])
        } catch {
            throw refusal(error.errno.goText)
        }
        if let obstacle = obstacle(try fstat(directory)) { throw refusal(obstacle) }
        return directory
    }

    /// Who else could change a file or directory; nil where nobody can.
    private static func obstacle(_ status: FileMetadata) -> String? {
        if let obstacle = ownerObstacle(status) { return obstacle }
        return status.permissions & 0o022 == 0 ? nil : "others than its owner may write there"
    }

    private static func ownerObstacle(_ status: FileMetadata) -> String? {
        if status.uid == CurrentProcess.effectiveUserID || status.uid == 0 { return nil }
        return "it belongs to user \(status.uid), who could change what is restored"
    }

    /// The same directories in another mount namespace: CRIU mounts below its work directory, which has to be in its own.
    func reopen() throws {
        images = try Self.reopen(images)
        work = try Self.reopen(work)
    }

    private static func reopen(_ directory: borrowing OwnedFD) throws -> OwnedFD {
        let path = try realPath(of: directory)
        let opened = try OwnedFD.open(path, [.readOnly, .directory, .noFollow])
        let (wanted, found) = (try fstat(directory), try fstat(opened))
        guard wanted.inode == found.inode, wanted.device == found.device else { throw RuntimeError("\(path) was exchanged") }
        return opened
    }

    private static func checkImages(_ directory: borrowing OwnedFD, parents: Int = 0) throws {
        var hasParent = false
        for name in try namesInDirectory(directory) {
            guard let status = try fstatatIfExists(directory, name) else { continue }
            if name == "parent" {
                hasParent = true
            } else if let obstacle = obstacle(image: name, status) {
                throw RuntimeError("\(try realPath(of: directory).appending(name.description)): \(obstacle)")
            }
        }
        if !hasParent { return }
        // CRIU's own link to the images of the dump before.
        try checkParent("parent", of: directory, "\(try realPath(of: directory).appending("parent"))", parents: parents)
    }

    /// Why CRIU must not come across something among images; nil where it may. It does not enter directories.
    private static func obstacle(image name: FileName, _ status: FileMetadata) -> String? {
        switch status.kind {
        case .directory: nil
        case .regular: obstacle(status)
        // Where pages come from later; who may write is who may ask.
        case .socket where name == "lazy-pages.socket": ownerObstacle(status)
        case .symbolicLink: "it is a symbolic link, which no image is"
        default: "it is not a regular file, as every image is"
        }
    }

    private static func checkParent(_ path: String, of directory: borrowing OwnedFD, _ what: String, parents: Int) throws {
        guard parents < mostParents else { throw RuntimeError("\(what): there are more than \(mostParents) dumps before") }
        let parent: OwnedFD
        do {
            parent = try OwnedFD.open(path, in: directory, [.readOnly, .directory])
        } catch {
            throw RuntimeError("\(what): \(error.errno.goText)")
        }
        if let obstacle = obstacle(try fstat(parent)) { throw RuntimeError("\(what): \(obstacle)") }
        try checkImages(parent, parents: parents + 1)
    }

    /// runc's rules: a path relative to the images, where there is a directory.
    private func checkParent(_ parent: String) throws {
        if parent.hasPrefix("/") { throw RuntimeError("--parent-path must be relative") }
        try Self.checkParent(parent, of: images, "invalid --parent-path: \(parent)", parents: 0)
    }

    private static func removeFile(_ directory: borrowing OwnedFD, _ name: FileName) throws {
        if try fstatatIfExists(directory, name) != nil { try unlinkat(directory, name) }
    }

    /// Where the process's standard streams lead, by the names that CRIU has for them; runc's file and form.
    func write(streams: [String]) throws {
        try Self.removeFile(images, Self.descriptorsName)
        let file = try openat(images, Self.descriptorsName, [.writeOnly, .create, .exclusive, .noFollow])
        try file.writeAll(JSONValue.array(streams.map(JSONValue.string)).serialized())
    }

    func readStreams() throws -> [String] {
        do {
            let file = try openat(images, Self.descriptorsName, [.readOnly, .noFollow, .nonBlocking])
            let streams = try JSONValue.parse(try file.readAll(limit: 65536)).array ?? []
            return streams.prefix(3).map { $0.string ?? "" }
        } catch {
            throw RuntimeError("invalid image path \(try realPath(of: images)): descriptors.json: \(runtimeText(error))")
        }
    }

    /// The failure with the last error of CRIU's log, and where that is. Without a log, with what CRIU said before.
    func explain(_ failure: CRIUFailure, _ service: CRIUService) -> RuntimeError {
        let (text, hasLog) = logTail().map { ($0, true) } ?? (service.firstErrors, false)
        let reason = Self.lastError(text).map { ": \($0)" } ?? ""
        return RuntimeError("\(failure)\(reason)\(hasLog ? " (log file: \(logPath))" : "")")
    }

    /// nil without a log.
    private func logTail() -> [UInt8]? {
        // Whatever cannot be read tells nothing.
        guard let file = try? openat(work, log, [.readOnly, .noFollow, .nonBlocking]), let status = try? fstat(file) else { return nil }
        return try? file.read(at: max(status.size - 65536, 0), count: 65536)
    }

    /// The last line with an error that says more than that it has failed, without the time in front.
    static func lastError(_ log: [UInt8]) -> String? {
        let lines = log.split(separator: 0x0A).compactMap(errorPart)
        let empty = ["FAILED.", "exited, status=1", "failed with -1"]
        return lines.last { line in !empty.contains { line.hasSuffix($0) } } ?? lines.last
    }

    /// `(00.123) Error (criu/net.c:1): text`. To look for a text in a text would cost a megabyte of the program.
    private static func errorPart(_ line: ArraySlice<UInt8>) -> String? {
        guard let start = line.firstIndex(of: UInt8(ascii: "E")), line[start...].starts(with: "Error (".utf8) else { return nil }
        return String(decoding: line[start...], as: UTF8.self)
    }
}
