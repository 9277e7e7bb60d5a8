import Testing

@testable import Networking

@Suite struct BridgePlaceTests {
    @Test("the first bridge with room takes the next endpoint, and the last one goes when there is room to spare")
    func places() {
        var places = BridgePlaces(size: 4)
        #expect((0..<10).map { places.take("i\($0)") } == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
        #expect(places.take("i3") == 0)
        places.release("i5")
        places.release("i5")
        #expect(places.take("new") == 1)
        for number in [8, 9] { places.release("i\(number)") }
        // Empty, but the others are full.
        #expect(!places.canDoWithout(2))
        for number in [0, 4] { places.release("i\(number)") }
        #expect(places.canDoWithout(2) && !places.canDoWithout(1))
        places.note("found", 3)
        #expect(!places.canDoWithout(2))
        #expect([0, 1, 4, 5, 8, 9].map(places.needed) == [0, 0, 0, 1, 1, 2])
    }

    @Test("the kernel is asked to keep more neighbours when there are more containers on all networks together, and not each time")
    func neighbours() {
        var limits = NeighbourLimits()
        func isPassed(_ one: Int, _ other: Int) -> Bool {
            limits.note(one, of: "one")
            limits.note(other, of: "other")
            return limits.isPassed()
        }
        #expect(!isPassed(64, 64) && !isPassed(128, 0) && isPassed(100, 29) && !isPassed(0, 258) && isPassed(500, 500))
        #expect(limits.wanted.map(\.limit) == [16000, 12000] && limits.wanted.map(\.name) == ["gc_thresh3", "gc_thresh2"])
    }

    @Test("only the devices of a network's further bridges are taken for such")
    func names() {
        let id = String(repeating: "0123456789abcdef", count: 4)
        let segment = BridgeSegment(number: 12, networkID: id)
        #expect(segment.device == "sg12-01234567")
        #expect(["sg12-01234567", "su1-01234567", "sd999-01234567"].allSatisfy { BridgeSegment.isDevice($0, of: id) })
        for name in ["sg0-01234567", "sg-01234567", "sgx-01234567", "sg1-01234568", "sk1-01234567", "sg1", "sg", ""] {
            #expect(!BridgeSegment.isDevice(name, of: id), "\(name)")
        }
        // Nobody makes a network of a device of such a name.
        var request = NetworkRequest(name: "x")
        request.options = ["com.docker.network.bridge.name": "sg1-fedcba98"]
        #expect(throws: NetworkError.self) { try NetworkPlan(request) }
    }
}
