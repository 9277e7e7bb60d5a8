import DockerAPI

/// Where the output of a container is kept, and how much of it: the log driver with its options, checked.
struct LogOptions: Sendable, Equatable {
    enum Driver: String, Sendable {
        /// Docker's files of JSON lines.
        case jsonFile = "json-file"
        /// Kept in the same files: nobody but the engine reads them.
        case local
        /// systemd's journal, and the same files beside it, which the engine reads.
        case journald
        case none
    }

    var driver: Driver
    /// A file that has reached this size makes way for the next.
    var maxBytes: Int64
    /// With the one that is written to.
    var maxFiles: Int

    /// Older files are packed with gzip.
    var compresses = false
    /// The container never waits for its log: bytes of entries that may wait, and nothing more; nil is blocking.
    var buffer: Int?

    /// What goes into every entry beside its text.
    var attributes = LogAttributes()

    /// As much as Docker's driver `local` keeps. No log is without a limit: it would fill the disk of the others.
    static let standard = LogOptions(driver: .jsonFile, maxBytes: 20_000_000, maxFiles: 5)

    init(driver: Driver, maxBytes: Int64, maxFiles: Int) {
        self.driver = driver
        self.maxBytes = maxBytes
        self.maxFiles = maxFiles
    }

    init(_ config: LogConfig?) throws(EngineError) {
        self = .standard
        let type = config?.`Type` ?? ""
        guard let driver = type.isEmpty ? .jsonFile : Driver(rawValue: type) else {
            throw EngineError(
                .notImplemented, "log driver \(type) is not available in this version of Skiff: json-file, local, journald and none are")
        }
        self.driver = driver
        let options = config?.Config ?? [:]
        for (name, value) in options.sorted(by: { $0.key < $1.key }) { try set(name, value) }
        // As with Docker: whoever chooses a size and no number has chosen one file.
        if options["max-size"] != nil, options["max-file"] == nil, driver == .jsonFile { maxFiles = 1 }
        try checkCompression(options["compress"])
        try checkBuffer(options["max-buffer-size"])
    }

    private mutating func checkCompression(_ wanted: String?) throws(EngineError) {
        if driver == .local, wanted == nil { compresses = maxFiles > 1 }
        guard compresses, maxFiles < 2 else { return }
        throw EngineError(
            .invalidArgument,
            driver == .local
                ? "compression cannot be enabled when max file count is 1"
                : "compress cannot be true when max-file is less than 2 or max-size is not set")
    }

    private mutating func checkBuffer(_ size: String?) throws(EngineError) {
        guard let size else { return }
        guard buffer != nil else {
            throw EngineError(.invalidArgument, "logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        }
        guard let bytes = Self.size(size, thousand: 1024) else {
            throw EngineError(.invalidArgument, "error parsing option max-buffer-size: invalid size: '\(size)'")
        }
        guard (1...1 << 30).contains(bytes) else {
            throw EngineError(.invalidArgument, "error parsing option max-buffer-size: it has to be between 1 byte and 1 GiB")
        }
        buffer = Int(bytes)
    }

    /// As Go's `strconv.ParseBool`.
    private static func flag(_ text: String) throws(EngineError) -> Bool {
        switch text {
        case "1", "t", "T", "TRUE", "true", "True": return true
        case "0", "f", "F", "FALSE", "false", "False": return false
        default: throw EngineError(.invalidArgument, "strconv.ParseBool: parsing \"\(text)\": invalid syntax")
        }
    }

    private mutating func set(_ name: String, _ value: String) throws(EngineError) {
        switch name {
        case "max-size" where isFile:
            guard let size = Self.size(value) else { throw EngineError(.invalidArgument, "invalid size: '\(value)'") }
            guard size > 0 else { throw EngineError(.invalidArgument, "max-size must be a positive number") }
            maxBytes = size
        case "max-file" where isFile:
            guard let count = Int(value) else {
                throw EngineError(.invalidArgument, "strconv.Atoi: parsing \"\(value)\": invalid syntax")
            }
            guard (1...1000).contains(count) else {
                throw EngineError(.invalidArgument, count < 1 ? "max-file cannot be less than 1" : "max-file cannot be more than 1000")
            }
            maxFiles = count
        case "compress" where isFile: compresses = try Self.flag(value)
        case "mode" where ["", "blocking"].contains(value), "max-buffer-size": break
        case "mode" where value == "non-blocking": buffer = 1 << 20
        case "mode": throw EngineError(.invalidArgument, "logger: logging mode not supported: \(value)")
        case _ where driver == .none: throw unknown(name)
        case "labels": attributes.labels = value.split(separator: ",").map(String.init)
        case "env": attributes.variables = value.split(separator: ",").map(String.init)
        case "labels-regex", "env-regex":
            guard BoundedPattern(value) != nil else {  // Docker's text names its own parser's reason.
                throw EngineError(.invalidArgument, "error parsing regexp: \(value)")
            }
            if name == "env-regex" { attributes.variablePattern = value } else { attributes.labelPattern = value }
        case "tag":
            _ = try LogTag(value)
            attributes.tag = value
        default:
            throw unknown(name)
        }
    }

    private var isFile: Bool { driver == .jsonFile || driver == .local }

    private func unknown(_ name: String) -> EngineError {
        EngineError(.invalidArgument, "unknown log opt '\(name)' for \(driver.rawValue) log driver")
    }

    /// `10m`, `1.5 GB`: decimal units, as Docker reads sizes of logs. nil for what is no size.
    /// With `thousand` 1,024 the units are binary.
    static func size(_ text: String, thousand: Double = 1000) -> Int64? {
        var digits = text[...]
        if digits.last == "b" || digits.last == "B" { digits.removeLast() }
        if digits.last == "i" { digits.removeLast() }
        var factor = 1.0
        if let unit = digits.last?.lowercased(), let power = ["k", "m", "g", "t", "p"].firstIndex(of: unit) {
            for _ in 0...power { factor *= thousand }
            digits.removeLast()
        }
        if digits.last == " " { digits.removeLast() }
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let number = Double(digits),
            number * factor < 0x1p62
        else { return nil }
        return Int64(number * factor)
    }
}
