//! Groups and who is in them.
//!
//! *Its one idea: a group is a user with fewer properties.*

use super::Kind::{Int, Text, Time};
use super::{Class, Enum, Kind, NULLABLE, USER_MODE, USER_STATUS, USER_TYPE, free, never, on_add};

static CREATION_MODE: Enum = Enum {
    name: "KalturaGroupUserCreationMode",
    members: &[1, 2],
};
static ROLE: Enum = Enum {
    name: "KalturaGroupUserRole",
    members: &[1, 2],
};
static MEMBERSHIP_STATUS: Enum = Enum {
    name: "KalturaGroupUserStatus",
    members: &[0, 1],
};
static GROUP_TYPE: Enum = Enum {
    name: "KalturaGroupType",
    members: &[1, 2],
};
static PROCESS_STATUS: Enum = Enum {
    name: "KalturaGroupProcessStatus",
    members: &[0, 1],
};

/// A group.
pub(in crate::sandbox) static GROUP: Class = Class {
    name: "KalturaGroup",
    props: &[
        free("id", Text),
        never("partnerId", Int),
        free("screenName", Text),
        free("fullName", Text),
        free("email", Text),
        free("country", Text),
        free("state", Text),
        free("city", Text),
        free("zip", Text),
        free("thumbnailUrl", Text),
        free("description", Text),
        free("tags", Text),
        free("adminTags", Text),
        free("status", Kind::Enum(&USER_STATUS)),
        never("createdAt", Int),
        never("updatedAt", Int),
        free("partnerData", Text),
        never("storageSize", Int),
        free("language", Text),
        never("lastLoginTime", Int),
        never("statusUpdatedAt", Int),
        never("deletedAt", Int),
        free("userMode", Kind::Enum(&USER_MODE)),
        never("membersCount", Int),
        free("processStatus", Kind::Enum(&PROCESS_STATUS)),
        free("groupType", Kind::Enum(&GROUP_TYPE)),
    ],
};

/// A filter of groups.
pub(in crate::sandbox) static GROUP_FILTER: Class = Class {
    name: "KalturaGroupFilter",
    props: &[
        free("orderBy", Text),
        free("screenNameLike", Text),
        free("screenNameStartsWith", Text),
        free("emailLike", Text),
        free("emailStartsWith", Text),
        free("statusEqual", Kind::Enum(&USER_STATUS)),
        free("statusIn", Text),
        free("createdAtGreaterThanOrEqual", Time),
        free("createdAtLessThanOrEqual", Time),
        free("updatedAtGreaterThanOrEqual", Time),
        free("updatedAtLessThanOrEqual", Time),
        free("idEqual", Text),
        free("idIn", Text),
        free("typeEqual", Kind::Enum(&USER_TYPE)),
        free("typeIn", Text),
        free("isAdminEqual", Kind::Enum(&NULLABLE)),
        free("firstNameStartsWith", Text),
        free("lastNameStartsWith", Text),
        free("idOrScreenNameStartsWith", Text),
        free("firstNameOrLastNameStartsWith", Text),
        free("loginEnabledEqual", Kind::Enum(&NULLABLE)),
        free("roleIdEqual", Text),
        free("roleIdsEqual", Text),
        free("groupType", Kind::Enum(&GROUP_TYPE)),
    ],
};

/// Somebody in a group.
pub(in crate::sandbox) static GROUP_USER: Class = Class {
    name: "KalturaGroupUser",
    props: &[
        never("id", Text),
        on_add("userId", Text),
        on_add("groupId", Text),
        never("status", Kind::Enum(&MEMBERSHIP_STATUS)),
        never("partnerId", Int),
        never("createdAt", Int),
        never("updatedAt", Int),
        on_add("creationMode", Kind::Enum(&CREATION_MODE)),
        free("userRole", Kind::Enum(&ROLE)),
        never("groupType", Kind::Enum(&GROUP_TYPE)),
    ],
};

/// A filter of who is in which group.
pub(in crate::sandbox) static GROUP_USER_FILTER: Class = Class {
    name: "KalturaGroupUserFilter",
    props: &[
        free("orderBy", Text),
        free("userIdEqual", Text),
        free("userIdIn", Text),
        free("groupIdEqual", Text),
        free("groupIdIn", Text),
        free("statusEqual", Kind::Enum(&MEMBERSHIP_STATUS)),
        free("statusIn", Text),
        free("createdAtGreaterThanOrEqual", Time),
        free("createdAtLessThanOrEqual", Time),
        free("updatedAtGreaterThanOrEqual", Time),
        free("updatedAtLessThanOrEqual", Time),
        free("groupType", Kind::Enum(&GROUP_TYPE)),
    ],
};
