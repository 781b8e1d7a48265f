//! `categoryUser`: who is in which category.
//!
//! *Its one idea: calls by key read the database, and each has its own order of checks.* `add` asks
//! for the category first, `update` for the user; only `update` respects manual rows, only `delete`
//! the owner.

use super::category_user_list::list;
use super::{Service, action, write};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::params::{Kind, Param};
use crate::sandbox::state::{
    ACTIVE, APPLICATIVE_GROUP, Cells, INHERIT, Job, NONE, NOT_ACTIVE, PENDING, State, UserKey,
    level_names,
};

const ASSIGN: &[&str] = &[
    "CONTENT_MANAGE_ASSIGN_CATEGORIES",
    "BASE_USER_SESSION_PERMISSION",
];
const READ: &[&str] = &[
    "CONTENT_MANAGE_ASSIGN_CATEGORIES",
    "KMC_READ_ONLY",
    "BASE_USER_SESSION_PERMISSION",
];
const PAIR: &[Param] = &[
    required("categoryId", Kind::Int),
    required("userId", Kind::Text),
];

pub(super) const SERVICE: Service = Service {
    name: "categoryUser",
    actions: &[
        write(
            "add",
            const {
                &[required(
                    "categoryUser",
                    Kind::Object(&classes::CATEGORY_USER),
                )]
            },
            ASSIGN,
            add,
        ),
        action("get", PAIR, READ, get),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::CATEGORY_USER_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            READ,
            list,
        ),
        write(
            "update",
            const {
                &[
                    required("categoryId", Kind::Int),
                    required("userId", Kind::Text),
                    required("categoryUser", Kind::Object(&classes::CATEGORY_USER)),
                    optional("override", Kind::Bool),
                ]
            },
            ASSIGN,
            update,
        ),
        write("delete", PAIR, ASSIGN, delete),
        write("activate", PAIR, ASSIGN, |call| set_status(call, ACTIVE)),
        write("deactivate", PAIR, ASSIGN, |call| {
            set_status(call, NOT_ACTIVE)
        }),
        action(
            "copyFromCategory",
            const { &[required("categoryId", Kind::Int)] },
            &["CONTENT_MANAGE_CATEGORY_USERS"],
            copy_from_category,
        ),
        super::bulk::ADD_CATEGORY_USERS,
        // Open to nobody but Kaltura's own workers.
        action("index", PAIR, &[], |_| Ok(Answer::Null)),
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = call
        .args
        .record("categoryUser")
        .cloned()
        .unwrap_or_default();
    let Some(id) = sent.int("categoryId") else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[]).into());
    };
    let Some(category) = call.category(id).cloned() else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    };
    if category.inheritance == INHERIT {
        return Err(ApiError::new(error::CATEGORY_INHERIT_MEMBERS, &[&id]).into());
    }
    let user_id = match sent.text("userId") {
        None => {
            let missing = error::PROPERTY_VALIDATION_CANNOT_BE_NULL;
            return Err(ApiError::new(missing, &[&"KalturaCategoryUser::userId"]).into());
        }
        Some("") => {
            let short = error::PROPERTY_VALIDATION_MIN_LENGTH;
            return Err(ApiError::new(short, &[&"KalturaCategoryUser::userId", &1]).into());
        }
        Some("0") => return Err(ApiError::new(error::INVALID_USER_ID, &[]).into()),
        Some(user_id) => user_id,
    };
    if let Some(refused) = sent.refused(&classes::CATEGORY_USER, true, |_| None) {
        return Err(refused.into());
    }
    let known = call.state.users.find(user_id);
    if known.is_some_and(|user| call.state.memberships.find(id, user).is_some()) {
        return Err(ApiError::new(error::CATEGORY_USER_ALREADY_EXISTS, &[]).into());
    }
    let level = sent
        .int("permissionLevel")
        .unwrap_or(category.default_level);
    let (status, granted) = if !call.is_enforced() || call.manages(&category) {
        (ACTIVE, level)
    } else {
        match category.join_policy {
            1 => (ACTIVE, category.default_level),
            2 => (PENDING, category.default_level),
            _ => return Err(ApiError::new(error::CATEGORY_USER_JOIN_NOT_ALLOWED, &[&id]).into()),
        }
    };
    call.make_session_user();
    // The user is made before the limit is looked at: a refused call may leave one behind.
    let Some(user) = call.state.user_or_new(user_id, call.now_ms) else {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"userId"]).into());
    };
    if call.state.users.get(user).kind == APPLICATIVE_GROUP && level != NONE {
        let refused = error::APPLICATIVE_GROUP_ASSOCIATION_TO_CATEGORY_NOT_ALLOWED;
        return Err(ApiError::new(refused, &[]).into());
    }
    let limit = call.state.limits.users_per_category;
    let members = call
        .state
        .categories
        .entry(id)
        .map_or(0, |entry| entry.tally.members);
    if members >= limit {
        return Err(ApiError::new(error::CATEGORY_MAX_USER_REACHED, &[&limit]).into());
    }
    // A join keeps the names of the level that was asked for, whatever level is granted.
    let names = sent.text("permissionNames").unwrap_or(level_names(level));
    let cells = Cells {
        level: granted,
        status,
        method: sent.int("updateMethod").unwrap_or(0),
        names: call.state.memberships.names(names),
        created: call.now(),
        updated: call.now(),
    };
    let row = call.state.add_membership(id, user, cells, call.now_ms);
    let mut answer = view(call.state, row);
    if known.is_none() {
        // A user made just now still has the id as it was sent, longer than the database keeps it.
        answer.set("userId", Answer::text(user_id));
    }
    Ok(answer)
}

fn get(call: &mut Call<'_>) -> Outcome {
    let (id, user) = pair(call)?;
    let Some(category) = call.category(id) else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    };
    let from = category.members_from();
    match call.state.memberships.find(from, user) {
        Some(row) => Ok(view(call.state, row)),
        None => Err(no_row(call, id).into()),
    }
}

fn update(call: &mut Call<'_>) -> Outcome {
    let (id, user, row) = direct_row(call)?;
    let sent = call
        .args
        .record("categoryUser")
        .cloned()
        .unwrap_or_default();
    let cells = call.state.memberships.cells(row);
    // `0 == null` in PHP: a manual row is not even open to an update that leaves it manual.
    if cells.method == 0 && !call.args.flag("override") {
        return Err(ApiError::new(error::CANNOT_OVERRIDE_MANUAL_CHANGES, &[]).into());
    }
    let Some(category) = call.category(id) else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    };
    if call.is_enforced() && !call.manages(category) {
        return Err(ApiError::new(error::CANNOT_UPDATE_CATEGORY_USER, &[]).into());
    }
    let stored = |name: &str| match name {
        "categoryId" => Some(id.to_string()),
        "userId" => Some(call.state.users.get(user).id.to_string()),
        _ => None,
    };
    if let Some(refused) = sent.refused(&classes::CATEGORY_USER, false, stored) {
        return Err(refused.into());
    }
    let names = sent.text("permissionNames");
    let is_owner = category.owner_key == Some(user);
    if is_owner && names.is_some_and(|names| !names.split(',').any(|n| n == "CATEGORY_EDIT")) {
        return Err(ApiError::new(error::CANNOT_UPDATE_CATEGORY_USER_OWNER, &[]).into());
    }
    let level = sent.int("permissionLevel").unwrap_or(cells.level);
    if cells.level == NONE && level != NONE {
        // Kaltura looks up the user whose id stands in the object, and dies without one.
        let meant = sent.text("userId").and_then(|id| call.state.users.find(id));
        if meant.is_none() && !*call.state.nameless_user {
            return Err(ApiError::new(error::INTERNAL_SERVERL_ERROR, &[]).into());
        }
    }
    let names = match names {
        Some(names) => call.state.memberships.names(names),
        None if level != cells.level => call.state.memberships.names(level_names(level)),
        None => cells.names,
    };
    let method = sent.int("updateMethod").unwrap_or(cells.method);
    call.state.change_membership(row, call.now_ms, |cells| {
        cells.level = level;
        cells.method = method;
        cells.names = names;
    });
    Ok(view(call.state, row))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let (id, user, row) = direct_row(call)?;
    let Some(category) = call.category(id) else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    };
    let is_worker = call.session.is_worker;
    if category.inheritance == INHERIT && !is_worker {
        return Err(ApiError::new(error::CATEGORY_INHERIT_MEMBERS, &[&id]).into());
    }
    if call.is_enforced() && !call.manages(category) && call.user() != Some(user) {
        return Err(ApiError::new(error::CANNOT_UPDATE_CATEGORY_USER, &[]).into());
    }
    if category.owner_key == Some(user) && !is_worker {
        return Err(ApiError::new(error::CANNOT_UPDATE_CATEGORY_USER_OWNER, &[]).into());
    }
    call.state.delete_membership(row, call.now_ms);
    Ok(Answer::Null)
}

fn set_status(call: &mut Call<'_>, status: i64) -> Outcome {
    let (id, _, row) = direct_row(call)?;
    let Some(category) = call.category(id) else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    };
    if call.is_enforced() && !call.manages(category) {
        return Err(ApiError::new(error::CANNOT_UPDATE_CATEGORY_USER, &[]).into());
    }
    call.state
        .change_membership(row, call.now_ms, |cells| cells.status = status);
    Ok(view(call.state, row))
}

/// Leaves it to a worker to add the members of the parent. One that inherits has them already.
fn copy_from_category(call: &mut Call<'_>) -> Outcome {
    if call.is_enforced() {
        return Err(ApiError::new(error::CANNOT_UPDATE_CATEGORY_USER, &[]).into());
    }
    let id = call.args.int("categoryId").unwrap_or(0);
    let Some(category) = call.category(id) else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    };
    if category.parent == 0 {
        let root = error::CATEGORY_DOES_NOT_HAVE_PARENT_CATEGORY;
        return Err(ApiError::new(root, &[]).into());
    }
    if category.inheritance != INHERIT {
        call.state.queue(Job::CopyMembers(id), call.now_ms);
    }
    Ok(Answer::Null)
}

/// The category's number and the user of a call by key.
fn pair(call: &Call<'_>) -> Result<(i64, UserKey), ApiError> {
    let id = call.args.int("categoryId").unwrap_or(0);
    let user = call.args.text("userId").unwrap_or_default();
    match call.state.users.find(user) {
        Some(user) => Ok((id, user)),
        None => Err(ApiError::new(error::INVALID_USER_ID, &[])),
    }
}

/// The row a call by key means, which must be the category's own.
fn direct_row(call: &Call<'_>) -> Result<(i64, UserKey, u32), Failure> {
    let (id, user) = pair(call)?;
    match call.state.memberships.find(id, user) {
        Some(row) => Ok((id, user, row)),
        None => Err(no_row(call, id).into()),
    }
}

fn no_row(call: &Call<'_>, id: i64) -> ApiError {
    let user = call.args.text("userId").unwrap_or_default();
    ApiError::new(error::INVALID_CATEGORY_USER_ID, &[&id, &user])
}

/// A membership as an answer.
pub(in crate::sandbox) fn view(state: &State, row: u32) -> Answer {
    let memberships = &state.memberships;
    let cells = memberships.cells(row);
    let category = memberships.category(row);
    let full_ids = state.categories.full_ids(category);
    Answer::Object(Object {
        class: "KalturaCategoryUser",
        fields: vec![
            ("categoryId", Answer::Int(category)),
            (
                "userId",
                Answer::Text(state.users.get(memberships.user(row)).id.clone()),
            ),
            ("partnerId", Answer::Int(state.partner.id)),
            ("permissionLevel", Answer::Int(cells.level)),
            ("status", Answer::Int(cells.status)),
            ("createdAt", Answer::Int(cells.created)),
            ("updatedAt", Answer::Int(cells.updated)),
            ("updateMethod", Answer::Int(cells.method)),
            (
                "categoryFullIds",
                full_ids.map_or(Answer::Null, Answer::Text),
            ),
            (
                "permissionNames",
                Answer::Text(memberships.names_text(cells.names)),
            ),
        ],
    })
}
