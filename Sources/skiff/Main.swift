import FoundationEssentials
import Linux

@main
enum Main {
    static func main() {
        let launcher = Launcher(
            arguments: CommandLine.arguments, environment: ProcessInfo.processInfo.environment)
        CurrentProcess.exit(launcher.run())
    }
}
