//! The account from inside: what tests, demo and benchmarks do and see past HTTP.
//!
//! *Its one idea: this is the other people's hand.* Somebody in the console adds a member, renames
//! a user, deletes a channel; no check is made that the API would make, and nothing is counted.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::calls::CallLog;
use super::clock::Clock;
use super::faults::Faults;
use super::ks::Ks;
use super::state::{
    ACTIVE, Category, Cells, DELETED, INHERIT, Job, JobKind, MANAGER, State, Touch, User, UserKey,
    level_names,
};

mod acts;
mod bulk_uploads;
mod views;
mod words;

pub use acts::{Act, ActError, CHANNELS, ChannelId};
pub use bulk_uploads::BulkUploadView;
pub use views::{ChannelView, JobView, Look, MemberRow, Overview, Rows, UserView};
pub use words::{BulkStatus, JoinPolicy, Level, Method, Status};

/// A handle to a sandbox's account. Clones are the same account.
#[derive(Debug, Clone)]
pub struct Account {
    server: Arc<Server>,
}

/// A category to be.
#[derive(Debug, Clone, Default)]
pub struct NewCategory {
    /// Its path, names joined by `>`: `MediaSpace>site>channels>Biology 101`. Ancestors that are
    /// missing are made; a new root gets its own name as privacy context.
    pub path: String,
    /// Its reference ID.
    pub reference_id: Option<String>,
    /// Its owner, who becomes a manual manager; none if none is given.
    pub owner: Option<String>,
    /// Whether it inherits its ancestor's members.
    pub inherit: bool,
}

/// A membership as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// The user, in the stored spelling.
    pub user_id: String,
    /// 0 manager, 1 moderator, 2 contributor, 3 member, 4 none.
    pub permission_level: i64,
    /// 0 manual, 1 automatic.
    pub update_method: i64,
    /// 1 active, 2 pending, 3 not active.
    pub status: i64,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// When it was last changed, in unix seconds.
    pub updated_at: i64,
}

impl Account {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// Makes a category and answers its number. One that is there already is only given what was
    /// asked for.
    pub fn add_category(&self, new: &NewCategory) -> i64 {
        self.act(|state, now_ms| {
            let mut parent = 0;
            for name in new.path.split('>') {
                parent = match state.categories.child(parent, name) {
                    Some(id) => id,
                    None => add_child(state, parent, name, now_ms),
                };
            }
            let owner = new.owner.as_deref();
            let owner_key = owner.and_then(|owner| state.user_or_new(owner, now_ms));
            state.categories.change(parent, |category| {
                category.reference_id.clone_from(&new.reference_id);
                if let Some(owner) = owner {
                    category.owner = Some(owner.to_owned());
                    category.owner_key = owner_key;
                }
            });
            if let Some(owner) = owner_key {
                write(state, parent, owner, (MANAGER, 0, ACTIVE), now_ms);
            }
            if new.inherit {
                set_inherit(state, parent);
            }
            state.touch(Touch::Category(parent), now_ms);
            parent
        })
    }

    /// The category at a path, names joined by `>`.
    pub fn category_at(&self, path: &str) -> Option<i64> {
        let state = self.server.lock_first();
        let mut names = path.split('>');
        names.try_fold(0, |parent, name| state.categories.child(parent, name))
    }

    /// Puts a membership in place, whatever was there: the user is made if need be.
    pub fn set_membership(
        &self,
        category_id: i64,
        user_id: &str,
        level: i64,
        update_method: i64,
        status: i64,
    ) {
        self.act(|state, now_ms| {
            if let Some(user) = state.user_or_new(user_id, now_ms) {
                write(
                    state,
                    category_id,
                    user,
                    (level, update_method, status),
                    now_ms,
                );
            }
        });
    }

    /// Adds a second row for somebody who has one, as Kaltura does under concurrent adds.
    pub fn add_twin(&self, category_id: i64, user_id: &str, level: i64, update_method: i64) {
        self.act(|state, now_ms| {
            if let Some(user) = state.user_or_new(user_id, now_ms) {
                let cells = cells(state, level, update_method, ACTIVE, now_ms);
                state.add_membership(category_id, user, cells, now_ms);
            }
        });
    }

    /// Removes a membership, owner or not.
    pub fn remove_membership(&self, category_id: i64, user_id: &str) {
        self.act(|state, now_ms| {
            if let Some(user) = state.users.find(user_id)
                && let Some(row) = state.memberships.find(category_id, user)
            {
                state.delete_membership(row, now_ms);
            }
        });
    }

    /// The members of a category, in the order of their coming. An inheriting category has none of
    /// its own.
    pub fn members(&self, category_id: i64) -> Vec<MemberView> {
        let state = self.server.lock_first();
        let Some(entry) = state.categories.entry(category_id) else {
            return Vec::new();
        };
        let rows = entry.rows.iter();
        rows.filter_map(|row| {
            let cells = state.memberships.cells(*row);
            (cells.status != DELETED).then(|| MemberView {
                user_id: state.users.get(state.memberships.user(*row)).id.to_string(),
                permission_level: cells.level,
                update_method: cells.method,
                status: cells.status,
                created_at: cells.created,
                updated_at: cells.updated,
            })
        })
        .collect()
    }

    /// The membership of one person in a category.
    pub fn member(&self, category_id: i64, user_id: &str) -> Option<MemberView> {
        let key = super::text::user_key(user_id);
        let mut members = self.members(category_id).into_iter();
        members.find(|member| super::text::user_key(&member.user_id) == key)
    }

    /// Whether there is a user of this id, and in which spelling.
    pub fn user(&self, user_id: &str) -> Option<String> {
        let state = self.server.lock_first();
        let key = state.users.find(user_id)?;
        Some(state.users.get(key).id.to_string())
    }

    /// Makes a user with an id and a mail address; a user who is there is left alone.
    pub fn add_user(&self, user_id: &str, email: Option<&str>) {
        self.act(|state, now_ms| {
            if state.users.find(user_id).is_none() {
                let mut user = User::auto_created(user_id, now_ms / 1000);
                user.email = email.map(str::to_owned);
                let key = state.users.insert(user);
                state.touch(Touch::User(key), now_ms);
            }
        });
    }

    /// Gives a user another id; memberships follow.
    pub fn rename_user(&self, user_id: &str, new_id: &str) {
        self.act(|state, now_ms| {
            if let Some(key) = state.users.find(user_id) {
                state.users.change(key, |user| {
                    user.id = new_id.into();
                    user.updated = now_ms / 1000;
                });
                state.touch(Touch::User(key), now_ms);
                for row in state.users.rows(key).to_vec() {
                    state.renew_membership(row, now_ms);
                }
            }
        });
    }

    /// Deletes a user; the memberships follow when the background job runs.
    pub fn delete_user(&self, user_id: &str) {
        self.act(|state, now_ms| {
            if let Some(key) = state.users.find(user_id) {
                state
                    .users
                    .change(key, |user| user.set_status(2, now_ms / 1000));
                state.touch(Touch::User(key), now_ms);
                state.gone(key, now_ms);
            }
        });
    }

    /// Gives a category another name; the paths below it follow when the background job runs.
    pub fn rename_category(&self, category_id: i64, name: &str) {
        self.act(|state, now_ms| {
            if let Some(category) = state.categories.get(category_id) {
                let mut category = Category::clone(category);
                name.clone_into(&mut category.name);
                category.updated = now_ms / 1000;
                state.categories.place(&mut category);
                state
                    .categories
                    .change(category_id, |stored| *stored = category);
                state.touch(Touch::Category(category_id), now_ms);
                state.queue(Job::Reindex(category_id), now_ms);
            }
        });
    }

    /// Gives a category another reference ID, or none.
    pub fn set_reference_id(&self, category_id: i64, reference_id: Option<&str>) {
        self.act(|state, now_ms| {
            state.categories.change(category_id, |category| {
                category.reference_id = reference_id.map(str::to_owned);
            });
            state.touch(Touch::Category(category_id), now_ms);
        });
    }

    /// Sets who may join a category by themselves (1 everybody, 2 on request, 3 nobody), which the
    /// API cannot.
    pub fn set_join_policy(&self, category_id: i64, policy: i64) {
        self.act(|state, now_ms| {
            let change = |category: &mut Category| category.join_policy = policy;
            state.categories.change(category_id, change);
            state.touch(Touch::Category(category_id), now_ms);
        });
    }

    /// Makes a category inherit its ancestor's members.
    pub fn inherit(&self, category_id: i64) {
        self.act(|state, now_ms| {
            set_inherit(state, category_id);
            state.touch(Touch::Category(category_id), now_ms);
            state.queue(Job::EmptyCategory(category_id), now_ms);
        });
    }

    /// Deletes a category with everything below it.
    pub fn delete_category(&self, category_id: i64) {
        self.act(|state, now_ms| {
            for id in state.categories.subtree(category_id) {
                state.delete_category(id, now_ms);
            }
        });
    }

    /// Writes a session of this account that nobody has to ask the server for.
    pub fn session(&self, user_id: &str, kind: i64, privileges: &str, seconds: i64) -> String {
        let now = self.server.clock.now();
        let mut state = self.server.lock_first();
        let mut random = [0; 16];
        state.random.fill(&mut random);
        let ks = Ks {
            partner_id: state.partner.id,
            user_id: user_id.to_owned(),
            kind,
            expiry: now + seconds,
            privileges: privileges.to_owned(),
        };
        ks.seal(&state.partner.admin_secret, random)
    }

    /// Makes every session that was used or started so far expire.
    pub fn expire_sessions(&self) {
        self.act(|state, _| state.expire_sessions());
    }

    /// Makes lists lag behind writes by this much; without a lag they see a write when its request
    /// is over.
    pub fn set_index_lag(&self, lag: Option<Duration>) {
        self.server.lock_first().index.set_lag(lag);
    }

    /// Lets lists see everything that was written.
    pub fn catch_up(&self) {
        self.server.lock_first().index_all();
    }

    /// Does the background work of a kind that waits, and answers how much there was. What that work
    /// leaves for later stays there, as the next run of a bulk upload does; without a kind it is done, too.
    pub fn work(&self, kind: Option<JobKind>) -> usize {
        self.act(|state, now_ms| state.work_now(kind, now_ms))
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// What was asked of the server.
    pub fn calls(&self) -> CallLog {
        self.server.calls.clone()
    }

    /// The sandbox's clock.
    pub fn clock(&self) -> &Clock {
        &self.server.clock
    }

    /// Does many acts; the account's file gets all of them at the end, at once.
    pub fn in_one_go(&self, acts: impl FnOnce(&Self)) {
        let file = self.server.lend_file();
        acts(self);
        self.server.return_file(file);
        self.act(|_, _| ());
    }

    /// Acts on the account, and lets lists see it at once unless they lag. Work that is due is done
    /// before.
    fn act<T>(&self, act: impl FnOnce(&mut State, i64) -> T) -> T {
        let now_ms = self.server.clock.now_ms();
        let mut state = self.server.lock_first();
        state.work_due(now_ms);
        state.index_due(now_ms);
        let done = act(&mut state, now_ms);
        state.index_due(now_ms);
        self.server.save(&mut state);
        done
    }
}

fn add_child(state: &mut State, parent: i64, name: &str, now_ms: i64) -> i64 {
    let context: String = match parent {
        0 => name.chars().filter(char::is_ascii_alphanumeric).collect(),
        _ => String::new(),
    };
    let mut category = Category::new(parent, name, now_ms / 1000);
    category.id = state.categories.next_id();
    category.context = context;
    state.categories.place(&mut category);
    let id = category.id;
    state.categories.insert(category);
    state.touch(Touch::Category(id), now_ms);
    id
}

fn set_inherit(state: &mut State, id: i64) {
    if let Some(category) = state.categories.get(id) {
        let mut category = Category::clone(category);
        category.inheritance = INHERIT;
        state.categories.place(&mut category);
        state.categories.change(id, |stored| *stored = category);
    }
}

fn cells(state: &mut State, level: i64, method: i64, status: i64, now_ms: i64) -> Cells {
    Cells {
        level,
        status,
        method,
        names: state.memberships.names(level_names(level)),
        created: now_ms / 1000,
        updated: now_ms / 1000,
    }
}

fn write(
    state: &mut State,
    category: i64,
    user: UserKey,
    (level, method, status): (i64, i64, i64),
    now_ms: i64,
) {
    let wanted = cells(state, level, method, status, now_ms);
    match state.memberships.find(category, user) {
        Some(row) => state.change_membership(row, now_ms, |cells| {
            let created = cells.created;
            *cells = wanted;
            cells.created = created;
        }),
        None => _ = state.add_membership(category, user, wanted, now_ms),
    }
}
