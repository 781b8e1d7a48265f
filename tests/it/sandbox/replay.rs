//! The recordings of the real server, played against the sandbox.
//!
//! Ids are mapped from recorded to live as answers bring them, each session is issued anew with the
//! secret of its account, and the sandbox's clock keeps the recording's pace. `README.md` beside
//! the fixtures says what was left out of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use rollbook::sandbox::{JobKind, NewCategory, Options, Sandbox};

use super::client::{Reply, call, send, send_bytes};

mod bulk;
mod compare;
mod learn;
mod live;
mod scope;

use compare::short;
use scope::{ACCOUNTS, EXCEPTIONS, IGNORED, SERVICES, WORKERS};

struct Replay {
    name: &'static str,
    sandbox: Sandbox,
    sessions: HashMap<String, String>,
    categories: BTreeMap<i64, i64>,
    roles: BTreeMap<i64, i64>,
    bulk_jobs: BTreeMap<i64, i64>,
    /// What the logs of bulk uploads call their objects.
    objects: BTreeMap<i64, i64>,
    texts: HashMap<String, String>,
    /// Numbers of other things, by class: the first answer that shows one ties it to the live one.
    numbers: HashMap<(String, i64), i64>,
    users: HashSet<String>,
    began: Option<i64>,
    live_began: i64,
    played: usize,
    by_kind: usize,
    skipped: BTreeMap<String, usize>,
    failures: Vec<String>,
}

async fn replay(name: &'static str) {
    let path = format!(
        "{}/tests/fixtures/kaltura/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let exchanges = file["exchanges"].as_array().unwrap();
    let main = if matches!(&name[..2], "01" | "17") {
        102
    } else {
        103
    };
    let (id, admin, user) = ACCOUNTS.into_iter().find(|(id, ..)| *id == main).unwrap();
    let other = ACCOUNTS.into_iter().find(|(id, ..)| *id != main).unwrap();
    let mut options = Options {
        partner_id: id,
        admin_secret: Some(admin.to_owned()),
        user_secret: Some(user.to_owned()),
        entitlement: !name.starts_with("17"),
        job_delay: None,
        neighbours: vec![(other.0, other.1.to_owned())],
        ..Options::default()
    };
    if name.starts_with("02b") {
        // The recorder had lowered the limit on the server.
        options.limits.users_per_category = 3;
    }
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut replay = Replay {
        name,
        live_began: sandbox.account().clock().now(),
        sandbox,
        sessions: HashMap::new(),
        categories: BTreeMap::new(),
        roles: BTreeMap::new(),
        bulk_jobs: BTreeMap::new(),
        objects: BTreeMap::new(),
        texts: HashMap::new(),
        numbers: HashMap::new(),
        users: HashSet::new(),
        began: None,
        played: 0,
        by_kind: 0,
        skipped: BTreeMap::new(),
        failures: Vec::new(),
    };
    replay.prepare(exchanges).await;
    for (at, exchange) in exchanges.iter().enumerate() {
        replay.before(at, exchange, exchanges);
        match replay.reason_to_skip(exchange) {
            Some(reason) => *replay.skipped.entry(reason).or_default() += 1,
            None => replay.play(exchange).await,
        }
    }
    let mut report = format!(
        "{name}: replayed {} ({} of them by kind only)",
        replay.played, replay.by_kind
    );
    for (reason, count) in &replay.skipped {
        write!(report, ", skipped {count} ({reason})").unwrap();
    }
    crate::figures::tell(&format!("replay-{name}"), &report);
    assert!(
        replay.failures.is_empty(),
        "{report}\nignored: {IGNORED:#?}\n{} differences:\n{}",
        replay.failures.len(),
        replay.failures.join("\n")
    );
}

impl Replay {
    /// What the recorded account held before, as far as the recording needs it.
    async fn prepare(&mut self, exchanges: &[Value]) {
        let account = self.sandbox.account();
        account.add_user("admin", None);
        let ks = account.session("admin", 2, "disableentitlement", 86_400);
        if self.name.starts_with("01") {
            let root = json!({"name": "Root A", "referenceId": "refA"});
            let added = call(
                &self.sandbox,
                "category.add",
                json!({"ks": ks, "category": root}),
            )
            .await;
            let id = added["id"].as_i64().unwrap();
            for user in ["a", "b"] {
                account.set_membership(id, user, 3, 0, 1);
            }
            self.categories.insert(1, id);
        }
        if self.name.starts_with("09b") {
            // It goes on where 09 ended.
            let channel = json!({
                "name": "S09 1795294821", "privacyContext": "MediaSpace", "owner": "own09@example.org"
            });
            let added = call(
                &self.sandbox,
                "category.add",
                json!({"ks": ks, "category": channel}),
            )
            .await;
            self.categories.insert(50, added["id"].as_i64().unwrap());
        }
        if self.name.starts_with("22") {
            // An account of this size raises a flag among its permissions.
            for number in 0..1000 {
                let path = format!("Large>{number}");
                account.add_category(&NewCategory {
                    path,
                    ..NewCategory::default()
                });
            }
        }
        if self.name.starts_with("10d") {
            self.prepare_large_job(&ks, exchanges).await;
        }
        if self.name.starts_with("05-") {
            account.add_user("own04@example.org", None);
        }
    }

    /// Brings the sandbox to where the server was before an exchange.
    fn before(&mut self, at: usize, exchange: &Value, all: &[Value]) {
        let account = self.sandbox.account();
        if self.name.starts_with("06") && at == 3 {
            // Its 520 members were made without recording; a later answer lists them all.
            for row in all[16]["response"]["objects"].as_array().unwrap() {
                let number = |name: &str| row[name].as_i64().unwrap();
                let user = row["userId"].as_str().unwrap();
                self.keep_pace(number("createdAt"));
                let id = self.categories[&number("categoryId")];
                if account.member(id, user).is_none() {
                    let (level, method) = (number("permissionLevel"), number("updateMethod"));
                    account.set_membership(id, user, level, method, number("status"));
                }
                self.users.insert(user.to_lowercase());
            }
        }
        if let Some(time) = exchange["at"].as_i64() {
            self.keep_pace(time);
        }
        let number = exchange["n"]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .unwrap();
        for (_, _, kind) in WORKERS
            .iter()
            .filter(|(name, n, _)| *name == self.name && *n == number)
        {
            account.work(Some(*kind));
        }
        if let Some(kind) = bulk::worker_before(exchange) {
            account.work(Some(kind));
        }
        let workers = exchange["workers_before"].as_str().unwrap_or_default();
        for (worker, kind) in [
            ("KAsyncIndex", JobKind::Index),
            ("KAsyncDelete", JobKind::Delete),
        ] {
            if workers.contains(worker) {
                account.work(Some(kind));
            }
        }
        if self.name.starts_with("05b") && at == 5 {
            // The recorder set these in the database: the API cannot.
            for (recorded, policy) in [(21, 2), (22, 1)] {
                account.set_join_policy(self.categories[&recorded], policy);
            }
        }
    }

    fn keep_pace(&mut self, recorded: i64) {
        let began = *self.began.get_or_insert(recorded);
        let wanted = self.live_began + recorded - began;
        let account = self.sandbox.account();
        let ahead = wanted - account.clock().now();
        if let Ok(ahead) = u64::try_from(ahead) {
            account.clock().advance(Duration::from_secs(ahead));
        }
    }

    fn reason_to_skip(&self, exchange: &Value) -> Option<String> {
        let number = usize::try_from(exchange["n"].as_u64()?).ok()?;
        for (name, numbers, reason) in EXCEPTIONS {
            if *name == self.name && numbers.contains(&number) {
                return Some((*reason).to_owned());
            }
        }
        let service = exchange["service"].as_str()?;
        let unknown = !SERVICES.contains(&service.to_lowercase().as_str()) && service != "nosuch";
        unknown.then(|| format!("service {service} is not in the sandbox"))
    }

    async fn play(&mut self, exchange: &Value) {
        let expired = exchange["response"]["args"]["KSID"] == "EXPIRED";
        let request = &exchange["request"];
        if let Some(members) = request.as_object() {
            self.learn_users(members);
        }
        let reply = self.send(exchange, expired).await;
        self.played += 1;
        let recorded = &exchange["response"];
        let live = match recorded {
            Value::String(_) if !reply.body.starts_with('"') => Value::String(reply.body.clone()),
            _ => reply.value(),
        };
        self.learn(exchange, recorded, &live);
        let mut differences = Vec::new();
        if exchange["status"].as_u64() != Some(reply.status.into()) {
            differences.push(format!(
                "status {} for {}",
                reply.status, exchange["status"]
            ));
        }
        Self::compare_headers(exchange, &reply, &mut differences);
        self.compare(exchange, recorded, &live, "", &mut differences);
        if !differences.is_empty() {
            self.failures.push(format!(
                "#{} [{}] {}.{}\n   sent {}\n   {}",
                exchange["n"],
                exchange["label"].as_str().unwrap_or_default(),
                exchange["service"].as_str().unwrap_or("-"),
                exchange["action"].as_str().unwrap_or("-"),
                short(&without_ks(request).to_string()),
                differences.join("\n   ")
            ));
        }
    }

    async fn send(&mut self, exchange: &Value, expired: bool) -> Reply {
        let service = exchange["service"].as_str().unwrap_or_default();
        let request = &exchange["request"];
        let path = match exchange["url"].as_str() {
            Some(url) => self.live_text(url, expired),
            None if service == "multirequest" => "/api_v3/service/multirequest".to_owned(),
            None => format!(
                "/api_v3/service/{service}/action/{}",
                exchange["action"].as_str().unwrap_or_default()
            ),
        };
        if exchange["encoding"] == "multipart" {
            let (kind, body) = self.live_multipart(service, request, expired);
            let reply = send_bytes(&self.sandbox, "POST", &path, &[kind], &body).await;
            return reply.unwrap();
        }
        let json = ("Content-Type".to_owned(), "application/json".to_owned());
        let form = "application/x-www-form-urlencoded".to_owned();
        let (method, path, headers, body) = match exchange["encoding"].as_str() {
            Some("raw") => {
                let body = request["__raw_body"].as_str().unwrap_or_default();
                let headers = request["__headers"].as_object().into_iter().flatten();
                let headers = headers
                    .map(|(name, value)| {
                        (
                            name.clone(),
                            self.live_text(value.as_str().unwrap(), expired),
                        )
                    })
                    .collect();
                let method = exchange["method"].as_str().unwrap_or("POST");
                (method, path, headers, self.live_body(body, expired))
            }
            Some(kind @ ("form" | "query")) => {
                let mut fields = form_urlencoded::Serializer::new(String::new());
                let live = self.live(service, request, expired);
                for (name, value) in live.as_object().unwrap() {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    fields.append_pair(name, &text);
                }
                let fields = fields.finish();
                if kind == "query" {
                    ("GET", format!("{path}?{fields}"), vec![], String::new())
                } else {
                    (
                        "POST",
                        path,
                        vec![("Content-Type".to_owned(), form)],
                        fields,
                    )
                }
            }
            kind => {
                let mut body = self.live(service, request, expired);
                if kind.is_none() {
                    // Recorded without the parameters that were common to all.
                    body["format"] = json!(1);
                }
                ("POST", path, vec![json], body.to_string())
            }
        };
        send(&self.sandbox, method, &path, &headers, &body)
            .await
            .unwrap()
    }
}

fn without_ks(request: &Value) -> Value {
    let mut request = request.clone();
    if let Value::Object(members) = &mut request {
        members.remove("ks");
    }
    request
}

macro_rules! recordings {
    ($($test:ident = $name:literal;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                replay($name).await;
            }
        )*
    };
}

recordings! {
    recording_01_session = "01-session";
    recording_02_category_user_add = "02-categoryUser-add";
    recording_02b_max_members = "02b-categoryUser-add-max-members";
    recording_03_category_user_update = "03-categoryUser-update";
    recording_05_activate = "05-categoryUser-activate";
    recording_05b_join_with_entitlement = "05b-categoryUser-join-with-entitlement";
    recording_06_category_user_list = "06-categoryUser-list";
    recording_07_category = "07-category";
    recording_07b_delete_and_lock = "07b-category-delete-lock";
    recording_08_user = "08-user";
    recording_09_multirequest = "09-multirequest";
    recording_09b_form_and_xml = "09b-form-and-xml";
    recording_10_bulk_category_user = "10-bulk-categoryUser";
    recording_10b_bulk_category_and_user = "10b-bulk-category-user";
    recording_10d_bulk_large_job = "10d-bulk-large-job-end";
    recording_11_permissions_and_app_tokens = "11-permissions-and-appToken";
    recording_12_metadata = "12-metadata";
    recording_14_concurrency = "14-concurrency";
    recording_17_without_entitlement = "17-partner-without-entitlement";
    recording_18_level_none = "18-permission-level-none";
    recording_19_ks_vectors = "19-ks-vectors";
    recording_21_reference_ids = "21-referenceId-special-characters";
    recording_22_least_privilege = "22-least-privilege";
    recording_23_user_rename = "23-user-rename";
    recording_24_groups = "24-groups";
    recording_26_channel_presets = "26-channel-presets";
    recording_27_metadata_mapping = "27-metadata-mapping";
}
