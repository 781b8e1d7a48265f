//! `metadata_metadata`: documents about categories and users.
//!
//! *Its one idea: a document is kept byte for byte, and checked against its profile first.*

use super::metadata_list::list;
use super::{Service, action};
use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::params::Kind;
use crate::sandbox::state::{
    FIRST_VERSION, Metadata, OF_CATEGORY, OF_USER, Profile, STEP, TRANSFORMING, schema_of,
};
use crate::sandbox::xml::{self, Fault};
use crate::sandbox::xsd::Schema;

const WRITERS: &[&str] = &["CONTENT_MANAGE_CUSTOM_DATA", "BASE_USER_SESSION_PERMISSION"];
const READERS: &[&str] = &[
    "CONTENT_MANAGE_CUSTOM_DATA",
    "CONTENT_MANAGE_BASE",
    "BASE_USER_SESSION_PERMISSION",
];

/// `status` of a document that follows its profile.
const VALID: i64 = 1;
/// `status` of a document that does not.
const INVALID: i64 = 2;

pub(super) const SERVICE: Service = Service {
    name: "metadata_metadata",
    actions: &[
        action(
            "add",
            const {
                &[
                    required("metadataProfileId", Kind::Int),
                    required("objectType", Kind::TextEnum(&classes::METADATA_OBJECT_TYPE)),
                    required("objectId", Kind::Text),
                    required("xmlData", Kind::Text),
                ]
            },
            WRITERS,
            add,
        ),
        action("get", ID, READERS, |call| {
            let document = find(call)?;
            Ok(view(call, &document))
        }),
        action(
            "update",
            const {
                &[
                    required("id", Kind::Int),
                    optional("xmlData", Kind::Text),
                    optional("version", Kind::Int),
                ]
            },
            WRITERS,
            update,
        ),
        action("delete", ID, WRITERS, |call| {
            let document = find(call)?;
            call.state.delete_metadata(document.id, call.now_ms);
            Ok(Answer::Null)
        }),
        action(
            "invalidate",
            const { &[required("id", Kind::Int), optional("version", Kind::Int)] },
            WRITERS,
            invalidate,
        ),
        action(
            "list",
            const {
                &[
                    optional("filter", Kind::Object(&classes::METADATA_FILTER)),
                    optional("pager", Kind::Object(&classes::PAGER)),
                ]
            },
            READERS,
            list,
        ),
    ],
};

const ID: &[crate::sandbox::params::Param] = &[required("id", Kind::Int)];

fn add(call: &mut Call<'_>) -> Outcome {
    let profile = call.args.int("metadataProfileId").unwrap_or(0);
    let object_type = call.args.text("objectType").unwrap_or_default().to_owned();
    let object_id = call.args.text("objectId").unwrap_or_default().to_owned();
    let xml = call.args.text("xmlData").unwrap_or_default().to_owned();
    let Some(profile) = call.state.metadata.profile(profile) else {
        return Err(ApiError::new(error::METADATA_PROFILE_NOT_FOUND, &[&profile]).into());
    };
    if profile.object_type != object_type {
        let other = error::INCOMPATIBLE_METADATA_PROFILE_OBJECT_TYPE;
        return Err(ApiError::new(other, &[&profile.object_type, &object_type]).into());
    }
    if !is_there(call, &object_type, &object_id) {
        return Err(ApiError::new(error::METADATA_OBJECT_ID_NOT_FOUND, &[&object_id]).into());
    }
    if let Some(known) = call.state.metadata.about(profile.id, &object_id) {
        return Err(ApiError::new(error::METADATA_ALREADY_EXISTS, &[&known.id]).into());
    }
    check(&profile.schema, &xml)?;
    let now = call.now();
    let document = Metadata {
        id: 0,
        profile: profile.id,
        profile_version: profile.version,
        object_type,
        object_id,
        version: FIRST_VERSION,
        status: VALID,
        xml: xml.into(),
        created: now,
        updated: now,
    };
    let id = call.state.add_metadata(document, call.now_ms);
    let document = call.state.metadata.document(id);
    Ok(document.map_or(Answer::Null, |document| view(call, document)))
}

/// Whether what a document is about is there. The sandbox has neither entries nor what hangs on
/// them.
fn is_there(call: &Call<'_>, object_type: &str, object_id: &str) -> bool {
    match object_type {
        OF_CATEGORY => object_id
            .parse()
            .is_ok_and(|id| call.category(id).is_some()),
        OF_USER => call.state.users.find(object_id).is_some(),
        _ => false,
    }
}

fn update(call: &mut Call<'_>) -> Outcome {
    let mut document = find(call)?;
    check_version(call, &document)?;
    let Some(profile) = call.state.metadata.profile(document.profile) else {
        return Err(ApiError::new(error::INVALID_METADATA_PROFILE, &[&document.profile]).into());
    };
    let sent = call.args.filled("xmlData").map(str::to_owned);
    if let Some(xml) = sent {
        match check(&profile.schema, &xml) {
            Ok(()) => document.profile_version = profile.version,
            Err(refused) => check_as_before(profile, &document, &xml).ok_or(refused)?,
        }
        if *document.xml != *xml {
            document.xml = xml.into();
            document.version += STEP;
            document.updated = call.now();
        }
        call.state.put_metadata(document.clone(), call.now_ms);
    }
    Ok(view(call, &document))
}

/// While a profile is being transformed, a document that has not followed yet may stay as it was.
fn check_as_before(profile: &Profile, document: &Metadata, xml: &str) -> Option<()> {
    let before = schema_of(profile.old_xsd.as_ref()?);
    let behind = document.profile_version < profile.version;
    (profile.status == TRANSFORMING && behind && check(&before, xml).is_ok()).then_some(())
}

fn invalidate(call: &mut Call<'_>) -> Outcome {
    let mut document = find(call)?;
    check_version(call, &document)?;
    document.status = INVALID;
    call.state.put_metadata(document, call.now_ms);
    Ok(Answer::Null)
}

fn check_version(call: &Call<'_>, document: &Metadata) -> Result<(), ApiError> {
    let version = call.args.int("version").unwrap_or(0);
    if version == 0 || version == document.version {
        return Ok(());
    }
    Err(ApiError::new(
        error::INVALID_METADATA_VERSION,
        &[&document.version],
    ))
}

fn find(call: &Call<'_>) -> Result<Metadata, ApiError> {
    let id = call.args.int("id").unwrap_or(0);
    let document = call.state.metadata.document(id);
    document
        .cloned()
        .ok_or_else(|| ApiError::new(error::METADATA_NOT_FOUND, &[&id]))
}

/// Whether a document can be read and follows a schema.
fn check(schema: &Schema, xml: &str) -> Result<(), ApiError> {
    if xml.is_empty() {
        // PHP 8 dies of an empty document.
        return Err(ApiError::new(error::INTERNAL_SERVERL_ERROR, &[]));
    }
    let (root, mut faults) = xml::read(xml);
    match root {
        Some(root) => faults.extend(schema.check(&root)),
        None => faults.push(Fault::new(xml::NO_DOCUMENT, -1)),
    }
    if faults.is_empty() {
        return Ok(());
    }
    let faults = xml::describe(&faults, xml);
    Err(ApiError::new(error::INVALID_METADATA_DATA, &[&faults]))
}

/// An object type as answers show it: as a number where it is one.
pub(super) fn object_type(text: &str) -> Answer {
    text.parse()
        .map_or_else(|_| Answer::text(text), Answer::Int)
}

/// A document as an answer.
pub(super) fn view(call: &Call<'_>, document: &Metadata) -> Answer {
    Answer::Object(Object {
        class: "KalturaMetadata",
        fields: vec![
            ("id", Answer::Int(document.id)),
            ("partnerId", Answer::Int(call.state.partner.id)),
            ("metadataProfileId", Answer::Int(document.profile)),
            (
                "metadataProfileVersion",
                Answer::Int(document.profile_version),
            ),
            ("metadataObjectType", object_type(&document.object_type)),
            ("objectId", Answer::text(&*document.object_id)),
            ("version", Answer::Int(document.version)),
            ("createdAt", Answer::Int(document.created)),
            ("updatedAt", Answer::Int(document.updated)),
            ("status", Answer::Int(document.status)),
            ("xml", Answer::Text(document.xml.clone())),
        ],
    })
}
