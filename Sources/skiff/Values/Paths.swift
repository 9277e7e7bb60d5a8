import SystemPackage

enum Paths {
    /// A path without `.` and `..`, from the working directory if it is relative.
    static func absolute(_ path: String, in workingDirectory: String) -> String {
        FilePath(workingDirectory).pushing(FilePath(path)).lexicallyNormalized().string
    }
}
