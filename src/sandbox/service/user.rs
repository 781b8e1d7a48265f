//! `user`: people and groups.
//!
//! *Its one idea: an id is only a name.* It may be changed (memberships follow), is found without
//! regard to case, and comes free again when its user is deleted.

use super::base_user::BaseUser;
use super::user_list::list;
use super::{Service, action};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::params::{Kind, Record};
use crate::sandbox::state::{Touch, User, UserKey};
use crate::sandbox::text::{cut, is_user_id, user_key};

/// `status` of a deleted user.
const DELETED: i64 = 2;
/// The role of an administrator, on every installation.
const ADMINISTRATOR_ROLE: &str = "2";
/// A screen name is cut to this many bytes.
const SCREEN_NAME_BYTES: usize = 127;

/// Texts that are merely kept.
const TEXTS: &[&str] = &[
    "country",
    "state",
    "city",
    "zip",
    "thumbnailUrl",
    "description",
    "partnerData",
    "language",
    "title",
    "company",
    "ksPrivileges",
];

pub(super) const SERVICE: Service = Service {
    name: "user",
    actions: &[
        action(
            "add",
            const { &[required("user", Kind::Object(&classes::USER))] },
            &["ADMIN_USER_ADD"],
            add,
        ),
        action(
            "get",
            const { &[optional("userId", Kind::Text)] },
            &[
                "ADMIN_BASE",
                "KMC_READ_ONLY",
                "BASE_USER_SESSION_PERMISSION",
            ],
            get,
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::USER_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            &["ADMIN_BASE", "ACCOUNT_BASE"],
            list,
        ),
        action(
            "update",
            const {
                &[
                    required("userId", Kind::Text),
                    required("user", Kind::Object(&classes::USER)),
                ]
            },
            &["ADMIN_USER_UPDATE"],
            update,
        ),
        action(
            "delete",
            const { &[required("userId", Kind::Text)] },
            &["ADMIN_USER_DELETE"],
            delete,
        ),
        super::bulk::ADD_USERS,
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = call.args.record("user").cloned().unwrap_or_default();
    let id = match (sent.filled("id"), sent.filled("externalId")) {
        (Some(_), Some(_)) => {
            let both = error::ID_AND_EXTERNAL_ID_ARE_MUTUALLY_EXCLUSIVE;
            return Err(ApiError::new(both, &[]).into());
        }
        (Some("0"), None) => {
            let missing = error::PROPERTY_VALIDATION_CANNOT_BE_NULL;
            return Err(ApiError::new(missing, &[&"KalturaUser::id"]).into());
        }
        (id, external) => id.or(external).unwrap_or_default(),
    };
    if !is_user_id(id) {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"id"]).into());
    }
    if let Some(refused) = sent.refused(&classes::USER, true, |_| None) {
        return Err(refused.into());
    }
    if call.state.users.find(id).is_some() {
        return Err(ApiError::new(error::DUPLICATE_USER_BY_ID, &[&id]).into());
    }
    check_roles(call, &sent)?;
    let now = call.now();
    let mut user = User::bare(id, now);
    write(&mut user, &sent, now);
    if user.is_admin {
        user.login_enabled = true;
        if user.role_ids.is_empty() {
            ADMINISTRATOR_ROLE.clone_into(&mut user.role_ids);
        }
    }
    let key = call.state.users.insert(user);
    call.state.touch(Touch::User(key), call.now_ms);
    Ok(view(call, key, Some((&sent, id))))
}

fn get(call: &mut Call<'_>) -> Outcome {
    let own = call.session.user_id();
    let asked = call.args.text("userId").unwrap_or(own);
    if !call.session.is_admin() && user_key(asked) != user_key(own) {
        let refused = error::CANNOT_RETRIEVE_ANOTHER_USER_USING_NON_ADMIN_SESSION;
        return Err(ApiError::new(refused, &[&asked]).into());
    }
    match call.state.users.find(asked) {
        Some(key) => Ok(view(call, key, None)),
        None => Err(ApiError::new(error::INVALID_USER_ID, &[]).into()),
    }
}

fn update(call: &mut Call<'_>) -> Outcome {
    let key = find(call)?;
    let sent = call.args.record("user").cloned().unwrap_or_default();
    if sent.is_cleared("email") {
        // PHP 8 dies of a null where Kaltura expects an address.
        return Err(Failure::Fatal);
    }
    if let Some(refused) = sent.refused(&classes::USER, false, |_| None) {
        return Err(refused.into());
    }
    if let Some(id) = sent.text("id") {
        check_rename(call, key, id)?;
    }
    if sent.text("roleIds").is_some() && call.user() == Some(key) {
        return Err(ApiError::new(error::CANNOT_CHANGE_OWN_ROLE, &[]).into());
    }
    check_roles(call, &sent)?;
    let now = call.now();
    let renamed = sent
        .text("id")
        .is_some_and(|id| *id != *call.state.users.get(key).id);
    call.state.users.change(key, |user| {
        if let Some(id) = sent.text("id") {
            user.id = cut(id, crate::sandbox::text::USER_ID_BYTES).into();
        }
        write(user, &sent, now);
        user.updated = now;
    });
    call.state.touch(Touch::User(key), call.now_ms);
    if renamed {
        // Each row is written anew with the new id.
        for row in call.state.users.rows(key).to_vec() {
            call.state.renew_membership(row, call.now_ms);
        }
    }
    if call.state.users.get(key).status == DELETED {
        call.state.gone(key, call.now_ms);
    }
    let mut answer = view(call, key, None);
    if let Some(id) = sent.text("id") {
        // The answer shows the id as it was sent, longer than the database keeps it.
        answer.set("id", Answer::text(id));
    }
    Ok(answer)
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let key = find(call)?;
    if call.state.users.get(key).is_account_owner {
        let refused = error::CANNOT_DELETE_OR_BLOCK_ROOT_ADMIN_USER;
        return Err(ApiError::new(refused, &[]).into());
    }
    let now = call.now();
    call.state.users.change(key, |user| {
        user.set_status(DELETED, now);
        user.updated = now;
    });
    call.state.touch(Touch::User(key), call.now_ms);
    call.state.gone(key, call.now_ms);
    Ok(view(call, key, None))
}

fn find(call: &Call<'_>) -> Result<UserKey, ApiError> {
    let id = call.args.text("userId").unwrap_or_default();
    call.state
        .users
        .find(id)
        .ok_or_else(|| ApiError::new(error::INVALID_USER_ID, &[]))
}

/// Another case of the same id is taken already, by the user itself; so case can never be changed.
pub(super) fn check_rename(call: &Call<'_>, key: UserKey, id: &str) -> Result<(), ApiError> {
    if !is_user_id(id) {
        return Err(ApiError::new(error::INVALID_FIELD_VALUE, &[&"id"]));
    }
    let own = &call.state.users.get(key).id;
    if **own != *id && call.state.users.find(id).is_some() {
        return Err(ApiError::new(error::DUPLICATE_USER_BY_ID, &[&id]));
    }
    Ok(())
}

fn check_roles(call: &Call<'_>, sent: &Record) -> Result<(), ApiError> {
    let ids = sent.filled("roleIds").unwrap_or_default();
    let known = |id: &str| {
        id == ADMINISTRATOR_ROLE
            || call
                .state
                .roles
                .iter()
                .any(|role| role.status == 1 && role.id.to_string() == id)
    };
    if ids.is_empty() || ids.split(',').all(|id| known(id.trim())) {
        return Ok(());
    }
    Err(ApiError::new(error::USER_ROLE_NOT_FOUND, &[]))
}

/// Writes what was sent.
pub(super) fn write(user: &mut User, sent: &Record, now: i64) {
    if let Some(name) = sent.filled("screenName") {
        cut(name, SCREEN_NAME_BYTES).clone_into(&mut user.screen_name);
    }
    // A full name is split; first and last name win over it.
    if let Some(full) = sent.filled("fullName") {
        let (first, last) = full.split_once(' ').unwrap_or((full, ""));
        first.clone_into(&mut user.first_name);
        last.clone_into(&mut user.last_name);
    }
    if let Some(first) = sent.text("firstName") {
        first.clone_into(&mut user.first_name);
    }
    if let Some(last) = sent.text("lastName") {
        last.clone_into(&mut user.last_name);
    }
    if let Some(email) = sent.text("email") {
        user.email = Some(email.to_owned());
    }
    if let Some(tags) = sent.text("tags") {
        let tags: Vec<&str> = tags
            .split(',')
            .map(str::trim)
            // Of a single letter Kaltura makes no tag.
            .filter(|tag| tag.len() > 1)
            .collect();
        user.tags = Some(tags.join(", "));
    }
    for name in TEXTS {
        if let Some(text) = sent.text(name) {
            user.texts.retain(|(known, _)| known != name);
            user.texts.push((name, text.to_owned()));
        }
    }
    if let Some(born) = sent.int("dateOfBirth") {
        user.born = Some(born);
    }
    if let Some(gender) = sent.int("gender") {
        user.gender = Some(gender);
    }
    if let Some(kind) = sent.int("type") {
        user.kind = kind;
    }
    if let Some(status) = sent.int("status") {
        user.set_status(status, now);
    }
    if let Some(mode) = sent.int("userMode") {
        user.mode = mode;
    }
    if let Some(roles) = sent.text("roleIds") {
        user.role_ids = roles.replace(' ', "");
    }
    if sent.has("isAdmin") {
        user.is_admin = sent.flag("isAdmin");
    }
    if sent.flag("loginEnabled") {
        user.login_enabled = true;
    }
}

/// A user as an answer. Right after `add` (then what was sent is given, with the id) what only the
/// database fills in is missing.
pub(super) fn view(call: &Call<'_>, key: UserKey, sent: Option<(&Record, &str)>) -> Answer {
    let user = call.state.users.get(key);
    let base = BaseUser {
        user,
        sent_id: sent.map(|(_, id)| id),
    };
    let role_ids = match (&*user.role_ids, sent) {
        // Not yet from the database: still the number it was set to.
        (ADMINISTRATOR_ROLE, Some((sent, _))) if !sent.has("roleIds") => Answer::Int(2),
        (ids, _) => Answer::text(ids),
    };
    let kind = match sent {
        Some((sent, _)) if !sent.has("type") => Answer::Null,
        _ => Answer::Int(user.kind),
    };
    let external = sent.and_then(|(sent, _)| sent.filled("externalId"));
    let mut fields = base.fields(call, base.text(&user.full_name()));
    fields.extend([
        ("type", kind),
        ("dateOfBirth", Answer::maybe_int(user.born)),
        ("gender", Answer::maybe_int(user.gender)),
        ("isAdmin", Answer::Bool(user.is_admin)),
        ("isGuest", Answer::Bool(false)),
        ("roleIds", role_ids),
        ("roleNames", Answer::text(role_names(call, &user.role_ids))),
        ("isAccountOwner", Answer::Bool(user.is_account_owner)),
        ("firstName", base.text(&user.first_name)),
        ("lastName", base.text(&user.last_name)),
        ("loginEnabled", Answer::Bool(user.login_enabled)),
        ("title", base.maybe("title")),
        ("company", base.maybe("company")),
        ("ksPrivileges", base.maybe("ksPrivileges")),
        ("isSsoExcluded", Answer::Bool(false)),
        ("externalId", Answer::maybe(external)),
    ]);
    Answer::Object(Object {
        class: "KalturaUser",
        fields,
    })
}

/// Names of roles, the oldest role first, whatever order the ids are in.
fn role_names(call: &Call<'_>, ids: &str) -> String {
    let ids: Vec<&str> = ids.split(',').collect();
    let administrator = ids
        .contains(&ADMINISTRATOR_ROLE)
        .then_some("Publisher Administrator");
    let own = call.state.roles.iter();
    let own = own.filter(|role| ids.contains(&role.id.to_string().as_str()));
    let names = administrator
        .into_iter()
        .chain(own.map(|role| role.name.as_str()));
    names.collect::<Vec<_>>().join(",")
}
