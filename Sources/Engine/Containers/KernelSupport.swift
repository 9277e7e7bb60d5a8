import Blocking
import DockerAPI
import Linux
import SystemPackage

/// Takes out of a request what the kernel of this machine cannot limit, and says so in Docker's words: clients show them
/// as warnings. What Docker refuses is refused.
struct KernelSupport {
    /// The kernel is asked by way of a cgroup that exists only for that.
    func adapt(_ config: inout HostConfig) async throws -> [String] {
        var warnings: [String] = []
        try await adaptMemory(&config, &warnings)
        if (config.CpuRealtimePeriod ?? 0) != 0 || (config.CpuRealtimeRuntime ?? 0) != 0 {
            guard try await blocking({ try Cgroup.limitsRealTime() }) else {
                throw EngineError(.invalidArgument, "Your kernel does not support CPU real-time scheduler")
            }
        }
        if (config.CpuPercent ?? 0) > 0 {
            warnings.append("linux does not support CPU percent. Percent discarded.")
            config.CpuPercent = 0
        }
        try await adaptBlockIO(&config, &warnings)
        return warnings
    }

    private func adaptMemory(_ config: inout HostConfig, _ warnings: inout [String]) async throws {
        let setsSwappiness = (config.MemorySwappiness ?? -1) != -1
        guard setsSwappiness || config.OomKillDisable == true else { return }
        let isTwo = try await blocking { try Cgroup.isVersionTwo() }
        if setsSwappiness, isTwo {
            warnings.append(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.")
            config.MemorySwappiness = nil
        }
        guard config.OomKillDisable == true else { return }
        if isTwo {
            warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
            config.OomKillDisable = nil
        } else if (config.Memory ?? 0) == 0 {
            warnings.append(
                "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.")
        }
    }

    private func adaptBlockIO(_ config: inout HostConfig, _ warnings: inout [String]) async throws {
        if (config.BlkioWeight ?? 0) != 0, try await !isSupported({ $0.BlkioWeight = 100 }) {
            warnings.append("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.")
            config.BlkioWeight = 0
        }
        if let devices = config.BlkioWeightDevice, !devices.isEmpty, try await !isSupported({ $0.BlkioWeightDevice = devices }) {
            warnings.append("Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.")
            config.BlkioWeightDevice = nil
        }
        let throttles: [(any WritableKeyPath<HostConfig, [ThrottleDevice]?> & Sendable, String, String)] = [
            (\.BlkioDeviceReadBps, "BPS Block I/O read limit", "Block I/O BPS read limit"),
            (\.BlkioDeviceWriteBps, "BPS Block I/O write limit", "Block I/O BPS write limit"),
            (\.BlkioDeviceReadIOps, "IOPS Block read limit", "Block I/O IOPS read limit"),
            (\.BlkioDeviceWriteIOps, "IOPS Block write limit", "Block I/O IOPS write limit"),
        ]
        for (limit, name, discarded) in throttles {
            guard let devices = config[keyPath: limit], !devices.isEmpty else { continue }
            if try await !isSupported({ $0[keyPath: limit] = devices }) {
                warnings.append("Your kernel does not support \(name) or the cgroup is not mounted. \(discarded) discarded.")
                config[keyPath: limit] = nil
            }
        }
    }

    /// Whether the kernel has a place for the limits. Their values may be wrong all the same, which the start tells.
    private func isSupported(_ set: @escaping @Sendable (inout HostConfig) -> Void) async throws -> Bool {
        try await blocking {
            var config = HostConfig()
            set(&config)
            var resources = Cgroup.Resources()
            resources.blockIO = try BlockIOLimits(config).make().map { Cgroup.BlockIO($0) } ?? Cgroup.BlockIO()
            do {
                let probe = try Cgroup.create(path: "/skiff/probe-\(shortID(makeID()))", resources: resources)
                try probe.remove()
                return true
            } catch let error as SystemError where error.meansMissing || error.errno == .notSupported || error.errno == .permissionDenied {
                return false
            } catch is SystemError {
                return true
            }
        }
    }
}
