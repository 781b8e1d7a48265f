//! What a request asks for, as far as chance is concerned.
//!
//! *Its one idea: the same question has the same digest in every run*: sessions, signatures and
//! whatever else is made anew each time are left out of it.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::sandbox::params::plain;

/// Parameters that say who asks and how, not what for.
const NOT_ASKED: [&str; 8] = [
    "ks",
    "kalsig",
    "clientTag",
    "apiVersion",
    "format",
    "partnerId",
    "tokenHash",
    "secret",
];

/// What an HTTP request asks for.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Asked {
    /// Its calls; and `multirequest`, where it may have several.
    calls: Vec<String>,
    /// All of it as a number.
    pub(super) digest: u64,
}

/// What one call asks for.
#[derive(Debug)]
pub(in crate::sandbox) struct AskedCall<'a> {
    /// Its service and action.
    pub(super) name: &'a str,
    /// All of it as a number.
    pub(super) digest: u64,
}

impl Asked {
    /// Reads the parameters of a request.
    pub(in crate::sandbox) fn of(params: &Map<String, Value>) -> Self {
        let name = |params: &Map<String, Value>| {
            let text = |name| params.get(name).map(plain).unwrap_or_default();
            format!("{}.{}", text("service"), text("action"))
        };
        let mut calls = vec![name(params)];
        if calls[0]
            .get(..12)
            .is_some_and(|service| service.eq_ignore_ascii_case("multirequest"))
        {
            let items = params.values().filter_map(Value::as_object);
            calls = items.map(name).collect();
            calls.push("multirequest".to_owned());
        }
        Self {
            calls,
            digest: digest(params),
        }
    }

    /// What it is, for people.
    pub(in crate::sandbox) fn name(&self) -> String {
        match &self.calls[..] {
            [call] => call.clone(),
            [calls @ .., _] => format!("multirequest of {}", calls.len()),
            [] => String::new(),
        }
    }

    /// Whether one of the calls is wanted. A request without any is wanted by who wants all.
    pub(super) fn has(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.calls.iter().any(|call| wanted(call)) || self.calls.is_empty() && wanted("")
    }
}

impl<'a> AskedCall<'a> {
    /// Reads the parameters of a call.
    pub(in crate::sandbox) fn of(name: &'a str, sent: &Map<String, Value>) -> Self {
        Self {
            name,
            digest: digest(sent),
        }
    }
}

fn digest(params: &Map<String, Value>) -> u64 {
    let mut hash = Sha256::new();
    add(&mut hash, params);
    let hash = hash.finalize();
    hash[..8]
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Members come in the order of their names, however they were sent.
fn add(hash: &mut Sha256, params: &Map<String, Value>) {
    for (name, value) in params {
        if NOT_ASKED.contains(&name.as_str()) {
            continue;
        }
        hash.update(name);
        hash.update([0]);
        match value {
            Value::Object(members) => add(hash, members),
            other => hash.update(other.to_string()),
        }
        hash.update([1]);
    }
}
