import OCI

/// A list of things as a table, as JSON lines or through a template: what `--format` chooses.
struct Listing: Sendable {
    /// Column names of the table's header by the name of the field.
    let headers: [String: String]
    let rows: [TemplateValue]

    /// `format` is empty or `table` for the usual table, `table TEMPLATE`, `json`, `raw`-less template otherwise.
    func render(format: String, usual: String) throws -> String {
        if format == "json" { return try lines(template: "{{json .}}") }
        if format.isEmpty || format == "table" { return try table(usual) }
        if format.hasPrefix("table ") { return try table(String(format.dropFirst(6))) }
        return try lines(template: format)
    }

    private func lines(template: String) throws -> String {
        let template = try Self.parse(template)
        return try rows.map { try Self.render(template, $0) + "\n" }.joined()
    }

    /// The cells of a table's template are separated by tabs, written `\t`.
    private func table(_ text: String) throws -> String {
        let template = try Self.parse(text)
        let header = TemplateValue.object(
            headers.map { name, title in (name, Self.header(name, title)) })
        let lines = [header] + rows
        return Table.layOut(try lines.map { try Self.render(template, $0).cells })
    }

    /// `.Label "x"` stands in the header as its argument's last part.
    private static func header(_ name: String, _ title: String) -> TemplateValue {
        guard name == "Label" else { return .string(title) }
        return .function { arguments in
            .string(arguments.first?.text.split(separator: ".").last.map(String.init) ?? title)
        }
    }

    private static func parse(_ text: String) throws -> Template {
        do {
            return try Template(unescaped(text))
        } catch let error as TemplateError {
            throw CommandFailure("failed to parse template: \(error.message)")
        }
    }

    private static func render(_ template: Template, _ row: TemplateValue) throws -> String {
        do {
            return try template.render(row)
        } catch let error as TemplateError {
            throw CommandFailure("failed to execute template: \(error.message)")
        }
    }

    private static func unescaped(_ text: String) -> String {
        text.replacing("\\t", with: "\t").replacing("\\n", with: "\n")
    }
}

extension String {
    /// What stands between tabs.
    fileprivate var cells: [String] {
        utf8.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false).map { String(Substring($0)) }
    }
}
