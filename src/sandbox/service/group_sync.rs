//! `groupUser.sync`: the groups of a user, all at once.
//!
//! *Its one idea: what is easy is done, the rest is a job.* Groups that are there are joined in the
//! call; as soon as one has to be made or left, a bulk upload does all that is still to do.

use std::fmt::Write as _;

use super::bulk::hand_in_users;
use super::group_user::check_join;
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::state::{AUTOMATIC, GROUP, MEMBER_ROLE, State, UserKey, is_group};
use crate::sandbox::text::is_user_id;

/// From more groups on everything is left to the job (`user_groups_sync_threshold`).
pub(super) const INLINE: usize = 50;

/// `userMode` of a group that no synchronisation touches.
const PROTECTED: i64 = 1;

pub(super) fn sync(call: &mut Call<'_>) -> Outcome {
    let user_id = call.args.text("userId").unwrap_or_default().to_owned();
    let list = call.args.text("groupIds").unwrap_or_default().to_owned();
    let remove =
        !call.args.has("removeFromExistingGroups") || call.args.flag("removeFromExistingGroups");
    let create = !call.args.has("createNewGroups") || call.args.flag("createNewGroups");
    let separator = if list.contains(';') { ';' } else { ',' };
    let ids: Vec<&str> = list.split(separator).map(str::trim).collect();
    if !is_user_id(&user_id) {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"userId"]).into());
    }
    if !list.is_empty() && !ids.iter().all(|id| is_user_id(id)) {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"groupIds"]).into());
    }
    let user = call.state.users.find(&user_id);
    let Some(user) = user.filter(|user| !is_group(call.state.users.get(*user))) else {
        return Err(ApiError::new(error::INVALID_USER_ID, &[]).into());
    };
    if ids.len() <= INLINE {
        let (leave, join) = difference(call.state, user, &ids, remove, create);
        let mut left_over = !leave.is_empty();
        for id in join {
            match check_join(call.state, &user_id, &id) {
                Ok((user, group)) => {
                    let who = (Some(user), user_id.as_str().into());
                    let whither = (group, id.as_str().into());
                    call.state
                        .write_group_row(who, whither, AUTOMATIC, MEMBER_ROLE, call.now_ms);
                }
                Err(_) => left_over = true,
            }
        }
        if !left_over {
            return Ok(Answer::Null);
        }
    }
    let (leave, join) = difference(call.state, user, &ids, remove, create);
    if leave.is_empty() && join.is_empty() {
        return Ok(Answer::Null);
    }
    let mut file = "*action,userId,group\n".to_owned();
    let left = leave.iter().map(|group| {
        let id = &call.state.users.get(*group).id;
        format!("-{id}")
    });
    for group in left.chain(join) {
        // Ids know neither quotes nor line ends; commas they do.
        _ = writeln!(file, "2,\"{user_id}\",\"{group}\"");
    }
    hand_in_users(call, file)
}

/// The groups to leave and the ids of those to join. Ids are compared letter by letter here, so
/// that a group in another case is taken for a new one. Only automatic rows are ever removed, only
/// of plain groups, and never of protected ones.
fn difference(
    state: &State,
    user: UserKey,
    wanted: &[&str],
    remove: bool,
    create: bool,
) -> (Vec<UserKey>, Vec<String>) {
    let is_open = |key: UserKey| {
        let group = state.users.get(key);
        group.kind == GROUP && group.mode != PROTECTED
    };
    let is_there = |key: UserKey| state.users.find(&state.users.get(key).id) == Some(key);
    let leave = state
        .groups
        .of_user(user)
        .filter(|row| {
            remove
                && row.creation_mode == AUTOMATIC
                && !wanted.contains(&&*row.group_id)
                && is_there(row.group)
                && is_open(row.group)
        })
        .map(|row| row.group)
        .collect();
    let join = wanted
        .iter()
        .filter(|id| {
            let has = state.groups.of_user(user).any(|row| *row.group_id == ***id);
            let known = state.users.find(id);
            let known = known.filter(|key| *state.users.get(*key).id == ***id);
            !has && known.map_or(create, is_open)
        })
        .map(|id| (*id).to_owned())
        .collect();
    (leave, join)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Limits;
    use crate::sandbox::state::{BY_HAND, GROUP, Partner, User};

    fn account(groups: &[&str]) -> (State, UserKey, Vec<UserKey>) {
        let partner = Partner {
            id: 1,
            admin_secret: String::new(),
            user_secret: String::new(),
            entitlement: true,
        };
        let mut state = State::new(partner, Limits::default(), 0, None, 0);
        let user = state.users.insert(User::bare("ada", 0));
        let groups = groups
            .iter()
            .map(|id| {
                let mut group = User::bare(id, 0);
                group.kind = GROUP;
                state.users.insert(group)
            })
            .collect();
        (state, user, groups)
    }

    #[test]
    fn only_automatic_rows_of_open_groups_are_left() {
        let (mut state, user, groups) = account(&["by-hand", "auto", "protected"]);
        state.join_group(user, groups[0], BY_HAND, MEMBER_ROLE, 0);
        state.join_group(user, groups[1], AUTOMATIC, MEMBER_ROLE, 0);
        state.join_group(user, groups[2], AUTOMATIC, MEMBER_ROLE, 0);
        state
            .users
            .change(groups[2], |group| group.mode = PROTECTED);
        let (leave, join) = difference(&state, user, &["new"], true, true);
        assert_eq!(leave, [groups[1]]);
        assert_eq!(join, ["new"]);
        let (leave, join) = difference(&state, user, &["new"], false, false);
        assert!(leave.is_empty() && join.is_empty());
    }

    #[test]
    fn a_group_in_another_case_is_taken_for_a_new_one() {
        let (state, user, _) = account(&["staff"]);
        assert_eq!(
            difference(&state, user, &["Staff"], true, true).1,
            ["Staff"]
        );
        assert!(
            difference(&state, user, &["Staff"], true, false)
                .1
                .is_empty()
        );
    }
}
