//! Where people and groups come from: an LDAP server, or an LDIF file.
//!
//! *Its one idea: a source says what it saw and what that proves.* It turns what its directory can
//! tell into [observations](crate::directory::Observation), and ends with a [`Proof`]: only a
//! complete answer may take anybody's access away.

pub mod ldap;
pub mod ldif;

use tokio::sync::mpsc;

use crate::directory::{EntryKind, Observation, StableId, Version};

/// Observations on their way to the mirror, in the order in which they were read. The channel is
/// bounded: a slow mirror slows the reading down, and memory stays flat.
pub type Observations = mpsc::Sender<Vec<Observation>>;

/// How far a source has been read: opaque text, kept by the store and understood by the source that
/// wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint(pub String);

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
    /// From where to look for changes next time; `None` when unproven.
    pub checkpoint: Option<Checkpoint>,
    /// Entries received.
    pub entries: u64,
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
