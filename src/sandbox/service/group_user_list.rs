//! `groupUser.list`.
//!
//! *Its one idea: this list reads the database*, so that it is never late, has no last page, and
//! finds nobody for ids it does not know.

use std::collections::BTreeSet;

use super::group_user::{forbidden, has_all_groups, is_manager, view};
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::filter::{OneOf, Page, Range, order, sort_by};
use crate::sandbox::params::Record;
use crate::sandbox::state::{GroupRow, UserKey, is_group};

const CLASS: &str = "KalturaGroupUserListResponse";

/// `status` of every row there is: deleted ones are not listed.
const ACTIVE: i64 = 0;

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    check_session(call, filter)?;
    let filters = ["userIdEqual", "userIdIn", "groupIdEqual", "groupIdIn"];
    // PHP takes the text `0` for none.
    if filters
        .iter()
        .all(|name| matches!(filter.text(name), None | Some("" | "0")))
    {
        let names = filters.map(|name| format!("KalturaGroupUserFilter::{name}"));
        return Err(cannot_be_null(&names.join("/")).into());
    }
    let page = Page::unbounded(call.args.record("pager"), &call.state.limits);
    let users = people(call, filter, "userId", false);
    let groups = people(call, filter, "groupId", true);
    let mut rows = rows(call, users.as_ref(), groups.as_ref());
    let limits = &call.state.limits;
    let status = OneOf::of(filter, "status", limits);
    let (created, updated) = (
        Range::of(filter, "createdAt"),
        Range::of(filter, "updatedAt"),
    );
    rows.retain(|row| {
        status.has(ACTIVE)
            && created.has(row.created)
            && updated.has(row.updated)
            && filter
                .int("groupType")
                .is_none_or(|kind| call.state.users.get(row.group).kind == kind)
    });
    if let Some((column, backwards)) = order(Some(filter), &["createdAt", "updatedAt"]) {
        sort_by(&mut rows, backwards, |row| match column {
            "createdAt" => row.created,
            _ => row.updated,
        });
    }
    let shown = page.cut(&rows).iter().map(|row| view(call.state, row));
    Ok(Answer::page(CLASS, rows.len(), Some(shown.collect())))
}

/// Who is neither an administrator nor may assign groups sees the own ones, and those it manages.
fn check_session(call: &Call<'_>, filter: &Record) -> Result<(), Failure> {
    if has_all_groups(call) {
        return Ok(());
    }
    if let Some(user) = filter.filled("userIdEqual") {
        let Some(user) = call.state.users.find(user) else {
            // Kaltura asks nobody for a number, and dies.
            return Err(ApiError::new(error::INTERNAL_SERVERL_ERROR, &[]).into());
        };
        if call.user() == Some(user) {
            return Ok(());
        }
        return Err(forbidden("list").into());
    }
    match filter.filled("groupIdEqual") {
        Some(group) if is_manager(call, group) => Ok(()),
        Some(_) => Err(forbidden("list").into()),
        None => Err(cannot_be_null(
            "KalturaGroupUserFilter::userIdEqual/KalturaGroupUserFilter::groupIdEqual",
        )
        .into()),
    }
}

fn cannot_be_null(names: &str) -> ApiError {
    ApiError::new(error::PROPERTY_VALIDATION_CANNOT_BE_NULL, &[&names])
}

/// The people a filter names by `<name>Equal` and `<name>In`; nothing where it names none.
fn people(call: &Call<'_>, filter: &Record, name: &str, groups: bool) -> Option<BTreeSet<UserKey>> {
    let users = &call.state.users;
    let find = |id: &str| {
        let found = users.find(id)?;
        (is_group(users.get(found)) == groups).then_some(found)
    };
    let equal = filter
        .filled(&format!("{name}Equal"))
        .map(|id| find(id).into_iter().collect::<BTreeSet<UserKey>>());
    let list = filter.filled(&format!("{name}In")).map(|list| {
        list.split(',')
            .filter_map(find)
            .collect::<BTreeSet<UserKey>>()
    });
    match (equal, list) {
        (Some(equal), Some(list)) => Some(equal.intersection(&list).copied().collect()),
        (equal, list) => equal.or(list),
    }
}

/// The rows of these people: user by user where users are asked for, else group by group, as the
/// database walks its index.
fn rows<'a>(
    call: &'a Call<'_>,
    users: Option<&BTreeSet<UserKey>>,
    groups: Option<&BTreeSet<UserKey>>,
) -> Vec<&'a GroupRow> {
    let all = &call.state.groups;
    match (users, groups) {
        (Some(users), groups) => users
            .iter()
            .flat_map(|user| all.of_user(*user))
            .filter(|row| groups.is_none_or(|groups| groups.contains(&row.group)))
            .collect(),
        (None, groups) => groups
            .into_iter()
            .flatten()
            .flat_map(|group| all.of_group(*group))
            .collect(),
    }
}
