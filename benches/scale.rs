//! Rollbook at the size of a large university: 100,000 people, 10,000 groups, a million memberships.
//!
//! Everything is real: slapd with the generated entries, the C `ldapsearch` beside ours in the same run,
//! the release binary against the sandbox over HTTP. The figures are printed, not asserted.
//!
//! `cargo bench --bench scale` takes a few minutes; `-- reading`, `-- planning` or `-- runs` is a part of it, and
//! `ROLLBOOK_BENCH_GROUPS=1000` makes it smaller.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rollbook::category::{Category, CategoryId, ReferenceId};
use rollbook::config::Config;
use rollbook::demo::Slapd;
use rollbook::plan::Plan;
use rollbook::plan::binding::Bindings;
use rollbook::plan::category::{self, Knowledge, People};
use rollbook::plan::desired;
use rollbook::plan::membership::Rules;
use rollbook::sandbox::{NewCategory, Options, Sandbox};
use rollbook::source::{Proof, Source};
use rollbook::store::Store;
use rollbook::store::roster::Terms;
use tokio::sync::{mpsc, oneshot};

mod measure;

use measure::{median, peak_of};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 3;
const PEOPLE_PER_GROUP: usize = 100;
const PEOPLE_PER_GROUP_ID: usize = 10;
const CHANGED_GROUPS: usize = 100;

fn main() -> Result<()> {
    let groups = std::env::var("ROLLBOOK_BENCH_GROUPS").map_or(Ok(10_000), |text| text.parse())?;
    tokio::runtime::Runtime::new()?.block_on(run(Size {
        people: groups * PEOPLE_PER_GROUP_ID,
        groups,
    }))
}

#[derive(Debug, Clone, Copy)]
struct Size {
    people: usize,
    groups: usize,
}

async fn run(size: Size) -> Result<()> {
    let Some(programs) = Slapd::find() else {
        return Err(
            "slapd and ldap-utils are needed: apt-get install slapd ldap-utils (./test does it)"
                .into(),
        );
    };
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    println!("{} people, {} groups", size.people, size.groups);
    let (ldif, memberships) = university(size);
    let slapd = Slapd::start(&programs, folder, &ldif)?;
    drop(ldif);
    println!("{memberships} memberships in the directory\n");

    let sandbox = sandbox(size).await?;
    let config = configure(folder, &slapd, &sandbox)?;
    let wanted = |part: &str| {
        std::env::args()
            .skip(1)
            .all(|word| word.starts_with('-') || word == part)
    };
    if wanted("reading") {
        reading(folder, &slapd, &config).await?;
    }
    if wanted("planning") {
        planning(size, folder, &config).await?;
    }
    if wanted("runs") {
        runs(size, memberships, folder, &slapd, &sandbox)?;
    }
    sandbox.stop().await;
    Ok(())
}

/// The directory read by `ldapsearch`, into an empty mirror, and again, side by side.
async fn reading(folder: &Path, slapd: &Slapd, config: &Config) -> Result<()> {
    let source = Source::new(&config.directory[0], None)?;
    ldapsearch(slapd)?;
    let (mut c, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        c.push(ldapsearch(slapd)?);
        let store = Store::open(&folder.join(format!("read-{round}.db")))?;
        first.push(absorb(&source, &store).await?);
        c.push(ldapsearch(slapd)?);
        again.push(absorb(&source, &store).await?);
    }
    let c = median(c);
    println!("Reading the directory (median of {ROUNDS})");
    line("ldapsearch, to /dev/null", c, c);
    line("Rollbook, into an empty mirror", median(first), c);
    line("Rollbook, again, unchanged", median(again), c);
    println!();
    Ok(())
}

/// From the mirror to a plan for everybody, without Kaltura: every channel empty.
async fn planning(size: Size, folder: &Path, config: &Config) -> Result<()> {
    let store = Store::open(&folder.join("planning.db"))?;
    absorb(&Source::new(&config.directory[0], None)?, &store).await?;
    let categories: Vec<Category> = (0..size.groups)
        .map(|group| Category {
            id: CategoryId(i64::try_from(group).unwrap_or_default()),
            reference_id: Some(ReferenceId::new(format!("course-{group}"))),
            full_name: format!("channels>Course {group}"),
            owner: None,
            inherits_from: None,
            members_count: 0,
            created_at: 0,
        })
        .collect();
    let (ledger, standing) = (BTreeMap::new(), BTreeMap::new());
    let mut times = Vec::new();
    let mut changes = 0;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let bindings = Bindings::new(&config.binding)?;
        let groups = store.group_names()?;
        let roster = store.whole_roster(&Terms {
            depths: BTreeMap::new(),
            kept_after: i64::MIN,
        })?;
        let assignment = desired::assign(
            &groups,
            &bindings,
            &categories,
            config.policy.vanished_group,
        );
        let plan = Plan::new(categories.iter().filter_map(|category| {
            let fed = assignment.categories.get(&category.id)?;
            let desired = desired::desired(&fed.feeds, &roster);
            Some(category::plan(&Knowledge {
                over: &BTreeSet::new(),
                category,
                people: People::All,
                desired: &desired.people,
                actual: &[],
                ledger: &ledger,
                block: fed.block.clone(),
                kept: &desired.kept,
                causes: &desired.causes,
                standing: &standing,
                rules: Rules::default(),
                room: 5000,
            }))
        }));
        changes = plan.changes().count();
        times.push(begin.elapsed());
    }
    println!(
        "Planning {changes} memberships: {:.2} s (median of {ROUNDS})\n",
        median(times).as_secs_f64()
    );
    Ok(())
}

fn line(what: &str, time: Duration, reference: Duration) {
    let ratio = time.as_secs_f64() / reference.as_secs_f64();
    println!("  {what:34} {:6.2} s  {ratio:5.2} ×", time.as_secs_f64());
}

/// The same entries, by the C client.
fn ldapsearch(slapd: &Slapd) -> Result<Duration> {
    let begin = Instant::now();
    let status = Command::new("ldapsearch")
        .args(["-LLL", "-x", "-H", slapd.url(), "-b", "dc=example,dc=edu"])
        .arg("(|(objectClass=inetOrgPerson)(objectClass=groupOfNames))")
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("ldapsearch: {status}").into());
    }
    Ok(begin.elapsed())
}

async fn absorb(source: &Source, store: &Store) -> Result<Duration> {
    let begin = Instant::now();
    let (out, observations) = mpsc::channel(8);
    let (say_end, end) = oneshot::channel();
    let absorbing =
        store.run(move |store| store.absorb("campus", observations, end, rollbook::clock::now()));
    let reading = async {
        let read = source.read_all(None, &out).await;
        drop(out);
        read.inspect(|read| {
            let _ = say_end.send(read.clone());
        })
    };
    let (absorbed, read) = tokio::join!(absorbing, reading);
    absorbed?;
    if read?.proof != Proof::Complete {
        return Err("the read was not complete".into());
    }
    Ok(begin.elapsed())
}

/// The real binary, run by run.
fn runs(
    size: Size,
    memberships: usize,
    folder: &Path,
    slapd: &Slapd,
    sandbox: &Sandbox,
) -> Result<()> {
    println!(
        "Runs of the release binary (requests: those Kaltura got, beside the least its page and batch sizes allow)"
    );
    let config = folder.join("rollbook.toml");
    let pages = |rows: usize| rows.div_ceil(500);

    // Lists go 20 to a request, single calls 50.
    let lists = |calls: usize| calls.div_ceil(20);
    let calls = |calls: usize| calls.div_ceil(50);
    let listing = lists(pages(size.groups)) + lists(size.groups.div_ceil(100));
    let dry = rollbook(&config, sandbox, &["sync", "--dry-run"])?;
    dry.print("first full sync --dry-run", listing);

    let held = rollbook(&config, sandbox, &["sync"])?;
    let digest = held.digest().ok_or("no digest in the output")?;
    held.print("the same, held", listing);
    rollbook(&config, sandbox, &["approve", &digest])?;
    let applied = rollbook(&config, sandbox, &["sync"])?;
    applied.print("approved, and applied", listing + calls(memberships));

    let unchanged = rollbook(&config, sandbox, &["sync"])?;
    unchanged.print("nothing changed", 0);

    slapd.modify(&changes(size))?;
    let some = rollbook(&config, sandbox, &["sync"])?;
    some.print("100 groups changed", 1 + 1 + 2 * calls(CHANGED_GROUPS));

    let full = rollbook(&config, sandbox, &["sync", "--full"])?;
    full.print(
        "full, nothing to do",
        lists(pages(size.groups)) + lists(pages(memberships)),
    );
    Ok(())
}

/// What one run of the binary took.
struct Run {
    time: Duration,
    peak_mib: u64,
    requests: u64,
    calls: u64,
    output: String,
}

impl Run {
    fn print(&self, what: &str, least: usize) {
        println!(
            "  {what:28} {:7.2} s  peak {:4} MiB  {:6} requests ({least}), {} calls",
            self.time.as_secs_f64(),
            self.peak_mib,
            self.requests,
            self.calls
        );
        for line in self.output.lines().filter(|line| {
            ["Plan ", "Done", "Not done", "Nothing", "Directory"]
                .iter()
                .any(|start| line.starts_with(start))
        }) {
            println!("      {line}");
        }
    }

    fn digest(&self) -> Option<String> {
        self.output
            .lines()
            .find_map(|line| line.split_once("approve "))
            .map(|(_, digest)| digest.to_owned())
    }
}

fn rollbook(config: &Path, sandbox: &Sandbox, arguments: &[&str]) -> Result<Run> {
    sandbox.account().calls().reset();
    let output = config.with_file_name("output.txt");
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rollbook"))
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdout(std::fs::File::create(&output)?)
        .spawn()?;
    let mut peak_mib = 0;
    let status = loop {
        peak_mib = peak_mib.max(peak_of(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let time = begin.elapsed();
    if !matches!(status.code(), Some(0 | 4)) {
        return Err(format!("rollbook {arguments:?}: {status}").into());
    }
    let calls = sandbox.account().calls();
    Ok(Run {
        time,
        peak_mib,
        requests: calls.requests(),
        calls: calls.by_action().values().sum(),
        output: std::fs::read_to_string(output)?,
    })
}

async fn sandbox(size: Size) -> Result<Sandbox> {
    let sandbox = Sandbox::start(Options::default()).await?;
    for group in 0..size.groups {
        sandbox.account().add_category(&NewCategory {
            path: format!("MediaSpace>site>channels>Course {group}"),
            reference_id: Some(format!("course-{group}")),
            owner: Some("media-team".to_owned()),
            ..NewCategory::default()
        });
    }
    Ok(sandbox)
}

fn configure(folder: &Path, slapd: &Slapd, sandbox: &Sandbox) -> Result<Config> {
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let text = format!(
        r#"[state]
path = "{state}"
[kaltura]
url = "{url}"
partner_id = {partner}
admin_secret = {{ file = "{secret}" }}
root = "MediaSpace>site>channels"
requests_per_second = 100000
[[directory]]
name = "campus"
kind = "ldap"
urls = ["{ldap}"]
[directory.people]
base = "ou=people,dc=example,dc=edu"
user_id = "uid"
[directory.groups]
base = "ou=groups,dc=example,dc=edu"
"#,
        state = path("rollbook.db").display(),
        url = sandbox.url(),
        partner = sandbox.partner_id(),
        secret = path("secret").display(),
        ldap = slapd.url(),
    );
    write_private(&path("rollbook.toml"), &text)?;
    write_private(&path("secret"), sandbox.admin_secret())?;
    Ok(Config::load(&path("rollbook.toml"))?.config)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// The entries, and how many memberships they make.
fn university(size: Size) -> (String, usize) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut ldif = String::from(
        "dn: dc=example,dc=edu\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
         dn: ou=people,dc=example,dc=edu\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,dc=example,dc=edu\nobjectClass: organizationalUnit\nou: groups\n\n",
    );
    for person in 0..size.people {
        let _ = write!(
            ldif,
            "dn: uid=user{person},ou=people,dc=example,dc=edu\nobjectClass: inetOrgPerson\nuid: user{person}\n\
             cn: Given{person} Family{person}\ngivenName: Given{person}\nsn: Family{person}\n\
             mail: user{person}@example.edu\ntelephoneNumber: +1 555 {person:07}\nl: Exampleton\n\
             employeeNumber: {person}\ntitle: Student\n\n"
        );
    }
    let mut memberships = 0;
    for group in 0..size.groups {
        let _ = write!(
            ldif,
            "dn: cn=course-{group},ou=groups,dc=example,dc=edu\nobjectClass: groupOfNames\ncn: course-{group}\n\
             description: Course {group}\n"
        );
        let mut members: Vec<usize> = (0..PEOPLE_PER_GROUP)
            .map(|_| random.usize(0..size.people))
            .collect();
        members.sort_unstable();
        members.dedup();
        memberships += members.len();
        for member in members {
            let _ = writeln!(ldif, "member: uid=user{member},ou=people,dc=example,dc=edu");
        }
        ldif.push('\n');
    }
    (ldif, memberships)
}

/// In each of 100 groups somebody comes: the people who study nothing but `title: Student` so far.
fn changes(size: Size) -> String {
    let mut records = String::from(
        "dn: uid=newcomer,ou=people,dc=example,dc=edu\nchangetype: add\nobjectClass: inetOrgPerson\nuid: newcomer\n\
         cn: New Comer\nsn: Comer\n\n",
    );
    for group in 0..CHANGED_GROUPS.min(size.groups) {
        let _ = write!(
            records,
            "dn: cn=course-{group},ou=groups,dc=example,dc=edu\nchangetype: modify\nadd: member\n\
             member: uid=newcomer,ou=people,dc=example,dc=edu\n\n"
        );
    }
    records
}
