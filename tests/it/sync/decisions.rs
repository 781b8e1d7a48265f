//! What was decided stays decided, and what was not stays open, whatever comes in between.

use rollbook::sandbox::NewCategory;

use rustix::process::Signal;

use super::leases::{is_asleep, send};
use super::site::{ACTIVE, AUTOMATIC, MANUAL, MEMBER, ROOT, Run, Site, with};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2, 3, 4, 5]);
const CHEM: (&str, &[usize]) = ("chem", &[0, 1, 2]);

/// A site whose first plan nobody has seen.
async fn new_site() -> Site {
    with(12, &[BIO, CHEM])
        .set(|settings| settings.safety.clear())
        .start()
        .await
}

async fn accepted() -> Site {
    let site = new_site().await;
    let digest = site.sync().await.is(4).digest();
    site.rollbook(&["approve", &digest]).await.is(0);
    site.sync().await.is(0);
    site
}

/// Gives the category above the channels another name.
fn rename_root(site: &Site, name: &str) {
    let bio = site.account().channel(site.channel("bio")).unwrap();
    let path = bio.full_name.rsplit_once('>').unwrap().0;
    let root = site.account().category_at(path).unwrap();
    site.account().rename_category(root, name);
    site.account().work(None);
    site.account().catch_up();
}

#[tokio::test]
async fn a_root_that_is_away_for_a_time_settles_nothing() {
    let site = new_site().await;
    site.sync().await.is(4);
    rename_root(&site, "kanaele");
    let failed = site.sync_full().await.is(1);
    assert!(failed.stderr.contains("kaltura.root"), "{}", failed.stderr);
    rename_root(&site, "channels");
    site.sync_full().await.is(4);
    assert_eq!(site.members("bio"), [""; 0]);
}

#[tokio::test]
async fn a_root_that_goes_away_between_two_runs_loses_no_change() {
    let site = accepted().await;
    rename_root(&site, "kanaele");
    site.leave("bio", 0);
    site.sync().await.is(1);
    rename_root(&site, "channels");
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 5);
}

#[tokio::test]
async fn a_session_that_sees_no_channel_is_told_why() {
    let site = new_site().await;
    for name in ["bio", "chem"] {
        site.account().delete_category(site.channel(name));
    }
    let failed = site.sync().await.is(1);
    assert!(
        failed.stderr.contains("no channel is to be seen"),
        "{}",
        failed.stderr
    );
}

#[tokio::test]
async fn a_configuration_whose_channels_come_later_is_asked_about_then() {
    let mut site = new_site().await;
    site.settings.bindings =
        "[[binding]]\ngroup = \"bio\"\ncategory = { reference_id = \"later\" }\n".into();
    site.sync().await.is(0);
    site.add_channel("later");
    site.put("later", "stranger", (MEMBER, AUTOMATIC, ACTIVE));
    site.sync().await.is(4);
    site.sync_full().await.is(4);
    assert_eq!(site.members("later"), ["stranger"]);
}

#[tokio::test]
async fn a_channel_that_comes_later_loses_nobody_unasked() {
    let site = accepted().await;
    site.add_channel("later");
    site.put("later", "stranger", (MEMBER, AUTOMATIC, ACTIVE));
    let group = crate::slapd::group("later", [1]);
    site.slapd
        .modify(&group.replacen('\n', "\nchangetype: add\n", 1));
    let digest = site.sync().await.is(4).digest();
    site.sync_full().await.is(4).says("stranger");
    assert_eq!(site.members("later"), ["stranger"]);
    site.rollbook(&["approve", &digest]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("later"), ["p1"]);
}

#[tokio::test]
async fn a_configuration_that_was_put_back_and_in_force_again_is_asked_about_again() {
    let mut site = accepted().await;
    let first = std::mem::replace(
        &mut site.settings.bindings,
        "[[binding]]\ngroup = \"chem\"\ncategory = { reference_id = \"bio\" }\n".into(),
    );
    site.sync().await.is(4);
    let other = std::mem::replace(&mut site.settings.bindings, first);
    site.join("chem", 7);
    site.sync().await.is(0);
    site.settings.bindings = other;
    site.sync().await.is(4);
    site.sync_full().await.is(4);
    assert_eq!(site.members("bio").len(), 6);
}

#[tokio::test]
async fn another_server_with_an_account_of_the_same_number_is_another_account() {
    let mut site = accepted().await;
    let other = with(1, &[BIO, CHEM]).start().await;
    other.put("bio", "stranger", (MEMBER, AUTOMATIC, ACTIVE));
    std::fs::copy(other.path("kaltura.secret"), site.path("kaltura.secret")).unwrap();
    site.settings.kaltura_url = Some(other.sandbox.url().to_owned());
    site.sync().await.is(4);
    assert_eq!(other.members("bio"), ["stranger"]);
}

#[tokio::test]
async fn what_is_held_by_sync_is_not_done_in_parts_by_saved_plans() {
    let site = accepted().await;
    for person in 0..4 {
        site.leave("bio", person);
    }
    site.sync().await.is(4);
    let file = site.path("plan.json");
    let whole = file.display().to_string();
    site.rollbook(&["sync", "--dry-run", "--full", "--out", &whole])
        .await;
    let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for kept in 0..2 {
        let mut part = plan.clone();
        let actions = part["categories"][0]["actions"].as_array_mut().unwrap();
        *actions = vec![actions[kept].clone()];
        std::fs::write(&file, part.to_string()).unwrap();
        site.rollbook(&["apply", &whole]).await.is(4);
    }
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn a_rejection_is_for_whoever_plans_the_change() {
    let site = accepted().await;
    for person in 0..4 {
        site.leave("bio", person);
    }
    let digest = site.sync().await.is(4).digest();
    site.rollbook(&["reject", &digest]).await.is(0);
    let file = site.path("plan.json").display().to_string();
    site.rollbook(&["sync", "--dry-run", "--full", "--out", &file])
        .await;
    site.rollbook(&["apply", &file]).await;
    site.sync_full().await.is(0).says("somebody rejected it");
    assert_eq!(site.taken(), [""; 0]);
    site.rollbook(&["held"]).await.is(0);
}

#[tokio::test]
async fn a_second_approval_of_a_plan_overrules_nobodys_rejection() {
    let site = accepted().await;
    for person in 0..4 {
        site.leave("bio", person);
    }
    for person in 0..3 {
        site.leave("chem", person);
        site.join("chem", 6 + person);
    }
    let digest = site.sync().await.is(4).digest();
    site.rollbook(&["reject", &digest, "--category", "bio", "--by", "ruth"])
        .await
        .is(0);
    site.rollbook(&["approve", &digest]).await.is(0);
    let again = site.rollbook(&["approve", &digest]).await.is(1);
    assert!(
        again.stderr.contains("1 channel rejected"),
        "{}",
        again.stderr
    );
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 6);
    assert_eq!(site.members("chem"), ["p6", "p7", "p8"]);
    site.rollbook(&["approve", &digest, "--category", "bio"])
        .await
        .is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 2);
}

#[tokio::test]
async fn what_is_held_stays_held_when_the_limit_would_not_trip_any_more() {
    let site = accepted().await;
    for person in 0..4 {
        site.leave("bio", person);
    }
    site.sync().await.is(4);
    for person in 1..4 {
        site.join("bio", person);
    }
    site.sync().await.is(4).says("1 to remove");
    assert_eq!(site.taken(), [""; 0]);
    site.join("bio", 0);
    site.sync().await.is(0);
    site.rollbook(&["held"]).await.is(0).says("Nothing is held");
}

#[tokio::test]
async fn a_run_that_finds_nothing_new_says_what_is_held() {
    let site = accepted().await;
    for person in 0..4 {
        site.leave("bio", person);
    }
    site.sync().await.is(4);
    site.sync()
        .await
        .is(4)
        .says("Still held, since an earlier run: ");
    site.sync_full()
        .await
        .is(4)
        .says_nothing_of("Every channel is as its groups say.");
}

#[tokio::test]
async fn an_undo_stays_below_the_root() {
    let site = accepted().await;
    site.join("bio", 7);
    site.sync().await.is(0);
    let run = site.rollbook(&["status", "--json"]).await.stdout;
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let run = run["runs"][0]["id"].to_string();
    rename_root(&site, "elsewhere");
    site.rollbook(&["undo", &run])
        .await
        .is(1)
        .says("no channel is to be seen below kaltura.root");
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>another"),
        ..NewCategory::default()
    });
    site.rollbook(&["undo", &run])
        .await
        .says("not below kaltura.root");
    assert!(site.members("bio").contains(&"p7".to_owned()));
}

/// A site in step, and a channel that has come since, with a member whom no group grants it.
async fn with_a_new_channel() -> Site {
    let site = accepted().await;
    site.add_channel("later");
    site.put("later", "stranger", (MEMBER, AUTOMATIC, ACTIVE));
    let group = crate::slapd::group("later", [1]);
    site.slapd
        .modify(&group.replacen('\n', "\nchangetype: add\n", 1));
    site
}

#[tokio::test]
async fn a_new_channel_is_asked_about_whoever_has_looked_at_it_before() {
    for look in [
        &["sync", "--dry-run"][..],
        &["sync", "--user", "p1"],
        &["sync", "--dry-run", "--full"],
    ] {
        let site = with_a_new_channel().await;
        site.rollbook(look).await;
        site.sync().await.is(4);
        assert!(
            site.members("later").contains(&"stranger".to_owned()),
            "{look:?}"
        );
    }
}

#[tokio::test]
async fn a_hold_on_a_new_channel_outlives_another_configuration() {
    let mut site = with_a_new_channel().await;
    site.sync().await.is(4);
    let other = "[[binding]]\ngroup = \"chem\"\n".to_owned();
    let first = std::mem::replace(&mut site.settings.bindings, other);
    site.sync_full().await;
    site.settings.bindings = first;
    site.sync_full().await.is(4);
    assert_eq!(site.members("later"), ["stranger"]);
}

#[tokio::test]
async fn an_answer_to_a_saved_plan_is_over_when_nothing_is_left_to_do() {
    for answer in ["approve", "reject"] {
        let site = accepted().await;
        let leave = || (0..4).for_each(|person| site.leave("bio", person));
        leave();
        let file = site.path("plan.json").display().to_string();
        site.rollbook(&["sync", "--dry-run", "--full", "--out", &file])
            .await;
        let digest = site.rollbook(&["apply", &file]).await.is(4).digest();
        site.rollbook(&[answer, &digest]).await.is(0);
        for person in 0..4 {
            site.join("bio", person);
        }
        site.sync_full().await.is(0);
        site.rollbook(&["held"]).await.is(0).says("Nothing is held");
        leave();
        site.sync_full().await.is(4);
        assert_eq!(site.members("bio").len(), 6, "{answer}");
    }
}

#[tokio::test]
async fn the_word_of_one_account_does_not_count_in_another() {
    let mut site = accepted().await;
    site.settings.policy = "removed_by_hand = \"skip\"".to_owned();
    let digest = site.sync_full().await;
    if digest.code == Some(4) {
        site.rollbook(&["approve", &digest.digest()]).await.is(0);
        site.sync().await.is(0);
    }
    site.join("bio", 7);
    site.sync().await.is(0);
    let run = site.rollbook(&["status", "--json"]).await.stdout;
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let run = run["runs"][0]["id"].to_string();
    let other = with(1, &[BIO, CHEM]).start().await;
    other.put("bio", "p7", (MEMBER, AUTOMATIC, ACTIVE));
    std::fs::copy(other.path("kaltura.secret"), site.path("kaltura.secret")).unwrap();
    site.settings.kaltura_url = Some(other.sandbox.url().to_owned());
    let refused = site.rollbook(&["undo", &run]).await.is(2);
    assert!(
        refused.stderr.contains("another Kaltura account"),
        "{}",
        refused.stderr
    );
    assert_eq!(other.members("bio"), ["p7"]);
    // Who was never in these channels was not removed from them by hand.
    site.sync().await.is(4).says("9 to add");
}

#[tokio::test]
async fn a_saved_plan_that_names_a_change_twice_is_refused() {
    let site = accepted().await;
    site.join("bio", 8);
    let file = site.path("plan.json");
    let name = file.display().to_string();
    site.rollbook(&["sync", "--dry-run", "--full", "--out", &name])
        .await;
    let mut plan: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let parts = plan["categories"].as_array_mut().unwrap();
    parts.push(parts[0].clone());
    std::fs::write(&file, plan.to_string()).unwrap();
    let refused = site.rollbook(&["apply", &name]).await.is(1);
    assert!(
        refused.stderr.contains("two changes for p8"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn a_plan_of_another_configuration_is_not_approved_by_this_one() {
    let mut site = new_site().await;
    let digest = site.sync().await.is(4).digest();
    let before = site.settings.policy.clone();
    site.settings.policy = "removed_by_hand = \"skip\"".to_owned();
    site.rollbook(&["approve", &digest])
        .await
        .is(1)
        .says("was made by another configuration");
    site.settings.policy = before;
    site.rollbook(&["approve", &digest]).await.is(0);
    site.sync().await.is(0);
}

/// A site with a plan that waits: four people are to leave `bio`.
async fn with_a_hold() -> Site {
    let site = accepted().await;
    site.account().calls().reset();
    for person in 0..4 {
        site.leave("bio", person);
    }
    site.sync().await.is(4);
    site
}

#[tokio::test]
async fn a_hold_outlives_a_time_in_which_nothing_can_be_done() {
    let site = with_a_hold().await;
    for person in ["p0", "p1", "p2", "p3"] {
        site.put("bio", person, (MEMBER, MANUAL, ACTIVE));
    }
    site.sync_full().await;
    for person in ["p0", "p1", "p2", "p3"] {
        site.put("bio", person, (MEMBER, AUTOMATIC, ACTIVE));
    }
    site.sync_full().await.is(4).says("4 to remove");
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn a_hold_outlives_a_run_of_another_configuration() {
    let mut site = with_a_hold().await;
    let policy = site.settings.policy.clone();
    site.settings.policy = "removed_by_hand = \"skip\"".to_owned();
    site.sync().await.is(4);
    let other = std::mem::replace(&mut site.settings.policy, policy);
    site.sync().await.is(4).says("4 to remove");
    assert_eq!(site.taken(), [""; 0]);

    // Once the other one is accepted, what was held before is its own affair.
    site.settings.policy = other;
    let digest = site.sync().await.is(4).digest();
    site.rollbook(&["approve", &digest]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 2);
    site.rollbook(&["held"]).await.is(0).says("Nothing is held");
    site.join("bio", 0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 3);
}

#[tokio::test]
async fn what_was_undone_is_remembered_while_lists_are_late() {
    let site = accepted().await;
    site.leave("bio", 5);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.account()
        .set_index_lag(Some(std::time::Duration::from_hours(1)));
    site.rollbook(&["undo", &run]).await.is(0);
    site.sync_full().await.is(4).says("undone or rejected");
    site.account().set_index_lag(None);
    site.account().catch_up();
    site.sync_full().await.is(4).says("undone or rejected");
    assert!(site.members("bio").contains(&"p5".to_owned()));
    site.rollbook(&["history", "--user", "p5"])
        .await
        .is(0)
        .says_nothing_of("gone");
}

#[tokio::test]
async fn what_is_rejected_while_it_is_done_is_done_no_further_and_stays_rejected() {
    let mut site = with_a_hold().await;
    site.settings.kaltura = "batch = 1\nconcurrency = 1".to_owned();
    let digest = site.rollbook(&["held"]).await.is(4).digest();
    site.rollbook(&["approve", &digest]).await.is(0);
    let mut command = site.command(&["sync"]);
    let sleeper = command
        .env("ROLLBOOK_STOP_AT", "after-closing:1")
        .spawn()
        .unwrap();
    let id = sleeper.id().unwrap();
    is_asleep(id, "after-closing").await;
    // The answer counts from the next second on.
    site.wait_a_second().await;
    site.rollbook(&["reject", &digest, "--category", "bio"])
        .await
        .is(0);
    send(id, Signal::CONT);
    let run: Run = sleeper.wait_with_output().await.unwrap().into();
    run.is(3);
    assert_eq!(site.members("bio").len(), 5, "one of four has left");
    site.rollbook(&["held"]).await.is(0).says("rejected");
    site.sync_full().await;
    assert_eq!(site.members("bio").len(), 5);
}

#[tokio::test]
async fn what_a_killed_run_left_open_is_looked_at_in_its_own_account_only() {
    let mut site = accepted().await;
    site.leave("bio", 5);
    let mut command = site.command(&["sync"]);
    command.env("ROLLBOOK_KILL_AT", "after-opening:1");
    assert!(!command.output().await.unwrap().status.success());
    let other = with(1, &[BIO, CHEM]).start().await;
    let (secret, kept) = (site.path("kaltura.secret"), site.path("kept.secret"));
    std::fs::copy(&secret, &kept).unwrap();
    std::fs::copy(other.path("kaltura.secret"), &secret).unwrap();
    site.settings.kaltura_url = Some(other.sandbox.url().to_owned());
    site.rollbook(&["sync", "--dry-run"])
        .await
        .says("another Kaltura account have left changes open");
    site.rollbook(&["history", "--user", "p5"])
        .await
        .is(0)
        .says_nothing_of("- p5");

    site.settings.kaltura_url = None;
    std::fs::copy(&kept, &secret).unwrap();
    site.sync().await.is(0);
    assert!(!site.members("bio").contains(&"p5".to_owned()));
}
