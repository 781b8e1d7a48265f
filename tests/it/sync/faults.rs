//! Bad hours of Kaltura: the end state is right after a run or two more.

use std::time::Duration;

use rollbook::sandbox::TransportFault;

use super::network::{Fate, Front};
use super::site::{ACTIVE, AUTOMATIC, MANUAL, MEMBER, Site, with};

const BIO: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Two channels in step; then four leave, four join, and one has a membership by hand.
async fn with_changes() -> Site {
    let site = with(20, &[("bio", BIO), ("chem", &[0, 1, 2])])
        .set(|settings| {
            settings.kaltura = "retries = 0\nbatch = 3\nconcurrency = 2".into();
            settings.safety += "\ncategory = { percent = 50, at_least = 5 }";
        })
        .in_step()
        .await;
    site.put("bio", "guest", (MEMBER, MANUAL, ACTIVE));
    for person in 0..3 {
        site.leave("bio", person);
        site.join("bio", 12 + person);
    }
    site.join("chem", 15);
    site
}

/// Runs until the program says that all is done; the end state must be right.
async fn recovers(site: &Site, runs: usize) {
    for _ in 0..runs {
        site.wait_an_hour();
        site.sync().await;
    }
    let mut wanted: Vec<String> = (3..15).map(|n| format!("p{n}")).collect();
    wanted.push("guest manual".to_owned());
    wanted.sort();
    assert_eq!(site.members("bio"), wanted);
    assert_eq!(site.members("chem"), ["p0", "p1", "p15", "p2"]);
    site.sync_full().await.is(0).says("Nothing to do");
    let writes = site.account().calls().writes();
    assert!(writes.iter().all(|write| write.user_id != "guest"));
}

/// Spoils each of the writing requests in turn.
async fn each_write_meets(fate: Fate) {
    for spare in 0..3 {
        let mut site = with_changes().await;
        let front = Front::start(site.sandbox.url(), fate, spare, 1);
        site.settings.kaltura_url = Some(front.url.clone());
        site.sync().await;
        assert_eq!(front.spoiled(), 1, "write request {spare}");
        site.settings.kaltura_url = None;
        recovers(&site, 1).await;
    }
}

#[tokio::test]
async fn a_connection_cut_before_a_write_is_done() {
    each_write_meets(Fate::CutBefore).await;
}

#[tokio::test]
async fn a_connection_cut_after_a_write_was_done() {
    each_write_meets(Fate::CutAfter).await;
}

#[tokio::test]
async fn an_empty_answer_after_a_write_was_done() {
    each_write_meets(Fate::Empty).await;
}

#[tokio::test]
async fn a_front_end_that_is_too_busy() {
    each_write_meets(Fate::Busy).await;
}

#[tokio::test]
async fn writes_of_which_nobody_knows_twice_are_looked_at_by_the_next_run() {
    let mut site = with_changes().await;
    let front = Front::start(site.sandbox.url(), Fate::CutAfter, 0, 100);
    site.settings.kaltura_url = Some(front.url);
    site.sync().await;
    site.settings.kaltura_url = None;
    recovers(&site, 1).await;
}

#[tokio::test]
async fn an_account_that_does_not_answer_at_all_is_an_error_and_nothing_is_lost() {
    let site = with_changes().await;
    site.account()
        .faults()
        .break_next(TransportFault::Status(503), 100);
    site.sync().await.is(1);
    site.account().faults().clear();
    recovers(&site, 1).await;
}

async fn each_code_is_overcome(action: &str, code: &str) {
    for times in [1, 3] {
        let site = with_changes().await;
        site.account().faults().fail_next(action, times, code);
        site.sync().await;
        site.account().faults().clear();
        recovers(&site, 1).await;
    }
}

#[tokio::test]
async fn a_locked_membership_is_tried_again() {
    each_code_is_overcome("categoryUser.add", "LOCK_TIMED_OUT").await;
    each_code_is_overcome("categoryUser.delete", "LOCK_TIMED_OUT").await;
}

#[tokio::test]
async fn a_throttled_account_is_tried_again() {
    each_code_is_overcome("categoryUser.add", "ACTION_BLOCKED").await;
}

#[tokio::test]
async fn an_internal_error_is_tried_again() {
    each_code_is_overcome("categoryUser.add", "INTERNAL_SERVER_ERROR").await;
    each_code_is_overcome("categoryUser.delete", "INTERNAL_SERVER_ERROR").await;
    each_code_is_overcome("categoryUser.get", "INTERNAL_SERVER_ERROR").await;
}

#[tokio::test]
async fn a_refusal_stops_only_itself_and_is_named() {
    let site = with_changes().await;
    site.account()
        .faults()
        .fail_next("categoryUser.add", 1, "INVALID_USER_ID");
    site.sync().await.is(3);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("INVALID_USER_ID");
    recovers(&site, 1).await;
}

#[tokio::test]
async fn a_session_that_expires_in_the_middle() {
    let site = with_changes().await;
    site.account().faults().latency(Duration::from_millis(100));
    let run = site.spawn(&["sync"]);
    for _ in 0..40 {
        site.account().expire_sessions();
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    run.wait_with_output().await.unwrap();
    site.account().faults().clear();
    recovers(&site, 1).await;
}

#[tokio::test]
async fn answers_that_are_fewer_than_the_calls() {
    for keep in 0..3 {
        let site = with_changes().await;
        site.account().faults().shorten_answers(4, keep);
        site.sync().await;
        site.account().faults().clear();
        recovers(&site, 1).await;
    }
}

#[tokio::test]
async fn answers_that_come_too_late() {
    let mut site = with_changes().await;
    site.settings.kaltura += "\ntimeout = \"300ms\"";
    site.account().faults().latency(Duration::from_secs(3));
    site.sync().await.is(1);
    site.account().faults().clear();
    recovers(&site, 1).await;
}

#[tokio::test]
async fn lists_that_lag_behind_do_no_harm() {
    let site = with_changes().await;
    site.account().set_index_lag(Some(Duration::from_hours(1)));
    site.sync().await.is(0);
    site.sync_full().await;
    site.account().catch_up();
    recovers(&site, 1).await;
}

#[tokio::test]
async fn who_returns_while_lists_lag_behind_their_removal_is_not_forgotten() {
    let mut site = with(4, &[("bio", &[0, 1, 2])]).in_step().await;
    site.settings.policy = "removed_by_hand = \"skip\"".to_owned();
    site.sync().await.is(0);
    site.account().set_index_lag(Some(Duration::from_hours(1)));
    site.leave("bio", 1);
    site.sync().await.is(0);
    site.join("bio", 1);
    site.sync_full().await;
    site.account().catch_up();
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_list_with_rows_missing_takes_nobody_away_and_adds_nobody_twice() {
    let site = with_changes().await;
    site.account().faults().shorten_pages(2, 2);
    site.sync_full().await;
    site.account().faults().clear();
    recovers(&site, 1).await;
}

#[tokio::test]
async fn random_trouble_ends_well() {
    for action in [
        "categoryUser.add",
        "categoryUser.delete",
        "categoryUser.get",
    ] {
        let site = with_changes().await;
        site.put("bio", "stranger", (MEMBER, AUTOMATIC, ACTIVE));
        site.account()
            .faults()
            .fail_randomly(action, 0.5, "LOCK_TIMED_OUT");
        site.sync_full().await;
        site.account().faults().clear();
        site.sync_full().await;
        recovers(&site, 1).await;
    }
}

#[tokio::test]
async fn who_is_made_manual_between_two_attempts_at_their_removal_stays() {
    let site = with(20, &[("bio", BIO)])
        .set(|settings| settings.safety += "\ncategory = { percent = 50, at_least = 5 }")
        .in_step()
        .await;
    let faults = site.account().faults().clone();
    faults.fail_next("categoryUser.delete", 3, "LOCK_TIMED_OUT");
    for person in 0..3 {
        site.leave("bio", person);
    }
    let meanwhile = async {
        while faults.injected().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        site.put("bio", "p1", (MEMBER, MANUAL, ACTIVE));
    };
    tokio::join!(site.sync(), meanwhile);
    let mut wanted: Vec<String> = (3..12).map(|n| format!("p{n}")).collect();
    wanted.push("p1 manual".to_owned());
    wanted.sort();
    assert_eq!(site.members("bio"), wanted);
}

#[tokio::test]
async fn an_addition_whose_answer_was_lost_and_that_cannot_be_looked_at_is_found_out_by_the_next_run()
 {
    let site = with(20, &[("bio", BIO)])
        .set(|settings| settings.kaltura = "retries = 1".into())
        .in_step()
        .await;
    let faults = site.account().faults().clone();
    for rule in [
        "categoryUser.add: cut-after next=1",
        "categoryUser.get: error=ACTION_FAILED after=1",
    ] {
        faults.add(rule.parse().unwrap());
    }
    site.join("bio", 15);
    site.sync().await;
    faults.clear();
    site.sync().await;
    let told = site.rollbook(&["history", "--user", "p15"]).await.is(0);
    told.says_nothing_of("changed");
}
