//! What a person has approved, when the run that does it is killed half way: the next run does the rest,
//! and nothing else.

use std::os::unix::process::ExitStatusExt as _;

use std::path::Path;

use super::site::{Site, Start, with};

const BIO: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const CHEM: &[usize] = &[3, 4, 5, 6, 7, 8];

impl Site {
    /// Runs, and is killed at the so many-th passage of a point.
    async fn killed(&self, arguments: &[&str], at: &str) {
        let mut command = self.command(arguments);
        let output = command.env("ROLLBOOK_KILL_AT", at).output().await.unwrap();
        assert_eq!(output.status.signal(), Some(9), "{at}: {output:?}");
    }

    async fn approve(&self, digest: &str) {
        self.rollbook(&["approve", digest]).await.is(0);
    }
}

fn small_batches(start: Start) -> Start {
    start.set(|settings| {
        settings.kaltura = "batch = 2\nconcurrency = 1".into();
        settings.safety.clear();
    })
}

/// Channels whose first plan is approved.
async fn approved(groups: &[(&'static str, &[usize])]) -> Site {
    let site = small_batches(with(30, groups)).start().await;
    let digest = site.sync().await.is(4).digest();
    site.approve(&digest).await;
    site
}

#[tokio::test]
async fn a_first_plan_is_finished_however_often_its_runs_are_killed() {
    let site = approved(&[("bio", BIO), ("chem", CHEM)]).await;
    site.killed(&["sync"], "after-opening:1").await;
    assert_eq!(site.members("bio").len() + site.members("chem").len(), 0);
    site.killed(&["sync"], "after-writing:2").await;
    assert_eq!(site.members("bio").len() + site.members("chem").len(), 4);
    site.killed(&["sync"], "after-closing:3").await;
    assert_eq!(site.members("bio").len() + site.members("chem").len(), 10);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), BIO.len());
    assert_eq!(site.members("chem").len(), CHEM.len());
    assert_eq!(site.taken(), [""; 0]);
    site.rollbook(&["held"])
        .await
        .is(0)
        .says("Nothing is held.");
    let history = site.rollbook(&["history"]).await.is(0);
    let lines = history.stdout.lines();
    let done = lines.filter(|line| line.ends_with("approved by tester"));
    assert_eq!(done.count(), BIO.len() + CHEM.len());
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn a_run_that_is_killed_when_all_is_done_leaves_nothing_held() {
    for point in ["after-applying", "before-clearing", "before-ending"] {
        let site = approved(&[("bio", BIO)]).await;
        site.killed(&["sync"], point).await;
        assert_eq!(site.members("bio").len(), BIO.len());
        site.sync().await.is(0);
        site.rollbook(&["held"])
            .await
            .is(0)
            .says("Nothing is held.");
    }
}

#[tokio::test]
async fn approved_removals_are_finished() {
    let site = with(30, &[("bio", BIO)]).set(|settings| {
        settings.kaltura = "batch = 2\nconcurrency = 1".into();
    });
    let site = site.in_step().await;
    for person in 0..8 {
        site.leave("bio", person);
    }
    let digest = site.sync().await.is(4).digest();
    site.approve(&digest).await;
    site.killed(&["sync"], "after-closing:2").await;
    assert_eq!(site.members("bio").len(), 8);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p11", "p8", "p9"]);
}

#[tokio::test]
async fn an_approved_undo_is_finished() {
    let site = with(30, &[("bio", BIO)]).set(|settings| {
        settings.kaltura = "batch = 2\nconcurrency = 1".into();
    });
    let site = site.start().await;
    site.sync().await.is(0);
    let digest = site.rollbook(&["undo", "1"]).await.is(4).digest();
    site.approve(&digest).await;
    site.killed(&["undo", "1"], "after-closing:2").await;
    assert_eq!(site.members("bio").len(), 8);
    site.rollbook(&["undo", "1"]).await.is(0);
    assert_eq!(site.members("bio"), [""; 0]);
}

#[tokio::test]
async fn somebody_who_came_meanwhile_is_not_covered() {
    let site = approved(&[("bio", BIO)]).await;
    site.killed(&["sync"], "after-closing:2").await;
    site.join("bio", 20);
    let digest = site.sync().await.is(4).digest();
    assert_eq!(site.members("bio").len(), 4);
    site.approve(&digest).await;
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), BIO.len() + 1);
}

#[tokio::test]
async fn what_was_done_and_taken_back_by_hand_is_not_done_again_by_the_same_approval() {
    let site = approved(&[("bio", BIO)]).await;
    site.killed(&["sync"], "after-closing:2").await;
    let there = site.members("bio");
    let account = site.account();
    account.remove_membership(site.channel("bio"), &there[0]);
    site.sync().await.is(4);
    assert_eq!(site.members("bio"), there[1..]);
}

#[tokio::test]
async fn an_approval_is_not_for_another_configuration() {
    let mut site = approved(&[("bio", BIO)]).await;
    site.settings.policy = "removed_by_hand = \"skip\"".to_owned();
    let digest = site.sync_full().await.is(4).digest();
    assert_eq!(site.members("bio"), [""; 0]);
    site.approve(&digest).await;
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), BIO.len());
}

#[tokio::test]
async fn an_approval_is_not_for_a_copy_of_the_state_file() {
    let put_back: [fn(&Path, &Path); 2] = [
        |copy, file| std::fs::rename(copy, file).unwrap(),
        // Into the file that is there: it stays the same file.
        |copy, file| std::fs::write(file, std::fs::read(copy).unwrap()).unwrap(),
    ];
    for put_back in put_back {
        let site = approved(&[("bio", BIO)]).await;
        let copy = site.path("copy.db");
        site.rollbook(&["state", "backup", &copy.display().to_string()])
            .await
            .is(0);
        site.sync().await.is(0);
        let run = site.last_run().await;
        let digest = site.rollbook(&["undo", &run]).await.is(4).digest();
        site.approve(&digest).await;
        site.rollbook(&["undo", &run]).await.is(0);
        assert_eq!(site.members("bio"), [""; 0]);
        for beside in ["rollbook.db-wal", "rollbook.db-shm"] {
            let _ = std::fs::remove_file(site.path(beside));
        }
        put_back(&copy, &site.path("rollbook.db"));
        site.sync_full().await.is(4).says("or was restored");
        assert_eq!(site.members("bio"), [""; 0]);
    }
}
