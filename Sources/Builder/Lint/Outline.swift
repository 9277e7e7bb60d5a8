// What a Dockerfile offers, told without building it.
extension BuildRun {
    /// `--call targets`
    func targets() -> String {
        let rows = plan.stages.enumerated().map { index, stage in
            let isLast = index == plan.stages.count - 1
            return [(stage.name ?? (isLast ? "(default)" : "\(index)")) + (isLast && stage.name != nil ? " (default)" : ""), stage.description]
        }
        return Self.table(["TARGET", "DESCRIPTION"], rows)
    }

    /// `--call outline`
    func outline() -> String {
        var text = "TARGET:      \(plan.stages[target].name ?? "default")\n"
        if !plan.stages[target].description.isEmpty { text += "DESCRIPTION: \(plan.stages[target].description)\n" }
        let steps = plan.globalArguments + needed.flatMap { plan.stages[$0].steps }
        var arguments: [[String]] = []
        for step in steps {
            for declaration in step.arguments where !arguments.contains(where: { $0[0] == declaration.name }) {
                let given = request.buildArgs[declaration.name] ?? nil
                let comment = step.description ?? ""
                let isAbout = comment.firstWord().word == declaration.name
                arguments.append([declaration.name, given ?? declaration.value ?? "", isAbout ? comment.firstWord().rest : ""])
            }
        }
        if !arguments.isEmpty { text += "\n" + Self.table(["BUILD ARG", "VALUE", "DESCRIPTION"], arguments) }
        var mounts: [RunMount] = []
        for case .run(let command) in steps.map(\.kind) {
            // A mount that depends on variables is known only when it is made.
            mounts += command.mounts.compactMap { text in try? RunMount(text) { text throws(BuildError) in text } }
        }
        let secrets = Self.unique(mounts.filter { $0.kind == .secret }.map { [$0.id, $0.isRequired ? "true" : ""] })
        if !secrets.isEmpty { text += "\n" + Self.table(["SECRET", "REQUIRED"], secrets) }
        let caches = Self.unique(mounts.filter { $0.kind == .cache }.map { [$0.id.isEmpty ? $0.target : $0.id, $0.target] })
        if !caches.isEmpty { text += "\n" + Self.table(["CACHE", "TARGET"], caches) }
        return text
    }

    private static func unique(_ rows: [[String]]) -> [[String]] {
        rows.reduce(into: []) { all, row in if !all.contains(row) { all.append(row) } }
    }

    private static func table(_ head: [String], _ rows: [[String]]) -> String {
        let all = [head] + rows
        let widths = head.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.enumerated().map { $0.element + String(repeating: " ", count: widths[$0.offset] - $0.element.count) }
            return cells.joined(separator: "   ").trimmedRight() + "\n"
        }.joined()
    }
}
