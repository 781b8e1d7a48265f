//! Calls of actions, and the body that carries them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::super::error::Fault;
use super::bulk::BulkParameters;
use super::{
    CLIENT_TAG, INCLUDE_FIELDS, JSON, PAGE_SIZE, level_number, method_number, permission_names,
};
use crate::category::{CategoryId, PermissionLevel, UpdateMethod, UserId};

const CATEGORY_FIELDS: &str = "id,parentId,referenceId,fullName,owner,inheritanceType,inheritedParentId,membersCount,createdAt,status";
const MEMBER_FIELDS: &str =
    "categoryId,userId,permissionLevel,status,updateMethod,createdAt,permissionNames";

/// One call of an action.
#[derive(Debug, Clone, Serialize)]
pub(in crate::kaltura) struct Call {
    service: &'static str,
    action: &'static str,
    #[serde(flatten)]
    parameters: Parameters,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Parameters {
    Nothing {},
    #[serde(rename_all = "camelCase")]
    List {
        filter: Filter,
        pager: Pager,
        response_profile: Profile,
    },
    #[serde(rename_all = "camelCase")]
    Category {
        id: CategoryId,
        response_profile: Profile,
    },
    #[serde(rename_all = "camelCase")]
    Pair {
        category_id: CategoryId,
        user_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        response_profile: Option<Profile>,
    },
    #[serde(rename_all = "camelCase")]
    Add {
        category_user: CategoryUser,
        response_profile: Profile,
    },
    #[serde(rename_all = "camelCase")]
    Update {
        category_id: CategoryId,
        user_id: String,
        category_user: CategoryUser,
        #[serde(rename = "override", skip_serializing_if = "std::ops::Not::not")]
        over_manual: bool,
        response_profile: Profile,
    },
    Bulk(BulkParameters),
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    object_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name_starts_with: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category_id_equal: Option<CategoryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category_id_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id_equal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at_greater_than_or_equal: Option<i64>,
    order_by: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pager {
    object_type: &'static str,
    page_size: u32,
    page_index: u32,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    object_type: &'static str,
    // Without it the server excludes the named fields instead.
    r#type: u8,
    fields: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct CategoryUser {
    object_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category_id: Option<CategoryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    permission_level: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_names: Option<String>,
    update_method: u8,
}

/// Which memberships to list.
#[derive(Debug, Clone)]
pub(in crate::kaltura) enum MembersOf {
    /// Those of one category. An unknown one has none.
    Category(CategoryId),
    /// Those of several. If all of them are unknown the server lists the whole account.
    Categories(Vec<CategoryId>),
    /// Those of one person.
    User(UserId),
}

impl Call {
    /// `category.list` below a root, made at or after a second.
    pub(in crate::kaltura) fn list_categories(
        root: Option<&str>,
        created_since: Option<i64>,
        page: u32,
    ) -> Self {
        Self::list(
            "category",
            CATEGORY_FIELDS,
            page,
            Filter {
                object_type: "KalturaCategoryFilter",
                // With the separator at its end: below the root, without the root itself.
                full_name_starts_with: root.map(below),
                created_at_greater_than_or_equal: created_since,
                ..Filter::default()
            },
        )
    }

    /// `category.list` by number.
    pub(in crate::kaltura) fn list_categories_by_id(ids: &[CategoryId]) -> Self {
        Self::list(
            "category",
            CATEGORY_FIELDS,
            1,
            Filter {
                object_type: "KalturaCategoryFilter",
                id_in: Some(join(ids)),
                ..Filter::default()
            },
        )
    }

    /// `categoryUser.list`, made at or after a second.
    pub(in crate::kaltura) fn list_members(
        of: &MembersOf,
        created_since: Option<i64>,
        page: u32,
    ) -> Self {
        let mut filter = Filter {
            object_type: "KalturaCategoryUserFilter",
            created_at_greater_than_or_equal: created_since,
            ..Filter::default()
        };
        match of {
            MembersOf::Category(id) => filter.category_id_equal = Some(*id),
            MembersOf::Categories(ids) => filter.category_id_in = Some(join(ids)),
            MembersOf::User(user) => filter.user_id_equal = Some(user.as_str().to_owned()),
        }
        Self::list("categoryUser", MEMBER_FIELDS, page, filter)
    }

    fn list(service: &'static str, fields: &'static str, page: u32, filter: Filter) -> Self {
        let parameters = Parameters::List {
            filter: Filter {
                order_by: "+createdAt",
                ..filter
            },
            pager: Pager::of(page),
            response_profile: Profile::of(fields),
        };
        Self {
            service,
            action: "list",
            parameters,
        }
    }

    /// `category.get`
    pub(in crate::kaltura) fn get_category(id: CategoryId) -> Self {
        let parameters = Parameters::Category {
            id,
            response_profile: Profile::of(CATEGORY_FIELDS),
        };
        Self {
            service: "category",
            action: "get",
            parameters,
        }
    }

    /// `categoryUser.get`
    pub(in crate::kaltura) fn get_member(category: CategoryId, user: &UserId) -> Self {
        Self::pair("get", category, user, Some(Profile::of(MEMBER_FIELDS)))
    }

    /// `categoryUser.add`, whose always said: the server's own default is manual.
    pub(in crate::kaltura) fn add_member(
        category: CategoryId,
        user: &UserId,
        level: PermissionLevel,
        method: UpdateMethod,
    ) -> Self {
        let parameters = Parameters::Add {
            category_user: CategoryUser {
                category_id: Some(category),
                user_id: Some(user.as_str().to_owned()),
                ..CategoryUser::of(level, method)
            },
            response_profile: Profile::of(MEMBER_FIELDS),
        };
        Self {
            service: "categoryUser",
            action: "add",
            parameters,
        }
    }

    /// `categoryUser.update`. The object holds no IDs: the server refuses them there. A change of
    /// the level rewrites the permission names, so extra ones are sent with those of the level.
    pub(in crate::kaltura) fn set_level(
        category: CategoryId,
        user: &UserId,
        (level, method): (PermissionLevel, UpdateMethod),
        over_manual: bool,
        extra_permissions: &[String],
    ) -> Self {
        let permission_names = (!extra_permissions.is_empty()).then(|| {
            let extra = extra_permissions.iter().map(String::as_str);
            permission_names(level)
                .iter()
                .copied()
                .chain(extra)
                .collect::<Vec<_>>()
                .join(",")
        });
        let parameters = Parameters::Update {
            category_id: category,
            user_id: user.as_str().to_owned(),
            category_user: CategoryUser {
                permission_names,
                ..CategoryUser::of(level, method)
            },
            over_manual,
            response_profile: Profile::of(MEMBER_FIELDS),
        };
        Self {
            service: "categoryUser",
            action: "update",
            parameters,
        }
    }

    /// `categoryUser.delete`
    pub(in crate::kaltura) fn remove_member(category: CategoryId, user: &UserId) -> Self {
        Self::pair("delete", category, user, None)
    }

    /// `categoryUser.activate`
    pub(in crate::kaltura) fn activate_member(category: CategoryId, user: &UserId) -> Self {
        Self::pair("activate", category, user, Some(Profile::of(MEMBER_FIELDS)))
    }

    /// `categoryUser.deactivate`
    pub(in crate::kaltura) fn deactivate_member(category: CategoryId, user: &UserId) -> Self {
        Self::pair(
            "deactivate",
            category,
            user,
            Some(Profile::of(MEMBER_FIELDS)),
        )
    }

    fn pair(
        action: &'static str,
        category: CategoryId,
        user: &UserId,
        response_profile: Option<Profile>,
    ) -> Self {
        let parameters = Parameters::Pair {
            category_id: category,
            user_id: user.as_str().to_owned(),
            response_profile,
        };
        Self {
            service: "categoryUser",
            action,
            parameters,
        }
    }

    /// `system.ping`
    pub(in crate::kaltura) fn ping() -> Self {
        Self {
            service: "system",
            action: "ping",
            parameters: Parameters::Nothing {},
        }
    }

    /// `permission.getCurrentPermissions`
    pub(in crate::kaltura) fn current_permissions() -> Self {
        Self {
            service: "permission",
            action: "getCurrentPermissions",
            parameters: Parameters::Nothing {},
        }
    }

    /// `bulkupload_bulk`, the service of files that are handed in.
    pub(super) fn bulk(action: &'static str, parameters: BulkParameters) -> Self {
        Self {
            service: "bulkupload_bulk",
            action,
            parameters: Parameters::Bulk(parameters),
        }
    }

    /// The name of the action: `categoryUser.list`.
    pub(in crate::kaltura) fn name(&self) -> String {
        format!("{}.{}", self.service, self.action)
    }
}

impl Pager {
    /// One page, as large as the server makes it.
    pub(super) fn of(page: u32) -> Self {
        Self {
            object_type: "KalturaFilterPager",
            page_size: PAGE_SIZE,
            page_index: page,
        }
    }
}

impl Profile {
    fn of(fields: &'static str) -> Self {
        Self {
            object_type: "KalturaDetachedResponseProfile",
            r#type: INCLUDE_FIELDS,
            fields,
        }
    }
}

impl CategoryUser {
    fn of(level: PermissionLevel, method: UpdateMethod) -> Self {
        Self {
            object_type: "KalturaCategoryUser",
            category_id: None,
            user_id: None,
            permission_level: level_number(level),
            permission_names: None,
            update_method: method_number(method),
        }
    }
}

/// The path prefix of everything below a category.
pub(in crate::kaltura) fn below(root: &str) -> String {
    format!("{}>", root.trim_end_matches('>'))
}

fn join(ids: &[CategoryId]) -> String {
    ids.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// The body of a multirequest.
pub(in crate::kaltura) struct Multirequest<'a> {
    /// The session.
    pub(in crate::kaltura) ks: &'a str,
    /// The calls, in order.
    pub(in crate::kaltura) calls: &'a [&'a Call],
}

impl Multirequest<'_> {
    /// Writes the body, and refuses one with a value that the server would replace.
    pub(in crate::kaltura) fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        let body = serde_json::to_vec(self).map_err(Fault::Unwritable)?;
        if holds_result_token(&body) {
            Err(Fault::Token)
        } else {
            Ok(body)
        }
    }
}

impl Serialize for Multirequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(Some(self.calls.len() + 3))?;
        body.serialize_entry("ks", self.ks)?;
        body.serialize_entry("format", &JSON)?;
        body.serialize_entry("clientTag", CLIENT_TAG)?;
        // From one, without a gap: the server stops silently at the first number that is missing.
        for (number, call) in (1_usize..).zip(self.calls) {
            body.serialize_entry(&number.to_string(), call)?;
        }
        body.end()
    }
}

/// Whether a text in the body looks like `{1:result…`. In JSON no brace of the grammar is followed
/// by a digit, so the whole body can be looked through at once.
fn holds_result_token(body: &[u8]) -> bool {
    body.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'{')
        .any(|(at, _)| {
            let rest = &body[at + 1..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && rest[digits..].starts_with(b":result")
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ada() -> UserId {
        UserId::new("ada")
    }

    fn sent(call: &Call) -> Value {
        serde_json::to_value(call).unwrap()
    }

    #[test]
    fn surprise_03_an_addition_always_says_automatic_and_the_level() {
        let call = sent(&Call::add_member(
            CategoryId(5),
            &ada(),
            PermissionLevel::Member,
            UpdateMethod::Automatic,
        ));
        assert_eq!(
            call["categoryUser"],
            json!({
                "objectType": "KalturaCategoryUser", "categoryId": 5, "userId": "ada",
                "permissionLevel": 3, "updateMethod": 1
            })
        );
    }

    #[test]
    fn surprise_04_an_update_overrides_only_when_told_and_takes_the_row_over() {
        let call = |over| {
            sent(&Call::set_level(
                CategoryId(5),
                &ada(),
                (PermissionLevel::Manager, UpdateMethod::Automatic),
                over,
                &[],
            ))
        };
        assert_eq!(call(false).get("override"), None);
        assert_eq!(call(true)["override"], json!(true));
        assert_eq!(
            call(true)["categoryUser"],
            json!({"objectType": "KalturaCategoryUser", "permissionLevel": 0, "updateMethod": 1}),
            "no IDs inside the object"
        );
    }

    #[test]
    fn surprise_28_extra_permission_names_survive_a_change_of_level() {
        let extra = ["CATEGORY_SUBSCRIBE".to_owned()];
        let call = sent(&Call::set_level(
            CategoryId(5),
            &ada(),
            (PermissionLevel::Contributor, UpdateMethod::Automatic),
            false,
            &extra,
        ));
        assert_eq!(
            call["categoryUser"]["permissionNames"],
            json!("CATEGORY_CONTRIBUTE,CATEGORY_VIEW,CATEGORY_SUBSCRIBE")
        );
    }

    #[test]
    fn surprise_21_a_value_that_looks_like_a_token_is_not_sent() {
        let bytes = |user: &str| {
            let call = Call::get_member(CategoryId(5), &UserId::new(user));
            Multirequest {
                ks: "x",
                calls: &[&call],
            }
            .to_bytes()
        };
        assert!(bytes("a{b}{12}").is_ok());
        assert!(matches!(bytes("{12:result:id}"), Err(Fault::Token)));
    }

    #[test]
    fn calls_are_numbered_from_one_without_null() {
        let calls: Vec<_> = (0..11).map(|_| Call::ping()).collect();
        let calls: Vec<_> = calls.iter().collect();
        let body = String::from_utf8(
            Multirequest {
                ks: "x",
                calls: &calls,
            }
            .to_bytes()
            .unwrap(),
        )
        .unwrap();
        assert!(!body.contains("null"));
        assert!(!body.contains("\"0\":"));
        assert!(body.contains("\"1\":") && body.contains("\"11\":"));
    }
}
