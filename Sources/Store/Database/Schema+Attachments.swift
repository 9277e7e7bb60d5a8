/// What goes with images to registries and archives beside their own documents, by name:
///
/// ```
/// image ──> image_attachments <── image_reference
/// ```
/// Without a name an image has what its last build has given it. What no row names any more goes in the same transaction.
extension Schema {
    static let attachments = """
        CREATE TABLE image_attachments (
            digest   TEXT PRIMARY KEY NOT NULL,
            document TEXT NOT NULL
        ) STRICT;
        ALTER TABLE image ADD COLUMN attachments TEXT REFERENCES image_attachments;
        ALTER TABLE image_reference ADD COLUMN attachments TEXT REFERENCES image_attachments;
        CREATE INDEX image_by_attachments ON image (attachments) WHERE attachments IS NOT NULL;
        CREATE INDEX image_reference_by_attachments ON image_reference (attachments) WHERE attachments IS NOT NULL;

        """
}
