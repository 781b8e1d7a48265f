//! What Rollbook knows, in one SQLite file. All SQL lives below here.
//!
//! *Its one idea: everything that matters is one transaction.* One connection writes, behind a lock;
//! the functions are synchronous, and async callers hand them to a blocking thread with
//! [`Store::run`].
//!
//! | module | keeps |
//! |---|---|
//! | [`mirror`] | people, groups and who is in which; absorbs observations together with their checkpoint |
//! | [`roster`] | the mirror, as the planner wants it |
//! | [`dirty`] | where to look |
//! | [`categories`] | the index of categories |
//! | [`ledger`] | what this program last did |
//! | [`journal`] | what it is doing |
//! | [`files`] | what it is doing by CSV file |
//! | [`history`] | what happened, chained line by line |
//! | [`undone`] | what a person has undone |
//! | [`held`] | plans that wait for a person |
//! | [`set_aside`] | what failed for its own reason |
//! | [`lease`] | one run at a time |
//! | [`origin`] | whether the file is a copy |
//! | [`generation`] | whether the file was put back to an earlier state |
//! | [`take_over`] | what a file made anew takes over from the old one |
//! | [`runs`] | what happened |

use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

use crate::category::{CategoryId, UserId};
use crate::killpoint;

pub mod categories;
pub mod dirty;
pub mod files;
mod generation;
pub mod held;
pub mod history;
pub mod journal;
pub mod lease;
pub mod ledger;
pub mod mirror;
mod origin;
pub mod roster;
pub mod runs;
pub mod set_aside;
pub mod take_over;
pub mod undone;

/// The state file, open. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    path: Arc<Path>,
    /// Which file it is on its disk: device and number.
    file: Option<(u64, u64)>,
    /// What each write must still have: a run's right to run.
    lease: Option<lease::Lease>,
}

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error(
        "cannot open the state file {path}: {source}. Check that its folder exists and that this user may write there (state.path)"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// It cannot be made, or not be made private.
    #[error(
        "{path} cannot be made a file that only this user may read: {source}. It names everybody in the channels (state.path)"
    )]
    Access {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It was written by a newer program.
    #[error(
        "the state file {path} was written by a newer version of Rollbook. Use that version, or begin anew with another state.path"
    )]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// It could not be brought up to date.
    #[error("cannot bring the state file {path} up to date: {source}")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rusqlite_migration::Error,
    },
    /// Another program is writing to it.
    #[error("the state file is locked by another program. Wait for it, or end it")]
    Busy,
    /// It, or its folder, must not be written.
    #[error(
        "the state file cannot be written ({0}). Check that this user may write to it and to its folder, and that the disk is not read-only (state.path)"
    )]
    ReadOnly(#[source] rusqlite::Error),
    /// There is no room for it.
    #[error(
        "the disk of the state file is full ({0}). Make room there: the next run goes on where this one stopped (state.path)"
    )]
    Full(#[source] rusqlite::Error),
    /// The disk does not do what it is told.
    #[error(
        "the state file cannot be read or written ({0}). Is its disk full, over a quota, or failing? Once that is mended, the next run goes on where this one stopped (state.path)"
    )]
    Disk(#[source] rusqlite::Error),
    /// It is not what was written.
    #[error(
        "the state file is damaged ({what}). Stop Rollbook, and put the last backup in the place of the file, without those beside it (-wal, -shm); or begin anew with `rollbook state rebuild`, which takes over what it can read: memberships stay, and the first plan waits for you unless safety.first_run says otherwise (state.path)"
    )]
    Corrupt {
        /// What SQLite says.
        what: String,
    },
    /// SQLite refused something else.
    #[error("the state file cannot be used: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// A value in the file is not what this program writes.
    #[error("the state file holds a value that this version does not understand ({what})")]
    Damaged {
        /// Which.
        what: String,
    },
    /// Another run took the lease over while this one was asleep.
    #[error("another run has taken over: this one has lost its lease and writes nothing more")]
    LeaseLost,
    /// Another file has its name now.
    #[error(
        "the state file {path} was removed or replaced while it was in use, by `rollbook state rebuild` or by hand. Start the service again"
    )]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The thread that worked on it panicked.
    #[error("the work on the state file was broken off")]
    BrokenOff,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(error),
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                what: error.to_string(),
            },
            _ => Self::Sqlite(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged {
            what: error.to_string(),
        }
    }
}

/// How long a write waits for another program's.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The size of a page of a new file: half as many pages to look after as with SQLite's default.
const PAGE_BYTES: i64 = 8192;

/// Memory for pages, in KiB, as SQLite wants it: negative. A million memberships fit.
const CACHE_KIB: i64 = -131_072;

/// Makes a file that only its owner may read, whatever the umask; never through a link, or over another file.
fn private_file(path: &Path) -> io::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Makes the state file where there is none, and closes one to others that is open to them. What SQLite keeps beside
/// it has the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match private_file(path) {
                // Another process was faster; or there is no folder, which is said when it is opened.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                made => made,
            };
        }
        Err(error) => return Err(error),
    };
    if found.is_symlink() {
        return Err(io::Error::other(
            "it is a symbolic link; name the file itself",
        ));
    }
    let (mode, private) = (found.mode() & 0o777, found.mode() & 0o700);
    if mode == private {
        return Ok(());
    }
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(private)) {
        // It is somebody else's, who lets this user in.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

fn migrations() -> Migrations<'static> {
    let steps = [
        include_str!("../migrations/0001_initial.sql"),
        include_str!("../migrations/0002_history.sql"),
        include_str!("../migrations/0003_files.sql"),
        include_str!("../migrations/0004_evidence.sql"),
        include_str!("../migrations/0005_lease.sql"),
        include_str!("../migrations/0006_approval.sql"),
        include_str!("../migrations/0007_decisions.sql"),
    ];
    let step = |sql| {
        M::up_with_hook(sql, |_: &rusqlite::Transaction<'_>| {
            killpoint::here("migrating");
            Ok(())
        })
    };
    Migrations::new(steps.into_iter().map(step).collect())
}

impl Store {
    /// Opens the state file, makes it when it is not there, and brings it up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = |source| match StoreError::from(source) {
            StoreError::Sqlite(source) => StoreError::Open {
                path: path.to_owned(),
                source,
            },
            known => known,
        };
        make_private(path).map_err(|source| StoreError::Access {
            path: path.to_owned(),
            source,
        })?;
        let mut connection = Connection::open(path).map_err(opened)?;
        connection
            .busy_timeout(BUSY_TIMEOUT)
            .and_then(|()| connection.pragma_update(None, "page_size", PAGE_BYTES))
            .and_then(|()| connection.pragma_update(None, "journal_mode", "wal"))
            .and_then(|()| connection.pragma_update(None, "synchronous", "normal"))
            .and_then(|()| connection.pragma_update(None, "cache_size", CACHE_KIB))
            .map_err(opened)?;
        rusqlite::vtab::array::load_module(&connection).map_err(opened)?;
        connection.set_prepared_statement_cache_capacity(64);
        migrations()
            .to_latest(&mut connection)
            .map_err(|source| match source {
                rusqlite_migration::Error::MigrationDefinition(
                    rusqlite_migration::MigrationDefinitionError::DatabaseTooFarAhead,
                ) => StoreError::Newer {
                    path: path.to_owned(),
                },
                rusqlite_migration::Error::RusqliteError { query, err } => {
                    match StoreError::from(err) {
                        StoreError::Sqlite(err) => StoreError::Migrate {
                            path: path.to_owned(),
                            source: rusqlite_migration::Error::RusqliteError { query, err },
                        },
                        known => known,
                    }
                }
                source => StoreError::Migrate {
                    path: path.to_owned(),
                    source,
                },
            })?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            path: path.into(),
            file: file_at(path),
            lease: None,
        })
    }

    /// Makes sure that the open file still is the one that is there by its name: what would be written to another one
    /// nobody would ever see.
    fn is_in_place(&self) -> Result<(), StoreError> {
        if file_at(&self.path) == self.file {
            Ok(())
        } else {
            Err(StoreError::Replaced {
                path: self.path.to_path_buf(),
            })
        }
    }

    /// Writes a copy of the whole file, consistent although somebody may be writing to it.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let accessed = |source| StoreError::Access {
            path: to.to_owned(),
            source,
        };
        // SQLite writes into an empty file that is there.
        private_file(to).map_err(accessed)?;
        let to = to.to_string_lossy();
        self.lock().execute("VACUUM INTO ?1", [&*to])?;
        Ok(())
    }

    /// Writes everything into the file itself, so that what SQLite keeps beside it is not needed.
    pub fn flush(&self) -> Result<(), StoreError> {
        let connection = self.lock();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Looks through the whole file; answers what is wrong with it, nothing if it is sound.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut found = Vec::new();
        for row in rows {
            let row = row?;
            if row != "ok" {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// The same state file for one run: what it writes is refused once the lease is lost.
    #[must_use]
    pub fn under(&self, lease: lease::Lease) -> Self {
        Self {
            lease: Some(lease),
            ..self.clone()
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does work on a thread that may block, so that the network goes on meanwhile.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .map_err(|_| StoreError::BrokenOff)?
    }

    /// The connection. A thread that panicked left no half transaction: SQLite rolled it back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a write. It takes its place in the queue of writers at once, because one that only reads
    /// at first is refused when somebody else has written since; and it makes sure that the run it is
    /// for has not been taken over.
    fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c>, StoreError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(lease) = self.lease {
            lease::check(&transaction, lease)?;
        }
        Ok(transaction)
    }

    /// Writes what must be known also after a power failure: what is about to be sent.
    fn durably<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        connection.pragma_update(None, "synchronous", "full")?;
        let written = self.begin(&mut connection).and_then(|transaction| {
            let written = work(&transaction)?;
            transaction.commit()?;
            Ok(written)
        });
        connection.pragma_update(None, "synchronous", "normal")?;
        written
    }

    /// Makes sure that every page of the file can be read as what it is: to be asked before anything is
    /// done on its word.
    pub fn check_pages(&self) -> Result<(), StoreError> {
        let what: String = self
            .lock()
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if what == "ok" {
            Ok(())
        } else {
            Err(StoreError::Corrupt { what })
        }
    }

    /// Reads a setting.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self
            .lock()
            .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?)
    }

    /// Forgets a setting.
    pub fn drop_setting(&self, name: &str) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction.execute("DELETE FROM setting WHERE name = ?1", [name])?;
        Ok(transaction.commit()?)
    }

    /// Writes a setting.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)")?
            .execute([name, value])?;
        Ok(transaction.commit()?)
    }
}

/// A channel and a person, as a row begins.
fn pair(row: &Row<'_>) -> rusqlite::Result<(CategoryId, UserId)> {
    let user: String = row.get(1)?;
    Ok((CategoryId(row.get(0)?), UserId::new(user)))
}

/// Reads a word that an enum's serde form stands for.
fn from_word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, StoreError> {
    Ok(serde_json::from_value(serde_json::Value::String(
        word.to_owned(),
    ))?)
}

#[cfg(test)]
mod tests;
