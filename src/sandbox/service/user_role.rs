//! `userRole`: named sets of permissions.

use jiff::Timestamp;

use super::user_role_list::list;
use super::{Service, action};
use crate::sandbox::access::installed;
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::params::Kind;
use crate::sandbox::state::Role;

/// The first number of an account's own role; lower ones are the installation's.
const FIRST_ROLE: i64 = 60;

pub(super) const SERVICE: Service = Service {
    name: "userRole",
    actions: &[
        action(
            "add",
            const { &[required("userRole", Kind::Object(&classes::USER_ROLE))] },
            &["ADMIN_ROLE_ADD"],
            add,
        ),
        action(
            "get",
            const { &[required("userRoleId", Kind::Int)] },
            &["ADMIN_BASE"],
            get,
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::USER_ROLE_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            &["ADMIN_BASE"],
            list,
        ),
        action(
            "clone",
            const { &[required("userRoleId", Kind::Int)] },
            &["ADMIN_ROLE_ADD"],
            clone,
        ),
        action(
            "update",
            const {
                &[
                    required("userRoleId", Kind::Int),
                    required("userRole", Kind::Object(&classes::USER_ROLE)),
                ]
            },
            &["ADMIN_ROLE_UPDATE"],
            update,
        ),
        action(
            "delete",
            const { &[required("userRoleId", Kind::Int)] },
            &["ADMIN_ROLE_DELETE"],
            delete,
        ),
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = call.args.record("userRole").cloned().unwrap_or_default();
    let Some(name) = sent.text("name") else {
        let missing = error::PROPERTY_VALIDATION_CANNOT_BE_NULL;
        return Err(ApiError::new(missing, &[&"KalturaUserRole::name"]).into());
    };
    let taken = |role: &Role| role.status != 3 && role.name == name;
    if call.state.roles.iter().any(taken) {
        return Err(ApiError::new(error::ROLE_NAME_ALREADY_EXISTS, &[]).into());
    }
    let now = call.now();
    let role = Role {
        id: next_id(call),
        name: name.to_owned(),
        system_name: sent.text("systemName").map(str::to_owned),
        description: sent.text("description").map(str::to_owned),
        tags: sent.text("tags").map(str::to_owned),
        status: 1,
        permissions: names(call, sent.text("permissionNames").unwrap_or_default())?,
        created: now,
        updated: now,
    };
    let answer = view(call, &role, true);
    call.state.roles.push(role);
    Ok(answer)
}

fn next_id(call: &Call<'_>) -> i64 {
    FIRST_ROLE + i64::try_from(call.state.roles.len()).unwrap_or(0)
}

/// The account's own role of the number that was sent, or the installation's.
fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.args.int("userRoleId").unwrap_or(0);
    let mut installed = installed::roles().iter();
    if let Some(role) = installed.find(|role| role.id == id) {
        return Ok(view(call, role, false));
    }
    let at = find(call)?;
    Ok(view(call, &call.state.roles[at], false))
}

/// Copies a role. Its name says when; that there may be one of this name already is not asked.
fn clone(call: &mut Call<'_>) -> Outcome {
    let id = call.args.int("userRoleId").unwrap_or(0);
    let installed = installed::roles().iter().find(|role| role.id == id);
    let role = match installed {
        Some(role) => role.clone(),
        None => call.state.roles[find(call)?].clone(),
    };
    let now = call.now();
    let when = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let name = format!(
        "{} copy ({})",
        role.name,
        when.strftime("%a %d %b %Y, %H:%M:%S")
    );
    let copy = Role {
        id: next_id(call),
        name,
        system_name: None,
        permissions: installed::names_of(call.state, &role)
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        created: now,
        updated: now,
        ..role
    };
    let answer = view(call, &copy, false);
    call.state.roles.push(copy);
    Ok(answer)
}

fn names(call: &Call<'_>, list: &str) -> Result<Vec<String>, ApiError> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            if installed::permissions(call.state).any(|known| known.name == name) {
                return Ok(name.to_owned());
            }
            let partner = call.state.partner.id;
            let text = format!("Permission [{name}] was not found for partner [{partner}]");
            Err(ApiError::new(error::PERMISSION_NOT_FOUND, &[&text]))
        })
        .collect()
}

fn find(call: &Call<'_>) -> Result<usize, ApiError> {
    let id = call.args.int("userRoleId").unwrap_or(0);
    call.state
        .roles
        .iter()
        .position(|role| role.id == id && role.status != 3)
        .ok_or_else(|| ApiError::new(error::INVALID_OBJECT_ID, &[&id]))
}

fn update(call: &mut Call<'_>) -> Outcome {
    let at = find(call)?;
    let sent = call.args.record("userRole").cloned().unwrap_or_default();
    let permissions = match sent.text("permissionNames") {
        Some(list) => Some(names(call, list)?),
        None => None,
    };
    let now = call.now();
    let role = &mut call.state.roles[at];
    if let Some(permissions) = permissions {
        role.permissions = permissions;
    }
    if let Some(name) = sent.text("name") {
        name.clone_into(&mut role.name);
    }
    if let Some(description) = sent.text("description") {
        role.description = Some(description.to_owned());
    }
    role.updated = now;
    Ok(view(call, &call.state.roles[at], false))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let at = find(call)?;
    let id = call.state.roles[at].id.to_string();
    let users = &call.state.users;
    if users.keys().any(|key| {
        let user = users.get(key);
        user.status != 2 && user.role_ids.split(',').any(|known| known == id)
    }) {
        return Err(ApiError::new(error::ROLE_IS_BEING_USED, &[]).into());
    }
    let now = call.now();
    let role = &mut call.state.roles[at];
    role.status = 3;
    role.updated = now;
    Ok(view(call, &call.state.roles[at], false))
}

/// A role as an answer.
pub(super) fn view(call: &Call<'_>, role: &Role, fresh: bool) -> Answer {
    let own = role.id >= FIRST_ROLE;
    let time = |time: i64| if own { time } else { call.state.opened };
    let system_name = match &role.system_name {
        None if fresh => Some(""),
        name => name.as_deref(),
    };
    Answer::Object(Object {
        class: "KalturaUserRole",
        fields: vec![
            ("id", Answer::Int(role.id)),
            ("name", Answer::text(&*role.name)),
            ("systemName", Answer::maybe(system_name)),
            ("description", Answer::maybe(role.description.as_deref())),
            ("status", Answer::Int(role.status)),
            (
                "partnerId",
                Answer::Int(if own { call.state.partner.id } else { 0 }),
            ),
            (
                "permissionNames",
                Answer::text(installed::names_of(call.state, role)),
            ),
            ("tags", Answer::maybe(role.tags.as_deref())),
            ("createdAt", Answer::Int(time(role.created))),
            ("updatedAt", Answer::Int(time(role.updated))),
        ],
    })
}
