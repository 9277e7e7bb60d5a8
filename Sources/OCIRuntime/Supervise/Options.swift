import SystemPackage

/// What the command line of `supervise` says.
struct SuperviseOptions {
    /// A process in a container that runs already.
    struct Exec {
        /// The container's first process, as this process sees it.
        var containerPID: Int32
        /// The directory of the container's own supervisor.
        var containerDirectory: FilePath
    }

    var id = ""
    /// Holds config.json; the socket and all files of the supervisor are made here.
    var directory = FilePath("")
    var log: FilePath?
    var logLimits: LogFile.Limits?
    /// The log is written by another process, and this much may wait for it.
    var logBuffer: Int?
    /// `log-attributes.json` is a JSON object for every entry of the log. Not on the command line, which everybody can read.
    var hasLogAttributes = false
    /// The socket of systemd's journal. What every entry there tells is in `journal.json`.
    var journal: FilePath?
    var rootFD: Int32?
    /// Detached mounts that the configuration names by their number in this list.
    var mountFDs: [Int32] = []
    var controlFD: Int32?
    var stdin = false
    var stdinOnce = false
    var exec: Exec?
    /// Where filters of earlier starts lie.
    var seccompCache: FilePath?

    /// What a supervisor that executed itself anew told itself, and the group of its container.
    var resumed: Renewal?
    var cgroup: String?

    struct UsageError: Error, CustomStringConvertible {
        let description: String
    }

    init(_ arguments: [String]) throws(UsageError) {
        var isExec = false
        var containerPID: Int32?
        var containerDirectory: FilePath?
        var logBytes: Int64?
        var logFiles: Int32?
        var packsLog = false
        var rest = arguments[...]

        func value(_ option: String) throws(UsageError) -> String {
            guard let value = rest.popFirst() else { throw UsageError(description: "\(option) needs a value") }
            return value
        }
        func number(_ option: String) throws(UsageError) -> Int32 {
            let text = try value(option)
            guard let number = Int32(text), number >= 0 else { throw UsageError(description: "\(option) \(text): no number") }
            return number
        }

        while let option = rest.popFirst() {
            switch option {
            case "--id": id = try value(option)
            case "--dir": directory = FilePath(try value(option))
            case "--log": log = FilePath(try value(option))
            case "--log-attributes": hasLogAttributes = true
            case "--journal": journal = FilePath(try value(option))
            case "--log-size": logBytes = Int64(try value(option))
            case "--log-files": logFiles = try number(option)
            case "--log-pack": packsLog = true
            case "--log-buffer": logBuffer = Int(try number(option))
            case "--root-fd": rootFD = try number(option)
            case "--mount-fd": mountFDs.append(try number(option))
            case "--control-fd": controlFD = try number(option)
            case "--stdin": stdin = true
            case "--stdin-once": stdinOnce = true
            case "--seccomp-cache": seccompCache = FilePath(try value(option))
            case "--resume":
                let text = try value(option)
                guard let renewal = Renewal(text) else { throw UsageError(description: "\(option) \(text): not a supervisor's") }
                resumed = renewal
            case "--cgroup": cgroup = try value(option)
            case "--exec": isExec = true
            case "--container-pid": containerPID = try number(option)
            case "--container-dir": containerDirectory = FilePath(try value(option))
            default: throw UsageError(description: "unknown option \(option)")
            }
        }
        guard !id.isEmpty, directory.isAbsolute else { throw UsageError(description: "--id and an absolute --dir are needed") }
        if let logBytes, let logFiles, logFiles > 0 { logLimits = LogFile.Limits(bytes: logBytes, files: Int(logFiles), packs: packsLog) }
        if isExec {
            guard let containerPID, let containerDirectory else {
                throw UsageError(description: "--exec needs --container-pid and --container-dir")
            }
            exec = Exec(containerPID: containerPID, containerDirectory: containerDirectory)
        }
    }
}
