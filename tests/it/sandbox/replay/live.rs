//! From recorded to live: sessions issued anew, ids as the replay has them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use md5::Md5;
use regex::Regex;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use rollbook::sandbox::ks::Ks;

use super::Replay;
use super::scope::ACCOUNTS;

static ROLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"setrole:(\d+)").unwrap());
static SESSION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"djJ8[A-Za-z0-9_\-]+(=|%3D)*").unwrap());
static CATEGORY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(categoryId[=/])(\d+)").unwrap());
static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+").unwrap());

impl Replay {
    /// A session that says what the recorded one said, and is as valid.
    pub(super) fn live_ks(&mut self, recorded: &str, expired: bool) -> String {
        if let Some(live) = self.sessions.get(recorded)
            && !expired
        {
            return live.clone();
        }
        let Some((_, secret, _)) = ACCOUNTS
            .iter()
            .find(|(id, ..)| Ks::claimed_partner(recorded) == Some(*id))
        else {
            return recorded.to_owned();
        };
        let Some(mut ks) = Ks::open(recorded, secret) else {
            return recorded.to_owned();
        };
        let now = self.sandbox.account().clock().now();
        ks.expiry = if expired { now - 10 } else { now + 86_400 };
        ks.privileges = self.live_privileges(&ks.privileges);
        let live = if recorded.starts_with("djJ8") {
            ks.seal(secret, [7; 16])
        } else {
            ks.seal_v1(secret, "0.5")
        };
        if !expired {
            self.sessions.insert(recorded.to_owned(), live.clone());
        }
        live
    }

    pub(super) fn live_privileges(&self, privileges: &str) -> String {
        let role = &*ROLE;
        let live = role.replace(privileges, |found: &regex::Captures<'_>| {
            let id: i64 = found[1].parse().unwrap();
            format!("setrole:{}", self.roles.get(&id).unwrap_or(&id))
        });
        self.texts
            .iter()
            .fold(live.into_owned(), |text, (old, new)| text.replace(old, new))
    }

    /// Replaces sessions and category numbers inside a path or a header.
    pub(super) fn live_text(&mut self, text: &str, expired: bool) -> String {
        let session = &*SESSION;
        let found: Vec<String> = session
            .find_iter(text)
            .map(|m| m.as_str().to_owned())
            .collect();
        let mut live = text.to_owned();
        for old in found {
            let new = self.live_ks(&old.replace("%3D", "="), expired);
            live = live.replace(
                &old,
                &new.replace('=', if old.contains("%3D") { "%3D" } else { "=" }),
            );
        }
        let category = &*CATEGORY;
        let live = category.replace_all(&live, |found: &regex::Captures<'_>| {
            let id: i64 = found[2].parse().unwrap();
            format!("{}{}", &found[1], self.categories.get(&id).unwrap_or(&id))
        });
        live.into_owned()
    }

    pub(super) fn live_body(&mut self, body: &str, expired: bool) -> String {
        match serde_json::from_str::<Value>(body) {
            Ok(value @ Value::Object(_)) => self.live("category", &value, expired).to_string(),
            _ => self.live_text(body, expired),
        }
    }

    pub(super) fn live(&mut self, service: &str, value: &Value, expired: bool) -> Value {
        let Value::Object(members) = value else {
            return value.clone();
        };
        let mut live = Map::new();
        for (key, value) in members {
            let service = value["service"].as_str().unwrap_or(service).to_owned();
            let name = key.rsplit(':').next().unwrap_or(key);
            let new = match value {
                Value::Object(_) => self.live(&service, value, expired),
                Value::String(text) if name == "ks" || name == "session" => {
                    json!(self.live_ks(text, expired))
                }
                Value::String(text) if name == "tokenHash" => json!(self.live_hash(members, text)),
                Value::String(text) if name.ends_with("rivileges") => {
                    json!(self.live_privileges(text))
                }
                Value::String(text) if self.texts.contains_key(text) => json!(self.texts[text]),
                _ => self.live_id(&service, name, value),
            };
            live.insert(key.clone(), new);
        }
        Value::Object(live)
    }

    pub(super) fn live_id(&self, service: &str, name: &str, value: &Value) -> Value {
        let of_category = service.eq_ignore_ascii_case("category");
        let category = name.starts_with("categoryId")
            || name.starts_with("categoryFullIds")
            || name.starts_with("parentId")
            || name.starts_with("ancestorId")
            || name.starts_with("fullIds")
            || (of_category && matches!(name, "id" | "idEqual" | "idIn" | "idNotIn"));
        let of_bulk = ["bulkupload_bulk", "bulkupload"].contains(&&*service.to_lowercase());
        let map = match name {
            _ if category => &self.categories,
            "id" if of_bulk => &self.bulk_jobs,
            "objectId" | "objectIdEqual" | "objectIdIn" => &self.categories,
            "metadataProfileId" | "metadataProfileIdEqual" | "metadataProfileIdIn" => {
                return self.live_number("KalturaMetadataProfile", value);
            }
            "id" if service.eq_ignore_ascii_case("metadata_metadata") => {
                return self.live_number("KalturaMetadata", value);
            }
            "id" | "idEqual" if service.eq_ignore_ascii_case("metadata_metadataProfile") => {
                return self.live_number("KalturaMetadataProfile", value);
            }
            "groupUserId" => return json!(self.live_number("KalturaGroupUser", value)),
            "userRoleId" | "roleIds" | "roleIdsEqual" => &self.roles,
            "idEqual" | "idIn" if service.eq_ignore_ascii_case("userRole") => &self.roles,
            name if name.ends_with("GreaterThanOrEqual")
                || name.ends_with("LessThanOrEqual")
                || name == "expiry" =>
            {
                return match (value.as_i64(), self.began) {
                    (Some(time), Some(began)) if time > 1_000_000_000 => {
                        json!(time - began + self.live_began)
                    }
                    _ => value.clone(),
                };
            }
            _ => return value.clone(),
        };
        match value {
            Value::Number(_) => {
                let id = value.as_i64().unwrap();
                json!(map.get(&id).unwrap_or(&id))
            }
            Value::String(text) => json!(renumber(text, map)),
            _ => value.clone(),
        }
    }

    /// The live number of a thing of a class, in the type in which it was sent.
    pub(super) fn live_number(&self, class: &str, value: &Value) -> Value {
        let number = |id: i64| {
            self.numbers
                .get(&(class.to_owned(), id))
                .copied()
                .unwrap_or(id)
        };
        match value {
            Value::Number(id) => json!(id.as_i64().map(number)),
            Value::String(id) => id
                .parse()
                .map_or_else(|_| value.clone(), |id| json!(number(id).to_string())),
            _ => value.clone(),
        }
    }

    /// The proof of an application token, made of the live session and token the way the recorded
    /// one was made of the recorded ones; a wrong proof stays as it is.
    pub(super) fn live_hash(&mut self, members: &Map<String, Value>, recorded: &str) -> String {
        let Some(ks) = members.get("ks").and_then(Value::as_str) else {
            return recorded.to_owned();
        };
        let live_ks = self.live_ks(ks, false);
        for (old, new) in &self.texts {
            for digest in [md5, sha1, sha256, sha512] {
                let proof = digest(&format!("{ks}{old}"));
                if proof.eq_ignore_ascii_case(recorded) {
                    let live = digest(&format!("{live_ks}{new}"));
                    return if proof == recorded {
                        live
                    } else {
                        live.to_uppercase()
                    };
                }
            }
        }
        recorded.to_owned()
    }
}

/// Replaces each number of a list or path.
pub(super) fn renumber(text: &str, map: &BTreeMap<i64, i64>) -> String {
    let number = &*NUMBER;
    number
        .replace_all(text, |found: &regex::Captures<'_>| {
            let live = found[0].parse().ok().and_then(|id: i64| map.get(&id));
            live.map_or_else(|| found[0].to_owned(), ToString::to_string)
        })
        .into_owned()
}

fn md5(text: &str) -> String {
    hex(&Md5::digest(text))
}

fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn sha512(text: &str) -> String {
    hex(&Sha512::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}
