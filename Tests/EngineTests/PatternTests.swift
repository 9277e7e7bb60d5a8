import Testing

@testable import Engine

@Suite("Expressions of clients")
struct PatternTests {
    @Test("what people look for is found")
    func usual() {
        #expect(BoundedPattern("^web-[0-9]+$")?.matches("web-12") == true)
        #expect(BoundedPattern("(web|db)-.*")?.matches("my-db-1") == true)
        #expect(BoundedPattern("^a.*b.*c$")?.matches("a1b2d") == false)
        #expect(BoundedPattern("[a*+{(]x?")?.matches("(") == true)
    }

    @Test(
        "what could keep the matcher busy for ever is no expression",
        arguments: [
            "(a+)+$", "(a|a)*b", "((a)*)*", "(a*){3}", "(x(y+))+", "a*b*c*d*e*", "a?a?a?a?a?", "(a)\\1", "(", "a)",
            String(repeating: "a", count: 201),
        ])
    func excessive(text: String) {
        #expect(BoundedPattern(text) == nil)
    }
}
