import CLinux
import Glibc
import SystemPackage

/// The process itself.
public enum CurrentProcess {
    /// `NAME=value`, as the program got them.
    public static var environment: [String] {
        var variables: [String] = []
        var next = environ
        while let variable = next.pointee {
            variables.append(String(cString: variable))
            next += 1
        }
        return variables
    }

    public static var id: pid_t { getpid() }
    /// The user whose rights count.
    public static var effectiveUserID: UInt32 { geteuid() }
    public static var effectiveGroupID: UInt32 { getegid() }

    /// Ends the process at once; what is buffered for standard output is written.
    public static func exit(_ code: Int32) -> Never {
        Glibc.exit(code)
    }

    /// Lets this process have as many files open as it may at most. Programs that it spawns get the limit of before.
    /// To be called before the first thread is made.
    public static func raiseOpenFileLimit() throws(SystemError) {
        try check("setrlimit", "RLIMIT_NOFILE") { clinux_raise_open_files() }
    }

    /// The file that the process runs.
    public static func executable() throws(SystemError) -> FilePath {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try check("readlink", "/proc/self/exe") {
            buffer.withUnsafeMutableBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { text in
                    text.baseAddress.map { readlink("/proc/self/exe", $0, text.count) } ?? 0
                }
            }
        }
        return FilePath(String(decoding: buffer[..<count], as: UTF8.self))
    }
}
