/// The flags before the command.
enum GlobalFlags {
    static let host = Flag<[String]>.list("host", short: "H", "Address of the engine: unix:///path or tcp://host:port")
    static let config = Flag<String>.text("config", "Folder of the client's configuration")
    static let context = Flag<String>.text("context", short: "c", "Named address of an engine; only \"default\" exists")
    static let debug = Flag<Bool>.toggle("debug", short: "D", "Show more about errors")
    static let logLevel = Flag<String>.text("log-level", short: "l", initially: "info", "How much the client tells")
    static let version = Flag<Bool>.toggle("version", short: "v", "Show the version and end")

    static var all: [any FlagDefinition] { [host, config, context, debug, logLevel, version] }
}
