//! Entries that came, went or were renamed without their server announcing it.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::params;

use super::StoreError;
use crate::category::UserId;
use crate::directory::{Dn, EntryKind, GroupId, StableId};
use crate::plan::desired::EntryId;
use crate::source::{Listed, Moved};
use crate::store::dirty::Mark;
use crate::store::{Store, dirty};

/// The setting with the time up to which vanished people have been marked.
const VANISHED_UNTIL: &str = "vanished_until";

impl Store {
    /// When the ids of a directory's entries were last listed; `None`: never.
    pub fn listed_at(&self, directory: &str) -> Result<Option<Timestamp>, StoreError> {
        let at = self.of_directory(directory, "listed_at")?;
        Ok(at.and_then(|at| Timestamp::from_second(at).ok()))
    }

    /// Notes that the ids of a directory's entries have been listed, and what was found has been read.
    pub fn note_listed(&self, directory: &str, now: Timestamp) -> Result<(), StoreError> {
        self.lock().execute(
            "UPDATE directory SET listed_at = ?2 WHERE name = ?1",
            params![directory, now.as_second()],
        )?;
        Ok(())
    }

    /// Marks the people, and the groups with names that no entry has, whose time under the policy for
    /// vanished people is over since then.
    pub fn mark_vanished(&self, until: Timestamp) -> Result<(), StoreError> {
        let marked = self.setting(VANISHED_UNTIL)?;
        let marked: i64 = marked.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let between = [marked, until.as_second()];
        let people: Vec<String> = transaction
            .prepare_cached(
                "SELECT user_id FROM former_person WHERE gone_at > ?1 AND gone_at <= ?2",
            )?
            .query_map(between, |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for user in people {
            dirty::mark(&transaction, &Mark::Person(UserId::new(user)))?;
        }
        let groups: Vec<String> = transaction
            .prepare_cached(
                "SELECT DISTINCT grp.group_id FROM entry JOIN membership ON member_id = entry.id
                 JOIN grp ON grp.id = membership.group_id
                 WHERE kind = 'name' AND entry.since > ?1 AND entry.since <= ?2",
            )?
            .query_map(between, |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for group in groups {
            dirty::mark(&transaction, &Mark::Group(GroupId::new(group)))?;
        }
        transaction.execute(
            "INSERT OR REPLACE INTO setting VALUES (?1, ?2)",
            params![VANISHED_UNTIL, until.as_second().to_string()],
        )?;
        Ok(transaction.commit()?)
    }

    /// Of all entries that a directory lists, those that are not as in the mirror: missing, new, or with
    /// another name.
    pub fn differing(&self, directory: &str, listed: &[Listed]) -> Result<Vec<Moved>, StoreError> {
        let connection = self.lock();
        let mut differing = Vec::new();
        for (kind, table) in [(EntryKind::Person, "person"), (EntryKind::Group, "grp")] {
            let mut known: HashMap<String, String> = connection
                .prepare_cached(&format!(
                    "SELECT stable_id, entry.name FROM {table} JOIN entry USING (id)
                     WHERE stable_id IS NOT NULL
                     AND directory = (SELECT id FROM directory WHERE name = ?1)"
                ))?
                .query_map([directory], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let listed = listed.iter().filter(|listed| listed.kind == kind);
            for listed in listed {
                let name = known.remove(listed.id.as_str());
                if name.as_deref() != Some(listed.name.as_str()) {
                    differing.push(moved(kind, listed.id.clone()));
                }
            }
            let missing = known.into_keys();
            differing.extend(missing.map(|id| moved(kind, StableId::new(id))));
        }
        Ok(differing)
    }

    /// Names that groups list and no entry has, and that have not been looked up since then: so many at
    /// most, the newest first.
    pub fn names_to_look_up(
        &self,
        directory: &str,
        since: Timestamp,
        most: usize,
    ) -> Result<Vec<(EntryId, Dn)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, name FROM entry WHERE kind = 'name' AND name NOT LIKE ':%'
             AND directory = (SELECT id FROM directory WHERE name = ?1)
             AND (looked_up_at IS NULL OR looked_up_at < ?2)
             AND EXISTS (SELECT 1 FROM membership WHERE member_id = entry.id)
             ORDER BY looked_up_at, id DESC LIMIT ?3",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![directory, since.as_second(), most], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        })?;
        let names: Vec<(EntryId, String)> = rows.collect::<Result<_, _>>()?;
        let names = names.into_iter();
        Ok(names
            .filter_map(|(id, name)| Some((id, Dn::parse(&name).ok()?)))
            .collect())
    }

    /// Notes that names have been looked up.
    pub fn note_looked_up(
        &self,
        names: impl Iterator<Item = EntryId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for id in names {
            transaction
                .prepare_cached("UPDATE entry SET looked_up_at = ?2 WHERE id = ?1")?
                .execute(params![id, now.as_second()])?;
        }
        Ok(transaction.commit()?)
    }
}

fn moved(kind: EntryKind, id: StableId) -> Moved {
    Moved {
        kind,
        id,
        version: None,
    }
}
