import Linux
import OCI

@testable import OCIRuntime

/// The entry that libFuzzer calls with each input: everything that the runtime reads from a `config.json`, and everything
/// that it works out from one before it asks the kernel for anything. Any answer is right that is not a trap; what was
/// accepted is written and has to be read back as the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfig(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    guard let document = try? JSONValue.parse(bytes) else { return 0 }
    _ = try? RuntimeSpec.Resources(json: document)
    if let process = try? RuntimeSpec.Process(json: document) { _ = try? ProcessPlan(process, seccomp: nil) }
    guard let spec = try? RuntimeSpec(json: document) else { return 0 }
    roundTrip(spec)
    derive(spec)
    return 0
}

private func roundTrip(_ spec: RuntimeSpec) {
    let written = spec.json().serialized()
    guard let again = try? RuntimeSpec(bytes: written) else { fatalError("what was written cannot be read") }
    precondition(again.json().serialized() == written, "what was read back is another configuration")
}

private func derive(_ spec: RuntimeSpec) {
    _ = try? Cgroup.Resources(spec.linux.resources)
    _ = try? ProcessPlan(spec.process, seccomp: spec.linux.seccomp)
    for mount in spec.mounts { _ = try? MountOptions(mount.options, type: mount.type) }
    if let seccomp = spec.linux.seccomp, let profile = try? SeccompProfile(seccomp) { _ = try? SeccompProgram.compile(profile) }
}
