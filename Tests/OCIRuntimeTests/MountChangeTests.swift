import Linux
import SystemPackage
import Testing

@testable import OCIRuntime

@Suite("the words of a change of mounts")
struct MountChangeTests {
    @Test("what comes, what goes, and by which descriptors")
    func words() throws {
        let request = try MountChange.Request([
            "--namespace-fd", "3", "--root-fd", "6", "--mount-fd", "4", "--mount-fd", "5", "--remove", "/a", "-", "--remove", "/b", "12:34",
            "--stays", "/c", "--lazily", "--missing-only",
        ])
        #expect(request.namespaceFD == 3)
        #expect(request.rootFD == 6)
        #expect(request.mountFDs == [4, 5])
        #expect(request.removals.map(\.path) == ["/a", "/b"])
        #expect(request.removals[0].source == nil)
        #expect(request.removals[1].source.map { $0 == (12, 34) } == true)
        #expect(request.staying.map(\.string) == ["/c"])
        #expect(request.lazily && request.missingOnly)
    }

    @Test(
        "what makes no sense is refused",
        arguments: [
            [], ["--namespace-fd"], ["--namespace-fd", "x"], ["--namespace-fd", "2"], ["--namespace-fd", "3", "--remove", "/a"],
            ["--namespace-fd", "3", "--remove", "/a", "1"], ["--namespace-fd", "3", "--remove", "/a", "1:"], ["--namespace-fd", "3", "other"],
        ])
    func nonsense(words: [String]) {
        #expect(throws: SuperviseOptions.UsageError.self) { try MountChange.Request(words) }
    }
}
