import Linux
import OCI
import SystemPackage

/// Runs programs of the host at points of a container's life, with its state on their standard input.
enum HookRun {
    static func run(_ hook: RuntimeSpec.Hook, state: JSONValue) throws {
        let pair = try SocketPair().take()
        let null = try OwnedFD.open("/dev/null", .readWrite)
        let pid = try spawn(
            FilePath(hook.path), arguments: Array(hook.args.dropFirst()), environment: hook.env,
            descriptors: [pair.second.raw, null.raw, 2])
        try pair.first.withOwned { (socket) throws in
            // A hook that does not read its input is a good hook as well.
            _ = try? socket.sendAll(state.serialized())
            try? socket.shutdownSending()
        }
        let process = try openProcess(pid)
        let epoll = try Epoll()
        try epoll.add(process.raw, .readable, token: 0)
        let limit = hook.timeout.map { Int32(clamping: $0 * 1000) } ?? -1
        if try epoll.wait(milliseconds: limit).isEmpty { try sendSignal(.kill, to: process) }
        let end = try reap(pid)
        guard end.isSuccess else { throw RuntimeError("error running hook \(hook.path): exit status \(end.code)") }
    }

    static func runAll(_ hooks: [RuntimeSpec.Hook], state: JSONValue) throws {
        for hook in hooks { try run(hook, state: state) }
    }
}

extension OwnedFD {
    fileprivate func sendAll(_ bytes: [UInt8]) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = try rest.withUnsafeBytes { (buffer) -> Result<Int, SystemError> in
                do throws(SystemError) { return .success(try sendAvailable(buffer)) } catch { return .failure(error) }
            }.get()
            if sent == 0 { return }
            rest = rest.dropFirst(sent)
        }
    }
}
