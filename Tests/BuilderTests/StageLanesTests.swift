import Synchronization
import Testing

@testable import Builder

@Suite("What stages say")
struct StageLanesTests {
    @Test("stages are heard in order, however they come and go")
    func order() async {
        let heard = Mutex<[String]>([])
        let lanes = StageLanes(order: [0, 2, 3]) { progress in
            if case .stream(let text) = progress { heard.withLock { $0.append(text) } }
        }
        await lanes.say(.stream("head"), stage: nil)
        await lanes.say(.stream("3a"), stage: 3)
        await lanes.say(.stream("0a"), stage: 0)
        await lanes.say(.stream("2a"), stage: 2)
        await lanes.finish(2)
        #expect(heard.withLock { $0 } == ["head", "0a"])
        await lanes.say(.stream("0b"), stage: 0)
        await lanes.finish(0)
        #expect(heard.withLock { $0 } == ["head", "0a", "0b", "2a", "3a"])
        await lanes.say(.stream("3b"), stage: 3)
        await lanes.finish(3)
        await lanes.say(.stream("end"), stage: nil)
        #expect(heard.withLock { $0.suffix(2) } == ["3b", "end"])
    }

    @Test("of a stage that talks much while nobody hears it the last part is kept")
    func much() async {
        let heard = Mutex<[String]>([])
        let lanes = StageLanes(order: [0, 1]) { progress in
            if case .stream(let text) = progress { heard.withLock { $0.append(text) } }
        }
        let line = String(repeating: "y", count: 32 << 10)
        for number in 0..<100 { await lanes.say(.stream("\(number) " + line), stage: 1) }
        await lanes.finish(0)
        let texts = heard.withLock { $0 }
        #expect(texts.first?.contains("left out") == true && texts.last?.hasPrefix("99 ") == true)
        let bytes = texts.reduce(0) { $0 + $1.utf8.count }
        #expect(bytes > 512 << 10 && bytes < 1200 << 10)
    }

    @Test("a stage that fails is heard at once")
    func failure() async {
        let heard = Mutex<[String]>([])
        let lanes = StageLanes(order: [0, 1]) { progress in
            if case .stream(let text) = progress { heard.withLock { $0.append(text) } }
        }
        await lanes.say(.stream("1a"), stage: 1)
        await lanes.fail(1)
        #expect(heard.withLock { $0 } == ["1a"])
    }
}
