//! The configuration file: what it may say, and what each key means.
//!
//! *Its one idea: the types are the reference.* Each section is a file, each key a documented field
//! with its unit and default; `config.example.toml` says the same to people.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub mod apply;
pub mod binding;
mod check;
pub mod directory;
pub mod duration;
mod error;
mod fingerprint;
pub mod kaltura;
mod load;
mod places;
pub mod policy;
pub mod safety;
pub mod schedule;
pub mod secret;

pub use apply::Apply;
pub use binding::{Binding, CategorySelector};
pub use directory::{Directory, LdapDirectory, LdifDirectory};
pub use duration::Period;
pub use error::{ConfigError, Problem};
pub use kaltura::Kaltura;
pub use load::Loaded;
pub use policy::Policy;
pub use safety::Safety;
pub use schedule::Schedule;
pub use secret::SecretSource;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where Rollbook keeps what it knows.
    pub state: State,
    /// The Kaltura account.
    pub kaltura: Kaltura,
    /// The directories, at least one.
    pub directory: Vec<Directory>,
    /// Which group goes to which category. None: each group whose ID is a category's reference ID,
    /// as members.
    #[serde(default)]
    pub binding: Vec<Binding>,
    /// What to do in the cases where reasonable people differ.
    #[serde(default)]
    pub policy: Policy,
    /// How much a run may take away before a person is asked.
    #[serde(default)]
    pub safety: Safety,
    /// How approved changes reach Kaltura.
    #[serde(default)]
    pub apply: Apply,
    /// When the daemon runs.
    #[serde(default)]
    pub schedule: Schedule,
}

/// `[state]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The SQLite file, made when it is not there. Its directory must exist.
    pub path: PathBuf,
    /// How long the history is kept. Default `400d`.
    #[serde(default = "thirteen_months")]
    pub history: Period,
}

fn thirteen_months() -> Period {
    Period::seconds(400 * 24 * 3600)
}

#[cfg(test)]
mod tests;
