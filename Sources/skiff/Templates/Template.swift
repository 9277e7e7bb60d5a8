/// A template in Go's language, as far as `--format` needs it: fields, variables, pipelines, `if`, `with`, `range`, and
/// the functions of `TemplateFunctions`.
struct Template: Sendable {
    private let nodes: [TemplateNode]

    init(_ text: String) throws {
        nodes = try TemplateParser.parse(text)
    }

    func render(_ value: TemplateValue) throws -> String {
        var run = TemplateRun(root: value)
        try run.render(nodes, value)
        return run.output
    }
}

private struct TemplateRun {
    var output = ""
    /// The innermost variable last; `$` is the value that the template began with.
    var variables: [(name: String, value: TemplateValue)]

    init(root: TemplateValue) { variables = [("", root)] }

    mutating func render(_ nodes: [TemplateNode], _ dot: TemplateValue) throws {
        for node in nodes { try render(node, dot) }
    }

    private mutating func render(_ node: TemplateNode, _ dot: TemplateValue) throws {
        switch node {
        case .text(let text): output += text
        case .output(let pipeline):
            let value = try evaluate(pipeline, dot)
            if pipeline.variables.isEmpty { output += value.text }
        case .condition(let pipeline, let body, let otherwise):
            try scoped { run in
                let value = try run.evaluate(pipeline, dot)
                try run.render(value.isTrue ? body : otherwise, dot)
            }
        case .with(let pipeline, let body, let otherwise):
            try scoped { run in
                let value = try run.evaluate(pipeline, dot)
                try value.isTrue ? run.render(body, value) : run.render(otherwise, dot)
            }
        case .range(let pipeline, let body, let otherwise):
            try scoped { try $0.range(pipeline, body, otherwise, dot) }
        }
    }

    private mutating func scoped(_ body: (inout TemplateRun) throws -> Void) rethrows {
        let depth = variables.count
        try body(&self)
        variables.removeLast(variables.count - depth)
    }

    private mutating func range(
        _ pipeline: TemplatePipeline, _ body: [TemplateNode], _ otherwise: [TemplateNode], _ dot: TemplateValue
    ) throws {
        var bare = pipeline
        bare.variables = []
        let pairs: [(TemplateValue, TemplateValue)]
        switch try evaluate(bare, dot) {
        case .array(let elements): pairs = elements.enumerated().map { (.integer(Int64($0.offset)), $0.element) }
        case .object(let members): pairs = members.sorted { $0.0 < $1.0 }.map { (.string($0.0), $0.1) }
        case .integer(let count): pairs = (0..<max(0, min(count, 1 << 20))).map { (.integer($0), .integer($0)) }
        case .null: pairs = []
        case let other: throw TemplateError("template: :1: range can't iterate over \(other.text)")
        }
        guard !pairs.isEmpty else { return try render(otherwise, dot) }
        for (key, value) in pairs {
            try scoped { run in
                if pipeline.variables.count == 2 { run.variables.append((pipeline.variables[0], key)) }
                if let last = pipeline.variables.last { run.variables.append((last, value)) }
                try run.render(body, value)
            }
        }
    }

    private mutating func evaluate(_ pipeline: TemplatePipeline, _ dot: TemplateValue) throws -> TemplateValue {
        var value: TemplateValue?
        for command in pipeline.commands { value = try evaluate(command, dot, last: value) }
        let result = value ?? .null
        for name in pipeline.variables {
            if !pipeline.declares, let index = variables.lastIndex(where: { $0.name == name }) {
                variables[index].value = result
            } else {
                variables.append((name, result))
            }
        }
        return result
    }

    /// A function or a field with arguments; the result of the command before comes last.
    private mutating func evaluate(
        _ command: [TemplateOperand], _ dot: TemplateValue, last: TemplateValue?
    ) throws -> TemplateValue {
        if case .function(let name) = command[0] {
            // `and` and `or` stop at the first operand that decides.
            if name == "and" || name == "or", last == nil { return try logic(name, command.dropFirst(), dot) }
            var arguments = try command.dropFirst().map { try evaluate($0, dot) }
            if let last { arguments.append(last) }
            return try TemplateFunctions.call(name, arguments)
        }
        let value = try evaluate(command[0], dot, calls: false)
        var arguments = try command.dropFirst().map { try evaluate($0, dot) }
        if let last { arguments.append(last) }
        if case .function(let function) = value { return try function(arguments) }
        guard arguments.isEmpty else { throw TemplateError("template: :1: can't give argument to non-function") }
        return value
    }

    private mutating func logic(
        _ name: String, _ operands: ArraySlice<TemplateOperand>, _ dot: TemplateValue
    ) throws -> TemplateValue {
        var value = TemplateValue.null
        for operand in operands {
            value = try evaluate(operand, dot)
            if value.isTrue == (name == "or") { break }
        }
        return value
    }

    private mutating func evaluate(
        _ operand: TemplateOperand, _ dot: TemplateValue, calls: Bool = true
    ) throws -> TemplateValue {
        let value: TemplateValue
        switch operand {
        case .value(let literal): return literal
        case .function(let name): return try TemplateFunctions.call(name, [])
        case .field(let names): value = try Self.follow(names, from: dot)
        case .variable(let name, let names):
            guard let variable = variables.last(where: { $0.name == name }) else {
                throw TemplateError("template: :1: undefined variable \"$\(name)\"")
            }
            value = try Self.follow(names, from: variable.value)
        case .pipeline(let pipeline, let names):
            value = try Self.follow(names, from: try evaluate(pipeline, dot))
        }
        if calls, case .function(let function) = value { return try function([]) }
        return value
    }

    /// Docker's templates see Go's names, of which JSON's differ only in case: `APIVersion`, `ApiVersion`.
    private static func spelledAlike(_ name: String, _ members: [(String, TemplateValue)]) -> (String, TemplateValue)? {
        members.first { $0.0.lowercased() == name.lowercased() }
    }

    private static func follow(_ names: [String], from start: TemplateValue) throws -> TemplateValue {
        var value = start
        for name in names {
            let place = "template: :1:2: executing \"\" at <.\(names.joined(separator: "."))>"
            switch value {
            case .object(let members):
                guard let member = members.first(where: { $0.0 == name }) ?? Self.spelledAlike(name, members) else {
                    throw TemplateError("\(place): map has no entry for key \"\(name)\"")
                }
                value = member.1
            case .null: throw TemplateError("\(place): nil pointer evaluating interface {}.\(name)")
            default: throw TemplateError("\(place): can't evaluate field \(name) in type interface {}")
            }
        }
        return value
    }
}
