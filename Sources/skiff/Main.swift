import Linux
import SkiffCommands

@main
enum Main {
    static func main() {
        CurrentProcess.exit(Launcher(arguments: CommandLine.arguments, environment: environment).run())
    }

    /// Of variables that are there twice the first one counts, as for the C library.
    private static var environment: [String: String] {
        let variables = CurrentProcess.environment.compactMap { variable -> (String, String)? in
            let parts = variable.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
        }
        return Dictionary(variables, uniquingKeysWith: { first, _ in first })
    }
}
