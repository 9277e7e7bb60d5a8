import OCI

/// Which `ARG`s are known where, and what they are worth.
struct BuildArguments: Sendable {
    /// Usable without a declaration, and then left out of history and cache keys.
    static let predefined: Set<String> = [
        "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy",
        "ALL_PROXY", "all_proxy",
    ]

    /// What the client gave.
    private let given: [String: String]
    private let platform: [String: String]
    /// `ARG`s in front of the first `FROM`.
    private(set) var global: [String: String] = [:]
    /// `ARG`s of the current stage; a name without a value is declared all the same.
    private var stage: [String: String?] = [:]
    private(set) var consumed: Set<String> = []

    init(given: [String: String?], targetStage: String = "default") {
        self.given = given.compactMapValues { $0 }
        let host = Platform.host
        let name = "linux/\(host.architecture)" + (host.variant.map { "/\($0)" } ?? "")
        var platform = ["TARGETSTAGE": targetStage]
        for side in ["TARGET", "BUILD"] {
            platform[side + "PLATFORM"] = name
            platform[side + "OS"] = "linux"
            platform[side + "ARCH"] = host.architecture
            platform[side + "VARIANT"] = host.variant ?? ""
        }
        self.platform = platform
    }

    /// What `FROM` may use.
    var forFrom: [String: String] { platform.merging(global) { $1 } }

    mutating func declareGlobal(_ name: String, _ value: String?) {
        consumed.insert(name)
        if let value = given[name] ?? value ?? platform[name] { global[name] = value }
    }

    /// Each stage starts with none of its own, or with those of the stage it is built from.
    mutating func beginStage(with inherited: [String: String?] = [:]) {
        stage = inherited
    }

    /// - Returns: what the argument is worth from here on.
    @discardableResult
    mutating func declare(_ name: String, _ value: String?) -> String? {
        consumed.insert(name)
        let worth = given[name] ?? value ?? global[name] ?? platform[name]
        stage[name] = .some(worth)
        return worth
    }

    var ofStage: [String: String?] { stage }

    /// Arguments with a value that were declared; they are part of `RUN`'s history and cache key.
    var declared: [String: String] { stage.compactMapValues { $0 } }

    /// What an instruction may use, apart from the image's environment.
    var visible: [String: String] {
        given.filter { Self.predefined.contains($0.key) }.merging(declared) { $1 }
    }

    /// Names the client gave that nothing asked for.
    var unused: [String] {
        given.keys.filter { !consumed.contains($0) && !Self.predefined.contains($0) && !$0.hasPrefix("BUILDKIT_") && $0 != "SOURCE_DATE_EPOCH" }
            .sorted()
    }

    /// Takes over what another stage's run consumed.
    mutating func merge(_ other: BuildArguments) {
        consumed.formUnion(other.consumed)
    }
}
