//! CSV files on their way to Kaltura, with the actions in them.
//!
//! *Its one idea: a file is known before it is sent, under the name that Kaltura will know it by.* So a
//! run that is cut off between sending and hearing the job's number finds the job again, and nothing is
//! sent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::params;

use super::journal::{self, DOUBT, Doubt, Open};
use super::lease::{self, Lease};
use super::{Store, StoreError};
use crate::category::{CategoryId, UserId};
use crate::kaltura::csv::Row;
use crate::plan::show::many;

/// Where a file is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// This program submits it.
    Submitted {
        /// Kaltura's number of the job, once it is known.
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

/// What waits in a folder, as a person should know it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Handed {
    /// The folder.
    pub folder: PathBuf,
    /// The run that wrote it.
    pub run: i64,
    /// Since when.
    pub since: Timestamp,
    /// Files in it that wait.
    pub files: u32,
    /// Actions in them.
    pub actions: u32,
}

impl fmt::Display for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (folder, run) = (self.folder.display(), self.run);
        write!(
            f,
            "{} of run {run} in {}, in {folder} since {}. Once they are uploaded: rollbook settle {folder}",
            many(self.actions, "change"),
            many(self.files, "file"),
            self.since,
        )
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

    /// Writes that the files of a run, which were being written, lie in their folder now.
    pub fn hand_over(&self, run: i64) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction
            .prepare_cached(
                "UPDATE file SET state = 'handed' WHERE run = ?1 AND state = 'writing'",
            )?
            .execute([run])?;
        Ok(transaction.commit()?)
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

    /// Whom files that a person is to upload are about: they are planned again once that is settled.
    pub fn handed_over(&self) -> Result<BTreeMap<CategoryId, BTreeSet<UserId>>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT category_id, user_id FROM journal JOIN file ON file = file.id
             WHERE file.state <> 'submitted'",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((
                CategoryId(row.get(0)?),
                UserId::new(row.get::<_, String>(1)?),
            ))
        })?;
        let mut found: BTreeMap<CategoryId, BTreeSet<UserId>> = BTreeMap::new();
        for row in rows {
            let (category, user) = row?;
            found.entry(category).or_default().insert(user);
        }
        Ok(found)
    }

    /// How many would lose something by files that a person is to upload, by category; what somebody has
    /// approved does not count.
    pub fn losses_handed_over(&self) -> Result<BTreeMap<CategoryId, u64>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {DOUBT} FROM journal WHERE approved_by IS NULL
             AND file IN (SELECT id FROM file WHERE state = 'handed')"
        ))?;
        let mut rows = statement.query([])?;
        let mut found: BTreeMap<CategoryId, u64> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let doubt = journal::doubt(row)?;
            if doubt.action.is_loss() {
                *found.entry(doubt.category).or_default() += 1;
            }
        }
        Ok(found)
    }

    /// What waits in folders, oldest first.
    pub fn waiting_files(&self) -> Result<Vec<Handed>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT folder, file.run, min(made_at), count(DISTINCT file.id), count(*)
             FROM file JOIN journal ON file = file.id
             WHERE file.state = 'handed' GROUP BY folder, file.run ORDER BY file.run",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Handed {
                folder: PathBuf::from(row.get::<_, String>(0)?),
                run: row.get(1)?,
                since: Timestamp::from_second(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
                files: row.get(3)?,
                actions: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
