//! The organisation's side: people, groups and who is in which, as any directory tells it.
//!
//! *Its one idea: everything is known by the directory's stable id, and names are only names.* A
//! rename or a move keeps the id, so it is never mistaken for a leave and a join.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::category::UserId;

mod dn;
mod evidence;

pub use dn::{Dn, DnError};
pub(crate) use dn::{fold, short_name};
pub use evidence::{Evidence, Known, Reason};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it stands.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                crate::shown::Shown(&self.0).fmt(f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// The directory's own unchanging id of an entry: `entryUUID`, `objectGUID`, `nsUniqueId`, or
    /// the normalised DN where an export has nothing better. Lower case where it is a UUID.
    StableId
}

text_id! {
    /// The organisation's name of a group, which a binding turns into a reference ID. Compared
    /// byte for byte, as reference IDs are.
    GroupId
}

text_id! {
    /// In what capacity somebody is in a group: `member`, or a role named in the configuration.
    Role
}

impl Role {
    /// The role of the plain member.
    pub const MEMBER: &'static str = "member";

    /// The role of the plain member.
    pub fn member() -> Self {
        Self::new(Self::MEMBER)
    }
}

/// A person as the directory has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What stays when everything else is renamed.
    pub id: StableId,
    /// The entry's name, by which groups refer to it.
    pub dn: Dn,
    /// The name by which `memberUid` refers to it, lower case.
    pub login: Option<String>,
    /// The ID in Kaltura, after the configured transformation.
    pub user_id: UserId,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Mail address. Never logged.
    pub mail: Option<String>,
    /// Whether the account is in use; a disabled person is wanted nowhere.
    pub enabled: bool,
    /// The primary group, as its [`primary_key`](Group::primary_key).
    pub primary_group: Option<String>,
    /// What an entry of the same person in another directory has, too (`people.join`).
    pub join_key: Option<String>,
}

/// A group as the directory has it, with its direct members only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What stays when everything else is renamed.
    pub id: StableId,
    /// The entry's name, by which other groups refer to it.
    pub dn: Dn,
    /// The name that bindings look at.
    pub group_id: GroupId,
    /// A name for people.
    pub name: Option<String>,
    /// Who is in it, directly, in each role.
    pub members: Vec<Member>,
    /// How much is known of `members`. Unless all of it is, the group may gain members by this
    /// observation and loses none.
    pub evidence: Evidence,
    /// What people write in their entry who have this as their primary group.
    pub primary_key: Option<String>,
}

/// One value of a group's membership attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// In what capacity.
    pub role: Role,
    /// Whom the value names.
    pub name: MemberName,
}

/// How a group names a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberName {
    /// By entry (`member`, `uniqueMember`, `owner`): a person or another group.
    Dn(Dn),
    /// By login (`memberUid`), lower case: a person.
    Login(String),
}

/// Which of the two kinds of entry something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A person's entry.
    Person,
    /// A group's entry.
    Group,
}

impl EntryKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Group => "group",
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The directory's mark of one state of an entry: `entryCSN` where there is one; in Active Directory the
/// domain controller's own number of the last change; or else the time of the last change.
///
/// Two equal `entryCSN` are the same content. Of the others that is not sure: two changes can be made in one
/// second, and a group's members change with a person's entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(pub String);

impl Version {
    /// The time of the last change, in Unix seconds.
    pub fn of_time(seconds: i64) -> Self {
        Self(format!("@time:{seconds:012}"))
    }

    /// A server's own number of the last change, which can be compared with its other numbers only.
    pub fn of_server(server: &str, number: u64) -> Self {
        Self(format!("@{server}:{number:020}"))
    }

    /// Whether an equal version is the same content.
    pub fn is_exact(&self) -> bool {
        !self.0.starts_with('@')
    }

    /// Whether this state came before the other; `false` where they cannot be compared.
    pub fn is_older_than(&self, other: &Self) -> bool {
        // Each kind has a form of which the order of letters is the order of time.
        self.kind() == other.kind() && self.0 < other.0
    }

    fn kind(&self) -> &str {
        if self.is_exact() {
            return "";
        }
        self.0.split(':').next().unwrap_or_default()
    }
}

/// What a directory tells about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// This person is there, like this.
    Person(Person, Option<Version>),
    /// This group is there, like this.
    Group(Group, Option<Version>),
    /// This entry is there, and cannot be used. What was known of it stays as it was.
    Unusable(Unusable),
    /// This entry was told, just before this, without something that it should have. It is used as
    /// far as it goes.
    Flawed(Unusable),
    /// This entry is no longer one of ours, or can no longer be seen.
    Left(EntryKind, StableId, Left),
    /// An entry of this name is there, and is neither a person nor a group of ours.
    Other(Dn),
}

/// How an entry has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It is there, and does not match the filter any more.
    Filter,
    /// It was not found: deleted, moved elsewhere, or hidden from the account.
    Gone,
}

/// An entry that is there and cannot be used, or not in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What it would be.
    pub kind: EntryKind,
    /// Its stable id, where at least that could be read.
    pub id: Option<StableId>,
    /// Its name as the directory writes it.
    pub dn: String,
    /// Why not.
    pub problem: EntryProblem,
    /// Of a group: the group IDs that it may have.
    pub group_ids: Vec<GroupId>,
}

/// Why an entry cannot be used, or not in full.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum EntryProblem {
    /// A needed attribute is missing or empty.
    #[error("it has no attribute {attribute}")]
    Missing {
        /// The attribute's name.
        attribute: String,
    },
    /// A value is not UTF-8 text.
    #[error("a value of its attribute {attribute} is not UTF-8 text")]
    NotText {
        /// The attribute's name.
        attribute: String,
    },
    /// An attribute that must be single has several values.
    #[error("its attribute {attribute} has {count} values where one is needed")]
    Several {
        /// The attribute's name.
        attribute: String,
        /// How many values there are.
        count: usize,
    },
    /// The configured pattern does not fit the value.
    #[error("the value of its attribute {attribute} does not fit the pattern of {key}")]
    NoMatch {
        /// The attribute's name.
        attribute: String,
        /// The configuration key that holds the pattern.
        key: String,
    },
    /// A name is no DN.
    #[error("a value of its attribute {attribute} is not a distinguished name")]
    NotADn {
        /// The attribute's name.
        attribute: String,
    },
    /// The server gave only a part of the values (`member;range=0-1499`).
    #[error("the server gave only a part of its attribute {attribute}")]
    Partial {
        /// The attribute's name.
        attribute: String,
    },
    /// The account may not read an attribute.
    #[error("its attribute {attribute} cannot be read by this account")]
    Hidden {
        /// The attribute's name.
        attribute: String,
    },
    /// A value could not be read: it is not the base64 that it should be, or stands in another file.
    #[error("a value of its attribute {attribute} could not be read")]
    Unreadable {
        /// The attribute's name.
        attribute: String,
    },
    /// The entry was read twice, with different content.
    #[error("it was read twice, with different content: nobody loses anything by it")]
    Twice,
    /// Another record begins inside its record in a file.
    #[error("its record in the file is cut: another record begins inside it")]
    RunTogether,
    /// The entry could not be decoded at all.
    #[error("it could not be decoded")]
    Undecodable,
}
