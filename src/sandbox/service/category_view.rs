//! A category as an answer.
//!
//! *Its one idea: `add` answers what it has in its hands*, everything else what the database gives back:
//! defaults filled in, long texts cut, rare characters lost.

use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::dispatch::Call;
use crate::sandbox::params::Record;
use crate::sandbox::state::INHERIT;
use crate::sandbox::text::{cut, stored};

/// `reference_id` is a `varchar(512)`.
const REFERENCE_ID_BYTES: usize = 512;

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
