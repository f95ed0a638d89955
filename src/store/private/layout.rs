use crate::store::schema::Layout;

pub(in crate::store) const LAYOUT: Layout = Layout { steps: [TABLES, KEEPING, PAGES] };

/// `project`: stays when its last release goes, so that the name stays owned; it goes with its index only.
/// `file`: a release file, a documentation zip or the result of a test run; `metadata_…` is a wheel's core metadata.
/// `deleted`: what once was a file, so that its address can be answered with "gone". The newest 16 of a name are kept:
/// a file that is overwritten every hour must not fill the table.
const TABLES: &str = "
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), serial INTEGER NOT NULL, uuid TEXT NOT NULL);
INSERT INTO meta VALUES (1, 0, lower(hex(randomblob(16))));
CREATE TABLE user (
    name TEXT PRIMARY KEY, password TEXT, created INTEGER NOT NULL, modified INTEGER, facts TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE user_index (
    name TEXT PRIMARY KEY, user_name TEXT NOT NULL REFERENCES user ON DELETE CASCADE, settings TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX user_index_by_user ON user_index (user_name);
CREATE TABLE project (
    index_name TEXT NOT NULL REFERENCES user_index ON DELETE CASCADE, name TEXT NOT NULL,
    display TEXT NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (index_name, name)
) WITHOUT ROWID;
CREATE INDEX project_by_name ON project (name);
CREATE TABLE release (
    index_name TEXT NOT NULL, project TEXT NOT NULL, version TEXT NOT NULL,
    metadata TEXT NOT NULL, created INTEGER NOT NULL,
    PRIMARY KEY (index_name, project, version),
    FOREIGN KEY (index_name, project) REFERENCES project ON DELETE CASCADE
);
CREATE TABLE file (
    index_name TEXT NOT NULL, filename TEXT NOT NULL, rel TEXT NOT NULL,
    project TEXT NOT NULL, version TEXT NOT NULL,
    sha256 BLOB NOT NULL, size INTEGER NOT NULL, uploaded INTEGER NOT NULL,
    requires_python TEXT, metadata_sha256 BLOB, metadata_size INTEGER, yanked TEXT, attestations TEXT,
    log TEXT NOT NULL, for_sha256 BLOB, for_filename TEXT,
    PRIMARY KEY (index_name, filename),
    FOREIGN KEY (index_name, project, version) REFERENCES release ON DELETE CASCADE
);
CREATE INDEX file_by_release ON file (index_name, project, version);
CREATE INDEX file_by_digest ON file (sha256);
CREATE INDEX file_by_metadata ON file (metadata_sha256) WHERE metadata_sha256 IS NOT NULL;
CREATE INDEX file_by_tested ON file (index_name, for_filename) WHERE for_filename IS NOT NULL;
CREATE TABLE deleted (
    id INTEGER PRIMARY KEY, index_name TEXT NOT NULL REFERENCES user_index ON DELETE CASCADE,
    filename TEXT NOT NULL, sha256 BLOB NOT NULL,
    UNIQUE (index_name, filename, sha256)
);
CREATE TRIGGER deleted_bound AFTER INSERT ON deleted BEGIN
    DELETE FROM deleted WHERE id IN (
        SELECT id FROM deleted WHERE index_name = NEW.index_name AND filename = NEW.filename
        ORDER BY id DESC LIMIT -1 OFFSET 16
    );
END;
CREATE TABLE token (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL, user_name TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    login INTEGER NOT NULL, name TEXT NOT NULL, index_name TEXT,
    read INTEGER NOT NULL, upload INTEGER NOT NULL,
    created INTEGER NOT NULL, expires INTEGER, used INTEGER
);
CREATE INDEX token_by_user ON token (user_name);
CREATE INDEX token_by_expiry ON token (expires) WHERE expires IS NOT NULL;
";

/// `damage`: what users own and the disk has lost: found then (Unix seconds), and not made good since.
/// `address`: where another server had a file of a stage (`f/aaa/bbbbbbbbbbbbb`), when it was not where its SHA-256 says.
const KEEPING: &str = "
CREATE TABLE damage (sha256 BLOB PRIMARY KEY, found INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE address (
    index_name TEXT NOT NULL REFERENCES user_index ON DELETE CASCADE, place TEXT NOT NULL, filename TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (index_name, place, filename)
) WITHOUT ROWID;
";

/// What pages for people need.
/// `session`: a browser that somebody has logged in with, by a hash of what its cookie holds. `client` is what the browser
/// calls itself, for its user to tell one from another.
/// `removal`: what a person took away at `at` and can have back until `until` (Unix seconds): a project, a version or a
/// file (`kind`), and which (`name`). `removed_release` and `removed_file`: its rows as they were, with their rowid
/// (`place`); a column that comes to `release` or `file` comes to them too. The bytes that they name stay on the shelf.
const PAGES: &str = "
CREATE TABLE session (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL, user_name TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    created INTEGER NOT NULL, used INTEGER NOT NULL, client TEXT NOT NULL
);
CREATE INDEX session_by_user ON session (user_name);
CREATE TABLE removal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, index_name TEXT NOT NULL REFERENCES user_index ON DELETE CASCADE,
    project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, user_name TEXT,
    at INTEGER NOT NULL, until INTEGER NOT NULL
);
CREATE INDEX removal_by_index ON removal (index_name, project);
CREATE INDEX removal_by_end ON removal (until);
CREATE TABLE removed_release (
    removal INTEGER NOT NULL REFERENCES removal ON DELETE CASCADE, place INTEGER NOT NULL,
    index_name TEXT NOT NULL, project TEXT NOT NULL, version TEXT NOT NULL,
    metadata TEXT NOT NULL, created INTEGER NOT NULL,
    PRIMARY KEY (removal, project, version)
);
CREATE TABLE removed_file (
    removal INTEGER NOT NULL REFERENCES removal ON DELETE CASCADE, place INTEGER NOT NULL,
    index_name TEXT NOT NULL, filename TEXT NOT NULL, rel TEXT NOT NULL,
    project TEXT NOT NULL, version TEXT NOT NULL,
    sha256 BLOB NOT NULL, size INTEGER NOT NULL, uploaded INTEGER NOT NULL,
    requires_python TEXT, metadata_sha256 BLOB, metadata_size INTEGER, yanked TEXT, attestations TEXT,
    log TEXT NOT NULL, for_sha256 BLOB, for_filename TEXT,
    PRIMARY KEY (removal, filename)
);
CREATE INDEX removed_file_by_index ON removed_file (index_name);
CREATE INDEX removed_file_by_digest ON removed_file (sha256);
CREATE INDEX removed_file_by_metadata ON removed_file (metadata_sha256) WHERE metadata_sha256 IS NOT NULL;
";
