//! `category.list`.
//!
//! *Its one idea: a filter that Kaltura does not know is no filter.* There is no `referenceIdIn`, no
//! `memberIn`: sending one lists everything.

use std::collections::BTreeSet;

use super::category_metadata::Search;
use super::category_view::view;
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::filter::{OneOf, Page, Range, numbers, order, sort_by, texts};
use crate::sandbox::params::Record;
use crate::sandbox::state::{Category, INHERIT, MANAGER, Tally};
use crate::sandbox::text::{Phrase, has_words, starts_with};

const COLUMNS: &[&str] = &[
    "depth",
    "name",
    "fullName",
    "entriesCount",
    "createdAt",
    "updatedAt",
    "directEntriesCount",
    "membersCount",
    "partnerSortValue",
    "directSubCategoriesCount",
];

/// Comma lists of numbers that the database may answer are cut later than the search engine's.
const ID_VALUES: usize = 500;

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let limits = &call.state.limits;
    let page = Page::of(call.args.record("pager"), limits.categories_unpaged, limits)?;
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let wanted = Wanted::of(call, filter)?;
    let candidates: Vec<i64> = match &wanted.candidates {
        Some(ids) => ids.iter().copied().collect(),
        None => call.state.categories.ids().collect(),
    };
    let mut found: Vec<&Category> = candidates
        .into_iter()
        .filter_map(|id| call.state.categories.indexed(id))
        .map(AsRef::as_ref)
        .filter(|category| wanted.has(call, category) && call.sees(category))
        .collect();
    sort(call, &mut found, filter);
    let rows = page
        .cut(&found)
        .iter()
        .filter(|category| call.state.categories.get(category.id).is_some())
        .map(|category| view(call, category.id, None))
        .collect();
    Ok(Answer::page(
        "KalturaCategoryListResponse",
        found.len(),
        Some(rows),
    ))
}

fn sort(call: &Call<'_>, found: &mut [&Category], filter: &Record) {
    let (column, backwards) = order(Some(filter), COLUMNS).unwrap_or(("depth", false));
    let number = |category: &&Category| match column {
        "depth" => category.depth,
        "createdAt" => category.created,
        "updatedAt" => updated(call, category),
        "membersCount" => tally(call, category).members,
        "partnerSortValue" => category.sort_value,
        "directSubCategoriesCount" => {
            i64::try_from(call.state.categories.child_count(category.id)).unwrap_or(i64::MAX)
        }
        _ => 0,
    };
    match column {
        "name" => sort_by(found, backwards, |category| category.name.to_lowercase()),
        "fullName" => sort_by(found, backwards, |category| {
            category.full_name.to_lowercase()
        }),
        _ => sort_by(found, backwards, number),
    }
}

/// The tally the search engine knows; an inheriting category has its ancestor's.
fn tally(call: &Call<'_>, category: &Category) -> Tally {
    let from = category.members_from();
    call.state
        .categories
        .entry(from)
        .map(|entry| entry.indexed_tally)
        .unwrap_or_default()
}

fn updated(call: &Call<'_>, category: &Category) -> i64 {
    let own = call.state.categories.entry(category.id);
    category
        .updated
        .max(own.map_or(0, |entry| entry.indexed_tally.updated))
}

/// A filter, read.
struct Wanted<'a> {
    filter: &'a Record,
    /// The categories worth looking at, where an index knows them.
    candidates: Option<BTreeSet<i64>>,
    phrase: Option<Phrase>,
    created: Range,
    updated: Range,
    members: Range,
    pending: Range,
    sort_value: Range,
    privacy: OneOf,
    inheritance: OneOf,
    status: OneOf,
    parent: Option<Vec<i64>>,
    not: Option<Vec<i64>>,
    ancestors: Option<Vec<String>>,
    paths: Vec<String>,
    path_starts: Vec<String>,
    ids_or: Vec<&'a str>,
    inherited: Option<Vec<i64>>,
    id_or_inherited: Option<Vec<i64>>,
    metadata: Option<Search>,
}

impl<'a> Wanted<'a> {
    fn of(call: &Call<'_>, filter: &'a Record) -> Result<Self, Failure> {
        let limits = &call.state.limits;
        let list = |name: &str| filter.filled(name).map(|list| numbers(list, limits));
        let mut candidates: Option<BTreeSet<i64>> = None;
        let mut narrow = |ids: BTreeSet<i64>| {
            candidates = Some(match candidates.take() {
                Some(known) => known.intersection(&ids).copied().collect(),
                None => ids,
            });
        };
        if let Some(id) = filter.int("idEqual") {
            narrow(BTreeSet::from([id]));
        }
        if let Some(ids) = filter.filled("idIn") {
            let ids = ids.split(',').take(ID_VALUES);
            narrow(ids.map(crate::sandbox::params::leading_int).collect());
        }
        let phrase = filter.filled("referenceIdEqual").map(Phrase::new);
        match &phrase {
            Some(Phrase::Broken) => {
                return Err(ApiError::new(error::INTERNAL_SERVERL_ERROR, &[]).into());
            }
            Some(Phrase::Nothing) => narrow(BTreeSet::new()),
            Some(Phrase::Words(value)) => {
                narrow(
                    call.state
                        .categories
                        .with_reference(value)
                        .into_iter()
                        .collect(),
                );
            }
            None => {}
        }
        if let Some(user) = filter.filled("managerEqual") {
            narrow(of_member(call, user, |level| level == MANAGER));
        }
        if let Some(user) = filter.filled("memberEqual") {
            narrow(of_member(call, user, |level| level != MANAGER));
        }
        if filter.filled("membersIn").is_some() {
            // Found nothing at all on the recorded server.
            narrow(BTreeSet::new());
        }
        let lower = |name: &str| -> Vec<String> {
            filter.filled(name).map_or_else(Vec::new, |list| {
                texts(list, limits)
                    .iter()
                    .map(|text| text.to_lowercase())
                    .collect()
            })
        };
        let mut paths = lower("fullNameIn");
        paths.extend(filter.filled("fullNameEqual").map(str::to_lowercase));
        let mut path_starts = lower("fullNameStartsWithIn");
        path_starts.extend(filter.filled("fullNameStartsWith").map(str::to_lowercase));
        let ancestors = filter.filled("ancestorIdIn").map(|list| {
            texts(list, limits)
                .iter()
                .map(|id| id.trim().to_owned())
                .collect()
        });
        Ok(Self {
            candidates,
            phrase,
            created: Range::of(filter, "createdAt"),
            updated: Range::of(filter, "updatedAt"),
            members: Range::of(filter, "membersCount"),
            pending: Range::of(filter, "pendingMembersCount"),
            sort_value: Range::of(filter, "partnerSortValue"),
            privacy: OneOf::of(filter, "privacy", limits),
            inheritance: OneOf::of(filter, "inheritanceType", limits),
            status: OneOf::of(filter, "status", limits),
            parent: list("parentIdIn"),
            not: list("idNotIn"),
            ancestors,
            paths,
            path_starts,
            ids_or: filter
                .filled("fullIdsMatchOr")
                .map_or_else(Vec::new, |list| texts(list, limits)),
            inherited: list("inheritedParentIdIn"),
            id_or_inherited: list("idOrInheritedParentIdIn"),
            metadata: call
                .sent
                .get("filter")
                .and_then(|filter| Search::of(filter.get("advancedSearch")?)),
            filter,
        })
    }

    fn has(&self, call: &Call<'_>, category: &Category) -> bool {
        self.has_numbers(call, category)
            && self.has_place(category)
            && self.has_texts(category)
            && self
                .metadata
                .as_ref()
                .is_none_or(|search| search.has(call.state, category.id))
    }

    fn has_numbers(&self, call: &Call<'_>, category: &Category) -> bool {
        let equal = |name: &str, value: i64| self.filter.int(name).is_none_or(|v| v == value);
        let within = |list: &Option<Vec<i64>>, value: i64| {
            list.as_ref().is_none_or(|list| list.contains(&value))
        };
        let tally = tally(call, category);
        self.status.has(2)
            && equal("parentIdEqual", category.parent)
            && equal("depthEqual", category.depth)
            && equal("appearInListEqual", category.appear_in_list)
            && equal("contributionPolicyEqual", category.contribution)
            && equal(
                "inheritedParentIdEqual",
                category.inherits_from.unwrap_or(0),
            )
            && within(&self.parent, category.parent)
            && within(&self.inherited, category.inherits_from.unwrap_or(0))
            && (within(&self.id_or_inherited, category.id)
                || within(&self.id_or_inherited, category.inherits_from.unwrap_or(0)))
            && self
                .not
                .as_ref()
                .is_none_or(|not| !not.contains(&category.id))
            && self.privacy.has(category.privacy)
            && self.inheritance.has(category.inheritance)
            && self.created.has(category.created)
            && self.updated.has(updated(call, category))
            && self.members.has(tally.members)
            && self.pending.has(tally.pending)
            && self.sort_value.has(category.sort_value)
    }

    /// Paths compare by whole components, and without case.
    fn has_place(&self, category: &Category) -> bool {
        let path = category.full_name.to_lowercase();
        let ids = &*category.full_ids;
        let filter = self.filter;
        let below = |list: &[String]| {
            let mut above = ids.split('>').collect::<Vec<_>>();
            above.pop();
            list.iter().any(|id| above.contains(&id.as_str()))
        };
        (self.paths.is_empty() || self.paths.contains(&path))
            && (self.path_starts.is_empty()
                || self
                    .path_starts
                    .iter()
                    .any(|start| within_path(&path, start)))
            && filter
                .filled("fullIdsEqual")
                .is_none_or(|wanted| wanted == ids)
            && filter
                .filled("fullIdsStartsWith")
                .is_none_or(|start| within_path(ids, start))
            && (self.ids_or.is_empty() || self.ids_or.iter().any(|start| within_path(ids, start)))
            && self.ancestors.as_ref().is_none_or(|list| below(list))
    }

    fn has_texts(&self, category: &Category) -> bool {
        let filter = self.filter;
        let reference = category.reference_id.as_deref().unwrap_or_default();
        let tags = category.tags.as_deref().unwrap_or_default();
        let description = category.description.as_deref().unwrap_or_default();
        self.phrase
            .as_ref()
            .is_none_or(|phrase| phrase.finds(reference))
            && match filter.int("referenceIdEmpty") {
                Some(1) => reference.is_empty(),
                Some(0) => !reference.is_empty(),
                _ => true,
            }
            && filter
                .filled("nameOrReferenceIdStartsWith")
                .is_none_or(|start| {
                    starts_with(&category.name, start) || starts_with(reference, start)
                })
            && filter
                .filled("freeText")
                .is_none_or(|text| has_words(text, &[&category.name, reference, tags, description]))
            && filter
                .filled("tagsLike")
                .is_none_or(|tag| has_words(tag, &[tags]))
            && filter
                .filled("tagsMultiLikeAnd")
                .is_none_or(|list| list.split(',').all(|tag| has_words(tag, &[tags])))
            && filter
                .filled("tagsMultiLikeOr")
                .is_none_or(|list| list.split(',').any(|tag| has_words(tag, &[tags])))
            && filter
                .filled("privacyContextEqual")
                .is_none_or(|wanted| category.context.split(',').any(|own| own == wanted))
    }
}

/// Whether a path is at or below another; strictly below one that ends with `>`.
pub(super) fn within_path(path: &str, start: &str) -> bool {
    match path.strip_prefix(start) {
        Some(rest) if start.ends_with('>') => !rest.is_empty(),
        Some(rest) => rest.is_empty() || rest.starts_with('>'),
        None => false,
    }
}

/// Categories in which a user has a row of a level, and those that inherit from them.
fn of_member(call: &Call<'_>, user: &str, level: impl Fn(i64) -> bool) -> BTreeSet<i64> {
    let Some(key) = call.state.users.find(user) else {
        return BTreeSet::new();
    };
    let memberships = &call.state.memberships;
    let mut found: BTreeSet<i64> = call
        .state
        .users
        .rows(key)
        .iter()
        .filter(|row| {
            memberships
                .indexed(**row)
                .is_some_and(|cells| level(cells.level))
        })
        .map(|row| memberships.category(*row))
        .collect();
    let heirs: Vec<i64> = call
        .state
        .categories
        .ids()
        .filter(|id| {
            call.state.categories.indexed(*id).is_some_and(|category| {
                category.inheritance == INHERIT
                    && category
                        .inherits_from
                        .is_some_and(|from| found.contains(&from))
            })
        })
        .collect();
    found.extend(heirs);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_within_another_by_whole_components() {
        assert!(within_path("mediaspace>site>channels", "mediaspace>site"));
        assert!(within_path("mediaspace>site", "mediaspace>site"));
        assert!(!within_path("mediaspace>site", "mediaspace>si"));
        assert!(!within_path("1>2", "1>2>"));
        assert!(within_path("1>2>3", "1>2>"));
    }
}
