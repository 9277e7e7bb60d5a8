import GRDB

/// What stands in `skiff.db`. A migration that was released is never edited; a change is a new one.
///
/// ```
/// image ──< image_reference        a name for an image
///   │  └──< image_layer >── layer  the stack, base first (position 0)
///   │                        │
///   │                        └──< build_cache   a step's result keeps its layer
/// container   volume   network ──< endpoint   cache_mount   build_step
/// ```
/// Columns are what is searched, ordered or checked; the rest of a thing is its `json`. Times are RFC 3339 text. A `layer`
/// row exists exactly while `layers/<hex>` is whole; the configuration of an image is the blob of its id.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("v1") { database in
            try database.execute(sql: images + things + networks)
        }
        migrator.registerMigration("use of images and layers") { database in
            try database.execute(sql: use)
        }
        migrator.registerMigration("transfers") { database in try database.execute(sql: transfers) }
        migrator.registerMigration("what builds keep") { database in try database.execute(sql: cacheMounts) }
        migrator.registerMigration("attachments of images") { database in try database.execute(sql: attachments) }
        return migrator
    }

    private static let images = """
        CREATE TABLE layer (
            diff_id TEXT PRIMARY KEY NOT NULL,
            size    INTEGER NOT NULL,
            created TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE image (
            id      TEXT PRIMARY KEY NOT NULL,
            added   TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE image_layer (
            image_id TEXT NOT NULL REFERENCES image ON DELETE CASCADE,
            position INTEGER NOT NULL,
            diff_id  TEXT NOT NULL REFERENCES layer,
            PRIMARY KEY (image_id, position)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX image_layer_by_layer ON image_layer (diff_id);
        CREATE TABLE image_reference (
            reference TEXT PRIMARY KEY NOT NULL,
            image_id  TEXT NOT NULL REFERENCES image ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX image_reference_by_image ON image_reference (image_id);
        CREATE TABLE build_cache (
            key     TEXT PRIMARY KEY NOT NULL,
            diff_id TEXT REFERENCES layer,
            created TEXT NOT NULL,
            used    TEXT NOT NULL,
            json    TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX build_cache_by_layer ON build_cache (diff_id);

        """

    /// `disk` is what a layer's directory takes, once it was measured; `used` when a container or a build last began with it.
    private static let use = """
        ALTER TABLE layer ADD COLUMN disk INTEGER;
        ALTER TABLE image ADD COLUMN used TEXT;
        ALTER TABLE build_cache ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;

        """

    /// Directories below `cache-mounts/`, which builds keep things in from one to the next, and what
    /// the steps of builds rested on.
    private static let cacheMounts = """
        CREATE TABLE cache_mount (
            key     TEXT PRIMARY KEY NOT NULL,
            name    TEXT NOT NULL,
            created TEXT NOT NULL,
            used    TEXT NOT NULL,
            uses    INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE build_step (
            place TEXT PRIMARY KEY NOT NULL,
            used  TEXT NOT NULL,
            json  TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX build_step_by_use ON build_step (used);

        """

    private static let things = """
        CREATE TABLE container (
            id      TEXT PRIMARY KEY NOT NULL,
            name    TEXT NOT NULL UNIQUE,
            created TEXT NOT NULL,
            json    TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE volume (
            name    TEXT PRIMARY KEY NOT NULL,
            created TEXT NOT NULL,
            json    TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        """

    private static let networks = """
        CREATE TABLE network (
            id      TEXT PRIMARY KEY NOT NULL,
            name    TEXT NOT NULL UNIQUE,
            created TEXT NOT NULL,
            json    TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE endpoint (
            container_id TEXT NOT NULL,
            network_id   TEXT NOT NULL REFERENCES network ON DELETE CASCADE,
            ipv4         TEXT,
            ipv6         TEXT,
            mac          TEXT,
            json         TEXT NOT NULL,
            PRIMARY KEY (container_id, network_id),
            UNIQUE (network_id, ipv4),
            UNIQUE (network_id, ipv6)
        ) STRICT, WITHOUT ROWID;

        """
}
