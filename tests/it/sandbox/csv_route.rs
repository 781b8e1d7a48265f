//! Memberships by file: what Rollbook writes, read by the engine; what the engine says, read by Rollbook.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use rollbook::category::{CategoryId, PermissionLevel, ReferenceId, UpdateMethod, UserId};
use rollbook::config;
use rollbook::kaltura::csv::{Address, Heading, Limits, Row, Style, Verb, check, search_key};
use rollbook::kaltura::{Credentials, Kaltura, Write};
use rollbook::sandbox::{NewCategory, Options, Sandbox};
use tokio::runtime::Runtime;

use crate::kaltura_client::write;

use super::client::{call, multipart, send_bytes};

mod log;

/// An account, and somebody who hands in files.
pub(super) struct Site {
    pub(super) runtime: Runtime,
    pub(super) sandbox: Sandbox,
    pub(super) ks: String,
}

impl Site {
    pub(super) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let options = Options {
            job_delay: None,
            ..Options::default()
        };
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        let ks = sandbox
            .account()
            .session("admin", 2, "disableentitlement", 86_400);
        Self {
            runtime,
            sandbox,
            ks,
        }
    }

    fn channel(&self, name: &str, reference_id: &str) -> i64 {
        self.sandbox.account().add_category(&NewCategory {
            path: format!("MediaSpace>{name}"),
            reference_id: Some(reference_id.to_owned()),
            ..NewCategory::default()
        })
    }

    /// Hands in a file, has it worked on, and answers the number of the job.
    pub(super) fn hand_in(&self, service: &str, file: &[u8]) -> i64 {
        let path = format!("/api_v3/service/{service}/action/addFromBulkUpload");
        let fields = [("format", "1"), ("ks", &*self.ks)];
        let (kind, body) = multipart(&fields, &[("fileData", "run.csv", file)]);
        let headers = [kind];
        let sending = send_bytes(&self.sandbox, "POST", &path, &headers, &body);
        let job = self.runtime.block_on(sending).unwrap().value();
        self.sandbox.account().work(None);
        job["id"].as_i64().unwrap()
    }

    pub(super) fn log(&self, job: i64) -> String {
        self.sandbox.account().bulk_log(job).unwrap()
    }

    fn client(&self) -> Kaltura {
        let text = format!(
            "url = {:?}\npartner_id = {}\nadmin_secret = {{ env = \"UNUSED\" }}\nrequests_per_second = 100000",
            self.sandbox.url(),
            self.sandbox.partner_id()
        );
        let config: config::Kaltura = toml::from_str(&text).unwrap();
        let secret = self.sandbox.admin_secret().to_owned().into();
        let _guard = self.runtime.enter();
        Kaltura::new(&config, Credentials::AdminSecret(secret)).unwrap()
    }

    /// Who is in a channel, as what, whose, and whether it counts.
    fn members(&self, category: i64) -> Vec<(String, i64, i64, i64)> {
        let members = self.sandbox.account().members(category).into_iter();
        let mut members: Vec<_> = members
            .map(|m| (m.user_id, m.permission_level, m.update_method, m.status))
            .collect();
        members.sort();
        members
    }
}

/// The file of some rows, under a heading.
fn file<'a>(style: Style, rows: impl IntoIterator<Item = &'a Row>) -> Vec<u8> {
    let mut file = Vec::new();
    let heading = Heading::new(["Rollbook run 12, \"file\" 1", "\\ plan 3f"]);
    style.write(&mut file, &heading, rows).unwrap();
    file
}

pub(super) fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

/// Something to be done about one person in one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Add(PermissionLevel),
    SetLevel(PermissionLevel),
    Remove,
    Activate,
    Deactivate,
}

impl Deed {
    fn write(self, category: i64, user: &str) -> Write {
        let (category, user) = (CategoryId(category), UserId::new(user));
        let method = UpdateMethod::Automatic;
        match self {
            Self::Add(level) => Write::Add {
                category,
                user,
                level,
                method,
            },
            Self::SetLevel(level) => Write::SetLevel {
                category,
                user,
                level,
                method,
                over_manual: false,
                extra_permissions: Vec::new(),
            },
            Self::Remove => Write::Remove { category, user },
            Self::Activate => Write::Activate { category, user },
            Self::Deactivate => Write::Deactivate { category, user },
        }
    }
}

fn level() -> impl Strategy<Value = PermissionLevel> {
    use PermissionLevel::{Contributor, Manager, Member, Moderator};
    select(vec![Manager, Moderator, Contributor, Member])
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        level().prop_map(Deed::Add),
        level().prop_map(Deed::SetLevel),
        Just(Deed::Remove),
        Just(Deed::Activate),
        Just(Deed::Deactivate),
    ]
}

/// A membership as it is before: level, method, status.
type Before = Option<(i64, i64, i64)>;

/// What is there of one person, and what is to be done.
#[derive(Debug, Clone)]
struct Person {
    before: Before,
    deeds: Vec<Deed>,
}

impl Person {
    /// What of the deeds comes to the same by file and by call. A file cannot put a manual membership in or out of
    /// force; and "add or update" is meant for what a plan has seen, an addition where nobody is and a change
    /// where somebody is.
    fn fair(&self, verb: Verb) -> Vec<Deed> {
        let is_manual = self.before.is_some_and(|(_, method, _)| method == 0);
        let mut is_there = self.before.is_some();
        let fair = self.deeds.iter().copied().filter(|deed| {
            if is_manual && matches!(deed, Deed::Activate | Deed::Deactivate) {
                return false;
            }
            if verb == Verb::AddOrUpdate && is_there == matches!(deed, Deed::Add(_)) {
                return false;
            }
            is_there = match deed {
                Deed::Add(_) => true,
                Deed::Remove => false,
                _ => is_there,
            };
            true
        });
        fair.collect()
    }
}

fn person() -> impl Strategy<Value = Person> {
    let before = prop::option::of((0..4_i64, 0..2_i64, 1..4_i64));
    (before, vec(deed(), 1..4)).prop_map(|(before, deeds)| Person { before, deeds })
}

/// A channel: how its reference ID begins, and its people by how their IDs begin.
fn channel() -> impl Strategy<Value = (String, BTreeMap<String, Person>)> {
    let reference_id = "[A-Za-z0-9äöÅé日._:/@()<>&;!$^|=~'\\[\\]{}+#-]{1,12}";
    let user = "[a-z0-9._@-]{3,40}|[a-z0-9._@-]{90}";
    (reference_id, btree_map(user, person(), 1..8))
}

fn style() -> impl Strategy<Value = Style> {
    let address = select(vec![Address::Id, Address::ReferenceId]);
    let verb = select(vec![Verb::Explicit, Verb::AddOrUpdate]);
    (address, verb, 3..40_usize).prop_map(|(address, verb, rows)| Style {
        address,
        verb,
        limits: Limits {
            rows,
            ..Limits::default()
        },
    })
}

#[test]
fn a_file_leaves_the_memberships_that_calls_leave() {
    let (by_file, by_call) = (Site::new(), Site::new());
    let client = by_call.client();
    let case = std::cell::Cell::new(0);
    runner(200)
        .run(&(style(), vec(channel(), 1..4)), |(style, channels)| {
            case.set(case.get() + 1);
            let case = case.get();
            let mut pieces = Vec::new();
            let mut calls = Vec::new();
            let mut ids = Vec::new();
            for (number, (beginning, people)) in channels.iter().enumerate() {
                let reference_id = ReferenceId::new(format!("{beginning}-{case}-{number}"));
                let [id, same] = [&by_file, &by_call].map(|site| {
                    let name = format!("{case} {number}");
                    site.channel(&name, reference_id.as_str())
                });
                assert_eq!(id, same);
                ids.push(id);
                for (beginning, person) in people {
                    let user = format!("{beginning}.{case}");
                    if let Some((level, method, status)) = person.before {
                        for site in [&by_file, &by_call] {
                            let account = site.sandbox.account();
                            account.set_membership(id, &user, level, method, status);
                        }
                    }
                    let deeds = person.fair(style.verb);
                    let writes: Vec<Write> =
                        deeds.iter().map(|deed| deed.write(id, &user)).collect();
                    if let Ok(piece) = style.piece(&writes, Some(&reference_id), ()) {
                        pieces.push(piece);
                        calls.extend(writes);
                    }
                }
            }
            for pieces in style.pack(pieces) {
                let rows = pieces.iter().flat_map(|piece| &piece.rows);
                by_file.hand_in("categoryUser", &file(style, rows));
            }
            by_call.runtime.block_on(write(&client, &calls)).unwrap();
            for id in ids {
                prop_assert_eq!(by_file.members(id), by_call.members(id));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_text_that_may_stand_in_a_cell_comes_back_byte_for_byte() {
    let site = Site::new();
    let text = prop_oneof![
        "\\PC{1,30}",
        "[ \u{a0}àÂ£Р†*#\"',{}:0-9a-z\\\\\t\n]{1,12}",
        "[a\"]{0,3},?(\\{1:result)?\\PC[ \"]{0,2}\\PC",
    ];
    let text = text.prop_filter("refused", |text| check(text).is_ok());
    runner(60)
        .run(&vec(text, 1..20), |texts| {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let header = ["*action", "userId", "partnerData"];
            writer.write_record(header).unwrap();
            for (number, text) in texts.iter().enumerate() {
                let user = format!("u{number}");
                writer.write_record(["6", &user, text]).unwrap();
            }
            site.hand_in("user", &writer.into_inner().unwrap());
            for (number, text) in texts.iter().enumerate() {
                let asked = json!({"ks": site.ks, "userId": format!("u{number}")});
                let user = call(&site.sandbox, "user.get", asked);
                let user = site.runtime.block_on(user);
                prop_assert_eq!(&user["partnerData"], text);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn reference_ids_of_different_keys_are_not_taken_for_one_another() {
    let site = Site::new();
    let texts = [
        "e-1", "e-11", "e1", "case", "b&c", "b&cd", "a@b", "ä1", "ö1", "日本",
    ];
    let style = Style {
        address: Address::ReferenceId,
        ..Style::default()
    };
    let ids = texts.map(|text| site.channel(&format!("channel {text}"), text));
    let mut keys: Vec<String> = texts
        .iter()
        .map(|text| search_key(&ReferenceId::new(*text)))
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), texts.len());
    let rows: Vec<Row> = texts
        .iter()
        .zip(ids)
        .flat_map(|(text, id)| {
            let write = Deed::Add(PermissionLevel::Member).write(id, &format!("user-{id}"));
            let reference_id = ReferenceId::new(*text);
            style.piece(&[write], Some(&reference_id), ()).unwrap().rows
        })
        .collect();
    site.hand_in("categoryUser", &file(style, &rows));
    for id in ids {
        let there: Vec<String> = site.members(id).into_iter().map(|row| row.0).collect();
        assert_eq!(there, [format!("user-{id}")]);
    }
}
