@testable import Linux

/// Runs a filter as the kernel does, on `struct seccomp_data`.
struct SeccompInterpreter {
    let program: [UInt64]

    struct Call {
        var architecture: UInt32 = 0xC000_003E
        var number: UInt32
        var arguments: [UInt64] = []

        /// 32 bits at an offset of the struct.
        func word(_ offset: UInt32) -> UInt32 {
            switch offset {
            case 0: return number
            case 4: return architecture
            case 16..<64:
                let index = Int(offset - 16) / 8
                let argument = index < arguments.count ? arguments[index] : 0
                return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
            default: return 0
            }
        }
    }

    /// What the filter returns; nil when it leaves its bounds or does what a filter may not.
    func run(_ call: Call) -> UInt32? {
        var accumulator: UInt32 = 0
        var index = 0
        while index < program.count {
            let instruction = program[index]
            let value = UInt32(instruction >> 32)
            let (yes, no) = (Int(instruction >> 16 & 0xFF), Int(instruction >> 24 & 0xFF))
            index += 1
            switch instruction & 0xFFFF {
            case 0x20: accumulator = call.word(value)
            case 0x54: accumulator &= value
            case 0x05: index += Int(value)
            case 0x15: index += accumulator == value ? yes : no
            case 0x25: index += accumulator > value ? yes : no
            case 0x35: index += accumulator >= value ? yes : no
            case 0x06: return value
            default: return nil
            }
        }
        return nil
    }
}
