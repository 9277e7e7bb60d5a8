/// The tree of a template.
indirect enum TemplateNode: Sendable {
    case text(String)
    case output(TemplatePipeline)
    case condition(TemplatePipeline, [TemplateNode], otherwise: [TemplateNode])
    case with(TemplatePipeline, [TemplateNode], otherwise: [TemplateNode])
    case range(TemplatePipeline, [TemplateNode], otherwise: [TemplateNode])
}

/// `$x := a b | c d`
struct TemplatePipeline: Sendable {
    var variables: [String] = []
    var declares = false
    var commands: [[TemplateOperand]] = []
}

indirect enum TemplateOperand: Sendable {
    case field([String])
    case variable(String, [String])
    case function(String)
    case value(TemplateValue)
    case pipeline(TemplatePipeline, [String])
}

struct TemplateParser {
    private var pieces: ArraySlice<TemplatePiece>

    static func parse(_ template: String) throws -> [TemplateNode] {
        var parser = TemplateParser(pieces: try TemplatePiece.pieces(of: template)[...])
        let (nodes, ending) = try parser.list()
        if let ending { throw TemplateError("template: :1: unexpected {{\(ending.word)}}") }
        return nodes
    }

    private struct Ending {
        let word: String
        let rest: [TemplateToken]
    }

    private init(pieces: ArraySlice<TemplatePiece>) { self.pieces = pieces }

    /// Nodes up to `end` or `else`.
    private mutating func list() throws -> ([TemplateNode], Ending?) {
        var nodes: [TemplateNode] = []
        while let piece = pieces.popFirst() {
            switch piece {
            case .text(let text): nodes.append(.text(text))
            case .action(let tokens):
                if case .identifier(let word) = tokens.first, word == "end" || word == "else" {
                    return (nodes, Ending(word: word, rest: Array(tokens.dropFirst())))
                }
                nodes.append(try action(tokens))
            }
        }
        return (nodes, nil)
    }

    private mutating func action(_ tokens: [TemplateToken]) throws -> TemplateNode {
        guard !tokens.isEmpty else { throw TemplateError("template: :1: missing value for command") }
        if case .identifier(let word) = tokens[0], ["if", "with", "range"].contains(word) {
            return try control(word, Array(tokens.dropFirst()))
        }
        return .output(try Self.pipeline(tokens))
    }

    private mutating func control(_ word: String, _ tokens: [TemplateToken]) throws -> TemplateNode {
        let pipeline = try Self.pipeline(tokens)
        let (body, ending) = try list()
        guard let ending else { throw TemplateError("template: :1: unexpected EOF") }
        var otherwise: [TemplateNode] = []
        if ending.word == "else" {
            if case .identifier(let nested) = ending.rest.first {
                otherwise = [try control(nested, Array(ending.rest.dropFirst()))]
            } else {
                let (nodes, last) = try list()
                guard last?.word == "end" else { throw TemplateError("template: :1: unexpected EOF") }
                otherwise = nodes
            }
        }
        switch word {
        case "if": return .condition(pipeline, body, otherwise: otherwise)
        case "with": return .with(pipeline, body, otherwise: otherwise)
        default: return .range(pipeline, body, otherwise: otherwise)
        }
    }

    private static func pipeline(_ tokens: [TemplateToken]) throws -> TemplatePipeline {
        var pipeline = TemplatePipeline()
        var rest = tokens[...]
        if let mark = tokens.firstIndex(where: { $0 == .declare || $0 == .assign }) {
            pipeline.declares = tokens[mark] == .declare
            pipeline.variables = tokens[..<mark].compactMap { if case .variable(let name, _) = $0 { name } else { nil } }
            rest = tokens[(mark + 1)...]
        }
        pipeline.commands = try commands(&rest)
        guard rest.isEmpty else { throw TemplateError("template: :1: unexpected \")\" in operand") }
        return pipeline
    }

    private static func commands(_ tokens: inout ArraySlice<TemplateToken>) throws -> [[TemplateOperand]] {
        var commands: [[TemplateOperand]] = [[]]
        while let token = tokens.first {
            if token == .close { break }
            tokens.removeFirst()
            if token == .pipe {
                commands.append([])
            } else {
                commands[commands.count - 1].append(try operand(token, &tokens))
            }
        }
        guard commands.allSatisfy({ !$0.isEmpty }) else {
            throw TemplateError("template: :1: missing value for command")
        }
        return commands
    }

    private static func operand(
        _ token: TemplateToken, _ rest: inout ArraySlice<TemplateToken>
    ) throws -> TemplateOperand {
        switch token {
        case .field(let names): return .field(names)
        case .variable(let name, let names): return .variable(name, names)
        case .string(let text): return .value(.string(text))
        case .number(let value, let isInteger): return .value(isInteger ? .integer(Int64(value)) : .double(value))
        case .identifier("true"): return .value(.bool(true))
        case .identifier("false"): return .value(.bool(false))
        case .identifier("nil"): return .value(.null)
        case .identifier(let name):
            guard TemplateFunctions.names.contains(name) else {
                throw TemplateError("template: :1: function \"\(name)\" not defined")
            }
            return .function(name)
        case .open:
            let inner = TemplatePipeline(commands: try commands(&rest))
            guard rest.popFirst() == .close else {
                throw TemplateError("template: :1: unclosed left paren")
            }
            guard case .chain(let names) = rest.first else { return .pipeline(inner, []) }
            rest.removeFirst()
            return .pipeline(inner, names)
        case .pipe, .close, .declare, .assign, .comma, .chain:
            throw TemplateError("template: :1: unexpected token in operand")
        }
    }
}
