//! Who is in which group.
//!
//! *Its one idea: a row keeps the ids it was made with.* The people are numbers, so that filters
//! follow a rename; the texts shown are of the day of joining, so that answers do not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Changes, Job, OF_USER, State, Touch, UserKey};
use crate::sandbox::state::User;

/// `type` of a group.
pub(in crate::sandbox) const GROUP: i64 = 1;
/// `type` of a group that may be in a category only without rights.
pub(in crate::sandbox) const APPLICATIVE_GROUP: i64 = 2;
/// `creationMode` of a row made by hand.
pub(in crate::sandbox) const BY_HAND: i64 = 1;
/// `creationMode` of a row made by a synchronisation, the only one that a synchronisation removes.
pub(in crate::sandbox) const AUTOMATIC: i64 = 2;
/// `userRole` of an ordinary member.
pub(in crate::sandbox) const MEMBER_ROLE: i64 = 1;
/// `userRole` of a manager of the group.
pub(in crate::sandbox) const MANAGER_ROLE: i64 = 2;

/// Somebody in a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct GroupRow {
    /// Its number.
    pub(in crate::sandbox) id: i64,
    /// Who; nobody for the empty id, which Kaltura lets in.
    pub(in crate::sandbox) user: Option<UserKey>,
    /// The user's id as it was sent when the row was made.
    pub(in crate::sandbox) user_id: Arc<str>,
    /// In which group.
    pub(in crate::sandbox) group: UserKey,
    /// The group's id as it was sent when the row was made.
    pub(in crate::sandbox) group_id: Arc<str>,
    /// 1 by hand, 2 automatic.
    pub(in crate::sandbox) creation_mode: i64,
    /// 1 member, 2 manager.
    pub(in crate::sandbox) role: i64,
    /// When it was made, in unix seconds.
    pub(in crate::sandbox) created: i64,
    /// When it was last changed, in unix seconds.
    pub(in crate::sandbox) updated: i64,
}

/// All rows of an account, with an index each way.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Groups {
    rows: HashMap<i64, GroupRow>,
    of_user: HashMap<UserKey, Vec<i64>>,
    of_group: HashMap<UserKey, Vec<i64>>,
    /// Clones whose members are still to come.
    pub(in crate::sandbox) filling: HashSet<UserKey>,
    /// What the file does not have yet.
    pub(in crate::sandbox) changes: Changes<i64>,
}

impl Groups {
    /// Puts a row in its places.
    pub(in crate::sandbox) fn insert(&mut self, row: GroupRow) {
        if let Some(user) = row.user {
            self.of_user.entry(user).or_default().push(row.id);
        }
        self.of_group.entry(row.group).or_default().push(row.id);
        self.changes.note(row.id);
        self.rows.insert(row.id, row);
    }

    /// Begins to note what is written, and takes everything there is for unsaved.
    pub(super) fn follow(&mut self) {
        self.changes.follow(self.rows.keys().copied());
    }

    fn remove(&mut self, id: i64) -> Option<GroupRow> {
        let row = self.rows.remove(&id)?;
        self.changes.note(id);
        let drop = |rows: Option<&mut Vec<i64>>| {
            if let Some(rows) = rows {
                rows.retain(|known| *known != id);
            }
        };
        drop(row.user.and_then(|user| self.of_user.get_mut(&user)));
        drop(self.of_group.get_mut(&row.group));
        Some(row)
    }

    /// A row by its number.
    pub(in crate::sandbox) fn get(&self, id: i64) -> Option<&GroupRow> {
        self.rows.get(&id)
    }

    /// The row of a user in a group.
    pub(in crate::sandbox) fn find(&self, user: UserKey, group: UserKey) -> Option<&GroupRow> {
        self.of_user(user).find(|row| row.group == group)
    }

    /// The rows of a user, in the order of their coming.
    pub(in crate::sandbox) fn of_user(&self, user: UserKey) -> impl Iterator<Item = &GroupRow> {
        let ids = self.of_user.get(&user).into_iter().flatten();
        ids.filter_map(|id| self.rows.get(id))
    }

    /// The rows of a group, in the order of their coming.
    pub(in crate::sandbox) fn of_group(&self, group: UserKey) -> impl Iterator<Item = &GroupRow> {
        let ids = self.of_group.get(&group).into_iter().flatten();
        ids.filter_map(|id| self.rows.get(id))
    }

    /// How many are in a group.
    pub(in crate::sandbox) fn count(&self, group: UserKey) -> usize {
        self.of_group.get(&group).map_or(0, Vec::len)
    }
}

impl State {
    /// Puts a user into a group, and answers the row's number. Whether Kaltura would is not asked.
    pub(in crate::sandbox) fn join_group(
        &mut self,
        user: UserKey,
        group: UserKey,
        creation_mode: i64,
        role: i64,
        now_ms: i64,
    ) -> i64 {
        let user_id = Arc::clone(&self.users.get(user).id);
        let group_id = Arc::clone(&self.users.get(group).id);
        self.write_group_row(
            (Some(user), user_id),
            (group, group_id),
            creation_mode,
            role,
            now_ms,
        )
    }

    /// Writes a row with the ids as they were sent.
    pub(in crate::sandbox) fn write_group_row(
        &mut self,
        (user, user_id): (Option<UserKey>, Arc<str>),
        (group, group_id): (UserKey, Arc<str>),
        creation_mode: i64,
        role: i64,
        now_ms: i64,
    ) -> i64 {
        let now = now_ms / 1000;
        self.numbers.group_row += 1;
        let id = self.numbers.group_row;
        self.groups.insert(GroupRow {
            id,
            user,
            user_id,
            group,
            group_id,
            creation_mode,
            role,
            created: now,
            updated: now,
        });
        self.note_members(group, now_ms);
        id
    }

    /// Takes a user out of a group, and answers whether the user was in it.
    pub(in crate::sandbox) fn leave_group(
        &mut self,
        user: UserKey,
        group: UserKey,
        now_ms: i64,
    ) -> bool {
        let Some(id) = self.groups.find(user, group).map(|row| row.id) else {
            return false;
        };
        self.groups.remove(id);
        self.note_members(group, now_ms);
        true
    }

    /// Gives somebody in a group another role.
    pub(in crate::sandbox) fn set_group_role(&mut self, id: i64, role: i64, now_ms: i64) {
        if let Some(row) = self.groups.rows.get_mut(&id)
            && row.role != role
        {
            row.role = role;
            row.updated = now_ms / 1000;
            self.groups.changes.note(id);
        }
    }

    /// A user or group is gone: a user leaves all groups at once; what else hangs on it, and on a
    /// group the rows of its members, stays until a worker comes by.
    pub(in crate::sandbox) fn gone(&mut self, key: UserKey, now_ms: i64) {
        if !is_group(self.users.get(key)) {
            self.leave_all_groups(key, now_ms);
        }
        let id = Arc::clone(&self.users.get(key).id);
        self.delete_metadata_about(OF_USER, &id, now_ms);
        self.queue(Job::ForgetUser(key), now_ms);
    }

    /// Puts everybody who is in a group into its clone, too, in the same roles.
    pub(in crate::sandbox) fn fill_clone(&mut self, model: UserKey, clone: UserKey, now_ms: i64) {
        let rows = self.groups.of_group(model);
        let members: Vec<(UserKey, i64)> =
            rows.filter_map(|row| Some((row.user?, row.role))).collect();
        for (user, role) in members {
            if self.groups.find(user, clone).is_none() {
                self.join_group(user, clone, AUTOMATIC, role, now_ms);
            }
        }
        self.groups.filling.remove(&clone);
    }

    /// Takes everybody out of a group that is gone.
    pub(super) fn dissolve_group(&mut self, group: UserKey) {
        for id in self.groups.of_group.remove(&group).unwrap_or_default() {
            self.groups.remove(id);
        }
    }

    pub(super) fn leave_all_groups(&mut self, user: UserKey, now_ms: i64) {
        for id in self.groups.of_user.remove(&user).unwrap_or_default() {
            if let Some(row) = self.groups.remove(id) {
                self.note_members(row.group, now_ms);
            }
        }
    }

    /// A group counts its members, so that each coming and going changes it.
    fn note_members(&mut self, group: UserKey, now_ms: i64) {
        self.users
            .change(group, |group| group.updated = now_ms / 1000);
        self.touch(Touch::User(group), now_ms);
    }
}

/// Whether a user is a group of either type.
pub(in crate::sandbox) fn is_group(user: &User) -> bool {
    matches!(user.kind, GROUP | APPLICATIVE_GROUP)
}
