import Linux
import Testing

@testable import OCIRuntime

struct RenewalTextTests {
    @Test("what a supervisor tells itself comes back as it was")
    func roundTrip() throws {
        let renewal = Renewal(
            pid: 77, process: 25, started: Timestamp(seconds: 1_800_000_000, nanoseconds: 999), directory: 9, listener: 12,
            ownsProcesses: true, usesTerminal: false, log: 10, hasReportedLog: true, input: .open(14),
            sources: [.init(descriptor: 5, stream: .stdout), .init(descriptor: 7, stream: .stderr)],
            peers: [.init(descriptor: 200, isControl: true, isSubscribed: true, hasStoppedSending: false, attachment: [.stdout, .stdin])])
        let back = try #require(Renewal(renewal.text))
        #expect(back.text == renewal.text)
        #expect(back.descriptors == [25, 9, 12, 5, 7, 200, 10, 14])
        #expect(back.started == renewal.started && back.pid == 77 && back.input == .open(14))
        #expect(back.ownsProcesses && !back.usesTerminal && back.hasReportedLog)
        #expect(back.peers.first?.attachment == [.stdout, .stdin])

        var bare = renewal
        (bare.log, bare.input, bare.sources, bare.peers) = (nil, .ended, [], [])
        let bareBack = try #require(Renewal(bare.text))
        #expect(bareBack.log == nil && bareBack.input == .ended && bareBack.sources.isEmpty && bareBack.peers.isEmpty)
    }

    @Test("anything else is refused", arguments: ["", "1", "a,b", "1,2,3,4,5,6,7,-1,-2,9", "0,2,3,4,5,6,7,-1,-2,0", "1,2,3,4,5,6,7,-1,-2,1,5,2"])
    func nonsense(text: String) {
        #expect(Renewal(text) == nil)
    }

    @Test("descriptors of the start are not named again")
    func words() {
        let words = ["skiff-runtime", "supervise", "--id", "a", "--control-fd", "3", "--root-fd", "4", "--mount-fd", "5", "--stdin"]
        #expect(Supervisor.withoutDescriptors(words) == ["skiff-runtime", "supervise", "--id", "a", "--stdin"])
    }
}
