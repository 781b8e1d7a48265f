//! Rollbook from outside: real servers, real files, real HTTP.

mod figures;
mod kaltura_client;
mod ldap_source;
mod model;
mod sandbox;
mod slapd;
mod slapd_model;
mod sync;
mod writers;
