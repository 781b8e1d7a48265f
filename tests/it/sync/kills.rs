//! Killed everywhere: whatever a run was doing when it died, the next ones end where a site ends on
//! which nobody was killed.
//!
//! Two sites have the same directory and the same channels. In each round the directory changes in
//! several ways at once; on the twin a run goes through, on the site run after run is killed: at points
//! with a name, while Kaltura owes an answer, and at moments of chance; sometimes the directory changes
//! again in between. Then the two are compared. Where changes go by CSV file on the site, they go by call
//! on the twin. Chance comes from a seed, which is printed and may be
//! given: `ROLLBOOK_SEED=7`.

#![expect(clippy::print_stderr, reason = "the seed and the count are said aloud")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rollbook::sandbox::MembershipWrite;
use rollbook::store::Store;
use rollbook::store::history::Chain;

use super::site::{ACTIVE, NOT_ACTIVE};
use place::{Campus, Members, Nature, Place};

mod place;

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

/// Around a file: reached once for each, `while-settling-a-file` also by a run that settles another's.
const FILES: [&str; 5] = [
    "after-opening-a-file",
    "before-submitting",
    "after-submitting",
    "after-noting-a-job",
    "while-settling-a-file",
];
/// How many of the early points a run passes that sends files.
const EARLY_BY_FILE: usize = 10;
/// Which calls stay without an answer.
const MEMBER_CALLS: [&str; 3] = [
    "categoryUser.add",
    "categoryUser.delete",
    "categoryUser.update",
];
const FILE_CALLS: [&str; 3] = [
    "categoryUser.addFromBulkUpload",
    "bulkupload_bulk.get",
    "bulkupload_bulk.serveLog",
];
/// How long Kaltura lets a job wait, and a run it, about.
const A_JOB: Duration = Duration::from_millis(200);

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
async fn survives(name: &str, nature: Nature, kills: u32) {
    let seed = std::env::var("ROLLBOOK_SEED").map_or(7, |seed| seed.parse().unwrap());
    eprintln!("kills, {name}: ROLLBOOK_SEED={seed}");
    let began = Instant::now();
    // Each site has its own way.
    let own: u64 = name.bytes().map(u64::from).sum();
    let mut rng = fastrand::Rng::with_seed(seed + own);
    let mut campus = Campus::new();
    // What went by file ends as what goes by call.
    let by_call = Nature {
        by_file: false,
        ..nature
    };
    let (site, twin) = tokio::join!(
        Place::start(&campus, nature),
        Place::start(&campus, by_call)
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

/// A way to be killed.
#[derive(Debug)]
enum Death {
    /// At the so many-th passage of a point.
    At(&'static str, u64),
    /// While such a call has no answer yet.
    Unanswered(&'static str),
    /// At any moment.
    Chance(f64),
}

impl Death {
    /// How the so many-th run of a round is killed.
    fn of(kill: usize, round: usize, by_file: bool, rng: &mut fastrand::Rng) -> Self {
        let nth = |points: &[&'static str], number: usize| points[number % points.len()];
        match (kill, by_file) {
            (0 | 1, false) => Self::early(nth(&EARLY, 2 * round + kill), rng),
            (0, true) => Self::early(nth(&EARLY[..EARLY_BY_FILE], round), rng),
            (1, true) => Self::At(nth(&FILES, round), rng.u64(1..=2)),
            // While the next run finds out what became of the files of the one before.
            (2, true) => Self::At(nth(&FILES, round + 1 + round / FILES.len()), 1),
            (2, false) => Self::At(nth(&CALLS, round), rng.u64(1..=3)),
            (3, _) if rng.bool() => {
                let calls: &[&str] = if by_file { &FILE_CALLS } else { &MEMBER_CALLS };
                Self::Unanswered(calls[rng.usize(..calls.len())])
            }
            (3, _) => Self::Chance(rng.f64()),
            _ => Self::At(nth(&LATE, round), 1),
        }
    }

    fn early(point: &'static str, rng: &mut fastrand::Rng) -> Self {
        let settling = point == "while-settling";
        Self::At(point, if settling { rng.u64(1..=4) } else { 1 })
    }

    /// Has a run of the site killed, if it gets there; `length` is about how long one takes.
    async fn meets(&self, site: &Place, length: Duration) -> bool {
        match self {
            Self::At(point, passage) => site.dies_at(point, *passage).await,
            Self::Unanswered(call) => site.dies_unanswered(call).await,
            Self::Chance(share) => site.dies_after(length.mul_f64(*share)).await,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::At(point, _) => point,
            Self::Unanswered(_) => "unanswered",
            Self::Chance(_) => "chance",
        }
    }
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
    let by_file = site.nature.by_file;
    // A job is waited for.
    let length = began.elapsed() + if by_file { A_JOB } else { Duration::ZERO };
    seen.push(twin.members());

    let mut story = Vec::new();
    // One that nobody saw in between: who came with it and left again leaves no deactivated row behind.
    let deactivates = site.nature.deactivates();
    let changes_before = rng.usize(..8) + if deactivates { 8 } else { 0 };
    for kill in 0..5 {
        let death = Death::of(kill, *number, by_file, rng);
        let died = death.meets(site, length).await;
        killed.note(death.name(), died);
        story.push(format!("{death:?} {}", if died { "died" } else { "ended" }));
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
    let mut said = site.sync().await;
    // What was not in the file of the run that was killed is put off, once.
    if by_file {
        said += &site.sync().await;
    }
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
        ("file", "is in a file"),
    ] {
        let count = site.count(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(count, 0, "{round}: something {what}");
    }
    let history =
        Store::open(&site.site.path("rollbook.db")).and_then(|store| store.verify_history(None));
    assert!(matches!(history.unwrap(), Chain::Whole { .. }), "{round}");

    let mut written: BTreeMap<_, Vec<MembershipWrite>> = BTreeMap::new();
    for write in site.site.account().calls().writes() {
        let is_named = |(_, id): &(_, &i64)| **id == write.category_id;
        let (name, _) = site.channels.iter().find(is_named).unwrap();
        let pair = (*name, write.user_id.clone());
        let writes = written.entry(pair).or_default();
        // A row that puts somebody in or out of force says the level, too.
        let says_level = |before: &mut MembershipWrite| {
            before.action == "update"
                && before.bulk_job.is_some()
                && before.bulk_job == write.bulk_job
                && write.action.ends_with("activate")
        };
        writes.pop_if(says_level);
        writes.push(write);
    }
    for (pair, writes) in &written {
        let states: Vec<State> = seen
            .iter()
            .map(|members| members.get(pair).copied())
            .collect();
        let why = format!("{round}: {pair:?}: {writes:#?}\n{states:?}");
        assert!(
            writes.iter().all(|write| is_planned(write, &states)),
            "in no plan: {why}"
        );
        let most: usize = states.windows(2).map(|two| calls(two[0], two[1])).sum();
        assert!(writes.len() <= most, "more than {most}: {why}");
        let by_file = |write: &MembershipWrite| write.bulk_job.is_some();
        let way = site.nature.by_file;
        assert!(
            writes.iter().all(|write| by_file(write) == way),
            "another way: {why}"
        );
    }
}

/// Level, method and status of somebody who is there.
type State = Option<(i64, i64, i64)>;

/// Whether a write is about a membership that some plan changes, and into what it is to be.
fn is_planned(write: &MembershipWrite, states: &[State]) -> bool {
    let is_wanted = |wanted: fn(State) -> bool| states.iter().skip(1).any(|state| wanted(*state));
    states.windows(2).any(|two| two[0] != two[1])
        && match write.action {
            "delete" => is_wanted(|state| state.is_none()),
            "deactivate" => is_wanted(|state| state.is_some_and(|(_, _, s)| s == NOT_ACTIVE)),
            _ => is_wanted(|state| state.is_some_and(|(_, _, s)| s == ACTIVE)),
        }
}

/// How many calls lead from one state to another, at most.
fn calls(from: State, to: State) -> usize {
    match (from, to) {
        (Some((level, _, status)), Some((to_level, _, to_status))) => {
            usize::from(level != to_level) + usize::from(status != to_status)
        }
        _ => usize::from(from != to),
    }
}

#[tokio::test]
async fn killed_at_every_step_with_a_file_as_directory() {
    survives("file", Nature::default(), 70).await;
}

#[tokio::test]
async fn killed_at_every_step_where_who_leaves_is_deactivated() {
    let nature = Nature {
        policy: "departure = \"deactivate\"\nremoved_by_hand = \"skip\"",
        ..Nature::default()
    };
    survives("deactivate", nature, 50).await;
}

#[tokio::test]
async fn killed_at_every_step_where_only_what_the_ledger_knows_is_ours() {
    let nature = Nature {
        policy: "ownership = \"ledger\"\nremoved_by_hand = \"skip\"",
        ..Nature::default()
    };
    survives("ledger", nature, 50).await;
}

#[tokio::test]
async fn killed_at_every_step_with_a_directory_server() {
    let nature = Nature {
        is_ldap: true,
        ..Nature::default()
    };
    survives("server", nature, 40).await;
}

#[tokio::test]
async fn killed_at_every_step_where_changes_go_by_csv_file() {
    let nature = Nature {
        policy: "ownership = \"ledger\"\nremoved_by_hand = \"skip\"",
        by_file: true,
        ..Nature::default()
    };
    survives("csv", nature, 40).await;
}

#[tokio::test]
async fn killed_at_every_step_where_changes_go_by_csv_file_and_who_leaves_is_deactivated() {
    let nature = Nature {
        policy: "departure = \"deactivate\"\nremoved_by_hand = \"skip\"",
        by_file: true,
        ..Nature::default()
    };
    survives("csv deactivate", nature, 30).await;
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
