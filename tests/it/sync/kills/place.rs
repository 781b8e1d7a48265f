//! A place where runs are killed: a directory that changes, channels, and the program in many ways to
//! die.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use rollbook::sandbox::NewCategory;

use super::super::site::{
    ACTIVE, AUTOMATIC, MANUAL, MEMBER, NOT_ACTIVE, ROOT, Settings, Site, Start,
};
use crate::slapd::{self, BASE_LDIF, SUFFIX, SlapdOptions};

/// Who there is, by number. Files must not name who has fewer than three characters.
const PEOPLE: std::ops::Range<usize> = 10..50;
const CHANNELS: [&str; 5] = ["art", "big", "bio", "chem", "maths"];
/// Who is in `big`, of which a held part loses too many.
const BIG: std::ops::Range<usize> = 30..38;

/// Who is there, with level, method and status, by channel and user.
pub(super) type Members = BTreeMap<(&'static str, String), (i64, i64, i64)>;

/// What the groups say.
#[derive(Debug, Clone)]
pub(super) struct Campus {
    groups: BTreeMap<&'static str, BTreeSet<usize>>,
}

impl Campus {
    pub(super) fn new() -> Self {
        let groups = [
            ("art", (10..20).collect()),
            ("big", BIG.collect()),
            ("bio", (10..22).collect()),
            ("chem", (15..30).collect()),
            ("maths", (10..30).step_by(2).collect()),
            ("staff", [10, 11, 12].into()),
        ];
        Self {
            groups: groups.into(),
        }
    }

    fn ldif(&self) -> String {
        let groups = self.groups.iter();
        let groups = groups.map(|(name, members)| slapd::group(name, members.iter().copied()));
        slapd::people(PEOPLE.end) + &groups.collect::<String>()
    }

    /// Some join, some leave, some change their level; `big` loses too many, or has them back.
    pub(super) fn change(&mut self, rng: &mut fastrand::Rng) {
        for name in ["art", "bio", "chem", "maths"] {
            let group = self.groups.get_mut(name).unwrap();
            for _ in 0..rng.usize(1..=2) {
                let person = rng.usize(PEOPLE);
                let few = group.len() < 6;
                if few || !group.remove(&person) {
                    group.insert(person);
                }
            }
        }
        let staff = self.groups.get_mut("staff").unwrap();
        // The first two stay, or the channel would be left without a manager.
        let person = rng.usize(12..22);
        if !staff.remove(&person) {
            staff.insert(person);
        }
        let big = self.groups.get_mut("big").unwrap();
        *big = if rng.bool() {
            BIG.collect()
        } else {
            BIG.take(1).collect()
        };
    }
}

/// A site, and what it has of its own.
pub(super) struct Place {
    pub(super) site: Site,
    pub(super) channels: BTreeMap<&'static str, i64>,
    pub(super) nature: Nature,
}

/// What a place is like.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nature {
    /// Lines of the configuration.
    pub(super) policy: &'static str,
    /// Whether the directory is a server; otherwise it is a file.
    pub(super) is_ldap: bool,
    /// Whether changes go by CSV file; otherwise they go by call.
    pub(super) by_file: bool,
}

impl Nature {
    pub(super) fn deactivates(self) -> bool {
        self.policy.contains("deactivate")
    }
}

/// How long Kaltura lets a job wait.
const A_JOB: Duration = Duration::from_millis(80);
/// Small files, several at once; they are looked after often, and given up soon.
const BY_FILE: &str = "via = \"csv\"\ncsv = { rows = 4, poll = \"20ms\", patience = \"10s\" }";

impl Place {
    pub(super) async fn start(campus: &Campus, nature: Nature) -> Self {
        let mut site = Start {
            slapd: SlapdOptions {
                ldif: if nature.is_ldap {
                    campus.ldif()
                } else {
                    String::new()
                },
                ..SlapdOptions::default()
            },
            settings: Settings {
                kaltura: "retries = 0\nbatch = 2\nconcurrency = 1".to_owned(),
                bindings: "[[binding]]\ngroup = \"^(?<c>art|big|bio|chem|maths)$\"\n\
                     category = { reference_id = \"{c}\" }\n\
                     [[binding]]\ngroups = [\"staff\"]\ncategory = { reference_id = \"bio\" }\n\
                     level = \"manager\""
                    .to_owned(),
                policy: nature.policy.to_owned(),
                // Two changes at once are no catastrophe, but for `big`.
                safety: "first_run = \"apply\"\nwindow = \"0s\"\n\
                     category = { percent = 25, at_least = 7 }\n\
                     total = { percent = 100, at_least = 1000 }"
                    .to_owned(),
                apply: (if nature.by_file { BY_FILE } else { "" }).to_owned(),
                ..Settings::default()
            },
            job_delay: nature.by_file.then_some(A_JOB),
            ..Start::default()
        }
        .start()
        .await;
        if !nature.is_ldap {
            let path = site.path("directory.ldif").display().to_string();
            site.settings.source = Some(format!("kind = \"ldif\"\npath = \"{path}\""));
        }
        let channels = CHANNELS.map(|name| {
            let id = site.account().add_category(&NewCategory {
                path: format!("{ROOT}>{name}"),
                reference_id: Some(name.to_owned()),
                // In the group, too; and never lowered.
                owner: (name == "art").then(|| "p13".to_owned()),
                ..NewCategory::default()
            });
            (name, id)
        });
        let place = Self {
            site,
            channels: channels.into(),
            nature,
        };
        // By hand: somebody of no group, somebody of the group, and one who is not in force.
        place.put("bio", "guest", (MEMBER, MANUAL, ACTIVE));
        place.put("chem", "p16", (MEMBER, MANUAL, ACTIVE));
        place.write(campus);
        place.site.sync().await.is(0);
        place.put("maths", "p14", (MEMBER, AUTOMATIC, NOT_ACTIVE));
        place
    }

    fn put(&self, channel: &str, person: &str, (level, method, status): (i64, i64, i64)) {
        let id = self.channels[channel];
        let account = self.site.account();
        account.set_membership(id, person, level, method, status);
    }

    /// Writes what the groups say into the directory.
    pub(super) fn write(&self, campus: &Campus) {
        if self.nature.is_ldap {
            let mut ldif = String::new();
            for (name, members) in &campus.groups {
                let group = format!("cn={name},ou=groups,{SUFFIX}");
                ldif += "dn: ";
                ldif += &group;
                ldif += "\nchangetype: modify\nreplace: member\n";
                let members = members.iter();
                let lines = members.map(|n| format!("member: uid=p{n},ou=people,{SUFFIX}\n"));
                ldif.extend(lines);
                ldif += "\n";
            }
            self.site.slapd.modify(&ldif);
        } else {
            let text = BASE_LDIF.to_owned() + &campus.ldif();
            fs::write(self.site.path("directory.new"), text).unwrap();
            let (new, file) = ("directory.new", "directory.ldif");
            fs::rename(self.site.path(new), self.site.path(file)).unwrap();
        }
    }

    pub(super) fn members(&self) -> Members {
        let account = self.site.account();
        let members = self.channels.iter().flat_map(|(name, id)| {
            account.members(*id).into_iter().map(|member| {
                let standing = (member.permission_level, member.update_method, member.status);
                ((*name, member.user_id), standing)
            })
        });
        members.collect()
    }

    fn state(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.site.path("rollbook.db")).unwrap()
    }

    pub(super) fn count(&self, sql: &str) -> i64 {
        self.state().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// What the ledger says is there by us: `bio p1 active member`.
    pub(super) fn ledger(&self) -> BTreeSet<String> {
        let state = self.state();
        let mut statement = state
            .prepare(
                "SELECT category_id, user_key, state, level FROM ledger WHERE state <> 'removed'",
            )
            .unwrap();
        let rows = statement.query_map([], |row| {
            let id: i64 = row.get(0)?;
            let name = self.channels.iter().find(|(_, known)| **known == id);
            let cell = |column| row.get::<_, String>(column);
            let name = name.map_or("?", |(name, _)| *name);
            Ok(format!("{name} {} {} {}", cell(1)?, cell(2)?, cell(3)?))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    pub(super) fn held(&self) -> BTreeSet<i64> {
        let state = self.state();
        let mut statement = state
            .prepare("SELECT category_id FROM held_category")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// The lease of whoever was killed is stale.
    fn a_minute_later(&self) {
        let sql = "UPDATE lease SET seen_at = 0; UPDATE set_aside SET retry_at = 0;";
        self.state().execute_batch(sql).unwrap();
    }

    /// Runs until the end.
    pub(super) async fn sync(&self) -> String {
        self.a_minute_later();
        let run = self.site.sync().await;
        assert!(matches!(run.code, Some(0 | 4)), "{run:?}");
        run.stdout
    }

    /// Runs, and dies at a point; answers whether it did.
    pub(super) async fn dies_at(&self, point: &str, passage: u64) -> bool {
        self.a_minute_later();
        let at = format!("{point}:{passage}");
        let mut command = self.site.command(&["sync"]);
        let output = command.env("ROLLBOOK_KILL_AT", at).output().await.unwrap();
        assert!(
            output.status.signal() == Some(9) || matches!(output.status.code(), Some(0 | 4)),
            "{point} {passage}: {output:?}"
        );
        output.status.signal() == Some(9)
    }

    /// Runs, and is killed after a while; answers whether there was still something to kill.
    pub(super) async fn dies_after(&self, delay: Duration) -> bool {
        self.a_minute_later();
        let mut run = self.site.spawn(&["sync"]);
        tokio::time::sleep(delay).await;
        run.start_kill().unwrap();
        run.wait().await.unwrap().signal() == Some(9)
    }

    /// Runs, and is killed while it waits for the answer to what was done.
    pub(super) async fn dies_unanswered(&self, call: &str) -> bool {
        self.a_minute_later();
        let account = self.site.account();
        let rule = format!("{call}: timeout-after=20s next=1");
        account.faults().add(rule.parse().unwrap());
        let before = account.calls().writes().len();
        let mut run = self.site.spawn(&["sync"]);
        let mut answered = false;
        // A rule that has struck as often as it may is forgotten.
        let struck = || account.faults().rules().is_empty();
        while !struck() && account.calls().writes().len() == before && !answered {
            tokio::time::sleep(Duration::from_millis(2)).await;
            answered = run.try_wait().unwrap().is_some();
        }
        // What was asked is done before the answer is due.
        tokio::time::sleep(Duration::from_millis(if struck() { 10 } else { 40 })).await;
        let _ = run.start_kill();
        let died = run.wait().await.unwrap().signal() == Some(9);
        account.faults().clear();
        died
    }
}
