//! `category`: the tree of channels and galleries.
//!
//! *Its one idea: a category is more than a name only below a privacy context.* Owner, members and
//! restrictions need one, on the category or above it.

use super::category_list::list;
use super::{Service, action};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::params::{Kind, Record};
use crate::sandbox::state::{ACTIVE, Category, Cells, INHERIT, Job, MANAGER, Touch};
use crate::sandbox::text::{cut, is_user_id, stored};

/// A name is at most this many bytes long.
const NAME_BYTES: usize = 200;

/// `reference_id` is a `varchar(512)`.
const REFERENCE_ID_BYTES: usize = 512;

/// Fields that need `CONTENT_MANAGE_CATEGORY_USERS`; without it they are dropped in silence.
const PROTECTED: &[&str] = &[
    "owner",
    "privacy",
    "privacyContext",
    "appearInList",
    "contributionPolicy",
    "inheritanceType",
    "defaultPermissionLevel",
];

/// Permission names an owner's membership has, in the order in which Kaltura writes them there.
const OWNER_NAMES: &str = "CATEGORY_CONTRIBUTE,CATEGORY_EDIT,CATEGORY_MODERATE,CATEGORY_VIEW";

const EDITORS: &[&str] = &["CONTENT_MANAGE_EDIT_CATEGORIES"];

pub(super) const SERVICE: Service = Service {
    name: "category",
    actions: &[
        action(
            "add",
            const { &[required("category", Kind::Object(&classes::CATEGORY))] },
            EDITORS,
            add,
        ),
        action(
            "get",
            const { &[required("id", Kind::Int)] },
            &[
                "CONTENT_MANAGE_EDIT_CATEGORIES",
                "CONTENT_MANAGE_ASSIGN_CATEGORIES",
                "CONTENT_MANAGE_BASE",
                "BASE_USER_SESSION_PERMISSION",
                "WIDGET_SESSION_PERMISSION",
            ],
            get,
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::CATEGORY_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            &[
                "CONTENT_MANAGE_ASSIGN_CATEGORIES",
                "CONTENT_MANAGE_BASE",
                "CONTENT_MODERATE_BASE",
                "ANALYTICS_BASE",
                "KMC_READ_ONLY",
                "BASE_USER_SESSION_PERMISSION",
                "WIDGET_SESSION_PERMISSION",
            ],
            list,
        ),
        action(
            "update",
            const {
                &[
                    required("id", Kind::Int),
                    required("category", Kind::Object(&classes::CATEGORY)),
                ]
            },
            EDITORS,
            update,
        ),
        action(
            "delete",
            const {
                &[
                    required("id", Kind::Int),
                    optional(
                        "moveEntriesToParentCategory",
                        Kind::Enum(&classes::NULLABLE),
                    ),
                ]
            },
            EDITORS,
            delete,
        ),
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = sent(call);
    let Some(name) = sent.text("name") else {
        let missing = error::PROPERTY_VALIDATION_CANNOT_BE_NULL;
        return Err(ApiError::new(missing, &[&"KalturaCategory::name"]).into());
    };
    let name = clean_name(name)?;
    if let Some(refused) = sent.refused(&classes::CATEGORY, true, |_| None) {
        return Err(refused.into());
    }
    let parent = sent.int("parentId").unwrap_or(0);
    if parent != 0 {
        if call.state.is_locked() {
            return Err(ApiError::new(error::CATEGORIES_LOCKED, &[]).into());
        }
        if call.category(parent).is_none() {
            return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&parent]).into());
        }
    }
    let now = call.now();
    let mut category = Category::new(parent, &name, now);
    category.inheritance = sent.int("inheritanceType").unwrap_or(category.inheritance);
    category.context = context_of(call, &sent)?.unwrap_or_default();
    write_plain(&mut category, &sent);
    call.state.categories.place(&mut category);
    check_context(&category, &sent)?;
    if category.inheritance == INHERIT {
        check_inheriting(&category, &sent)?;
    }
    if call
        .state
        .categories
        .child(parent, &category.name)
        .is_some()
    {
        let path = &category.full_name;
        return Err(ApiError::new(error::DUPLICATE_CATEGORY, &[path]).into());
    }
    if !category.contexts.is_empty() && category.inheritance != INHERIT {
        let owner = sent.filled("owner").unwrap_or(call.session.user_id());
        if !owner.is_empty() {
            check_owner(call, owner)?;
            category.owner = Some(owner.to_owned());
        }
    }
    call.make_session_user();
    category.id = call.state.categories.next_id();
    call.state.categories.place(&mut category);
    let id = category.id;
    call.state.categories.insert(category);
    call.state.touch(Touch::Category(id), call.now_ms);
    settle_owner(call, id);
    let answer = view(call, id, Some(&sent));
    Ok(answer)
}

fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.args.int("id").unwrap_or(0);
    match call.category(id) {
        Some(_) => Ok(view(call, id, None)),
        None => Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into()),
    }
}

fn update(call: &mut Call<'_>) -> Outcome {
    let id = call.args.int("id").unwrap_or(0);
    let Some(before) = call.category(id).cloned() else {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    };
    if call.is_enforced() && !call.manages(&before) {
        return Err(ApiError::new(error::NOT_ENTITLED_TO_UPDATE_CATEGORY, &[]).into());
    }
    let sent = sent(call);
    if let Some(refused) = sent.refused(&classes::CATEGORY, false, |name| match name {
        "userJoinPolicy" => Some(before.join_policy.to_string()),
        _ => None,
    }) {
        return Err(refused.into());
    }
    if call.state.is_locked() {
        return Err(ApiError::new(error::CATEGORIES_LOCKED, &[]).into());
    }
    let mut category = before.clone();
    if let Some(name) = sent.text("name") {
        category.name = clean_name(name)?;
    }
    if let Some(parent) = sent.int("parentId") {
        check_move(call, id, parent)?;
        category.parent = parent;
    }
    if let Some(context) = context_of(call, &sent)? {
        category.context = context;
    }
    category.inheritance = sent.int("inheritanceType").unwrap_or(category.inheritance);
    write_plain(&mut category, &sent);
    place_anew(call, &before, &mut category);
    check_context(&category, &sent)?;
    if category.inheritance == INHERIT {
        check_inheriting(&category, &sent)?;
    }
    let twin = call.state.categories.child(category.parent, &category.name);
    if twin.is_some_and(|twin| twin != id) {
        let path = &category.full_name;
        return Err(ApiError::new(error::DUPLICATE_CATEGORY, &[path]).into());
    }
    if let Some(owner) = sent.filled("owner") {
        check_owner(call, owner)?;
        category.owner = Some(owner.to_owned());
    }
    category.updated = call.now();
    follow_up(call, &before, &mut category);
    call.state
        .categories
        .change(id, |stored| *stored = category);
    call.state.touch(Touch::Category(id), call.now_ms);
    if call
        .state
        .categories
        .get(id)
        .is_some_and(|now| now.owner != before.owner || now.inheritance != before.inheritance)
    {
        settle_owner(call, id);
    }
    Ok(view(call, id, None))
}

/// Computes anew only what the change is about: the rest is as stale as it was.
fn place_anew(call: &Call<'_>, before: &Category, category: &mut Category) {
    let mut placed = category.clone();
    call.state.categories.place(&mut placed);
    let moved = category.parent != before.parent;
    if moved || category.name != before.name {
        category.full_name = placed.full_name;
        category.full_ids = placed.full_ids;
        category.depth = placed.depth;
    }
    if moved || category.context != before.context {
        category.contexts = placed.contexts;
    }
    if category.inheritance != before.inheritance {
        category.inherits_from = placed.inherits_from;
    }
}

/// Queues what a change has for consequences.
fn follow_up(call: &mut Call<'_>, before: &Category, category: &mut Category) {
    let id = category.id;
    let has_children = call.state.categories.child_count(id) > 0;
    let moved = category.parent != before.parent;
    if moved {
        // It keeps showing its old ancestor's members until the index job.
        category.inherits_from = before
            .inherits_from
            .filter(|_| category.inheritance == INHERIT);
        call.state.categories.locked |= has_children;
    }
    if moved
        || (has_children && category.full_name != before.full_name)
        || category.contexts != before.contexts
    {
        call.state.queue(Job::Reindex(id), call.now_ms);
    }
    if category.inheritance == INHERIT && before.inheritance != INHERIT {
        call.state.queue(Job::EmptyCategory(id), call.now_ms);
    }
    if category.inheritance != INHERIT && before.inheritance == INHERIT {
        let ancestor = before
            .inherits_from
            .and_then(|id| call.state.categories.get(id));
        if category.owner.is_none() {
            category.owner = ancestor.and_then(|ancestor| ancestor.owner.clone());
        }
    }
    if category.contexts.is_empty() && !before.contexts.is_empty() {
        category.owner = None;
        category.owner_key = None;
        for below in call.state.categories.subtree(id) {
            call.state.queue(Job::EmptyCategory(below), call.now_ms);
        }
    }
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.args.int("id").unwrap_or(0);
    if call.state.is_locked() {
        return Err(ApiError::new(error::CATEGORIES_LOCKED, &[]).into());
    }
    if call.category(id).is_none() {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&id]).into());
    }
    for id in call.state.categories.subtree(id) {
        call.state.categories.delete(id);
        call.state.touch(Touch::Category(id), call.now_ms);
        call.state.queue(Job::EmptyCategory(id), call.now_ms);
    }
    Ok(Answer::Null)
}

/// The category that was sent, without what the session may not write.
fn sent(call: &Call<'_>) -> Record {
    let mut sent = call.args.record("category").cloned().unwrap_or_default();
    if !call
        .session
        .permissions
        .allow(&["CONTENT_MANAGE_CATEGORY_USERS"])
    {
        sent.drop(PROTECTED);
    }
    sent
}

fn clean_name(name: &str) -> Result<String, ApiError> {
    if name.is_empty() {
        let short = error::PROPERTY_VALIDATION_MIN_LENGTH;
        return Err(ApiError::new(short, &[&"KalturaCategory::name", &1]));
    }
    if name.len() > NAME_BYTES {
        let long = error::PROPERTY_VALIDATION_MAX_LENGTH;
        return Err(ApiError::new(
            long,
            &[&"KalturaCategory::name", &NAME_BYTES],
        ));
    }
    // PHP's `trim`, which knows no other space than these.
    let name = name.trim_matches([' ', '\t', '\n', '\r', '\0', '\u{b}']);
    Ok(name.replace(['<', '>', ','], "_"))
}

fn context_of(call: &Call<'_>, sent: &Record) -> Result<Option<String>, Failure> {
    let Some(context) = sent.text("privacyContext") else {
        return Ok(None);
    };
    if call.is_enforced() {
        let refused = error::CANNOT_UPDATE_CATEGORY_PRIVACY_CONTEXT;
        return Err(ApiError::new(refused, &[]).into());
    }
    for one in context.split(',').filter(|_| !context.is_empty()) {
        if one.trim().len() < 4 || !one.trim().bytes().all(|b| b.is_ascii_alphanumeric()) {
            let invalid = error::PRIVACY_CONTEXT_INVALID_STRING;
            return Err(ApiError::new(invalid, &[&one]).into());
        }
    }
    Ok(Some(context.to_owned()))
}

/// Without a privacy context these fields cannot leave their defaults.
fn check_context(category: &Category, sent: &Record) -> Result<(), ApiError> {
    if !category.contexts.is_empty() {
        return Ok(());
    }
    let other = |name: &str, default: i64| sent.int(name).is_some_and(|value| value != default);
    let refused = if other("appearInList", 1) {
        error::CANNOT_SET_APPEAR_IN_LIST_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("inheritanceType", 2) {
        error::CANNOT_SET_INHERITANCE_TYPE_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("privacy", 1) {
        error::CANNOT_SET_PRIVACY_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if sent.filled("owner").is_some() {
        error::CANNOT_SET_OWNER_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("contributionPolicy", 1) {
        error::CANNOT_SET_CONTIRUBUTION_POLICY_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("defaultPermissionLevel", 3) {
        error::CANNOT_SET_DEFAULT_PERMISSION_LEVEL_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else {
        return Ok(());
    };
    Err(ApiError::new(refused, &[]))
}

fn check_inheriting(category: &Category, sent: &Record) -> Result<(), ApiError> {
    let refused = if category.parent == 0 {
        error::CANNOT_INHERIT_MEMBERS_WHEN_PARENT_CATEGORY_IS_NOT_SET
    } else if sent.filled("owner").is_some() {
        error::CANNOT_SET_OWNER_WHEN_CATEGORY_INHERIT_MEMBERS
    } else if sent.has("defaultPermissionLevel") {
        error::CANNOT_SET_DEFAULT_PERMISSION_LEVEL_WHEN_CATEGORY_INHERIT_MEMBERS
    } else {
        return Ok(());
    };
    Err(ApiError::new(refused, &[]))
}

fn check_owner(call: &Call<'_>, owner: &str) -> Result<(), ApiError> {
    if call.state.users.find(owner).is_none() && !is_user_id(owner) {
        let invalid = error::CANNOT_SET_OWNER_FIELD_WITH_USER_ID;
        return Err(ApiError::new(invalid, &[&owner]));
    }
    Ok(())
}

fn check_move(call: &Call<'_>, id: i64, parent: i64) -> Result<(), ApiError> {
    if parent == 0 {
        return Ok(());
    }
    if call.category(parent).is_none() {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&parent]));
    }
    if call.state.categories.subtree(id).contains(&parent) {
        return Err(ApiError::new(
            error::PARENT_CATEGORY_IS_CHILD,
            &[&parent, &id],
        ));
    }
    Ok(())
}

/// Writes the fields that are merely kept. An empty text and JSON null leave an empty text.
fn write_plain(category: &mut Category, sent: &Record) {
    let texts = [
        ("description", &mut category.description),
        ("tags", &mut category.tags),
        ("adminTags", &mut category.admin_tags),
        ("referenceId", &mut category.reference_id),
        ("partnerData", &mut category.partner_data),
        ("defaultOrderBy", &mut category.default_order),
    ];
    for (name, slot) in texts {
        if sent.is_cleared(name) {
            *slot = None;
        } else if let Some(text) = sent.text(name) {
            *slot = Some(text.to_owned());
        }
    }
    let numbers = [
        ("appearInList", &mut category.appear_in_list),
        ("privacy", &mut category.privacy),
        ("contributionPolicy", &mut category.contribution),
        ("defaultPermissionLevel", &mut category.default_level),
        ("partnerSortValue", &mut category.sort_value),
    ];
    for (name, slot) in numbers {
        if let Some(number) = sent.int(name) {
            *slot = number;
        }
    }
    if let Some(moderation) = sent.int("moderation") {
        category.moderation = Some(moderation == 1);
    }
    if let Some(aggregation) = sent.text("aggregationCategories") {
        aggregation.clone_into(&mut category.aggregation);
    }
}

/// Makes the owner a user and a manager of the category. The former owner's row stays.
fn settle_owner(call: &mut Call<'_>, id: i64) {
    let Some(category) = call.state.categories.get(id).cloned() else {
        return;
    };
    let Some(owner) = category.owner.as_deref() else {
        return;
    };
    let now_ms = call.now_ms;
    let Some(key) = call.state.user_or_new(owner, now_ms) else {
        return;
    };
    call.state
        .categories
        .change(id, |category| category.owner_key = Some(key));
    if category.inheritance == INHERIT || call.state.memberships.find(id, key).is_some() {
        return;
    }
    let names = call.state.memberships.names(OWNER_NAMES);
    let cells = Cells {
        level: MANAGER,
        status: ACTIVE,
        method: 0,
        names,
        created: now_ms / 1000,
        updated: now_ms / 1000,
    };
    call.state.add_membership(id, key, cells, now_ms);
    call.state.touch(Touch::Category(id), now_ms);
}

/// A category as an answer. Right after `add` (then `sent` is given) what only the database fills
/// in is missing, and texts are still what was sent.
pub(super) fn view(call: &Call<'_>, id: i64, sent: Option<&Record>) -> Answer {
    let categories = &call.state.categories;
    let Some((category, entry)) = categories.get(id).zip(categories.entry(id)) else {
        return Answer::Null;
    };
    let from = (category.inheritance == INHERIT)
        .then(|| category.inherits_from)
        .flatten();
    let (ruling, tally) =
        match from.and_then(|from| categories.get(from).zip(categories.entry(from))) {
            Some((ancestor, entry)) => (ancestor, entry.tally),
            None => (category, entry.tally),
        };
    let fresh = sent.is_some();
    let text = |text: &str| match sent {
        Some(_) => Answer::text(text),
        None => Answer::text(&*stored(text)),
    };
    let kept = |kept: &Option<String>| kept.as_deref().map_or(Answer::Null, text);
    let reference = category
        .reference_id
        .as_deref()
        .map_or(Answer::Null, |id| match sent {
            Some(_) => Answer::text(id),
            None => Answer::text(&*stored(cut(id, REFERENCE_ID_BYTES))),
        });
    let parent = match sent {
        Some(sent) if !sent.has("parentId") => Answer::Null,
        _ => Answer::Int(category.parent),
    };
    let owner = match (&ruling.owner, fresh) {
        (None, true) => Answer::Null,
        (owner, _) => Answer::text(owner.as_deref().unwrap_or_default()),
    };
    let moderation = match (category.moderation, fresh) {
        (None, true) => Answer::Null,
        (moderation, _) => Answer::Bool(moderation.unwrap_or(false)),
    };
    let children = i64::try_from(categories.child_count(id)).unwrap_or(i64::MAX);
    Answer::Object(Object {
        class: "KalturaCategory",
        fields: vec![
            ("id", Answer::Int(id)),
            ("parentId", parent),
            ("depth", Answer::Int(category.depth)),
            ("partnerId", Answer::Int(call.state.partner.id)),
            ("name", text(&category.name)),
            ("fullName", text(&category.full_name)),
            ("fullIds", Answer::text(category.full_ids.clone())),
            ("entriesCount", Answer::Int(0)),
            ("createdAt", Answer::Int(category.created)),
            (
                "updatedAt",
                Answer::Int(category.updated.max(entry.tally.updated)),
            ),
            ("description", kept(&category.description)),
            ("tags", kept(&category.tags)),
            ("appearInList", Answer::Int(category.appear_in_list)),
            ("privacy", Answer::Int(category.privacy)),
            ("inheritanceType", Answer::Int(category.inheritance)),
            ("userJoinPolicy", Answer::Int(ruling.join_policy)),
            ("defaultPermissionLevel", Answer::Int(ruling.default_level)),
            ("owner", owner),
            ("directEntriesCount", Answer::Int(0)),
            ("referenceId", reference),
            ("contributionPolicy", Answer::Int(category.contribution)),
            ("membersCount", Answer::Int(tally.members)),
            ("pendingMembersCount", Answer::Int(tally.pending)),
            ("privacyContext", Answer::text(&*category.context)),
            ("privacyContexts", Answer::text(&*category.contexts)),
            ("status", Answer::Int(2)),
            ("inheritedParentId", Answer::maybe_int(from)),
            ("partnerSortValue", Answer::Int(category.sort_value)),
            ("partnerData", kept(&category.partner_data)),
            ("defaultOrderBy", kept(&category.default_order)),
            ("directSubCategoriesCount", Answer::Int(children)),
            ("moderation", moderation),
            ("pendingEntriesCount", Answer::Null),
            ("isAggregationCategory", Answer::Bool(false)),
            (
                "aggregationCategories",
                Answer::text(&*category.aggregation),
            ),
            ("adminTags", kept(&category.admin_tags)),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_loses_what_paths_are_made_of() {
        assert_eq!(clean_name("  a>b,c<d ").ok().as_deref(), Some("a_b_c_d"));
        assert_eq!(clean_name("   ").ok().as_deref(), Some(""));
    }

    #[test]
    fn a_name_is_measured_in_bytes() {
        assert!(clean_name(&"ä".repeat(100)).is_ok());
        assert!(clean_name(&"ä".repeat(101)).is_err());
        assert!(clean_name("").is_err());
    }
}
