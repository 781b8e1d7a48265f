//! `metadata_metadataProfile`: what documents may say.
//!
//! *Its one idea: more is free, less costs a worker.* A new element changes nothing for old documents;
//! one that goes raises the version, and until the worker has been there the profile is closed.

use std::sync::Arc;

use super::metadata::object_type;
use super::{Service, action};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::filter::{OneOf, Page, Range};
use crate::sandbox::params::{Kind, Param, Record};
use crate::sandbox::state::{FIRST_VERSION, IN_USE, Job, Profile, STEP, TRANSFORMING};
use crate::sandbox::xml;
use crate::sandbox::xsd::{Field, Schema};

const READERS: &[&str] = &[
    "CUSTOM_DATA_PROFILE_BASE",
    "CONTENT_MANAGE_BASE",
    "BASE_USER_SESSION_PERMISSION",
];
const ID: &[Param] = &[required("id", Kind::Int)];

pub(super) const SERVICE: Service = Service {
    name: "metadata_metadataProfile",
    actions: &[
        action(
            "add",
            const {
                &[
                    required("metadataProfile", Kind::Object(&classes::METADATA_PROFILE)),
                    required("xsdData", Kind::Text),
                    optional("viewsData", Kind::Text),
                ]
            },
            &["CUSTOM_DATA_PROFILE_ADD"],
            add,
        ),
        action("get", ID, READERS, |call| {
            let profile = find(call, "id")?;
            Ok(view(call, &profile, false))
        }),
        action(
            "update",
            const {
                &[
                    required("id", Kind::Int),
                    required("metadataProfile", Kind::Object(&classes::METADATA_PROFILE)),
                    optional("xsdData", Kind::Text),
                    optional("viewsData", Kind::Text),
                ]
            },
            &["CUSTOM_DATA_PROFILE_UPDATE"],
            update,
        ),
        action("delete", ID, &["CUSTOM_DATA_PROFILE_DELETE"], |call| {
            let profile = find(call, "id")?;
            call.state.metadata.delete_profile(profile.id);
            Ok(Answer::Null)
        }),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::METADATA_PROFILE_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            READERS,
            list,
        ),
        action(
            "listFields",
            const { &[required("metadataProfileId", Kind::Int)] },
            READERS,
            list_fields,
        ),
    ],
};

fn add(call: &mut Call<'_>) -> Outcome {
    let sent = call
        .args
        .record("metadataProfile")
        .cloned()
        .unwrap_or_default();
    let xsd = call.args.text("xsdData").unwrap_or_default().to_owned();
    let schema = schema(&xsd)?;
    for name in ["metadataObjectType", "name"] {
        if sent.text(name).is_none() {
            let missing = error::PROPERTY_VALIDATION_CANNOT_BE_NULL;
            let name = format!("KalturaMetadataProfile::{name}");
            return Err(ApiError::new(missing, &[&name]).into());
        }
    }
    if let Some(refused) = sent.refused(&classes::METADATA_PROFILE, true, |_| None) {
        return Err(refused.into());
    }
    check_system_name(call, &sent, None)?;
    let now = call.now();
    let mut profile = Profile {
        id: 0,
        name: String::new(),
        system_name: None,
        description: None,
        object_type: String::new(),
        create_mode: 1,
        no_reindexing: false,
        version: FIRST_VERSION,
        status: IN_USE,
        xsd: xsd.into(),
        schema: Arc::new(schema),
        old_xsd: None,
        views: call.args.filled("viewsData").map(str::to_owned),
        fields: Vec::new(),
        created: now,
        updated: now,
    };
    write(&mut profile, &sent);
    let id = call.state.add_profile(profile);
    let profile = call.state.metadata.profile(id);
    Ok(profile.map_or(Answer::Null, |profile| {
        let mut answer = view(call, profile, true);
        if sent.has("createMode") {
            answer.set("createMode", Answer::Int(profile.create_mode));
        }
        answer
    }))
}

fn update(call: &mut Call<'_>) -> Outcome {
    let mut profile = find(call, "id")?;
    if profile.status != IN_USE {
        return Err(ApiError::new(error::METADATA_TRANSFORMING, &[]).into());
    }
    let xsd = call.args.filled("xsdData").map(str::to_owned);
    let schema = xsd.as_deref().map(schema).transpose()?;
    let sent = call
        .args
        .record("metadataProfile")
        .cloned()
        .unwrap_or_default();
    if let Some(refused) = sent.refused(&classes::METADATA_PROFILE, false, |_| None) {
        return Err(refused.into());
    }
    check_system_name(call, &sent, Some(profile.id))?;
    write(&mut profile, &sent);
    let views = call.args.filled("viewsData").map(str::to_owned);
    let stays = xsd.is_none() && views.is_none();
    profile.views = views.or(profile.views);
    if let Some((xsd, schema)) = xsd.zip(schema) {
        let before = Arc::clone(&profile.schema);
        if before.fields().iter().any(|field| !schema.has(&field.name)) {
            profile.version += STEP;
            profile.status = TRANSFORMING;
            profile.old_xsd = Some(Arc::clone(&profile.xsd));
            let job = Job::TransformMetadata(profile.id);
            call.state.queue(job, call.now_ms);
        }
        profile.xsd = xsd.into();
        profile.schema = Arc::new(schema);
    }
    if !stays {
        // Kaltura stores what was sent only along with a schema or views; the answer shows it
        // either way.
        profile.updated = call.now();
        call.state.put_profile(profile.clone());
    }
    Ok(view(call, &profile, false))
}

fn check_system_name(call: &Call<'_>, sent: &Record, own: Option<i64>) -> Result<(), ApiError> {
    let Some(wanted) = sent.filled("systemName") else {
        return Ok(());
    };
    let taken =
        call.state.metadata.profiles().any(|profile| {
            Some(profile.id) != own && profile.system_name.as_deref() == Some(wanted)
        });
    if taken {
        return Err(ApiError::new(error::SYSTEM_NAME_ALREADY_EXISTS, &[&wanted]));
    }
    Ok(())
}

fn write(profile: &mut Profile, sent: &Record) {
    if let Some(name) = sent.text("name") {
        name.clone_into(&mut profile.name);
    }
    if let Some(name) = sent.text("systemName") {
        profile.system_name = Some(name.to_owned());
    }
    if let Some(description) = sent.text("description") {
        profile.description = Some(description.to_owned());
    }
    if let Some(kind) = sent.text("metadataObjectType") {
        kind.clone_into(&mut profile.object_type);
    }
    if let Some(mode) = sent.int("createMode") {
        profile.create_mode = mode;
    }
    if sent.has("disableReIndexing") {
        profile.no_reindexing = sent.flag("disableReIndexing");
    }
}

/// Reads a schema. What cannot be read is described; nothing is said of a document that is missing.
fn schema(xsd: &str) -> Result<Schema, ApiError> {
    let refused = |faults: &[xml::Fault]| {
        let faults = xml::describe(faults, xsd);
        ApiError::new(error::INVALID_METADATA_PROFILE_SCHEMA, &[&faults])
    };
    match xml::read(xsd) {
        (Some(root), faults) if faults.is_empty() => {
            Schema::of(&root).map_err(|fault| refused(&[fault]))
        }
        (_, faults) => Err(refused(&faults)),
    }
}

fn find(call: &Call<'_>, name: &str) -> Result<Profile, ApiError> {
    let id = call.args.int(name).unwrap_or(0);
    let profile = call.state.metadata.profile(id);
    profile
        .cloned()
        .ok_or_else(|| ApiError::new(error::METADATA_PROFILE_NOT_FOUND, &[&id]))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "an action is a function that may fail"
)]
fn list(call: &mut Call<'_>) -> Outcome {
    let none = Record::default();
    let filter = call.args.record("filter").unwrap_or(&none);
    let limits = &call.state.limits;
    let id = OneOf::of(filter, "id", limits);
    let (status, mode) = (
        OneOf::of(filter, "status", limits),
        OneOf::of(filter, "createMode", limits),
    );
    let version = OneOf::of(filter, "version", limits);
    let (created, updated) = (
        Range::of(filter, "createdAt"),
        Range::of(filter, "updatedAt"),
    );
    let equal = |field: &str, value: Option<&str>| {
        filter
            .filled(field)
            .is_none_or(|wanted| value == Some(wanted))
    };
    let within = |field: &str, value: Option<&str>| {
        filter
            .filled(field)
            .is_none_or(|list| list.split(',').any(|wanted| value == Some(wanted)))
    };
    let found: Vec<&Profile> = call
        .state
        .metadata
        .profiles()
        .filter(|profile| {
            id.has(profile.id)
                && status.has(profile.status)
                && mode.has(profile.create_mode)
                && version.has(profile.version)
                && created.has(profile.created)
                && updated.has(profile.updated)
                && equal("nameEqual", Some(&profile.name))
                && equal("systemNameEqual", profile.system_name.as_deref())
                && within("systemNameIn", profile.system_name.as_deref())
                && equal("metadataObjectTypeEqual", Some(&profile.object_type))
                && within("metadataObjectTypeIn", Some(&profile.object_type))
        })
        .collect();
    let page = Page::unbounded(call.args.record("pager"), limits);
    let rows = page
        .cut(&found)
        .iter()
        .map(|found| view(call, found, false));
    Ok(Answer::page(
        "KalturaMetadataProfileListResponse",
        found.len(),
        Some(rows.collect()),
    ))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "an action is a function that may fail"
)]
fn list_fields(call: &mut Call<'_>) -> Outcome {
    let profile = call.args.int("metadataProfileId").unwrap_or(0);
    let profile = call.state.metadata.profile(profile);
    let rows: Vec<Answer> = profile
        .into_iter()
        .flat_map(|profile| {
            let fields = profile.schema.fields();
            let known = profile.fields.iter();
            known.filter_map(|(id, name)| {
                let field = fields.iter().find(|field| field.name == *name)?;
                Some(view_field(*id, field))
            })
        })
        .collect();
    Ok(Answer::page(
        "KalturaMetadataProfileFieldListResponse",
        rows.len(),
        Some(rows),
    ))
}

fn view_field(id: i64, field: &Field) -> Answer {
    let path = format!(
        "/*[local-name()='metadata']/*[local-name()='{}']",
        field.name
    );
    Answer::Object(Object {
        class: "KalturaMetadataProfileField",
        fields: vec![
            ("id", Answer::Int(id)),
            ("xPath", Answer::text(path)),
            ("key", Answer::text(&*field.name)),
            ("label", Answer::text(&*field.label)),
            ("relatedMetadataProfileId", Answer::Null),
        ],
    })
}

/// A profile as an answer. Right after `add` what only the database fills in is missing.
fn view(call: &Call<'_>, profile: &Profile, fresh: bool) -> Answer {
    let description = match &profile.description {
        None if !fresh => Some(""),
        description => description.as_deref(),
    };
    let mode = if fresh {
        Answer::Null
    } else {
        Answer::Int(profile.create_mode)
    };
    Answer::Object(Object {
        class: "KalturaMetadataProfile",
        fields: vec![
            ("id", Answer::Int(profile.id)),
            ("partnerId", Answer::Int(call.state.partner.id)),
            ("metadataObjectType", object_type(&profile.object_type)),
            ("version", Answer::Int(profile.version)),
            ("name", Answer::text(&*profile.name)),
            ("systemName", Answer::maybe(profile.system_name.as_deref())),
            ("description", Answer::maybe(description)),
            ("createdAt", Answer::Int(profile.created)),
            ("updatedAt", Answer::Int(profile.updated)),
            ("status", Answer::Int(profile.status)),
            ("xsd", Answer::Text(profile.xsd.clone())),
            ("views", Answer::maybe(profile.views.as_deref())),
            ("xslt", Answer::Null),
            ("createMode", mode),
            ("disableReIndexing", Answer::Bool(profile.no_reindexing)),
        ],
    })
}
