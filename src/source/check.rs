//! What `rollbook check` tells about a directory.

use super::entry::Entry;
use super::stamp;
use crate::directory::{Observation, Unusable};

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

impl Sample {
    /// Counts an entry and what is told about it.
    pub(super) fn add(
        &mut self,
        entry: &Entry,
        stamp_attribute: &str,
        observations: Vec<Observation>,
    ) {
        self.looked_at += 1;
        let stamp = entry.text(stamp_attribute).ok().flatten();
        self.stamped += usize::from(stamp.and_then(stamp::parse).is_some());
        for observation in observations {
            match observation {
                Observation::Person(..) => self.usable += 1,
                Observation::Group(group, _) => {
                    self.usable += 1;
                    self.with_members += usize::from(!group.members.is_empty());
                }
                Observation::Unusable(problem) | Observation::Flawed(problem) => {
                    self.problems.push(problem);
                }
                Observation::Left(..) | Observation::Other(_) => {}
            }
        }
    }
}
