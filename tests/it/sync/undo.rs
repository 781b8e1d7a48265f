//! Taking back what a run did.

use rollbook::category::{CategoryId, PermissionLevel, UpdateMethod, UserId};
use rollbook::config::Config;
use rollbook::kaltura::{Credentials, Found, Kaltura, Write};
use rollbook::sandbox::NewCategory;

use crate::slapd::{READER, SUFFIX};

use super::site::{ACTIVE, AUTOMATIC, MANAGER, MANUAL, MEMBER, NOT_ACTIVE, ROOT, Run, Site, with};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2]);

impl Site {
    /// The number of the last run.
    pub(super) async fn last_run(&self) -> String {
        let status = self.rollbook(&["status", "--json"]).await.is(0);
        let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
        status["runs"][0]["id"].to_string()
    }

    async fn undo(&self, run: &str, more: &[&str]) -> Run {
        self.rollbook(&[&["undo", run], more].concat()).await
    }
}

#[tokio::test]
async fn who_left_comes_back_and_who_came_goes() {
    let site = with(5, &[BIO]).in_step().await;
    site.leave("bio", 1);
    site.join("bio", 3);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
    let run = site.last_run().await;

    site.undo(&run, &["--dry-run"])
        .await
        .is(0)
        .says("p1")
        .says("dry run");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
    site.undo(&run, &[])
        .await
        .is(0)
        .says("~ p1  member again")
        .says("- p3");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn what_was_undone_is_not_done_again_unasked() {
    let site = with(5, &[BIO]).in_step().await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.undo(&run, &[]).await.is(0);
    let held = site.sync_full().await.is(4);
    let digest = held.says("undone or rejected").digest();
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.rollbook(&["approve", &digest]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn when_the_directory_agrees_again_nobody_is_asked() {
    let site = with(5, &[BIO]).in_step().await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.undo(&run, &[]).await.is(0);
    site.join("bio", 1);
    site.sync_full().await.is(0);
    site.leave("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn what_was_undone_is_remembered_while_nobody_knows_whether_the_directory_agrees() {
    let mut site = with(5, &[BIO])
        .set(|settings| READER.clone_into(&mut settings.bind_dn))
        .in_step()
        .await;
    site.join("bio", 3);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.undo(&run, &[]).await.is(0).says("- p3");

    let seen = site.slapd.database().to_owned();
    site.slapd.reconfigure(&format!(
        "access to dn.exact=\"uid=p3,ou=people,{SUFFIX}\" by dn.exact=\"{READER}\" none by * read\n\
         access to * by * read\n"
    ));
    site.sync_full().await;
    site.sync_full().await;
    site.slapd.reconfigure(&seen);
    site.sync_full().await.is(4).says("undone or rejected");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn who_stays_by_a_second_row_is_not_said_to_be_gone() {
    let site = with(5, &[BIO]).in_step().await;
    site.join("bio", 3);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.account()
        .add_twin(site.channel("bio"), "p3", MEMBER, MANUAL);
    site.undo(&run, &[]).await.is(3).says("Not done: 1 change");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3 manual"]);
}

#[tokio::test]
async fn what_changed_since_is_listed_and_left_alone() {
    let site = with(5, &[BIO]).in_step().await;
    site.join("bio", 3);
    site.join("bio", 4);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.put("bio", "p3", (MANAGER, MANUAL, ACTIVE));
    let undone = site.undo(&run, &[]).await.is(0);
    undone.says("! p3  changed since").says("- p4");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3 manager manual"]);
    let undo = site.last_run().await;
    let told = site.rollbook(&["history", "--run", &undo]).await.is(0);
    told.says("! p3  changed since: left as it is");
    assert_eq!(
        site.undo(&undo, &[])
            .await
            .is(0)
            .stdout
            .matches("p3")
            .count(),
        0
    );
}

#[tokio::test]
async fn levels_methods_and_deactivation_come_back() {
    let site = with(5, &[BIO])
        .set(|settings| {
            settings.policy = "manual = \"override\"\ndeparture = \"deactivate\"".into();
            settings.safety.push_str("\nlast_manager = \"allow\"");
        })
        .in_step()
        .await;
    site.put("bio", "p0", (MANAGER, MANUAL, ACTIVE));
    site.put("bio", "p1", (MANAGER, AUTOMATIC, ACTIVE));
    site.leave("bio", 2);
    site.sync_full().await.is(0);
    let bio = site.channel("bio");
    assert_eq!(site.account().member(bio, "p2").unwrap().status, NOT_ACTIVE);
    let run = site.last_run().await;
    site.undo(&run, &[]).await.is(0);
    let told = |user: &str| {
        let member = site.account().member(bio, user).unwrap();
        (member.permission_level, member.update_method, member.status)
    };
    assert_eq!(told("p0"), (MANAGER, MANUAL, ACTIVE));
    assert_eq!(told("p1"), (MANAGER, AUTOMATIC, ACTIVE));
    assert_eq!(told("p2"), (MEMBER, AUTOMATIC, ACTIVE));
}

#[tokio::test]
async fn permissions_beyond_the_level_come_back() {
    let site = with(5, &[BIO]).in_step().await;
    let config = Config::load(&site.path("rollbook.toml")).unwrap().config;
    let credentials = Credentials::resolve(&config.kaltura).unwrap();
    let kaltura = Kaltura::new(&config.kaltura, credentials).unwrap();
    let (category, user) = (CategoryId(site.channel("bio")), UserId::new("p1"));
    let subscribe = vec!["CATEGORY_SUBSCRIBE".to_owned()];
    let subscribed = Write::SetLevel {
        category,
        user: user.clone(),
        level: PermissionLevel::Member,
        method: UpdateMethod::Automatic,
        over_manual: false,
        extra_permissions: subscribe.clone(),
    };
    crate::kaltura_client::write(&kaltura, &[subscribed])
        .await
        .unwrap();
    site.leave("bio", 1);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.undo(&run, &[]).await.is(0).says("Done: 1 change");
    let found = kaltura.memberships(&[(category, user)]).await.unwrap();
    let Found::Present(there) = &found[0] else {
        panic!("{found:?}");
    };
    assert_eq!(there.extra_permissions, subscribe);
}

#[tokio::test]
async fn one_person_and_one_channel_may_be_undone_alone() {
    let site = with(5, &[BIO, ("chem", &[0])]).in_step().await;
    for group in ["bio", "chem"] {
        site.join(group, 3);
        site.join(group, 4);
    }
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.undo(&run, &["--user", "p3", "--category", "chem"])
        .await
        .is(0);
    assert_eq!(site.members("chem"), ["p0", "p4"]);
    assert_eq!(site.members("bio").len(), 5);
}

#[tokio::test]
async fn an_undo_that_takes_too_much_is_held_like_any_plan() {
    let site = with(12, &[BIO]).in_step().await;
    for person in 3..12 {
        site.join("bio", person);
    }
    site.sync().await.is(0);
    let run = site.last_run().await;
    let held = site.undo(&run, &["--log-level", "info"]).await.is(4);
    let held = held.says("9 of 12 memberships would be lost");
    let digest = held.digest();
    assert!(held.stderr.contains(&digest), "{}", held.stderr);
    assert_eq!(site.members("bio").len(), 12);
    site.sync_full().await.is(0);
    let approved = site.rollbook(&["approve", &digest]).await.is(0);
    approved.says(&format!("rollbook undo {run}"));
    site.undo(&run, &[]).await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn who_owns_the_channel_by_now_is_left_alone() {
    let site = with(5, &[BIO]).in_step().await;
    site.join("bio", 3);
    site.sync().await.is(0);
    let run = site.last_run().await;
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>bio"),
        reference_id: Some("bio".to_owned()),
        owner: Some("p3".to_owned()),
        ..NewCategory::default()
    });
    site.undo(&run, &[])
        .await
        .is(0)
        .says("p3  owns the channel");
    assert!(site.account().member(site.channel("bio"), "p3").is_some());
}

#[tokio::test]
async fn an_undo_of_the_same_channels_is_the_same_however_they_are_named() {
    let site = with(12, &[BIO]).in_step().await;
    for person in 3..12 {
        site.join("bio", person);
    }
    site.sync().await.is(0);
    let run = site.last_run().await;
    let held = site.undo(&run, &["--category", "bio"]).await.is(4);
    let bio = site.channel("bio").to_string();
    let approved = site.rollbook(&["approve", &held.digest()]).await.is(0);
    approved.says(&format!("rollbook undo {run} --category {bio}"));
    site.undo(&run, &["--category", &bio]).await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn an_undo_that_had_to_be_approved_is_not_done_again_unasked_either() {
    let site = with(12, &[BIO]).in_step().await;
    for person in 3..12 {
        site.join("bio", person);
    }
    site.sync().await.is(0);
    let run = site.last_run().await;
    let digest = site.undo(&run, &[]).await.is(4).digest();
    site.rollbook(&["approve", &digest]).await.is(0);
    site.undo(&run, &[]).await.is(0);
    site.sync_full().await.is(4).says("undone or rejected");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn an_undo_can_be_undone() {
    let site = with(5, &[BIO]).in_step().await;
    site.leave("bio", 1);
    site.join("bio", 3);
    site.sync().await.is(0);
    let first = site.last_run().await;
    site.undo(&first, &[]).await.is(0);
    let second = site.last_run().await;
    site.undo(&second, &[]).await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn what_could_not_be_undone_is_said_and_not_set_aside() {
    let site = with(5, &[BIO]).in_step().await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    let run = site.last_run().await;
    let account = site.account();
    account
        .faults()
        .fail_next("categoryUser.add", 1, "CATEGORY_MAX_USER_REACHED");
    let undone = site.undo(&run, &[]).await.is(3);
    undone.says("Not done: 1 change; an undo is not repeated by itself");
    let status = site.rollbook(&["status"]).await.is(0);
    status.says_nothing_of("Set aside");
    let told = site.rollbook(&["history", "--user", "p1"]).await.is(0);
    told.says("[refused: CATEGORY_MAX_USER_REACHED]");
    site.undo(&run, &[]).await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_run_that_nobody_knows_is_named() {
    let site = with(5, &[BIO]).in_step().await;
    let unknown = site.undo("4711", &[]).await.is(2);
    assert!(
        unknown.stderr.contains("nothing of a run 4711"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn what_somebody_else_had_done_by_then_is_not_undone() {
    let site = with(5, &[BIO]).in_step().await;
    let account = site.account();
    account.set_index_lag(Some(std::time::Duration::from_hours(1)));
    site.put("bio", "p3", (MEMBER, AUTOMATIC, ACTIVE));
    site.join("bio", 3);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
    let run = site.last_run().await;
    site.undo(&run, &[]).await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
}
