//! The channels' side: categories of Kaltura, and what a person may do in one.
//!
//! *Its one idea: an id is a type that compares as Kaltura compares it.* A user ID folds case, a
//! reference ID is compared byte for byte, and neither can be taken for the other.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod names;
mod user_id;

pub use names::{Names, meant};
pub use user_id::{UserId, UserIdProblem};

/// Kaltura's own number of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CategoryId(pub i64);

impl fmt::Display for CategoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The customer's own name of a category, by which it is matched with a group ID.
///
/// Compared byte for byte: Kaltura's search folds case and punctuation (`referenceIdEqual` is a
/// full-text phrase), so only the client can tell two reference IDs apart. Kaltura does not keep
/// them unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReferenceId(Arc<str>);

impl ReferenceId {
    /// Takes a reference ID as it stands.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text as Kaltura holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::shown::Shown(&self.0).fmt(f)
    }
}

impl Borrow<str> for ReferenceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a member of a category may do there. The greater value is the stronger level, so the
/// higher of two grants is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionLevel {
    /// A membership that grants nothing; Kaltura cannot update a row away from it.
    None,
    /// Sees the content.
    Member,
    /// Sees and adds content.
    Contributor,
    /// Sees and moderates content.
    Moderator,
    /// Does everything, members included.
    Manager,
}

impl fmt::Display for PermissionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Member => "member",
            Self::Contributor => "contributor",
            Self::Moderator => "moderator",
            Self::Manager => "manager",
        })
    }
}

/// Who keeps a membership: a person in the console, or a synchroniser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateMethod {
    /// Made or changed by a person; Rollbook leaves it alone.
    Manual,
    /// Made by a synchroniser.
    Automatic,
}

/// Whether a membership is in force. A deleted row is never listed, so it has no variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In force.
    Active,
    /// A request to join that nobody has answered.
    Pending,
    /// Deactivated: kept, without access.
    NotActive,
}

/// One membership as Kaltura has it (a categoryUser row).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// The person, spelt as Kaltura stores it.
    pub user: UserId,
    /// What the person may do.
    pub level: PermissionLevel,
    /// Who keeps the row.
    pub method: UpdateMethod,
    /// Whether it is in force.
    pub status: Status,
    /// Permission names beyond those of the level (`CATEGORY_SUBSCRIBE`, say), which a change of
    /// the level would otherwise wipe out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_permissions: Vec<String>,
}

/// One category as Kaltura has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Kaltura's number.
    pub id: CategoryId,
    /// The name to match with a group, where one is set.
    pub reference_id: Option<ReferenceId>,
    /// The path from the root, joined with `>`.
    pub full_name: String,
    /// The owner, whose membership is never touched.
    pub owner: Option<UserId>,
    /// The ancestor whose members apply, where this category has none of its own.
    pub inherits_from: Option<CategoryId>,
    /// Active members by Kaltura's own count, which drifts under concurrent writes: an estimate.
    pub members_count: u64,
    /// When it was made, in Unix seconds by Kaltura's clock.
    pub created_at: i64,
}

impl Category {
    /// The last part of the path: the channel's name.
    pub fn name(&self) -> &str {
        self.full_name.rsplit('>').next().unwrap_or(&self.full_name)
    }

    /// What it can be named by.
    pub fn names(&self) -> Names<'_> {
        Names {
            id: self.id,
            reference: self.reference_id.as_ref(),
            name: self.name(),
        }
    }
}
