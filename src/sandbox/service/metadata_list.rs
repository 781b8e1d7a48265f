//! `metadata_metadata.list`.
//!
//! *Its one idea: without objects there is nothing to list.* Neither a profile nor a type alone
//! finds anything, and the type is that of entries unless it is said.

use super::metadata::view;
use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::{Call, Outcome};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::filter::{OneOf, Page, Range, order, sort_by};
use crate::sandbox::params::Record;
use crate::sandbox::state::Metadata;

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
    if kind.is_none() && !filter.has("objectIdEqual") && !filter.has("objectIdIn") {
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

fn found<'a>(call: &'a Call<'_>, filter: &Record, kind: Option<&str>) -> Vec<&'a Metadata> {
    let equal = filter.filled("objectIdEqual");
    let list: Option<Vec<&str>> = filter
        .filled("objectIdIn")
        .map(|list| list.split(',').map(str::trim).collect());
    if equal.is_none() && list.is_none() {
        return Vec::new();
    }
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
            kind == Some(&one.object_type)
                && equal.is_none_or(|id| id == one.object_id)
                && list
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&&*one.object_id))
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
