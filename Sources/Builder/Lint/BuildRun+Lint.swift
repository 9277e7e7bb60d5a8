import Images
import OCI

// A Dockerfile is looked at while it is built, or without building it.
extension BuildRun {
    func lintOptions() throws(BuildError) -> LintOptions {
        if let given = request.buildArgs["BUILDKIT_DOCKERFILE_CHECK"] ?? nil { return try LintOptions(given) }
        return try file.check.map { text throws(BuildError) in try LintOptions(text) } ?? LintOptions()
    }

    /// With what is known of the stages by now.
    private func lint(_ options: LintOptions) -> Lint {
        var lint = Lint(file: file, plan: plan, options: options, ignored: context.ignored, given: request.buildArgs)
        lint.environments = environments
        return lint
    }

    func warnings(_ options: LintOptions) -> [LintWarning] {
        var lint = lint(options)
        return lint.run()
    }

    func lintFailure(_ warnings: [LintWarning]) -> BuildError {
        .invalid("lint violation found for rules: " + Set(warnings.map(\.rule)).sorted().joined(separator: ", "))
    }

    /// The classic builder tells of empty lines in its own words.
    func report(_ warnings: [LintWarning], _ options: LintOptions) async throws {
        let warnings = warnings.filter { $0.rule != "NoEmptyContinuation" }
        if warnings.isEmpty { return }
        if options.isError { throw lintFailure(warnings) }
        await say(" \(warnings.count) warning\(warnings.count == 1 ? "" : "s") found:\n")
        for warning in warnings { await say(" - \(warning)\n") }
    }

    /// `--check`: all that can be said without building anything. Base images that are not here are not fetched.
    mutating func check() async throws -> [LintWarning] {
        var lint = lint(try lintOptions())
        for step in plan.globalArguments { try declareGlobal(step) }
        let expand = Expander(arguments: arguments.forFrom, environment: [:], escape: escape)
        for (index, stage) in plan.stages.enumerated() {
            let name = try expand.word(stage.base)
            if let earlier = plan.stage(named: name, before: index) {
                lint.environments[index] = lint.environments[earlier].map { known in
                    plan.stages[earlier].steps.reduce(into: known) { known, step in
                        if case .env(let pairs) = step.kind { for pair in pairs { known[pair.name] = "" } }
                    }
                }
            } else if let image = try? await build.images.image(name) {  // What is not here is not known.
                lint.environments[index] = try ImageState(image).environment
                lint.platforms[index] = "linux/" + image.config.architecture
            }
        }
        return lint.run()
    }
}
