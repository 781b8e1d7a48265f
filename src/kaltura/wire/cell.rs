//! The numbers in CSV files and in the logs of what became of them, as cells.

use serde::{Deserialize, Serialize};

use super::{level_number, method_number, status_number};
use crate::category::{PermissionLevel, Status, UpdateMethod};
use crate::kaltura::csv::channel::{Contribution, Privacy};

/// What a row asks for (`BulkUploadAction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::kaltura) enum RowAction {
    Add,
    Update,
    Delete,
    /// Which of the two is settled when the file is read, before its first row acts.
    AddOrUpdate,
}

impl RowAction {
    pub(in crate::kaltura) fn cell(self) -> &'static str {
        digit(match self {
            Self::Add => 1,
            Self::Update => 2,
            Self::Delete => 3,
            Self::AddOrUpdate => 6,
        })
    }
}

/// What became of a row (`KalturaBulkUploadResultStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kaltura) enum RowResult {
    Error,
    Done,
    InProgress,
}

impl RowResult {
    pub(in crate::kaltura) fn of(cell: &str) -> Option<Self> {
        Some(match cell {
            "1" => Self::Error,
            "2" => Self::Done,
            "3" => Self::InProgress,
            _ => return None,
        })
    }
}

/// The cell of a level; an empty one leaves the level as it is.
pub(in crate::kaltura) fn level_cell(level: Option<PermissionLevel>) -> &'static str {
    level.map_or("", |level| digit(level_number(level)))
}

/// The cell of an update method.
pub(in crate::kaltura) fn method_cell(method: Option<UpdateMethod>) -> &'static str {
    method.map_or("", |method| digit(method_number(method)))
}

/// The cell of a status; an empty one leaves the status as it is.
pub(in crate::kaltura) fn status_cell(status: Option<Status>) -> &'static str {
    status.map_or("", |status| digit(status_number(status)))
}

/// The cell of a privacy (`KalturaPrivacyType`).
pub(in crate::kaltura) fn privacy_cell(privacy: Privacy) -> &'static str {
    digit(match privacy {
        Privacy::All => 1,
        Privacy::Authenticated => 2,
        Privacy::Members => 3,
    })
}

/// The cell of where a category is listed (`KalturaAppearInListType`): a private one for its members, others
/// for everybody.
pub(in crate::kaltura) fn listing_cell(privacy: Privacy) -> &'static str {
    digit(match privacy {
        Privacy::All | Privacy::Authenticated => 1,
        Privacy::Members => 3,
    })
}

/// The cell of a contribution policy (`KalturaContributionPolicyType`).
pub(in crate::kaltura) fn contribution_cell(contribution: Contribution) -> &'static str {
    digit(match contribution {
        Contribution::All => 1,
        Contribution::Members => 2,
    })
}

/// The cell of a category that has members of its own (`KalturaInheritanceType`).
pub(in crate::kaltura) const OWN_MEMBERS_CELL: &str = "2";

fn digit(number: u8) -> &'static str {
    let at = usize::from(number);
    "0123456789".get(at..=at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_an_empty_cell_and_a_manager_is_not() {
        assert_eq!(level_cell(None), "");
        assert_eq!(level_cell(Some(PermissionLevel::Manager)), "0");
        assert_eq!(method_cell(Some(UpdateMethod::Automatic)), "1");
        assert_eq!(status_cell(Some(Status::NotActive)), "3");
    }

    #[test]
    fn a_private_channel_is_listed_for_its_members_only() {
        let cells = [Privacy::All, Privacy::Authenticated, Privacy::Members]
            .map(|privacy| (privacy_cell(privacy), listing_cell(privacy)));
        assert_eq!(cells, [("1", "1"), ("2", "1"), ("3", "3")]);
        assert_eq!(contribution_cell(Contribution::Members), "2");
    }
}
