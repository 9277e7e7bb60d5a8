import DockerAPI
import Testing

@Suite struct PortRangesTests {
    private func folded(_ text: String) -> String { String(decoding: PortRanges.folded(json: Array(text.utf8)), as: UTF8.self) }
    private func unfolded(_ text: String) -> String { String(decoding: PortRanges.unfolded(json: Array(text.utf8)), as: UTF8.self) }

    private func members(_ ports: ClosedRange<Int>, host: Int, ip: String = "") -> String {
        ports.map { #""\#($0)/tcp":[{"HostIp":"\#(ip)","HostPort":"\#($0 + host - ports.lowerBound)"}]"# }.joined(separator: ",")
    }

    @Test("a run of ports is one member, and each port alone again in an answer")
    func foldsAndUnfolds() {
        let exposed = "{" + (8000...8099).map { #""\#($0)/tcp":{}"# }.joined(separator: ",") + "}"
        let long = #"{"Image":"a","ExposedPorts":\#(exposed),"HostConfig":{"PortBindings":{\#(members(8000...8099, host: 9000, ip: "::1"))}}}"#
        let short =
            #"{"Image":"a","ExposedPorts":{"8000-8099/tcp":{}},"HostConfig":{"PortBindings":{"8000-8099/tcp":[{"HostIp":"::1","HostPort":"9000-9099"}]}}}"#
        #expect(folded(long) == short)
        #expect(unfolded(short) == long)
        #expect(unfolded(long) == long && folded(short) == short)
    }

    @Test("what does not go on on both sides is not put together")
    func keepsApart() {
        // A gap inside, a gap outside, another address, two ports of the host for one of the container.
        for odd in [
            members(8000...8014, host: 9000) + "," + members(8016...8030, host: 9015),
            members(8000...8014, host: 9000) + "," + members(8015...8029, host: 9100),
            members(8000...8014, host: 9000) + "," + members(8015...8029, host: 9015, ip: "127.0.0.1"),
            (8000...8029).map { #""\#($0)/tcp":[{"HostIp":"","HostPort":""}]"# }.joined(separator: ","),
            members(8000...8014, host: 9000) + #","8015/tcp":[{"HostIp":"","HostPort":"9015"},{"HostIp":"","HostPort":"1"}]"#,
        ] {
            let document = #"{"PortBindings":{\#(odd)}}"#
            #expect(folded(document) == document)
        }
        // Only long runs, in whatever order.
        let mixed = [members(50...50, host: 50), members(8010...8029, host: 9010), members(8000...8009, host: 9000)].joined(separator: ",")
        #expect(
            folded(#"{"Ports":{\#(mixed)}}"#)
                == #"{"Ports":{"50/tcp":[{"HostIp":"","HostPort":"50"}],"8000-8029/tcp":[{"HostIp":"","HostPort":"9000-9029"}]}}"#)
    }

    @Test(
        "what is not as it should be is left for others to refuse",
        arguments: [
            #"{"PortBindings":{"8000/tcp":[{"HostIp":"","HostPort":"1"}],"8000/tcp":[]}}"#, #"{"PortBindings":{"x":1}}"#, #"{"PortBindings":{"#,
            #"{"PortBindings":"#, #"{"PortBindings":{"80/tcp":[{"HostIp":"\u0030"}]}}"#, #"{"Env":["\"PortBindings\":{\"1-9/tcp\":{}}"]}"#,
            #"{"PortBindings":{"1-9/tcp":[{"HostPort":"1-8"}]}}"#, #"{"PortBindings":{"70000-70009/tcp":{}}}"#, #"""#, #""\"#, "", "{}",
        ])
    func leavesTheRest(text: String) {
        #expect(folded(text) == text)
        #expect(unfolded(text) == text)
    }

    @Test("the same of values")
    func values() throws {
        var ports: PortMap = [:]
        for port in 8000...8099 {
            var binding = PortBinding()
            (binding.HostIp, binding.HostPort) = ("", "\(port + 1000)")
            ports["\(port)/udp"] = [binding]
        }
        ports.updateValue(nil, forKey: "80/tcp")
        let folded = PortRanges.folded(ports)
        #expect(Set(folded.keys) == ["8000-8099/udp", "80/tcp"])
        #expect(folded["8000-8099/udp"]??.first?.HostPort == "9000-9099")
        #expect(PortRanges.unfolded(folded) == ports)
        #expect(PortRanges.unfolded(["80/tcp", "8-9/udp", "odd"]) == ["80/tcp", "8/udp", "9/udp", "odd"])
    }
}
