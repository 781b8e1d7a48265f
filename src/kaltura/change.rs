//! Writes, and what became of them.
//!
//! *Its one idea: an outcome says what to do next*, not which code the server used.

use serde_json::Value;

use super::api_error::{ApiError, Disposition};
use super::transport::Answer;
use super::wire::{Call, MemberRow};
use crate::category::{CategoryId, PermissionLevel, Status, UpdateMethod, UserId};

/// One change of one membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Make it.
    Add {
        /// Where.
        category: CategoryId,
        /// Who.
        user: UserId,
        /// As what.
        level: PermissionLevel,
        /// Whose it is to be; always said, because the server's own default is manual.
        method: UpdateMethod,
    },
    /// Change its level, and whose it is.
    SetLevel {
        /// Where.
        category: CategoryId,
        /// Who.
        user: UserId,
        /// To what.
        level: PermissionLevel,
        /// Whose it is to be.
        method: UpdateMethod,
        /// Even if it is manual.
        over_manual: bool,
        /// Permission names beyond those of the level, which must outlive the change.
        extra_permissions: Vec<String>,
    },
    /// Delete it, even if it is manual: the server does not ask.
    Remove {
        /// Where.
        category: CategoryId,
        /// Who.
        user: UserId,
    },
    /// Put it in force: a deactivated one, or a request to join.
    Activate {
        /// Where.
        category: CategoryId,
        /// Who.
        user: UserId,
    },
    /// Keep it without access.
    Deactivate {
        /// Where.
        category: CategoryId,
        /// Who.
        user: UserId,
    },
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is done.
    Done,
    /// It was so before: what was to be deleted is not there.
    AlreadySo,
    /// The membership is not what it was thought to be: look again.
    Conflict,
    /// It will not be done, ever; this concerns this write only.
    Refused(ApiError),
    /// It was not done now: try later.
    Passing(ApiError),
    /// Nobody knows whether it was done: look again.
    Unknown,
}

impl Write {
    /// The category and the person it is about.
    pub fn pair(&self) -> (CategoryId, &UserId) {
        match self {
            Self::Add { category, user, .. }
            | Self::SetLevel { category, user, .. }
            | Self::Remove { category, user }
            | Self::Activate { category, user }
            | Self::Deactivate { category, user } => (*category, user),
        }
    }

    pub(super) fn call(&self) -> Call {
        match self {
            Self::Add {
                category,
                user,
                level,
                method,
            } => Call::add_member(*category, user, *level, *method),
            Self::SetLevel {
                category,
                user,
                level,
                method,
                over_manual,
                extra_permissions,
            } => Call::set_level(
                *category,
                user,
                (*level, *method),
                *over_manual,
                extra_permissions,
            ),
            Self::Remove { category, user } => Call::remove_member(*category, user),
            Self::Activate { category, user } => Call::activate_member(*category, user),
            Self::Deactivate { category, user } => Call::deactivate_member(*category, user),
        }
    }

    pub(super) fn outcome(&self, answer: Answer) -> WriteOutcome {
        match answer {
            Ok(Value::Null) if matches!(self, Self::Remove { .. }) => WriteOutcome::Done,
            Ok(row) => {
                serde_json::from_value(row).map_or(WriteOutcome::Unknown, |row| self.compare(&row))
            }
            Err(error) => self.failure(error),
        }
    }

    /// Whether the row that the server answers with is the one that was to be.
    fn compare(&self, row: &MemberRow) -> WriteOutcome {
        let (category, user) = self.pair();
        let Some(is) = row
            .entitlement()
            .filter(|_| row.category() == category && row.user() == *user)
        else {
            return WriteOutcome::Unknown;
        };
        let as_wished = match self {
            // Without `disableentitlement` the server answers with a request to join, say.
            Self::Add { level, .. } => is.level == *level && is.status == Status::Active,
            Self::SetLevel { level, .. } => is.level == *level,
            Self::Activate { .. } => is.status == Status::Active,
            Self::Deactivate { .. } => is.status == Status::NotActive,
            // Where nothing should be left, there is a row.
            Self::Remove { .. } => false,
        };
        if as_wished {
            WriteOutcome::Done
        } else {
            WriteOutcome::Conflict
        }
    }

    fn failure(&self, error: ApiError) -> WriteOutcome {
        if error.disposition() != Disposition::Permanent {
            return WriteOutcome::Passing(error);
        }
        match (self, error.code.as_str()) {
            // "Invalid user" is said of a deleted one, whose memberships go with a later job.
            (Self::Remove { .. }, "INVALID_CATEGORY_USER_ID" | "INVALID_USER_ID") => {
                WriteOutcome::AlreadySo
            }
            (Self::Add { .. }, "CATEGORY_USER_ALREADY_EXISTS")
            | (
                Self::SetLevel { .. } | Self::Activate { .. } | Self::Deactivate { .. },
                "INVALID_CATEGORY_USER_ID" | "INVALID_USER_ID",
            )
            | (Self::SetLevel { .. }, "CANNOT_OVERRIDE_MANUAL_CHANGES") => WriteOutcome::Conflict,
            _ => WriteOutcome::Refused(error),
        }
    }
}
