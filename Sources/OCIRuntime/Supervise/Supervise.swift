import Linux

/// The processes that a supervisor starts for its log.
public enum LogHelper {
    /// Does not return when the arguments name one of them.
    public static func main(_ arguments: [String]) {
        switch arguments.first {
        case LogCompression.command: LogCompression.main(Array(arguments.dropFirst()))
        case LogProcess.command: LogProcess.main(Array(arguments.dropFirst()))
        default: return
        }
    }
}

/// The program that stays beside a container's process: `skiff-runtime supervise`.
public enum Supervise {
    /// Runs until the process has ended and everybody was told. Takes the words after `supervise`.
    public static func main(_ arguments: [String]) -> Never {
        do {
            let options = try SuperviseOptions(arguments)
            try Identity.adoptOrphans()
            let supervisor = if let renewal = options.resumed { try Supervisor.resume(options, renewal) } else { try begin(options) }
            try supervisor.run()
            supervisor.closeConnections()
            CurrentProcess.exit(0)
        } catch {
            // A supervisor that ends takes its process along, so nothing goes on unseen.
            Supervisor.report("\(error)")
            CurrentProcess.exit(1)
        }
    }

    /// What fails before there is a supervisor to tell it, a configuration that cannot be read for instance, is told here.
    private static func begin(_ options: SuperviseOptions) throws -> Supervisor {
        do {
            return try Supervisor.begin(options)
        } catch {
            if let control = options.controlFD {
                let text = Array("\(error)".utf8)
                let payload = Frame.bigEndian(128) + text
                // When the engine is gone, supervisor.log has it all the same.
                try? OwnedFD(adopting: control).writeAll(Frame.header(.failed, length: payload.count) + payload)
            }
            throw error
        }
    }
}
