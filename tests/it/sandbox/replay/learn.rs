//! From answers: which live thing is which recorded one.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::Replay;

static XML_ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<id>(\d+)</id>").unwrap());

impl Replay {
    pub(super) fn learn_users(&mut self, members: &Map<String, Value>) {
        for (key, value) in members {
            match value {
                Value::Object(inner) => self.learn_users(inner),
                Value::String(text)
                    if matches!(
                        key.as_str(),
                        "userId" | "owner" | "id" | "externalId" | "groupId" | "newGroupId"
                    ) || key.ends_with(":userId") =>
                {
                    self.users.insert(text.to_lowercase());
                    self.users
                        .insert(text.chars().take(100).collect::<String>().to_lowercase());
                }
                _ => {}
            }
        }
    }

    pub(super) fn learn(&mut self, exchange: &Value, recorded: &Value, live: &Value) {
        if let (Value::Array(recorded), Value::Array(live)) = (recorded, live) {
            let request = &exchange["request"];
            let first = usize::from(request["0"].is_null());
            for (at, (recorded, live)) in recorded.iter().zip(live).enumerate() {
                self.learn(&request[(first + at).to_string()], recorded, live);
            }
            return;
        }
        let is = |service: &str, action: &str| {
            let said = |name: &str| exchange[name].as_str().unwrap_or_default().to_lowercase();
            said("service") == service && said("action") == action
        };
        if let (Value::String(old), Value::String(new)) = (recorded, live)
            && old.starts_with("djJ8")
        {
            self.sessions.insert(old.clone(), new.clone());
        }
        if let (Some(old), Some(new)) = (recorded["ks"].as_str(), live["ks"].as_str()) {
            self.sessions.insert(old.to_owned(), new.to_owned());
        }
        for (service, map) in [
            ("category", &mut self.categories),
            ("userrole", &mut self.roles),
        ] {
            if is(service, "add") || is(service, "clone") {
                let new = live["id"].as_i64().or_else(|| xml_id(live));
                if let Some((old, new)) = recorded["id"]
                    .as_i64()
                    .or_else(|| xml_id(recorded))
                    .zip(new)
                {
                    map.insert(old, new);
                }
            }
        }
        self.learn_bulk(exchange, recorded, live);
        if is("apptoken", "add") {
            for name in ["id", "token"] {
                if let (Some(old), Some(new)) = (recorded[name].as_str(), live[name].as_str()) {
                    self.texts.insert(old.to_owned(), new.to_owned());
                }
            }
        }
    }
}

fn xml_id(answer: &Value) -> Option<i64> {
    let id = &*XML_ID;
    id.captures(answer.as_str()?)?[1].parse().ok()
}
