//! The account as a person looks at it: page by page, in words.
//!
//! *Its one idea: a look is a page of what matches, never all of it*: an account may have ten thousand
//! channels and a million memberships.

use std::sync::Arc;

use serde::Serialize;

use super::words::{JoinPolicy, Level, Method, Status};
use super::{Account, DELETED, INHERIT, Job, JobKind, State};
use crate::sandbox::Limits;
use crate::sandbox::state::{Category, UserKey};

/// Rows of a page when nobody says how many.
const PAGE: usize = 50;

/// Which part of which rows.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// What a row has to contain; case does not count.
    pub search: String,
    /// Which page, from 1.
    pub page: usize,
    /// Rows of a page; 50 if it is 0.
    pub size: usize,
}

/// A page of rows.
#[derive(Debug, Clone, Serialize)]
pub struct Rows<T> {
    /// How many rows match.
    pub total: usize,
    /// Which page this is, from 1.
    pub page: usize,
    /// How many pages there are.
    pub pages: usize,
    /// The rows of this page.
    pub rows: Vec<T>,
}

/// The account as a whole.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// Its number.
    pub partner_id: i64,
    /// Whether it has `FEATURE_ENTITLEMENT`.
    pub entitlement: bool,
    /// How many categories it has, channels or not.
    pub categories: usize,
    /// How many users it has.
    pub users: usize,
    /// How many memberships count.
    pub active_memberships: i64,
    /// How many milliseconds later lists see a write.
    pub index_lag_ms: u128,
    /// Writes that lists do not see yet.
    pub not_indexed: usize,
    /// Background work that waits.
    pub jobs: usize,
    /// Its limits.
    pub limits: Limits,
}

/// A channel, or any other category.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelView {
    /// Kaltura's number of it.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its path.
    pub full_name: String,
    /// Its reference ID.
    pub reference_id: Option<String>,
    /// Its owner.
    pub owner: Option<String>,
    /// Active members.
    pub members: i64,
    /// The category whose members it has, if they are not its own.
    pub inherits_from: Option<i64>,
    /// Who may join by themselves.
    pub join_policy: JoinPolicy,
}

/// A membership in words.
#[derive(Debug, Clone, Serialize)]
pub struct MemberRow {
    /// The user, in the stored spelling.
    pub user_id: String,
    /// The user's name, where it says more than the id.
    pub name: String,
    /// What the member may do.
    pub level: Level,
    /// Who takes care of it.
    pub method: Method,
    /// Whether it counts.
    pub status: Status,
    /// Whether it is the owner's.
    pub owner: bool,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// When it was last changed, in unix seconds.
    pub updated_at: i64,
}

/// A user or a group.
#[derive(Debug, Clone, Serialize)]
pub struct UserView {
    /// The id.
    pub id: String,
    /// First and last name.
    pub name: String,
    /// The mail address.
    pub email: Option<String>,
    /// Whether it is a group.
    pub group: bool,
    /// How many memberships it has.
    pub memberships: usize,
}

/// A piece of background work that waits.
#[derive(Debug, Clone, Serialize)]
pub struct JobView {
    /// Which worker does it.
    pub kind: JobKind,
    /// What there is to do.
    pub what: String,
    /// In how many milliseconds it is done; never by itself without.
    pub due_in_ms: Option<i64>,
}

impl Account {
    /// Looks at the account as a whole.
    pub fn overview(&self) -> Overview {
        self.act(|state, _| {
            let ids: Vec<i64> = state.categories.ids().collect();
            let tallies = ids
                .iter()
                .filter_map(|id| state.categories.get(*id).and(state.categories.entry(*id)));
            Overview {
                partner_id: state.partner.id,
                entitlement: state.partner.entitlement,
                categories: state.categories.count(),
                users: living(state).count(),
                active_memberships: tallies.map(|entry| entry.tally.members).sum(),
                index_lag_ms: state.index.lag().map_or(0, |lag| lag.as_millis()),
                not_indexed: state.index.len(),
                jobs: state.jobs.waiting.len(),
                limits: state.limits.clone(),
            }
        })
    }

    /// Looks at channels, by name or reference ID. What has nothing but channels below it, and is
    /// nobody's channel, is left out.
    pub fn channels(&self, look: &Look) -> Rows<ChannelView> {
        self.act(|state, _| {
            let wanted = look.search.to_lowercase();
            let has = |text: &str| text.to_lowercase().contains(&wanted);
            let mut found: Vec<&Arc<Category>> = state
                .categories
                .ids()
                .filter_map(|id| state.categories.get(id))
                .filter(|category| is_channel(state, category))
                .filter(|category| {
                    wanted.is_empty()
                        || has(&category.full_name)
                        || category.reference_id.as_deref().is_some_and(has)
                })
                .collect();
            found.sort_by_cached_key(|category| (category.full_name.to_lowercase(), category.id));
            look.cut(found, |category| channel_view(state, category))
        })
    }

    /// Looks at one channel.
    pub fn channel(&self, id: i64) -> Option<ChannelView> {
        self.act(|state, _| Some(channel_view(state, state.categories.get(id)?)))
    }

    /// The channels with this reference ID, letter by letter.
    pub fn channels_of(&self, reference_id: &str) -> Vec<i64> {
        self.act(|state, _| {
            let is_meant = |id: &i64| {
                let category = state.categories.get(*id);
                category.is_some_and(|known| known.reference_id.as_deref() == Some(reference_id))
            };
            state.categories.ids().filter(is_meant).collect()
        })
    }

    /// Looks at a channel's members: an ancestor's, where it inherits them.
    pub fn member_rows(&self, id: i64, look: &Look) -> Rows<MemberRow> {
        self.act(|state, _| {
            let wanted = look.search.to_lowercase();
            let category = state.categories.get(id);
            let from = category.map_or(id, |category| category.members_from());
            let owner = category.and_then(|category| category.owner_key);
            let rows = state
                .categories
                .entry(from)
                .map_or(&[][..], |entry| &entry.rows);
            let mut found: Vec<(Arc<crate::sandbox::state::User>, u32, UserKey)> = rows
                .iter()
                .filter(|row| state.memberships.cells(**row).status != DELETED)
                .map(|row| (state.memberships.user(*row), *row))
                .map(|(user, row)| (Arc::clone(state.users.get(user)), row, user))
                .filter(|(user, ..)| {
                    wanted.is_empty()
                        || user.id.to_lowercase().contains(&wanted)
                        || user.full_name().to_lowercase().contains(&wanted)
                })
                .collect();
            found.sort_by(|a, b| a.0.id.cmp(&b.0.id));
            look.cut(found, |(user, row, key)| {
                let cells = state.memberships.cells(row);
                MemberRow {
                    user_id: user.id.to_string(),
                    name: shown_name(&user),
                    level: Level::of(cells.level),
                    method: Method::of(cells.method),
                    status: Status::of(cells.status),
                    owner: owner == Some(key),
                    created_at: cells.created,
                    updated_at: cells.updated,
                }
            })
        })
    }

    /// Looks at users and groups, by id, name or mail address.
    pub fn users(&self, look: &Look) -> Rows<UserView> {
        self.act(|state, _| {
            let wanted = look.search.to_lowercase();
            let has = |text: &str| text.to_lowercase().contains(&wanted);
            let mut found: Vec<UserKey> = living(state)
                .filter(|key| {
                    let user = state.users.get(*key);
                    wanted.is_empty()
                        || has(&user.id)
                        || has(&user.full_name())
                        || user.email.as_deref().is_some_and(has)
                })
                .collect();
            found.sort_by(|a, b| state.users.get(*a).id.cmp(&state.users.get(*b).id));
            look.cut(found, |key| {
                let user = state.users.get(key);
                let rows = state.users.rows(key).iter();
                UserView {
                    id: user.id.to_string(),
                    name: shown_name(user),
                    email: user.email.clone(),
                    group: user.kind != 0,
                    memberships: rows
                        .filter(|row| state.memberships.cells(**row).status != DELETED)
                        .count(),
                }
            })
        })
    }

    /// Looks at the background work that waits.
    pub fn jobs(&self) -> Vec<JobView> {
        self.act(|state, now_ms| {
            let view = |(due, job): &(i64, Job)| JobView {
                kind: job.kind(),
                what: what(state, job),
                due_in_ms: (*due < i64::MAX).then(|| (due - now_ms).max(0)),
            };
            state.jobs.waiting.iter().map(view).collect()
        })
    }
}

impl Look {
    pub(super) fn cut<T, V>(&self, found: Vec<T>, view: impl Fn(T) -> V) -> Rows<V> {
        let size = if self.size == 0 { PAGE } else { self.size };
        let total = found.len();
        let pages = total.div_ceil(size).max(1);
        let page = self.page.clamp(1, pages);
        let rows = found.into_iter().skip((page - 1) * size).take(size);
        Rows {
            total,
            page,
            pages,
            rows: rows.map(view).collect(),
        }
    }
}

fn is_channel(state: &State, category: &Category) -> bool {
    category.reference_id.is_some()
        || category.owner.is_some()
        || state.categories.child_count(category.id) == 0
        || state
            .categories
            .entry(category.id)
            .is_some_and(|entry| entry.tally.members > 0)
}

fn channel_view(state: &State, category: &Category) -> ChannelView {
    let from = category.members_from();
    let members = state.categories.entry(from);
    ChannelView {
        id: category.id,
        name: category.name.clone(),
        full_name: category.full_name.clone(),
        reference_id: category.reference_id.clone(),
        owner: category.owner.clone(),
        members: members.map_or(0, |entry| entry.tally.members),
        inherits_from: (category.inheritance == INHERIT).then_some(from),
        join_policy: JoinPolicy::of(category.join_policy),
    }
}

fn living(state: &State) -> impl Iterator<Item = UserKey> {
    let keys = state.users.keys();
    keys.filter(|key| state.users.get(*key).deleted.is_none())
}

/// A name; nothing where Kaltura only repeats the id.
fn shown_name(user: &crate::sandbox::state::User) -> String {
    let name = user.full_name();
    if *name == *user.id {
        String::new()
    } else {
        name
    }
}

fn what(state: &State, job: &Job) -> String {
    let name = |id: i64| {
        let entry = state.categories.entry(id);
        entry.map_or_else(|| id.to_string(), |entry| entry.stored.name.clone())
    };
    let user = |key: UserKey| Arc::clone(&state.users.get(key).id);
    match job {
        Job::Reindex(id) => format!("bring paths below {} up to date", name(*id)),
        Job::ForgetUser(key) => format!("remove the memberships of {}", user(*key)),
        Job::EmptyCategory(id) => format!("remove the members of {}", name(*id)),
        Job::CopyMembers(id) => format!("copy members into {}", name(*id)),
        Job::TransformMetadata(id) => format!("take documents of profile {id} along"),
        Job::FillClone { clone, .. } => format!("fill the group {}", user(*clone)),
        Job::BulkStart(id) => format!("read the file of bulk upload {id}"),
        Job::BulkRun(id) => format!("do rows of bulk upload {id}"),
        Job::BulkClose(id) => format!("close bulk upload {id}"),
    }
}
