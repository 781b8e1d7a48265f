//! Users and groups.
//!
//! *Its one idea: a user is a number with a name.* Memberships hold the number, so a rename renames
//! them all at once, and a user created again under an old id has none of the old memberships.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::Changes;
use crate::sandbox::classes;
use crate::sandbox::text::{USER_ID_BYTES, cut, user_key};

/// The number of a user (Kaltura's kuser).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(in crate::sandbox) struct UserKey(u32);

/// A user or a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct User {
    pub(in crate::sandbox) id: Arc<str>,
    pub(in crate::sandbox) kind: i64,
    pub(in crate::sandbox) status: i64,
    pub(in crate::sandbox) screen_name: String,
    pub(in crate::sandbox) first_name: String,
    pub(in crate::sandbox) last_name: String,
    pub(in crate::sandbox) email: Option<String>,
    /// Texts that are merely kept, by their names.
    #[serde(deserialize_with = "known_texts")]
    pub(in crate::sandbox) texts: Vec<(&'static str, String)>,
    pub(in crate::sandbox) tags: Option<String>,
    /// Day of birth, in unix seconds.
    pub(in crate::sandbox) born: Option<i64>,
    pub(in crate::sandbox) gender: Option<i64>,
    pub(in crate::sandbox) is_admin: bool,
    pub(in crate::sandbox) is_account_owner: bool,
    pub(in crate::sandbox) login_enabled: bool,
    pub(in crate::sandbox) role_ids: String,
    pub(in crate::sandbox) mode: i64,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) updated: i64,
    pub(in crate::sandbox) status_updated: i64,
    pub(in crate::sandbox) deleted: Option<i64>,
}

/// Reads texts of a file by the names that the class of users has.
fn known_texts<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<(&'static str, String)>, D::Error> {
    let read = Vec::<(String, String)>::deserialize(from)?;
    let known = |name: &str| classes::USER.props.iter().find(|prop| prop.name == name);
    let texts = read.into_iter();
    Ok(texts
        .filter_map(|(name, text)| Some((known(&name)?.name, text)))
        .collect())
}

/// `status` of a user who is there.
pub(in crate::sandbox) const USER_ACTIVE: i64 = 1;
/// `status` of a deleted user.
pub(in crate::sandbox) const USER_DELETED: i64 = 2;

impl UserKey {
    /// The number itself.
    pub(in crate::sandbox) fn number(self) -> u32 {
        self.0
    }

    /// The user of a number that was stored.
    pub(in crate::sandbox) fn of(number: u32) -> Self {
        Self(number)
    }
}

impl User {
    /// A user with nothing but an id.
    pub(in crate::sandbox) fn bare(id: &str, now: i64) -> Self {
        Self {
            id: cut(id, USER_ID_BYTES).into(),
            kind: 0,
            status: USER_ACTIVE,
            screen_name: id.to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            email: None,
            texts: Vec::new(),
            tags: None,
            born: None,
            gender: None,
            is_admin: false,
            is_account_owner: false,
            login_enabled: false,
            role_ids: String::new(),
            mode: 0,
            created: now,
            updated: now,
            status_updated: now,
            deleted: None,
        }
    }

    /// A user as Kaltura makes one for an id it does not know: the id is the name, too.
    pub(in crate::sandbox) fn auto_created(id: &str, now: i64) -> Self {
        let mut user = Self::bare(id, now);
        user.first_name = user.id.to_string();
        user.screen_name = user.id.to_string();
        user
    }

    /// First and last name.
    pub(in crate::sandbox) fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
            .trim()
            .to_owned()
    }

    /// Changes the status, with the times that go with it.
    pub(in crate::sandbox) fn set_status(&mut self, status: i64, now: i64) {
        if self.status != status {
            self.status = status;
            self.status_updated = now;
        }
        self.deleted = (status == USER_DELETED).then_some(now);
    }
}

#[derive(Debug)]
struct Entry {
    stored: Arc<User>,
    indexed: Option<Arc<User>>,
    rows: Vec<u32>,
}

/// All users and groups of an account.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Users {
    entries: Vec<Entry>,
    by_id: HashMap<String, UserKey>,
    /// Users that were written and not saved.
    pub(in crate::sandbox) changes: Changes<UserKey>,
}

impl Users {
    /// Adds a user; one that is born deleted is not found by its id.
    pub(in crate::sandbox) fn insert(&mut self, user: User) -> UserKey {
        let key = UserKey(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        if user.status != USER_DELETED {
            self.by_id.insert(user_key(&user.id), key);
        }
        self.entries.push(Entry {
            stored: Arc::new(user),
            indexed: None,
            rows: Vec::new(),
        });
        self.changes.note(key);
        key
    }

    /// The user of an id who is not deleted.
    pub(in crate::sandbox) fn find(&self, id: &str) -> Option<UserKey> {
        self.by_id.get(&user_key(id)).copied()
    }

    /// A user.
    pub(in crate::sandbox) fn get(&self, key: UserKey) -> &Arc<User> {
        &self.entry(key).stored
    }

    /// A user as the search engine knows it; nothing when it does not list it.
    pub(in crate::sandbox) fn indexed(&self, key: UserKey) -> Option<&Arc<User>> {
        self.entry(key).indexed.as_ref()
    }

    /// Changes a user, and the id it is found by.
    pub(in crate::sandbox) fn change(&mut self, key: UserKey, change: impl FnOnce(&mut User)) {
        self.changes.note(key);
        let entry = &mut self.entries[key.0 as usize];
        let before = user_key(&entry.stored.id);
        change(Arc::make_mut(&mut entry.stored));
        let after = user_key(&entry.stored.id);
        if self.by_id.get(&before) == Some(&key) {
            self.by_id.remove(&before);
            if entry.stored.status != USER_DELETED {
                self.by_id.insert(after, key);
            }
        }
    }

    /// Tells the search engine about a user.
    pub(in crate::sandbox) fn index(&mut self, key: UserKey) {
        let entry = &mut self.entries[key.0 as usize];
        entry.indexed = (entry.stored.status != USER_DELETED).then(|| Arc::clone(&entry.stored));
    }

    /// The rows of a user's memberships.
    pub(in crate::sandbox) fn rows(&self, key: UserKey) -> &[u32] {
        &self.entry(key).rows
    }

    pub(super) fn rows_mut(&mut self, key: UserKey) -> &mut Vec<u32> {
        &mut self.entries[key.0 as usize].rows
    }

    /// All users there have ever been, in the order of their coming.
    pub(in crate::sandbox) fn keys(&self) -> impl Iterator<Item = UserKey> + use<> {
        (0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX)).map(UserKey)
    }

    /// How many users there have ever been.
    pub(in crate::sandbox) fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, key: UserKey) -> &Entry {
        &self.entries[key.0 as usize]
    }
}
