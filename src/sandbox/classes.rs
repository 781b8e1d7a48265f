//! The classes of objects that requests carry.
//!
//! *Its one idea: this is Kaltura's own schema, written down as tables*, as far as the sandbox's
//! services need it (the schema a server generates of itself, `KalturaClient.schema.xml`).

use super::params::{Class, Enum, Kind, Mode, Prop, TextEnum};

mod access;
mod group;
mod metadata;

pub(super) use access::{PERMISSION_FILTER, USER_ROLE_FILTER};
pub(super) use group::{GROUP, GROUP_FILTER, GROUP_USER, GROUP_USER_FILTER};
pub(super) use metadata::{
    METADATA_FILTER, METADATA_OBJECT_TYPE, METADATA_PROFILE, METADATA_PROFILE_FILTER,
};

macro_rules! enums {
    ($($name:ident = $kaltura:literal $members:expr;)*) => {
        $(static $name: Enum = Enum { name: $kaltura, members: &$members };)*
    };
}

enums! {
    APPEAR_IN_LIST = "KalturaAppearInListType" [1, 3];
    BATCH_STATUS = "KalturaBatchJobStatus" [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
    CATEGORY_STATUS = "KalturaCategoryStatus" [1, 2, 3, 4];
    CATEGORY_USER_STATUS = "KalturaCategoryUserStatus" [1, 2, 3, 4];
    CONTRIBUTION = "KalturaContributionPolicyType" [1, 2];
    GENDER = "KalturaGender" [0, 1, 2];
    INHERITANCE = "KalturaInheritanceType" [1, 2];
    JOIN_POLICY = "KalturaUserJoinPolicyType" [1, 2, 3];
    PERMISSION_LEVEL = "KalturaCategoryUserPermissionLevel" [0, 1, 2, 3, 4];
    PRIVACY = "KalturaPrivacyType" [1, 2, 3];
    TOKEN_STATUS = "KalturaAppTokenStatus" [1, 2, 3];
    UPDATE_METHOD = "KalturaUpdateMethodType" [0, 1];
    USER_MODE = "KalturaUserMode" [0, 1];
    USER_ROLE_STATUS = "KalturaUserRoleStatus" [1, 2, 3];
    USER_STATUS = "KalturaUserStatus" [0, 1, 2];
    USER_TYPE = "KalturaUserType" [0, 1, 2];
}

/// Yes, no, or not said.
pub(super) static NULLABLE: Enum = Enum {
    name: "KalturaNullableBoolean",
    members: &[-1, 0, 1],
};

/// Whom a session speaks for.
pub(super) static SESSION_TYPE: Enum = Enum {
    name: "KalturaSessionType",
    members: &[0, 2],
};

static HASH_TYPE: TextEnum = TextEnum {
    name: "KalturaAppTokenHashType",
    members: &["MD5", "SHA1", "SHA256", "SHA512"],
};

const fn free(name: &'static str, kind: Kind) -> Prop {
    Prop {
        name,
        kind,
        mode: Mode::Free,
    }
}

const fn on_add(name: &'static str, kind: Kind) -> Prop {
    Prop {
        name,
        kind,
        mode: Mode::OnAdd,
    }
}

const fn never(name: &'static str, kind: Kind) -> Prop {
    Prop {
        name,
        kind,
        mode: Mode::Never,
    }
}

use Kind::{Bool, Int, Text, Time};

/// A category.
pub(super) static CATEGORY: Class = Class {
    name: "KalturaCategory",
    props: &[
        never("id", Int),
        free("parentId", Int),
        never("depth", Int),
        never("partnerId", Int),
        free("name", Text),
        never("fullName", Text),
        never("fullIds", Text),
        never("entriesCount", Int),
        never("createdAt", Int),
        never("updatedAt", Int),
        free("description", Text),
        free("tags", Text),
        free("appearInList", Kind::Enum(&APPEAR_IN_LIST)),
        free("privacy", Kind::Enum(&PRIVACY)),
        free("inheritanceType", Kind::Enum(&INHERITANCE)),
        never("userJoinPolicy", Kind::Enum(&JOIN_POLICY)),
        free("defaultPermissionLevel", Kind::Enum(&PERMISSION_LEVEL)),
        free("owner", Text),
        never("directEntriesCount", Int),
        free("referenceId", Text),
        free("contributionPolicy", Kind::Enum(&CONTRIBUTION)),
        never("membersCount", Int),
        never("pendingMembersCount", Int),
        free("privacyContext", Text),
        never("privacyContexts", Text),
        never("status", Kind::Enum(&CATEGORY_STATUS)),
        never("inheritedParentId", Int),
        free("partnerSortValue", Int),
        free("partnerData", Text),
        free("defaultOrderBy", Text),
        never("directSubCategoriesCount", Int),
        free("moderation", Kind::Enum(&NULLABLE)),
        never("pendingEntriesCount", Int),
        free("isAggregationCategory", Kind::Enum(&NULLABLE)),
        free("aggregationCategories", Text),
        free("adminTags", Text),
    ],
};

/// A filter of categories.
pub(super) static CATEGORY_FILTER: Class = Class {
    name: "KalturaCategoryFilter",
    props: &[
        free("orderBy", Text),
        free("idEqual", Int),
        free("idIn", Text),
        free("idNotIn", Text),
        free("parentIdEqual", Int),
        free("parentIdIn", Text),
        free("depthEqual", Int),
        free("fullNameEqual", Text),
        free("fullNameStartsWith", Text),
        free("fullNameIn", Text),
        free("fullNameStartsWithIn", Text),
        free("fullIdsEqual", Text),
        free("fullIdsStartsWith", Text),
        free("fullIdsMatchOr", Text),
        free("ancestorIdIn", Text),
        free("createdAtGreaterThanOrEqual", Time),
        free("createdAtLessThanOrEqual", Time),
        free("updatedAtGreaterThanOrEqual", Time),
        free("updatedAtLessThanOrEqual", Time),
        free("tagsLike", Text),
        free("tagsMultiLikeOr", Text),
        free("tagsMultiLikeAnd", Text),
        free("appearInListEqual", Kind::Enum(&APPEAR_IN_LIST)),
        free("privacyEqual", Kind::Enum(&PRIVACY)),
        free("privacyIn", Text),
        free("inheritanceTypeEqual", Kind::Enum(&INHERITANCE)),
        free("inheritanceTypeIn", Text),
        free("referenceIdEqual", Text),
        free("referenceIdEmpty", Kind::Enum(&NULLABLE)),
        free("contributionPolicyEqual", Kind::Enum(&CONTRIBUTION)),
        free("membersCountGreaterThanOrEqual", Int),
        free("membersCountLessThanOrEqual", Int),
        free("pendingMembersCountGreaterThanOrEqual", Int),
        free("pendingMembersCountLessThanOrEqual", Int),
        free("privacyContextEqual", Text),
        free("statusEqual", Kind::Enum(&CATEGORY_STATUS)),
        free("statusIn", Text),
        free("inheritedParentIdEqual", Int),
        free("inheritedParentIdIn", Text),
        free("idOrInheritedParentIdIn", Text),
        free("partnerSortValueGreaterThanOrEqual", Int),
        free("partnerSortValueLessThanOrEqual", Int),
        free("freeText", Text),
        free("membersIn", Text),
        free("nameOrReferenceIdStartsWith", Text),
        free("managerEqual", Text),
        free("memberEqual", Text),
    ],
};

/// A membership.
pub(super) static CATEGORY_USER: Class = Class {
    name: "KalturaCategoryUser",
    props: &[
        on_add("categoryId", Int),
        on_add("userId", Text),
        never("partnerId", Int),
        free("permissionLevel", Kind::Enum(&PERMISSION_LEVEL)),
        never("status", Kind::Enum(&CATEGORY_USER_STATUS)),
        never("createdAt", Int),
        never("updatedAt", Int),
        free("updateMethod", Kind::Enum(&UPDATE_METHOD)),
        never("categoryFullIds", Text),
        free("permissionNames", Text),
    ],
};

/// A filter of memberships.
pub(super) static CATEGORY_USER_FILTER: Class = Class {
    name: "KalturaCategoryUserFilter",
    props: &[
        free("orderBy", Text),
        free("categoryIdEqual", Int),
        free("categoryIdIn", Text),
        free("userIdEqual", Text),
        free("userIdIn", Text),
        free("permissionLevelEqual", Kind::Enum(&PERMISSION_LEVEL)),
        free("permissionLevelIn", Text),
        free("statusEqual", Kind::Enum(&CATEGORY_USER_STATUS)),
        free("statusIn", Text),
        free("createdAtGreaterThanOrEqual", Time),
        free("createdAtLessThanOrEqual", Time),
        free("updatedAtGreaterThanOrEqual", Time),
        free("updatedAtLessThanOrEqual", Time),
        free("updateMethodEqual", Kind::Enum(&UPDATE_METHOD)),
        free("updateMethodIn", Text),
        free("categoryFullIdsStartsWith", Text),
        free("categoryFullIdsEqual", Text),
        free("permissionNamesMatchAnd", Text),
        free("permissionNamesMatchOr", Text),
        free("permissionNamesNotContains", Text),
        free("freeText", Text),
        free("relatedGroupsByUserId", Text),
    ],
};

/// A user or a group.
pub(super) static USER: Class = Class {
    name: "KalturaUser",
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
        free("type", Kind::Enum(&USER_TYPE)),
        free("dateOfBirth", Int),
        free("gender", Kind::Enum(&GENDER)),
        free("isAdmin", Bool),
        on_add("isGuest", Bool),
        free("roleIds", Text),
        never("roleNames", Text),
        on_add("isAccountOwner", Bool),
        on_add("password", Text),
        free("firstName", Text),
        free("lastName", Text),
        on_add("loginEnabled", Bool),
        free("title", Text),
        free("company", Text),
        free("ksPrivileges", Text),
        never("encryptedSeed", Text),
        on_add("externalId", Text),
    ],
};

/// A filter of users.
pub(super) static USER_FILTER: Class = Class {
    name: "KalturaUserFilter",
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
    ],
};

/// An application token.
pub(super) static APP_TOKEN: Class = Class {
    name: "KalturaAppToken",
    props: &[
        never("id", Text),
        never("token", Text),
        never("partnerId", Int),
        never("createdAt", Int),
        never("updatedAt", Int),
        never("status", Kind::Enum(&TOKEN_STATUS)),
        free("expiry", Time),
        free("sessionType", Kind::Enum(&SESSION_TYPE)),
        free("sessionUserId", Text),
        free("sessionDuration", Int),
        free("sessionPrivileges", Text),
        free("hashType", Kind::TextEnum(&HASH_TYPE)),
        free("description", Text),
    ],
};

/// A filter of application tokens.
pub(super) static APP_TOKEN_FILTER: Class = Class {
    name: "KalturaAppTokenFilter",
    props: &[
        free("orderBy", Text),
        free("idEqual", Text),
        free("idIn", Text),
        free("statusEqual", Kind::Enum(&TOKEN_STATUS)),
        free("statusIn", Text),
        free("sessionUserIdEqual", Text),
    ],
};

/// A role.
pub(super) static USER_ROLE: Class = Class {
    name: "KalturaUserRole",
    props: &[
        never("id", Int),
        free("name", Text),
        free("systemName", Text),
        free("description", Text),
        free("status", Kind::Enum(&USER_ROLE_STATUS)),
        never("partnerId", Int),
        free("permissionNames", Text),
        free("tags", Text),
        never("createdAt", Int),
        never("updatedAt", Int),
    ],
};

/// How a bulk upload is to be read. Which class it is, the action asks itself.
pub(super) static BULK_DATA: Class = Class {
    name: "KalturaBulkUploadJobData",
    props: &[
        free("objectType", Text),
        free("fileName", Text),
        free("emailRecipients", Text),
    ],
};

/// Which bulk uploads are wanted.
pub(super) static BULK_FILTER: Class = Class {
    name: "KalturaBulkUploadFilter",
    props: &[
        free("orderBy", Text),
        free("uploadedOnGreaterThanOrEqual", Time),
        free("uploadedOnLessThanOrEqual", Time),
        free("uploadedOnEqual", Time),
        free("statusIn", Text),
        free("statusEqual", Kind::Enum(&BATCH_STATUS)),
        free(
            "bulkUploadObjectTypeEqual",
            Kind::TextEnum(&BULK_OBJECT_TYPE),
        ),
        free("bulkUploadObjectTypeIn", Text),
    ],
};

static BULK_OBJECT_TYPE: TextEnum = TextEnum {
    name: "KalturaBulkUploadObjectType",
    members: &[
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "bulkUploadFilter.JOB",
        "scheduleBulkUpload.SCHEDULE_EVENT",
        "scheduleBulkUpload.SCHEDULE_RESOURCE",
    ],
};

/// Which part of a list is wanted.
pub(super) static PAGER: Class = Class {
    name: "KalturaFilterPager",
    props: &[free("pageSize", Int), free("pageIndex", Int)],
};
