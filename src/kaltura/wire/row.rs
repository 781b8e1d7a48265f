//! Rows as the server writes them.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{DELETED_CATEGORY, INHERITS, level, method, permission_names, status};
use crate::category::{Category, CategoryId, Entitlement, ReferenceId, UserId};

/// `KalturaCategoryUserStatus::DELETED`.
const DELETED: i64 = 4;

/// The answer of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kaltura) struct Listed<R> {
    /// How many rows there are on all pages.
    #[serde(deserialize_with = "number")]
    pub(in crate::kaltura) total_count: i64,
    /// The page. Absent where the category of the question does not exist.
    pub(in crate::kaltura) objects: Option<Vec<R>>,
}

/// A category as the server writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kaltura) struct CategoryRow {
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
    pub(in crate::kaltura) fn into_category(self) -> Option<Category> {
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
    pub(in crate::kaltura) fn id(&self) -> CategoryId {
        CategoryId(self.id)
    }

    /// Its path.
    pub(in crate::kaltura) fn full_name(&self) -> &str {
        &self.full_name
    }

    /// When it was made.
    pub(in crate::kaltura) fn created_at(&self) -> i64 {
        self.created_at
    }
}

/// A membership as the server writes it. Ordered, so that two readings can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kaltura) struct MemberRow {
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
    pub(in crate::kaltura) fn category(&self) -> CategoryId {
        CategoryId(self.category_id)
    }

    /// Whose membership it is.
    pub(in crate::kaltura) fn user(&self) -> UserId {
        UserId::new(self.user_id.as_str())
    }

    /// When it was made.
    pub(in crate::kaltura) fn created_at(&self) -> i64 {
        self.created_at
    }

    /// Whether it is a row that has been deleted (`KalturaCategoryUserStatus::DELETED`), which lists show until the
    /// search index catches up.
    pub(in crate::kaltura) fn is_deleted(&self) -> bool {
        self.status == DELETED
    }

    /// The membership; `None` where a number means nothing to us.
    pub(in crate::kaltura) fn entitlement(&self) -> Option<Entitlement> {
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

/// A number that the server may write as a text.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    optional_number(deserializer)?.ok_or_else(|| D::Error::custom("a number is missing"))
}

pub(super) fn optional_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
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
    use crate::category::Status;

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
