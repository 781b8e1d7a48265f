//! What the session may do, compared with what it needs.

use serde_json::Value;

use super::api_error::ApiError;
use super::error::KalturaError;
use super::request::{Client, refused, required};
use super::wire::{self, Call};

/// Any one of these opens what Rollbook does.
const ENOUGH: [&str; 2] = [
    "CONTENT_MANAGE_ASSIGN_CATEGORIES",
    "BASE_USER_SESSION_PERMISSION",
];
/// Any one of these opens the way for CSV files.
const FILES: [&str; 2] = ["CONTENT_INGEST_BULK_UPLOAD", "BASE_USER_SESSION_PERMISSION"];
/// Permissions with which somebody could do lasting harm, or give themselves more.
const DANGEROUS: [&str; 7] = [
    "ADMIN_ROLE_ADD",
    "ADMIN_USER_ADD",
    "ADMIN_USER_UPDATE",
    "ADMIN_USER_DELETE",
    "APP_TOKEN_ADD",
    "CONTENT_MANAGE_DELETE",
    "ACCOUNT_UPDATE_SETTINGS",
];
/// Of the dangerous ones, so many mean a full administrator.
const ADMINISTRATOR: usize = 5;

/// What the session may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Permissions that are needed and not there. Not empty: nothing will work.
    pub missing: Vec<String>,
    /// Permissions that are there, not needed, and dangerous in the wrong hands.
    pub dangerous: Vec<String>,
    /// Whether it may hand in CSV files, and follow what becomes of them.
    pub uploads: bool,
    /// Whether the session has the rights of a full administrator: as any administrator's session
    /// without a role has.
    pub full_administrator: bool,
    /// Whether the session sees every category and may write to it (`disableentitlement`).
    /// An app token must have it among its own privileges.
    pub sees_everything: bool,
}

pub(super) async fn check(client: &Client) -> Result<Standing, KalturaError> {
    let calls = [Call::ping(), Call::current_permissions()];
    let mut answers = client.read_many(&calls).await?.into_iter();
    let mut answer = |call: &Call| match answers.next() {
        Some(answer) => required(call, answer),
        None => Err(KalturaError::Unreadable {
            action: call.name(),
        }),
    };
    if answer(&calls[0])? != Value::Bool(true) {
        let error = ApiError::unexpected("the server is not well");
        return Err(refused(calls[0].name(), error));
    }
    let permissions: String = wire::read(&calls[1].name(), answer(&calls[1])?)?;
    let privileges = client.session.privileges().await.unwrap_or_default();
    Ok(standing(&permissions, &privileges))
}

fn standing(permissions: &str, privileges: &str) -> Standing {
    let has = |name: &&&str| {
        permissions
            .split(',')
            .any(|permission| permission.trim() == **name)
    };
    let dangerous: Vec<String> = DANGEROUS
        .iter()
        .filter(has)
        .map(|name| (*name).to_owned())
        .collect();
    let missing = if ENOUGH.iter().any(|name| has(&name)) {
        Vec::new()
    } else {
        vec![ENOUGH[0].to_owned()]
    };
    let privilege = |name: &str| {
        privileges
            .split(',')
            .any(|privilege| privilege.trim() == name)
    };
    Standing {
        missing,
        uploads: FILES.iter().any(|name| has(&name)),
        full_administrator: dangerous.len() >= ADMINISTRATOR,
        dangerous,
        sees_everything: privilege("disableentitlement") && !privilege("enableentitlement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_least_role_is_enough_and_harmless() {
        let least = "ADMIN_BASE,CONTENT_MANAGE_ASSIGN_CATEGORIES,ALWAYS_ALLOWED_ACTIONS,\
                     ALWAYS_ALLOWED_FROM_INTERNAL_IP_ACTIONS,DYNAMIC_FLAG_KMC_CHUNKED_CATEGORY_LOAD";
        let standing = standing(least, "disableentitlement,setrole:29");
        assert!(standing.missing.is_empty() && standing.dangerous.is_empty());
        assert!(standing.sees_everything && !standing.full_administrator);
        assert!(!standing.uploads, "it goes by calls only");
    }

    #[test]
    fn csv_files_need_a_permission_of_their_own() {
        let with_files = "ADMIN_BASE,CONTENT_MANAGE_ASSIGN_CATEGORIES,CONTENT_INGEST_BULK_UPLOAD";
        assert!(standing(with_files, "disableentitlement").uploads);
    }

    #[test]
    fn surprise_27_a_session_without_a_role_is_seen_to_be_an_administrators() {
        let all = format!(
            "FEATURE_ENTITLEMENT,{},{}",
            ENOUGH.join(","),
            DANGEROUS.join(",")
        );
        assert!(standing(&all, "disableentitlement").full_administrator);
    }

    #[test]
    fn a_role_without_the_permission_is_told() {
        let standing = standing(
            "CONTENT_MANAGE_CATEGORY_USERS",
            "sessionid:0_x,apptoken:0_x",
        );
        assert_eq!(standing.missing, ["CONTENT_MANAGE_ASSIGN_CATEGORIES"]);
        assert!(!standing.sees_everything);
    }
}
