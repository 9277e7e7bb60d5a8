import Linux
import OCI
public import SystemPackage

/// A descriptor with an owner that may lie in arrays.
final class HeldFD: Sendable {
    let fd: OwnedFD

    init(_ fd: consuming OwnedFD) {
        self.fd = fd
    }
}

/// Everything of a container that is read and checked before anything is made.
final class ContainerPlan {
    let spec: RuntimeSpec
    let options: LaunchOptions
    let process: ProcessPlan
    let namespaces: NamespacePlan
    let mountOptions: [MountOptions]
    let tuning: KernelTuning
    let state: ReportedState
    /// The runtime may mount where it stands, so it opens the host's files itself.
    let isPrivileged: Bool
    /// Of a privileged runtime.
    let sources: HostSources?

    init(_ spec: RuntimeSpec, _ options: LaunchOptions) throws {
        self.spec = spec
        self.options = options
        let namespaces = try NamespacePlan(spec)
        self.namespaces = namespaces
        try ContainerChecks(spec: spec, namespaces: namespaces).run()
        isPrivileged = try CapabilitySets.effectiveNow().contains(.systemAdministration)
        guard isPrivileged || namespaces.separatesUsers else {
            throw LaunchError(message: "rootless container requires user namespaces")
        }
        state = ReportedState(spec, options)
        let hasInit = spec.mounts.contains { $0.destination == ReapingInit.path }
        process = try ProcessPlan(
            spec.process, seccomp: spec.linux.seccomp, knownFilter: options.filter, initPath: hasInit ? ReapingInit.path : nil,
            hasOwnUsers: namespaces.separatesUsers)
        tuning = try KernelTuning(spec.linux)
        mountOptions = try spec.mounts.map { (mount) throws(LaunchError) in
            try MountOptions(mount, hasOwnUsers: namespaces.separatesUsers)
        }
        sources = isPrivileged ? try HostSources(spec, mountOptions, namespaces, options, isPrivileged: true) : nil
    }

    /// The listener of the container's seccomp profile, if that leaves calls to somebody else.
    var listener: SeccompListener? {
        guard process.filter?.needsListener == true, let seccomp = spec.linux.seccomp else { return nil }
        return SeccompListener(
            path: seccomp.listenerPath ?? "", metadata: seccomp.listenerMetadata ?? "", state: state, status: .creating,
            containerPID: nil)
    }

    /// Hooks that look at the container's mounts before it is shut off from the host's.
    var hasHooksInMounts: Bool {
        [HookKind.prestart, .createRuntime, .createContainer].contains { !$0.hooks(of: spec).isEmpty }
    }

    /// Hooks that the runtime runs while the process waits.
    var hasRuntimeHooks: Bool {
        [HookKind.prestart, .createRuntime].contains { !$0.hooks(of: spec).isEmpty }
    }

    /// The process may not begin before the parent has done its part.
    var waitsForParent: Bool {
        namespaces.new.contains(.user) || !spec.linux.netDevices.isEmpty || spec.linux.intelRdt != nil
    }
}

extension Errno {
    /// The way Go's programs write it, for clients that compare texts.
    public var goText: String {
        let text = description
        return text.prefix(1).lowercased() + text.dropFirst()
    }
}
