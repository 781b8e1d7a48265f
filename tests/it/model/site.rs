//! A site in one process: a sandbox, an export, the real engine over a real state file.

use std::collections::BTreeMap;
use std::path::PathBuf;
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

use super::directory::END;

const ROOT: &str = "MediaSpace>site>channels";

/// What the configuration says where it is not always the same.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one line of the configuration"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) deactivate: bool,
    pub(super) override_manual: bool,
    pub(super) by_ledger: bool,
    pub(super) loose: bool,
    pub(super) window: bool,
    pub(super) hold_first: bool,
    pub(super) skip_removed: bool,
    pub(super) remove_vanished: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            deactivate: false,
            override_manual: false,
            by_ledger: false,
            loose: true,
            window: false,
            hold_first: false,
            skip_removed: false,
            remove_vanished: false,
        }
    }
}

/// A limit: so many percent, and at least so many.
pub(super) type Limit = (u64, u64);

impl Policy {
    /// The limits on losses of one channel, and of all.
    pub(super) fn limits(&self) -> (Limit, Limit) {
        if self.loose {
            ((60, 3), (60, 6))
        } else {
            ((25, 1), (20, 2))
        }
    }

    /// What of it decides who is wanted where.
    pub(super) fn decisive(&self) -> Self {
        let Self {
            loose,
            window,
            hold_first,
            ..
        } = Self::default();
        Self {
            loose,
            window,
            hold_first,
            ..self.clone()
        }
    }

    fn text(&self) -> String {
        let ((category, few), (total, some)) = self.limits();
        let choice = |yes, one: &'static str, other: &'static str| if yes { one } else { other };
        format!(
            r#"[policy]
protected = ["p18"]
departure = "{}"
manual = "{}"
ownership = "{}"
removed_by_hand = "{}"
vanished_group = "{}"
[safety]
category = {{ percent = {category}, at_least = {few} }}
total = {{ percent = {total}, at_least = {some} }}
window = "{}"
first_run = "{}"
"#,
            choice(self.deactivate, "deactivate", "delete"),
            choice(self.override_manual, "override", "respect"),
            choice(self.by_ledger, "ledger", "automatic"),
            choice(self.skip_removed, "skip", "add"),
            choice(self.remove_vanished, "remove", "keep"),
            choice(self.window, "24h", "0s"),
            choice(self.hold_first, "hold", "apply"),
        )
    }
}

/// The user whom nothing may touch.
pub(super) const PROTECTED: &str = "p18";

/// A channel that somebody made.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) reference: &'static str,
    pub(super) owner: Option<String>,
    pub(super) inherits: bool,
}

/// One membership: level, method, status, by Kaltura's numbers.
pub(super) type Row = (i64, i64, i64);

/// Who is in which channel, by folded user ID.
pub(super) type Snapshot = BTreeMap<i64, BTreeMap<String, Vec<Row>>>;

pub(super) struct Site {
    pub(super) sandbox: Sandbox,
    pub(super) channels: BTreeMap<i64, Channel>,
    pub(super) policy: Policy,
    pub(super) engine: Engine,
    folder: tempfile::TempDir,
    made: u32,
}

impl Site {
    pub(super) async fn start(seed: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("model").tempdir().unwrap();
        let sandbox = Sandbox::start(Options {
            seed,
            job_delay: None,
            ..Options::default()
        })
        .await
        .unwrap();
        let policy = Policy::default();
        let store = Store::open(&folder.path().join("rollbook.db")).unwrap();
        let engine = engine(&sandbox, &policy, &folder.path().to_string_lossy(), store);
        let mut site = Self {
            sandbox,
            channels: BTreeMap::new(),
            policy,
            engine,
            folder,
            made: 0,
        };
        for reference in ["bio", "chem", "his"] {
            site.add_channel(reference);
        }
        site
    }

    pub(super) fn account(&self) -> Account {
        self.sandbox.account()
    }

    pub(super) fn store(&self) -> &Store {
        &self.engine.store
    }

    /// How often the directory has been read.
    pub(super) fn looks(&self) -> i64 {
        let sql = "SELECT coalesce(sum(looks), 0) FROM directory";
        self.state().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Another connection to the state file.
    pub(super) fn state(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("rollbook.db")).unwrap()
    }

    /// Has the engine made anew by another configuration.
    pub(super) fn configure(&mut self, change: impl FnOnce(&mut Policy)) {
        change(&mut self.policy);
        let folder = self.folder.path().to_string_lossy().into_owned();
        let store = self.engine.store.clone();
        self.engine = engine(&self.sandbox, &self.policy, &folder, store);
    }

    /// Has the engine work with this state file.
    pub(super) fn use_state(&mut self, store: Store) {
        let folder = self.folder.path().to_string_lossy().into_owned();
        self.engine = engine(&self.sandbox, &self.policy, &folder, store);
    }

    pub(super) fn export(&self, text: &str) {
        std::fs::write(self.path("export.ldif"), text).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn add_channel(&mut self, reference: &'static str) {
        self.made += 1;
        let id = self.account().add_category(&NewCategory {
            path: format!("{ROOT}>{reference} {}", self.made),
            reference_id: Some(reference.to_owned()),
            ..NewCategory::default()
        });
        let channel = Channel {
            reference,
            owner: None,
            inherits: false,
        };
        self.channels.insert(id, channel);
    }

    /// Gives the category above the channels its name, or another one.
    pub(super) fn root(&mut self, there: bool) {
        let account = self.account();
        let away = format!("{ROOT} elsewhere");
        let (from, name) = if there {
            (away.as_str(), "channels")
        } else {
            (ROOT, "channels elsewhere")
        };
        if let Some(root) = account.category_at(from) {
            account.rename_category(root, name);
            account.work(None);
        }
    }

    /// Whether the channels are where the configuration says.
    pub(super) fn has_root(&self) -> bool {
        self.account().category_at(ROOT).is_some()
    }

    pub(super) fn own(&mut self, id: i64, user: &str) {
        let name = self.account().channel(id).unwrap().name;
        let channel = self.channels.get_mut(&id).unwrap();
        channel.owner = Some(user.to_lowercase());
        self.sandbox.account().add_category(&NewCategory {
            path: format!("{ROOT}>{name}"),
            reference_id: Some(channel.reference.to_owned()),
            owner: Some(user.to_owned()),
            inherit: false,
        });
    }

    /// The channels with this reference ID.
    pub(super) fn of(&self, reference: &str) -> Vec<i64> {
        let of = |(id, channel): (&i64, &Channel)| (channel.reference == reference).then_some(*id);
        self.channels.iter().filter_map(of).collect()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let members = |id: &i64| {
            let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
            for member in self.account().members(*id) {
                let row = (member.permission_level, member.update_method, member.status);
                rows.entry(member.user_id.to_lowercase())
                    .or_default()
                    .push(row);
            }
            for rows in rows.values_mut() {
                rows.sort_unstable();
            }
            (*id, rows)
        };
        self.channels.keys().map(members).collect()
    }

    /// Lets time pass, for what waits and for who holds the lease.
    pub(super) fn an_hour(&self) {
        self.state()
            .execute_batch(
                "UPDATE set_aside SET retry_at = retry_at - 3600;
                 UPDATE lease SET seen_at = max(seen_at - 3600, 0);",
            )
            .unwrap();
        // The sandbox's clock stays: sessions are made by the machine's.
        self.account().expire_sessions();
    }
}

fn engine(sandbox: &Sandbox, policy: &Policy, folder: &str, store: Store) -> Engine {
    let text = format!(
        r#"[state]
path = "{folder}/rollbook.db"
[kaltura]
url = "{url}"
partner_id = {partner}
admin_secret = {{ file = "{folder}/kaltura.secret" }}
root = "{ROOT}"
requests_per_second = 1000
batch = 3
concurrency = 2
retries = 1
[[directory]]
name = "campus"
kind = "ldif"
path = "{folder}/export.ldif"
end_marker = "{END}"
[directory.people]
base = "ou=people,dc=x"
user_id = "uid"
enabled = "(st=on)"
[directory.groups]
base = "ou=groups,dc=x"
may_be_empty = true
group_id = "ou"
nested = true
roles = {{ owner = "manager" }}
[[binding]]
group = "(?<channel>[a-z]+)"
category = {{ reference_id = "{{channel}}" }}
roles = {{ manager = "manager" }}
[[binding]]
group = "(?<channel>[a-z]+)-staff"
category = {{ reference_id = "{{channel}}" }}
level = "moderator"
[apply.csv]
rows = 3
poll = "2ms"
patience = "200ms"
{policy}"#,
        url = sandbox.url(),
        partner = sandbox.partner_id(),
        policy = policy.text(),
    );
    let config = Config::parse(&text).unwrap().config;
    let source = |directory: &Source| rollbook::source::Source::new(directory, None).unwrap();
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
        store,
        bindings: Arc::new(Bindings::new(&config.binding).unwrap()),
        progress: Progress::default(),
        config: Arc::new(config),
    }
}
