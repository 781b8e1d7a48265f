//! The numbers in CSV files and in the logs of what became of them, as cells.

use serde::{Deserialize, Serialize};

use super::{level_number, method_number, status_number};
use crate::category::{PermissionLevel, Status, UpdateMethod};

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
}
