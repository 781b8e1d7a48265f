//! `userRole.list`.
//!
//! *Its one idea: the installation's roles come first*, in the same list as the account's own.

use super::user_role::view;
use crate::sandbox::access::installed;
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::filter::{OneOf, Page, Range, order, sort_by};
use crate::sandbox::params::Record;
use crate::sandbox::state::Role;

/// `status` of a deleted role, which is never listed.
const DELETED: i64 = 3;

#[expect(
    clippy::unnecessary_wraps,
    reason = "an action is a function that may fail"
)]
pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let limits = &call.state.limits;
    let id = OneOf::of(filter, "id", limits);
    let status = OneOf::of(filter, "status", limits);
    let owner = OneOf::of(filter, "partnerId", limits);
    let (created, updated) = (
        Range::of(filter, "createdAt"),
        Range::of(filter, "updatedAt"),
    );
    let has = |role: &Role, partner: i64| {
        role.status != DELETED
            && id.has(role.id)
            && status.has(role.status)
            && owner.has(partner)
            && created.has(role.created)
            && updated.has(role.updated)
            && named(filter, "name", Some(&role.name))
            && named(filter, "systemName", role.system_name.as_deref())
    };
    let installed = installed::roles().iter().filter(|role| has(role, 0));
    let own = call.state.partner.id;
    let own = call.state.roles.iter().filter(|role| has(role, own));
    let mut found: Vec<&Role> = installed.chain(own).collect();
    if let Some((column, backwards)) = order(Some(filter), &["id", "createdAt", "updatedAt"]) {
        sort_by(&mut found, backwards, |role| match column {
            "id" => role.id,
            "createdAt" => role.created,
            _ => role.updated,
        });
    }
    let page = Page::unbounded(call.args.record("pager"), limits);
    let rows = page.cut(&found).iter().map(|role| view(call, role, false));
    Ok(Answer::page(
        "KalturaUserRoleListResponse",
        found.len(),
        Some(rows.collect()),
    ))
}

/// Whether a name is the one that is asked for, or one of them.
fn named(filter: &Record, field: &str, name: Option<&str>) -> bool {
    filter
        .filled(&format!("{field}Equal"))
        .is_none_or(|wanted| name == Some(wanted))
        && filter
            .filled(&format!("{field}In"))
            .is_none_or(|list| list.split(',').any(|wanted| name == Some(wanted)))
}
