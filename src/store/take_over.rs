//! What a state file that is made anew takes over from the one before it.
//!
//! *Its one idea: a person's no outlives the file.* What was undone or rejected is read row by row, as far
//! as the old file can be read. Everything else is found out again from the directory and from Kaltura.
//! The ledger is not taken over: with fewer lines in it fewer memberships are ours to take away, so that
//! what is forgotten can do no harm, and a line of a damaged file can.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row};

use super::held::{Answer, Hold};
use super::{Store, StoreError, undone};
use crate::category::{CategoryId, UserId};
use crate::plan::{CategoryPlan, Plan};

/// What was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenOver {
    /// Memberships of which a person has said no to something.
    pub memberships: usize,
    /// Whether all that the old file held of this could be read.
    pub is_all: bool,
}

impl Store {
    /// Takes over from an old file what a person has said no to: undone or rejected. The old file is only
    /// read.
    pub fn take_over(&self, old: &Path, now: Timestamp) -> Result<TakenOver, StoreError> {
        let Ok(old) = Connection::open_with_flags(old, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
            return Ok(TakenOver::default());
        };
        let undone = Rows::read(&old, UNDONE, undone_row);
        let rejected = Rows::read(&old, REJECTED, rejected_row);
        let mut memberships = undone.found;
        let mut plans: BTreeMap<String, Vec<CategoryPlan>> = BTreeMap::new();
        for (category, (by, part)) in rejected.found {
            let people = part.changes().map(|action| action.user.clone());
            memberships.extend(people.map(|user| ((category, user), None)));
            plans.entry(by).or_default().push(part);
        }
        for (by, parts) in plans {
            let cause = Hold {
                run: 0,
                command: "sync",
                configuration: None,
                reason: "it was rejected before the state file was rebuilt",
            };
            let digest = self.hold(&Plan::new(parts), &cause, now)?;
            self.answer(&digest.0, &[], Answer::Rejected, &by, now)?;
        }
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for (pair, run) in &memberships {
            undone::write(&transaction, *run, std::slice::from_ref(pair))?;
        }
        // What was counted here is nothing beside what the old file has counted.
        transaction.execute("DELETE FROM setting WHERE name = 'generation'", [])?;
        transaction.commit()?;
        Ok(TakenOver {
            memberships: memberships.len(),
            is_all: undone.is_all && rejected.is_all,
        })
    }
}

const UNDONE: [&str; 2] = [
    "SELECT category_id, user_id, run FROM undone ORDER BY category_id, user_key",
    "SELECT category_id, user_id, run FROM undone ORDER BY category_id DESC, user_key DESC",
];

type Undone = ((CategoryId, UserId), Option<i64>);

fn undone_row(row: &Row<'_>) -> Option<Undone> {
    let user: String = row.get(1).ok()?;
    let category = CategoryId(row.get(0).ok()?);
    Some(((category, UserId::new(user)), row.get(2).ok()?))
}

const REJECTED: [&str; 2] = [
    "SELECT part, answered_by FROM held_category JOIN held ON plan = held.digest
     WHERE answer = 'rejected' AND command = 'sync' ORDER BY plan, category_id",
    "SELECT part, answered_by FROM held_category JOIN held ON plan = held.digest
     WHERE answer = 'rejected' AND command = 'sync' ORDER BY plan DESC, category_id DESC",
];

type Rejected = (CategoryId, (String, CategoryPlan));

fn rejected_row(row: &Row<'_>) -> Option<Rejected> {
    let part: String = row.get(0).ok()?;
    let part: CategoryPlan = serde_json::from_str(&part).ok()?;
    Some((part.category.id, (row.get(1).ok()?, part)))
}

/// The rows that can be read.
struct Rows<K, V> {
    found: BTreeMap<K, V>,
    is_all: bool,
}

impl<K: Ord, V> Rows<K, V> {
    /// Reads until a page cannot be read, and then from the other end.
    fn read(old: &Connection, ways: [&str; 2], read: fn(&Row<'_>) -> Option<(K, V)>) -> Self {
        let mut rows = Self {
            found: BTreeMap::new(),
            is_all: false,
        };
        for sql in ways {
            rows.is_all = rows.add(old, sql, read).is_ok_and(|is_all| is_all);
            if rows.is_all {
                break;
            }
        }
        rows
    }

    /// Adds the rows of a query; answers whether each was understood.
    fn add(
        &mut self,
        old: &Connection,
        sql: &str,
        read: fn(&Row<'_>) -> Option<(K, V)>,
    ) -> rusqlite::Result<bool> {
        let mut statement = old.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut is_all = true;
        while let Some(row) = rows.next()? {
            let row = read(row);
            is_all &= row.is_some();
            self.found.extend(row);
        }
        Ok(is_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::scratch;

    fn pairs(people: usize) -> Vec<(CategoryId, UserId)> {
        let user = |number| UserId::new(format!("person{number:05}"));
        (0..people)
            .map(|number| (CategoryId(1), user(number)))
            .collect()
    }

    fn taken_over(old: &Path) -> (TakenOver, Store, tempfile::TempDir) {
        let (folder, new) = scratch();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        (new.take_over(old, now).unwrap(), new, folder)
    }

    #[test]
    fn what_was_undone_is_known_to_the_new_file() {
        let (_folder, old) = scratch();
        old.note_undone(7, &pairs(3)).unwrap();
        let (taken, new, _folder) = taken_over(old.path());
        let (memberships, is_all) = (3, true);
        assert_eq!(
            taken,
            TakenOver {
                memberships,
                is_all
            }
        );
        assert_eq!(new.undone().unwrap(), old.undone().unwrap());
    }

    #[test]
    fn of_a_damaged_file_what_can_be_read_is_taken_over() {
        let (folder, old) = scratch();
        old.note_undone(7, &pairs(5000)).unwrap();
        let path = folder.path().join("copy.db");
        old.backup(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.windows(11).position(|name| name == b"person02500");
        let page = middle.unwrap() / 8192 * 8192;
        bytes[page..page + 8192].fill(0xA5);
        std::fs::write(&path, &bytes).unwrap();
        let (taken, new, _folder) = taken_over(&path);
        assert!(!taken.is_all);
        assert!((4000..5000).contains(&taken.memberships), "{taken:?}");
        let known = new.undone().unwrap();
        for at_the_ends in [&pairs(5000)[0], &pairs(5000)[4999]] {
            assert!(known.contains(at_the_ends), "{at_the_ends:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_gives_nothing() {
        let (folder, _store) = scratch();
        let path = folder.path().join("none.db");
        std::fs::write(&path, "this was a state file".repeat(500)).unwrap();
        assert_eq!(taken_over(&path).0, TakenOver::default());
    }
}
