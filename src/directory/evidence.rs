//! How much is known of a set that a removal can depend on.
//!
//! A read can be complete in form and not in content: a value that was not understood, an attribute
//! that the account may no longer read, an export joined from two of which one is cut. So each set says
//! how much of it is known, and why it is not all. The planner takes access away only with a [`Known`],
//! which only [`Evidence::known`] gives.
//!
//! | reason about | examples |
//! |---|---|
//! | a directory | [`Reason::ReadIncomplete`], [`Reason::ServerBehind`] |
//! | a group | [`Reason::ValueNotUnderstood`], [`Reason::AttributeUnreadable`] |
//! | one person in a group | [`Reason::StillListed`], [`Reason::PerhapsListed`], [`Reason::Unconfirmed`] |

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How much is known of a set, such as the members of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "known", content = "reasons", rename_all = "snake_case")]
pub enum Evidence {
    /// All of it: what is not in it is not there.
    #[default]
    #[serde(rename = "all")]
    Known,
    /// A part of it: what is in it is there.
    #[serde(rename = "part")]
    Partial(BTreeSet<Reason>),
    /// Nothing: what was read says nothing about the set.
    #[serde(rename = "nothing")]
    Unknown(BTreeSet<Reason>),
}

/// Proof that a set is known in full. Only [`Evidence::known`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known(());

/// Why a set is not known in full, or why it is not known that somebody is no longer in it.
///
/// The same names are used in plans, reports, the history, `status` and as JSON (snake case).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The directory could not be read in this run.
    DirectoryUnavailable,
    /// The directory has never been read in full.
    NeverRead,
    /// The read of the directory ended early, or the export is not whole.
    ReadIncomplete,
    /// The server, or the export, is older than what was already read.
    ServerBehind,
    /// A group that fed the channel is not in the directory any more.
    GroupMissing,
    /// A value of the member attribute could not be read or understood.
    ValueNotUnderstood,
    /// The server sent a part of the values only.
    ValuesMissing,
    /// The member attribute is missing where there must be one, or the account may not read it.
    AttributeUnreadable,
    /// Most entries lost the attribute at once.
    AttributeCollapsed,
    /// The entry was read twice, with different content.
    EntryTwice,
    /// The group's entry is there and cannot be used.
    EntryUnusable,
    /// A group in the group is not in the directory any more, or cannot be used.
    InnerGroupMissing,
    /// Groups in groups go deeper than the configured depth.
    TooDeep,
    /// The group still lists a person whose entry is gone or hidden.
    StillListed,
    /// The group lists a name that no entry has, and the person could be meant.
    PerhapsListed,
    /// The group lists a former name of the person, which another entry has now.
    FormerName,
    /// The group lists the person, whose present user ID cannot be used.
    IdUnusable,
    /// The departure was seen, and not yet a second time.
    Unconfirmed,
}

impl Evidence {
    /// A part, for this reason.
    pub fn partial(reason: Reason) -> Self {
        Self::Partial(BTreeSet::from([reason]))
    }

    /// Nothing, for this reason.
    pub fn unknown(reason: Reason) -> Self {
        Self::Unknown(BTreeSet::from([reason]))
    }

    /// Whether all of it is known.
    pub fn is_known(&self) -> bool {
        *self == Self::Known
    }

    /// Why not all of it is known; empty when it is.
    pub fn reasons(&self) -> &BTreeSet<Reason> {
        static NONE: BTreeSet<Reason> = BTreeSet::new();
        match self {
            Self::Known => &NONE,
            Self::Partial(reasons) | Self::Unknown(reasons) => reasons,
        }
    }

    /// The proof that all of it is known, or why it is not.
    pub fn known(&self) -> Result<Known, Reason> {
        match self.reasons().first() {
            None => Ok(Known(())),
            Some(reason) => Err(*reason),
        }
    }

    /// What is known of two sets together: no more than of the less known one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Known, other) | (other, Self::Known) => other,
            (Self::Partial(mut reasons), Self::Partial(others)) => {
                reasons.extend(others);
                Self::Partial(reasons)
            }
            (
                Self::Partial(mut reasons) | Self::Unknown(mut reasons),
                Self::Partial(others) | Self::Unknown(others),
            ) => {
                reasons.extend(others);
                Self::Unknown(reasons)
            }
        }
    }

    /// Adds a reason for which only a part is known.
    pub fn lacks(&mut self, reason: Reason) {
        *self = std::mem::take(self).and(Self::partial(reason));
    }
}

impl Reason {
    /// The name in JSON and metrics, such as `value_not_understood`.
    pub fn code(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// Whether it says that something could not be read, rather than that an entry should be corrected or
    /// that the policy decides. Then a run has not done all of its work.
    pub fn is_of_the_read(self) -> bool {
        matches!(
            self,
            Self::DirectoryUnavailable
                | Self::NeverRead
                | Self::ReadIncomplete
                | Self::ServerBehind
                | Self::ValuesMissing
                | Self::AttributeUnreadable
                | Self::AttributeCollapsed
        )
    }

    /// What would complete the evidence.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::DirectoryUnavailable => "the next run that can read the directory decides",
            Self::NeverRead => "the first complete read decides",
            Self::ReadIncomplete => "the next complete read decides",
            Self::ServerBehind => "a server that has caught up decides",
            Self::GroupMissing => "restore the group, or set policy.vanished_group",
            Self::ValueNotUnderstood => "correct the value in the directory",
            Self::ValuesMissing => "let the account read all values",
            Self::AttributeUnreadable | Self::AttributeCollapsed => {
                "let the account read the attribute"
            }
            Self::EntryTwice => "write the entry once",
            Self::EntryUnusable => "correct the entry in the directory",
            Self::InnerGroupMissing => {
                "restore the inner group, or remove it from the group that lists it"
            }
            Self::TooDeep => "raise directory.groups.depth",
            Self::StillListed | Self::PerhapsListed => {
                "remove the name from the group, or let the account see the entry"
            }
            Self::FormerName => "write the present name into the group",
            Self::IdUnusable => "correct the user ID in the directory",
            Self::Unconfirmed => "a second read after directory.confirm_after decides",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DirectoryUnavailable => "the directory could not be read",
            Self::NeverRead => "the directory has never been read in full",
            Self::ReadIncomplete => "the directory's answer is not complete",
            Self::ServerBehind => "the directory's server is behind what was already read",
            Self::GroupMissing => "a group of the channel is not in the directory any more",
            Self::ValueNotUnderstood => "a value of the member attribute was not understood",
            Self::ValuesMissing => "the server sent a part of the members only",
            Self::AttributeUnreadable => "the member attribute cannot be read",
            Self::AttributeCollapsed => "most entries lost the attribute at once",
            Self::EntryTwice => "the entry was read twice, with different content",
            Self::EntryUnusable => "its entry cannot be used",
            Self::InnerGroupMissing => "a group in it is missing or cannot be used",
            Self::TooDeep => "groups in groups go too deep",
            Self::StillListed => "a group still lists this person, whose entry is gone or hidden",
            Self::PerhapsListed => {
                "a group lists a name that no entry has, which may be this person's"
            }
            Self::FormerName => {
                "a group lists a former name of this person, which another entry has now"
            }
            Self::IdUnusable => "a group lists this person, whose present user ID cannot be used",
            Self::Unconfirmed => "the departure has not been seen a second time yet",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_are_known_no_better_than_the_less_known_one() {
        let part = Evidence::partial(Reason::EntryTwice);
        let nothing = Evidence::unknown(Reason::ReadIncomplete);
        assert_eq!(Evidence::Known.and(part.clone()), part);
        assert_eq!(part.clone().and(Evidence::Known), part);
        let both = BTreeSet::from([Reason::EntryTwice, Reason::ReadIncomplete]);
        assert_eq!(part.and(nothing), Evidence::Unknown(both));
    }

    #[test]
    fn only_what_is_known_in_full_gives_proof() {
        assert!(Evidence::Known.known().is_ok());
        let mut members = Evidence::Known;
        members.lacks(Reason::ValuesMissing);
        assert_eq!(members.known(), Err(Reason::ValuesMissing));
    }

    #[test]
    fn a_reason_has_one_name_everywhere() {
        assert_eq!(Reason::AttributeUnreadable.code(), "attribute_unreadable");
        let json = serde_json::to_string(&Evidence::partial(Reason::EntryTwice)).unwrap();
        assert_eq!(json, r#"{"known":"part","reasons":["entry_twice"]}"#);
    }
}
