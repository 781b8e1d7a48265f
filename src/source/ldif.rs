//! An LDIF file as a source.

use super::{Changes, CheckReport, Checkpoint, Moved, Observations, Read, SourceError};
use crate::config::LdifDirectory;

/// An LDIF file.
pub struct Ldif {
    name: String,
}

impl Ldif {
    /// Compiles a configuration.
    pub fn new(config: &LdifDirectory) -> Result<Self, SourceError> {
        Ok(Self {
            name: config.name.clone(),
        })
    }
    /// The directory's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    pub async fn check(&self) -> Result<CheckReport, SourceError> {
        Err(SourceError::Stopped)
    }
    pub async fn read_all(&self, _out: &Observations) -> Result<Read, SourceError> {
        Err(SourceError::Stopped)
    }
    pub async fn changes_since(
        &self,
        _c: &Checkpoint,
    ) -> Result<(Changes, Checkpoint), SourceError> {
        Err(SourceError::Stopped)
    }
    pub async fn read_entries(
        &self,
        _m: &[Moved],
        _out: &Observations,
    ) -> Result<Read, SourceError> {
        Err(SourceError::Stopped)
    }
}
