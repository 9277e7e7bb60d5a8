import Linux
import SystemPackage

extension RuntimeRoot {
    /// `ps` as people read it: the lines of the program `ps` that are of this container, with their header.
    public func processTable(_ id: String, arguments: [String]) throws -> String {
        let pids = Set(try processes(id))
        let output = try Self.output(of: "ps", arguments.isEmpty ? ["-ef"] : arguments)
        let lines = output.split(separator: "\n")
        guard let header = lines.first, let column = header.split(separator: " ").firstIndex(of: "PID") else {
            throw RuntimeError("couldn't find PID field in ps output")
        }
        let own = lines.dropFirst().filter { line in
            let fields = line.split(separator: " ")
            return column < fields.count && Int32(fields[column]).map(pids.contains) == true
        }
        return ([header] + own).map { "\($0)\n" }.joined()
    }

    /// What a program of the host writes; an error is what it says of one.
    private static func output(of name: String, _ arguments: [String]) throws -> String {
        let null = try OwnedFD.open("/dev/null", .readOnly)
        let output = try memoryFile("output")
        let error = try memoryFile("error")
        let pid = try spawn(
            try find(name), arguments: arguments, environment: CurrentProcess.environment,
            descriptors: [null.raw, output.raw, error.raw])
        let end = try reap(pid)
        guard end == .exited(0) else {
            throw RuntimeError("\(name): exit status \(end.code): \(String(decoding: try error.read(at: 0, count: 1024), as: UTF8.self))")
        }
        try output.rewind()
        return String(decoding: try output.readAll(limit: 64 << 20), as: UTF8.self)
    }

    static var usualPath: Substring { "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" }

    /// A program of the host by its name.
    static func find(_ name: String) throws -> FilePath {
        let path = CurrentProcess.environment.first { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? usualPath
        for directory in path.split(separator: ":") where executionObstacle("\(directory)/\(name)") == nil {
            return FilePath("\(directory)/\(name)")
        }
        throw RuntimeError("exec: \"\(name)\": executable file not found in $PATH")
    }
}
