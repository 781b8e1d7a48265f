//! Where a secret is kept. The configuration file itself is not such a place.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where to find a secret: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// A file that only its owner (and group) may read; a line break at its end is dropped.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential (`LoadCredential=`), by name.
    Credential(String),
}
