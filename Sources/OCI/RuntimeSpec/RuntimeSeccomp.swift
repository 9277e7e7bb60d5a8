extension RuntimeSpec {
    /// Which system calls the process may make, with the words of libseccomp (`SCMP_ACT_ERRNO` …).
    public struct Seccomp: Sendable, Equatable {
        public var defaultAction: String
        public var defaultErrnoRet: UInt32?
        public var architectures: [String]
        public var flags: [String]
        public var syscalls: [Syscall]
        /// A socket whose owner answers the calls with the action `SCMP_ACT_NOTIFY`.
        public var listenerPath: String?
        /// Goes to that socket as it is.
        public var listenerMetadata: String?

        public init(
            defaultAction: String, defaultErrnoRet: UInt32? = nil, architectures: [String] = [], flags: [String] = [],
            syscalls: [Syscall] = [], listenerPath: String? = nil, listenerMetadata: String? = nil
        ) {
            self.defaultAction = defaultAction
            self.defaultErrnoRet = defaultErrnoRet
            self.architectures = architectures
            self.flags = flags
            self.syscalls = syscalls
            self.listenerPath = listenerPath
            self.listenerMetadata = listenerMetadata
        }
    }

    public struct Syscall: Sendable, Equatable {
        public var names: [String]
        public var action: String
        public var errnoRet: UInt32?
        /// All of them have to hold.
        public var args: [SyscallArg]

        public init(names: [String], action: String, errnoRet: UInt32? = nil, args: [SyscallArg] = []) {
            self.names = names
            self.action = action
            self.errnoRet = errnoRet
            self.args = args
        }
    }

    /// A comparison with argument `index`; `valueTwo` counts for `SCMP_CMP_MASKED_EQ` alone, whose mask is `value`.
    public struct SyscallArg: Sendable, Equatable {
        public var index: Int64
        public var value: UInt64
        public var valueTwo: UInt64
        public var op: String

        public init(index: Int64, value: UInt64, valueTwo: UInt64 = 0, op: String) {
            self.index = index
            self.value = value
            self.valueTwo = valueTwo
            self.op = op
        }
    }
}

extension RuntimeSpec.Seccomp {
    public init(json: JSONValue) throws(JSONError) {
        try self.init(reader: try JSONReader(json))
    }

    init(reader: JSONReader) throws(JSONError) {
        defaultAction = try reader.required("defaultAction", try reader.string("defaultAction"))
        defaultErrnoRet = try reader.unsigned32("defaultErrnoRet")
        architectures = try reader.strings("architectures")
        flags = try reader.strings("flags")
        syscalls = try reader.objects("syscalls", RuntimeSpec.Syscall.init(reader:))
        listenerPath = try reader.string("listenerPath")
        listenerMetadata = try reader.string("listenerMetadata")
    }

    public func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("defaultAction", defaultAction)
        writer.add("defaultErrnoRet", defaultErrnoRet)
        writer.add("architectures", architectures)
        writer.add("flags", flags)
        writer.add("listenerPath", listenerPath)
        writer.add("listenerMetadata", listenerMetadata)
        writer.add("syscalls", syscalls.map { $0.json() })
        return writer.value
    }
}

extension RuntimeSpec.Syscall {
    init(reader: JSONReader) throws(JSONError) {
        names = try reader.strings("names")
        action = try reader.required("action", try reader.string("action"))
        errnoRet = try reader.unsigned32("errnoRet")
        args = try reader.objects("args") { (reader) throws(JSONError) in
            RuntimeSpec.SyscallArg(
                index: try reader.required("index", try reader.int("index")),
                value: try reader.required("value", try reader.unsigned("value")),
                valueTwo: try reader.unsigned("valueTwo") ?? 0,
                op: try reader.required("op", try reader.string("op")))
        }
    }

    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("names", names)
        writer.add("action", action)
        writer.add("errnoRet", errnoRet)
        writer.add("args", args.map { $0.json() })
        return writer.value
    }
}

extension RuntimeSpec.SyscallArg {
    func json() -> JSONValue {
        var writer = JSONWriter()
        writer.add("index", index)
        writer.add("value", number(value))
        writer.add("valueTwo", valueTwo == 0 ? nil : number(valueTwo))
        writer.add("op", op)
        return writer.value
    }

    private func number(_ value: UInt64) -> JSONValue {
        Int64(exactly: value).map(JSONValue.int) ?? .unsigned(value)
    }
}
