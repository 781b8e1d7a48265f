//! Arguments, formats, and what is said.

use super::site::{Site, Start, with};

fn start() -> Start {
    with(6, &[("bio", &[0, 1, 2]), ("chem", &[0, 1])])
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_uses_nothing_up() {
    let site = start().start().await;
    site.rollbook(&["sync", "--dry-run"])
        .await
        .is(0)
        .says("dry run");
    assert_eq!(site.account().calls().writes(), []);
    site.sync().await.is(0);
    site.account().calls().reset();
    site.join("bio", 3);
    site.rollbook(&["sync", "--dry-run"])
        .await
        .is(0)
        .says("+ p3");
    site.rollbook(&["sync", "--dry-run"])
        .await
        .is(0)
        .says("+ p3");
    assert_eq!(site.account().calls().writes(), []);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
}

#[tokio::test]
async fn a_dry_run_answers_whether_there_is_anything_to_do() {
    let site = start().in_step().await;
    let dry = ["sync", "--dry-run", "--exit-code"];
    site.rollbook(&dry).await.is(0);
    site.leave("bio", 0);
    site.rollbook(&dry).await.is(5);
    site.sync().await.is(0);
    site.rollbook(&dry).await.is(0);
}

#[tokio::test]
async fn a_dry_run_says_that_a_run_would_hold_the_plan() {
    let site = start()
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    site.rollbook(&["sync", "--dry-run"])
        .await
        .is(0)
        .says("A run would hold it");
    site.rollbook(&["status"])
        .await
        .is(0)
        .says_nothing_of("approve");
}

#[tokio::test]
async fn the_plan_as_json_and_in_a_file() {
    let site = start().start().await;
    let file = site.path("plan.json");
    let dry = [
        "sync",
        "--dry-run",
        "--out",
        file.to_str().unwrap(),
        "--format",
    ];
    let json = site.rollbook(&[&dry[..], &["json"]].concat()).await.is(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["report"]["planned"]["add"], 5);
    let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(plan, json["plan"]);
}

/// Two joined, in two channels.
async fn two_changes() -> Site {
    let site = start().in_step().await;
    site.join("bio", 3);
    site.join("chem", 4);
    site
}

async fn the_other_change_waits(site: &Site) {
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
    assert_eq!(site.members("chem"), ["p0", "p1"]);
    site.sync().await.is(0);
    assert_eq!(site.members("chem"), ["p0", "p1", "p4"]);
}

#[tokio::test]
async fn a_run_for_one_person_leaves_the_others_waiting() {
    let site = two_changes().await;
    site.rollbook(&["sync", "--user", "P3"]).await.is(0);
    the_other_change_waits(&site).await;
}

#[tokio::test]
async fn a_run_for_one_group_leaves_the_others_waiting() {
    let site = two_changes().await;
    site.rollbook(&["sync", "--group", "bio"]).await.is(0);
    the_other_change_waits(&site).await;
}

#[tokio::test]
async fn a_run_for_one_channel_leaves_the_others_waiting() {
    let site = two_changes().await;
    site.rollbook(&["sync", "--category", "bio"]).await.is(0);
    the_other_change_waits(&site).await;
}

#[tokio::test]
async fn a_channel_may_be_named_by_its_number() {
    let site = two_changes().await;
    let bio = site.channel("bio").to_string();
    site.rollbook(&["sync", "--category", &bio]).await.is(0);
    the_other_change_waits(&site).await;
}

#[tokio::test]
async fn the_very_first_run_may_be_for_one_person() {
    let site = start().start().await;
    site.rollbook(&["sync", "--user", "p2"]).await.is(0);
    assert_eq!(site.members("bio"), ["p2"]);
    assert_eq!(site.members("chem"), [""; 0]);
    site.sync().await.is(0);
    assert_eq!(site.members("chem"), ["p0", "p1"]);
}

#[tokio::test]
async fn an_unknown_channel_is_wrong_usage() {
    let site = start().in_step().await;
    site.rollbook(&["sync", "--category", "nowhere"])
        .await
        .is(2)
        .says("nowhere");
}

#[tokio::test]
async fn a_wrong_configuration_is_wrong_usage() {
    let mut site = start().start().await;
    site.settings.policy = "manuel = \"respect\"".to_owned();
    site.sync().await.is(2).says("manuel");
    site.settings.policy = "departure = \"vanish\"".to_owned();
    site.rollbook(&["check"]).await.is(2).says("vanish");
    site.rollbook(&["sync", "--frobnicate"]).await.is(2);
}

#[tokio::test]
async fn a_digest_that_no_plan_has_is_refused() {
    let site = start().in_step().await;
    site.rollbook(&["approve", "0123456789ab"])
        .await
        .is(1)
        .says("no plan that begins with 0123456789ab is held");
}

#[tokio::test]
async fn check_finds_all_in_place() {
    let site = start().start().await;
    site.rollbook(&["check"]).await.is(0).says("✓ Kaltura");
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn check_finds_what_is_not() {
    let mut site = start().start().await;
    super::site::private(
        &site.path("kaltura.secret"),
        "0123456789abcdef0123456789abcdef",
    );
    site.rollbook(&["check"]).await.is(1).says("✗ Kaltura");
    site.settings.people = "filter = \"(employeeType=nobody)\"".to_owned();
    site.rollbook(&["check"]).await.is(1).says("0 of 0 people");
    site.slapd.kill();
    site.rollbook(&["check"])
        .await
        .is(1)
        .says("✗ directory campus");
}

/// Times, digests and numbers are of the moment.
fn of_any_moment(text: &str, check: impl FnOnce(&str)) {
    insta::with_settings!({filters => vec![
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[time]"),
        (r"\b[0-9a-f]{12}\b", "[digest]"),
        (r"channel \d+", "channel [id]"),
    ]}, { check(text) });
}

#[tokio::test]
async fn the_status_of_a_held_plan() {
    let site = start()
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    site.sync().await.is(4);
    let status = site.rollbook(&["status"]).await.is(0);
    of_any_moment(&status.stdout, |text| {
        insta::assert_snapshot!(text, @r"
    Directory campus: 6 people, 2 groups; last read [time], in full [time]

    Runs, newest first
          1  [time]  sync: held

    Held until somebody approves
      [digest]  5 to add, 0 to change, 0 to remove, since [time], because it is the first plan of this configuration
        look at it: rollbook show [digest]    release it: rollbook approve [digest]    leave it: rollbook reject [digest]
    ");
    });
}

#[tokio::test]
async fn the_status_of_a_change_that_was_set_aside() {
    let site = start().start().await;
    site.account()
        .faults()
        .fail_next("categoryUser.add", 1, "INVALID_USER_ID");
    site.sync().await.is(3);
    let status = site.rollbook(&["status"]).await.is(0);
    of_any_moment(&status.stdout, |text| {
        insta::assert_snapshot!(text, @r"
    Directory campus: 6 people, 2 groups; last read [time], in full [time]

    Runs, newest first
          1  [time]  sync: partly done

    Set aside, oldest first
      channel [id], p0: INVALID_USER_ID (1 try), next try [time]
    ");
    });
}
