import DockerAPI

/// What an update changes in the labels and the environment of a container.
struct DescriptionChange {
    private let labels: [String: String]
    private let labelsRemoved: [String]
    private let variables: [String]
    private let variablesRemoved: [String]

    /// For a container that runs.
    static let warning =
        "The environment holds for processes that are started from now on; those that run keep theirs until the container is started again."

    init(_ update: ContainerUpdateRequest) throws(EngineError) {
        labels = update.Labels ?? [:]
        labelsRemoved = update.LabelsRemoved ?? []
        variables = update.Env ?? []
        variablesRemoved = update.EnvRemoved ?? []
        guard labels[""] == nil else { throw EngineError(.invalidArgument, "invalid label: the name is empty") }
        for variable in variables {
            // A name alone would say nothing here.
            guard variable.contains("="), !variable.hasPrefix("="), !variable.utf8.contains(0) else {
                throw EngineError(.invalidArgument, "invalid environment variable: \(variable)")
            }
        }
        for name in variablesRemoved where name.isEmpty || name.contains("=") {
            throw EngineError(.invalidArgument, "invalid environment variable: \(name)")
        }
    }

    /// Variables keep their places, new ones come last. Whether the environment is another one then.
    func apply(to config: inout ContainerConfig) -> Bool {
        if !labels.isEmpty || !labelsRemoved.isEmpty {
            var all = (config.Labels ?? [:]).merging(labels) { $1 }
            for name in labelsRemoved { all[name] = nil }
            config.Labels = all
        }
        let before = config.Env ?? []
        var after = before
        for variable in variables {
            let name = ImageDefaults.variableName(variable)
            if let index = after.firstIndex(where: { ImageDefaults.variableName($0) == name }) {
                after[index] = variable
            } else {
                after.append(variable)
            }
        }
        after.removeAll { variablesRemoved.contains(String(ImageDefaults.variableName($0))) }
        guard after != before else { return false }
        config.Env = after
        return true
    }
}
