//! `metadata_metadata.list`.
//!
//! *Its one idea: without objects there is nothing to list.* Neither a profile nor a type alone
//! finds anything, and the type is that of entries unless it is said.

use std::collections::BTreeSet;

use super::metadata::view;
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::filter::{OneOf, Page, Range, order, sort_by};
use crate::sandbox::params::{Record, leading_int};
use crate::sandbox::state::{Metadata, OF_CATEGORY, OF_USER};

/// `metadataObjectType` of entries, which a filter means that does not say.
const OF_ENTRY: &str = "1";

const COLUMNS: &[&str] = &[
    "version",
    "metadataProfileVersion",
    "createdAt",
    "updatedAt",
];

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let kind = filter.filled("metadataObjectTypeEqual");
    let kind = kind.unwrap_or(OF_ENTRY);
    let has_objects = ["objectIdEqual", "objectIdIn"]
        .iter()
        .any(|name| filter.filled(name).is_some());
    if !has_objects && (kind == OF_ENTRY || call.is_enforced()) {
        return Err(ApiError::new(error::MUST_FILTER_ON_OBJECT_ID, &[]).into());
    }
    let mut found = found(call, filter, kind);
    if let Some((column, backwards)) = order(Some(filter), COLUMNS) {
        sort_by(&mut found, backwards, |document| match column {
            "version" => document.version,
            "metadataProfileVersion" => document.profile_version,
            "createdAt" => document.created,
            _ => document.updated,
        });
    }
    let page = Page::unbounded(call.args.record("pager"), &call.state.limits);
    let rows = page.cut(&found).iter().map(|found| view(call, found));
    Ok(Answer::page(
        "KalturaMetadataListResponse",
        found.len(),
        Some(rows.collect()),
    ))
}

fn found<'a>(call: &'a Call<'_>, filter: &Record, kind: &str) -> Vec<&'a Metadata> {
    let objects = objects(call, filter, kind);
    let limits = &call.state.limits;
    let profile = OneOf::of(filter, "metadataProfileId", limits);
    let status = OneOf::of(filter, "status", limits);
    let version = OneOf::of(filter, "version", limits);
    let profile_version = OneOf::of(filter, "metadataProfileVersion", limits);
    let versions = Range::of(filter, "version");
    let profile_versions = Range::of(filter, "metadataProfileVersion");
    let (created, updated) = (
        Range::of(filter, "createdAt"),
        Range::of(filter, "updatedAt"),
    );
    call.state
        .metadata
        .documents()
        .filter(|one| {
            kind == one.object_type
                && objects.contains(&one.object_id)
                && profile.has(one.profile)
                && status.has(one.status)
                && version.has(one.version)
                && versions.has(one.version)
                && profile_version.has(one.profile_version)
                && profile_versions.has(one.profile_version)
                && created.has(one.created)
                && updated.has(one.updated)
        })
        .collect()
}

/// The objects a filter names, as documents name them: one beats a list, and what the session does
/// not see is not there.
fn objects(call: &Call<'_>, filter: &Record, kind: &str) -> BTreeSet<String> {
    let ids = match filter.filled("objectIdEqual") {
        Some(id) => vec![id],
        None => filter
            .filled("objectIdIn")
            .map_or_else(Vec::new, |list| list.split(',').collect()),
    };
    let ids = ids.into_iter();
    match kind {
        OF_CATEGORY => ids
            .map(leading_int)
            .filter(|id| call.category(*id).is_some())
            .map(|id| id.to_string())
            .collect(),
        OF_USER => ids
            .filter_map(|id| call.state.users.find(id))
            .map(|user| call.state.users.get(user).id.to_string())
            .collect(),
        _ => BTreeSet::new(),
    }
}
