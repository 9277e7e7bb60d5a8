import FoundationEssentials
import Linux
import SkiffCommands

@main
enum Main {
    static func main() {
        let launcher = Launcher(
            arguments: CommandLine.arguments, environment: ProcessInfo.processInfo.environment)
        CurrentProcess.exit(launcher.run())
    }
}
