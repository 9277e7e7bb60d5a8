import Linux
import OCI
import SystemPackage
import Testing

@testable import OCIRuntime

/// Kept filters belong to root, as the containers do that use them.
@Suite("Filters of earlier starts", .enabled(if: CurrentProcess.effectiveUserID == 0))
struct SeccompCacheTests {
    private static let profile = """
        {"defaultAction":"SCMP_ACT_ERRNO","flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[{"names":["read","}"],"action":"SCMP_ACT_ALLOW"}]}
        """

    private func config(_ profile: String) -> [UInt8] {
        Array(#"{"ociVersion":"1.0.2","hostname":"\"a","linux": {"sysctl":{"seccomp":"x"}, "seccomp" : \#(profile) ,"cgroupsPath":"/p"}}"#.utf8)
    }

    /// Runs with a cache in a directory that is gone afterwards.
    private func withCache(_ body: (SeccompCache, FilePath) throws -> Void) throws {
        let directory = FilePath("/tmp/skiff-filters-\(UInt64.random(in: 0 ... .max))")
        defer { try? removeTree(directory) }
        try body(try #require(SeccompCache(directory)), directory)
    }

    private func filter(_ cache: SeccompCache, _ bytes: [UInt8]) throws -> (wasKnown: Bool, filter: SeccompFilter?) {
        let (spec, known) = try cache.read(bytes)
        #expect(spec.hostname == "\"a" && spec.linux.cgroupsPath == "/p" && spec.linux.sysctl == ["seccomp": "x"])
        let filter = try SeccompFilter.find(known, for: spec.linux.seccomp)
        if case .compiled? = known { return (true, filter) }
        return (false, filter)
    }

    @Test("the second start finds what the first one made, and only for the same text")
    func found() throws {
        try withCache { cache, _ in
            let first = try filter(cache, config(Self.profile))
            let second = try filter(cache, config(Self.profile))
            #expect(!first.wasKnown && second.wasKnown)
            #expect(first.filter != nil && first.filter == second.filter && second.filter?.flags == .log)
            let other = try filter(cache, config(Self.profile.replacing("read", with: "open")))
            #expect(!other.wasKnown && other.filter != first.filter)
            #expect(try filter(cache, config("null")).filter == nil)
        }
    }

    @Test("a file that was changed, cut short or belongs to somebody else is no file")
    func damaged() throws {
        try withCache { cache, directory in
            let whole = try filter(cache, config(Self.profile)).filter
            let name = try #require(try namesInDirectory(try OwnedFD.open(directory, [.readOnly, .directory])).first)
            let path = directory.appending(name.description)
            let bytes = try OwnedFD.open(path, .readOnly).readAll(limit: 1 << 20)
            for index in stride(from: 0, to: bytes.count, by: 7) {
                var changed = bytes
                changed[index] ^= 1
                try writeAtomically(changed, to: path, sync: false)
                let read = try filter(cache, config(Self.profile))
                #expect(!read.wasKnown && read.filter == whole)
            }
            for count in [0, 8, 16, 60, bytes.count - 1] {
                try writeAtomically(Array(bytes[..<count]), to: path, sync: false)
                #expect(try !filter(cache, config(Self.profile)).wasKnown)
            }
            try writeAtomically(bytes, to: path, mode: 0o622, sync: false)
            #expect(try !filter(cache, config(Self.profile)).wasKnown)
            #expect(try filter(cache, config(Self.profile)).wasKnown)
        }
    }

    @Test("a profile that asks somebody else is compiled each time")
    func listener() throws {
        let asking = #"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/a","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#
        try withCache { cache, _ in
            for _ in 0..<2 {
                let read = try filter(cache, config(asking))
                #expect(!read.wasKnown && read.filter?.needsListener == true)
            }
        }
    }

    @Test("a configuration that is no JSON is refused as ever, whether its profile is known or not")
    func malformed() throws {
        try withCache { cache, _ in
            _ = try filter(cache, config(Self.profile))
            let good = config(Self.profile)
            let bad = [
                Array(good.dropLast()), good + [0x7D], Array(#"{"ociVersion":"1","linux":{"seccomp":\#(Self.profile),"seccomp":null}}"#.utf8),
                Array(#"{"ociVersion":"1","linux":{"seccomp":\#(Self.profile)]}"#.utf8),
                Array(#"{"linux":{"seccomp":\#(Self.profile)}}"#.utf8),
            ]
            for bytes in bad { #expect(throws: JSONError.self) { try cache.read(bytes) } }
        }
    }

    @Test("the cache keeps to a number of files")
    func bounded() throws {
        try withCache { cache, directory in
            for number in 0..<70 { _ = try filter(cache, config(Self.profile.replacing("}\"", with: "x\(number)\""))) }
            let names = try namesInDirectory(try OwnedFD.open(directory, [.readOnly, .directory]))
            #expect((1...64).contains(names.count))
        }
    }
}

@Suite("Members of a document that is not read")
struct JSONExtentTests {
    private func text(_ document: String, _ path: [String]) -> String? {
        let bytes = Array(document.utf8)
        return JSONValue.extent(of: path, in: bytes).map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    @Test("values of all kinds are found, whatever stands before and after")
    func found() {
        for value in ["1", "-1.5e3", "true", "null", "\"\"", "\"}]\\\",\"", "[]", "{}", "[{\"a\":[\"]\"]}]", "{\"b\":{}}"] {
            #expect(text("{\"b\":\(value)}", ["b"]) == value)
            #expect(text(" { \"a\" : { \"b\" : [ 1 , \"b\" ] } , \"b\"\n:\t\(value) , \"c\":2 } ", ["b"]) == value)
            #expect(text("{\"a\":{\"c\":0,\"b\":\(value)},\"b\":7}", ["a", "b"]) == value)
        }
    }

    @Test("what is not there, or no document, has no extent")
    func missing() {
        for document in [
            "", "{", "{\"b", "{\"b\"", "{\"b\":", "{\"b\": ", "{\"b\":}", "[\"b\"]", "{\"a\":1}", "{\"a\":{\"b\":1}}", "{\"b\":[", "{\"b\":\"x",
            "{\"b\":\"\\",
        ] {
            #expect(text(document, ["b"]) == nil, "\(document)")
        }
    }
}
