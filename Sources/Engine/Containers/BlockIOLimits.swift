import DockerAPI
import Linux
import OCI
import SystemPackage

/// `--blkio-weight`, `--device-read-bps` and their like: limits on disks, which the request names by their paths and the
/// kernel by their numbers.
struct BlockIOLimits {
    let config: HostConfig

    init(_ config: HostConfig) {
        self.config = config
    }

    /// What is wrong with the numbers, whatever disks there are.
    func check() throws(EngineError) {
        func isWeight(_ weight: Int) -> Bool { weight == 0 || (10...1000).contains(weight) }
        guard isWeight(config.BlkioWeight ?? 0) else {
            throw EngineError(.invalidArgument, "Range of blkio weight is from 10 to 1000")
        }
        for device in config.BlkioWeightDevice ?? [] where !isWeight(device.Weight ?? 0) {
            throw EngineError(.invalidArgument, "invalid weight for device: \(device.Path ?? ""):\(device.Weight ?? 0)")
        }
        for device in rates where (device.Rate ?? 0) < 0 {
            throw EngineError(.invalidArgument, "invalid rate for device: \(device.Path ?? ""):\(device.Rate ?? 0)")
        }
    }

    private var rates: [ThrottleDevice] {
        (config.BlkioDeviceReadBps ?? []) + (config.BlkioDeviceWriteBps ?? []) + (config.BlkioDeviceReadIOps ?? [])
            + (config.BlkioDeviceWriteIOps ?? [])
    }

    /// nil where nothing is limited. Blocks for a moment.
    func make() throws -> RuntimeSpec.BlockIO? {
        var limits = RuntimeSpec.BlockIO()
        if let weight = config.BlkioWeight, weight > 0 { limits.weight = UInt32(weight) }
        limits.weightDevice = try (config.BlkioWeightDevice ?? []).map { device in
            let (major, minor) = try Self.numbers(device.Path)
            return RuntimeSpec.WeightDevice(major: major, minor: minor, weight: UInt32(clamping: device.Weight ?? 0))
        }
        limits.throttleReadBpsDevice = try Self.throttles(config.BlkioDeviceReadBps)
        limits.throttleWriteBpsDevice = try Self.throttles(config.BlkioDeviceWriteBps)
        limits.throttleReadIOPSDevice = try Self.throttles(config.BlkioDeviceReadIOps)
        limits.throttleWriteIOPSDevice = try Self.throttles(config.BlkioDeviceWriteIOps)
        return limits == RuntimeSpec.BlockIO() ? nil : limits
    }

    private static func throttles(_ devices: [ThrottleDevice]?) throws -> [RuntimeSpec.ThrottleDevice] {
        try (devices ?? []).map { device in
            let (major, minor) = try numbers(device.Path)
            return RuntimeSpec.ThrottleDevice(major: major, minor: minor, rate: UInt64(max(0, device.Rate ?? 0)))
        }
    }

    private static func numbers(_ path: String?) throws -> (major: Int64, minor: Int64) {
        let path = path ?? ""
        let metadata: FileMetadata
        do {
            metadata = try fstat(try OwnedFD.open(FilePath(path), .path))
        } catch {
            throw EngineError(.invalidArgument, "stat \(path): \(error.errno)".lowercasedReason)
        }
        guard metadata.kind == .blockDevice else {
            throw EngineError(.invalidArgument, "\(path) is not a block device, which limits on block I/O are for")
        }
        return (Int64(metadata.deviceMajor), Int64(metadata.deviceMinor))
    }
}

extension String {
    /// Reasons of the kernel in the case that Go's programs write them.
    fileprivate var lowercasedReason: String {
        guard let colon = lastIndex(of: ":") else { return self }
        return self[...colon] + self[index(after: colon)...].lowercased()
    }
}

extension Cgroup.BlockIO {
    /// Numbers that the kernel cannot have were refused when they were looked up.
    init(_ limits: RuntimeSpec.BlockIO) {
        func device(_ major: Int64, _ minor: Int64, _ value: UInt64) -> Device {
            Device(major: UInt32(clamping: major), minor: UInt32(clamping: minor), value: value)
        }
        func rates(_ devices: [RuntimeSpec.ThrottleDevice]) -> [Device] { devices.map { device($0.major, $0.minor, $0.rate) } }
        self.init()
        weight = limits.weight
        deviceWeights = limits.weightDevice.map { device($0.major, $0.minor, UInt64($0.weight ?? 0)) }
        readBytes = rates(limits.throttleReadBpsDevice)
        writeBytes = rates(limits.throttleWriteBpsDevice)
        readOperations = rates(limits.throttleReadIOPSDevice)
        writeOperations = rates(limits.throttleWriteIOPSDevice)
    }
}
