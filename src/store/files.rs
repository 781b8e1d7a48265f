//! CSV files on their way to Kaltura, with the actions in them.
//!
//! *Its one idea: a file is known before it is sent, under the name that Kaltura will know it by.* So a
//! run that is cut off between sending and hearing the job's number finds the job again, and nothing is
//! sent twice.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::params;

use super::journal::{self, DOUBT, Doubt, Open};
use super::lease::{self, Lease};
use super::{Store, StoreError};
use crate::category::CategoryId;
use crate::kaltura::csv::Row;
use crate::plan::Action;
use crate::plan::show::many;

/// Where a file is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// This program submits it.
    Submitted {
        /// Kaltura's number of the job, once it is known.
        job: Option<i64>,
    },
    /// This program submitted it, and nobody knows what became of it.
    Left {
        /// Kaltura's number of the job, if it is known.
        job: Option<i64>,
    },
    /// It is being written into a folder. A run that is cut off here has handed nothing over.
    Writing {
        /// The folder.
        folder: PathBuf,
    },
    /// It lies in a folder, for a person to upload.
    Handed {
        /// The folder.
        folder: PathBuf,
    },
}

/// A file on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its number here.
    pub id: i64,
    /// The run that made it.
    pub run: i64,
    /// Its name, which no other file of this account has.
    pub name: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Where it is.
    pub way: Way,
}

/// An action in a file.
#[derive(Debug, Clone)]
pub struct Item {
    /// The action, open in the journal.
    pub doubt: Doubt,
    /// What stands in the file for it.
    pub rows: Vec<Row>,
}

/// A change that may yet happen.
#[derive(Debug, Clone)]
pub struct Pending {
    /// What.
    pub action: Action,
    /// Whether a person has approved it.
    pub is_approved: bool,
}

/// Changes that wait in files, as a person should know it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// The folder in which they wait to be uploaded; none: they were submitted.
    pub folder: Option<PathBuf>,
    /// The run that made them.
    pub run: i64,
    /// Since when.
    pub since: Timestamp,
    /// Files that wait.
    pub files: u32,
    /// Actions in them.
    pub actions: u32,
    /// Kaltura's number of the job, or of the first of several, where it is known.
    pub job: Option<i64>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of run {} in {}",
            many(self.actions, "change"),
            self.run,
            many(self.files, "file"),
        )?;
        match (&self.folder, self.job) {
            (Some(folder), _) => {
                let folder = folder.display();
                write!(
                    f,
                    ", to be uploaded from {folder} since {}. Then: rollbook settle {folder}",
                    self.since
                )
            }
            (None, Some(job)) => write!(
                f,
                ", handed in at {}; Kaltura has not ended the job {job}. Each run looks again",
                self.since
            ),
            (None, None) => write!(
                f,
                ", sent at {}; whether Kaltura has them is not known. Each run looks again",
                self.since
            ),
        }
    }
}

impl Store {
    /// Writes that these actions go into a file of this name; answers the file's number and the
    /// journal's, in order. Refused when the lease is lost.
    pub fn open_file(
        &self,
        run: i64,
        lease: Lease,
        name: &str,
        folder: Option<&Path>,
        actions: &[(Open, Vec<Row>)],
        now: Timestamp,
    ) -> Result<(i64, Vec<i64>), StoreError> {
        let state = folder.map_or("submitted", |_| "writing");
        self.durably(|transaction| {
            lease::check(transaction, lease)?;
            transaction
                .prepare_cached(
                    "INSERT INTO file (run, name, made_at, state, folder)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    run,
                    name,
                    now.as_second(),
                    state,
                    folder.map(Path::to_string_lossy),
                ])?;
            let file = transaction.last_insert_rowid();
            let mut opened = Vec::with_capacity(actions.len());
            for (open, rows) in actions {
                let row = journal::insert(transaction, run, open, now)?;
                transaction
                    .prepare_cached("UPDATE journal SET file = ?2, rows = ?3 WHERE id = ?1")?
                    .execute(params![row, file, serde_json::to_string(rows)?])?;
                opened.push(row);
            }
            Ok((file, opened))
        })
    }

    /// Writes which job a file became.
    pub fn note_job(&self, file: i64, job: i64) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction
            .prepare_cached("UPDATE file SET job = ?2 WHERE id = ?1")?
            .execute([file, job])?;
        Ok(transaction.commit()?)
    }

    /// Writes that nobody knows what became of a file: its actions wait until somebody does. One that is
    /// being written stays so.
    pub fn leave_file(&self, file: i64) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction
            .prepare_cached("UPDATE file SET state = 'left' WHERE id = ?1 AND state = 'submitted'")?
            .execute([file])?;
        Ok(transaction.commit()?)
    }

    /// Writes that the files of a run, which were being written, lie in their folder now.
    pub fn hand_over(&self, run: i64) -> Result<(), StoreError> {
        self.durably(|transaction| {
            transaction.execute(
                "UPDATE file SET state = 'handed' WHERE run = ?1 AND state = 'writing'",
                [run],
            )?;
            Ok(())
        })
    }

    /// The files on their way, oldest first.
    pub fn files(&self) -> Result<Vec<File>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, run, name, made_at, state, folder, job FROM file ORDER BY id",
        )?;
        let rows = statement.query_map([], |row| {
            let folder = row.get::<_, Option<String>>(5)?.unwrap_or_default();
            let folder = PathBuf::from(folder);
            let state: String = row.get(4)?;
            Ok(File {
                id: row.get(0)?,
                run: row.get(1)?,
                name: row.get(2)?,
                made_at: Timestamp::from_second(row.get(3)?).unwrap_or(Timestamp::UNIX_EPOCH),
                way: match state.as_str() {
                    "handed" => Way::Handed { folder },
                    "writing" => Way::Writing { folder },
                    "left" => Way::Left { job: row.get(6)? },
                    _ => Way::Submitted { job: row.get(6)? },
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The actions of a file that are still open, in the order in which they stand in it.
    pub fn items(&self, file: i64) -> Result<Vec<Item>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {DOUBT}, rows FROM journal WHERE file = ?1 ORDER BY id"
        ))?;
        let mut rows = statement.query([file])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Item {
                doubt: journal::doubt(row)?,
                rows: serde_json::from_str(&row.get::<_, String>("rows")?)?,
            });
        }
        Ok(found)
    }

    /// Forgets the files of which no action is open any more.
    pub fn drop_settled_files(&self) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction.execute(
            "DELETE FROM file WHERE NOT EXISTS (SELECT 1 FROM journal WHERE file = file.id)",
            [],
        )?;
        Ok(transaction.commit()?)
    }

    /// What may yet happen by files that wait to be uploaded, or of which nobody knows what became: it is
    /// planned again once that is settled.
    pub fn pending(&self) -> Result<BTreeMap<CategoryId, Vec<Pending>>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {DOUBT}, approved_by FROM journal
             WHERE file IN (SELECT id FROM file WHERE state <> 'submitted')"
        ))?;
        let mut rows = statement.query([])?;
        let mut found: BTreeMap<CategoryId, Vec<Pending>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let Doubt {
                category, action, ..
            } = journal::doubt(row)?;
            let approved_by: Option<String> = row.get("approved_by")?;
            found.entry(category).or_default().push(Pending {
                action,
                is_approved: approved_by.is_some(),
            });
        }
        Ok(found)
    }

    /// What waits, oldest first.
    pub fn waiting_files(&self) -> Result<Vec<Waiting>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT folder, file.run, min(made_at), count(DISTINCT file.id), count(*), min(job)
             FROM file JOIN journal ON journal.file = file.id
             WHERE file.state IN ('handed', 'left')
             GROUP BY folder, file.run ORDER BY file.run",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Waiting {
                folder: row.get::<_, Option<String>>(0)?.map(PathBuf::from),
                run: row.get(1)?,
                since: Timestamp::from_second(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
                files: row.get(3)?,
                actions: row.get(4)?,
                job: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
