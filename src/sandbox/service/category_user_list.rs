//! `categoryUser.list`.
//!
//! *Its one idea: the list is wider than the question.* Ids that Kaltura does not know vanish from a
//! comma list, and a list of nothing else is no filter at all: then everybody comes.

use std::collections::BTreeSet;

use super::category_list::within_path;
use super::category_user::view;
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::filter::{OneOf, Page, Range, numbers, order, sort_by};
use crate::sandbox::params::Record;
use crate::sandbox::state::{Category, Cells, DELETED, State, UserKey};
use crate::sandbox::text::has_words;

const CLASS: &str = "KalturaCategoryUserListResponse";

/// The permission name that stands for each level in `permissionLevelIn`.
const LEVEL_NAMES: [&str; 4] = [
    "CATEGORY_EDIT",
    "CATEGORY_MODERATE",
    "CATEGORY_CONTRIBUTE",
    "CATEGORY_VIEW",
];

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let limits = &call.state.limits;
    let page = Page::of(call.args.record("pager"), limits.default_page_size, limits)?;
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let asked = [
        "categoryIdIn",
        "categoryFullIdsStartsWith",
        "categoryFullIdsEqual",
        "userIdEqual",
        "userIdIn",
        "relatedGroupsByUserId",
    ];
    let by_category = filter.int("categoryIdEqual").filter(|id| *id != 0);
    if by_category.is_none() && !asked.iter().any(|name| filter.filled(name).is_some()) {
        return Err(ApiError::new(error::MUST_FILTER_USERS_OR_CATEGORY, &[]).into());
    }
    let categories = match categories(call, filter) {
        Scope::Unknown => return Ok(Answer::page(CLASS, 0, None)),
        Scope::All => None,
        Scope::Only(ids) => Some(ids),
    };
    let users = users(call, filter);
    let mut rows = candidates(call.state, categories.as_ref(), users.as_ref());
    let wanted = Wanted::of(call, filter);
    rows.retain(|row| wanted.has(call, *row));
    if let Some((column, backwards)) = order(Some(filter), &["createdAt", "updatedAt"]) {
        let memberships = &call.state.memberships;
        sort_by(&mut rows, backwards, |row| {
            memberships.indexed(*row).map(|cells| match column {
                "createdAt" => cells.created,
                _ => cells.updated,
            })
        });
    }
    // Found in the index, fetched from the database: what is gone from there makes a short page.
    let shown = page
        .cut(&rows)
        .iter()
        .filter(|row| call.state.memberships.cells(**row).status != DELETED)
        .map(|row| view(call.state, *row))
        .collect();
    Ok(Answer::page(CLASS, rows.len(), Some(shown)))
}

/// Which categories a list is about.
enum Scope {
    /// One that is not there: the answer has not even an empty list.
    Unknown,
    /// None was asked for, or only unknown ones in a list.
    All,
    /// These, ancestors in the place of those that inherit.
    Only(BTreeSet<i64>),
}

fn categories(call: &Call<'_>, filter: &Record) -> Scope {
    if let Some(id) = filter.int("categoryIdEqual").filter(|id| *id != 0) {
        return match call.category(id) {
            Some(category) => Scope::Only(BTreeSet::from([category.members_from()])),
            None => Scope::Unknown,
        };
    }
    let Some(list) = filter.filled("categoryIdIn") else {
        return Scope::All;
    };
    let known: BTreeSet<i64> = numbers(list, &call.state.limits)
        .into_iter()
        .filter_map(|id| call.category(id))
        .map(Category::members_from)
        .collect();
    if known.is_empty() {
        return Scope::All;
    }
    Scope::Only(known)
}

/// The users asked for; no set where none was (or only unknown ones in a list).
fn users(call: &Call<'_>, filter: &Record) -> Option<BTreeSet<UserKey>> {
    let find = |id: &str| call.state.users.find(id);
    let mut wanted: Option<BTreeSet<UserKey>> = None;
    let mut narrow = |users: BTreeSet<UserKey>| {
        wanted = Some(match wanted.take() {
            Some(known) => known.intersection(&users).copied().collect(),
            None => users,
        });
    };
    if let Some(id) = filter.filled("userIdEqual") {
        narrow(find(id).into_iter().collect());
    }
    if let Some(id) = filter.filled("relatedGroupsByUserId") {
        // The groups, and the user, too.
        let user = find(id);
        let groups = user.map(|user| call.state.groups.of_user(user).map(|row| row.group));
        narrow(groups.into_iter().flatten().chain(user).collect());
    }
    if let Some(list) = filter.filled("userIdIn") {
        // Cut after 150 known users, not values; a list of commas alone does find nobody.
        let known: BTreeSet<UserKey> = list
            .split(',')
            .filter_map(find)
            .take(call.state.limits.list_values)
            .collect();
        let blank = list.split(',').all(str::is_empty);
        if !known.is_empty() || blank {
            narrow(known);
        }
    }
    wanted
}

/// Rows worth looking at, by number: through the shortest index there is.
fn candidates(
    state: &State,
    categories: Option<&BTreeSet<i64>>,
    users: Option<&BTreeSet<UserKey>>,
) -> Vec<u32> {
    let of_category = |id: &i64| state.categories.entry(*id).map(|entry| &entry.rows);
    match (categories, users) {
        (None, None) => (0..state.memberships.len()).collect(),
        (Some(ids), None) => {
            let mut rows: Vec<u32> = ids
                .iter()
                .filter_map(of_category)
                .flatten()
                .copied()
                .collect();
            if ids.len() > 1 {
                rows.sort_unstable();
            }
            rows
        }
        (categories, Some(users)) => {
            let mut rows: Vec<u32> = users
                .iter()
                .flat_map(|user| state.users.rows(*user))
                .copied()
                .filter(|row| {
                    categories.is_none_or(|ids| ids.contains(&state.memberships.category(*row)))
                })
                .collect();
            rows.sort_unstable();
            rows
        }
    }
}

/// The rest of a filter, read.
struct Wanted<'a> {
    status: OneOf,
    method: OneOf,
    created: Range,
    updated: Range,
    /// Whether the search finds anything at all.
    possible: bool,
    /// Which permission names are wanted, by their number.
    names: Vec<bool>,
    path: Option<&'a str>,
    free_text: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(call: &Call<'_>, filter: &'a Record) -> Self {
        let limits = &call.state.limits;
        Self {
            status: OneOf::of(filter, "status", limits),
            method: OneOf::of(filter, "updateMethod", limits),
            created: Range::of(filter, "createdAt"),
            updated: Range::of(filter, "updatedAt"),
            // Two of Kaltura's own mistakes: a method of 0 is taken for none, and the full ids are
            // not in the index in the form they are searched in.
            possible: filter.int("updateMethodEqual") != Some(0)
                && filter.filled("categoryFullIdsEqual").is_none(),
            names: call
                .state
                .memberships
                .names_where(|names| names_fit(filter, names)),
            path: filter.filled("categoryFullIdsStartsWith"),
            free_text: filter.filled("freeText"),
        }
    }

    fn has(&self, call: &Call<'_>, row: u32) -> bool {
        let memberships = &call.state.memberships;
        memberships
            .indexed(row)
            .is_some_and(|cells| self.has_cells(cells))
            && self.path.is_none_or(|start| {
                let ids = call.state.categories.full_ids(memberships.category(row));
                ids.is_some_and(|ids| within_path(&ids, start))
            })
            && self.free_text.is_none_or(|text| {
                let user = call.state.users.get(memberships.user(row));
                has_words(text, &[&user.id, &user.screen_name, &user.full_name()])
            })
            && (!call.is_enforced() || call.category(memberships.category(row)).is_some())
    }

    fn has_cells(&self, cells: Cells) -> bool {
        self.possible
            && self.status.has(cells.status)
            && self.method.has(cells.method)
            && self.created.has(cells.created)
            && self.updated.has(cells.updated)
            && self
                .names
                .get(cells.names.number())
                .copied()
                .unwrap_or(true)
    }
}

/// Whether permission names fit a filter. Levels are searched by names, too: one level as the name
/// that is its own without the stronger ones, several as any of their names, and NONE not at all.
fn names_fit(filter: &Record, names: &str) -> bool {
    let has = |name: &str| names.split(',').any(|known| known == name);
    let level = |level: i64| {
        usize::try_from(level)
            .ok()
            .and_then(|at| LEVEL_NAMES.get(at))
    };
    let exact = match filter.int("permissionLevelEqual") {
        Some(wanted) => level(wanted).is_none_or(|name| {
            let stronger = LEVEL_NAMES.iter().take_while(|other| *other != name);
            has(name) && !stronger.into_iter().any(|other| has(other))
        }),
        None => true,
    };
    exact
        && filter.filled("permissionLevelIn").is_none_or(|list| {
            let mut wanted = list
                .split(',')
                .filter_map(|one| level(one.trim().parse().ok()?));
            wanted.any(|name| has(name))
        })
        && filter
            .filled("permissionNamesMatchAnd")
            .is_none_or(|list| list.split(',').all(|name| has(name.trim())))
        && filter
            .filled("permissionNamesMatchOr")
            .is_none_or(|list| list.split(',').any(|name| has(name.trim())))
        && filter
            .filled("permissionNamesNotContains")
            .is_none_or(|list| !list.split(',').any(|name| has(name.trim())))
}
