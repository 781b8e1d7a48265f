//! Losses that too many entries have at once.
//!
//! An account that loses the right to read an attribute sees the same as when all values were deleted. When
//! most entries lose an attribute in one read, what was known of them stays, until the attribute can be read
//! again or a person says that it is right (`rollbook state accept`).

use std::collections::{HashMap, HashSet};

use super::{Absorption, Mark, StoreError};
use crate::directory::{Evidence, GroupId, Reason};
use crate::plan::desired::EntryId;
use crate::source::Proof;

/// A group that has no member of a role any more.
pub(super) struct Emptied {
    pub(super) group: EntryId,
    pub(super) group_id: GroupId,
    pub(super) role: i64,
    /// Whether the attribute could not be read before.
    pub(super) was_unreadable: bool,
}

impl Absorption<'_> {
    /// Decides about the groups that have nobody in a role any more: when most groups have lost all at
    /// once, the attribute cannot be read any more, and says nothing.
    pub(super) fn decide_emptied(&mut self, is_complete: bool) -> Result<(), StoreError> {
        let emptied = std::mem::take(&mut self.emptied);
        let mut lost: HashMap<i64, u64> = HashMap::new();
        for group in &emptied {
            *lost.entry(group.role).or_default() += 1;
        }
        let mut collapsed = HashSet::new();
        let mut before = HashMap::new();
        for (&role, &lost) in &lost {
            let filled = if is_complete {
                self.groups_with_role(role)?
            } else {
                self.filled.get(&role).copied().unwrap_or(0)
            };
            before.insert(role, filled);
            if !self.accepted && is_collapse(lost, filled) {
                collapsed.insert(role);
            }
        }
        for group in emptied {
            // What could not be read stays so until a complete read shows that two thirds can be.
            let most = before.get(&group.role).copied().unwrap_or(0);
            let is_believed =
                is_complete && lost.get(&group.role).copied().unwrap_or(0) * 3 <= most;
            let is_still = group.was_unreadable && !is_believed && !self.accepted;
            if collapsed.contains(&group.role) || is_still {
                self.absorbed.collapsed += 1;
                self.set_evidence(group.group, &Evidence::unknown(Reason::AttributeCollapsed))?;
                self.mark(&Mark::Group(group.group_id))?;
                continue;
            }
            let members = self.members_there(group.group)?.into_iter();
            let gone: Vec<_> = members.filter(|(role, _)| *role == group.role).collect();
            self.departed(group.group, &[], &gone)?;
            self.absorbed.changed += 1;
            self.mark(&Mark::Group(group.group_id))?;
        }
        Ok(())
    }

    /// How many groups have somebody in a role.
    fn groups_with_role(&self, role: i64) -> Result<u64, StoreError> {
        let groups: i64 = self
            .transaction
            .prepare_cached(
                "SELECT count(DISTINCT group_id) FROM membership JOIN entry ON entry.id = group_id
                 WHERE role = ?1 AND directory = ?2",
            )?
            .query_row([role, self.directory], |row| row.get(0))?;
        Ok(u64::try_from(groups).unwrap_or(0))
    }

    /// Decides about the people who are disabled since the last read: when most are at once, the attribute
    /// behind `people.enabled` cannot be read any more, and they stay as they were. So do all of them after a
    /// read that proves nothing.
    pub(super) fn decide_disabled(&mut self, proof: &Proof) -> Result<(), StoreError> {
        let disabled = std::mem::take(&mut self.disabled);
        if disabled.is_empty() {
            return Ok(());
        }
        let enabled: i64 = self
            .transaction
            .prepare_cached(
                "SELECT count(*) FROM person JOIN entry USING (id) WHERE enabled AND directory = ?1",
            )?
            .query_row([self.directory], |row| row.get(0))?;
        let lost = disabled.len() as u64;
        let before = u64::try_from(enabled).unwrap_or(0) + lost;
        let is_unproven = matches!(proof, Proof::Unproven { .. });
        let has_collapsed = !self.accepted && is_collapse(lost, before);
        if !is_unproven && !has_collapsed {
            return Ok(());
        }
        self.absorbed.kept_enabled += if is_unproven { 0 } else { lost };
        for id in disabled {
            for sql in [
                "UPDATE person SET enabled = 1 WHERE id = ?1",
                // It is read again when anything says that it may have changed.
                "UPDATE entry SET version = NULL WHERE id = ?1",
            ] {
                self.transaction.prepare_cached(sql)?.execute([id])?;
            }
        }
        Ok(())
    }
}

/// Whether so many losses at once are a sign that an attribute cannot be read any more: more than half, and
/// more than one.
fn is_collapse(lost: u64, before: u64) -> bool {
    lost > 1 && lost * 2 > before
}
