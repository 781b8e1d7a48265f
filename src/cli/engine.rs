//! From a configuration file to something that can run.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::config::{Config, Directory};
use crate::kaltura::{Credentials, Kaltura};
use crate::plan::binding::Bindings;
use crate::progress::Progress;
use crate::reconcile::Engine;
use crate::source::Source;
use crate::store::Store;

/// Reads the configuration, finds the secrets, and opens the state file. Nothing is asked of the network.
pub(super) fn open(config: &Path) -> anyhow::Result<Engine> {
    let loaded = Config::load(config)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    assemble(loaded.config)
}

/// The same, from a configuration that is read already.
pub(super) fn assemble(config: Config) -> anyhow::Result<Engine> {
    let sources = config
        .directory
        .iter()
        .map(source)
        .collect::<Result<_, _>>()?;
    let kaltura = Kaltura::new(&config.kaltura, Credentials::resolve(&config.kaltura)?)?;
    let bindings = Bindings::new(&config.binding).context("a pattern in [[binding]] is wrong")?;
    let store = Store::open(&config.state.path)?;
    Ok(Engine {
        config: Arc::new(config),
        sources: Arc::new(sources),
        kaltura,
        store,
        bindings: Arc::new(bindings),
        progress: Progress::at_terminal(),
    })
}

/// Sets up one directory.
pub(super) fn source(directory: &Directory) -> anyhow::Result<Source> {
    let password = match directory {
        Directory::Ldap(ldap) => ldap.bind_password.as_ref(),
        Directory::Ldif(_) => None,
    };
    let password = password
        .map(|secret| secret.resolve("directory.bind_password"))
        .transpose()?;
    Ok(Source::new(directory, password)?)
}
