//! The account's memory: what the database holds, and what the search engine knows of it.
//!
//! *Its one idea: everything is there twice.* Calls by key read the database; lists read what the
//! search engine was last told. Between the two lies a queue, which is why a list may lag.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::file::Document;
use super::{CallLog, Faults, Limits};

mod bulk;
mod category;
mod changes;
mod group;
mod index;
mod jobs;
mod membership;
mod metadata;
mod user;

pub(super) use bulk::{BulkJob, BulkJobs, BulkKind, BulkResult, status as bulk_status};
pub(super) use category::{Categories, Category, INHERIT, Tally};
pub(super) use changes::{Changes, Tracked};
pub(super) use group::{
    APPLICATIVE_GROUP, AUTOMATIC, BY_HAND, GROUP, GroupRow, Groups, MANAGER_ROLE, MEMBER_ROLE,
    is_group,
};
pub(super) use index::Touch;
pub(super) use jobs::Job;
pub use jobs::JobKind;
pub(super) use membership::{
    ACTIVE, Cells, DELETED, MANAGER, Memberships, NONE, NOT_ACTIVE, PENDING, level_names,
};
pub(super) use metadata::{
    CustomData, FIRST_VERSION, IN_USE, Metadata, OF_CATEGORY, OF_USER, Profile, STEP, TRANSFORMING,
    schema_of,
};
pub(super) use user::{User, UserKey, Users};

/// Everything one account holds.
#[derive(Debug)]
pub(super) struct State {
    /// Who the account is.
    pub(super) partner: Partner,
    /// When the account was opened, in unix seconds.
    pub(super) opened: i64,
    /// What the account is allowed.
    pub(super) limits: Limits,
    /// Its categories.
    pub(super) categories: Categories,
    /// Its users and groups.
    pub(super) users: Users,
    /// Who is in which category.
    pub(super) memberships: Memberships,
    /// The last numbers of things that are numbered and may be gone.
    pub(super) numbers: Tracked<Numbers>,
    /// Who is in which group.
    pub(super) groups: Groups,
    /// Its custom metadata.
    pub(super) metadata: CustomData,
    /// Its application tokens.
    pub(super) tokens: Tracked<Vec<AppToken>>,
    /// Its own roles.
    pub(super) roles: Tracked<Vec<Role>>,
    /// What became of sessions.
    pub(super) sessions: Tracked<Sessions>,
    /// Sessions seen so far, so that all of them can be made to expire.
    pub(super) seen_sessions: HashSet<String>,
    /// What the search engine has not been told yet.
    pub(super) index: index::Queue,
    /// Background work that has not been done yet.
    pub(super) jobs: jobs::Queue,
    /// Files that were handed in.
    pub(super) bulk: BulkJobs,
    /// Where random numbers come from.
    pub(super) random: fastrand::Rng,
    /// Whether a session without a user has written here. Kaltura then has a user of the empty id,
    /// which changes what leaving level NONE does.
    pub(super) nameless_user: Tracked<bool>,
}

/// Who an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partner {
    /// Its number.
    pub(super) id: i64,
    /// Makes and verifies sessions.
    pub(super) admin_secret: String,
    /// Starts user sessions only.
    pub(super) user_secret: String,
    /// Whether it has `FEATURE_ENTITLEMENT`; without it nothing is ever enforced.
    pub(super) entitlement: bool,
}

/// The last numbers of things that are numbered and may be gone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Numbers {
    pub(super) group_row: i64,
    pub(super) metadata: i64,
    pub(super) metadata_profile: i64,
    pub(super) metadata_field: i64,
}

/// An application token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AppToken {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) status: i64,
    pub(super) expiry: i64,
    pub(super) kind: i64,
    pub(super) user_id: String,
    pub(super) duration: i64,
    pub(super) privileges: Option<String>,
    pub(super) hash: String,
    pub(super) description: Option<String>,
}

/// A role of the account's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) system_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tags: Option<String>,
    pub(super) status: i64,
    pub(super) permissions: Vec<String>,
    pub(super) created: i64,
    pub(super) updated: i64,
}

/// What became of sessions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    /// Sessions that a test made expire before their time.
    pub(super) expired: HashSet<String>,
    /// Sessions that were ended.
    pub(super) ended: HashSet<String>,
    /// `sessionid` values whose sessions were ended together.
    pub(super) ended_ids: HashSet<String>,
    /// How often a session with `actionslimit` was used.
    pub(super) uses: HashMap<String, i64>,
}

impl State {
    /// An account as it is when it was just opened: its owner, and the user `0` whom Kaltura shows
    /// for sessions without one.
    pub(super) fn new(
        partner: Partner,
        limits: Limits,
        seed: u64,
        job_delay: Option<Duration>,
        now: i64,
    ) -> Self {
        let mut users = Users::default();
        let mut nobody = User::auto_created("0", now);
        "Unknown".clone_into(&mut nobody.screen_name);
        users.insert(nobody);
        let mut owner = User::auto_created("owner@example.edu", now);
        owner.email = Some("owner@example.edu".to_owned());
        owner.is_admin = true;
        owner.is_account_owner = true;
        owner.login_enabled = true;
        "2".clone_into(&mut owner.role_ids);
        users.insert(owner);
        let mut state = Self {
            partner,
            opened: now,
            limits,
            categories: Categories::default(),
            users,
            memberships: Memberships::default(),
            numbers: Tracked::default(),
            groups: Groups::default(),
            metadata: CustomData::default(),
            tokens: Tracked::default(),
            roles: Tracked::default(),
            sessions: Tracked::default(),
            seen_sessions: HashSet::new(),
            index: index::Queue::default(),
            jobs: jobs::Queue::new(job_delay),
            bulk: BulkJobs::new(CallLog::default(), Faults::new(seed, Clock::default())),
            random: fastrand::Rng::with_seed(seed),
            nameless_user: Tracked::default(),
        };
        for key in state.users.keys() {
            state.users.index(key);
        }
        state
    }

    /// Makes every session that was seen so far expire.
    pub(super) fn expire_sessions(&mut self) {
        self.sessions
            .expired
            .extend(self.seen_sessions.iter().cloned());
    }

    /// Begins to note what is written, and takes everything there is for unsaved.
    pub(super) fn follow(&mut self) {
        self.categories
            .changes
            .follow(self.categories.ids().collect::<Vec<_>>());
        self.users.changes.follow(self.users.keys());
        self.memberships.changes.follow(0..self.memberships.len());
        self.groups.follow();
        self.metadata.follow();
    }

    /// What of the account is saved as a whole, by name.
    pub(super) fn documents(&mut self) -> Vec<(&'static str, &mut dyn Document)> {
        vec![
            ("tokens", &mut self.tokens),
            ("roles", &mut self.roles),
            ("sessions", &mut self.sessions),
            ("numbers", &mut self.numbers),
            ("metadata profiles", &mut self.metadata.profiles),
            ("waiting work", &mut self.jobs.waiting),
            ("bulk uploads", &mut self.bulk.jobs),
            ("nameless user", &mut self.nameless_user),
        ]
    }

    /// Says that everything is saved.
    pub(super) fn saved(&mut self) {
        self.categories.changes.saved();
        self.users.changes.saved();
        self.memberships.changes.saved();
        self.groups.changes.saved();
        self.metadata.changes.saved();
        for (_, document) in self.documents() {
            document.saved();
        }
    }

    /// Puts back a membership as a file has it.
    pub(super) fn restore_membership(
        &mut self,
        row: u32,
        category: i64,
        user: UserKey,
        cells: Cells,
    ) {
        self.memberships.restore(row, category, user, cells);
        self.categories.hang(category, row);
        self.users.rows_mut(user).push(row);
    }

    /// The user of this id, made if there is none and Kaltura would make one.
    pub(super) fn user_or_new(&mut self, id: &str, now_ms: i64) -> Option<UserKey> {
        if let Some(key) = self.users.find(id) {
            return Some(key);
        }
        if !super::text::is_user_id(id) {
            return None;
        }
        let key = self.users.insert(User::auto_created(id, now_ms / 1000));
        self.touch(Touch::User(key), now_ms);
        Some(key)
    }

    /// Writes a membership: the row, the tally of its category, and word to the search engine.
    pub(super) fn add_membership(
        &mut self,
        category: i64,
        user: UserKey,
        cells: Cells,
        now_ms: i64,
    ) -> u32 {
        let row = self.memberships.insert(category, user, cells);
        if let Some(entry) = self.categories.entry_mut(category) {
            entry.rows.push(row);
        }
        self.users.rows_mut(user).push(row);
        self.recount(category, None, Some(cells.status), now_ms);
        self.touch(Touch::Row(row), now_ms);
        row
    }

    /// Changes a membership.
    pub(super) fn change_membership(
        &mut self,
        row: u32,
        now_ms: i64,
        change: impl FnOnce(&mut Cells),
    ) {
        let now = now_ms / 1000;
        let before = self.memberships.cells(row);
        let mut cells = before;
        change(&mut cells);
        if cells == before {
            return;
        }
        cells.updated = now;
        self.memberships.set(row, cells);
        if cells.status != before.status {
            let category = self.memberships.category(row);
            self.recount(category, Some(before.status), Some(cells.status), now_ms);
        }
        self.touch(Touch::Row(row), now_ms);
    }

    /// Writes a membership anew with nothing changed but the time.
    pub(super) fn renew_membership(&mut self, row: u32, now_ms: i64) {
        let mut cells = self.memberships.cells(row);
        if cells.status != DELETED {
            cells.updated = now_ms / 1000;
            self.memberships.set(row, cells);
            self.touch(Touch::Row(row), now_ms);
        }
    }

    /// Deletes a membership. The search engine may still list it for a while.
    pub(super) fn delete_membership(&mut self, row: u32, now_ms: i64) {
        let cells = self.memberships.cells(row);
        if cells.status == DELETED {
            return;
        }
        let category = self.memberships.category(row);
        let user = self.memberships.user(row);
        let twin = self
            .users
            .rows(user)
            .iter()
            .copied()
            .find(|twin| *twin != row && self.memberships.is_live(*twin, category));
        self.memberships.delete(row, twin, now_ms / 1000);
        self.recount(category, Some(cells.status), None, now_ms);
        self.touch(Touch::Row(row), now_ms);
    }

    /// Keeps `membersCount` as Kaltura does: active rows, adjusted with each write.
    fn recount(&mut self, category: i64, from: Option<i64>, to: Option<i64>, now_ms: i64) {
        let Some(entry) = self.categories.entry_mut(category) else {
            return;
        };
        let count = |status: i64, by: i64, tally: &mut Tally| match status {
            ACTIVE => tally.members += by,
            PENDING => tally.pending += by,
            _ => {}
        };
        if let Some(status) = from {
            count(status, -1, &mut entry.tally);
        }
        if let Some(status) = to {
            count(status, 1, &mut entry.tally);
        }
        entry.tally.updated = now_ms / 1000;
        self.touch(Touch::Tally(category), now_ms);
    }
}
