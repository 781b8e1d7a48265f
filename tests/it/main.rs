//! Rollbook from outside: real servers, real files, real HTTP.

mod kaltura_client;
mod ldap_source;
mod sandbox;
mod slapd;
mod sync;
