import OCI
import Testing

@testable import Engine

@Suite("security options and seccomp profiles")
struct SecurityTests {
    @Test("options in both spellings")
    func options() throws {
        let options = try SecurityOptions(["no-new-privileges", "writable-cgroups=true", "apparmor:unconfined", "label=disable"])
        #expect(options.noNewPrivileges)
        #expect(options.writableCgroups)
        #expect((options.appArmorProfile ?? "unconfined") == "unconfined")
        #expect(try !SecurityOptions(["no-new-privileges=0"]).noNewPrivileges)
    }

    @Test(
        "what is no option is refused in Docker's words",
        arguments: [
            ("nosuch", "invalid --security-opt 1: \"nosuch\""), ("no-new-privileges=maybe", "invalid --security-opt 2: \"no-new-privileges=maybe\""),
            ("systempaths=unconfined", "invalid --security-opt 2: \"systempaths=unconfined\""),
            ("seccomp={", "Decoding seccomp profile failed: "), ("label=colour:red", "bad label option \"colour:red\""),
        ])
    func refused(option: String, message: String) {
        let error = #expect(throws: EngineError.self) { try SecurityOptions([option]) }
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }

    private static let profile = """
        {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
         "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                     {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []}],
         "syscalls": [
           {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "plain"},
           {"name": "ptrace", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
           {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}, "excludes": {}},
           {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390"]},
            "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
           {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}}]}
        """

    private func names(_ place: SeccompProfileFile.Place) throws -> [String] {
        try SeccompProfileFile(Array(Self.profile.utf8)).profile(for: place).syscalls.flatMap(\.names)
    }

    @Test("rules hold where their conditions do")
    func conditions() throws {
        let old = SeccompProfileFile.Place(architecture: "arm64", capabilities: ["CAP_SYS_ADMIN"], kernel: (4, 4))
        #expect(try names(old) == ["read", "write", "mount"])
        let new = SeccompProfileFile.Place(architecture: "amd64", capabilities: [], kernel: (6, 18))
        #expect(try names(new) == ["read", "write", "ptrace", "clone", "arch_prctl"])
        let made = try SeccompProfileFile(Array(Self.profile.utf8)).profile(for: new)
        #expect(made.architectures == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])
        #expect(made.defaultErrnoRet == 1)
        #expect(made.syscalls[2].args == [RuntimeSpec.SyscallArg(index: 0, value: 2_114_060_288, op: "SCMP_CMP_MASKED_EQ")])
    }

    @Test(
        "profiles that contradict themselves are refused",
        arguments: [
            #"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}"#,
            #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
            #"{"syscalls":[]}"#, #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[1],"action":"x"}]}"#, "[]", "",
        ])
    func contradictions(text: String) {
        #expect(throws: JSONError.self) { try SeccompProfileFile(Array(text.utf8)) }
    }

    @Test("rules for devices")
    func deviceRules() throws {
        let rules = try DeviceCgroupRules(["c 189:* rwm", "b *:7 r"]).rules
        #expect(
            rules == [
                RuntimeSpec.DeviceRule(allow: true, type: "c", major: 189, minor: -1, access: "rwm"),
                RuntimeSpec.DeviceRule(allow: true, type: "b", major: -1, minor: 7, access: "r"),
            ])
        for text in ["", "c 1:2", "x 1:2 r", "c 1 r", "c 1:2 q", "c 1:2:3 r", "c -1:2 r", "c  1:2 r"] {
            let error = #expect(throws: EngineError.self) { try DeviceCgroupRules([text]) }
            #expect(error?.message == "invalid device cgroup rule format: '\(text)'")
        }
    }
}
