import OCI
import Testing

@Suite("JSON without Foundation")
struct JSONTests {
    private func parse(_ text: String, depth: Int = 64) throws -> JSONValue {
        try JSONValue.parse(Array(text.utf8), limits: .init(depth: depth))
    }

    @Test("values of every kind are read, objects keep their order")
    func everyKind() throws {
        let value = try parse(#" {"b": [null, true, false, -1, 1.5, 18446744073709551615], "a": "x\n\u00e9\ud83d\ude00\/"} "#)
        #expect(
            value
                == .object([
                    ("b", [.null, true, false, -1, .double(1.5), .unsigned(.max)]), ("a", .string("x\né😀/")),
                ]))
    }

    @Test("what is written is read back as the same", arguments: [false, true])
    func roundTrip(indented: Bool) throws {
        let value: JSONValue = ["a": ["b": [1, "q\"\\\u{1}\t"], "c": .object([])], "d": .array([]), "e": .unsigned(.max)]
        #expect(try JSONValue.parse(value.serialized(indented: indented)) == value)
    }

    @Test("indented text looks as Go writes it")
    func indentation() {
        let value: JSONValue = ["a": [1, 2], "b": .object([])]
        let text = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}"
        #expect(String(decoding: value.serialized(indented: true), as: UTF8.self) == text)
    }

    @Test(
        "what is no JSON is refused",
        arguments: [
            "", "{", "[1,]", "{\"a\":1,}", "{a:1}", "'a'", "01", "1.", "-", "+1", "1e", "nul", "tru", "\"a", "\"\u{1}\"", "1 2",
            "{\"a\":1,\"a\":2}", #""\ud800""#, #""\udc00""#, #""\x""#, "[1] // comment", "NaN", "1e999", "\u{FEFF}1",
        ])
    func malformed(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test("a name repeated late in a large object is refused as well")
    func repeatedLate() {
        let members = (0..<40).map { "\"k\($0)\":1" }.joined(separator: ",")
        #expect(throws: Never.self) { try parse("{\(members)}") }
        #expect(throws: JSONError.self) { try parse("{\(members),\"k3\":1}") }
        #expect(throws: JSONError.self) { try parse("{\(members),\"k39\":1}") }
    }

    @Test("bytes that are not UTF-8 are refused")
    func invalidText() {
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0x5C, 0x6E, 0xC3, 0x22]) }
    }

    @Test("depth and size have limits")
    func limits() {
        let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        #expect(throws: JSONError.self) { try parse(deep) }
        #expect(throws: JSONError.self) { try parse("[[[1]]]", depth: 2) }
        #expect(throws: Never.self) { try parse("[[1],[2]]", depth: 2) }
        #expect(throws: JSONError.self) { try JSONValue.parse(Array("[1,2]".utf8), limits: .init(bytes: 4)) }
    }

    @Test("of a list of objects members can be left out, and of others only names be read")
    func selection() throws {
        func select(_ text: String) throws(JSONError) -> String {
            let value = try JSONValue.parse(Array(text.utf8), unwanted: ["no", "none"], namesOnly: ["names"])
            return String(decoding: value.serialized(), as: UTF8.self)
        }
        let whole =
            #"[ {"no" : {"a":[1,"]\"",{}]} , "keep":{"no":1,"names":{"x":{"y":1}}},"names":{"n":{"a":{"b":[2]},"c":"}"},"m":3,"e":{}},"none":-1.5e3},{"no":"}"}, {"nope":1,"no":null}]"#
        #expect(
            try select(whole) == #"[{"keep":{"no":1,"names":{"x":{"y":1}}},"names":{"n":{"a":null,"c":null},"m":3,"e":{}}},{},{"nope":1}]"#)
        #expect(try select(#"{"no":1}"#) == #"{"no":1}"#)
        for count in 0..<whole.utf8.count {
            #expect(throws: JSONError.self) { try select(String(decoding: Array(whole.utf8)[..<count], as: UTF8.self)) }
        }
        for text in [#"[{"no":}]"#, #"[{"no":1 2}]"#, #"[{"no":,"a":1}]"#, #"[{"no" 1}]"#, #"[{"names":{"a"}}]"#] {
            #expect(throws: JSONError.self) { try select(text) }
        }
    }

    @Test("no truncation of a document makes the reader fail in any other way than by its error")
    func truncation() throws {
        let text = Array(#"{"a":[1,-2.5e3,"x\u00e9\n",{"b":null,"c":[true,false]}]}"#.utf8)
        for count in 0..<text.count {
            #expect(throws: JSONError.self) { try JSONValue.parse(Array(text[..<count])) }
        }
    }
}
