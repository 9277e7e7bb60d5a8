import Testing

@testable import SkiffCommands

@Suite("manual pages")
struct ManualPageTests {
    private let pages = Dictionary(uniqueKeysWithValues: ManualPages(program: "skiff").all())

    @Test("every command and every group has a page, and every reference leads to one")
    func all() throws {
        for entry in CommandTree.topLevel { #expect(pages["skiff-\(entry.names[0]).1"] != nil) }
        for group in CommandTree.groups {
            #expect(pages["skiff-\(group.name).1"]?.contains("skiff \(group.name)") == true)
            for entry in group.entries { #expect(pages["skiff-\(group.name)-\(entry.names[0]).1"] != nil) }
        }
        for (name, text) in pages {
            if let target = text.split(separator: " ").last, text.hasPrefix(".so ") {
                #expect(pages[String(target.dropFirst("man1/".count).dropLast())]?.hasPrefix(".TH") == true, "\(name): \(text)")
            } else {
                #expect(text.hasPrefix(".TH SKIFF"))
                #expect(text.contains(".SH SYNOPSIS\n\\fBskiff"))
            }
        }
    }

    @Test("a page names all options of its command, with their values")
    func options() throws {
        let run = try #require(pages["skiff-run.1"])
        for flag in Command.run().flags where !flag.isHidden {
            #expect(run.contains("\\fB\\-\\-\(flag.name.replacing("-", with: "\\-"))\\fR"))
        }
        #expect(run.contains(".TP\n\\fB\\-m\\fR, \\fB\\-\\-memory\\fR \\fI"))
        #expect(run.contains(".SH EXIT STATUS"))
        #expect(pages["skiff-container-run.1"] == ".so man1/skiff-run.1\n")
        #expect(pages["skiff-volume-ls.1"]?.hasPrefix(".TH") == true)
    }

    @Test("no text begins a line with what commands the formatter")
    func escapes() {
        let known = [".TH", ".SH", ".TP", ".PP", ".B ", ".so"]
        for text in pages.values {
            for line in text.split(separator: "\n") where line.hasPrefix(".") || line.hasPrefix("'") {
                #expect(known.contains { line.hasPrefix($0) }, "\(line)")
            }
        }
    }
}
