import SystemPackage

extension Cgroup {
    /// Disks, huge pages, RDMA devices and the marks of packets.
    func applyDeviceLimits(_ resources: Resources) throws(SystemError) {
        if resources.blockIO != BlockIO() {
            switch trees {
            case .one: try applyBlockIOOne(resources.blockIO)
            case .two(let directory): try applyBlockIOTwo(resources.blockIO, directory)
            }
        }
        for limit in resources.hugepages { try apply(limit) }
        for limit in resources.rdma {
            var text = limit.device
            if let handles = limit.handles { text += " hca_handle=\(handles)" }
            if let objects = limit.objects { text += " hca_object=\(objects)" }
            try Self.write(text, to: try file(.rdma, "rdma.max"))
        }
        try applyNetwork(resources)
    }

    private func applyNetwork(_ resources: Resources) throws(SystemError) {
        guard resources.networkClass != nil || !resources.networkPriorities.isEmpty else { return }
        if case .two = trees {
            throw SystemError(errno: .notSupported, call: "set network class and priorities with cgroup v2 in", subject: path)
        }
        if let number = resources.networkClass {
            try Self.write("\(number)", to: try file(.networkClass, "net_cls.classid"))
        }
        for entry in resources.networkPriorities {
            try Self.write("\(entry.interface) \(entry.priority)", to: try file(.networkPriority, "net_prio.ifpriomap"))
        }
    }

    /// Pages in use, and pages that are promised, where the kernel counts those.
    private func apply(_ limit: HugepageLimit) throws(SystemError) {
        guard Self.isPageSize(limit.pageSize) else {
            throw SystemError(errno: .invalidArgument, call: "invalid huge page size", subject: limit.pageSize)
        }
        let isOne = if case .one = trees { true } else { false }
        let (name, none) = isOne ? ("limit_in_bytes", "-1") : ("max", "max")
        let text = limit.limit < 0 ? none : "\(limit.limit)"
        try Self.write(text, to: try file(.hugetlb, "hugetlb.\(limit.pageSize).\(name)"))
        let reserved = try file(.hugetlb, "hugetlb.\(limit.pageSize).rsvd.\(name)")
        if Self.exists(reserved) { try Self.write(text, to: reserved) }
    }

    /// `2MB`, `1GB`: digits and a unit, nothing that could lead elsewhere as part of a file name.
    private static func isPageSize(_ text: String) -> Bool {
        let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return !digits.isEmpty && ["KB", "MB", "GB"].contains(String(text.dropFirst(digits.count)))
    }

    // MARK: Version 1

    private func applyBlockIOOne(_ limits: BlockIO) throws(SystemError) {
        // The scheduler that keeps weights has its own name in front of them.
        let plain = try file(.blkio, "blkio.weight")
        let prefix = Self.exists(plain) ? "blkio" : "blkio.bfq"
        if let weight = limits.weight, weight != 0 {
            try Self.write("\(weight)", to: try file(.blkio, "\(prefix).weight"))
        }
        if let weight = limits.leafWeight, weight != 0 {
            try Self.write("\(weight)", to: try file(.blkio, "blkio.leaf_weight"))
        }
        let lists: [([BlockIO.Device], String)] = [
            (limits.deviceWeights, "\(prefix).weight_device"), (limits.deviceLeafWeights, "blkio.leaf_weight_device"),
            (limits.readBytes, "blkio.throttle.read_bps_device"), (limits.writeBytes, "blkio.throttle.write_bps_device"),
            (limits.readOperations, "blkio.throttle.read_iops_device"),
            (limits.writeOperations, "blkio.throttle.write_iops_device"),
        ]
        for (devices, name) in lists {
            for device in devices {
                try Self.write("\(device.major):\(device.minor) \(device.value)", to: try file(.blkio, name))
            }
        }
    }

    // MARK: Version 2

    private func applyBlockIOTwo(_ limits: BlockIO, _ directory: FilePath) throws(SystemError) {
        if limits.leafWeight != nil || !limits.deviceLeafWeights.isEmpty {
            throw SystemError(errno: .notSupported, call: "set blockIO.leafWeight with cgroup v2 in", subject: path)
        }
        let bfq = directory.appending("io.bfq.weight")
        let usesBFQ = Self.exists(bfq)
        let file = usesBFQ ? bfq : directory.appending("io.weight")
        func scaled(_ weight: UInt64) -> UInt64 { usesBFQ ? weight : Self.weight(blockIO: weight) }
        if let weight = limits.weight, weight != 0 { try Self.write("\(scaled(UInt64(weight)))", to: file) }
        for device in limits.deviceWeights {
            try Self.write("\(device.major):\(device.minor) \(scaled(device.value))", to: file)
        }
        let lists = [
            (limits.readBytes, "rbps"), (limits.writeBytes, "wbps"), (limits.readOperations, "riops"),
            (limits.writeOperations, "wiops"),
        ]
        for (devices, key) in lists {
            for device in devices {
                let rate = device.value == 0 ? "max" : "\(device.value)"
                try Self.write("\(device.major):\(device.minor) \(key)=\(rate)", to: directory.appending("io.max"))
            }
        }
    }

    /// 10...1000 as 1...10000, along a straight line as in runc.
    static func weight(blockIO weight: UInt64) -> UInt64 {
        weight < 10 ? 1 : 1 + (Swift.min(weight, 1000) - 10) * 9999 / 990
    }
}
