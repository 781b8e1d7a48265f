//! Killed everywhere: whatever a run was doing when it died, the next ones end where a site ends on
//! which nobody was killed.
//!
//! Two sites have the same directory and the same channels. In each round the directory changes in
//! several ways at once; on the twin a run goes through, on the site run after run is killed: at points
//! with a name, while Kaltura owes an answer, and at moments of chance; sometimes the directory changes
//! again in between. Then the two are compared. Chance comes from a seed, which is printed and may be
//! given: `ROLLBOOK_SEED=7`.

#![expect(clippy::print_stderr, reason = "the seed and the count are said aloud")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rollbook::sandbox::NewCategory;
use rollbook::store::Store;
use rollbook::store::history::Chain;

use super::site::{ACTIVE, AUTOMATIC, MANUAL, MEMBER, NOT_ACTIVE, ROOT, Settings, Site, Start};
use crate::slapd::{self, BASE_LDIF, SUFFIX, SlapdOptions};

const PEOPLE: usize = 40;
const CHANNELS: [&str; 5] = ["art", "big", "bio", "chem", "maths"];
/// Who is in `big`, of which a held part loses too many.
const BIG: std::ops::Range<usize> = 20..28;

/// Before the first call: always reached as long as there is anything to do.
const EARLY: [&str; 12] = [
    "while-recovering",
    "after-recovering",
    "before-absorbing",
    "after-absorbing",
    "after-listing",
    "before-planning",
    "after-planning",
    "while-settling",
    "after-settling",
    "after-holding",
    "after-opening",
    "before-writing",
];
/// Around the calls: reached once for each batch.
const CALLS: [&str; 4] = [
    "after-opening",
    "before-writing",
    "after-writing",
    "after-closing",
];
/// When all calls are done.
const LATE: [&str; 4] = [
    "after-applying",
    "before-clearing",
    "while-clearing",
    "before-ending",
];

/// Who is there, with level, method and status, by channel and user.
type Members = BTreeMap<(&'static str, String), (i64, i64, i64)>;

/// What the groups say.
#[derive(Debug, Clone)]
struct Campus {
    groups: BTreeMap<&'static str, BTreeSet<usize>>,
}

impl Campus {
    fn new() -> Self {
        let groups = [
            ("art", (0..10).collect()),
            ("big", BIG.collect()),
            ("bio", (0..12).collect()),
            ("chem", (5..20).collect()),
            ("maths", (0..20).step_by(2).collect()),
            ("staff", [0, 1, 2].into()),
        ];
        Self {
            groups: groups.into(),
        }
    }

    fn ldif(&self) -> String {
        let groups = self.groups.iter();
        let groups = groups.map(|(name, members)| slapd::group(name, members.iter().copied()));
        slapd::people(PEOPLE) + &groups.collect::<String>()
    }

    /// Some join, some leave, some change their level; `big` loses too many, or has them back.
    fn change(&mut self, rng: &mut fastrand::Rng) {
        for name in ["art", "bio", "chem", "maths"] {
            let group = self.groups.get_mut(name).unwrap();
            for _ in 0..rng.usize(1..=2) {
                let person = rng.usize(0..PEOPLE);
                let few = group.len() < 6;
                if few || !group.remove(&person) {
                    group.insert(person);
                }
            }
        }
        let staff = self.groups.get_mut("staff").unwrap();
        // The first two stay, or the channel would be left without a manager.
        let person = rng.usize(2..12);
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
struct Place {
    site: Site,
    channels: BTreeMap<&'static str, i64>,
    is_ldap: bool,
    deactivates: bool,
}

impl Place {
    async fn start(campus: &Campus, policy: &str, is_ldap: bool) -> Self {
        let mut site = Start {
            slapd: SlapdOptions {
                ldif: if is_ldap {
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
                policy: policy.to_owned(),
                // Two changes at once are no catastrophe, but for `big`.
                safety: "first_run = \"apply\"\nwindow = \"0s\"\n\
                     category = { percent = 25, at_least = 7 }\n\
                     total = { percent = 100, at_least = 1000 }"
                    .to_owned(),
                ..Settings::default()
            },
            ..Start::default()
        }
        .start()
        .await;
        if !is_ldap {
            let path = site.path("directory.ldif").display().to_string();
            site.settings.source = Some(format!("kind = \"ldif\"\npath = \"{path}\""));
        }
        let channels = CHANNELS.map(|name| {
            let id = site.account().add_category(&NewCategory {
                path: format!("{ROOT}>{name}"),
                reference_id: Some(name.to_owned()),
                // In the group, too; and never lowered.
                owner: (name == "art").then(|| "p3".to_owned()),
                ..NewCategory::default()
            });
            (name, id)
        });
        let place = Self {
            site,
            channels: channels.into(),
            is_ldap,
            deactivates: policy.contains("deactivate"),
        };
        // By hand: somebody of no group, somebody of the group, and one who is not in force.
        place.put("bio", "guest", (MEMBER, MANUAL, ACTIVE));
        place.put("chem", "p6", (MEMBER, MANUAL, ACTIVE));
        place.write(campus);
        place.site.sync().await.is(0);
        place.put("maths", "p4", (MEMBER, AUTOMATIC, NOT_ACTIVE));
        place
    }

    fn put(&self, channel: &str, person: &str, (level, method, status): (i64, i64, i64)) {
        let id = self.channels[channel];
        let account = self.site.account();
        account.set_membership(id, person, level, method, status);
    }

    /// Writes what the groups say into the directory.
    fn write(&self, campus: &Campus) {
        if self.is_ldap {
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

    fn members(&self) -> Members {
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

    fn count(&self, sql: &str) -> i64 {
        self.state().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// What the ledger says is there by us: `bio p1 active member`.
    fn ledger(&self) -> BTreeSet<String> {
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

    fn held(&self) -> BTreeSet<i64> {
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
    async fn sync(&self) -> String {
        self.a_minute_later();
        let run = self.site.sync().await;
        assert!(matches!(run.code, Some(0 | 4)), "{run:?}");
        run.stdout
    }

    /// Runs, and dies at a point; answers whether it did.
    async fn dies_at(&self, point: &str, passage: u64) -> bool {
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
    async fn dies_after(&self, delay: Duration) -> bool {
        self.a_minute_later();
        let mut run = self.site.spawn(&["sync"]);
        tokio::time::sleep(delay).await;
        run.start_kill().unwrap();
        run.wait().await.unwrap().signal() == Some(9)
    }

    /// Runs, and is killed while it waits for the answer to a write that was done.
    async fn dies_unanswered(&self, call: &str) -> bool {
        self.a_minute_later();
        let account = self.site.account();
        let rule = format!("{call}: timeout-after=20s next=1");
        account.faults().add(rule.parse().unwrap());
        let before = account.calls().writes().len();
        let mut run = self.site.spawn(&["sync"]);
        let mut answered = false;
        while account.faults().rules().iter().all(|rule| rule.struck == 0)
            && account.calls().writes().len() == before
            && !answered
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
            answered = run.try_wait().unwrap().is_some();
        }
        // What was asked is done before the answer is due.
        let struck = account.faults().rules().iter().any(|rule| rule.struck > 0);
        tokio::time::sleep(Duration::from_millis(if struck { 10 } else { 40 })).await;
        let _ = run.start_kill();
        let died = run.wait().await.unwrap().signal() == Some(9);
        account.faults().clear();
        died
    }
}

/// Kills by what killed.
#[derive(Default)]
struct Killed(BTreeMap<String, u32>);

impl Killed {
    fn note(&mut self, how: &str, died: bool) {
        *self.0.entry(how.to_owned()).or_default() += u32::from(died);
    }

    fn total(&self) -> u32 {
        self.0.values().sum()
    }
}

/// Rounds of changes and kills, until there were so many kills.
async fn survives(name: &str, policy: &str, is_ldap: bool, kills: u32) {
    let seed = std::env::var("ROLLBOOK_SEED").map_or(7, |seed| seed.parse().unwrap());
    eprintln!("kills, {name}: ROLLBOOK_SEED={seed}");
    let began = Instant::now();
    // Each site has its own way.
    let own: u64 = name.bytes().map(u64::from).sum();
    let mut rng = fastrand::Rng::with_seed(seed + own);
    let mut campus = Campus::new();
    let (site, twin) = tokio::join!(
        Place::start(&campus, policy, is_ldap),
        Place::start(&campus, policy, is_ldap)
    );
    let mut killed = Killed::default();
    for number in 0..100 {
        if killed.total() >= kills {
            break;
        }
        let chance = (&mut campus, &mut rng);
        let round = (number, format!("{name}, seed {seed}, round {number}"));
        disturbed(&round, [&site, &twin], chance, &mut killed).await;
    }
    let total = killed.total();
    let (took, points) = (began.elapsed(), &killed.0);
    let told = format!("kills, {name}, seed {seed}: survived {total} in {took:.0?}: {points:?}");
    crate::figures::tell(&format!("kills-{}", name.replace(' ', "-")), &told);
    assert!(total >= kills, "only {total} of {kills} runs were killed");
}

async fn disturbed(
    (number, round): &(usize, String),
    [site, twin]: [&Place; 2],
    (campus, rng): (&mut Campus, &mut fastrand::Rng),
    killed: &mut Killed,
) {
    let mut seen = vec![twin.members()];
    assert_eq!(site.members(), seen[0], "{round}: before");
    site.site.account().calls().reset();
    campus.change(rng);
    site.write(campus);
    twin.write(campus);
    let began = Instant::now();
    twin.sync().await;
    let length = began.elapsed();
    seen.push(twin.members());

    let mut story = Vec::new();
    // One that nobody saw in between: who came with it and left again leaves no deactivated row behind.
    let changes_before = rng.usize(..8) + if site.deactivates { 8 } else { 0 };
    for kill in 0..5 {
        let nth = |points: &[&'static str], number: usize| points[number % points.len()];
        let (how, died) = match kill {
            0 | 1 => {
                let point = nth(&EARLY, 2 * number + kill);
                let settling = point == "while-settling";
                let passage = if settling { rng.u64(1..=4) } else { 1 };
                let died = site.dies_at(point, passage).await;
                (format!("{point}:{passage}"), died)
            }
            2 => {
                let point = nth(&CALLS, *number);
                let passage = rng.u64(1..=3);
                let died = site.dies_at(point, passage).await;
                (format!("{point}:{passage}"), died)
            }
            3 if rng.bool() => {
                let call = ["add", "delete", "update"][rng.usize(..3)];
                let died = site.dies_unanswered(&format!("categoryUser.{call}")).await;
                ("unanswered".to_owned(), died)
            }
            3 => {
                let died = site.dies_after(length.mul_f64(rng.f64())).await;
                ("chance".to_owned(), died)
            }
            _ => {
                let point = nth(&LATE, *number);
                (point.to_owned(), site.dies_at(point, 1).await)
            }
        };
        let point = how.split(':').next().unwrap_or_default();
        killed.note(point, died);
        story.push(format!("{how} {}", if died { "died" } else { "ended" }));
        if kill == changes_before {
            campus.change(rng);
            site.write(campus);
            twin.write(campus);
            twin.sync().await;
            seen.push(twin.members());
            story.push("change".to_owned());
        }
    }
    let round = format!("{round}: {}", story.join(", "));
    let said = site.sync().await;
    let round = format!("{round}\n{said}\n");
    compare(&round, site, twin, &seen);

    // Nothing was forgotten that only a full look finds.
    let writes = site.site.account().calls().writes().len();
    let full = site.site.sync_full().await;
    let wanted = if twin.held().is_empty() { 0 } else { 4 };
    assert_eq!(full.code, Some(wanted), "{round}\n{full:?}");
    let writes = site.site.account().calls().writes().split_off(writes);
    assert_eq!(writes, [], "{round}");
    compare(&round, site, twin, &seen);
}

/// Compares what both ended with, and looks at how the site got there.
fn compare(round: &str, site: &Place, twin: &Place, seen: &[Members]) {
    assert_eq!(site.held(), twin.held(), "{round}: held");
    let (is, wanted) = (site.members(), twin.members());
    let keys: BTreeSet<_> = is.keys().chain(wanted.keys()).collect();
    let other: Vec<_> = keys
        .into_iter()
        .filter(|pair| is.get(pair) != wanted.get(pair))
        .map(|pair| (pair, is.get(pair), wanted.get(pair)))
        .collect();
    assert_eq!(other, [], "{round}: members (there is, wanted)");
    assert_eq!(site.ledger(), twin.ledger(), "{round}: ledger");
    for (table, what) in [
        ("journal", "is open"),
        ("dirty", "is marked"),
        ("set_aside", "waits"),
    ] {
        let count = site.count(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(count, 0, "{round}: something {what}");
    }
    let history =
        Store::open(&site.site.path("rollbook.db")).and_then(|store| store.verify_history());
    assert!(matches!(history.unwrap(), Chain::Whole { .. }), "{round}");

    // A write is about a membership that some plan changes, and into what it is to be.
    for write in site.site.account().calls().writes() {
        let name = site
            .channels
            .iter()
            .find(|(_, id)| **id == write.category_id);
        let pair = (*name.unwrap().0, write.user_id.clone());
        let states: Vec<_> = seen.iter().map(|members| members.get(&pair)).collect();
        let is_wanted = |wanted: fn(Option<&(i64, i64, i64)>) -> bool| {
            states.iter().skip(1).any(|state| wanted(*state))
        };
        let planned = states.windows(2).any(|two| two[0] != two[1])
            && match write.action {
                "delete" => is_wanted(|state| state.is_none()),
                "deactivate" => is_wanted(|state| state.is_some_and(|(_, _, s)| *s == NOT_ACTIVE)),
                _ => is_wanted(|state| state.is_some_and(|(_, _, s)| *s == ACTIVE)),
            };
        assert!(planned, "{round}: {write:?} was in no plan: {states:?}");
    }
}

#[tokio::test]
async fn killed_at_every_step_with_a_file_as_directory() {
    survives("file", "", false, 70).await;
}

#[tokio::test]
async fn killed_at_every_step_where_who_leaves_is_deactivated() {
    let policy = "departure = \"deactivate\"\nremoved_by_hand = \"skip\"";
    survives("deactivate", policy, false, 50).await;
}

#[tokio::test]
async fn killed_at_every_step_where_only_what_the_ledger_knows_is_ours() {
    let policy = "ownership = \"ledger\"\nremoved_by_hand = \"skip\"";
    survives("ledger", policy, false, 50).await;
}

#[tokio::test]
async fn killed_at_every_step_with_a_directory_server() {
    survives("server", "", true, 40).await;
}

#[tokio::test]
async fn killed_during_the_first_migrations_the_next_run_begins_anew() {
    let site = super::site::with(4, &[("bio", &[0, 1])]).start().await;
    for passage in ["1", "2"] {
        let mut command = site.command(&["sync"]);
        let at = format!("migrating:{passage}");
        let output = command.env("ROLLBOOK_KILL_AT", at).output().await.unwrap();
        assert_eq!(output.status.signal(), Some(9));
        assert_eq!(site.account().calls().requests(), 0);
    }
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1"]);
}
