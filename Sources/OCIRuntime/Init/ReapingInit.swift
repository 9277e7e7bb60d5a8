import Linux
import SystemPackage

/// The first process of a container with `--init`: starts the command, passes signals on to it, takes note of every
/// process that ends, and ends as the command does. It is this program, bound read-only into the container.
public enum ReapingInit {
    /// Where Docker puts its own.
    public static let path = "/sbin/docker-init"

    /// `arguments` are those behind the program's name: `--`, then the command.
    public static func main(_ arguments: [String]) -> Never {
        let command = arguments.first == "--" ? Array(arguments.dropFirst()) : arguments
        do {
            endProcess(try run(command))
        } catch let error as LaunchError {
            complain(error.message)
            endProcess(error.exitCode)
        } catch {
            complain("\(error)")
            endProcess(1)
        }
    }

    private static func run(_ command: [String]) throws -> Int32 {
        guard let name = command.first else { throw LaunchError(message: "no command") }
        let environment = CurrentProcess.environment
        let program = try ProgramLookup.find(name, environment: environment)
        try FirstProcess.holdSignals()
        switch try cloneProcess([]) {
        case .child:
            become(program, command, environment)
        case .parent(let pid, _):
            return try lookAfter(pid)
        }
    }

    private static func become(_ program: String, _ command: [String], _ environment: [String]) -> Never {
        do {
            try FirstProcess.becomeForegroundGroup()
            Identity.resetSignals()
            let errno = execute(program, arguments: command, environment: environment)
            complain("exec \(program): \(errno)")
            endProcess(errno == .noSuchFileOrDirectory ? 127 : 126)
        } catch {
            complain("\(error)")
            endProcess(1)
        }
    }

    private static func lookAfter(_ command: Int32) throws -> Int32 {
        while true {
            let signal = try FirstProcess.nextSignal()
            guard signal == .child else {
                // The command may have ended just now; then its end comes next.
                try? kill(command, signal)
                continue
            }
            while let (pid, end) = ChildSignals.reapNext() {
                if pid == command { return end.code }
            }
        }
    }

    private static func complain(_ text: String) {
        // Whoever does not want to hear it has closed the descriptor.
        try? StandardStream.error.write("docker-init: \(text)\n")
    }
}
