import OCI

/// A security label that all threads of a restored container have to have.
struct RestoredLabel: Equatable {
    /// `apparmor` or `selinux`.
    let module: String
    let text: String

    /// Those of the configuration; `profile` is what the caller wants in the place of one, with its module: `apparmor:NAME`.
    static func all(_ process: RuntimeSpec.Process, profile: String?) -> [RestoredLabel] {
        var labels: [RestoredLabel] = []
        for (module, text) in [("apparmor", process.apparmorProfile), ("selinux", process.selinuxLabel)] {
            guard let text, !text.isEmpty else { continue }
            let start = "\(module):"
            let other = profile.flatMap { $0.hasPrefix(start) ? String($0.dropFirst(start.utf8.count)) : nil }
            labels.append(RestoredLabel(module: module, text: other ?? text))
        }
        return labels
    }

    /// Below a thread's directory in procfs. Of several modules only one has the first file.
    var file: String { module == "apparmor" ? "attr/apparmor/current" : "attr/current" }

    /// Whether that file says so. AppArmor adds how it enforces the profile.
    func fits(_ bytes: [UInt8]) -> Bool {
        let found = String(decoding: bytes.prefix { $0 != 0 && $0 != 10 }, as: UTF8.self)
        return found == text || module == "apparmor" && found.hasPrefix("\(text) (")
    }
}
