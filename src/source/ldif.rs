//! An LDIF file as a source.
