import NIOHTTP1
import Testing

@testable import Engine
@testable import EngineServer

@Suite("what a socket of a scope answers")
struct ScopeTests {
    @Test("only what is read, by the route that is taken, and by no other method")
    func table() {
        #expect(ReadOnlyScope.answer(to: .GET, "/containers/json") == .document)
        #expect(ReadOnlyScope.answer(to: .HEAD, "/_ping") == .whole)
        for method in [HTTPMethod.POST, .PUT, .DELETE, .PATCH, .HEAD, .CONNECT, .RAW(value: "get")] {
            #expect(ReadOnlyScope.answer(to: method, "/containers/json") == nil)
        }
        for pattern in ["/containers/{id}/logs", "/containers/{id}/archive", "/images/{name...}/history", "/system/df", "/images/search", ""] {
            #expect(ReadOnlyScope.answer(to: .GET, pattern) == nil)
        }
    }

    @Test("members that may be secrets are emptied, wherever they stand")
    func hiding() throws {
        let document =
            #"[{"Id":"a","Config":{"Env":["A=s"],"Cmd":null,"Labels":{"Env":"x"}},"Path":"s","Options":{"o":"s"},"N":[1,{"Args":["s"]}],"State":{"Error":"s","ExitReason":{"Message":"s"}}}]"#
        let hidden =
            #"[{"Id":"a","Config":{"Env":[],"Cmd":null,"Labels":{"Env":""}},"Path":"","Options":{},"N":[1,{"Args":[]}],"State":{"Error":"","ExitReason":{"Message":""}}}]"#
        #expect(String(decoding: try ReadOnlyScope.hiding(Array(document.utf8)), as: UTF8.self) == hidden)
    }

    @Test("a router tells by which route a request goes")
    func route() {
        var router = Router()
        for pattern in ["/containers/json", "/containers/{id}/json", "/images/{name...}/json"] {
            router.on(.GET, pattern) { _ in .noContent() }
        }
        #expect(router.find(.GET, "//containers///json/")?.pattern == "/containers/json")
        #expect(router.find(.GET, "/containers/json/json")?.pattern == "/containers/{id}/json")
        #expect(router.find(.GET, "/images/a/b/json")?.parameters == ["name": "a/b"])
        #expect(router.find(.GET, "/containers/../json")?.parameters == ["id": ".."])
        #expect(router.find(.POST, "/containers/json") == nil)
    }
}
