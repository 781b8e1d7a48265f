//! What `category.add` and `category.update` refuse.
//!
//! *Its one idea: the names of these errors are longer than the rules.*

use crate::sandbox::dispatch::Call;
use crate::sandbox::error::{self, ApiError, Failure};
use crate::sandbox::params::Record;
use crate::sandbox::state::Category;
use crate::sandbox::text::is_user_id;

/// A name is at most this many bytes long.
const NAME_BYTES: usize = 200;

pub(super) fn clean_name(name: &str) -> Result<String, ApiError> {
    if name.is_empty() {
        let short = error::PROPERTY_VALIDATION_MIN_LENGTH;
        return Err(ApiError::new(short, &[&"KalturaCategory::name", &1]));
    }
    if name.len() > NAME_BYTES {
        let long = error::PROPERTY_VALIDATION_MAX_LENGTH;
        return Err(ApiError::new(
            long,
            &[&"KalturaCategory::name", &NAME_BYTES],
        ));
    }
    // PHP's `trim`, which knows no other space than these.
    let name = name.trim_matches([' ', '\t', '\n', '\r', '\0', '\u{b}']);
    Ok(name.replace(['<', '>', ','], "_"))
}

pub(super) fn context_of(call: &Call<'_>, sent: &Record) -> Result<Option<String>, Failure> {
    let Some(context) = sent.text("privacyContext") else {
        return Ok(None);
    };
    if call.is_enforced() {
        let refused = error::CANNOT_UPDATE_CATEGORY_PRIVACY_CONTEXT;
        return Err(ApiError::new(refused, &[]).into());
    }
    for one in context.split(',').filter(|_| !context.is_empty()) {
        if one.trim().len() < 4 || !one.trim().bytes().all(|b| b.is_ascii_alphanumeric()) {
            let invalid = error::PRIVACY_CONTEXT_INVALID_STRING;
            return Err(ApiError::new(invalid, &[&one]).into());
        }
    }
    Ok(Some(context.to_owned()))
}

/// Without a privacy context these fields cannot leave their defaults.
pub(super) fn check_context(category: &Category, sent: &Record) -> Result<(), ApiError> {
    if !category.contexts.is_empty() {
        return Ok(());
    }
    let other = |name: &str, default: i64| sent.int(name).is_some_and(|value| value != default);
    let refused = if other("appearInList", 1) {
        error::CANNOT_SET_APPEAR_IN_LIST_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("inheritanceType", 2) {
        error::CANNOT_SET_INHERITANCE_TYPE_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("privacy", 1) {
        error::CANNOT_SET_PRIVACY_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if sent.filled("owner").is_some() {
        error::CANNOT_SET_OWNER_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("contributionPolicy", 1) {
        error::CANNOT_SET_CONTIRUBUTION_POLICY_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else if other("defaultPermissionLevel", 3) {
        error::CANNOT_SET_DEFAULT_PERMISSION_LEVEL_FIELD_WITH_NO_PRIVACY_CONTEXT
    } else {
        return Ok(());
    };
    Err(ApiError::new(refused, &[]))
}

pub(super) fn check_inheriting(category: &Category, sent: &Record) -> Result<(), ApiError> {
    let refused = if category.parent == 0 {
        error::CANNOT_INHERIT_MEMBERS_WHEN_PARENT_CATEGORY_IS_NOT_SET
    } else if sent.filled("owner").is_some() {
        error::CANNOT_SET_OWNER_WHEN_CATEGORY_INHERIT_MEMBERS
    } else if sent.has("defaultPermissionLevel") {
        error::CANNOT_SET_DEFAULT_PERMISSION_LEVEL_WHEN_CATEGORY_INHERIT_MEMBERS
    } else {
        return Ok(());
    };
    Err(ApiError::new(refused, &[]))
}

pub(super) fn check_owner(call: &Call<'_>, owner: &str) -> Result<(), ApiError> {
    if call.state.users.find(owner).is_none() && !is_user_id(owner) {
        let invalid = error::CANNOT_SET_OWNER_FIELD_WITH_USER_ID;
        return Err(ApiError::new(invalid, &[&owner]));
    }
    Ok(())
}

pub(super) fn check_move(call: &Call<'_>, id: i64, parent: i64) -> Result<(), ApiError> {
    if parent == 0 {
        return Ok(());
    }
    if call.category(parent).is_none() {
        return Err(ApiError::new(error::CATEGORY_NOT_FOUND, &[&parent]));
    }
    if call.state.categories.subtree(id).contains(&parent) {
        return Err(ApiError::new(
            error::PARENT_CATEGORY_IS_CHILD,
            &[&parent, &id],
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_loses_what_paths_are_made_of() {
        assert_eq!(clean_name("  a>b,c<d ").ok().as_deref(), Some("a_b_c_d"));
        assert_eq!(clean_name("   ").ok().as_deref(), Some(""));
    }

    #[test]
    fn a_name_is_measured_in_bytes() {
        assert!(clean_name(&"ä".repeat(100)).is_ok());
        assert!(clean_name(&"ä".repeat(101)).is_err());
        assert!(clean_name("").is_err());
    }
}
