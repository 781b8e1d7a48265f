//! Bulk uploads: files and logs with live numbers in them, and the workers that the labels tell of.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use rollbook::sandbox::{JobKind, NewCategory};

use super::Replay;
use crate::sandbox::client::{multipart, send_bytes};

static URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^http://[^/]+(/api_v3/service/bulkUpload/action/\w+/id/)(\d+)(/ks/)(.+)$").unwrap()
});
static NUMBER_OR_WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_.@+'-]+").unwrap());

/// The worker that ran just before an exchange, by what its label says.
pub(super) fn worker_before(exchange: &Value) -> Option<JobKind> {
    let label = exchange["label"].as_str()?;
    let is_run = label == "after KAsyncBulkUpload"
        || label.ends_with("bulk.get after the worker")
        || label.contains("bulk.get after retry");
    if label.ends_with("after the closer") {
        return Some(JobKind::BulkClose);
    }
    is_run.then_some(JobKind::Bulk)
}

impl Replay {
    /// The upload and the first ten runs, which were not recorded; the log says what was in the file.
    pub(super) async fn prepare_large_job(&mut self, ks: &str, exchanges: &[Value]) {
        let account = self.sandbox.account();
        let category = account.add_category(&NewCategory {
            path: "Large channel".to_owned(),
            ..NewCategory::default()
        });
        self.categories.insert(78, category);
        let mut file = "*action,categoryId,userId,permissionLevel,updateMethod\n".to_owned();
        for line in exchanges[2]["response"].as_str().unwrap().lines() {
            let cells: Vec<&str> = line.split(',').take(5).collect();
            file.push_str(&cells.join(","));
            file.push('\n');
        }
        let file = self.expected_file(&file);
        let path = "/api_v3/service/categoryUser/action/addFromBulkUpload";
        let fields = [("format", "1"), ("ks", ks)];
        let (kind, body) = multipart(&fields, &[("fileData", "m.csv", file.as_bytes())]);
        let reply = send_bytes(&self.sandbox, "POST", path, &[kind], &body).await;
        let job = reply.unwrap().value();
        self.bulk_jobs.insert(507, job["id"].as_i64().unwrap());
        for _ in 0..10 {
            assert_eq!(account.work(Some(JobKind::Bulk)), 1);
        }
    }

    /// A recorded form with files, as it is sent.
    pub(super) fn live_multipart(
        &mut self,
        service: &str,
        request: &Value,
        expired: bool,
    ) -> ((String, String), Vec<u8>) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in request.as_object().unwrap() {
            match (name.as_str(), value) {
                ("__files", _) => {}
                ("json", Value::String(text)) => {
                    fields.push((name.clone(), self.live_body(text, expired)));
                }
                _ => {
                    let live = self.live(service, &json!({ name: value }), expired);
                    let text = live[name]
                        .as_str()
                        .map_or_else(|| live[name].to_string(), str::to_owned);
                    fields.push((name.clone(), text));
                }
            }
        }
        let mut files = Vec::new();
        for (name, file) in request["__files"].as_object().into_iter().flatten() {
            let content = file["content"].as_str().unwrap();
            for cell in content.split([',', '\n', '\r', '"']) {
                self.users.insert(cell.trim().to_lowercase());
            }
            // Bytes that were no text could not be recorded.
            let mut bytes = Vec::new();
            for c in self.expected_file(content).chars() {
                match c {
                    '\u{fffd}' => bytes.push(0xe4),
                    c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            files.push((name.as_str(), file["filename"].as_str().unwrap(), bytes));
        }
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let files: Vec<(&str, &str, &[u8])> = files
            .iter()
            .map(|(field, name, content)| (*field, *name, content.as_slice()))
            .collect();
        multipart(&fields, &files)
    }

    /// A file or a log with live numbers: each number that stands alone and is known.
    pub(super) fn expected_file(&self, text: &str) -> String {
        let words = &*NUMBER_OR_WORD;
        words
            .replace_all(text, |found: &regex::Captures<'_>| {
                let live = found[0].parse().ok().and_then(|id: i64| {
                    self.categories
                        .get(&id)
                        .or_else(|| self.objects.get(&id))
                        .copied()
                });
                live.map_or_else(|| found[0].to_owned(), |id| id.to_string())
            })
            .into_owned()
    }

    /// The address of a file with the live host, number and session.
    pub(super) fn expected_url(&self, text: &str) -> String {
        let Some(url) = URL.captures(text) else {
            return text.to_owned();
        };
        let id: i64 = url[2].parse().unwrap();
        let id = self.bulk_jobs.get(&id).unwrap_or(&id);
        let ks = self.sessions.get(&url[4]).map_or(&url[4], String::as_str);
        format!("{}{}{id}{}{ks}", self.sandbox.url(), &url[1], &url[3])
    }

    /// Learns the numbers of jobs from their submission, those of users and categories from logs, and those
    /// of categories that a file has made from the lists that show them.
    pub(super) fn learn_bulk(&mut self, exchange: &Value, recorded: &Value, live: &Value) {
        if recorded["objectType"] == "KalturaBulkUpload"
            && let (Some(old), Some(new)) = (recorded["id"].as_i64(), live["id"].as_i64())
        {
            self.bulk_jobs.insert(old, new);
        }
        if exchange["action"] == "serveLog"
            && let (Some(old), Some(new)) = (recorded.as_str(), live.as_str())
        {
            for (old, new) in old.lines().zip(new.lines()) {
                if let (Some(old), Some(new)) = (object_of(old), object_of(new))
                    && !self.categories.contains_key(&old)
                {
                    self.objects.entry(old).or_insert(new);
                }
            }
        }
        if recorded["objectType"] == "KalturaCategoryListResponse" {
            let rows = |list: &Value| list["objects"].as_array().cloned().unwrap_or_default();
            for old in rows(recorded) {
                let id = old["id"].as_i64().unwrap();
                let new = rows(live)
                    .into_iter()
                    .find(|new| new["fullName"] == old["fullName"]);
                if let Some(new) = new.and_then(|new| new["id"].as_i64()) {
                    self.categories.entry(id).or_insert(new);
                }
            }
        }
    }
}

/// The number of the object in a line of a log: before its status, which the error follows, if there is one.
fn object_of(line: &str) -> Option<i64> {
    let mut cells = line.rsplit(',');
    let last = cells.next()?;
    if last.ends_with('"') {
        let (line, _) = line.rsplit_once(",\"")?;
        return object_of(line);
    }
    cells.next()?.parse().ok()
}
