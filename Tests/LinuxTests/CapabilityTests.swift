import Testing

@testable import Linux

@Suite("Capabilities")
struct CapabilityTests {
    @Test("names are the kernel's numbers, with or without CAP_")
    func names() {
        #expect(Capability(name: "CAP_CHOWN")?.rawValue == 0)
        #expect(Capability(name: "sys_admin")?.rawValue == 21)
        #expect(Capability(name: "CAP_CHECKPOINT_RESTORE")?.rawValue == 40)
        #expect(Capability(name: "CAP_ALL") == nil)
        #expect(Capability(rawValue: 12).name == "CAP_NET_ADMIN")
        #expect(Capability(rawValue: 63).name == nil)
        #expect(Capability.known.count == 41)
    }

    @Test("a mask has one bit for each capability")
    func masks() {
        let mask = CapabilityMask([Capability(rawValue: 0), Capability(rawValue: 40)])
        #expect(mask.rawValue == 1 | 1 << 40)
        #expect(mask.contains(Capability(rawValue: 40)))
        #expect(!mask.contains(Capability(rawValue: 21)))
        #expect(CapabilityMask.all().contains(Capability(rawValue: 0)))
    }

    @Test("the sets of the thread hold only what the kernel knows")
    func current() throws {
        let sets = try CapabilitySets.current()
        let all = CapabilityMask.all()
        #expect(all.isSuperset(of: sets.permitted))
        #expect(sets.permitted.isSuperset(of: sets.effective))
    }
}
