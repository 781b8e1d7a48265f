//! What `rollbook check` tells about a directory.

use crate::directory::Unusable;

/// What a look at a directory has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The server's URL, or the file.
    pub place: String,
    /// The server, where there is one.
    pub server: Option<ServerReport>,
    /// The people.
    pub people: Sample,
    /// The groups.
    pub groups: Sample,
}

/// What a server says about itself and about us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// What it is: `OpenLDAP`, `389 Directory Server`, `Active Directory`, `LDAP server`.
    pub kind: String,
    /// Whom it takes us for (RFC 4532); `None` where it takes us for nobody or does not say.
    pub bound_as: Option<String>,
    /// Whether the connection is encrypted, or does not leave this machine.
    pub private: bool,
}

/// The first entries of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Entries looked at.
    pub looked_at: usize,
    /// Whether there are more.
    pub more: bool,
    /// Those that can be used.
    pub usable: usize,
    /// Groups with at least one member. None at all may mean a missing right to read them.
    pub with_members: usize,
    /// Entries with a time stamp, by which changes are found. Without one each run reads everything.
    pub stamped: usize,
    /// What cannot be used, or not in full.
    pub problems: Vec<Unusable>,
}
