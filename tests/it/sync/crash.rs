//! The program is killed, and started twice.

use std::time::Duration;

use super::site::{ACTIVE, MANUAL, MEMBER, Site, with};

const BIO: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

async fn with_changes() -> Site {
    let site = with(30, &[("bio", BIO), ("chem", &[0, 1, 2])])
        .set(|settings| settings.kaltura = "batch = 2\nconcurrency = 2".into())
        .in_step()
        .await;
    site.put("bio", "guest", (MEMBER, MANUAL, ACTIVE));
    for person in 0..3 {
        site.leave("bio", person);
    }
    for person in 12..24 {
        site.join("bio", person);
    }
    site
}

/// Runs, and is killed once so many writes have been done.
async fn killed_after(site: &Site, writes: usize, more: Duration) {
    site.account().faults().latency(Duration::from_millis(30));
    let mut run = site.spawn(&["sync"]);
    while site.account().calls().writes().len() < writes && run.try_wait().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(more).await;
    let _ = run.start_kill();
    run.wait().await.unwrap();
    site.account().faults().clear();
}

#[tokio::test]
async fn killed_at_any_moment_the_next_run_ends_where_an_undisturbed_one_does() {
    for moment in 0..10_usize {
        let site = with_changes().await;
        let more = Duration::from_millis((moment as u64 * 7) % 40);
        killed_after(&site, moment * 2, more).await;
        site.wait_an_hour();
        site.sync().await.is(0);
        let mut wanted: Vec<String> = (3..24).map(|n| format!("p{n}")).collect();
        wanted.push("guest manual".to_owned());
        wanted.sort();
        assert_eq!(site.members("bio"), wanted, "moment {moment}");
        site.sync_full().await.is(0).says("Nothing to do");
        site.account().calls().reset();
        site.sync().await.is(0);
        assert_eq!(site.requests(), 0, "moment {moment}");
    }
}

#[tokio::test]
async fn a_run_killed_during_an_approved_first_plan_is_finished_by_the_next() {
    let site = with(30, &[("bio", BIO)])
        .set(|settings| {
            settings.kaltura = "batch = 2\nconcurrency = 1".to_owned();
            settings.safety.clear();
        })
        .start()
        .await;
    let held = site.sync().await.is(4);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    killed_after(&site, 4, Duration::ZERO).await;
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 12);
}

#[tokio::test]
async fn a_second_run_says_who_is_running() {
    let site = with(4, &[("bio", &[0, 1])]).start().await;
    site.account().faults().latency(Duration::from_millis(500));
    let first = site.spawn(&["sync"]);
    while site.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let holder = format!("process {}", first.id().unwrap());
    site.sync().await.is(6).says(&holder);
    let first = first.wait_with_output().await.unwrap();
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(site.members("bio"), ["p0", "p1"]);
}

#[tokio::test]
async fn a_run_that_was_killed_here_is_taken_over_at_once() {
    let site = with_changes().await;
    killed_after(&site, 2, Duration::ZERO).await;
    site.sync().await.is(0);
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn a_run_that_was_killed_on_another_machine_is_waited_for() {
    let site = with_changes().await;
    killed_after(&site, 2, Duration::ZERO).await;
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    let elsewhere = "UPDATE lease SET process = replace(process, '-', '0')";
    assert_eq!(state.execute(elsewhere, []).unwrap(), 1);
    drop(state);
    site.sync().await.is(6);
    site.wait_an_hour();
    site.sync().await.is(0);
}
