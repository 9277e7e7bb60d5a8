import Linux
import SystemPackage

extension SystemError {
    /// There is nothing of that name.
    var meansMissing: Bool { errno == .noSuchFileOrDirectory || errno == .notDirectory }
}
