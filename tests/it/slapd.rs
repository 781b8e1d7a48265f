//! A real OpenLDAP server for tests: its own database in its own directory, on a free port, gone
//! when the test ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The name under which everything is.
pub(crate) const SUFFIX: &str = "dc=example,dc=edu";
/// Who may do everything.
pub(crate) const ADMIN: &str = "cn=admin,dc=example,dc=edu";
/// The password of [`ADMIN`] and of [`READER`].
pub(crate) const PASSWORD: &str = "correct horse";
/// An account that may read, and to which the server's limits apply.
pub(crate) const READER: &str = "cn=reader,dc=example,dc=edu";

/// The suffix, the account of the reader, and the two places that tests put entries in.
pub(crate) const BASE_LDIF: &str = "\
dn: dc=example,dc=edu
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=reader,dc=example,dc=edu
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: correct horse

dn: ou=people,dc=example,dc=edu
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=edu
objectClass: organizationalUnit
ou: groups

";

/// What a server is started with.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an overlay or a schema of its own"
)]
#[derive(Debug, Clone, Default)]
pub(crate) struct SlapdOptions {
    /// Entries below [`BASE_LDIF`], loaded before the server starts.
    pub(crate) ldif: String,
    /// Lines for the global part of its configuration.
    pub(crate) global: String,
    /// Lines for the database's part: limits, overlays.
    pub(crate) database: String,
    /// Whether it has a certificate, for `ldaps://` and StartTLS.
    pub(crate) tls: bool,
    /// Whether the overlays memberof and refint are on.
    pub(crate) memberof: bool,
    /// Whether the schema lets a `groupOfNames` be without a member, as newer drafts do.
    pub(crate) relaxed: bool,
    /// Whether the overlay refint is on, by itself, as soon as an entry is renamed or deleted.
    pub(crate) refint: bool,
    /// Whether the overlay syncprov is on, so that the server shows how far it has come.
    pub(crate) syncprov: bool,
    /// What another server has been [saved](Slapd::backup) as, instead of all entries.
    pub(crate) backup: Option<String>,
}

/// A running server.
pub(crate) struct Slapd {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
    tls_port: u16,
    options: SlapdOptions,
}

impl Slapd {
    /// Loads the entries and starts the server; panics with what to do where it cannot.
    pub(crate) fn start(options: &SlapdOptions) -> Self {
        let program = find("slapd");
        let mut dir = tempfile::Builder::new().prefix("slapd").tempdir().unwrap();
        fs::create_dir(dir.path().join("db")).unwrap();
        if options.tls {
            certificates(dir.path());
        }
        let conf = dir.path().join("slapd.conf");
        fs::write(&conf, configuration(dir.path(), options)).unwrap();
        match &options.backup {
            Some(backup) => load(&conf, backup),
            None => load(&conf, &(BASE_LDIF.to_owned() + &options.ldif)),
        }
        // The port is free when it is looked for, and may be taken when the server gets to it.
        for _ in 0..10 {
            let (port, tls_port) = (free_port(), free_port());
            let child = spawn(&program, dir.path(), port, tls_port, options.tls);
            let mut slapd = Self {
                child,
                dir,
                port,
                tls_port,
                options: options.clone(),
            };
            if slapd.wait_until_ready() {
                return slapd;
            }
            dir = std::mem::replace(&mut slapd.dir, tempfile::tempdir().unwrap());
        }
        panic!("slapd does not start; is a security profile (AppArmor) keeping it from /tmp?");
    }

    /// `ldap://127.0.0.1:…`
    pub(crate) fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// `ldaps://127.0.0.1:…`
    pub(crate) fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// `ldapi://…`, where this user is [`ADMIN`] by SASL EXTERNAL.
    pub(crate) fn ldapi_url(&self) -> String {
        let path = self.socket().display().to_string().replace('/', "%2F");
        format!("ldapi://{path}")
    }

    /// The port of `ldap://`.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that signed the server's, as a PEM file.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A client certificate and its key, as PEM files.
    pub(crate) fn client_certificate(&self) -> (PathBuf, PathBuf) {
        let file = |name| self.dir.path().join(name);
        (file("client.pem"), file("client.key"))
    }

    /// Changes the directory by an LDIF text with change records; entries without a `changetype`
    /// are added.
    pub(crate) fn modify(&self, ldif: &str) {
        let mut child = Command::new(find("ldapmodify"))
            .args(["-a", "-x", "-H", &self.url(), "-D", ADMIN, "-w", PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(ldif.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ldapmodify: {errors}");
    }

    /// Deletes an entry.
    pub(crate) fn delete(&self, dn: &str) {
        self.modify(&format!("dn: {dn}\nchangetype: delete\n"));
    }

    /// Renames an entry, and moves it where `superior` says another place.
    pub(crate) fn rename(&self, dn: &str, rdn: &str, superior: Option<&str>) {
        let mut ldif = format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n");
        if let Some(superior) = superior {
            writeln!(ldif, "newsuperior: {superior}").unwrap();
        }
        self.modify(&ldif);
    }

    /// Waits until an entry's text holds this: overlays work on their own threads.
    pub(crate) fn wait_for(&self, dn: &str, text: &str) {
        self.wait_until(dn, |entry| entry.contains(text));
    }

    /// Waits until an entry's text does not hold this any more.
    pub(crate) fn wait_without(&self, dn: &str, text: &str) {
        self.wait_until(dn, |entry| !entry.contains(text));
    }

    fn wait_until(&self, dn: &str, is_so: impl Fn(&str) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.ldapsearch(&["-LLL", "-o", "ldif-wrap=no", "-b", dn, "-s", "base"]);
            let found = String::from_utf8_lossy(&found);
            if is_so(&found) {
                return;
            }
            assert!(Instant::now() < end, "{dn} stays as it is: {found}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What `ldapsearch` writes for these arguments, as [`ADMIN`].
    pub(crate) fn ldapsearch(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(find("ldapsearch"))
            .args(["-x", "-H", &self.url(), "-D", ADMIN, "-w", PASSWORD])
            .args(arguments)
            .output()
            .unwrap();
        output.stdout
    }

    /// What the configuration says to reach this server as [`ADMIN`], with further lines; the
    /// sections `people` and `groups` come behind it.
    pub(crate) fn toml(&self, lines: &str) -> String {
        format!(
            "kind = \"ldap\"\nname = \"campus\"\nurls = [\"{}\"]\nbind_dn = \"{ADMIN}\"\n{lines}\n",
            self.url()
        )
    }

    /// Ends the server as a power failure would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the server to end, as an administrator does; returns at once.
    pub(crate) fn ask_to_end(&self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
    }

    /// Ends the server as an administrator does.
    pub(crate) fn stop(&mut self) {
        self.ask_to_end();
        let _ = self.child.wait();
    }

    /// Starts the server again after its end, at the same address.
    pub(crate) fn resume(&mut self) {
        let program = find("slapd");
        // Another program may have the port for a moment.
        for _ in 0..50 {
            let (port, tls_port) = (self.port, self.tls_port);
            self.child = spawn(&program, self.dir.path(), port, tls_port, self.options.tls);
            if self.wait_until_ready() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("slapd does not start again");
    }

    /// The lines for the database's part of its configuration.
    pub(crate) fn database(&self) -> &str {
        &self.options.database
    }

    /// Starts the server again with other lines for the database's part of its configuration.
    pub(crate) fn reconfigure(&mut self, database: &str) {
        self.stop();
        database.clone_into(&mut self.options.database);
        let dir = self.dir.path();
        let text = configuration(dir, &self.options);
        fs::write(dir.join("slapd.conf"), text).unwrap();
        self.resume();
    }

    /// All entries as they are, their stable ids and change numbers too.
    pub(crate) fn backup(&self) -> String {
        let output = Command::new(find("slapcat"))
            .arg("-f")
            .arg(self.dir.path().join("slapd.conf"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "slapcat: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("ldapi")
    }

    fn wait_until_ready(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let ready = TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && UnixStream::connect(self.socket()).is_ok()
                && (!self.options.tls || TcpStream::connect(("127.0.0.1", self.tls_port)).is_ok());
            if ready {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(program: &Path, dir: &Path, port: u16, tls_port: u16, tls: bool) -> Child {
    let socket = dir.join("ldapi").display().to_string().replace('/', "%2F");
    let mut urls = format!("ldap://127.0.0.1:{port} ldapi://{socket}");
    if tls {
        write!(urls, " ldaps://127.0.0.1:{tls_port}").unwrap();
    }
    Command::new(program)
        .args(["-d", "0", "-h", &urls, "-f"])
        .arg(dir.join("slapd.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn configuration(dir: &Path, options: &SlapdOptions) -> String {
    let mut conf = String::new();
    let schemas = existing(&["/etc/ldap/schema", "/etc/openldap/schema"]);
    for schema in ["core", "cosine", "inetorgperson", "nis"] {
        let file = format!("{schemas}/{schema}.schema");
        if options.relaxed && schema == "core" {
            let text = fs::read_to_string(&file).unwrap();
            let relaxed = text.replace(
                "MUST ( member $ cn )\n\tMAY ( ",
                "MUST ( cn )\n\tMAY ( member $ ",
            );
            assert_ne!(text, relaxed, "the schema is not as expected");
            fs::write(dir.join("core.schema"), relaxed).unwrap();
            writeln!(conf, "include {}/core.schema", dir.display()).unwrap();
        } else {
            writeln!(conf, "include {file}").unwrap();
        }
    }
    let modules = ["/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap"];
    if let Some(modules) = modules.iter().find(|path| Path::new(path).exists()) {
        writeln!(conf, "modulepath {modules}\nmoduleload back_mdb").unwrap();
        if options.memberof {
            writeln!(conf, "moduleload memberof\nmoduleload refint").unwrap();
        } else if options.refint {
            writeln!(conf, "moduleload refint").unwrap();
        }
        if options.syncprov {
            writeln!(conf, "moduleload syncprov").unwrap();
        }
    }
    let dir = dir.display();
    writeln!(conf, "pidfile {dir}/slapd.pid").unwrap();
    // Whoever runs the test is the administrator on the Unix socket.
    writeln!(
        conf,
        "authz-regexp gidNumber=[0-9]+[+]uidNumber=[0-9]+,cn=peercred,cn=external,cn=auth {ADMIN}"
    )
    .unwrap();
    if options.tls {
        writeln!(
            conf,
            "TLSCACertificateFile {dir}/ca.pem\nTLSCertificateFile {dir}/server.pem\n\
             TLSCertificateKeyFile {dir}/server.key\nTLSVerifyClient try\n\
             authz-regexp cn=client {READER}"
        )
        .unwrap();
    }
    conf.push_str(&options.global);
    writeln!(
        conf,
        "\ndatabase mdb\nsuffix {SUFFIX}\nrootdn {ADMIN}\nrootpw \"{PASSWORD}\"\n\
         directory {dir}/db\nmaxsize 4294967296\ndbnosync\nsizelimit unlimited\n\
         index objectClass,entryUUID,entryCSN,uid,cn eq\nindex member,memberUid eq"
    )
    .unwrap();
    conf.push_str(&options.database);
    if options.memberof {
        writeln!(
            conf,
            "\noverlay memberof\noverlay refint\nrefint_attributes member\nrefint_nothing cn=nothing"
        )
        .unwrap();
    } else if options.refint {
        writeln!(
            conf,
            "\noverlay refint\nrefint_attributes member\nrefint_nothing cn=nothing"
        )
        .unwrap();
    }
    if options.syncprov {
        writeln!(conf, "\noverlay syncprov\nsyncprov-checkpoint 1 1").unwrap();
    }
    conf
}

fn load(conf: &Path, ldif: &str) {
    let mut child = Command::new(find("slapadd"))
        .args(["-q", "-w", "-f"])
        .arg(conf)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let ldif = ldif.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(ldif.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "slapadd: {errors}");
    writer.join().unwrap().unwrap();
}

/// A program of the packages that the tests need.
fn find(program: &str) -> PathBuf {
    let places = [
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/libexec",
    ];
    let mut paths = places.iter().map(|place| Path::new(place).join(program));
    paths.find(|path| path.exists()).unwrap_or_else(|| {
        panic!(
            "these tests need OpenLDAP's {program}: install the packages slapd and ldap-utils \
             (no system-wide server has to run), or run ./test, which does"
        )
    })
}

fn existing<'a>(places: &[&'a str]) -> &'a str {
    let found = places.iter().find(|place| Path::new(place).exists());
    found.unwrap_or_else(|| panic!("none of {places:?} exists: install the package slapd"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes an authority, a server's certificate, a client's, and another authority that signed none.
fn certificates(dir: &Path) {
    static MADE: OnceLock<Vec<(&str, String)>> = OnceLock::new();
    for (name, text) in MADE.get_or_init(make_certificates) {
        fs::write(dir.join(name), text).unwrap();
    }
}

fn make_certificates() -> Vec<(&'static str, String)> {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        (certificate, Issuer::new(params, key))
    };
    let (ca, issuer) = authority("Test Authority");
    let (other_ca, _) = authority("Another Authority");
    let signed = |name: &str, hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        (certificate, key.serialize_pem())
    };
    let (server, server_key) = signed("server", &["localhost", "127.0.0.1"]);
    let (client, client_key) = signed("client", &[]);
    vec![
        ("ca.pem", ca),
        ("other-ca.pem", other_ca),
        ("server.pem", server),
        ("server.key", server_key),
        ("client.pem", client),
        ("client.key", client_key),
    ]
}

/// People `p0`, `p1`… as LDIF.
pub(crate) fn people(count: usize) -> String {
    let mut ldif = String::new();
    for n in 0..count {
        writeln!(
            ldif,
            "dn: uid=p{n},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: p{n}\n\
             cn: Person {n}\ngivenName: Given{n}\nsn: Family{n}\nmail: p{n}@example.edu\n"
        )
        .unwrap();
    }
    ldif
}

/// A group of people by their numbers, as LDIF. One of nobody has the dummy that administrators put
/// there, because the schema demands a member.
pub(crate) fn group(name: &str, members: impl IntoIterator<Item = usize>) -> String {
    let mut ldif =
        format!("dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n");
    let mut members = members.into_iter().peekable();
    if members.peek().is_none() {
        ldif.push_str("member: cn=nothing\n");
    }
    for member in members {
        writeln!(ldif, "member: uid=p{member},ou=people,{SUFFIX}").unwrap();
    }
    ldif.push('\n');
    ldif
}
