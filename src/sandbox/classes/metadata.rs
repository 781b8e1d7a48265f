//! Custom metadata and its profiles.
//!
//! *Its one idea: what holds the data is in neither class*: XML and XSD travel beside the objects.

use super::Kind::{Bool, Int, Text, Time};
use super::{Class, Enum, Kind, TextEnum, free, never};

static STATUS: Enum = Enum {
    name: "KalturaMetadataStatus",
    members: &[1, 2, 3],
};
static PROFILE_STATUS: Enum = Enum {
    name: "KalturaMetadataProfileStatus",
    members: &[1, 2, 3],
};
static CREATE_MODE: Enum = Enum {
    name: "KalturaMetadataProfileCreateMode",
    members: &[1, 2, 3],
};

/// What metadata may be about.
pub(in crate::sandbox) static METADATA_OBJECT_TYPE: TextEnum = TextEnum {
    name: "KalturaMetadataObjectType",
    members: &["1", "2", "3", "4", "5", "6"],
};

/// A profile.
pub(in crate::sandbox) static METADATA_PROFILE: Class = Class {
    name: "KalturaMetadataProfile",
    props: &[
        never("id", Int),
        never("partnerId", Int),
        free("metadataObjectType", Kind::TextEnum(&METADATA_OBJECT_TYPE)),
        never("version", Int),
        free("name", Text),
        free("systemName", Text),
        free("description", Text),
        never("createdAt", Int),
        never("updatedAt", Int),
        never("status", Kind::Enum(&PROFILE_STATUS)),
        never("xsd", Text),
        never("views", Text),
        never("xslt", Text),
        free("createMode", Kind::Enum(&CREATE_MODE)),
        free("disableReIndexing", Bool),
    ],
};

/// A filter of profiles.
pub(in crate::sandbox) static METADATA_PROFILE_FILTER: Class = Class {
    name: "KalturaMetadataProfileFilter",
    props: &[
        free("orderBy", Text),
        free("idEqual", Int),
        free("partnerIdEqual", Int),
        free(
            "metadataObjectTypeEqual",
            Kind::TextEnum(&METADATA_OBJECT_TYPE),
        ),
        free("metadataObjectTypeIn", Text),
        free("versionEqual", Int),
        free("nameEqual", Text),
        free("systemNameEqual", Text),
        free("systemNameIn", Text),
        free("createdAtGreaterThanOrEqual", Time),
        free("createdAtLessThanOrEqual", Time),
        free("updatedAtGreaterThanOrEqual", Time),
        free("updatedAtLessThanOrEqual", Time),
        free("statusEqual", Kind::Enum(&PROFILE_STATUS)),
        free("statusIn", Text),
        free("createModeEqual", Kind::Enum(&CREATE_MODE)),
        free("createModeIn", Text),
    ],
};

/// A filter of metadata.
pub(in crate::sandbox) static METADATA_FILTER: Class = Class {
    name: "KalturaMetadataFilter",
    props: &[
        free("orderBy", Text),
        free("partnerIdEqual", Int),
        free("metadataProfileIdEqual", Int),
        free("metadataProfileIdIn", Text),
        free("metadataProfileVersionEqual", Int),
        free("metadataProfileVersionGreaterThanOrEqual", Int),
        free("metadataProfileVersionLessThanOrEqual", Int),
        free(
            "metadataObjectTypeEqual",
            Kind::TextEnum(&METADATA_OBJECT_TYPE),
        ),
        free("objectIdEqual", Text),
        free("objectIdIn", Text),
        free("versionEqual", Int),
        free("versionGreaterThanOrEqual", Int),
        free("versionLessThanOrEqual", Int),
        free("createdAtGreaterThanOrEqual", Time),
        free("createdAtLessThanOrEqual", Time),
        free("updatedAtGreaterThanOrEqual", Time),
        free("updatedAtLessThanOrEqual", Time),
        free("statusEqual", Kind::Enum(&STATUS)),
        free("statusIn", Text),
    ],
};
