//! An LDAP server as a source.
