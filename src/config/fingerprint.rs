//! Telling whether a configuration decides otherwise than the one before.

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Config;

/// The keys of a directory that say how it is reached, and not who is in it.
const HOW_IT_IS_REACHED: [&str; 18] = [
    "urls",
    "starttls",
    "ca_file",
    "bind",
    "bind_dn",
    "bind_password",
    "client_certificate",
    "client_key",
    "connect_timeout",
    "search_timeout",
    "page_size",
    "changes",
    "overlap",
    "path",
    "end_marker",
    "confirm_after",
    "ignore_references",
    "max_age",
];

impl Config {
    /// The SHA-256 of everything that decides who is wanted where: directories, bindings, policy,
    /// and which account it is about. How servers are reached does not count, nor how fast. A
    /// default counts the same written out or not.
    pub fn fingerprint(&self) -> String {
        let mut directories = value(&self.directory);
        for directory in directories.as_array_mut().into_iter().flatten() {
            for key in HOW_IT_IS_REACHED {
                directory
                    .as_object_mut()
                    .map(|directory| directory.remove(key));
            }
        }
        let decisive = serde_json::json!({
            // Another server may have another account of the same number.
            "url": self.kaltura.server(),
            "partner_id": self.kaltura.partner_id,
            "root": self.kaltura.root,
            "directory": directories,
            "binding": value(&self.binding),
            "policy": value(&self.policy),
        });
        HEXLOWER.encode(&Sha256::digest(decisive.to_string()))
    }
}

/// Configuration types hold nothing that JSON cannot.
fn value(part: &impl serde::Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}
