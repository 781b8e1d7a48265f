//! A site in one process: two LDAP servers, an export, a sandbox, the real engine over a real state file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rollbook::config::{Config, Directory as Source};
use rollbook::kaltura::{Credentials, Kaltura, Pace};
use rollbook::plan::binding::Bindings;
use rollbook::progress::Progress;
use rollbook::reconcile::Engine;
use rollbook::sandbox::{Account, NewCategory, Options, Sandbox};
use rollbook::store::Store;
use secrecy::SecretString;

use super::directory::{self, Directory};
use super::step::Export;
use crate::slapd::{self, PASSWORD, READER, SUFFIX, Slapd, SlapdOptions};

pub(super) const ROOT: &str = "MediaSpace>site>channels";
/// What stands at the end of a whole export.
const END: &str = "# end of export";
/// All channels.
pub(super) const CHANNELS: [&str; 6] = ["bio", "chem", "math", "mix", "exp", "lab"];

/// What is not the same on each site.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one line of a configuration"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variant {
    /// Whether the server keeps the members' names right.
    pub(super) refint: bool,
    /// Whether the server tells how far it has come.
    pub(super) syncprov: bool,
    /// Whether people lose access with a group that is gone.
    pub(super) remove_vanished: bool,
    /// Whether each run lists the ids of all entries.
    pub(super) lists: bool,
}

impl Variant {
    pub(super) fn new(refint: bool, seed: u32) -> Self {
        Self {
            refint,
            syncprov: seed & 1 == 1,
            remove_vanished: seed & 2 == 2,
            lists: seed & 4 == 4,
        }
    }
}

/// A directory with four people and two groups, of which the first feeds a channel of its own, and the
/// second feeds `mix`.
#[derive(Debug, Clone)]
pub(super) struct Small {
    pub(super) groups: [(&'static str, BTreeSet<usize>); 2],
    letter: char,
}

impl Small {
    fn new(first: &'static str, second: &'static str, letter: char) -> Self {
        let groups = [
            (first, BTreeSet::from([0, 1, 2])),
            (second, BTreeSet::from([2, 3])),
        ];
        Self { groups, letter }
    }

    pub(super) fn members(&self, group: usize) -> BTreeSet<String> {
        let members = self.groups[group].1.iter();
        members.map(|p| format!("{}{p}", self.letter)).collect()
    }

    /// Changes it; `false` where nothing changes, or nobody would be left.
    pub(super) fn change(&mut self, group: usize, person: usize, joins: bool) -> bool {
        let members = &mut self.groups[group].1;
        if joins {
            members.insert(person)
        } else {
            members.len() > 1 && members.remove(&person)
        }
    }

    fn ldif(&self) -> String {
        let mut text = format!("dn: {SUFFIX}\nobjectClass: organization\no: X\n\n");
        for p in 0..4 {
            let user = format!("{}{p}", self.letter);
            writeln!(
                text,
                "dn: uid={user},ou=people,{SUFFIX}\nobjectClass: person\nentryUUID: {user}\nuid: {user}\n"
            )
            .unwrap();
        }
        for (name, members) in &self.groups {
            writeln!(
                text,
                "dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\nentryUUID: {name}\ncn: {name}"
            )
            .unwrap();
            for p in members {
                let letter = self.letter;
                writeln!(text, "member: uid={letter}{p},ou=people,{SUFFIX}").unwrap();
            }
            text += "\n";
        }
        text + END + "\n"
    }
}

/// Who is in which channel, with the highest rank of each; only who has access.
pub(super) type Snapshot = BTreeMap<&'static str, BTreeMap<String, i64>>;

pub(super) struct Site {
    pub(super) campus: Slapd,
    pub(super) lab_server: Slapd,
    pub(super) lab: Small,
    pub(super) export: Small,
    pub(super) sandbox: Sandbox,
    pub(super) engine: Option<Engine>,
    pub(super) variant: Variant,
    channels: BTreeMap<&'static str, i64>,
    folder: tempfile::TempDir,
}

impl Site {
    pub(super) async fn start(directory: &Directory, variant: Variant, seed: u32) -> Self {
        let campus = Slapd::start(&SlapdOptions {
            ldif: super::campus::ldif(directory),
            database: super::campus::rights(directory),
            refint: variant.refint,
            syncprov: variant.syncprov,
            ..SlapdOptions::default()
        });
        let lab_server = Slapd::start(&SlapdOptions {
            ldif: slapd::people(4)
                + &slapd::group("lab", [0, 1, 2])
                + &slapd::group("mix-l", [2, 3]),
            ..SlapdOptions::default()
        });
        let sandbox = Sandbox::start(Options {
            seed: u64::from(seed),
            job_delay: None,
            ..Options::default()
        })
        .await
        .unwrap();
        let mut site = Self {
            campus,
            lab_server,
            lab: Small::new("lab", "mix-l", 'p'),
            export: Small::new("exp", "mix-e", 'x'),
            sandbox,
            engine: None,
            variant,
            channels: BTreeMap::new(),
            folder: tempfile::Builder::new().prefix("model").tempdir().unwrap(),
        };
        for reference in CHANNELS {
            let id = site.account().add_category(&NewCategory {
                path: format!("{ROOT}>{reference}"),
                reference_id: Some(reference.to_owned()),
                ..NewCategory::default()
            });
            site.channels.insert(reference, id);
        }
        site.new_state();
        site
    }

    pub(super) fn account(&self) -> Account {
        self.sandbox.account()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has the state file made anew.
    pub(super) fn new_state(&mut self) {
        self.engine = None;
        for name in ["rollbook.db", "rollbook.db-wal", "rollbook.db-shm"] {
            _ = std::fs::remove_file(self.path(name));
        }
        self.engine = Some(self.engine());
    }

    /// Writes the export, as good or bad as it is to be.
    pub(super) fn write_export(&self, export: Export) {
        let mut text = self.export.ldif();
        match export {
            Export::Whole => {}
            Export::Cut(share) => {
                text.truncate((text.len() - END.len()) * usize::from(share) / 1000);
            }
            Export::Empty => text.clear(),
        }
        std::fs::write(self.path("export.ldif"), text).unwrap();
    }

    pub(super) fn change_lab(&mut self, group: usize, person: usize, joins: bool) {
        if self.lab.change(group, person, joins) {
            let name = self.lab.groups[group].0;
            let change = if joins { "add" } else { "delete" };
            self.lab_server.modify(&format!(
                "dn: cn={name},ou=groups,{SUFFIX}\nchangetype: modify\n{change}: member\n\
                 member: uid=p{person},ou=people,{SUFFIX}\n"
            ));
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let members = |(reference, id): (&&'static str, &i64)| {
            let mut people = BTreeMap::new();
            for member in self.account().members(*id) {
                let rank = 4 - member.permission_level;
                if member.status == 1 && rank > 0 {
                    let best = people.entry(member.user_id.to_lowercase()).or_insert(rank);
                    *best = rank.max(*best);
                }
            }
            (*reference, people)
        };
        self.channels.iter().map(members).collect()
    }

    fn engine(&self) -> Engine {
        let text = self.configuration();
        assemble(&text, &self.sandbox, &self.path("rollbook.db"))
    }

    /// The limits are wide open, so that nothing but evidence protects anybody.
    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let open = "{ percent = 100, at_least = 1000 }";
        let server = |url: String| {
            format!(
                "kind = \"ldap\"\nurls = [\"{url}\"]\nbind_dn = \"{READER}\"\n\
                 bind_password = {{ file = \"{folder}/ldap.password\" }}\npage_size = 5"
            )
        };
        format!(
            r#"[state]
path = "{folder}/rollbook.db"
[kaltura]
url = "{url}"
partner_id = {partner}
admin_secret = {{ file = "{folder}/kaltura.secret" }}
root = "{ROOT}"
requests_per_second = 1000
retries = 1
[[directory]]
name = "campus"
{campus}
[directory.people]
base = "ou=people,{SUFFIX}"
user_id = "uid"
filter = "(&(objectClass=inetOrgPerson)(roomNumber=1))"
enabled = "(employeeType=on)"
[directory.groups]
base = "ou=groups,{SUFFIX}"
nested = true
[[directory]]
name = "lab"
{lab}
[directory.people]
base = "ou=people,{SUFFIX}"
user_id = "uid"
[directory.groups]
base = "ou=groups,{SUFFIX}"
[[directory]]
name = "export"
kind = "ldif"
path = "{folder}/export.ldif"
end_marker = "{END}"
[directory.people]
base = "ou=people,{SUFFIX}"
user_id = "uid"
[directory.groups]
base = "ou=groups,{SUFFIX}"
{bindings}[policy]
vanished_group = "{vanished}"
[safety]
first_run = "apply"
category = {open}
total = {open}
demotions = {open}
category_additions = {open}
total_additions = {open}
left_empty = 0
last_manager = "allow"
[schedule]
list_after = "{list_after}"
"#,
            url = self.sandbox.url(),
            partner = self.sandbox.partner_id(),
            bindings = bindings(),
            campus = server(self.campus.url()),
            lab = server(self.lab_server.url()),
            vanished = if self.variant.remove_vanished {
                "remove"
            } else {
                "keep"
            },
            list_after = if self.variant.lists { "0s" } else { "15m" },
        )
    }
}

/// An engine by this configuration, which tries again at once what fails.
pub(super) fn assemble(configuration: &str, sandbox: &Sandbox, state: &Path) -> Engine {
    let config = Config::parse(configuration).unwrap().config;
    let source = |directory: &Source| {
        let password = match directory {
            Source::Ldap(_) => Some(SecretString::from(PASSWORD)),
            Source::Ldif(_) => None,
        };
        rollbook::source::Source::new(directory, password).unwrap()
    };
    let secret = Credentials::AdminSecret(SecretString::from(sandbox.admin_secret()));
    let short = Duration::from_millis(1);
    let pace = Pace {
        retries: 1,
        first: short,
        longest: short,
        throttled: short,
        settle: short,
    };
    Engine {
        sources: Arc::new(config.directory.iter().map(source).collect()),
        kaltura: Kaltura::new(&config.kaltura, secret)
            .unwrap()
            .with_pace(pace),
        store: Store::open(state).unwrap(),
        bindings: Arc::new(Bindings::new(&config.binding).unwrap()),
        progress: Progress::default(),
        config: Arc::new(config),
    }
}

/// Which groups feed which channel, one by one: then it is known what a directory that was never read may
/// feed.
fn bindings() -> String {
    let campus = directory::CHANNELS.map(|channel| ("campus", channel));
    let others = [
        ("lab", "lab"),
        ("lab", "mix"),
        ("export", "exp"),
        ("export", "mix"),
    ];
    let mut text = String::new();
    for (directory, channel) in campus.into_iter().chain(others) {
        writeln!(
            text,
            "[[binding]]\ndirectory = \"{directory}\"\ngroup = \"{channel}(-[a-z]+)?\"\n\
             category = {{ reference_id = \"{channel}\" }}"
        )
        .unwrap();
    }
    text
}
