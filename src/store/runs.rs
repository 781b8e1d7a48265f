//! What happened: one row for each run.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::{Store, StoreError, lease, mirror};
use crate::directory::{Evidence, Reason};

/// A run, as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` when it was cut off, or is still going.
    pub ended_at: Option<Timestamp>,
    /// What was asked for.
    pub command: String,
    /// How it ended.
    pub outcome: Option<String>,
    /// Its report.
    pub report: Option<serde_json::Value>,
}

/// A group, a user ID where one is known, and a reason.
pub type Departed = (String, Option<String>, Reason);

/// What is known of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectoryState {
    /// Its name in the configuration.
    pub name: String,
    /// People in the mirror.
    pub people: u64,
    /// Groups in the mirror.
    pub groups: u64,
    /// When anything of it was last read.
    pub read_at: Option<Timestamp>,
    /// When it was last read in full, proven complete.
    pub full_read_at: Option<Timestamp>,
    /// Entries that cannot be used: their name, and why not.
    pub problems: Vec<(String, String)>,
    /// Group IDs that are not there any more.
    pub vanished: Vec<String>,
    /// Groups that list former names of people or groups, and how many.
    pub stale: Vec<(String, u64)>,
    /// Groups of which not all members are known, and why.
    pub unproven: Vec<(String, Evidence)>,
    /// Departures that are not proven: the group, the user ID (or nothing, for a group), and why.
    pub departures: Vec<Departed>,
    /// People whose entries are gone or hidden while a group lists them: the user ID, the group, since when.
    pub gone: Vec<(String, String, Timestamp)>,
    /// Since when the server is behind what was already read.
    pub behind_since: Option<Timestamp>,
}

impl Store {
    /// Notes that a run begins; answers its number.
    pub fn begin_run(
        &self,
        command: &str,
        account: &str,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let connection = self.lock();
        connection.execute(
            "INSERT INTO run (started_at, command, account) VALUES (?1, ?2, ?3)",
            params![now.as_second(), command, account],
        )?;
        Ok(connection.last_insert_rowid())
    }

    /// In which account a run was made; `None` where that was not noted yet.
    pub fn account_of(&self, run: i64) -> Result<Option<String>, StoreError> {
        let account = self
            .lock()
            .prepare_cached("SELECT account FROM run WHERE id = ?1")?
            .query_row([run], |row| row.get(0))
            .optional()?;
        Ok(account.flatten())
    }

    /// Notes how a run ended.
    pub fn end_run(
        &self,
        run: i64,
        outcome: &str,
        report: &impl Serialize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "UPDATE run SET ended_at = ?2, outcome = ?3, report = ?4 WHERE id = ?1",
            params![
                run,
                now.as_second(),
                outcome,
                serde_json::to_string(report)?
            ],
        )?;
        // A backup that was made while the run went on does not know how it ended. Who has lost the lease adds nothing.
        let number = match self.lease {
            Some(lease) if lease::check(&transaction, lease).is_err() => None,
            _ => self.count_on(&transaction)?,
        };
        transaction.commit()?;
        if let Some(number) = number {
            self.write_beside(number);
        }
        Ok(())
    }

    /// The runs of other accounts that have left something open: the numbers of their channels mean others here.
    pub fn open_elsewhere(&self, account: &str) -> Result<BTreeSet<i64>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id FROM run WHERE account <> ?1
             AND id IN (SELECT run FROM journal UNION SELECT run FROM file)",
        )?;
        let rows = statement.query_map([account], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The last runs, newest first.
    pub fn runs(&self, most: u32) -> Result<Vec<Run>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, started_at, ended_at, command, outcome, report FROM run
             ORDER BY id DESC LIMIT ?1",
        )?;
        let mut rows = statement.query([most])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let report: Option<String> = row.get(5)?;
            found.push(Run {
                id: row.get(0)?,
                started_at: time(row.get(1)?),
                ended_at: row.get::<_, Option<i64>>(2)?.map(time),
                command: row.get(3)?,
                outcome: row.get(4)?,
                report: report.map(|text| serde_json::from_str(&text)).transpose()?,
            });
        }
        Ok(found)
    }

    /// What is known of a directory; `None` before its first read.
    pub fn directory_state(&self, name: &str) -> Result<Option<DirectoryState>, StoreError> {
        let connection = self.lock();
        let Some((id, read_at, full_read_at)) = connection
            .query_row(
                "SELECT id, read_at, full_read_at FROM directory WHERE name = ?1",
                [name],
                |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, Option<i64>>(1)?,
                        row.get::<_, Option<i64>>(2)?,
                    ))
                },
            )
            .optional()?
        else {
            return Ok(None);
        };
        let count = |kind: &str| -> rusqlite::Result<u64> {
            let sql = format!(
                "SELECT count(*) FROM {kind} JOIN entry USING (id) WHERE entry.directory = ?1"
            );
            let count: i64 = connection.query_row(&sql, [id], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        };
        let problems = connection
            .prepare_cached(
                "SELECT subject, text FROM problem WHERE directory = ?1 ORDER BY since, subject",
            )?
            .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let vanished = connection
            .prepare_cached(
                "SELECT group_id FROM vanished_group WHERE directory = ?1 ORDER BY group_id",
            )?
            .query_map([id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let stale = connection
            .prepare_cached(
                "SELECT grp.group_id, count(*) FROM stale_name JOIN grp ON grp.id = stale_name.group_id
                 JOIN entry ON entry.id = grp.id WHERE directory = ?1 GROUP BY grp.group_id",
            )?
            .query_map([id], |row| Ok((row.get(0)?, count_of(row.get(1)?))))?
            .collect::<Result<_, _>>()?;
        let unproven = connection
            .prepare_cached(
                "SELECT group_id, evidence FROM grp JOIN entry USING (id)
                 WHERE evidence IS NOT NULL AND directory = ?1 ORDER BY group_id",
            )?
            .query_map([id], |row| {
                Ok((row.get(0)?, mirror::group_evidence(row, 1)?))
            })?
            .collect::<Result<_, _>>()?;
        let departures = open_departures(&connection, id)?;
        let gone = connection
            .prepare_cached(
                "SELECT coalesce(nullif(user_id, ''), entry.name), grp.group_id, gone_at
                 FROM former_person JOIN entry USING (id)
                 JOIN (SELECT group_id AS of_group, member_id FROM membership
                     UNION SELECT group_id, member_id FROM departure WHERE own)
                     ON member_id = former_person.id
                 JOIN grp ON grp.id = of_group
                 WHERE how = 'gone' AND directory = ?1 ORDER BY 1, 2",
            )?
            .query_map([id], |row| {
                Ok((row.get(0)?, row.get(1)?, time(row.get(2)?)))
            })?
            .collect::<Result<_, _>>()?;
        let behind_since: Option<i64> = connection.query_row(
            "SELECT json_extract(behind, '$.since') FROM directory WHERE id = ?1",
            [id],
            |row| row.get(0),
        )?;
        Ok(Some(DirectoryState {
            stale,
            unproven,
            departures,
            gone,
            behind_since: behind_since.map(time),
            name: name.to_owned(),
            people: count("person")?,
            groups: count("grp")?,
            read_at: read_at.map(time),
            full_read_at: full_read_at.map(time),
            problems,
            vanished,
        }))
    }
}

/// Who is not listed in which group any more, and why that is not proven.
fn open_departures(connection: &Connection, directory: i64) -> Result<Vec<Departed>, StoreError> {
    let found: Vec<(String, Option<String>, String)> = connection
        .prepare_cached(
            "SELECT grp.group_id, coalesce(person.user_id, former_person.user_id, theirs.name), reason
             FROM departure JOIN grp ON grp.id = departure.group_id
             JOIN entry ON entry.id = grp.id
             JOIN entry AS theirs ON theirs.id = member_id
             LEFT JOIN person ON person.id = member_id
             LEFT JOIN former_person ON former_person.id = member_id
             WHERE entry.directory = ?1 AND NOT (own AND coalesce(how, '') = 'gone')
             ORDER BY 1, 2",
        )?
        .query_map([directory], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let found = found.into_iter();
    found
        .map(|(group, user, reason)| Ok((group, user, super::from_word(&reason)?)))
        .collect()
}

fn count_of(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}
