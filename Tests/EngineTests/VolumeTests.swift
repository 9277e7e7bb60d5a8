import Linux
import Testing

@testable import Engine

@Suite("volumes with options")
struct VolumeTests {
    @Test("options are sorted by who is told of them")
    func sorted() throws {
        let volume = try #require(try LocalVolume(["type": "tmpfs", "device": "tmpfs", "o": "size=10m,uid=1000,nosuid,ro,defaults"]))
        #expect(volume.data == ["size=10m", "uid=1000"])
        #expect(volume.attributes == [.noSetUserID, .readOnly])
        #expect(!volume.isBind)
        let bind = try #require(try LocalVolume(["type": "none", "device": "/srv", "o": "rbind"]))
        #expect(bind.isBind)
        #expect(bind.isRecursive)
        #expect(try LocalVolume([:]) == nil)
    }

    @Test(
        "what cannot be is refused in Docker's words",
        arguments: [
            (["foo": "bar"], "invalid option: \"foo\""), (["type": "tmpfs"], "missing required option: \"device\""),
            (["device": "/x"], "missing required option: \"type\""), (["size": "1g"], "quota size requested but no quota support"),
            (["type": "none", "device": "relative", "o": "bind"], "invalid option: device \"relative\" of a bind has to be an absolute path"),
        ])
    func refused(options: [String: String], message: String) {
        let error = #expect(throws: EngineError.self) { try LocalVolume(options) }
        #expect(error?.message == message)
    }
}
