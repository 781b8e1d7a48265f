//! Whether the state file is still the file it was.
//!
//! *Its one idea: a copy does not know what happened since.* The original may be in use on another
//! machine, and a backup has forgotten what people undid and rejected after it was made. A file
//! remembers its own number on its disk and the time at which it was made; where these are others, it
//! was copied or restored. A backup that is poured into the file that is there is behind what stands beside it
//! ([`generation`](super::generation)).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::UNIX_EPOCH;

use rusqlite::{OptionalExtension, params};

use super::generation::{self, Beside};
use super::{Store, StoreError};

/// The setting that says which file this is.
const FILE: &str = "file";
/// The setting that says that it was another one, and that nobody has agreed to that yet.
const COPIED: &str = "file_copied";

/// A file, as its disk knows it: a number, and when it was made, where the disk tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    number: u64,
    made: Option<u128>,
}

impl Identity {
    pub(super) fn of(file: &Metadata) -> Self {
        let made = file.created().ok();
        let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Self {
            number: file.ino(),
            made: made.map(|made| made.as_nanos()),
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let (number, made) = text.split_once(' ')?;
        Some(Self {
            number: number.parse().ok()?,
            made: made.parse().ok(),
        })
    }

    pub(super) fn text(self) -> String {
        let made = self.made.map(|made| made.to_string());
        format!("{} {}", self.number, made.as_deref().unwrap_or("unknown"))
    }

    /// A time that only one of the two tells says nothing.
    pub(super) fn is_same(self, other: Self) -> bool {
        let same_time = self
            .made
            .zip(other.made)
            .is_none_or(|(one, other)| one == other);
        self.number == other.number && same_time
    }
}

impl Store {
    /// Looks whether this is still the file that it was. A copy forgets these settings, once, and is
    /// one until [`Store::accept_copy`].
    pub fn note_origin(&self, forget: &[&str]) -> Result<(), StoreError> {
        let Ok(file) = std::fs::metadata(&self.path) else {
            return Ok(());
        };
        let is = Identity::of(&file);
        let beside = self.beside();
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let was: Option<String> = transaction
            .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
            .query_row([FILE], |row| row.get(0))
            .optional()?;
        let was = was.as_deref().and_then(Identity::read);
        let is_behind = beside.is_ahead_of(generation::number(&transaction)?);
        let least = match beside {
            Beside::Number(number) => number,
            Beside::Nothing | Beside::Foreign => 0,
        };
        let number = generation::count(&transaction, least)?;
        if was.is_some_and(|was| was.is_same(is)) && !is_behind {
            transaction.commit()?;
            self.write_beside(number);
            return Ok(());
        }
        let mut write =
            transaction.prepare_cached("INSERT OR REPLACE INTO setting VALUES (?1, ?2)")?;
        write.execute(params![FILE, is.text()])?;
        if was.is_some() {
            tracing::warn!(
                "the state file is a copy, or was restored: everything is compared anew"
            );
            write.execute(params![COPIED, "yes"])?;
            // An approval is for the file in which it was given.
            transaction.execute(
                "UPDATE held_category
                 SET answer = NULL, answered_by = NULL, answered_at = NULL, expires_at = NULL
                 WHERE answer = 'approved'",
                [],
            )?;
            for name in forget {
                transaction.execute("DELETE FROM setting WHERE name = ?1", [name])?;
            }
        }
        drop(write);
        transaction.commit()?;
        self.write_beside(number);
        Ok(())
    }

    /// Whether this is a copy that nobody has agreed to yet.
    pub fn is_copy(&self) -> Result<bool, StoreError> {
        Ok(self.setting(COPIED)?.as_deref() == Some("yes"))
    }

    /// From here on the copy is a state file like any other.
    pub fn accept_copy(&self) -> Result<(), StoreError> {
        if self.is_copy()? {
            self.set_setting(COPIED, "no")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_learns_to_tell_the_time_makes_no_copy() {
        let before = Identity::read("12 unknown").unwrap();
        let after = Identity {
            number: 12,
            made: Some(7),
        };
        assert!(before.is_same(after));
        assert!(!after.is_same(Identity {
            number: 12,
            made: Some(8)
        }));
        assert!(!before.is_same(Identity {
            number: 13,
            made: None
        }));
        assert_eq!(Identity::read(&after.text()), Some(after));
    }
}
