//! A directory that never rests, and runs that read only what changed.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `ROLLBOOK_SOAK_SECONDS` | how long the directory changes | 12 |
//! | `ROLLBOOK_SLAPD_MODEL_SEED` | where chance begins | another one each time |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rollbook::reconcile::report::ReadKind;
use rollbook::reconcile::{Engine, Report, Request, reconcile};
use rollbook::sandbox::{NewCategory, Options, Sandbox};

use super::campus;
use super::churn::{Churn, GROUPS, Since};
use super::site::{ROOT, assemble};
use crate::slapd::{READER, SUFFIX, Slapd, SlapdOptions};

/// The groups that feed a channel of the same name.
const CHANNELS: [&str; 3] = [GROUPS[0], GROUPS[1], GROUPS[2]];

struct Soak {
    slapd: Arc<Slapd>,
    sandbox: Sandbox,
    engine: Engine,
    channels: [i64; 3],
    _folder: tempfile::TempDir,
}

impl Soak {
    async fn start(churn: &Churn) -> Self {
        let slapd = Slapd::start(&SlapdOptions {
            ldif: churn.ldif(),
            memberof: true,
            ..SlapdOptions::default()
        });
        let sandbox = Sandbox::start(Options {
            job_delay: None,
            ..Options::default()
        })
        .await
        .unwrap();
        let channels = CHANNELS.map(|reference| {
            sandbox.account().add_category(&NewCategory {
                path: format!("{ROOT}>{reference}"),
                reference_id: Some(reference.to_owned()),
                ..NewCategory::default()
            })
        });
        let folder = tempfile::Builder::new().prefix("soak").tempdir().unwrap();
        let state = folder.path().join("rollbook.db");
        let engine = assemble(&configuration(&slapd, &sandbox), &sandbox, &state);
        Self {
            slapd: Arc::new(slapd),
            sandbox,
            engine,
            channels,
            _folder: folder,
        }
    }

    async fn run(&self) -> Report {
        let request = Request {
            command: "sync".to_owned(),
            ..Request::default()
        };
        reconcile(&self.engine, &request).await.unwrap()
    }

    fn members(&self, channel: usize) -> BTreeSet<String> {
        let members = self.sandbox.account().members(self.channels[channel]);
        members.into_iter().map(|member| member.user_id).collect()
    }

    /// What was taken, or may have been, by a run that began then, from people who were wanted there all
    /// the time.
    fn wrongly_taken(&self, since: &Since, then: Instant) -> Vec<String> {
        let writes = self.sandbox.account().calls().writes().into_iter();
        let taking = writes.filter(|write| write.action != "add");
        taking
            .filter(|write| {
                let mut channels = self.channels.iter();
                let channel = channels.position(|id| *id == write.category_id);
                let person = write.user_id.trim_start_matches('u').parse();
                let (Some(channel), Ok(person)) = (channel, person) else {
                    return true;
                };
                Churn::is_wanted_since(since, channel, person, then)
            })
            .map(|write| format!("{write:?}"))
            .collect()
    }
}

fn configuration(slapd: &Slapd, sandbox: &Sandbox) -> String {
    format!(
        r#"[state]
path = "rollbook.db"
[kaltura]
url = "{}"
partner_id = {}
admin_secret = {{ file = "kaltura.secret" }}
root = "{ROOT}"
requests_per_second = 1000
[[directory]]
name = "campus"
kind = "ldap"
urls = ["{}"]
bind_dn = "{READER}"
bind_password = {{ file = "ldap.password" }}
[directory.people]
base = "ou=people,{SUFFIX}"
user_id = "uid"
[directory.groups]
base = "ou=groups,{SUFFIX}"
nested = true
[safety]
first_run = "apply"
category = {{ percent = 100, at_least = 1000 }}
total = {{ percent = 100, at_least = 1000 }}
left_empty = 0
[schedule]
list_after = "1s"
"#,
        sandbox.url(),
        sandbox.partner_id(),
        slapd.url(),
    )
}

fn seconds() -> u64 {
    let text = std::env::var("ROLLBOOK_SOAK_SECONDS").ok();
    text.map_or(12, |text| text.parse().unwrap())
}

#[tokio::test]
async fn a_directory_that_changes_without_end() {
    let seed = super::seed();
    let churn = Churn::new(seed);
    let since = Since::clone(&churn.since);
    let soak = Soak::start(&churn).await;
    soak.run().await;

    let (stop, runs) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let changing = std::thread::spawn({
        let (slapd, stop, runs) = (
            Arc::clone(&soak.slapd),
            Arc::clone(&stop),
            Arc::clone(&runs),
        );
        move || churn.go_on(&slapd, &stop, &runs)
    });
    let end = Instant::now() + Duration::from_secs(seconds());
    let (mut full, mut partly, mut writes) = (0, 0, Vec::new());
    let mut wrong = Vec::new();
    let mut note = |report: &Report, then: Instant| {
        full += u64::from(report.reads[0].kind == ReadKind::Full);
        partly += u64::from(!report.is_proven());
        let run = runs.fetch_add(1, Ordering::SeqCst);
        let said = |what: String| format!("run {run}: {what}");
        wrong.extend(soak.wrongly_taken(&since, then).into_iter().map(said));
        let calls = soak.sandbox.account().calls();
        writes.extend(
            calls
                .writes()
                .iter()
                .map(|write| said(format!("{write:?}"))),
        );
        calls.reset();
    };
    soak.sandbox.account().calls().reset();
    while Instant::now() < end && !changing.is_finished() {
        let then = Instant::now();
        note(&soak.run().await, then);
    }
    stop.store(true, Ordering::SeqCst);
    let churn = changing.join().unwrap();
    campus::settle_as(&soak.slapd, &churn.groups());

    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let then = Instant::now();
        note(&soak.run().await, then);
    }
    let story = || format!("{:#?}\n{writes:#?}", churn.changes);
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}\n{}", story());
    for (n, channel) in CHANNELS.iter().enumerate() {
        let (mut members, wanted) = (soak.members(n), churn.wanted(n));
        members.retain(|user| !churn.is_gone(user));
        assert_eq!(members, wanted, "seed {seed}, {channel}; {}", story());
    }
    assert_eq!(full, 0, "seed {seed}: full reads after the first");
    let told = format!(
        "churn, seed {seed}: {} changes in {} s, {} incremental runs ({partly} with half an answer, \
         {full} full), {} writes, wrong removals: 0",
        churn.changes.len(),
        seconds(),
        runs.load(Ordering::SeqCst),
        writes.len()
    );
    crate::figures::tell("slapd_churn", &told);
}
