//! Custom metadata: profiles, and documents that follow them.
//!
//! *Its one idea: versions go by tens.* A document's counts its writes and is a lock; a profile's
//! counts only what old documents do not survive, and a worker takes them along.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Changes, Job, Numbers, State, Touch, Tracked};
use crate::sandbox::xml;
use crate::sandbox::xsd::Schema;

/// `metadataObjectType` of categories.
pub(in crate::sandbox) const OF_CATEGORY: &str = "2";
/// `metadataObjectType` of users.
pub(in crate::sandbox) const OF_USER: &str = "3";
/// The version of what was made just now.
pub(in crate::sandbox) const FIRST_VERSION: i64 = 2;
/// By how much a version grows.
pub(in crate::sandbox) const STEP: i64 = 10;
/// `status` of a profile in use.
pub(in crate::sandbox) const IN_USE: i64 = 1;
/// `status` of a profile whose documents have not followed yet.
pub(in crate::sandbox) const TRANSFORMING: i64 = 3;

/// A profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Profile {
    pub(in crate::sandbox) id: i64,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) system_name: Option<String>,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) object_type: String,
    pub(in crate::sandbox) create_mode: i64,
    pub(in crate::sandbox) no_reindexing: bool,
    pub(in crate::sandbox) version: i64,
    pub(in crate::sandbox) status: i64,
    pub(in crate::sandbox) xsd: Arc<str>,
    /// The same, read.
    #[serde(skip)]
    pub(in crate::sandbox) schema: Arc<Schema>,
    /// What documents of older versions follow until the worker comes.
    pub(in crate::sandbox) old_xsd: Option<Arc<str>>,
    pub(in crate::sandbox) views: Option<String>,
    /// The numbers of its searchable fields, by their names.
    pub(in crate::sandbox) fields: Vec<(i64, String)>,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) updated: i64,
}

/// A document about something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Metadata {
    pub(in crate::sandbox) id: i64,
    pub(in crate::sandbox) profile: i64,
    pub(in crate::sandbox) profile_version: i64,
    pub(in crate::sandbox) object_type: String,
    pub(in crate::sandbox) object_id: String,
    pub(in crate::sandbox) version: i64,
    pub(in crate::sandbox) status: i64,
    /// Byte for byte what was sent.
    pub(in crate::sandbox) xml: Arc<str>,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) updated: i64,
}

/// What the search engine knows of an object: names and values.
type Values = Vec<(String, String)>;

/// All profiles and documents of an account.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct CustomData {
    pub(super) profiles: Tracked<BTreeMap<i64, Profile>>,
    documents: BTreeMap<i64, Metadata>,
    by_object: HashMap<(i64, String), i64>,
    /// By profile and object.
    indexed: HashMap<(i64, String), Values>,
    /// What the file does not have yet.
    pub(in crate::sandbox) changes: Changes<i64>,
}

impl CustomData {
    /// All profiles.
    pub(in crate::sandbox) fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// A profile.
    pub(in crate::sandbox) fn profile(&self, id: i64) -> Option<&Profile> {
        self.profiles.get(&id)
    }

    /// Begins to note what is written, and takes every document there is for unsaved.
    pub(super) fn follow(&mut self) {
        self.changes.follow(self.documents.keys().copied());
    }

    /// Takes back a document as a file has it.
    pub(in crate::sandbox) fn restore(&mut self, document: Metadata) {
        let (profile, object_id) = (document.profile, document.object_id.clone());
        self.put(document);
        self.index(profile, &object_id);
    }

    /// Reads the schemas of profiles that a file has kept as texts.
    pub(in crate::sandbox) fn restore_schemas(&mut self) {
        for profile in self.profiles.values_mut() {
            profile.schema = Arc::new(schema_of(&profile.xsd));
        }
        self.profiles.saved();
    }

    /// Deletes a profile with all documents that follow it.
    pub(in crate::sandbox) fn delete_profile(&mut self, id: i64) {
        self.profiles.remove(&id);
        for document in self.documents.values().filter(|one| one.profile == id) {
            self.changes.note(document.id);
        }
        self.documents.retain(|_, document| document.profile != id);
        self.by_object.retain(|(profile, _), _| *profile != id);
        self.indexed.retain(|(profile, _), _| *profile != id);
    }

    /// All documents.
    pub(in crate::sandbox) fn documents(&self) -> impl Iterator<Item = &Metadata> {
        self.documents.values()
    }

    /// A document.
    pub(in crate::sandbox) fn document(&self, id: i64) -> Option<&Metadata> {
        self.documents.get(&id)
    }

    /// The document of a profile about something.
    pub(in crate::sandbox) fn about(&self, profile: i64, object_id: &str) -> Option<&Metadata> {
        let id = self.by_object.get(&(profile, object_id.to_owned()))?;
        self.documents.get(id)
    }

    /// What the search engine knows of an object.
    pub(in crate::sandbox) fn indexed(&self, profile: i64, object_id: &str) -> &[(String, String)] {
        self.indexed
            .get(&(profile, object_id.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// Tells the search engine what a document says now.
    pub(super) fn index(&mut self, profile: i64, object_id: &str) {
        let key = (profile, object_id.to_owned());
        let document = self.by_object.get(&key);
        let Some(document) = document.and_then(|id| self.documents.get(id)) else {
            self.indexed.remove(&key);
            return;
        };
        let root = xml::read(&document.xml).0.unwrap_or_default();
        let values = root.children.into_iter();
        self.indexed
            .insert(key, values.map(|child| (child.name, child.text)).collect());
    }

    fn put(&mut self, document: Metadata) {
        let key = (document.profile, document.object_id.clone());
        self.by_object.insert(key, document.id);
        self.changes.note(document.id);
        self.documents.insert(document.id, document);
    }
}

impl State {
    /// Adds a profile, and answers its number.
    pub(in crate::sandbox) fn add_profile(&mut self, mut profile: Profile) -> i64 {
        self.numbers.metadata_profile += 1;
        let id = self.numbers.metadata_profile;
        profile.id = id;
        self.put_profile(profile);
        id
    }

    /// Writes a profile back.
    pub(in crate::sandbox) fn put_profile(&mut self, mut profile: Profile) {
        number_fields(&mut profile, &mut self.numbers);
        self.metadata.profiles.insert(profile.id, profile);
    }

    /// Adds a document, and answers its number.
    pub(in crate::sandbox) fn add_metadata(&mut self, mut document: Metadata, now_ms: i64) -> i64 {
        self.numbers.metadata += 1;
        let id = self.numbers.metadata;
        document.id = id;
        self.put_metadata(document, now_ms);
        id
    }

    /// Writes a document back.
    pub(in crate::sandbox) fn put_metadata(&mut self, document: Metadata, now_ms: i64) {
        self.touch_metadata(&document, now_ms);
        self.metadata.put(document);
    }

    /// Deletes a document.
    pub(in crate::sandbox) fn delete_metadata(&mut self, id: i64, now_ms: i64) {
        if let Some(document) = self.metadata.documents.remove(&id) {
            let key = (document.profile, document.object_id.clone());
            self.metadata.by_object.remove(&key);
            self.metadata.changes.note(id);
            self.touch_metadata(&document, now_ms);
        }
    }

    /// Deletes a category, with what is said about it. What is below it stays.
    pub(in crate::sandbox) fn delete_category(&mut self, id: i64, now_ms: i64) {
        self.delete_metadata_about(OF_CATEGORY, &id.to_string(), now_ms);
        self.categories.delete(id);
        self.touch(Touch::Category(id), now_ms);
        self.queue(Job::EmptyCategory(id), now_ms);
    }

    /// Deletes what is said about something, at once.
    pub(super) fn delete_metadata_about(&mut self, kind: &str, object_id: &str, now_ms: i64) {
        let profiles = self.metadata.profiles.values();
        let about: Vec<i64> = profiles
            .filter(|profile| profile.object_type == kind)
            .filter_map(|profile| self.metadata.about(profile.id, object_id))
            .map(|document| document.id)
            .collect();
        for document in about {
            self.delete_metadata(document, now_ms);
        }
    }

    /// Takes documents along to their profile's new version: elements it no longer has are cut out.
    pub(super) fn transform_metadata(&mut self, profile: i64, now_ms: i64) {
        let Some(mut profile) = self.metadata.profiles.get(&profile).cloned() else {
            return;
        };
        let old: Vec<Metadata> = self
            .metadata
            .documents()
            .filter(|one| one.profile == profile.id && one.profile_version < profile.version)
            .cloned()
            .collect();
        for mut document in old {
            document.xml = without(&document.xml, &profile.schema).into();
            document.profile_version = profile.version;
            document.version += STEP;
            document.updated = now_ms / 1000;
            self.put_metadata(document, now_ms);
        }
        profile.status = IN_USE;
        profile.old_xsd = None;
        self.put_profile(profile);
    }

    fn touch_metadata(&mut self, document: &Metadata, now_ms: i64) {
        let object_id: Arc<str> = document.object_id.as_str().into();
        self.touch(Touch::Metadata(document.profile, object_id), now_ms);
    }
}

/// Gives each searchable field of a profile a number; those it has already stay.
fn number_fields(profile: &mut Profile, numbers: &mut Numbers) {
    let schema = Arc::clone(&profile.schema);
    profile.fields.retain(|(_, name)| schema.has(name));
    for field in schema.fields().iter().filter(|field| field.searchable) {
        if profile.fields.iter().all(|(_, name)| *name != field.name) {
            numbers.metadata_field += 1;
            profile
                .fields
                .push((numbers.metadata_field, field.name.clone()));
        }
    }
}

/// The schema a text holds; one without elements where it holds none.
pub(in crate::sandbox) fn schema_of(xsd: &str) -> Schema {
    let root = xml::read(xsd).0;
    root.and_then(|root| Schema::of(&root).ok())
        .unwrap_or_default()
}

/// A document without the elements a schema does not have.
fn without(document: &str, schema: &Schema) -> String {
    let root = xml::read(document).0.unwrap_or_default();
    let mut out = document.to_owned();
    for child in root.children.iter().rev() {
        if !schema.has(&child.name) {
            out.replace_range(child.span.0..child.span.1, "");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_loses_the_elements_its_schema_has_lost() {
        let schema = "<s:schema xmlns:s='x'><s:element name='metadata'><s:complexType><s:sequence>\
                      <s:element name='A'/></s:sequence></s:complexType></s:element></s:schema>";
        let schema = Schema::of(&xml::read(schema).0.unwrap()).unwrap();
        assert_eq!(
            without("<metadata><A>1</A> <B>2</B><A/><C/></metadata>", &schema),
            "<metadata><A>1</A> <A/></metadata>"
        );
    }
}
