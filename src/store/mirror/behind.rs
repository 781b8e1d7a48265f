//! Entries that are older than when they were last read: the server lags behind another, was restored
//! from a backup, or had its clock set back. Nothing of such a read is merged.
//!
//! Which entries were older is remembered until a complete read finds none. If one of them has been
//! changed meanwhile, and none has come to exactly the state that was read before, then the change in
//! between may be lost: the server did not catch up, it went back.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{Absorption, StoreError};
use crate::directory::{StableId, Version};
use crate::store::Store;

/// So many entries are remembered.
const MOST: usize = 1000;

/// What is known of a server that was behind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Behind {
    /// The entries that were older.
    entries: BTreeSet<String>,
    /// When that was first seen, in Unix seconds.
    since: i64,
    /// Whether one of them has come to the state that was read before.
    #[serde(skip)]
    caught_up: bool,
    /// The entries that are older in this read.
    #[serde(skip)]
    now: BTreeSet<String>,
}

impl Behind {
    pub(super) fn read(text: Option<&str>) -> Result<Self, StoreError> {
        Ok(text
            .map(serde_json::from_str)
            .transpose()?
            .unwrap_or_default())
    }
}

impl Absorption<'_> {
    /// Whether an entry is older than when it was last read. Then what is known of it stays.
    pub(super) fn is_older(
        &mut self,
        id: &StableId,
        version: Option<&Version>,
    ) -> Result<bool, StoreError> {
        // Of an empty mirror there is nothing that it could be older than.
        if self.bulk {
            return Ok(false);
        }
        let (Some(version), Some(known)) = (version, self.entry_of(id)?) else {
            return Ok(false);
        };
        // A second copy in one read is judged by its content.
        if self.seen.contains(&known.id) {
            return Ok(false);
        }
        let Some(before) = &known.version else {
            return Ok(false);
        };
        let before = Version(before.clone());
        if version.is_older_than(&before) {
            self.absorbed.older += 1;
            self.seen.insert(known.id);
            if self.behind.now.len() < MOST {
                self.behind.now.insert(id.as_str().to_owned());
            }
            return Ok(true);
        }
        if self.behind.entries.contains(id.as_str()) {
            if *version == before {
                self.behind.caught_up = true;
            } else {
                self.absorbed.rewritten += 1;
            }
        }
        Ok(false)
    }

    /// Notes that a group has lost nobody: whatever was changed meanwhile, nothing of it is lost.
    pub(super) fn lost_nobody(&mut self, id: &StableId) {
        if self.behind.entries.contains(id.as_str()) {
            self.absorbed.rewritten = self.absorbed.rewritten.saturating_sub(1);
        }
    }

    /// Notes that an entry is as it was when last read.
    pub(super) fn is_as_before(&mut self, id: &StableId) {
        if !self.behind.entries.is_empty() && self.behind.entries.contains(id.as_str()) {
            self.behind.caught_up = true;
        }
    }

    /// Whether entries that were older have been changed, and none has caught up.
    pub(super) fn is_rewritten(&self) -> bool {
        self.absorbed.rewritten > 0 && !self.behind.caught_up
    }

    /// The entries that were older, those of this read included.
    pub(super) fn into_older(self) -> BTreeSet<String> {
        let mut older = self.behind.entries;
        older.extend(self.behind.now);
        older
    }
}

impl Store {
    /// Whether it is remembered which entries of a directory were older than when they were last read.
    pub fn is_behind(&self, directory: &str) -> Result<bool, StoreError> {
        let is_behind = self.of_directory(directory, "behind IS NOT NULL")?;
        Ok(is_behind.unwrap_or(false))
    }

    /// Sets aside which entries were older, while another server is read; what is given comes back instead.
    pub fn swap_behind(
        &self,
        directory: &str,
        behind: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let before = self.of_directory(directory, "behind")?;
        self.lock().execute(
            "UPDATE directory SET behind = ?2 WHERE name = ?1",
            params![directory, behind],
        )?;
        Ok(before)
    }

    /// Remembers which entries of a directory are older than when they were last read. The next read of a
    /// server that has caught up is a full one.
    pub(super) fn note_behind(
        &self,
        connection: &mut Connection,
        directory: &str,
        entries: BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let before: Option<String> = connection.query_row(
            "SELECT behind FROM directory WHERE name = ?1",
            [directory],
            |row| row.get(0),
        )?;
        let since = match before {
            Some(_) => Behind::read(before.as_deref())?.since,
            None => now.as_second(),
        };
        let behind = Behind {
            entries: entries.into_iter().take(MOST).collect(),
            since,
            ..Behind::default()
        };
        let transaction = self.begin(connection)?;
        transaction.execute(
            "UPDATE directory SET behind = ?2, checkpoint = NULL WHERE name = ?1",
            params![directory, serde_json::to_string(&behind)?],
        )?;
        Ok(transaction.commit()?)
    }
}
