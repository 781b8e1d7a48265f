//! A made-up university with its channels: what `rollbook demo` shows.
//!
//! *Its one idea: nothing is staged.* The directory is a real slapd where one is installed, and an LDIF
//! file otherwise; the account is the sandbox, over HTTP; the runs are those of `rollbook sync`.

use std::path::{Path, PathBuf};

use crate::sandbox::{NewCategory, Options, Sandbox, SandboxError};

mod slapd;

pub use slapd::{Slapd, SlapdError};

/// The university before the changes.
pub const BEFORE: &str = include_str!("demo/before.ldif");
/// The university after them.
pub const AFTER: &str = include_str!("demo/after.ldif");
/// The changes, as records for `ldapmodify`.
pub const CHANGES: &str = include_str!("demo/changes.ldif");

/// Where the sandbox's channels are.
const CHANNELS: &str = "MediaSpace>site>channels";

/// What can keep the demo from starting.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The sandbox does not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The directory server does not start, or does not take the changes.
    #[error(transparent)]
    Slapd(#[from] SlapdError),
    /// A file cannot be written.
    #[error("a file of the demo could not be written")]
    File(#[from] std::io::Error),
}

/// The university, running.
pub struct University {
    sandbox: Sandbox,
    directory: Directory,
    folder: PathBuf,
    /// The channel Biology 101.
    biology: i64,
}

enum Directory {
    Slapd(Slapd),
    Ldif(PathBuf),
}

impl University {
    /// Starts it, with its files in a folder. `slapd` says whether to use one where there is one.
    pub async fn open(folder: &Path, slapd: bool) -> Result<Self, DemoError> {
        let sandbox = Sandbox::start(Options::default()).await?;
        let channel = |reference: &str, name: &str, owner: &str| {
            sandbox.account().add_category(&NewCategory {
                path: format!("{CHANNELS}>{name}"),
                reference_id: Some(reference.to_owned()),
                owner: Some(owner.to_owned()),
                ..NewCategory::default()
            })
        };
        let biology = channel("BIO-101", "Biology 101", "media-team");
        channel("CHE-110", "Chemistry 110", "media-team");
        channel("HIS-230", "Medieval History", "bede");
        channel("STAFF", "Teaching Staff", "media-team");
        let directory = if let Some(programs) = Slapd::find().filter(|_| slapd) {
            Directory::Slapd(Slapd::start(&programs, folder, BEFORE)?)
        } else {
            let path = folder.join("university.ldif");
            std::fs::write(&path, BEFORE)?;
            Directory::Ldif(path)
        };
        let university = Self {
            sandbox,
            directory,
            folder: folder.to_owned(),
            biology,
        };
        university.write_configuration()?;
        Ok(university)
    }

    /// What the directory is, for people.
    pub fn directory(&self) -> String {
        match &self.directory {
            Directory::Slapd(slapd) => format!("a real OpenLDAP server (slapd) at {}", slapd.url()),
            Directory::Ldif(path) => format!(
                "an LDIF file, {} (with slapd installed it would be a real server)",
                path.display()
            ),
        }
    }

    /// The sandbox's address.
    pub fn kaltura(&self) -> &str {
        self.sandbox.url()
    }

    /// The configuration file, as a user would write it.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("rollbook.toml")
    }

    /// People come, go, marry and become teachers.
    pub fn change(&self) -> Result<(), DemoError> {
        match &self.directory {
            Directory::Slapd(slapd) => slapd.modify(CHANGES)?,
            Directory::Ldif(path) => std::fs::write(path, AFTER)?,
        }
        Ok(())
    }

    /// Somebody makes Linus a moderator of Biology 101, by hand, in the console.
    pub fn act_by_hand(&self) {
        const MODERATOR: i64 = 1;
        const MANUAL: i64 = 0;
        const ACTIVE: i64 = 1;
        self.sandbox
            .account()
            .set_membership(self.biology, "linus", MODERATOR, MANUAL, ACTIVE);
    }

    /// Stops the servers.
    pub async fn close(self) {
        self.sandbox.stop().await;
    }

    fn write_configuration(&self) -> Result<(), DemoError> {
        let folder = self.folder.display();
        let directory = match &self.directory {
            Directory::Slapd(slapd) => format!("kind = \"ldap\"\nurls = [\"{}\"]", slapd.url()),
            Directory::Ldif(path) => format!("kind = \"ldif\"\npath = \"{}\"", path.display()),
        };
        let text = format!(
            r#"[state]
path = "{folder}/rollbook.db"

[kaltura]
url = "{url}"
partner_id = {partner}
admin_secret = {{ file = "{folder}/kaltura.secret" }}
root = "{CHANNELS}"

[[directory]]
name = "university"
{directory}
[directory.people]
base = "ou=people,dc=example,dc=edu"
user_id = "uid"
[directory.groups]
base = "ou=groups,dc=example,dc=edu"
roles = {{ owner = "teacher" }}

[[binding]]
group = ".+"
level = "member"
roles = {{ teacher = "manager" }}
"#,
            url = self.sandbox.url(),
            partner = self.sandbox.partner_id(),
        );
        write_private(&self.configuration(), &text)?;
        write_private(
            &self.folder.join("kaltura.secret"),
            self.sandbox.admin_secret(),
        )?;
        Ok(())
    }
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
