//! The schema of the database, and how an older one becomes the newest.

use rusqlite::Connection;

/// The version this program writes.
pub const SCHEMA_VERSION: i64 = 2;

/// Version 1: events, and things by kind and name.
const FIRST: &str = "
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE entities (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
";

/// Version 2: events know the task they are about, so that its history is found.
const SECOND: &str = "
ALTER TABLE events ADD COLUMN task INTEGER;
UPDATE events SET task = json_extract(body, '$.what.task');
CREATE INDEX events_of_task ON events (task, seq) WHERE task IS NOT NULL;
";

/// What has to be done from each version on.
const STEPS: [&str; 2] = [FIRST, SECOND];

/// Brings a database to the newest version, in one transaction. Returns the version it had.
pub(super) fn migrate(database: &mut Connection) -> Result<i64, String> {
    let wrong = |error: rusqlite::Error| error.to_string();
    let version: i64 = database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(wrong)?;
    if version > SCHEMA_VERSION {
        return Err(format!(
            "it was written by a newer tos (schema {version}; this one knows {SCHEMA_VERSION}); use that one"
        ));
    }
    if version == SCHEMA_VERSION {
        return Ok(version);
    }
    let change = database.transaction().map_err(wrong)?;
    let done = usize::try_from(version).unwrap_or_default();
    for step in STEPS.iter().skip(done) {
        change.execute_batch(step).map_err(wrong)?;
    }
    change
        .pragma_update(None, "user_version", SCHEMA_VERSION)
        .map_err(wrong)?;
    change.commit().map_err(wrong)?;
    Ok(version)
}

#[cfg(test)]
pub(super) fn first_version(database: &Connection) {
    database.execute_batch(FIRST).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
}
