public import OCI

extension ImageConfig.Config {
    /// Applies lines as `docker commit --change` and `docker import --change` take them: the Dockerfile's instructions that
    /// set the configuration.
    public mutating func apply(changes: [String]) throws {
        for change in changes { try apply(change: change) }
    }

    private mutating func apply(change: String) throws {
        let line = change.trimmed()
        let instruction = line.prefix { !$0.isWhitespace }
        let rest = String(line.dropFirst(instruction.count)).trimmed()
        guard !rest.isEmpty else { throw ImageError.invalid("\(instruction.uppercased()) requires at least one argument") }
        switch instruction.uppercased() {
        case "CMD": cmd = try command(rest)
        case "ENTRYPOINT":
            entrypoint = try command(rest)
            // As in a Dockerfile: what the image would have run is not meant for another entry point.
            cmd = nil
        case "ENV": for (name, value) in try pairs(rest) { setVariable(name, value) }
        case "LABEL": for (name, value) in try pairs(rest) { labels = (labels ?? [:]).merging([name: value]) { $1 } }
        case "EXPOSE":
            for port in try words(rest) { exposedPorts = (exposedPorts ?? []).union([port.contains("/") ? port : "\(port)/tcp"]) }
        case "VOLUME":
            let paths = try jsonStrings(rest) ?? words(rest)
            volumes = (volumes ?? []).union(paths)
        case "USER": user = rest
        case "WORKDIR": workingDir = rest.hasPrefix("/") ? rest : join(workingDir, rest)
        case "STOPSIGNAL": stopSignal = rest
        case "ONBUILD": onBuild = (onBuild ?? []) + [rest]
        default: throw ImageError.invalid("\(instruction) is not a valid change command")
        }
    }

    /// A JSON array is the command itself; anything else is for the shell.
    private func command(_ text: String) throws -> [String] {
        try jsonStrings(text) ?? (shell ?? ["/bin/sh", "-c"]) + [text]
    }

    private func jsonStrings(_ text: String) throws -> [String]? {
        guard text.hasPrefix("["), let value = try? JSONValue.parse(Array(text.utf8)),  // Not JSON: words, as Docker does.
            let items = value.array
        else { return nil }
        let strings = items.compactMap(\.string)
        return strings.count == items.count ? strings : nil
    }

    private mutating func setVariable(_ name: String, _ value: String) {
        var variables = env ?? []
        if let index = variables.firstIndex(where: { $0.hasPrefix("\(name)=") }) {
            variables[index] = "\(name)=\(value)"
        } else {
            variables.append("\(name)=\(value)")
        }
        env = variables
    }

    private func join(_ base: String?, _ path: String) -> String {
        let base = base ?? "/"
        return base.hasSuffix("/") ? base + path : "\(base)/\(path)"
    }

    /// `name=value …`, or the old form `name value`.
    private func pairs(_ text: String) throws -> [(String, String)] {
        let all = try words(text)
        guard let first = all.first else { return [] }
        if !first.contains("=") {
            let value = String(text.dropFirst(first.count)).trimmed()
            guard !value.isEmpty else { throw ImageError.invalid("\(first) must have a value") }
            return [(first, value)]
        }
        return try all.map { word in
            guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
                throw ImageError.invalid("can't find = in \(word.debugDescription)")
            }
            return (String(word[..<equals]), String(word[word.index(after: equals)...]))
        }
    }

    /// Words with quotes and backslashes as in a shell.
    private func words(_ text: String) throws -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var escaped = false
        for character in text {
            if escaped {
                word = (word ?? "") + String(character)
                escaped = false
            } else if character == "\\", quote != "'" {
                escaped = true
                word = word ?? ""
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let word { words.append(word) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !escaped else { throw ImageError.invalid("unterminated quote in \(text.debugDescription)") }
        if let word { words.append(word) }
        return words
    }
}

extension String {
    fileprivate func trimmed() -> String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
