//! The comparison: same codes, same messages, same shapes, same rows.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::Replay;
use super::live::renumber;
use super::scope::{MAPPED_ARGS, NUMBERED, TIMES};
use crate::sandbox::client::Reply;

static XML_TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<(executionTime|createdAt|updatedAt)>[^<]*<").unwrap());
static XML_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<(id|categoryId|parentId|fullIds|categoryFullIds)>([\d>]+)<").unwrap()
});
static XML_ARG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(<name>CAT</name><value>|category \[&quot;)(\d+)").unwrap());

static CLONED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r" copy \([A-Z][a-z]{2} [^)]+\)$").unwrap());
impl Replay {
    pub(super) fn compare_headers(exchange: &Value, reply: &Reply, differences: &mut Vec<String>) {
        for (field, header) in [("type", "Content-Type"), ("x_kaltura", "X-Kaltura")] {
            let Some(recorded) = exchange[field].as_str() else {
                continue;
            };
            if exchange["status"] == 200 && reply.header(header) != Some(recorded) {
                differences.push(format!(
                    "{header} {:?} for {recorded:?}",
                    reply.header(header)
                ));
            }
        }
    }

    pub(super) fn compare(
        &mut self,
        exchange: &Value,
        recorded: &Value,
        live: &Value,
        path: &str,
        differences: &mut Vec<String>,
    ) {
        match (recorded, live) {
            (Value::Object(old), Value::Object(new)) if old.contains_key("totalCount") => {
                self.compare_list(exchange, old, new, path, differences);
            }
            (Value::Object(old), Value::Object(new)) => {
                self.compare_objects(exchange, old, new, path, differences);
            }
            (Value::Array(old), Value::Array(new)) => {
                if old.len() != new.len() {
                    differences.push(format!("{path}: {} items for {}", new.len(), old.len()));
                }
                for (at, (old, new)) in old.iter().zip(new).enumerate() {
                    self.compare(exchange, old, new, &format!("{path}[{at}]"), differences);
                }
            }
            (Value::String(old), Value::String(new)) => {
                let same = if old.starts_with("djJ8") {
                    new.starts_with("djJ8")
                } else if old.starts_with("<?xml") {
                    self.plain_xml(old, true) == self.plain_xml(new, false)
                } else if exchange["action"] == "serve" || exchange["action"] == "serveLog" {
                    self.expected_file(old) == *new
                } else {
                    let undated = |text: &str| CLONED.replace(text, " copy").into_owned();
                    undated(&self.expected_url(&self.expected_text(old))) == undated(new)
                };
                if !same {
                    differences.push(format!("{path}: {} for {}", short(new), short(old)));
                }
            }
            (old, new) if old == new => {}
            (Value::Number(old), Value::Number(_)) if old.as_i64() > Some(1_700_000_000) => {}
            (old, new) => differences.push(format!(
                "{path}: {} for {}",
                short(&new.to_string()),
                short(&old.to_string())
            )),
        }
    }

    pub(super) fn compare_objects(
        &mut self,
        exchange: &Value,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        path: &str,
        differences: &mut Vec<String>,
    ) {
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            differences.push(format!("{path}.{key}: missing, recorded {}", old[key]));
        }
        for key in new.keys().filter(|key| !old.contains_key(*key)) {
            differences.push(format!("{path}.{key}: {} was not recorded", new[key]));
        }
        for (key, old_value) in old {
            let Some(new_value) = new.get(key) else {
                continue;
            };
            let path = format!("{path}.{key}");
            if TIMES.contains(&key.as_str()) {
                let kind = |value: &Value| (value.is_number(), value.is_string());
                if kind(old_value) != kind(new_value) {
                    differences.push(format!("{path}: {new_value} for {old_value}"));
                }
                continue;
            }
            let class = old.get("objectType").and_then(Value::as_str);
            if let Some(class) = class
                && key == "id"
                && NUMBERED.contains(&class)
            {
                self.tie(class, old_value, new_value);
            }
            let expected = self.expected(old, key, old_value);
            self.compare(exchange, &expected, new_value, &path, differences);
        }
    }

    /// Ties a number to the live one where it is seen for the first time.
    fn tie(&mut self, class: &str, recorded: &Value, live: &Value) {
        let number = |value: &Value| {
            let text = value.as_str().and_then(|text| text.parse().ok());
            value.as_i64().or(text)
        };
        if let Some((recorded, live)) = number(recorded).zip(number(live)) {
            self.numbers
                .entry((class.to_owned(), recorded))
                .or_insert(live);
        }
    }

    /// A recorded value with live numbers in it.
    pub(super) fn expected(&self, object: &Map<String, Value>, key: &str, value: &Value) -> Value {
        let class = object
            .get("objectType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let code = object.get("code").and_then(Value::as_str);
        let code = code.unwrap_or_default();
        let map = match (class, key) {
            ("KalturaCategory", "id" | "parentId" | "inheritedParentId" | "fullIds")
            | ("KalturaCategoryUser", "categoryId" | "categoryFullIds")
            | ("KalturaMetadata", "objectId") => &self.categories,
            ("KalturaMetadata", "metadataProfileId") => {
                return self.live_number("KalturaMetadataProfile", value);
            }
            ("KalturaBulkUpload", "id") => &self.bulk_jobs,
            (class, "id") if NUMBERED.contains(&class) => return self.live_number(class, value),
            ("KalturaUserRole", "id") | ("KalturaUser", "roleIds") => &self.roles,
            ("KalturaAPIException", "args") => {
                let Value::Object(args) = value else {
                    return value.clone();
                };
                let mut live = args.clone();
                for (name, arg) in &mut live {
                    if MAPPED_ARGS.contains(&name.as_str())
                        && let Value::String(text) = arg
                    {
                        *text = self.expected_arg(code, text);
                    }
                }
                return Value::Object(live);
            }
            ("KalturaAPIException", "message") => {
                let mut text = value.as_str().unwrap_or_default().to_owned();
                if let Some(Value::Object(args)) = object.get("args") {
                    let ids = args
                        .iter()
                        .filter(|(name, _)| MAPPED_ARGS.contains(&name.as_str()));
                    for arg in ids.filter_map(|(_, arg)| arg.as_str()) {
                        let live = self.expected_arg(code, arg);
                        text = text
                            .replace(&format!("\"{arg}\""), &format!("\"{live}\""))
                            .replace(&format!("[{arg}]"), &format!("[{live}]"));
                    }
                }
                return json!(text);
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

    pub(super) fn expected_arg(&self, code: &str, text: &str) -> String {
        let class = match code {
            "METADATA_ALREADY_EXISTS" | "METADATA_NOT_FOUND" => Some("KalturaMetadata"),
            "METADATA_PROFILE_NOT_FOUND" => Some("KalturaMetadataProfile"),
            _ => None,
        };
        if let Some(class) = class {
            let live = self.live_number(class, &json!(text));
            return live.as_str().unwrap_or(text).to_owned();
        }
        let category = text
            .parse()
            .ok()
            .and_then(|id: i64| self.categories.get(&id));
        let category = category.map(ToString::to_string);
        category
            .or_else(|| self.sessions.get(text).cloned())
            .or_else(|| self.texts.get(text).cloned())
            .unwrap_or_else(|| text.to_owned())
    }

    pub(super) fn expected_text(&self, text: &str) -> String {
        self.texts
            .iter()
            .fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    }

    /// Lists are compared by the rows this recording made.
    pub(super) fn compare_list(
        &mut self,
        exchange: &Value,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        path: &str,
        differences: &mut Vec<String>,
    ) {
        if old.get("objectType") != new.get("objectType") {
            differences.push(format!("{path}: {:?}", new.get("code")));
            return;
        }
        let (Some(Value::Array(old_rows)), Some(Value::Array(new_rows))) =
            (old.get("objects"), new.get("objects"))
        else {
            if old.contains_key("objects") != new.contains_key("objects") {
                differences.push(format!("{path}.objects: only on one side"));
            }
            return;
        };
        let total = |list: &Map<String, Value>| {
            usize::try_from(list["totalCount"].as_u64().unwrap()).unwrap()
        };
        let mut new_rows = new_rows.clone();
        if old.get("objectType") == Some(&json!("KalturaAppTokenListResponse")) {
            let place = |row: &Value| {
                let id = |old: &&Value| self.texts.get(old["id"].as_str().unwrap_or_default());
                old_rows
                    .iter()
                    .position(|old| id(&old).map(String::as_str) == row["id"].as_str())
            };
            new_rows.sort_by_key(place);
        }
        let old_known: Vec<&Value> = old_rows.iter().filter(|row| self.made(row, true)).collect();
        let new_known: Vec<&Value> = new_rows
            .iter()
            .filter(|row| self.made(row, false))
            .collect();
        let whole = total(old) == old_rows.len();
        if !whole && (old_known.len() != old_rows.len() || new_known.len() != new_rows.len()) {
            self.by_kind += 1;
            return;
        }
        if !whole && total(old) != total(new) {
            // The total counts earlier ones; the page shows the newest, which are the recording's.
            let newest = old.get("objectType") == Some(&json!("KalturaBulkUploadListResponse"));
            if !newest && Self::account_wide(exchange) {
                self.by_kind += 1;
                return;
            }
            if !newest {
                differences.push(format!(
                    "{path}.totalCount: {} for {}",
                    total(new),
                    total(old)
                ));
            }
        }
        if whole && total(new) != new_rows.len() {
            differences.push(format!("{path}: {} rows of {}", new_rows.len(), total(new)));
        }
        if old_known.len() != new_known.len() {
            let keys = |rows: &[&Value]| -> Vec<String> {
                let key =
                    |row: &&Value| format!("{}{}{}", row["id"], row["categoryId"], row["userId"]);
                rows.iter().map(key).take(8).collect()
            };
            differences.push(format!(
                "{path}: {} rows for {}: {:?} for {:?}",
                new_known.len(),
                old_known.len(),
                keys(&new_known),
                keys(&old_known)
            ));
            return;
        }
        let pairs: Vec<(Value, Value)> = old_known
            .into_iter()
            .zip(new_known)
            .map(|(old, new)| (old.clone(), new.clone()))
            .collect();
        for (at, (old, new)) in pairs.iter().enumerate() {
            self.compare(exchange, old, new, &format!("{path}[{at}]"), differences);
        }
    }

    /// Whether a list looks at the whole account rather than at something of this recording.
    pub(super) fn account_wide(exchange: &Value) -> bool {
        let filter = &exchange["request"]["filter"];
        let narrow = [
            "categoryIdEqual",
            "parentIdEqual",
            "userIdEqual",
            "groupIdEqual",
            "idEqual",
        ];
        !narrow.iter().any(|name| !filter[*name].is_null())
    }

    /// Whether a row of a list was made by this recording.
    pub(super) fn made(&self, row: &Value, recorded: bool) -> bool {
        let known = |id: &Value| {
            let id = id.as_i64().unwrap_or(0);
            if recorded {
                self.categories.contains_key(&id)
            } else {
                self.categories.values().any(|live| *live == id)
            }
        };
        match row["objectType"].as_str().unwrap_or_default() {
            "KalturaCategory" => known(&row["id"]),
            "KalturaBulkUpload" => {
                let id = row["id"].as_i64().unwrap_or(0);
                if recorded {
                    self.bulk_jobs.contains_key(&id)
                } else {
                    self.bulk_jobs.values().any(|live| *live == id)
                }
            }
            "KalturaCategoryUser" => known(&row["categoryId"]),
            "KalturaUserRole" if row["partnerId"] != 0 => {
                let id = row["id"].as_i64().unwrap_or(0);
                if recorded {
                    self.roles.contains_key(&id)
                } else {
                    self.roles.values().any(|live| *live == id)
                }
            }
            "KalturaUser" | "KalturaGroup" => {
                let id = row["id"].as_str().unwrap_or_default().to_lowercase();
                self.users.contains(&id) && !matches!(id.as_str(), "admin" | "0")
            }
            _ => true,
        }
    }

    pub(super) fn plain_xml(&self, xml: &str, recorded: bool) -> String {
        let time = &*XML_TIME;
        let xml = time.replace_all(xml, "<$1><");
        if !recorded {
            return xml.into_owned();
        }
        let number = &*XML_NUMBER;
        let xml = number.replace_all(&xml, |found: &regex::Captures<'_>| {
            format!("<{}>{}<", &found[1], renumber(&found[2], &self.categories))
        });
        let arg = &*XML_ARG;
        let xml = arg.replace_all(&xml, |found: &regex::Captures<'_>| {
            format!("{}{}", &found[1], renumber(&found[2], &self.categories))
        });
        xml.into_owned()
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(400).collect()
}
