@testable import Linux

@testable import Networking

/// The entry that libFuzzer calls with each input: what the engine reads from the kernel's netlink sockets, from containers
/// that ask for names, and from name servers. The first byte says which. Any answer is right that is not a trap; what we
/// answer to a question has to be an answer to it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNetwork(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    guard let kind = bytes.first else { return 0 }
    let rest = Array(bytes.dropFirst())
    if kind & 1 == 0 { readNetlink(rest) } else { readNames(rest) }
    return 0
}

private func readNetlink(_ bytes: [UInt8]) {
    guard let replies = try? NetlinkReply.parse(bytes) else { return }
    for reply in replies {
        _ = try? reply.failure(purpose: "x")
        _ = try? Link(reply)
        _ = try? LinkAddress(reply)
        for family in AddressFamily.allCases { _ = try? Route.all(reply, family) }
        _ = try? NftElement(reply.payload[...])
        _ = try? NftRule(reply)
        _ = try? NftBaseChain(reply)
        _ = try? TrackedConnection(reply)
    }
}

/// A question, and behind it what a server answers; the two bytes before say where one ends.
private func readNames(_ bytes: [UInt8]) {
    guard bytes.count >= 2 else { return }
    let length = min(Int(bytes[0]) << 8 | Int(bytes[1]), bytes.count - 2)
    let query: DNSQuery
    do {
        query = try DNSQuery(Array(bytes[2..<2 + length]))
    } catch {
        _ = DNSAnswer.failure(error)
        return
    }
    guard let address = IPAddress(bytes: [192, 0, 2, 1] as [UInt8]) else { return }
    for answer in [DNSAnswer.answer(query, [.address(address), .name(query.name)]), DNSAnswer.truncated(query)] {
        precondition(DNSReply(answer, to: query)?.id == query.id, "our answer answers another question")
    }
    let given = Array(bytes[(2 + length)...])
    guard let reply = DNSReply(given, to: query) else { return }
    var cache = AnswerCache()
    cache.store(given, reply, to: query, servers: [], now: 0)
    if let kept = cache.answer(query, servers: [], now: 1500) { precondition(kept.count == given.count, "an answer changed its length") }
}
