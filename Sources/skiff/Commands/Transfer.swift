import Blocking
import EngineClient
import FoundationEssentials
import Linux
import NIOCore
import OCI
import SystemPackage

extension Command {
    private static let platform = Flag<String>.text("platform", "Only this platform, such as linux/arm64")

    private static let output = Flag<String>.text("output", short: "o", "Write to a file in place of standard output")

    static func save() -> Command {
        Command(
            name: "save", usage: "[OPTIONS] IMAGE [IMAGE...]", summary: "Write images to a tar archive",
            arguments: .atLeast(1), flags: [output, platform]
        ) { call in
            let query = call.arguments.map { ("names", $0) } + (try call.platformQuery(platform))
            return try await call.download(EngineRequest(.get, "/images/get", query: query), to: call[output])
        }
    }

    static func export() -> Command {
        Command(
            name: "export", usage: "[OPTIONS] CONTAINER", summary: "Write the filesystem of a container to a tar archive",
            arguments: .exactly(1), flags: [output]
        ) { call in
            try await call.download(
                EngineRequest(.get, "/containers/\(EngineRequest.escaped(call.arguments[0]))/export"), to: call[output])
        }
    }

    static func load() -> Command {
        let input = Flag<String>.text("input", short: "i", "Read from a file, or an image layout (oci:DIR[:TAG]), in place of standard input")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only the result")
        return Command(
            name: "load", usage: "[OPTIONS]", summary: "Read images from a tar archive or an image layout", arguments: .none,
            flags: [input, quiet, platform]
        ) { call in
            guard !call[input].isEmpty || !StandardStream.input.isTerminal else {
                throw CommandFailure("requested load from stdin, but stdin is empty")
            }
            let next: @Sendable () async throws -> ByteBuffer?
            if let layout = ImageLayout(call[input], platform: PlatformChoice(call[platform])) {
                next = try TarProducer(layout.write).next
            } else {
                next = try Upload.opening(call[input]).next
            }
            let showsProgress = !call[quiet] && StandardStream.output.isTerminal
            let request = EngineRequest(
                .post, "/images/load", query: [("quiet", showsProgress ? "0" : "1")] + (try call.platformQuery(platform)),
                body: .stream(type: "application/x-tar", next: next))
            _ = try await call.program.engine.open(request) { try await ProgressDisplay(stream: .output).show($0) }
            return 0
        }
    }

    static func importImage() -> Command {
        let change = Flag<[String]>.list("change", short: "c", "Line of a Dockerfile to apply")
        let message = Flag<String>.text("message", short: "m", "Remark in the history")
        let platform = Flag<String>.text("platform", "Platform of the image")
        return Command(
            name: "import", usage: "[OPTIONS] file|- [REPOSITORY[:TAG]]",
            summary: "Make an image from the tar archive of a filesystem", arguments: .between(1, 2),
            flags: [change, message, platform]
        ) { call in
            let (repository, tag) = call.arguments.count > 1 ? ImageName.split(call.arguments[1]) : ("", "")
            var query = [("fromSrc", "-"), ("repo", repository), ("tag", tag), ("message", call[message])]
            if !call[platform].isEmpty { query.append(("platform", call[platform])) }
            query += call[change].map { ("changes", $0) }
            let upload = try Upload.opening(call.arguments[0] == "-" ? "" : call.arguments[0])
            let request = EngineRequest(
                .post, "/images/create", query: query, body: .stream(type: "application/x-tar", next: upload.next))
            _ = try await call.program.engine.open(request) { try await ProgressDisplay(stream: .output).show($0) }
            return 0
        }
    }
}

extension Invocation {
    fileprivate func platformQuery(_ flag: Flag<String>) throws -> [(String, String)] {
        guard !self[flag].isEmpty else { return [] }
        guard let choice = PlatformChoice(self[flag]) else { throw CommandFailure("invalid platform: \(self[flag])") }
        return [("platform", "\(choice)")]
    }

    /// Writes the body of an answer to a file, or to standard output if that is no terminal.
    fileprivate func download(_ request: EngineRequest, to path: String) async throws -> Int32 {
        if path.isEmpty {
            guard !StandardStream.output.isTerminal else {
                throw CommandFailure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
            }
            try await program.engine.open(request) { response in
                while let bytes = try await response.next() { try await ContainerStreams.write(bytes, .output) }
            }
            return 0
        }
        try await program.engine.open(request) { response in
            try await Download(path: FilePath(path)).run(response)
        }
        return 0
    }
}

/// Writes beside the target first, so that a broken transfer leaves no half file under its name.
struct Download: Sendable {
    let path: FilePath

    func run(_ response: EngineResponse) async throws {
        if FileManager.default.fileExists(atPath: path.string), !isRegularFile() {
            return try await copy(response, to: SharedFD(try OwnedFD.open(path, [.writeOnly])))
        }
        let folder = path.removingLastComponent()
        let temporary = folder.appending(".\(path.lastComponent?.string ?? "out")-\(UInt64.random(in: 0 ... .max))")
        do {
            let file = SharedFD(try OwnedFD.open(temporary, [.writeOnly, .create, .exclusive], mode: 0o644))
            try await copy(response, to: file)
            try rename(temporary, to: path)
        } catch {
            // The first error is the one to tell.
            try? unlink(temporary)
            throw error
        }
    }

    private func isRegularFile() -> Bool {
        // Whatever cannot be looked at is not replaced.
        let attributes = try? FileManager.default.attributesOfItem(atPath: path.string)
        return attributes?[.type] as? FileAttributeType == .typeRegular
    }

    private func copy(_ response: EngineResponse, to file: SharedFD) async throws {
        while let bytes = try await response.next() {
            let bytes = Array(bytes.readableBytesView)
            try await blocking { try bytes.withUnsafeBytes { try file.writeAll($0) } }
        }
    }
}

/// Bytes of a file or of standard input for a request.
final class Upload: Sendable {
    private let file: SharedFD?
    private let reader: StoppableReader

    private init(_ file: SharedFD?) throws {
        self.file = file
        reader = try StoppableReader(file?.raw ?? StandardStream.input.rawValue)
    }

    /// Standard input when the path is empty.
    static func opening(_ path: String) throws -> Upload {
        do {
            return try Upload(path.isEmpty ? nil : SharedFD(try OwnedFD.open(FilePath(path), .readOnly)))
        } catch let error as SystemError {
            throw CommandFailure("open \(path): \("\(error.errno)".lowercased())")
        }
    }

    init(reading file: SharedFD) throws {
        self.file = file
        reader = try StoppableReader(file.raw)
    }

    @Sendable func next() async throws -> ByteBuffer? {
        try await reader.next(256 << 10).map { ByteBuffer(bytes: $0) }
    }
}
