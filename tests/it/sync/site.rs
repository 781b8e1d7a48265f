//! A site: a directory server, an account with channels, a configuration, and the real program.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rollbook::sandbox::{Account, Limits, MemberView, NewCategory, Options, Sandbox};
use tokio::process::{Child, Command};

use crate::slapd::{self, ADMIN, PASSWORD, SUFFIX, Slapd, SlapdOptions};

/// Where the channels are.
pub(super) const ROOT: &str = "MediaSpace>site>channels";

/// The numbers by which Kaltura calls things.
pub(super) const MANAGER: i64 = 0;
pub(super) const MEMBER: i64 = 3;
pub(super) const NONE: i64 = 4;
pub(super) const MANUAL: i64 = 0;
pub(super) const AUTOMATIC: i64 = 1;
pub(super) const ACTIVE: i64 = 1;
pub(super) const PENDING: i64 = 2;
pub(super) const NOT_ACTIVE: i64 = 3;

/// What a test wants otherwise than usual; each text is lines for a section of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) kaltura: String,
    /// Instead of the sandbox's own address.
    pub(super) kaltura_url: Option<String>,
    /// Instead of an LDAP server: the whole of its part, without `people` and `groups`.
    pub(super) source: Option<String>,
    /// Instead of the server's own address.
    pub(super) ldap_urls: Option<String>,
    pub(super) bind_dn: String,
    pub(super) directory: String,
    pub(super) people: String,
    pub(super) groups: String,
    pub(super) bindings: String,
    pub(super) policy: String,
    pub(super) safety: String,
    pub(super) apply: String,
    pub(super) schedule: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kaltura: "retries = 1".to_owned(),
            kaltura_url: None,
            source: None,
            ldap_urls: None,
            bind_dn: ADMIN.to_owned(),
            directory: String::new(),
            people: String::new(),
            groups: String::new(),
            bindings: String::new(),
            policy: String::new(),
            safety: "first_run = \"apply\"".to_owned(),
            apply: String::new(),
            schedule: String::new(),
        }
    }
}

/// What there is at the beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct Start {
    pub(super) slapd: SlapdOptions,
    pub(super) limits: Limits,
    pub(super) channels: Vec<&'static str>,
    pub(super) settings: Settings,
    /// How long the account's background work waits, if not as usual.
    pub(super) job_delay: Option<Duration>,
}

/// People `p0` to `p(n-1)`, groups of them by number, and a channel for each group.
pub(super) fn with(people: usize, groups: &[(&'static str, &[usize])]) -> Start {
    let mut ldif = slapd::people(people);
    for (name, members) in groups {
        ldif += &slapd::group(name, members.iter().copied());
    }
    Start {
        slapd: SlapdOptions {
            ldif,
            ..SlapdOptions::default()
        },
        channels: groups.iter().map(|(name, _)| *name).collect(),
        ..Start::default()
    }
}

impl Start {
    pub(super) fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self
    }

    pub(super) fn ldif(mut self, ldif: &str) -> Self {
        self.slapd.ldif += ldif;
        self
    }

    pub(super) fn channel(mut self, reference: &'static str) -> Self {
        self.channels.push(reference);
        self
    }

    /// Starts the servers; nothing is run.
    pub(super) async fn start(self) -> Site {
        let folder = tempfile::Builder::new().prefix("site").tempdir().unwrap();
        let sandbox = Sandbox::start(Options {
            limits: self.limits,
            job_delay: self.job_delay.or(Options::default().job_delay),
            ..Options::default()
        })
        .await
        .unwrap();
        let site = Site {
            slapd: Slapd::start(&self.slapd),
            sandbox,
            folder,
            channels: RefCell::default(),
            settings: self.settings,
        };
        for reference in self.channels {
            site.add_channel(reference);
        }
        private(&site.path("kaltura.secret"), site.sandbox.admin_secret());
        private(&site.path("ldap.password"), PASSWORD);
        site
    }

    /// Starts the servers, and brings the channels in step once.
    pub(super) async fn in_step(self) -> Site {
        let site = self.start().await;
        site.sync().await.is(0);
        site.account().calls().reset();
        site
    }
}

/// The running site. What it is made of ends with it.
pub(super) struct Site {
    pub(super) slapd: Slapd,
    pub(super) sandbox: Sandbox,
    pub(super) settings: Settings,
    channels: RefCell<BTreeMap<String, i64>>,
    folder: tempfile::TempDir,
}

/// What the program said.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Asserts the exit code.
    #[track_caller]
    pub(super) fn is(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that this is said, to a person or in the log.
    #[track_caller]
    pub(super) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "not said: {text}\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub(super) fn says_nothing_of(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "said: {text}\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The short digest that a held plan is released by.
    #[track_caller]
    pub(super) fn digest(&self) -> String {
        let (_, rest) = self
            .stdout
            .split_once("rollbook approve ")
            .unwrap_or_else(|| panic!("no plan is held:\n{}", self.stdout));
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

impl Site {
    pub(super) fn account(&self) -> Account {
        self.sandbox.account()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program with these arguments.
    pub(super) async fn rollbook(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().await.unwrap().into()
    }

    pub(super) async fn sync(&self) -> Run {
        self.rollbook(&["sync"]).await
    }

    pub(super) async fn sync_full(&self) -> Run {
        self.rollbook(&["sync", "--full"]).await
    }

    /// Starts the program and lets it run.
    pub(super) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The program with these arguments, not started yet.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        private(&self.path("rollbook.toml"), &self.configuration());
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollbook"));
        command
            .arg("--config")
            .arg(self.path("rollbook.toml"))
            .args(arguments)
            .env_clear()
            .env("USER", "tester")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn configuration(&self) -> String {
        let settings = &self.settings;
        let folder = self.folder.path().display();
        let source = settings.source.clone().unwrap_or_else(|| {
            let own = format!("\"{}\"", self.slapd.url());
            format!(
                "kind = \"ldap\"\nurls = [{}]\nbind_dn = \"{}\"\n\
                 bind_password = {{ file = \"{folder}/ldap.password\" }}",
                settings.ldap_urls.as_ref().unwrap_or(&own),
                settings.bind_dn
            )
        });
        format!(
            r#"[state]
path = "{folder}/rollbook.db"
[kaltura]
url = "{url}"
partner_id = {partner}
admin_secret = {{ file = "{folder}/kaltura.secret" }}
root = "{ROOT}"
requests_per_second = 1000
{kaltura}
[[directory]]
name = "campus"
{source}
{directory}
[directory.people]
base = "ou=people,{SUFFIX}"
user_id = "uid"
{people}
[directory.groups]
base = "ou=groups,{SUFFIX}"
{groups}
{bindings}
[policy]
{policy}
[safety]
{safety}
[apply]
{apply}
[schedule]
{schedule}
"#,
            url = settings
                .kaltura_url
                .as_deref()
                .unwrap_or(self.sandbox.url()),
            partner = self.sandbox.partner_id(),
            kaltura = settings.kaltura,
            directory = settings.directory,
            people = settings.people,
            groups = settings.groups,
            bindings = settings.bindings,
            policy = settings.policy,
            safety = settings.safety,
            apply = settings.apply,
            schedule = settings.schedule,
        )
    }

    /// Begins with a new state file.
    pub(super) fn forget_everything(&self) {
        for name in ["rollbook.db", "rollbook.db-wal", "rollbook.db-shm"] {
            let _ = fs::remove_file(self.path(name));
        }
    }

    /// Makes a channel of which this is the name and the reference ID.
    pub(super) fn add_channel(&self, reference: &str) -> i64 {
        let id = self.account().add_category(&NewCategory {
            path: format!("{ROOT}>{reference}"),
            reference_id: Some(reference.to_owned()),
            ..NewCategory::default()
        });
        self.channels.borrow_mut().insert(reference.to_owned(), id);
        id
    }

    /// A channel's number.
    pub(super) fn channel(&self, reference: &str) -> i64 {
        self.channels.borrow()[reference]
    }

    /// Puts a membership in place by hand.
    pub(super) fn put(
        &self,
        channel: &str,
        person: &str,
        (level, method, status): (i64, i64, i64),
    ) {
        self.account()
            .set_membership(self.channel(channel), person, level, method, status);
    }

    /// The members of a channel, by name: `p1`, or with what is special: `p1 manager manual`.
    pub(super) fn members(&self, channel: &str) -> Vec<String> {
        self.members_of(self.channel(channel))
    }

    pub(super) fn members_of(&self, channel: i64) -> Vec<String> {
        let mut members: Vec<String> = self.account().members(channel).iter().map(show).collect();
        members.sort();
        members
    }

    /// The calls that take something away, or may: `delete p1`.
    pub(super) fn taken(&self) -> Vec<String> {
        let writes = self.account().calls().writes().into_iter();
        writes
            .filter(|write| ["delete", "deactivate", "update"].contains(&write.action))
            .map(|write| format!("{} {}", write.action, write.user_id))
            .collect()
    }

    /// How many HTTP requests came since the log was last reset.
    pub(super) fn requests(&self) -> u64 {
        self.account().calls().requests()
    }

    pub(super) fn join(&self, group: &str, person: usize) {
        self.change_group(group, "add", person);
    }

    pub(super) fn leave(&self, group: &str, person: usize) {
        self.change_group(group, "delete", person);
    }

    /// Takes the last member out of a group, which the schema lets only with somebody else in it.
    pub(super) fn leave_last(&self, group: &str, person: usize) {
        self.slapd.modify(&format!(
            "dn: cn={group},ou=groups,{SUFFIX}\nchangetype: modify\nadd: member\n\
             member: uid=p0,ou=people,{SUFFIX}\n-\ndelete: member\n\
             member: uid=p{person},ou=people,{SUFFIX}\n"
        ));
    }

    fn change_group(&self, group: &str, change: &str, person: usize) {
        self.slapd.modify(&format!(
            "dn: cn={group},ou=groups,{SUFFIX}\nchangetype: modify\n{change}: member\n\
             member: uid=p{person},ou=people,{SUFFIX}\n"
        ));
    }

    /// Sets an attribute of a person.
    pub(super) fn set(&self, person: usize, attribute: &str, value: &str) {
        self.slapd.modify(&format!(
            "dn: uid=p{person},ou=people,{SUFFIX}\nchangetype: modify\n\
             replace: {attribute}\n{attribute}: {value}\n"
        ));
    }

    /// Lets more than a second pass: the state file counts in seconds.
    pub(super) async fn wait_a_second(&self) {
        tokio::time::sleep(Duration::from_millis(2100)).await;
    }

    /// Lets time pass: changes that were set aside are due, and the lease of a dead run is stale.
    pub(super) fn wait_an_hour(&self) {
        let state = rusqlite::Connection::open(self.path("rollbook.db")).unwrap();
        state
            .execute_batch(
                "UPDATE set_aside SET retry_at = retry_at - 3600;
                 UPDATE lease SET seen_at = max(seen_at - 3600, 0);",
            )
            .unwrap();
    }
}

fn show(member: &MemberView) -> String {
    let mut text = member.user_id.clone();
    let level = ["manager", "moderator", "contributor", "member", "none"];
    let level = level[usize::try_from(member.permission_level).unwrap()];
    let special = [
        (level != "member", level),
        (member.update_method == MANUAL, "manual"),
        (member.status == PENDING, "pending"),
        (member.status == NOT_ACTIVE, "inactive"),
    ];
    for (_, word) in special.iter().filter(|(is_so, _)| *is_so) {
        write!(text, " {word}").unwrap();
    }
    text
}

/// Writes a file that only its owner can read.
pub(super) fn private(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
