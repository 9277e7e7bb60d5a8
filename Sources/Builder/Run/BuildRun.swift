import Blocking
import Images
import Linux
import OCI
import SystemPackage

/// One build on its way: what is known, which stages are done, how many steps were told.
struct BuildRun {
    let build: Build
    let request: BuildRequest
    let directory: FilePath
    let plan: BuildPlan
    let file: Dockerfile
    let context: SourceTree
    let dockerfile: [UInt8]
    let escape: Unicode.Scalar
    let target: Int
    /// The stages that the target rests on, and the target, in the order of the file.
    let needed: [Int]
    /// Every layer that the build has made or found, to its end.
    let hold: LayerHold
    let prunedContexts = PrunedContexts()
    let notes: StepNotes
    let failedSteps = FailedSteps()
    let imports: ImportedCaches
    /// Where the present step stands.
    var place: String?
    let lanes: StageLanes
    /// The stage whose output this is.
    var lane: Int?
    /// The time that nothing in the image may be later than; nil leaves times as they are.
    let epoch: Timestamp?

    var arguments: BuildArguments
    /// Finished stages by index, with the `ARG`s they ended with.
    var finished: [Int: FinishedStage] = [:]
    /// What stages that are not built from another one begin with.
    var environments: [Int: [String: String]] = [:]
    /// Whether the present stage takes results of earlier builds.
    var usesCache = true
    private var step = 0
    private var steps = 0
    /// The number of steps in front of each stage.
    private var firstSteps: [Int: Int] = [:]

    struct FinishedStage {
        var state: ImageState
        var arguments: [String: String?]
    }

    init(
        _ build: Build, _ request: BuildRequest, directory: FilePath, notes: StepNotes = StepNotes(),
        progress: @escaping @Sendable (BuildProgress) async -> Void
    ) async throws {
        self.build = build
        self.request = request
        self.directory = directory
        self.notes = notes
        hold = LayerHold(build.images.layers)
        imports = ImportedCaches(request.imports)
        let files = try await blocking { try ContextFiles(request) }
        let file = try DockerfileParser.parse(files.dockerfile)
        escape = file.escape
        self.file = file
        var plan = try BuildPlan(file)
        target = try plan.target(request.target)
        if !request.labels.isEmpty {
            plan.stages[target].steps.append(Self.labels(request.labels))
        }
        self.plan = plan
        context = files.tree
        dockerfile = files.dockerfile
        arguments = BuildArguments(given: request.buildArgs, targetStage: plan.stages[target].name ?? "default")
        epoch = try Self.epoch(request)
        needed = try Self.neededStages(plan, target, request, arguments, escape)
        lanes = StageLanes(order: needed, send: progress)
    }

    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    private static func epoch(_ request: BuildRequest) throws(BuildError) -> Timestamp? {
        guard let text = request.buildArgs["SOURCE_DATE_EPOCH"] ?? nil, !text.isEmpty else { return nil }
        guard let seconds = Int64(text), seconds >= 0, seconds < 253_402_300_800 else {
            throw .invalid("invalid SOURCE_DATE_EPOCH: \(text)")
        }
        return Timestamp(seconds: seconds)
    }

    /// The moment that history tells for what is done now.
    var now: Timestamp { epoch.map { min($0, Timestamp.now()) } ?? Timestamp.now() }

    /// The request's labels are a last instruction.
    private static func labels(_ labels: [String: String]) -> Step {
        let pairs = labels.sorted { $0.key < $1.key }
        let text = "LABEL " + pairs.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        // In single quotes nothing is expanded; a quote itself is put in double ones.
        let quote = { (text: String) in
            "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\"'\"'") + "'"
        }
        return Step(
            kind: .label(pairs.map { NameAndValue(name: quote($0.key), value: quote($0.value)) }), text: text, line: 0)
    }

    // MARK: Telling

    func say(_ text: String) async {
        if !request.quiet, !text.isEmpty { await lanes.say(.stream(text), stage: lane) }
    }

    mutating func beginSteps(of stage: Int) {
        step = firstSteps[stage] ?? step
    }

    mutating func sayStep(_ text: String) async {
        step += 1
        await say("Step \(step)/\(steps) : \(text)\n")
    }

    func sayID(_ state: ImageState) async {
        await say(" ---> \(state.id?.short ?? "")\n")
    }

    // MARK: The whole

    mutating func run() async throws -> Image {
        let options = try lintOptions()
        if options.isError {
            let warnings = warnings(options)
            if !warnings.isEmpty { throw lintFailure(warnings) }
        }
        for warning in plan.warnings { await say(warning + "\n") }
        countSteps()
        for step in plan.globalArguments {
            await sayStep(step.text)
            try declareGlobal(step)
        }
        try await pruneContexts()
        try await buildStages()
        guard var state = finished[target]?.state else { throw BuildError.failed("the target stage was not built") }
        if request.squashes { try await squash(&state) }
        let (image, isNew) = try await finish(state)
        let unused = arguments.unused
        if !unused.isEmpty {
            await say("[Warning] One or more build-args [\(unused.joined(separator: " "))] were not consumed\n")
        }
        try await notes.save(to: build.cache)
        try await request.exportSteps?(steps(of: state))
        try await report(warnings(options), options)
        await lanes.say(.image(image.id, isNew: isNew), stage: nil)
        await report(image)
        return image
    }

    private mutating func countSteps() {
        steps = plan.globalArguments.count
        for index in needed {
            firstSteps[index] = steps
            steps += 1 + plan.stages[index].steps.count
        }
    }

    private static func neededStages(
        _ plan: BuildPlan, _ target: Int, _ request: BuildRequest, _ arguments: BuildArguments, _ escape: Unicode.Scalar
    ) throws -> [Int] {
        var known = arguments
        for step in plan.globalArguments { try Self.declareGlobal(step, &known, escape) }
        let expand = Expander(arguments: known.forFrom, environment: [:], escape: escape)
        // A name that cannot be expanded is an error when its stage is built.
        return plan.needed(for: target, apartFrom: Set(request.namedContexts.keys)) { stage in
            (try? expand.word(stage.base)) ?? stage.base
        }
    }

    /// The expanded name behind a stage's `FROM`, once the arguments in front of the first one are declared.
    func baseName(_ stage: BuildPlan.Stage) -> String {
        let expand = Expander(arguments: arguments.forFrom, environment: [:], escape: escape)
        return (try? expand.word(stage.base)) ?? stage.base
    }

    mutating func declareGlobal(_ step: Step) throws {
        try Self.declareGlobal(step, &arguments, escape)
    }

    private static func declareGlobal(_ step: Step, _ arguments: inout BuildArguments, _ escape: Unicode.Scalar) throws {
        guard case .arg(let declarations) = step.kind else { return }
        for declaration in declarations {
            let expand = Expander(arguments: arguments.forFrom, environment: [:], escape: escape)
            let value = try declaration.value.map { value throws(BuildError) in try expand.word(value) }
            arguments.declareGlobal(try expand.word(declaration.name), value)
        }
    }

    /// Makes one layer of all that the build has added to its base.
    private func squash(_ state: inout ImageState) async throws {
        let (store, layers, count) = (build.images.layers, state.layers, state.baseLayers)
        guard layers.count > count + 1 else { return }
        let scratch = try await StepScratch(in: directory, id: RandomHex.make(16))
        try await store.holding(layers) {
            try await stoppable { stop in
                let root = OpenDirectory(try store.mount(layers: layers, upper: nil, work: nil))
                let base = OpenDirectory(try store.mount(layers: Array(layers.prefix(count)), upper: nil, work: nil))
                let target = OpenDirectory(try OwnedFD.open(scratch.upper, [.readOnly, .directory]))
                try Squash.run(root: root, base: base, target: target, stop)
            }
        }
        let layer = try await scratch.commit(to: store, heldBy: hold, notAfter: epoch)
        try state.squash(
            into: layer, created: now.description, comment: "merge \(state.id.map { "\($0)" } ?? "") to \(layer.map { "\($0)" } ?? "nothing")")
    }

    private func finish(_ state: ImageState) async throws -> (image: Image, isNew: Bool) {
        if let image = state.unchanged {
            let attachments = try await attachments(state)
            guard !request.tags.isEmpty || !attachments.isEmpty else { return (image, false) }
            return (try await add(image.configBytes, attachments).image, false)
        }
        if state.id == nil { throw BuildError.invalid("No image was generated. Is your Dockerfile empty?") }
        let attachments = try await attachments(state)
        let argument = request.buildArgs["BUILDKIT_INLINE_CACHE"] ?? nil
        guard request.inlinesSteps || ["1", "true"].contains(argument) else {
            return try await add(encodeDocument(state.config), attachments)
        }
        let steps = CacheDocument(inlining: state.steps, layers: state.layers)
        return try await add(encodeDocument(InlineCache(config: state.config, document: steps)), attachments)
    }

    private func add(_ configBytes: [UInt8], _ attachments: ImageAttachments) async throws -> (image: Image, isNew: Bool) {
        try await build.images.createOrFind(configBytes: configBytes, references: request.tags, attachments: attachments)
    }

    /// What the build has come to, step by step, for others.
    private func steps(of state: ImageState) -> BuildSteps {
        let all = finished.sorted { $0.key < $1.key }.map(\.value.state.steps)
        let run = self
        return BuildSteps(ofResult: state.steps, ofStages: all, hold: hold) {
            var mounts: [BuildSteps.Mount] = []
            for (key, name) in run.notes.mounts.sorted(by: { $0.key < $1.key }) {
                guard let layer = try await run.mountLayer(key, named: name) else { continue }
                mounts.append(BuildSteps.Mount(key: key, layer: layer))
            }
            return mounts
        }
    }

    /// What a cache mount holds, here or else in a cache that the build may take from.
    private func mountLayer(_ key: String, named name: String) async throws -> Digest? {
        guard let layer = try await build.cacheMounts.layer(key, named: name, in: build.images.layers) else {
            return try await importedMountLayer(key)
        }
        hold.add([layer])
        notes.add(mountLayer: layer)
        return layer
    }

    private func report(_ image: Image) async {
        if request.quiet { return await lanes.say(.stream("\(image.id)\n"), stage: nil) }
        await say("Successfully built \(image.id.short)\n")
        for tag in request.tags { await say("Successfully tagged \(tag.familiarString)\n") }
    }
}
