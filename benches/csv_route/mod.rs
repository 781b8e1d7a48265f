//! The whole route: a first synchronisation of 100,000 memberships by the program, by files and by calls, against a
//! sandbox account in this process.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rollbook::sandbox::{NewCategory, Options, Sandbox};

use super::Result;
use crate::measure::peak_of;

const PEOPLE: usize = 5_000;
const GROUPS: usize = 100;
/// Members of each group: as many as rows in a file.
const MEMBERS: usize = 1_000;
const ROOT: &str = "MediaSpace>site>channels";
/// Jobs under way at once.
const JOBS: usize = 4;

/// Measures both ways.
pub(crate) fn run() -> Result<()> {
    println!(
        "\n{} memberships in {GROUPS} channels, from an LDIF file, into an empty sandbox account whose workers rest only a millisecond\n",
        GROUPS * MEMBERS
    );
    println!(
        "  {:34} {:>9} {:>6} {:>9} {:>6} {:>9} {:>7}",
        "", "time", "", "requests", "files", "at once", "peak"
    );
    let runtime = tokio::runtime::Runtime::new()?;
    let calls = runtime.block_on(one("by calls", "api", None))?;
    runtime.block_on(one("by files", "csv", Some(calls)))?;
    Ok(())
}

async fn one(what: &str, via: &str, beside: Option<Duration>) -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let sandbox = Sandbox::start(Options {
        job_delay: Some(Duration::from_millis(1)),
        bulk_retry_delay: Some(Duration::from_millis(1)),
        ..Options::default()
    })
    .await?;
    prepare(folder, &sandbox)?;
    sandbox.account().calls().reset();
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rollbook"))
        .arg("--config")
        .arg(folder.join("rollbook.toml"))
        .args(["sync", "--via", via])
        .stdout(fs::File::create(folder.join("out"))?)
        .spawn()?;
    let (mut peak, mut at_once) = (0, 0);
    let status = loop {
        peak = peak.max(peak_of(child.id()).unwrap_or(0));
        let jobs = sandbox.account().jobs();
        at_once = at_once.max(jobs.len());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let time = begin.elapsed();
    if !status.success() {
        return Err(format!("{status}: {}", fs::read_to_string(folder.join("out"))?).into());
    }
    let calls = sandbox.account().calls();
    println!(
        "  {what:34} {:7.1} s {:5.2}× {:9} {:6} {at_once:9} {peak:3} MiB",
        time.as_secs_f64(),
        time.as_secs_f64() / beside.unwrap_or(time).as_secs_f64(),
        calls.requests(),
        calls.count_of("categoryUser.addFromBulkUpload"),
    );
    let there = sandbox.account().channels_of("group1").len();
    if there == 0 {
        return Err("the account has lost its channels".into());
    }
    Ok(time)
}

fn prepare(folder: &Path, sandbox: &Sandbox) -> Result<()> {
    let account = sandbox.account();
    account.in_one_go(|account| {
        for group in 0..GROUPS {
            account.add_category(&NewCategory {
                path: format!("{ROOT}>group{group}"),
                reference_id: Some(format!("group{group}")),
                ..NewCategory::default()
            });
        }
    });
    let mut ldif = String::new();
    for (name, class) in [("people", "ou"), ("groups", "ou")] {
        writeln!(
            ldif,
            "dn: {class}={name},dc=example,dc=edu\nobjectClass: organizationalUnit\nou: {name}\n"
        )?;
    }
    for person in 0..PEOPLE {
        writeln!(
            ldif,
            "dn: uid=user{person},ou=people,dc=example,dc=edu\nobjectClass: inetOrgPerson\nuid: user{person}\ncn: {person}\nsn: {person}\n"
        )?;
    }
    for group in 0..GROUPS {
        writeln!(
            ldif,
            "dn: cn=group{group},ou=groups,dc=example,dc=edu\nobjectClass: groupOfNames\ncn: group{group}"
        )?;
        for member in 0..MEMBERS {
            let person = (group * 37 + member * 3) % PEOPLE;
            writeln!(ldif, "member: uid=user{person},ou=people,dc=example,dc=edu")?;
        }
        ldif.push('\n');
    }
    fs::write(folder.join("export.ldif"), ldif)?;
    private(&folder.join("secret"), sandbox.admin_secret())?;
    let folder = folder.display();
    let config = format!(
        "[state]\npath = \"{folder}/rollbook.db\"\n\
         [kaltura]\nurl = \"{url}\"\npartner_id = {partner}\n\
         admin_secret = {{ file = \"{folder}/secret\" }}\nroot = \"{ROOT}\"\nrequests_per_second = 100000\n\
         [[directory]]\nkind = \"ldif\"\nname = \"campus\"\npath = \"{folder}/export.ldif\"\n\
         [directory.people]\nbase = \"ou=people,dc=example,dc=edu\"\nuser_id = \"uid\"\n\
         [directory.groups]\nbase = \"ou=groups,dc=example,dc=edu\"\n\
         [safety]\nfirst_run = \"apply\"\ntotal_additions = {{ percent = 100, at_least = 1000000 }}\n\
         [apply]\ncsv = {{ jobs = {JOBS}, poll = \"50ms\" }}\n",
        url = sandbox.url(),
        partner = sandbox.partner_id(),
    );
    private(Path::new(&format!("{folder}/rollbook.toml")), &config)
}

fn private(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())?;
    Ok(())
}
