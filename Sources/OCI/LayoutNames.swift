/// The names in a directory or archive with the image layout (image-spec, image-layout.md).
public enum LayoutNames {
    /// The file that says that it is one.
    public static let marker = "oci-layout"
    /// What the marker holds.
    public static let version = Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)
    /// The annotation of an index's entry that is its name there.
    public static let reference = "org.opencontainers.image.ref.name"

    /// The same for containerd, with the whole name.
    public static let imageName = "io.containerd.image.name"
    /// The annotations of an entry that tell of the archive rather than of what is in it.
    public static let ofArchives: Set<String> = [reference, imageName, "org.opencontainers.image.created"]

    /// Where a blob is.
    public static func path(_ digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }
}
