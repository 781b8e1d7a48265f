//! `user.list`.
//!
//! *Its one idea: unlike in the list of memberships, unknown ids are just not found.*

use super::user::view;
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::filter::{OneOf, Page, Range, order, sort_by, texts};
use crate::sandbox::params::Record;
use crate::sandbox::state::{User, UserKey};
use crate::sandbox::text::{starts_with, user_key};

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let limits = &call.state.limits;
    let page = Page::of(call.args.record("pager"), limits.default_page_size, limits)?;
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let found = found(call, filter);
    let rows = page
        .cut(&found)
        .iter()
        .map(|key| view(call, *key, None))
        .collect();
    Ok(Answer::page(
        "KalturaUserListResponse",
        found.len(),
        Some(rows),
    ))
}

/// The users a filter finds, in the order it asks for.
pub(super) fn found(call: &Call<'_>, filter: &Record) -> Vec<UserKey> {
    let limits = &call.state.limits;
    let wanted = Wanted {
        status: OneOf::of(filter, "status", limits),
        kind: OneOf::of(filter, "type", limits),
        created: Range::of(filter, "createdAt"),
        updated: Range::of(filter, "updatedAt"),
        filter,
    };
    let mut found: Vec<UserKey> = candidates(call, filter);
    found.retain(|key| {
        let user = call.state.users.indexed(*key);
        user.is_some_and(|user| wanted.has(user))
    });
    match order(Some(filter), &["id", "createdAt", "updatedAt"]) {
        Some(("id", backwards)) => {
            sort_by(&mut found, backwards, |key| {
                call.state.users.get(*key).id.to_lowercase()
            });
        }
        Some((column, backwards)) => sort_by(&mut found, backwards, |key| {
            let user = call.state.users.get(*key);
            if column == "createdAt" {
                user.created
            } else {
                user.updated
            }
        }),
        None => {}
    }
    found
}

/// Users worth looking at: those of the ids, where ids are asked for.
fn candidates(call: &Call<'_>, filter: &Record) -> Vec<UserKey> {
    let users = &call.state.users;
    let equal = filter.filled("idEqual").map(user_key);
    if let Some(list) = filter.filled("idIn") {
        let ids = texts(list, &call.state.limits);
        let mut found: Vec<UserKey> = ids.into_iter().filter_map(|id| users.find(id)).collect();
        found.sort_unstable();
        found.dedup();
        found.retain(|key| {
            equal
                .as_ref()
                .is_none_or(|id| user_key(&users.get(*key).id) == *id)
        });
        return found;
    }
    match equal {
        Some(id) => users.find(&id).into_iter().collect(),
        None => users.keys().collect(),
    }
}

struct Wanted<'a> {
    filter: &'a Record,
    status: OneOf,
    kind: OneOf,
    created: Range,
    updated: Range,
}

impl Wanted<'_> {
    fn has(&self, user: &User) -> bool {
        let filter = self.filter;
        let email = user.email.as_deref().unwrap_or_default();
        let starts = |name: &str, texts: &[&str]| {
            filter
                .filled(name)
                .is_none_or(|start| texts.iter().any(|text| starts_with(text, start)))
        };
        let contains = |name: &str, text: &str| {
            filter
                .filled(name)
                .is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()))
        };
        let flag = |name: &str, value: bool| match filter.int(name) {
            Some(1) => value,
            Some(0) => !value,
            _ => true,
        };
        self.status.has(user.status)
            && self.kind.has(user.kind)
            && self.created.has(user.created)
            && self.updated.has(user.updated)
            && flag("isAdminEqual", user.is_admin)
            && flag("loginEnabledEqual", user.login_enabled)
            && starts("screenNameStartsWith", &[&user.screen_name])
            && starts("emailStartsWith", &[email])
            && starts("firstNameStartsWith", &[&user.first_name])
            && starts("lastNameStartsWith", &[&user.last_name])
            && starts("idOrScreenNameStartsWith", &[&user.id, &user.screen_name])
            && starts("firstNameOrLastNameStartsWith", &[&user.first_name, &user.last_name])
            && contains("screenNameLike", &user.screen_name)
            && contains("emailLike", email)
            // One role is searched in a column that is never filled.
            && filter.filled("roleIdEqual").is_none()
            && filter.filled("roleIdsEqual").is_none_or(|ids| ids == user.role_ids)
    }
}
