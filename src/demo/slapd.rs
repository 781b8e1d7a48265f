//! A real OpenLDAP server in a folder, on a free port of this machine, gone with its owner.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SUFFIX: &str = "dc=example,dc=edu";
const ADMIN: &str = "cn=admin,dc=example,dc=edu";
/// For a server that listens on this machine only, and only as long as the demo runs.
const PASSWORD: &str = "demo";
const ATTEMPTS: u32 = 5;
const STARTING: Duration = Duration::from_secs(10);

/// The programs of OpenLDAP on this machine.
#[derive(Debug, Clone)]
pub struct Programs {
    slapd: PathBuf,
    slapadd: PathBuf,
    ldapmodify: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub struct Slapd {
    child: Child,
    url: String,
    programs: Programs,
}

/// Why the server does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum SlapdError {
    /// A program could not be started.
    #[error("{program} could not be started")]
    Start {
        /// Which.
        program: String,
        /// The reason.
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed: {says}")]
    Failed {
        /// Which.
        program: String,
        /// What it said.
        says: String,
    },
    /// The server does not answer.
    #[error("slapd does not answer. Is a security profile (AppArmor) keeping it from {folder}?")]
    Silent {
        /// Where its files are.
        folder: String,
    },
}

impl Slapd {
    /// Finds OpenLDAP on this machine: the server, and the tool that changes a directory.
    pub fn find() -> Option<Programs> {
        Some(Programs {
            slapd: find("slapd")?,
            slapadd: find("slapadd")?,
            ldapmodify: find("ldapmodify")?,
        })
    }

    /// Loads entries and starts the server.
    pub fn start(programs: &Programs, folder: &Path, ldif: &str) -> Result<Self, SlapdError> {
        let written = |source| SlapdError::Start {
            program: "slapd".to_owned(),
            source,
        };
        let database = folder.join("ldap");
        std::fs::create_dir_all(&database).map_err(written)?;
        let conf = folder.join("slapd.conf");
        std::fs::write(&conf, configuration(folder)).map_err(written)?;
        let mut load = Command::new(&programs.slapadd);
        feed(load.arg("-q").arg("-f").arg(&conf), ldif)?;
        for _ in 0..ATTEMPTS {
            // The port is free now; should another program take it first, there are more.
            let listener = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let port = listener.map_err(written)?.port();
            let url = format!("ldap://127.0.0.1:{port}");
            let child = Command::new(&programs.slapd)
                .args(["-d", "0", "-h", &url, "-f"])
                .arg(&conf)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(written)?;
            let mut slapd = Self {
                child,
                url,
                programs: programs.clone(),
            };
            if slapd.answers(port) {
                return Ok(slapd);
            }
        }
        Err(SlapdError::Silent {
            folder: folder.display().to_string(),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes the directory by change records (RFC 2849).
    pub fn modify(&self, changes: &str) -> Result<(), SlapdError> {
        let mut modify = Command::new(&self.programs.ldapmodify);
        feed(
            modify.args(["-x", "-H", &self.url, "-D", ADMIN, "-w", PASSWORD]),
            changes,
        )
    }

    fn answers(&mut self, port: u16) -> bool {
        let step = Duration::from_millis(5);
        for _ in 0..STARTING.as_millis() / step.as_millis() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return true;
            }
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            std::thread::sleep(step);
        }
        false
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks in the search path, and where Debian keeps servers, which is not in a user's path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/libexec")]);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
database mdb
suffix \"{SUFFIX}\"
rootdn \"{ADMIN}\"
rootpw {PASSWORD}
directory {folder}/ldap
dbnosync
maxsize 4294967296
limits * size=unlimited
index objectClass,entryUUID,entryCSN eq
index modifyTimestamp,uid,member eq
"
    )
}

/// Runs a program with this text as its input.
fn feed(command: &mut Command, text: &str) -> Result<(), SlapdError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = |source| SlapdError::Start {
        program: program.clone(),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(started)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(started)?;
    }
    let output = child.wait_with_output().map_err(started)?;
    if output.status.success() {
        return Ok(());
    }
    let says = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SlapdError::Failed { program, says })
}
