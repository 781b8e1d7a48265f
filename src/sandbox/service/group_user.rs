//! `groupUser`: who is in which group.
//!
//! *Its one idea: nobody is made here.* Unlike a membership of a category, one of a group needs a
//! user who is there already, and a group; neither stands for the other.

use std::sync::Arc;

use super::group_sync::sync;
use super::group_user_list::list;
use super::{Service, action};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::params::Kind;
use crate::sandbox::state::{
    BY_HAND, GroupRow, MANAGER_ROLE, MEMBER_ROLE, State, UserKey, is_group,
};

/// The permission that opens every group; others open what their user manages.
const ASSIGN: &str = "CONTENT_MANAGE_ASSIGN_USER_GROUP";
const OPEN_TO: &[&str] = &[ASSIGN, "BASE_USER_SESSION_PERMISSION"];

pub(super) const SERVICE: Service = Service {
    name: "groupUser",
    actions: &[
        action(
            "add",
            const { &[required("groupUser", Kind::Object(&classes::GROUP_USER))] },
            OPEN_TO,
            add,
        ),
        action(
            "update",
            const {
                &[
                    required("groupUserId", Kind::Text),
                    required("groupUser", Kind::Object(&classes::GROUP_USER)),
                ]
            },
            OPEN_TO,
            update,
        ),
        action(
            "delete",
            const {
                &[
                    required("userId", Kind::Text),
                    required("groupId", Kind::Text),
                ]
            },
            OPEN_TO,
            delete,
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::GROUP_USER_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            OPEN_TO,
            list,
        ),
        action(
            "sync",
            const {
                &[
                    required("userId", Kind::Text),
                    optional("groupIds", Kind::Text),
                    optional("removeFromExistingGroups", Kind::Bool),
                    optional("createNewGroups", Kind::Bool),
                ]
            },
            OPEN_TO,
            sync,
        ),
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = call.args.record("groupUser").cloned().unwrap_or_default();
    let group_id = sent.text("groupId").unwrap_or_default();
    check_manages(call, group_id, "add")?;
    let mode = sent.int("creationMode").unwrap_or(BY_HAND);
    let role = sent.int("userRole").unwrap_or(MEMBER_ROLE);
    let Some(user_id) = sent.filled("userId") else {
        // Kaltura writes the row first, and dies of it afterwards.
        let group = find_group(call.state, group_id)?;
        let ids = ((None, "".into()), (group, group_id.into()));
        call.state
            .write_group_row(ids.0, ids.1, mode, role, call.now_ms);
        return Err(ApiError::new(error::INTERNAL_SERVERL_ERROR, &[]).into());
    };
    let (user, group) = check_join(call.state, user_id, group_id)?;
    if let Some(refused) = sent.refused(&classes::GROUP_USER, true, |_| None) {
        return Err(refused.into());
    }
    let id = call.state.write_group_row(
        (Some(user), user_id.into()),
        (group, group_id.into()),
        mode,
        role,
        call.now_ms,
    );
    Ok(view_of(call.state, id))
}

/// What `groupUser.add` asks before it puts somebody into a group, in its order.
pub(in crate::sandbox) fn check_join(
    state: &State,
    user_id: &str,
    group_id: &str,
) -> Result<(UserKey, UserKey), ApiError> {
    let user = state
        .users
        .find(user_id)
        .filter(|user| !is_group(state.users.get(*user)))
        .ok_or_else(|| ApiError::new(error::USER_NOT_FOUND, &[]))?;
    let group = find_group(state, group_id)?;
    if state.groups.find(user, group).is_some() {
        return Err(ApiError::new(error::GROUP_USER_ALREADY_EXISTS, &[]));
    }
    if state.groups.of_user(user).count() >= state.limits.groups_per_user {
        return Err(ApiError::new(error::USER_EXCEEDED_MAX_GROUPS, &[]));
    }
    Ok((user, group))
}

fn find_group(state: &State, id: &str) -> Result<UserKey, ApiError> {
    let group = state.users.find(id);
    group
        .filter(|group| is_group(state.users.get(*group)))
        .ok_or_else(|| ApiError::new(error::GROUP_NOT_FOUND, &[]))
}

fn update(call: &mut Call<'_>) -> Outcome {
    let id = call.args.text("groupUserId").and_then(|id| id.parse().ok());
    let Some(row) = id.and_then(|id| call.state.groups.get(id)).cloned() else {
        return Err(ApiError::new(error::GROUP_USER_NOT_FOUND, &[]).into());
    };
    check_manages(call, &row.group_id, "update")?;
    let sent = call.args.record("groupUser").cloned().unwrap_or_default();
    let stored = |name: &str| match name {
        "userId" => Some(row.user_id.to_string()),
        "groupId" => Some(row.group_id.to_string()),
        "creationMode" => Some(row.creation_mode.to_string()),
        _ => None,
    };
    if let Some(refused) = sent.refused(&classes::GROUP_USER, false, stored) {
        return Err(refused.into());
    }
    if let Some(role) = sent.int("userRole") {
        call.state.set_group_role(row.id, role, call.now_ms);
    }
    Ok(view_of(call.state, row.id))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let user_id = call.args.text("userId").unwrap_or_default().to_owned();
    let group_id = call.args.text("groupId").unwrap_or_default().to_owned();
    check_manages(call, &group_id, "delete")?;
    let Some(user) = call.state.users.find(&user_id) else {
        return Err(ApiError::new(error::INVALID_USER_ID, &[]).into());
    };
    // Whether it is a group is not asked here.
    let Some(group) = call.state.users.find(&group_id) else {
        return Err(ApiError::new(error::GROUP_NOT_FOUND, &[]).into());
    };
    if !call.state.leave_group(user, group, call.now_ms) {
        let none = error::GROUP_USER_DOES_NOT_EXISTS;
        return Err(ApiError::new(none, &[&user_id, &group_id]).into());
    }
    Ok(Answer::Null)
}

/// Whether the session may touch all groups.
pub(super) fn has_all_groups(call: &Call<'_>) -> bool {
    call.session.is_admin() || call.session.permissions.allow(&[ASSIGN])
}

/// Whether the session's user is a manager in a group.
pub(super) fn is_manager(call: &Call<'_>, group_id: &str) -> bool {
    let row = call
        .user()
        .zip(call.state.users.find(group_id))
        .and_then(|(user, group)| call.state.groups.find(user, group));
    row.is_some_and(|row| row.role == MANAGER_ROLE)
}

/// The answer to somebody who reaches beyond the own groups; the action's name is in lower case, as
/// the service itself has it.
pub(super) fn forbidden(action: &str) -> ApiError {
    ApiError::new(error::SERVICE_FORBIDDEN, &[&format!("groupuser->{action}")])
}

fn check_manages(call: &Call<'_>, group_id: &str, action: &str) -> Result<(), ApiError> {
    if has_all_groups(call) || is_manager(call, group_id) {
        return Ok(());
    }
    Err(forbidden(action))
}

fn view_of(state: &State, id: i64) -> Answer {
    state
        .groups
        .get(id)
        .map_or(Answer::Null, |row| view(state, row))
}

/// Somebody in a group, as an answer.
pub(super) fn view(state: &State, row: &GroupRow) -> Answer {
    Answer::Object(Object {
        class: "KalturaGroupUser",
        fields: vec![
            ("id", Answer::text(row.id.to_string())),
            ("userId", Answer::Text(Arc::clone(&row.user_id))),
            ("groupId", Answer::Text(Arc::clone(&row.group_id))),
            ("status", Answer::Int(0)),
            ("partnerId", Answer::Int(state.partner.id)),
            ("createdAt", Answer::Int(row.created)),
            ("updatedAt", Answer::Int(row.updated)),
            ("creationMode", Answer::Int(row.creation_mode)),
            ("userRole", Answer::Int(row.role)),
            ("groupType", Answer::Int(state.users.get(row.group).kind)),
        ],
    })
}
