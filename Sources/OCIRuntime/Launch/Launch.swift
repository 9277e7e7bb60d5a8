import Linux
public import OCI

/// Clones the first process of a container. It sets everything up and then waits to be released.
/// Only for programs with one thread. When this throws, nothing is left but the cgroup, which is the caller's.
public func launchContainer(_ spec: RuntimeSpec, _ options: LaunchOptions) throws -> Launched {
    throw LaunchError(message: "not there yet")
}

/// Clones a process into a running container, whose first process is `pid`, with the container's seccomp rules. It waits
/// to be released. `options.cgroup` should be the container's.
public func launchExec(
    _ process: RuntimeSpec.Process, in pid: Int32, seccomp: RuntimeSpec.Seccomp?, _ options: LaunchOptions
) throws -> Launched {
    throw LaunchError(message: "not there yet")
}
