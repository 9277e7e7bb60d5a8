import OCI

/// One instruction of a stage, checked and typed; variables are not expanded yet.
struct Step: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case run(RunCommand)
        case cmd(CommandForm)
        case entrypoint(CommandForm)
        case env([NameAndValue])
        case label([NameAndValue])
        case arg([ArgumentDeclaration])
        case copy(CopyCommand)
        case expose([String])
        case workdir(String)
        case user(String)
        case maintainer(String)
        case volume([String])
        case shell([String])
        case stopSignal(String)
        case healthcheck(HealthcheckCommand)
        /// The instruction as it was written.
        case onBuild(String)
    }

    var kind: Kind
    /// As shown behind `Step 1/5 : `.
    var text: String
    var line: Int
    /// The comment right above it.
    var description: String? = nil
}

struct NameAndValue: Sendable, Equatable {
    var name: String
    var value: String
}

struct ArgumentDeclaration: Sendable, Equatable {
    var name: String
    /// nil: `ARG name` without a value.
    var value: String?
}

/// The two ways to write a command.
enum CommandForm: Sendable, Equatable {
    case shell(String)
    case exec([String])

    /// The arguments a program is started with.
    func arguments(shell: [String]) -> [String] {
        switch self {
        case .shell(let text): shell + [text]
        case .exec(let words): words
        }
    }
}

struct RunCommand: Sendable, Equatable {
    var form: CommandForm
    /// "default", "none" or "host"; nil: as the request says.
    var network: String?
    /// `--mount` as it was written; variables in it are not expanded yet.
    var mounts: [String] = []
    /// A here-document that names its own interpreter; `form` is then the path where it lies.
    var script: String?
}

/// `COPY` and `ADD`.
struct CopyCommand: Sendable, Equatable {
    /// "COPY" or "ADD"; `ADD` extracts archives.
    var keyword: String
    var sources: [String]
    var destination: String
    /// A stage or an image; nil: the context.
    var from: String?
    var chown: String?
    var chmod: String?
    var heredocs: [Heredoc] = []
    /// Patterns of `--exclude`.
    var excludes: [String] = []
    /// `ADD --unpack`; nil: extract what is an archive.
    var unpacks: Bool?
    /// `COPY --parents`: directories on the way to a source come along.
    var keepsParents = false
    /// The layer does not depend on what lies below it.
    var isLinked = false
    /// Of a file from the web, `sha256:…`, or the commit of a Git repository.
    var checksum: String?
    var keepsGitDirectory: Bool?

    var isAdd: Bool { keyword == "ADD" }
}

enum HealthcheckCommand: Sendable, Equatable {
    case none
    case command(CommandForm, times: ImageConfig.Healthcheck)
}
