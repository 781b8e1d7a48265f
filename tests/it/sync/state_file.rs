//! The state file on a bad day: a clear word, nothing written to Kaltura, and all of it done once the
//! day is better.

#![expect(clippy::print_stderr, reason = "a test that skips says so aloud")]

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use rusqlite::Connection;
use tokio::process::Command;

use super::site::{Run, Site, with};

const NOBODY: u32 = 65534;

/// One channel in step; then one leaves and one joins.
async fn with_changes() -> Site {
    let site = with(8, &[("bio", &[0, 1, 2, 3])]).in_step().await;
    site.leave("bio", 0);
    site.join("bio", 4);
    // What is written is all in the one file.
    let state = Connection::open(site.path("rollbook.db")).unwrap();
    state
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    site
}

#[track_caller]
fn refused(site: &Site, run: Run, text: &str) {
    run.is(1).says(text).says("state.path");
    assert_eq!(site.account().calls().writes(), [], "{text}");
}

async fn all_is_done(site: &Site) {
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2", "p3", "p4"]);
    site.sync_full().await.is(0).says("Nothing to do");
    site.rollbook(&["history", "--verify"]).await.is(0);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Gives the site to somebody whom permissions bind; they do not bind root.
fn give_away(site: &Site) {
    let folder = site.path("");
    if fs::metadata(&folder).unwrap().uid() == 0 {
        for file in fs::read_dir(&folder).unwrap() {
            chown(file.unwrap().path(), Some(NOBODY), None).unwrap();
        }
        chown(&folder, Some(NOBODY), None).unwrap();
    }
}

async fn as_nobody(site: &Site) -> Run {
    let mut command = site.command(&["sync"]);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY);
    }
    command.output().await.unwrap().into()
}

#[tokio::test]
async fn a_file_that_may_only_be_read() {
    let site = with_changes().await;
    site.command(&["sync"]);
    give_away(&site);
    mode(&site.path("rollbook.db"), 0o444);
    let run = as_nobody(&site).await;
    refused(&site, run, "cannot be written");
    mode(&site.path("rollbook.db"), 0o644);
    all_is_done(&site).await;
}

#[tokio::test]
async fn a_folder_that_may_only_be_read() {
    let site = with_changes().await;
    site.command(&["sync"]);
    give_away(&site);
    mode(&site.path(""), 0o555);
    let run = as_nobody(&site).await;
    mode(&site.path(""), 0o755);
    refused(&site, run, "folder");
    all_is_done(&site).await;
}

#[tokio::test]
async fn a_file_that_another_program_holds() {
    let site = with_changes().await;
    let other = Connection::open(site.path("rollbook.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    site.sync().await.is(6).says("writing to the state file");
    assert_eq!(site.account().calls().requests(), 0);
    other.execute_batch("ROLLBACK").unwrap();
    all_is_done(&site).await;
}

/// The first page of a table, as a place in the file.
fn place_of(state: &Connection, table: &str) -> (u64, usize) {
    let page: u32 = state
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .unwrap();
    let root: u32 = state
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    (
        u64::from(root - 1) * u64::from(page),
        usize::try_from(page).unwrap(),
    )
}

/// Writes over a part of the file, and answers what was there.
fn overwrite(path: &Path, at: u64, bytes: &[u8]) -> Vec<u8> {
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut before = vec![0; bytes.len()];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut before).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
    before
}

#[tokio::test]
async fn a_damaged_page_of_any_table() {
    let site = with_changes().await;
    let path = site.path("rollbook.db");
    let tables = [
        "membership",
        "membership_by_member",
        "entry",
        "person",
        "grp",
        "dirty",
        "category",
        "ledger",
        "journal",
        "history",
        "held",
        "undone",
        "set_aside",
        "refusal",
        "setting",
        "lease",
        "run",
        "directory",
    ];
    for table in tables {
        let (at, length) = place_of(&Connection::open(&path).unwrap(), table);
        let before = overwrite(&path, at, &vec![0xA5; length]);
        let run = site.sync().await;
        assert_eq!(site.account().calls().writes(), [], "{table}");
        run.is(1).says("damaged").says("backup");
        for beside in ["rollbook.db-wal", "rollbook.db-shm"] {
            let _ = fs::remove_file(site.path(beside));
        }
        overwrite(&path, at, &before);
    }
}

#[tokio::test]
async fn a_file_that_was_cut_short() {
    let site = with_changes().await;
    let path = site.path("rollbook.db");
    let whole = fs::read(&path).unwrap();
    for length in [100, 5000, whole.len() / 2, whole.len() - 8192] {
        fs::write(&path, &whole[..length]).unwrap();
        let run = site.sync().await;
        refused(&site, run, "damaged");
        for beside in ["rollbook.db-wal", "rollbook.db-shm"] {
            let _ = fs::remove_file(site.path(beside));
        }
    }
    fs::write(&path, &whole).unwrap();
    all_is_done(&site).await;
}

#[tokio::test]
async fn a_file_of_a_newer_version() {
    let site = with_changes().await;
    let version = |number: i64| {
        let state = Connection::open(site.path("rollbook.db")).unwrap();
        let was: i64 = state
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        state.pragma_update(None, "user_version", number).unwrap();
        was
    };
    let was = version(99);
    let run = site.sync().await;
    refused(&site, run, "newer version");
    assert_eq!(site.account().calls().requests(), 0);
    version(was);
    all_is_done(&site).await;
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date_and_used() {
    let site = with(8, &[("bio", &[0, 1, 2, 3])])
        .set(|settings| settings.policy = "removed_by_hand = \"skip\"".to_owned())
        .start()
        .await;
    let state = Connection::open(site.path("rollbook.db")).unwrap();
    state
        .execute_batch(include_str!("../../../migrations/0001_initial.sql"))
        .unwrap();
    state.pragma_update(None, "user_version", 1).unwrap();
    let bio = site.channel("bio");
    state
        .execute_batch(&format!(
            "INSERT INTO ledger VALUES ({bio}, 'p0', 'p0', 'active', 'member', 'bio', 1);
             INSERT INTO run VALUES (1, 1700000000, 1700000001, 'sync', 'done', '{{}}');
             INSERT INTO dirty (kind, user_id) VALUES ('person', 'p1');
             INSERT INTO journal VALUES
                 (1, 1, {bio}, 'p1', '{{\"do\":\"add\",\"level\":\"member\"}}', NULL, 'bio', 'sent', NULL, 1700000000);
             INSERT INTO lease VALUES (1, 'process 1', 7, 0);"
        ))
        .unwrap();
    drop(state);
    site.sync().await.is(0);
    // The old ledger counts: somebody took p0 out by hand.
    assert_eq!(site.members("bio"), ["p1", "p2", "p3"]);
    let state = Connection::open(site.path("rollbook.db")).unwrap();
    let fence: i64 = state
        .query_row("SELECT fence FROM lease", [], |row| row.get(0))
        .unwrap();
    assert_eq!(fence, 8);
}

#[tokio::test]
async fn a_run_that_fails_says_why_whatever_else_is_wrong() {
    let mut site = with_changes().await;
    site.settings.kaltura_url = Some("http://127.0.0.1:9".to_owned());
    let state = Connection::open(site.path("rollbook.db")).unwrap();
    // The account is the same, at an address that nobody answers at.
    let moved =
        "UPDATE setting SET value = 'http://127.0.0.1:9 ' || substr(value, instr(value, ' ') + 1)
                 WHERE name = 'account'";
    state.execute_batch(moved).unwrap();
    state.execute_batch("DROP TABLE held_category").unwrap();
    site.sync().await.is(1).says("Check `kaltura.url`");
}

/// Runs with files that cannot grow beyond a size, as on a full disk.
async fn with_room_for(site: &Site, blocks: u32) -> Run {
    let command = site.command(&["sync"]);
    let command = command.as_std();
    let mut limited = Command::new("/bin/sh");
    limited
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
        ))
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    limited.output().await.unwrap().into()
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_moment() {
    let site = with_changes().await;
    let run = with_room_for(&site, 0).await;
    if run.code == Some(0) {
        eprintln!("skipped: the shell cannot limit the size of files");
        return;
    }
    refused(&site, run, "disk");
    let mut outcomes = Vec::new();
    for blocks in (20..400).step_by(40) {
        site.wait_an_hour();
        let run = with_room_for(&site, blocks).await;
        outcomes.push((blocks, run.code));
        if run.code != Some(0) {
            run.is(1).says("disk");
        }
    }
    eprintln!("with so much room, it ended so: {outcomes:?}");
    all_is_done(&site).await;
}
