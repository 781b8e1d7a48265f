//! Filters of roles and permissions.
//!
//! *Its one idea: both look at what the installation has and at what the account has.*

use super::Kind::{Int, Text, Time};
use super::{Class, Enum, Kind, USER_ROLE_STATUS, free};

static PERMISSION_TYPE: Enum = Enum {
    name: "KalturaPermissionType",
    members: &[1, 2, 3, 4],
};
static PERMISSION_STATUS: Enum = Enum {
    name: "KalturaPermissionStatus",
    members: &[1, 2, 3],
};

/// A filter of permissions.
pub(in crate::sandbox) static PERMISSION_FILTER: Class = Class {
    name: "KalturaPermissionFilter",
    props: &[
        free("orderBy", Text),
        free("idEqual", Int),
        free("idIn", Text),
        free("typeEqual", Kind::Enum(&PERMISSION_TYPE)),
        free("typeIn", Text),
        free("nameEqual", Text),
        free("nameIn", Text),
        free("statusEqual", Kind::Enum(&PERMISSION_STATUS)),
        free("statusIn", Text),
        free("partnerIdEqual", Int),
        free("partnerIdIn", Text),
    ],
};

/// A filter of roles.
pub(in crate::sandbox) static USER_ROLE_FILTER: Class = Class {
    name: "KalturaUserRoleFilter",
    props: &[
        free("orderBy", Text),
        free("idEqual", Int),
        free("idIn", Text),
        free("nameEqual", Text),
        free("nameIn", Text),
        free("systemNameEqual", Text),
        free("systemNameIn", Text),
        free("descriptionLike", Text),
        free("statusEqual", Kind::Enum(&USER_ROLE_STATUS)),
        free("statusIn", Text),
        free("partnerIdEqual", Int),
        free("partnerIdIn", Text),
        free("createdAtGreaterThanOrEqual", Time),
        free("createdAtLessThanOrEqual", Time),
        free("updatedAtGreaterThanOrEqual", Time),
        free("updatedAtLessThanOrEqual", Time),
    ],
};
