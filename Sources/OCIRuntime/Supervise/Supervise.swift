import Linux

/// The program that stays beside a container's process: `skiff-runtime supervise`.
public enum Supervise {
    /// Runs until the process has ended and everybody was told. Takes the words after `supervise`.
    public static func main(_ arguments: [String]) -> Never {
        do {
            let options = try SuperviseOptions(arguments)
            try Identity.adoptOrphans()
            let supervisor = try Supervisor.begin(options)
            try supervisor.run()
            supervisor.closeConnections()
            CurrentProcess.exit(0)
        } catch {
            // A supervisor that ends takes its process along, so nothing goes on unseen.
            Supervisor.report("\(error)")
            CurrentProcess.exit(1)
        }
    }
}
