//! The API's own words: what is sent, what comes back, and the numbers they use.
//!
//! *Its one idea: Kaltura's numbers end here.* Nothing outside this file knows that a manager is 0.
//! What is not set is not sent, since JSON null means "clear" to the server.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::KalturaError;
use crate::category::{PermissionLevel, Status, UpdateMethod};

mod bulk;
mod call;
mod cell;
mod job;
mod login;
mod row;
mod served;

pub(super) use bulk::{LogRequest, Upload};
pub(super) use call::{Call, MembersOf, Multirequest, below};
pub(super) use cell::{
    OWN_MEMBERS_CELL, RowAction, RowResult, contribution_cell, level_cell, listing_cell,
    method_cell, privacy_cell, status_cell,
};
pub(super) use job::JobRow;
pub(super) use login::{Login, SessionInfo};
pub(super) use row::{CategoryRow, Listed, MemberRow};
pub(super) use served::read_log;

/// The most rows that the server puts into one page, whatever it is asked for.
pub(super) const PAGE_SIZE: u32 = 500;
/// The first offset that the server's search refuses.
pub(super) const LIST_CEILING: u32 = 10_000;

/// Times up to this one are counted from now: ten years, in seconds.
const LONGEST_RELATIVE_TIME: i64 = 315_360_000;

/// The type of an administrator's session.
pub(super) const ADMIN_SESSION_KIND: u8 = 2;
/// The format of an answer.
pub(super) const JSON: u8 = 1;

const CLIENT_TAG: &str = concat!("rollbook:", env!("CARGO_PKG_VERSION"));
const INCLUDE_FIELDS: u8 = 1;
const INHERITS: i64 = 1;
const DELETED_CATEGORY: i64 = 3;

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

fn status_number(status: Status) -> u8 {
    match status {
        Status::Active => 1,
        Status::Pending => 2,
        Status::NotActive => 3,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_and_its_number() {
        for number in 0..5 {
            assert_eq!(i64::from(level_number(level(number).unwrap())), number);
        }
        assert_eq!(level(5), None);
    }

    #[test]
    fn every_status_and_its_number() {
        for number in 1..4 {
            assert_eq!(i64::from(status_number(status(number).unwrap())), number);
        }
    }
}
