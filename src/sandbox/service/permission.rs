//! `permission`: what the session may do as one comma list, and what there is to be allowed.
//!
//! *Its one idea: the order of a list is the database's own*: by number where everything comes at
//! once, by the index it has walked otherwise.

use super::{Service, action, open};
use crate::sandbox::access::installed::{self, Permission};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::filter::{OneOf, Page};
use crate::sandbox::params::{Kind, Record};

const OPEN_TO: &[&str] = &["ADMIN_BASE"];

pub(super) const SERVICE: Service = Service {
    name: "permission",
    actions: &[
        open("getCurrentPermissions", &[], |call| {
            Ok(Answer::text(call.session.permissions.listed(call.state)))
        }),
        action(
            "get",
            const { &[required("permissionName", Kind::Text)] },
            OPEN_TO,
            get,
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::PERMISSION_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            OPEN_TO,
            list,
        ),
    ],
};

fn get(call: &mut Call<'_>) -> Outcome {
    let name = call.args.text("permissionName").unwrap_or_default();
    let found = installed::permissions(call.state).find(|known| known.name == name);
    match found {
        Some(permission) => Ok(view(call, permission)),
        None => Err(ApiError::new(error::INVALID_OBJECT_ID, &[&name]).into()),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "an action is a function that may fail"
)]
fn list(call: &mut Call<'_>) -> Outcome {
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let limits = &call.state.limits;
    let (id, kind) = (
        OneOf::of(filter, "id", limits),
        OneOf::of(filter, "type", limits),
    );
    let status = OneOf::of(filter, "status", limits);
    let owner = OneOf::of(filter, "partnerId", limits);
    let own = call.state.partner.id;
    let mut found: Vec<&Permission> = installed::permissions(call.state)
        .filter(|permission| {
            id.has(permission.id)
                && kind.has(permission.kind)
                && status.has(permission.status)
                && owner.has(if permission.own { own } else { 0 })
                && filter
                    .filled("nameEqual")
                    .is_none_or(|name| name == permission.name)
                && filter
                    .filled("nameIn")
                    .is_none_or(|names| names.split(',').any(|name| name == permission.name))
        })
        .collect();
    let page = Page::unbounded(call.args.record("pager"), limits);
    if page.cut(&found).len() < found.len() || filter.has("typeEqual") {
        found.sort_by_key(|permission| (permission.kind, permission.status, permission.id));
    }
    let rows = page.cut(&found).iter().map(|found| view(call, found));
    Ok(Answer::page(
        "KalturaPermissionListResponse",
        found.len(),
        Some(rows.collect()),
    ))
}

fn view(call: &Call<'_>, permission: &Permission) -> Answer {
    let partner = if permission.own {
        call.state.partner.id
    } else {
        0
    };
    let opened = call.state.opened;
    Answer::Object(Object {
        class: "KalturaPermission",
        fields: vec![
            ("id", Answer::Int(permission.id)),
            ("type", Answer::Int(permission.kind)),
            ("name", Answer::text(permission.name)),
            ("friendlyName", Answer::text(permission.friendly_name)),
            ("description", Answer::maybe(permission.description)),
            ("status", Answer::Int(permission.status)),
            ("partnerId", Answer::Int(partner)),
            (
                "dependsOnPermissionNames",
                Answer::maybe(permission.depends_on),
            ),
            ("tags", Answer::maybe(permission.tags)),
            ("permissionItemsIds", Answer::maybe(permission.items)),
            ("createdAt", Answer::Int(opened)),
            ("updatedAt", Answer::Int(opened)),
            ("partnerGroup", Answer::maybe(permission.partner_group)),
        ],
    })
}
