//! `category`: the tree of channels and galleries.
//!
//! *Its one idea: a category is more than a name only below a privacy context.* Owner, members and
//! restrictions need one, on the category or above it.

use super::category_list::list;
use super::category_rules::{
    check_context, check_inheriting, check_move, check_owner, clean_name, context_of,
};
use super::category_view::view;
use super::{Service, action};
use crate::sandbox::answer::Answer;
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::params::{Kind, Record, leading_int};
use crate::sandbox::state::{ACTIVE, Category, Cells, INHERIT, Job, MANAGER, Touch};

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
        action(
            "move",
            const {
                &[
                    required("categoryIds", Kind::Text),
                    required("targetCategoryParentId", Kind::Int),
                ]
            },
            &["CONTENT_MANAGE_BASE", "CONTENT_MODERATE_BASE"],
            move_to,
        ),
        action("unlockCategories", &[], EDITORS, |call| {
            call.state.categories.locked = false;
            Ok(Answer::Null)
        }),
        super::bulk::ADD_CATEGORIES,
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
    check_unique(call, &category)?;
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
    check_unique(call, &category)?;
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

/// Moves children of one parent below another, one after the other: what was moved before one is
/// refused stays moved.
fn move_to(call: &mut Call<'_>) -> Outcome {
    let different = error::CANNOT_MOVE_CATEGORIES_FROM_DIFFERENT_PARENT_CATEGORIES;
    if call.is_enforced() {
        return Err(ApiError::new(different, &[]).into());
    }
    if call.state.is_locked() {
        return Err(ApiError::new(error::CATEGORIES_LOCKED, &[]).into());
    }
    let target = call.args.int("targetCategoryParentId").unwrap_or(0);
    let ids = call.args.text("categoryIds").unwrap_or_default();
    let ids = ids.split(',').filter(|id| !id.is_empty());
    let ids: Vec<i64> = ids.map(leading_int).collect();
    let mut parent = None;
    for id in &ids {
        let Some(category) = call.category(*id) else {
            return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[id]).into());
        };
        if *parent.get_or_insert(category.parent) != category.parent {
            return Err(ApiError::new(different, &[]).into());
        }
    }
    if target != 0 && call.category(target).is_none() {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&target]).into());
    }
    for id in ids {
        check_move(call, id, target)?;
        let Some(before) = call.category(id).cloned() else {
            continue;
        };
        let mut category = before.clone();
        category.parent = target;
        category.updated = call.now();
        place_anew(call, &before, &mut category);
        check_unique(call, &category)?;
        follow_up(call, &before, &mut category);
        call.state
            .categories
            .change(id, |stored| *stored = category);
        call.state.touch(Touch::Category(id), call.now_ms);
    }
    Ok(Answer::Bool(true))
}

/// Refuses a category whose name its parent has already.
fn check_unique(call: &Call<'_>, category: &Category) -> Result<(), ApiError> {
    let twin = call.state.categories.child(category.parent, &category.name);
    if twin.is_some_and(|twin| twin != category.id) {
        let path = &category.full_name;
        return Err(ApiError::new(error::DUPLICATE_CATEGORY, &[path]));
    }
    Ok(())
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
        call.state.delete_category(id, call.now_ms);
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
