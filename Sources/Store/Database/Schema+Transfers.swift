/// What is remembered of transfers to and from registries:
///
/// ```
/// layer ──< layer_blob ──< blob_place    the same layer compressed, and the repositories that have it so
///   └───── kept_layer                    came with a pull that is not finished: the next one goes on with it
/// image ── image_manifest                the manifest that it came with
/// ```
extension Schema {
    static let transfers = """
        CREATE TABLE layer_blob (
            digest     TEXT PRIMARY KEY NOT NULL,
            diff_id    TEXT NOT NULL REFERENCES layer ON DELETE CASCADE,
            size       INTEGER NOT NULL,
            media_type TEXT NOT NULL,
            made_here  INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX layer_blob_by_layer ON layer_blob (diff_id);
        CREATE TABLE blob_place (
            digest     TEXT NOT NULL REFERENCES layer_blob ON DELETE CASCADE,
            domain     TEXT NOT NULL,
            repository TEXT NOT NULL,
            PRIMARY KEY (digest, domain, repository)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE kept_layer (
            diff_id TEXT PRIMARY KEY NOT NULL REFERENCES layer ON DELETE CASCADE,
            since   TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE image_manifest (
            image_id   TEXT PRIMARY KEY NOT NULL REFERENCES image ON DELETE CASCADE,
            media_type TEXT NOT NULL,
            manifest   TEXT NOT NULL,
            domain     TEXT NOT NULL,
            repository TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        """
}
