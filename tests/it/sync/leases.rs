//! Two runs on one state file: side by side, one asleep, and each on its own copy.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::site::{Site, with};

const BIO: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7];

/// What a sleeper must not touch: everything but the list of runs.
fn state(site: &Site) -> Vec<String> {
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    let mut found = Vec::new();
    for table in [
        "dirty",
        "journal",
        "ledger",
        "history",
        "held",
        "refusal",
        "set_aside",
        "setting",
        "directory",
        "membership",
        "category",
        "lease",
    ] {
        let mut statement = state.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap()));
            found.push(format!("{table}: {}", cells.collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

pub(super) fn send(id: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

pub(super) async fn is_asleep(id: u32, point: &str) {
    loop {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let (_, state) = stat.rsplit_once(") ").unwrap();
        match state.chars().next() {
            Some('T') => return,
            Some('Z') => panic!("it ended instead of falling asleep {point}"),
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

#[tokio::test]
async fn who_slept_through_a_takeover_writes_nothing_more() {
    let site = with(30, &[("bio", BIO), ("chem", &[0, 1, 2])])
        .set(|settings| {
            settings.kaltura = "batch = 2\nconcurrency = 1".to_owned();
            settings.safety += "\nwindow = \"0s\"";
        })
        .in_step()
        .await;
    let points = [
        "after-absorbing",
        "after-listing",
        "after-planning",
        "while-settling",
        "after-settling",
        "after-holding",
        "after-opening",
        "before-writing",
        "after-writing",
        "after-closing",
        "after-applying",
        "before-clearing",
        "while-clearing",
    ];
    for (round, point) in points.into_iter().enumerate() {
        for person in [8, 9, 10] {
            if round % 2 == 0 {
                site.join("bio", person);
                site.join("chem", person);
            } else {
                site.leave("bio", person);
                site.leave("chem", person);
            }
        }
        let mut command = site.command(&["sync"]);
        let sleeper = command.env("ROLLBOOK_STOP_AT", point).spawn().unwrap();
        let id = sleeper.id().unwrap();
        is_asleep(id, point).await;

        site.sync().await.is(6);
        site.wait_an_hour();
        site.sync().await.is(0);
        let members = if round % 2 == 0 { 11 } else { 8 };
        assert_eq!(site.members("bio").len(), members, "{point}");
        let writes = site.account().calls().writes();
        let before = state(&site);

        send(id, Signal::CONT);
        let sleeper = sleeper.wait_with_output().await.unwrap();
        let said = String::from_utf8(sleeper.stderr).unwrap();
        assert_eq!(sleeper.status.code(), Some(1), "{point}: {said}");
        assert!(
            said.contains("another run has taken over"),
            "{point}: {said}"
        );
        assert_eq!(site.account().calls().writes(), writes, "{point}");
        assert_eq!(state(&site), before, "{point}");
        site.sync_full().await.is(0).says("Nothing to do");
        site.rollbook(&["history", "--verify"]).await.is(0);
    }
}

#[tokio::test]
async fn who_slept_and_was_not_missed_goes_on() {
    let site = with(10, &[("bio", BIO)]).in_step().await;
    site.join("bio", 8);
    let mut command = site.command(&["sync"]);
    let sleeper = command
        .env("ROLLBOOK_STOP_AT", "after-opening")
        .spawn()
        .unwrap();
    let id = sleeper.id().unwrap();
    is_asleep(id, "after-opening").await;
    site.wait_an_hour();
    send(id, Signal::CONT);
    let sleeper = sleeper.wait_with_output().await.unwrap();
    assert_eq!(sleeper.status.code(), Some(0));
    assert_eq!(site.members("bio").len(), 9);
}

#[tokio::test]
async fn a_lease_from_before_the_clock_was_set_back_is_waited_for_a_minute() {
    let site = with(4, &[("bio", &[0, 1])]).in_step().await;
    let a_year_ahead = "UPDATE lease SET seen_at = unixepoch() + 31536000";
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    state.execute_batch(a_year_ahead).unwrap();
    drop(state);
    site.sync().await.is(6);
    site.wait_an_hour();
    site.sync().await.is(0);
}

/// A site whose first plan was approved and done.
async fn approved() -> Site {
    let site = with(10, &[("bio", BIO)])
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    let held = site.sync().await.is(4);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    site.sync().await.is(0);
    site.account().calls().reset();
    site
}

/// The state file as it is now, elsewhere.
fn back_up(site: &Site) {
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    let copy = site.path("copy.db").display().to_string();
    state.execute("VACUUM INTO ?1", [copy]).unwrap();
}

fn restore(site: &Site) {
    for beside in ["rollbook.db-wal", "rollbook.db-shm"] {
        let _ = fs::remove_file(site.path(beside));
    }
    fs::rename(site.path("copy.db"), site.path("rollbook.db")).unwrap();
}

#[tokio::test]
async fn the_first_plan_on_a_copied_state_file_waits_for_a_person() {
    let site = approved().await;
    back_up(&site);
    restore(&site);
    site.leave("bio", 1);
    site.join("bio", 8);
    site.sync()
        .await
        .is(4)
        .says("the state file was copied or restored");
    site.sync().await.is(4);
    let held = site.sync_full().await.is(4);
    assert_eq!(site.account().calls().writes(), []);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 8);
    site.leave("bio", 2);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 7);
}

#[tokio::test]
async fn a_backup_that_has_forgotten_what_was_undone_does_not_do_it_again_unasked() {
    let site = approved().await;
    back_up(&site);
    site.leave("bio", 1);
    site.sync().await.is(0);
    let run: i64 = rusqlite::Connection::open(site.path("rollbook.db"))
        .unwrap()
        .query_row("SELECT max(id) FROM run", [], |row| row.get(0))
        .unwrap();
    site.rollbook(&["undo", &run.to_string()]).await.is(0);
    assert_eq!(site.members("bio").len(), 8);
    site.account().calls().reset();
    restore(&site);
    site.sync().await.is(4);
    site.sync_full().await.is(4);
    assert_eq!(site.account().calls().writes(), []);
    assert_eq!(site.members("bio").len(), 8);
}

#[tokio::test]
async fn a_copied_state_file_with_nothing_to_do_asks_nobody() {
    let site = approved().await;
    back_up(&site);
    restore(&site);
    site.sync().await.is(0);
    site.leave("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 7);
}
