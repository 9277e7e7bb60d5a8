import OCI
import Testing

@Suite("The runtime specification's configuration")
struct RuntimeSpecTests {
    static let text = #"""
        {"ociVersion":"1.2.0","process":{"terminal":true,"consoleSize":{"height":24,"width":80},"user":{"uid":1000,"gid":1001,
        "umask":18,"additionalGids":[4,5]},"args":["sh"],"env":["A=b"],"cwd":"/","capabilities":{"bounding":["CAP_CHOWN"]},
        "rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1024}],"noNewPrivileges":true,"oomScoreAdj":-5},
        "root":{"path":"rootfs","readonly":true},"hostname":"h","mounts":[{"destination":"/proc","type":"proc","source":"proc",
        "options":["nosuid"]}],"hooks":{"poststop":[{"path":"/bin/true","args":["true"],"timeout":5}]},"annotations":{"k":"v"},
        "linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/proc/1/ns/net"}],"uidMappings":[{"containerID":0,
        "hostID":100000,"size":65536}],"devices":[{"path":"/dev/x","type":"c","major":1,"minor":3,"fileMode":438,"uid":0}],
        "cgroupsPath":"/a/b","resources":{"memory":{"limit":1000,"swap":-1},"cpu":{"shares":512,"cpus":"0-1"},"pids":{"limit":10},
        "devices":[{"allow":false,"access":"rwm"}],"unified":{"memory.high":"1"}},"rootfsPropagation":"slave",
        "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],"syscalls":[
        {"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":18446744073709551615,"op":"SCMP_CMP_MASKED_EQ"}]}]},
        "sysctl":{"net.ipv4.ip_forward":"1"},"maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"],
        "timeOffsets":{"boottime":{"secs":7,"nanosecs":8}}},"unknown":{"x":1}}
        """#

    @Test("a configuration is read, and what is written back is the same configuration")
    func roundTrip() throws {
        let spec = try RuntimeSpec(bytes: Array(Self.text.utf8))
        #expect(spec.process.user == .init(uid: 1000, gid: 1001, umask: 18, additionalGids: [4, 5]))
        #expect(spec.process.rlimits == [.init(type: "RLIMIT_NOFILE", soft: 1024, hard: -1)])
        #expect(spec.process.consoleSize == .init(height: 24, width: 80))
        #expect(spec.linux.namespaces == [.init(type: .pid), .init(type: .network, path: "/proc/1/ns/net")])
        #expect(spec.linux.seccomp?.syscalls.first?.args.first?.value == .max)
        #expect(spec.linux.resources?.memory == .init(limit: 1000, swap: -1))
        #expect(spec.linux.timeOffsets?.boottime == .init(seconds: 7, nanoseconds: 8))
        #expect(spec.hooks?.poststop.first?.timeout == 5)
        #expect(try RuntimeSpec(bytes: spec.json().serialized()) == spec)
    }

    @Test("null is the same as absent")
    func null() throws {
        let spec = try RuntimeSpec(bytes: Array(#"{"ociVersion":"1.0.0","process":null,"mounts":null,"linux":{"seccomp":null}}"#.utf8))
        #expect(spec == RuntimeSpec(ociVersion: "1.0.0"))
    }

    @Test(
        "values that do not fit are errors, never other values",
        arguments: [
            #"{"process":{"cwd":"/"}}"#, #"{"ociVersion":1}"#, #"{"ociVersion":"1","process":[]}"#,
            #"{"ociVersion":"1","process":{"user":{"uid":4294967296}}}"#, #"{"ociVersion":"1","process":{"user":{"uid":-1}}}"#,
            #"{"ociVersion":"1","process":{"user":{"uid":"1000"}}}"#, #"{"ociVersion":"1","process":{"user":{"uid":1.5}}}"#,
            #"{"ociVersion":"1","process":{"user":{"additionalGids":[4294967296]}}}"#,
            #"{"ociVersion":"1","linux":{"namespaces":[{"type":"host"}]}}"#, #"{"ociVersion":"1","mounts":[{"type":"proc"}]}"#,
            #"{"ociVersion":"1","process":{"args":["a",1]}}"#, #"{"ociVersion":"1","process":{"noNewPrivileges":"yes"}}"#,
        ])
    func wrong(text: String) {
        #expect(throws: JSONError.self) { try RuntimeSpec(bytes: Array(text.utf8)) }
    }

    @Test("an error names the member")
    func naming() {
        let error = #expect(throws: JSONError.self) {
            try RuntimeSpec(bytes: Array(#"{"ociVersion":"1","linux":{"devices":[{"path":"/dev/a","type":7}]}}"#.utf8))
        }
        #expect(error?.description == "linux.devices[0].type is not a string")
    }
}
