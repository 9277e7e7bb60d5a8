import DockerAPI

/// Limits of one device: `PATH:NUMBER`.
enum DeviceLimitFlag {
    static func weight(_ text: String) throws -> WeightDevice {
        let (path, value) = try split(text)
        guard let weight = UInt16(value), weight == 0 || (10...1000).contains(weight) else {
            throw FlagValueError("invalid weight for device: \(text)")
        }
        var device = WeightDevice()
        (device.Path, device.Weight) = (path, Int(weight))
        return device
    }

    /// `/dev/sda:1mb`
    static func bytes(_ text: String) throws -> ThrottleDevice {
        let (path, value) = try split(text)
        do {
            return device(path, try byteCount(value))
        } catch {
            throw FlagValueError(
                "invalid rate for device: \(text). The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
            )
        }
    }

    static func operations(_ text: String) throws -> ThrottleDevice {
        let (path, value) = try split(text)
        guard let rate = Int64(value), rate >= 0 else {
            throw FlagValueError(
                "invalid rate for device: \(text). The correct format is <device-path>:<number>. Number must be a positive integer")
        }
        return device(path, rate)
    }

    private static func device(_ path: String, _ rate: Int64) -> ThrottleDevice {
        var device = ThrottleDevice()
        (device.Path, device.Rate) = (path, rate)
        return device
    }

    private static func split(_ text: String) throws -> (path: String, value: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty else { throw FlagValueError("bad format: \(text)") }
        guard parts[0].hasPrefix("/dev/") else { throw FlagValueError("bad format for device path: \(text)") }
        return (parts[0], parts[1])
    }

    /// `c 189:* rwm`
    static func isCgroupRule(_ text: String) -> Bool {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, ["a", "b", "c"].contains(words[0]), (1...3).contains(words[2].count),
            words[2].allSatisfy({ "rwm".contains($0) })
        else { return false }
        let numbers = words[1].split(separator: ":", omittingEmptySubsequences: false)
        return numbers.count == 2 && numbers.allSatisfy { $0 == "*" || !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber } }
    }
}
