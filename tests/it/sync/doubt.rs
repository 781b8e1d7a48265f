//! Killed between a call's answer and the note of it: what this program did is not taken for the act of
//! a person, and what it gave is not taken for somebody else's.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use super::site::{ACTIVE, AUTOMATIC, NONE, Site, with};
use crate::slapd::{self, BASE_LDIF};

/// Runs, and dies at a point.
async fn dies_at(site: &Site, point: &str) {
    let mut command = site.command(&["sync"]);
    let output = command
        .env("ROLLBOOK_KILL_AT", point)
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.signal(), Some(9), "{output:?}");
    site.wait_an_hour();
}

async fn in_step(policy: &str) -> Site {
    with(6, &[("bio", &[0, 1, 2, 3])])
        .set(|settings| policy.clone_into(&mut settings.policy))
        .in_step()
        .await
}

#[tokio::test]
async fn whom_a_killed_run_removed_was_not_removed_by_hand() {
    let site = in_step("removed_by_hand = \"skip\"").await;
    site.leave("bio", 1);
    dies_at(&site, "after-writing").await;
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
    site.join("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
}

#[tokio::test]
async fn whom_a_killed_run_deactivated_was_not_deactivated_by_hand() {
    let site = in_step("departure = \"deactivate\"").await;
    site.leave("bio", 1);
    dies_at(&site, "after-writing").await;
    assert_eq!(site.members("bio"), ["p0", "p1 inactive", "p2", "p3"]);
    site.join("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
}

#[tokio::test]
async fn whom_a_killed_run_added_is_ours_to_remove() {
    let site = in_step("ownership = \"ledger\"").await;
    site.join("bio", 5);
    dies_at(&site, "after-writing").await;
    site.leave("bio", 5);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn the_history_tells_what_a_killed_run_did_as_done() {
    let site = in_step("").await;
    site.leave("bio", 1);
    dies_at(&site, "after-writing").await;
    site.sync().await.is(0);
    let told = site
        .rollbook(&["history", "--user", "p1", "--format", "json"])
        .await
        .is(0);
    told.says("\"remove\"").says_nothing_of("unknown");
}

#[tokio::test]
async fn who_is_gone_by_half_of_a_replacement_comes_back() {
    let site = in_step("removed_by_hand = \"skip\"").await;
    site.put("bio", "p1", (NONE, AUTOMATIC, ACTIVE));
    site.account()
        .faults()
        .fail_next("categoryUser.add", 1, "INVALID_USER_ID");
    site.sync_full().await.is(3);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
}

#[tokio::test]
async fn half_a_file_and_a_death_take_nobody_away_when_the_whole_file_is_back() {
    let mut site = with(0, &[]).channel("bio").start().await;
    let path = site.path("directory.ldif");
    site.settings.source = Some(format!(
        "kind = \"ldif\"\npath = \"{}\"\nend_marker = \"# end\"",
        path.display()
    ));
    let whole =
        BASE_LDIF.to_owned() + &slapd::people(5) + &slapd::group("bio", [0, 1, 2, 3]) + "# end\n";
    fs::write(&path, &whole).unwrap();
    site.sync().await.is(0);
    let (half, _) = whole.split_once("member: uid=p2").unwrap();
    fs::write(&path, half).unwrap();
    dies_at(&site, "after-absorbing").await;
    fs::write(&path, &whole).unwrap();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
    assert_eq!(site.taken(), [""; 0]);
}
