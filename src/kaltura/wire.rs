//! The API's own words: what is sent, what comes back, and the numbers they use.
//!
//! *Its one idea: Kaltura's numbers end here.* Nothing outside this file knows that a manager is 0.
//! What is not set is not sent, since JSON null means "clear" to the server.

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Fault, KalturaError};
use crate::category::{
    Category, CategoryId, Entitlement, PermissionLevel, ReferenceId, Status, UpdateMethod, UserId,
};

/// The most rows that the server puts into one page, whatever it is asked for.
pub(super) const PAGE_SIZE: u32 = 500;
/// The first offset that the server's search refuses.
pub(super) const LIST_CEILING: u32 = 10_000;

/// The type of an administrator's session.
pub(super) const ADMIN_SESSION_KIND: u8 = 2;
/// The format of an answer.
pub(super) const JSON: u8 = 1;

const CLIENT_TAG: &str = concat!("rollbook:", env!("CARGO_PKG_VERSION"));
const INCLUDE_FIELDS: u8 = 1;
const INHERITS: i64 = 1;
const DELETED_CATEGORY: i64 = 3;

const CATEGORY_FIELDS: &str = "id,parentId,referenceId,fullName,owner,inheritanceType,inheritedParentId,membersCount,createdAt,status";
const MEMBER_FIELDS: &str =
    "categoryId,userId,permissionLevel,status,updateMethod,createdAt,permissionNames";

/// One call of an action.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Call {
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
struct Pager {
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
pub(super) enum MembersOf {
    /// Those of one category. An unknown one has none.
    Category(CategoryId),
    /// Those of several. If all of them are unknown the server lists the whole account.
    Categories(Vec<CategoryId>),
    /// Those of one person.
    User(UserId),
}

impl Call {
    /// `category.list` below a root, made at or after a second.
    pub(super) fn list_categories(
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
    pub(super) fn list_categories_by_id(ids: &[CategoryId]) -> Self {
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
    pub(super) fn list_members(of: &MembersOf, created_since: Option<i64>, page: u32) -> Self {
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
            pager: Pager {
                object_type: "KalturaFilterPager",
                page_size: PAGE_SIZE,
                page_index: page,
            },
            response_profile: Profile::of(fields),
        };
        Self {
            service,
            action: "list",
            parameters,
        }
    }

    /// `category.get`
    pub(super) fn get_category(id: CategoryId) -> Self {
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
    pub(super) fn get_member(category: CategoryId, user: &UserId) -> Self {
        Self::pair("get", category, user, Some(Profile::of(MEMBER_FIELDS)))
    }

    /// `categoryUser.add`, always as automatic: the server's own default is manual.
    pub(super) fn add_member(category: CategoryId, user: &UserId, level: PermissionLevel) -> Self {
        let parameters = Parameters::Add {
            category_user: CategoryUser {
                category_id: Some(category),
                user_id: Some(user.as_str().to_owned()),
                ..CategoryUser::automatic(level)
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
    pub(super) fn set_level(
        category: CategoryId,
        user: &UserId,
        level: PermissionLevel,
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
                ..CategoryUser::automatic(level)
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
    pub(super) fn remove_member(category: CategoryId, user: &UserId) -> Self {
        Self::pair("delete", category, user, None)
    }

    /// `categoryUser.activate`
    pub(super) fn activate_member(category: CategoryId, user: &UserId) -> Self {
        Self::pair("activate", category, user, Some(Profile::of(MEMBER_FIELDS)))
    }

    /// `categoryUser.deactivate`
    pub(super) fn deactivate_member(category: CategoryId, user: &UserId) -> Self {
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
    pub(super) fn ping() -> Self {
        Self {
            service: "system",
            action: "ping",
            parameters: Parameters::Nothing {},
        }
    }

    /// `permission.getCurrentPermissions`
    pub(super) fn current_permissions() -> Self {
        Self {
            service: "permission",
            action: "getCurrentPermissions",
            parameters: Parameters::Nothing {},
        }
    }

    /// The name of the action: `categoryUser.list`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.service, self.action)
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
    fn automatic(level: PermissionLevel) -> Self {
        Self {
            object_type: "KalturaCategoryUser",
            category_id: None,
            user_id: None,
            permission_level: level_number(level),
            permission_names: None,
            update_method: method_number(UpdateMethod::Automatic),
        }
    }
}

/// The path prefix of everything below a category.
pub(super) fn below(root: &str) -> String {
    format!("{}>", root.trim_end_matches('>'))
}

fn join(ids: &[CategoryId]) -> String {
    ids.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// The body of a multirequest.
pub(super) struct Multirequest<'a> {
    /// The session.
    pub(super) ks: &'a str,
    /// The calls, in order.
    pub(super) calls: &'a [&'a Call],
}

impl Multirequest<'_> {
    /// Writes the body, and refuses one with a value that the server would replace.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
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

/// A call that makes a session: alone in its request, and without a session of its own.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Login<'a> {
    /// `session.start`
    #[serde(rename_all = "camelCase")]
    Start {
        /// The administrator secret.
        secret: &'a str,
        /// In whose name.
        user_id: &'a str,
        /// The account.
        partner_id: i64,
        /// For how many seconds.
        expiry: u64,
        /// With which privileges.
        privileges: &'a str,
        /// Always [`ADMIN_SESSION_KIND`].
        r#type: u8,
        /// Always [`JSON`].
        format: u8,
    },
    /// `session.startWidgetSession`
    #[serde(rename_all = "camelCase")]
    Widget {
        /// An underscore and the account's number.
        widget_id: String,
        /// For how many seconds.
        expiry: u64,
        /// Always [`JSON`].
        format: u8,
    },
    /// `appToken.startSession`
    #[serde(rename_all = "camelCase")]
    AppToken {
        /// The widget session.
        ks: &'a str,
        /// The token's ID.
        id: &'a str,
        /// The hash of both.
        token_hash: String,
        /// For how many seconds.
        expiry: u64,
        /// Always [`JSON`].
        format: u8,
    },
}

impl Login<'_> {
    /// The path below `/api_v3/service/`.
    pub(super) fn path(&self) -> &'static str {
        match self {
            Self::Start { .. } => "session/action/start",
            Self::Widget { .. } => "session/action/startWidgetSession",
            Self::AppToken { .. } => "appToken/action/startSession",
        }
    }

    /// The action, for people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "session.start",
            Self::Widget { .. } => "session.startWidgetSession",
            Self::AppToken { .. } => "appToken.startSession",
        }
    }
}

/// The answer of `startWidgetSession` and `appToken.startSession`.
#[derive(Deserialize)]
pub(super) struct SessionInfo {
    /// The session.
    pub(super) ks: String,
    /// When it ends, where the server says so.
    #[serde(default, deserialize_with = "optional_number")]
    pub(super) expiry: Option<i64>,
    /// What it may do, where the server says so.
    #[serde(default)]
    pub(super) privileges: Option<String>,
}

/// The answer of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed<R> {
    /// How many rows there are on all pages.
    #[serde(deserialize_with = "number")]
    pub(super) total_count: i64,
    /// The page. Absent where the category of the question does not exist.
    pub(super) objects: Option<Vec<R>>,
}

/// A category as the server writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CategoryRow {
    #[serde(deserialize_with = "number")]
    id: i64,
    #[serde(default, deserialize_with = "optional_number")]
    parent_id: Option<i64>,
    #[serde(default)]
    reference_id: Option<String>,
    #[serde(default)]
    full_name: String,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default, deserialize_with = "optional_number")]
    inheritance_type: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    inherited_parent_id: Option<i64>,
    #[serde(default, deserialize_with = "optional_number")]
    members_count: Option<i64>,
    #[serde(deserialize_with = "number")]
    created_at: i64,
    #[serde(default, deserialize_with = "optional_number")]
    status: Option<i64>,
}

impl CategoryRow {
    /// The category, unless it is deleted.
    pub(super) fn into_category(self) -> Option<Category> {
        if self.status.is_some_and(|status| status >= DELETED_CATEGORY) {
            return None;
        }
        // An inheriting category that does not say from whom still inherits.
        let inherits_from = (self.inheritance_type == Some(INHERITS)).then(|| {
            CategoryId(
                self.inherited_parent_id
                    .or(self.parent_id)
                    .unwrap_or_default(),
            )
        });
        Some(Category {
            id: CategoryId(self.id),
            reference_id: self
                .reference_id
                .filter(|id| !id.is_empty())
                .map(ReferenceId::new),
            full_name: self.full_name,
            owner: self
                .owner
                .filter(|owner| !owner.is_empty())
                .map(UserId::new),
            inherits_from,
            members_count: self
                .members_count
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or_default(),
            created_at: self.created_at,
        })
    }

    /// Its number.
    pub(super) fn id(&self) -> CategoryId {
        CategoryId(self.id)
    }

    /// Its path.
    pub(super) fn full_name(&self) -> &str {
        &self.full_name
    }

    /// When it was made.
    pub(super) fn created_at(&self) -> i64 {
        self.created_at
    }
}

/// A membership as the server writes it. Ordered, so that two readings can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberRow {
    #[serde(deserialize_with = "number")]
    category_id: i64,
    #[serde(default)]
    user_id: String,
    #[serde(deserialize_with = "number")]
    created_at: i64,
    #[serde(deserialize_with = "number")]
    permission_level: i64,
    #[serde(deserialize_with = "number")]
    status: i64,
    #[serde(deserialize_with = "number")]
    update_method: i64,
    #[serde(default)]
    permission_names: Option<String>,
}

impl MemberRow {
    /// Whose category it is.
    pub(super) fn category(&self) -> CategoryId {
        CategoryId(self.category_id)
    }

    /// Whose membership it is.
    pub(super) fn user(&self) -> UserId {
        UserId::new(self.user_id.as_str())
    }

    /// When it was made.
    pub(super) fn created_at(&self) -> i64 {
        self.created_at
    }

    /// The membership; `None` where a number means nothing to us.
    pub(super) fn entitlement(&self) -> Option<Entitlement> {
        let level = level(self.permission_level)?;
        let names = permission_names(level);
        let extra_permissions = self
            .permission_names
            .iter()
            .flat_map(|all| all.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty() && !names.contains(name))
            .map(str::to_owned)
            .collect();
        Some(Entitlement {
            user: self.user(),
            level,
            method: method(self.update_method)?,
            status: status(self.status)?,
            extra_permissions,
        })
    }
}

/// Reads an answer as what it should be.
pub(super) fn read<T: DeserializeOwned>(action: &str, answer: Value) -> Result<T, KalturaError> {
    // The decoder's own words may quote the answer, and so are kept out.
    serde_json::from_value(answer).map_err(|_| KalturaError::Unreadable {
        action: action.to_owned(),
    })
}

fn level_number(level: PermissionLevel) -> u8 {
    match level {
        PermissionLevel::Manager => 0,
        PermissionLevel::Moderator => 1,
        PermissionLevel::Contributor => 2,
        PermissionLevel::Member => 3,
        PermissionLevel::None => 4,
    }
}

fn level(number: i64) -> Option<PermissionLevel> {
    Some(match number {
        0 => PermissionLevel::Manager,
        1 => PermissionLevel::Moderator,
        2 => PermissionLevel::Contributor,
        3 => PermissionLevel::Member,
        4 => PermissionLevel::None,
        _ => return None,
    })
}

fn method_number(method: UpdateMethod) -> u8 {
    match method {
        UpdateMethod::Manual => 0,
        UpdateMethod::Automatic => 1,
    }
}

fn method(number: i64) -> Option<UpdateMethod> {
    Some(match number {
        0 => UpdateMethod::Manual,
        1 => UpdateMethod::Automatic,
        _ => return None,
    })
}

fn status(number: i64) -> Option<Status> {
    Some(match number {
        1 => Status::Active,
        2 => Status::Pending,
        3 => Status::NotActive,
        _ => return None,
    })
}

/// What a level means in permission names; a change of the level sets exactly these.
fn permission_names(level: PermissionLevel) -> &'static [&'static str] {
    match level {
        PermissionLevel::Manager => &[
            "CATEGORY_EDIT",
            "CATEGORY_MODERATE",
            "CATEGORY_CONTRIBUTE",
            "CATEGORY_VIEW",
        ],
        PermissionLevel::Moderator => &["CATEGORY_MODERATE", "CATEGORY_VIEW"],
        PermissionLevel::Contributor => &["CATEGORY_CONTRIBUTE", "CATEGORY_VIEW"],
        PermissionLevel::Member => &["CATEGORY_VIEW"],
        PermissionLevel::None => &[],
    }
}

/// A number that the server may write as a text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    optional_number(deserializer)?.ok_or_else(|| D::Error::custom("a number is missing"))
}

fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    match Option::<Either>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text
            .parse()
            .map(Some)
            .map_err(|_| D::Error::custom("this is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
                PermissionLevel::Manager,
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
            PermissionLevel::Contributor,
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

    #[test]
    fn every_level_and_its_number() {
        for number in 0..5 {
            assert_eq!(i64::from(level_number(level(number).unwrap())), number);
        }
        assert_eq!(level(5), None);
    }

    #[test]
    fn surprise_14_the_three_states_are_told_apart_and_a_deleted_row_is_none() {
        let row = |status: i64| -> Option<Entitlement> {
            let row: MemberRow = serde_json::from_value(json!({
                "categoryId": 3, "userId": "Ada", "permissionLevel": 3, "status": status,
                "createdAt": "1795294472", "updateMethod": 1,
                "permissionNames": "CATEGORY_VIEW,CATEGORY_SUBSCRIBE", "objectType": "KalturaCategoryUser"
            }))
            .unwrap();
            row.entitlement()
        };
        let states: Vec<_> = (1..=4).map(|n| row(n).map(|row| row.status)).collect();
        assert_eq!(
            states,
            [
                Some(Status::Active),
                Some(Status::Pending),
                Some(Status::NotActive),
                None
            ]
        );
        assert_eq!(row(1).unwrap().extra_permissions, ["CATEGORY_SUBSCRIBE"]);
    }

    #[test]
    fn surprise_13_an_inheriting_category_says_from_whom() {
        let row = |inheritance: i64| -> Category {
            let row: CategoryRow = serde_json::from_value(json!({
                "id": 30, "parentId": 28, "fullName": "a>b", "inheritanceType": inheritance,
                "inheritedParentId": 28, "createdAt": 1, "referenceId": "", "owner": "own"
            }))
            .unwrap();
            row.into_category().unwrap()
        };
        assert_eq!(row(1).inherits_from, Some(CategoryId(28)));
        assert_eq!(row(2).inherits_from, None);
        assert_eq!(row(2).reference_id, None, "an empty reference ID is none");
    }
}
