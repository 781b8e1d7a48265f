//! `group_group`: groups.
//!
//! *Its one idea: a group is a user whom this service knows and calls by another name.*

use super::base_user::BaseUser;
use super::group_sync::INLINE;
use super::user::{check_rename, write};
use super::user_list::found;
use super::{Service, action};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::filter::Page;
use crate::sandbox::params::{Kind, Record};
use crate::sandbox::state::{GROUP, Job, Touch, User, UserKey, is_group};
use crate::sandbox::text::{USER_ID_BYTES, cut, is_user_id};

const OPEN_TO: &[&str] = &["CONTENT_MANAGE_ASSIGN_USER_GROUP"];

/// `status` of a deleted group.
const DELETED: i64 = 2;

/// What a clone takes over.
const CLONED: &[&str] = &["partnerData", "language", "thumbnailUrl", "description"];

pub(super) const SERVICE: Service = Service {
    name: "group_group",
    actions: &[
        action(
            "add",
            const { &[required("group", Kind::Object(&classes::GROUP))] },
            OPEN_TO,
            add,
        ),
        action(
            "get",
            const { &[required("groupId", Kind::Text)] },
            OPEN_TO,
            get,
        ),
        action(
            "update",
            const {
                &[
                    required("groupId", Kind::Text),
                    required("group", Kind::Object(&classes::GROUP)),
                ]
            },
            OPEN_TO,
            update,
        ),
        action(
            "delete",
            const { &[required("groupId", Kind::Text)] },
            OPEN_TO,
            delete,
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::GROUP_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            OPEN_TO,
            list,
        ),
        action(
            "clone",
            const {
                &[
                    required("originalGroupId", Kind::Text),
                    required("newGroupId", Kind::Text),
                    optional("newGroupName", Kind::Text),
                ]
            },
            OPEN_TO,
            clone,
        ),
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = call.args.record("group").cloned().unwrap_or_default();
    check_session(call)?;
    let id = sent.text("id").unwrap_or_default();
    if !is_user_id(id) {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"id"]).into());
    }
    if let Some(refused) = sent.refused(&classes::GROUP, true, |_| None) {
        return Err(refused.into());
    }
    if call.state.users.find(id).is_some() {
        return Err(ApiError::new(error::DUPLICATE_USER_BY_ID, &[&id]).into());
    }
    let now = call.now();
    let mut group = User::bare(id, now);
    write_group(&mut group, &sent, now);
    group.kind = sent.int("groupType").unwrap_or(GROUP);
    let key = call.state.users.insert(group);
    call.state.touch(Touch::User(key), call.now_ms);
    Ok(view(call, key, Some(id)))
}

fn get(call: &mut Call<'_>) -> Outcome {
    check_session(call)?;
    let key = find(call, "groupId")?;
    if !call.session.is_admin() {
        let id = call.args.text("groupId").unwrap_or_default();
        let refused = error::CANNOT_RETRIEVE_ANOTHER_USER_USING_NON_ADMIN_SESSION;
        return Err(ApiError::new(refused, &[&id]).into());
    }
    Ok(view(call, key, None))
}

fn update(call: &mut Call<'_>) -> Outcome {
    check_session(call)?;
    let key = find(call, "groupId")?;
    let sent = call.args.record("group").cloned().unwrap_or_default();
    if let Some(refused) = sent.refused(&classes::GROUP, false, |_| None) {
        return Err(refused.into());
    }
    if let Some(id) = sent.text("id") {
        check_rename(call, key, id)?;
    }
    let now = call.now();
    call.state.users.change(key, |group| {
        if let Some(id) = sent.text("id") {
            group.id = cut(id, USER_ID_BYTES).into();
        }
        write_group(group, &sent, now);
        group.kind = sent.int("groupType").unwrap_or(group.kind);
        group.updated = now;
    });
    call.state.touch(Touch::User(key), call.now_ms);
    if call.state.users.get(key).status == DELETED {
        call.state.gone(key, call.now_ms);
    }
    Ok(view(call, key, None))
}

/// Writes what was sent. A group has no other name than its screen name.
fn write_group(group: &mut User, sent: &Record, now: i64) {
    write(group, sent, now);
    group.first_name.clear();
    group.last_name.clear();
}

fn delete(call: &mut Call<'_>) -> Outcome {
    check_session(call)?;
    let key = find(call, "groupId")?;
    let now = call.now();
    call.state.users.change(key, |group| {
        group.set_status(DELETED, now);
        group.updated = now;
    });
    call.state.touch(Touch::User(key), call.now_ms);
    call.state.gone(key, call.now_ms);
    Ok(view(call, key, None))
}

fn list(call: &mut Call<'_>) -> Outcome {
    check_session(call)?;
    let limits = &call.state.limits;
    let page = Page::of(call.args.record("pager"), limits.default_page_size, limits)?;
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let mut groups = found(call, filter);
    // Applicative groups come only to those who ask for them.
    let kind = filter.int("groupType").unwrap_or(GROUP);
    groups.retain(|key| {
        call.state
            .users
            .indexed(*key)
            .is_some_and(|group| group.kind == kind)
    });
    let rows = page.cut(&groups).iter().map(|key| view(call, *key, None));
    Ok(Answer::page(
        "KalturaGroupListResponse",
        groups.len(),
        Some(rows.collect()),
    ))
}

fn clone(call: &mut Call<'_>) -> Outcome {
    check_session(call)?;
    let original = find(call, "originalGroupId")?;
    let id = call.args.text("newGroupId").unwrap_or_default().to_owned();
    if call.state.users.find(&id).is_some() {
        return Err(ApiError::new(error::DUPLICATE_GROUP_BY_ID, &[&id]).into());
    }
    if !is_user_id(&id) {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"id"]).into());
    }
    let model = call.state.users.get(original).clone();
    let mut group = User::bare(&id, call.now());
    group.kind = GROUP;
    call.args
        .filled("newGroupName")
        .unwrap_or(&id)
        .clone_into(&mut group.screen_name);
    group.tags.clone_from(&model.tags);
    group.email.clone_from(&model.email);
    group.status = model.status;
    group.texts.clone_from(&model.texts);
    group.texts.retain(|(name, _)| CLONED.contains(name));
    let key = call.state.users.insert(group);
    call.state.touch(Touch::User(key), call.now_ms);
    if call.state.groups.count(original) > INLINE {
        call.state.groups.filling.insert(key);
        let job = Job::FillClone {
            model: original,
            clone: key,
        };
        call.state.queue(job, call.now_ms);
    } else {
        call.state.fill_clone(original, key, call.now_ms);
    }
    Ok(view(call, key, Some(&id)))
}

/// A session that is nobody's and no administrator's has no groups.
fn check_session(call: &Call<'_>) -> Result<(), ApiError> {
    if call.session.is_admin() || call.user().is_some() {
        return Ok(());
    }
    Err(ApiError::new(error::USER_ID_NOT_PROVIDED_OR_EMPTY, &[]))
}

fn find(call: &Call<'_>, name: &str) -> Result<UserKey, ApiError> {
    let key = call
        .state
        .users
        .find(call.args.text(name).unwrap_or_default());
    key.filter(|key| is_group(call.state.users.get(*key)))
        .ok_or_else(|| ApiError::new(error::INVALID_GROUP_ID, &[]))
}

/// A group as an answer. Right after `add` (then the id as it was sent is given) what only the
/// database fills in is missing.
fn view(call: &Call<'_>, key: UserKey, sent: Option<&str>) -> Answer {
    let group = call.state.users.get(key);
    let filling = call.state.groups.filling.contains(&key);
    let members = i64::try_from(call.state.groups.count(key)).unwrap_or(i64::MAX);
    let base = BaseUser {
        user: group,
        sent_id: sent,
    };
    let mut fields = base.fields(call, Answer::Null);
    fields.extend([
        ("membersCount", Answer::Int(members)),
        ("processStatus", Answer::Int(i64::from(filling))),
        ("groupType", Answer::Int(group.kind)),
    ]);
    Answer::Object(Object {
        class: "KalturaGroup",
        fields,
    })
}
