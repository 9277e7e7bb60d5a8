import CLinux
import Glibc
public import SystemPackage

/// Starts a program with exactly the given environment and descriptors: `descriptors[i]` becomes descriptor `i`, every
/// other one is closed. The program gets a session of its own and default signal handling. Whoever calls has to reap it.
///
/// The program never sees anything of the caller that is not named here, and the caller never forks.
///
/// `name` is what the program gets as its own name, in place of its path.
public func spawn(
    _ program: FilePath, named name: String? = nil, arguments: [String], environment: [String], descriptors: [Int32]
) throws(SystemError) -> pid_t {
    try spawn(program, by: -1, named: name, arguments: arguments, environment: environment, descriptors: descriptors)
}

/// The same of a program whose path goes by a descriptor of the caller, 64 or above; none where that is below 0.
func spawn(
    _ program: FilePath, by descriptor: Int32, named name: String?, arguments: [String], environment: [String], descriptors: [Int32]
) throws(SystemError) -> pid_t {
    let argv = CStringArray([name ?? program.string] + arguments)
    let envp = CStringArray(environment)
    return try check("spawn", program.string) {
        program.withPlatformString {
            clinux_spawn($0, argv.pointers, envp.pointers, descriptors, Int32(descriptors.count), descriptor)
        }
    }
}

/// Waits until no child of `spawn` has copies of descriptors that were closed before the call: a child has copies of all of
/// them until its program begins, which takes about a millisecond. Blocks, for a second at most.
public func awaitSpawns() {
    clinux_await_spawns()
}

/// Strings in the form that `execve` wants: an array of pointers that ends with nil.
final class CStringArray {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[count] = nil
    }

    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}
