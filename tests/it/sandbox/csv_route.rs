//! Memberships by file: what Rollbook writes, read by the engine; what the engine says, read by Rollbook.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use rollbook::category::{CategoryId, PermissionLevel, ReferenceId, UpdateMethod, UserId};
use rollbook::config;
use rollbook::kaltura::csv::{
    Address, Heading, Limits, Log, Row, RowVerdict, Style, Verb, check, search_key,
};
use rollbook::kaltura::{Credentials, Kaltura, Write};
use rollbook::sandbox::{BulkFault, NewCategory, Options, Sandbox};
use tokio::runtime::Runtime;

use super::client::{call, multipart, send_bytes};

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
            by_call.runtime.block_on(client.write(&calls)).unwrap();
            for id in ids {
                prop_assert_eq!(by_file.members(id), by_call.members(id));
            }
            Ok(())
        })
        .unwrap();
}

/// Something that happens to a log on its way.
#[derive(Debug, Clone)]
enum Accident {
    Lose(Index),
    Double(Index),
    Swap(Index, Index),
    Garbage(Index, String),
    Insert(Index, char),
    Erase(Index),
    Cut(Index),
}

fn accident() -> impl Strategy<Value = Accident> {
    let garbage = "[0-9a-z,\" äö\\\\]{0,30}";
    prop_oneof![
        any::<Index>().prop_map(Accident::Lose),
        any::<Index>().prop_map(Accident::Double),
        any::<(Index, Index)>().prop_map(|(one, other)| Accident::Swap(one, other)),
        (any::<Index>(), garbage).prop_map(|(at, text)| Accident::Garbage(at, text)),
        (any::<Index>(), select(b"\",\\012x \r\n\0".to_vec()))
            .prop_map(|(at, byte)| Accident::Insert(at, char::from(byte))),
        any::<Index>().prop_map(Accident::Erase),
        any::<Index>().prop_map(Accident::Cut),
    ]
}

impl Accident {
    fn befall(&self, log: &mut String) {
        let mut lines: Vec<&str> = log.split_inclusive('\n').collect();
        if lines.is_empty() {
            return;
        }
        *log = match self {
            Self::Lose(at) => {
                lines.remove(at.index(lines.len()));
                lines.concat()
            }
            Self::Double(at) => {
                let at = at.index(lines.len());
                lines.insert(at, lines[at]);
                lines.concat()
            }
            Self::Swap(one, other) => {
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
                lines.concat()
            }
            Self::Garbage(at, text) => {
                let text = format!("{text}\n");
                lines.insert(at.index(lines.len()), &text);
                lines.concat()
            }
            Self::Insert(at, c) => {
                let at = log.floor_char_boundary(at.index(log.len()));
                format!("{}{c}{}", &log[..at], &log[at..])
            }
            Self::Erase(at) => {
                let at = log.floor_char_boundary(at.index(log.len()));
                let mut rest = log[at..].chars();
                rest.next();
                format!("{}{}", &log[..at], rest.as_str())
            }
            Self::Cut(at) => log[..log.floor_char_boundary(at.index(log.len()))].to_owned(),
        };
    }
}

/// What became of a row, without the text.
fn kind(verdict: &RowVerdict) -> &'static str {
    match verdict {
        RowVerdict::Done => "done",
        RowVerdict::Refused(_) => "refused",
        RowVerdict::DoneBut(_) => "done, but",
        RowVerdict::Unknown => "unknown",
    }
}

/// What became of each row of a job, as the account itself knows it; rows are of one person each.
fn truth(site: &Site, job: i64, rows: &[Row]) -> Vec<&'static str> {
    let writes = site.sandbox.account().calls().writes();
    let writes: Vec<_> = writes
        .iter()
        .filter(|write| write.bulk_job == Some(job))
        .collect();
    let truth = rows.iter().map(|row| {
        let mut of = writes
            .iter()
            .filter(|write| write.user_id == row.user().as_str());
        match of.next().map(|write| write.error.is_none()) {
            Some(true) => "done",
            _ => "refused",
        }
    });
    truth.collect()
}

#[test]
fn a_log_says_what_happened_or_nothing_whatever_happens_to_it() {
    let site = Site::new();
    let case = std::cell::Cell::new(0);
    let people = vec((prop::option::of((0..4_i64, 0..2_i64)), deed()), 1..30);
    let accidents = vec(accident(), 1..6);
    runner(200)
        .run(&(people, accidents), |(people, accidents)| {
            case.set(case.get() + 1);
            let case = case.get();
            let id = site.channel(&format!("{case}"), "");
            let account = site.sandbox.account();
            let style = Style::default();
            let mut rows = Vec::new();
            for (number, (before, deed)) in people.into_iter().enumerate() {
                // Of one length: no accident with one letter makes somebody of somebody else.
                let user = format!("-{case:06}@{number:02}");
                if let Some((level, method)) = before {
                    account.set_membership(id, &user, level, method, 1);
                }
                let piece = style.piece(&[deed.write(id, &user)], None, ()).unwrap();
                rows.extend(piece.rows);
            }
            let job = site.hand_in("categoryUser", &file(style, &rows));
            let mut log = site.log(job);
            let truth = truth(&site, job, &rows);
            let read = |log: &str| Log::read(log.as_bytes()).verdicts(&rows);

            let verdicts = read(&log);
            let kinds: Vec<_> = verdicts.iter().map(kind).collect();
            prop_assert_eq!(&kinds, &truth, "{}", log);
            for (row, verdict) in rows.iter().zip(&verdicts) {
                if let RowVerdict::Refused(text) = verdict {
                    prop_assert!(!text.contains(row.user().as_str()), "{}", text);
                }
            }
            let shuffled: String = log.split_inclusive('\n').rev().collect();
            prop_assert_eq!(read(&shuffled), verdicts);

            for accident in accidents {
                accident.befall(&mut log);
            }
            for (verdict, truth) in read(&log).iter().zip(truth) {
                let kind = kind(verdict);
                prop_assert!(
                    kind == truth || kind == "unknown",
                    "{verdict:?}, {truth}: {log}"
                );
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn logs_that_go_wrong_on_demand_are_read_as_far_as_they_go() {
    let site = Site::new();
    let style = Style::default();
    let verdicts = |number: usize, fault| {
        let id = site.channel(&format!("{number}"), "");
        let rows: Vec<Row> = ["ada", "-bob", "@joe"]
            .iter()
            .flat_map(|user| {
                let write = Deed::Add(PermissionLevel::Member).write(id, user);
                style.piece(&[write], None, ()).unwrap().rows
            })
            .collect();
        site.sandbox.account().faults().next_bulk_job(fault);
        let job = site.hand_in("categoryUser", &file(style, &rows));
        let log = Log::read(site.log(job).as_bytes());
        let kinds: Vec<&str> = log.verdicts(&rows).iter().map(kind).collect();
        kinds
    };
    assert_eq!(
        verdicts(1, BulkFault::LogLacksRows(2)),
        ["done", "unknown", "unknown"]
    );
    assert_eq!(
        verdicts(2, BulkFault::LogHasAnotherCell),
        ["done", "done", "done"]
    );
    assert_eq!(
        verdicts(3, BulkFault::LogRepeatsRows),
        ["done", "done", "done"]
    );
    assert_eq!(
        verdicts(4, BulkFault::Fail),
        ["unknown", "unknown", "unknown"]
    );
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
