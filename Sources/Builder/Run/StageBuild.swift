import Blocking
import BuildContext
import Images
import Linux
import OCI
import Store

// The stages of a build, one after the other, and their steps.
extension BuildRun {
    /// Builds a stage unless it was built already.
    mutating func buildStage(_ index: Int) async throws {
        if finished[index] != nil { return }
        let stage = plan.stages[index]
        let isCached = !request.noCache && !request.noCacheStages.contains("\(index)") && !request.noCacheStages.contains(stage.name ?? "\(index)")
        beginSteps(of: index)
        await sayStep(stage.text)
        var state = try await base(of: stage, index)
        state.setDefaultPath()
        environments[index] = state.environment
        await sayID(state)
        usesCache = isCached
        try await runTriggers(&state, stage: index)
        for (number, step) in stage.steps.enumerated() {
            try Task.checkCancellation()
            place = self.place(index, number)
            await sayStep(step.text)
            try await attempt(step, on: &state, stage: index)
            await sayID(state)
        }
        finished[index] = FinishedStage(state: state, arguments: arguments.ofStage)
    }

    private mutating func base(of stage: BuildPlan.Stage, _ index: Int) async throws -> ImageState {
        do {
            let expand = Expander(arguments: arguments.forFrom, environment: [:], escape: escape)
            let name = try expand.word(stage.base)
            if name.isEmpty { throw BuildError.invalid("base name (\(stage.base)) should not be blank") }
            if let platform = stage.platform { try checkPlatform(try expand.word(platform)) }
            if let named = request.namedContexts[name.lowercased()] {
                guard case .image(let reference) = named else {
                    throw BuildError.invalid("\(name) is a directory here, and cannot be the base of a stage; COPY --from=\(name) can read it")
                }
                arguments.beginStage()
                return try await imageState(reference)
            }
            if let earlier = plan.stage(named: name, before: index) {
                try await buildStage(earlier)
                if let stage = finished[earlier] {
                    arguments.beginStage(with: stage.arguments)
                    return stage.state.asBase()
                }
            }
            arguments.beginStage()
            if name == "scratch" { return ImageState() }
            return try await imageState(name)
        } catch BuildError.invalid(let message) {
            throw BuildError.parse(line: stage.line, message: message)
        }
    }

    private func imageState(_ name: String) async throws -> ImageState {
        let image = try await image(name)
        hold.add(image.layers)
        try await build.images.noteUse(of: image.id)
        return try ImageState(image)
    }

    /// The image of that name, which may have to be fetched first.
    func image(_ name: String) async throws -> Image {
        let images = build.images
        let find = request.findImage ?? { try await images.image($0) }
        guard let lock = request.lock else { return try await find(name) }
        return try await lock.image(name, in: images, find: find)
    }

    private func checkPlatform(_ text: String) throws {
        if text.isEmpty { return }
        let host = Platform.host
        let parts = text.lowercased().split(separator: "/").map(String.init)
        let others = ["amd64": "x86_64", "arm64": "aarch64"]
        let names = [host.architecture, others[host.architecture]]
        guard parts.count > 1, parts[0] == "linux", names.contains(parts[1]) else {
            throw BuildError.invalid("platform \(text) is not available here, only linux/\(host.architecture) is")
        }
    }

    /// Runs what the base image's `ONBUILD` asks for, and takes it off the image.
    private mutating func runTriggers(_ state: inout ImageState, stage: Int) async throws {
        let triggers = state.container.onBuild ?? []
        if triggers.isEmpty { return }
        await say("# Executing \(triggers.count) build trigger\(triggers.count == 1 ? "" : "s")\n")
        state.container.onBuild = nil
        for trigger in triggers {
            let file = try DockerfileParser.parse(Array(trigger.utf8))
            for instruction in file.instructions {
                let step = try InstructionCheck.step(instruction)
                if case .onBuild = step.kind { throw BuildError.invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed") }
                try await attempt(step, on: &state, stage: stage)
                await sayID(state)
            }
        }
    }

    // MARK: Steps

    mutating func perform(_ step: Step, on state: inout ImageState, stage: Int) async throws {
        do {
            let expand = expander(state)
            if let change = try ConfigStep(step.kind, on: state, text: step.text, expand: expand) {
                try await finishConfig(change.state, "#(nop) ", change.comment, on: &state)
                return
            }
            switch step.kind {
            case .arg(let declarations): try await declare(declarations, on: &state)
            case .workdir(let path): try await setWorkingDirectory(try expand.word(path), on: &state)
            case .run(let command): try await run(command, on: &state, stage: stage)
            case .copy(let command): try await copy(command, on: &state, stage: stage)
            default: break
            }
        } catch BuildError.invalid(let message) where step.line > 0 {
            throw BuildError.parse(line: step.line, message: message)
        }
    }

    func expander(_ state: ImageState) -> Expander {
        Expander(arguments: arguments.visible, environment: state.environment, escape: escape)
    }

    private mutating func declare(_ declarations: [ArgumentDeclaration], on state: inout ImageState) async throws {
        var comment = "ARG"
        for declaration in declarations {
            let expand = expander(state)
            let value = try declaration.value.map { value throws(BuildError) in try expand.word(value) }
            let name = try expand.word(declaration.name)
            arguments.declare(name, value)
            comment += " \(name)" + (value.map { "=\($0)" } ?? "")
        }
        try await finishConfig(state, "#(nop) ", comment, on: &state)
    }

    /// The directory becomes part of the image, owned by root.
    private mutating func setWorkingDirectory(_ path: String, on state: inout ImageState) async throws {
        if path.isEmpty { throw BuildError.invalid("cannot normalize nothing") }
        var changed = state
        let directory = CleanPath.join(state.workingDirectory, path)
        changed.container.workingDir = directory
        let createdBy = history(state, "#(nop) WORKDIR \(directory)")
        let layers = state.layers
        var key = CacheKey("workdir", parent: state.content)
        key.add(createdBy)
        try await finish(changed, createdBy, key, on: &state) { run, scratch in
            try await run.build.images.layers.holding(layers) {
                try await blocking {
                    let root = try scratch.root(layers, run.build.images.layers)
                    let walk = TreeWalk(tree: run.context, excludes: nil, stop: StopSign())
                    let copy = TreeCopy(walk: walk, target: root, owner: .root, permissions: nil)
                    _ = try copy.makeDirectories(directory)
                }
            }
        }
    }

    // MARK: Results

    /// The text of a step in the image's history, behind the shell in force.
    func history(_ state: ImageState, _ text: String) -> String {
        (state.shell + [text]).joined(separator: " ")
    }

    /// A step that changes only the configuration.
    private mutating func finishConfig(_ changed: ImageState, _ mark: String, _ comment: String, on state: inout ImageState)
        async throws
    {
        let createdBy = history(state, "\(mark) \(comment)")
        var key = CacheKey("config", parent: state.content)
        key.add(createdBy)
        key.add(try encodeDocument(changed.container))
        try await finish(changed, createdBy, key, on: &state, work: nil)
    }

    /// Takes a step's result from the cache, or does its work and keeps the result there.
    /// - Parameter work: writes to the scratch directory; nil for a step without files.
    func finish(
        _ changed: ImageState, _ createdBy: String, _ key: CacheKey, on state: inout ImageState,
        work: (@Sendable (BuildRun, StepScratch) async throws -> Void)?
    ) async throws {
        var key = key
        if let epoch { key.add("not after \(epoch.seconds)") }
        key.facts.surroundings += epoch.map { " \($0.seconds)" } ?? ""
        key.facts.instruction = createdBy
        for (name, value) in arguments.declared {
            key.facts.arguments[name] = String(Digest.sha256(of: Array(value.utf8)).hex.prefix(12))
        }
        let hit = usesCache ? try await found(key, createdBy, changed, on: state, makesFiles: work != nil) : nil
        try await explain(key.facts, isCached: hit != nil)
        if let hit {
            await say(" ---> Using cache\n")
            state = hit
            return
        }
        var layer: Digest?
        if let work {
            let scratch = try await StepScratch(in: directory, id: RandomHex.make(16))
            try await work(self, scratch)
            layer = try await scratch.commit(to: build.images.layers, heldBy: hold, notAfter: epoch)
        }
        let history = changed.history(createdBy, created: now.description, hasLayer: layer != nil)
        try await remember(key.text, history, layer)
        state = try changed.with(history, layer: layer, key: key.text)
    }
}
