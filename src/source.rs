//! Where people and groups come from: an LDAP server, or an LDIF file.
//!
//! *Its one idea: a source says what it saw and what that proves.* It turns what its directory can
//! tell into [observations](crate::directory::Observation), and ends with a [`Proof`]: only a
//! complete answer may take anybody's access away.

pub mod ldap;
pub mod ldif;

mod by_people;
mod check;
mod entry;
mod error;
mod filter;
mod meaning;
mod outbox;
mod reference;
mod stable_id;
mod stamp;

use secrecy::SecretString;
use tokio::sync::mpsc;

pub use check::{CheckReport, Sample, ServerReport};
pub use error::{Attempt, SourceError};
pub use filter::FilterError;

use crate::config;
use crate::directory::{Dn, EntryKind, MemberName, Observation, Role, StableId, Version};

/// A directory that can be read.
pub enum Source {
    /// An LDAP server.
    Ldap(Box<ldap::Ldap>),
    /// An LDIF file.
    Ldif(Box<ldif::Ldif>),
}

impl Source {
    /// Makes a source from its configuration: compiles patterns and filters, reads certificates, and
    /// asks nothing of the network.
    ///
    /// `bind_password` is what `bind_password` of the configuration resolves to.
    pub fn new(
        config: &config::Directory,
        bind_password: Option<SecretString>,
    ) -> Result<Self, SourceError> {
        Ok(match config {
            config::Directory::Ldap(ldap) => {
                Self::Ldap(Box::new(ldap::Ldap::new(ldap, bind_password)?))
            }
            config::Directory::Ldif(ldif) => Self::Ldif(Box::new(ldif::Ldif::new(ldif)?)),
        })
    }

    /// The directory's name, as in the configuration.
    pub fn name(&self) -> &str {
        match self {
            Self::Ldap(ldap) => ldap.name(),
            Self::Ldif(ldif) => ldif.name(),
        }
    }

    /// Begins a run: all servers are tried, in their order. Within a run the server that was read is read
    /// again as long as it answers.
    pub fn begin_run(&self) {
        if let Self::Ldap(ldap) = self {
            ldap.begin_run();
        }
    }

    /// Reads no more from the server that was read last, in this process, because it is behind. `false`:
    /// there is no other, and the first one is read again.
    pub fn leave_server(&self) -> bool {
        match self {
            Self::Ldap(ldap) => ldap.leave_server(),
            Self::Ldif(_) => false,
        }
    }

    /// Whether it is a server, which can be asked a second time, rather than a file.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Ldap(_))
    }

    /// Looks whether the directory can be read as configured, at a small sample.
    pub async fn check(&self) -> Result<CheckReport, SourceError> {
        match self {
            Self::Ldap(ldap) => ldap.check().await,
            Self::Ldif(ldif) => ldif.check().await,
        }
    }

    /// Reads everything, people first, then groups, and sends it in batches. `seen` is what earlier reads
    /// have seen: a server that has not come so far is not read.
    ///
    /// An error means that nothing could be read at all. A read that began and ended early is
    /// [`Proof::Unproven`]; what was received until then has been sent.
    pub async fn read_all(
        &self,
        seen: Option<&Seen>,
        out: &Observations,
    ) -> Result<Read, SourceError> {
        match self {
            Self::Ldap(ldap) => ldap.read_all(seen, out).await,
            Self::Ldif(ldif) => ldif.read_all(out).await,
        }
    }

    /// Lists what may have changed since a checkpoint, by ids and versions only, with the checkpoint
    /// to store once all of that has been absorbed.
    ///
    /// An entry that is listed may be of the other kind, or of none: the list is made without the
    /// configured filters, so that an entry which left them shows up.
    pub async fn changes_since(
        &self,
        checkpoint: &Checkpoint,
        seen: Option<&Seen>,
    ) -> Result<(Changes, Checkpoint), SourceError> {
        match self {
            Self::Ldap(ldap) => ldap.changes_since(checkpoint, seen).await,
            Self::Ldif(ldif) => ldif.changes_since(checkpoint).await,
        }
    }

    /// Lists the ids and names of all people and groups, without reading them: what is missing, new or
    /// renamed shows, although no change was announced. `None` where that cannot be had.
    pub async fn list(&self, seen: Option<&Seen>) -> Result<Option<Vec<Listed>>, SourceError> {
        match self {
            Self::Ldap(ldap) => ldap.list(seen).await,
            Self::Ldif(_) => Ok(None),
        }
    }

    /// Looks entries up by name, which groups list and no entry has: they may have come without being
    /// announced. One that is there and is neither a person nor a group of ours is told as
    /// [`Observation::Other`]; one that is not found is not told.
    pub async fn look_up(
        &self,
        names: &[Dn],
        seen: Option<&Seen>,
        out: &Observations,
    ) -> Result<Option<Read>, SourceError> {
        match self {
            Self::Ldap(ldap) => ldap.look_up(names, seen, out).await.map(Some),
            Self::Ldif(_) => Ok(None),
        }
    }

    /// Asks the server whether groups have members that it does not show: a right may cover some values
    /// only. One answer for each question: `true` where it has the value, or does not tell.
    pub async fn hides(
        &self,
        questions: &[Membership],
        seen: Option<&Seen>,
    ) -> Result<Vec<bool>, SourceError> {
        match self {
            Self::Ldap(ldap) => ldap.hides(questions, seen).await,
            Self::Ldif(_) => Ok(vec![false; questions.len()]),
        }
    }

    /// Reads these entries. Those that are no longer there, or no longer match the filter, are told
    /// as [`Observation::Left`]. The [`Read`] has no checkpoint: that of
    /// [`changes_since`](Self::changes_since) holds.
    pub async fn read_entries(
        &self,
        moved: &[Moved],
        seen: Option<&Seen>,
        out: &Observations,
    ) -> Result<Read, SourceError> {
        match self {
            Self::Ldap(ldap) => ldap.read_entries(moved, seen, out).await,
            Self::Ldif(ldif) => ldif.read_entries(moved, out).await,
        }
    }
}

/// Observations on their way to the mirror, in the order in which they were read. The channel is
/// bounded: a slow mirror slows the reading down, and memory stays flat.
pub type Observations = mpsc::Sender<Vec<Observation>>;

/// How far a source has been read: opaque text, kept by the store and understood by the source that
/// wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint(pub String);

/// The newest state of each server of a directory that was seen: opaque text, kept by the store and
/// understood by the source that wrote it. A server that has not come so far is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen(pub String);

/// What a read proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Everything there is was read: what was not seen does not exist.
    Complete,
    /// The entries asked for were all read; nothing is said about others.
    Entries,
    /// The read ended early. It may add, and never removes.
    Unproven {
        /// What went wrong, in a sentence.
        reason: String,
    },
}

/// How a read ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What it proves.
    pub proof: Proof,
    /// From where to look for changes next time; `None` when unproven, and for a read of some entries.
    pub checkpoint: Option<Checkpoint>,
    /// The newest state of the server, with what was seen before.
    pub seen: Option<Seen>,
    /// Entries received.
    pub entries: u64,
}

impl Read {
    /// A read of no entries.
    pub fn of_nothing() -> Self {
        Self {
            proof: Proof::Entries,
            checkpoint: None,
            seen: None,
            entries: 0,
        }
    }
}

/// What a source answers to "what has changed since?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Nothing, provably, short of what only a full read can find.
    Nothing,
    /// These entries may have changed. Those whose version is known already have not.
    Entries(Vec<Moved>),
    /// Only a full read can tell.
    FullReadNeeded {
        /// Why, in a sentence.
        reason: String,
    },
}

/// A membership that a directory may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group's name.
    pub group: Dn,
    /// In what capacity.
    pub role: Role,
    /// The member.
    pub member: MemberName,
}

/// An entry that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub kind: EntryKind,
    /// Which it is.
    pub id: StableId,
    /// Its name.
    pub name: Dn,
}

/// An entry that may have changed since a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What it is.
    pub kind: EntryKind,
    /// Which it is.
    pub id: StableId,
    /// Its present state, where the directory can name it.
    pub version: Option<Version>,
}
