import Linux
import OCI
import Testing

@testable import OCIRuntime

@Suite("Seccomp profiles of a configuration")
struct SeccompPlanTests {
    private func profile(_ seccomp: RuntimeSpec.Seccomp) throws -> SeccompProfile { try SeccompProfile(seccomp) }

    private func one(_ action: String, names: [String] = ["mkdir"], errno: UInt32? = nil) -> RuntimeSpec.Seccomp {
        .init(
            defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: names, action: action, errnoRet: errno)],
            listenerPath: "/run/agent")
    }

    @Test("every action of the specification is known")
    func actions() throws {
        let actions: [(String, SeccompProfile.Action)] = [
            ("SCMP_ACT_KILL", .killThread), ("SCMP_ACT_KILL_PROCESS", .killProcess), ("SCMP_ACT_KILL_THREAD", .killThread),
            ("SCMP_ACT_TRAP", .trap), ("SCMP_ACT_ERRNO", .errno(1)), ("SCMP_ACT_TRACE", .trace(1)), ("SCMP_ACT_ALLOW", .allow),
            ("SCMP_ACT_LOG", .log), ("SCMP_ACT_NOTIFY", .notify),
        ]
        for (name, action) in actions { #expect(try profile(one(name)).rules.first?.action == action) }
        #expect(try profile(one("SCMP_ACT_ERRNO", errno: 38)).rules.first?.action == .errno(38))
    }

    @Test("names of calls that nobody knows are left out, names of anything else are refused")
    func unknown() throws {
        let known = try SeccompProgram.compile(try profile(one("SCMP_ACT_ERRNO")))
        #expect(try SeccompProgram.compile(try profile(one("SCMP_ACT_ERRNO", names: ["mkdir", "no_such_call"]))) == known)
        #expect(throws: LaunchError.self) { try profile(one("SCMP_ACT_WHATEVER")) }
        #expect(throws: LaunchError.self) { try profile(one("SCMP_ACT_ERRNO", names: [])) }
        #expect(throws: LaunchError.self) { try profile(.init(defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_VAX"])) }
        #expect(try profile(.init(defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_S390X", "SCMP_ARCH_X86"])).architectures == [.x86])
        #expect(throws: LaunchError.self) { try SeccompProgram.Flags(["SECCOMP_FILTER_FLAG_X"]) }
        #expect(
            try SeccompProgram.Flags(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
                == [.synchronizeThreads, .waitKillable])
    }

    @Test("an action without an error number cannot have one")
    func errnoRet() {
        for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY"] {
            #expect(throws: LaunchError.self) { try profile(one(action, errno: 1)) }
        }
        #expect(throws: LaunchError.self) { try profile(one("SCMP_ACT_ERRNO", errno: 65536)) }
    }

    @Test("calls are left to a listener only if it can be told")
    func listener() throws {
        #expect(try profile(one("SCMP_ACT_NOTIFY")).needsListener)
        #expect(throws: LaunchError.self) { try profile(.init(defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/x")) }
        #expect(throws: LaunchError.self) { try profile(one("SCMP_ACT_NOTIFY", names: ["sendmsg"])) }
        var silent = one("SCMP_ACT_NOTIFY")
        silent.listenerPath = nil
        #expect(throws: LaunchError.self) { try profile(silent) }
        #expect(throws: LaunchError.self) { try profile(.init(defaultAction: "SCMP_ACT_ALLOW", listenerMetadata: "x")) }
    }

    @Test("several conditions on one argument are alternatives, on different ones all have to hold")
    func conditions() throws {
        func rules(_ indices: [Int64]) throws -> Int {
            let args = indices.map { RuntimeSpec.SyscallArg(index: $0, value: 1, op: "SCMP_CMP_EQ") }
            return try profile(
                .init(defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: args)])
            ).rules.count
        }
        #expect(try rules([0, 1]) == 1)
        #expect(try rules([0, 1, 0]) == 3)
        #expect(throws: LaunchError.self) { try rules([6]) }
        #expect(throws: LaunchError.self) { try rules([-1]) }
        #expect(throws: LaunchError.self) { try rules([.max]) }
    }
}
