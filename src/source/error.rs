//! What can keep a directory from being read at all.

use std::io;
use std::path::PathBuf;

/// Why a directory could not be read: what failed, where, why, and what to do.
///
/// Neither passwords nor contents of entries are ever part of it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The configuration cannot mean anything.
    #[error("{key} of the directory {directory}: {reason}")]
    Config {
        /// The directory's name.
        directory: String,
        /// The configuration key.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// None of the servers could be reached.
    #[error("no server of the directory {directory} could be reached: {}", attempts(.tried))]
    Unreachable {
        /// The directory's name.
        directory: String,
        /// Each server that was tried.
        tried: Vec<Attempt>,
    },
    /// The server was reached, and did not let us in.
    #[error("{url} refused the bind: {reason}")]
    BindRefused {
        /// The server.
        url: String,
        /// Its answer, and what to do about it.
        reason: String,
    },
    /// The place where a search begins is not there, or not for us to see.
    #[error(
        "{url} has no entry {base}, or does not show it to us: look at {key}, and at the rights of the account that binds"
    )]
    NoBase {
        /// The server.
        url: String,
        /// The name that is not there.
        base: String,
        /// The configuration key that names it.
        key: &'static str,
    },
    /// All servers are behind what was already read.
    #[error(
        "no server of the directory {directory} has come as far as what was already read: {}. If this state is right: rollbook state accept {directory}", attempts(.tried)
    )]
    Behind {
        /// The directory's name.
        directory: String,
        /// Each server that was tried.
        tried: Vec<Attempt>,
    },
    /// A read ended before anything was received.
    #[error("nothing could be read from {place}: {reason}")]
    Unreadable {
        /// The server or the file.
        place: String,
        /// Why not.
        reason: String,
    },
    /// A file could not be read.
    #[error("{} could not be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}, line {line}: {reason}", path.display())]
    Ldif {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody takes the observations any more.
    #[error("the read was stopped from inside, because its result could not be taken")]
    Stopped,
}

/// One server that could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The server.
    pub url: String,
    /// Why not.
    pub reason: String,
}

fn attempts(tried: &[Attempt]) -> String {
    let tried: Vec<_> = tried
        .iter()
        .map(|a| format!("{}: {}", a.url, a.reason))
        .collect();
    tried.join("; ")
}
