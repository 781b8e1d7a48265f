//! What people do in Kaltura, and what channels are like.

use rollbook::sandbox::{Limits, NewCategory};

use super::site::{
    ACTIVE, AUTOMATIC, MANAGER, MANUAL, MEMBER, NONE, NOT_ACTIVE, PENDING, ROOT, Start, with,
};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2]);

fn bio() -> Start {
    with(6, &[BIO, ("chem", &[0])])
}

#[tokio::test]
async fn a_manual_membership_stays_wanted_or_not() {
    let site = bio().start().await;
    site.put("bio", "p0", (MANAGER, MANUAL, ACTIVE));
    site.put("bio", "p5", (MEMBER, MANUAL, ACTIVE));
    site.sync().await.is(0);
    site.leave("bio", 0);
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(
        site.members("bio"),
        ["p0 manager manual", "p1", "p2", "p5 manual"]
    );
}

#[tokio::test]
async fn a_membership_that_somebody_made_theirs_stays_when_its_person_leaves() {
    let site = bio().in_step().await;
    site.put("bio", "p1", (MANAGER, MANUAL, ACTIVE));
    site.leave("bio", 1);
    site.sync().await.is(0).says("set by hand");
    assert_eq!(site.members("bio"), ["p0", "p1 manager manual", "p2"]);
}

#[tokio::test]
async fn a_manual_membership_is_ours_where_the_policy_says_so() {
    let site = bio()
        .set(|settings| {
            settings.policy = "manual = \"override\"".into();
            settings.safety.push_str("\nlast_manager = \"allow\"");
        })
        .start()
        .await;
    site.put("bio", "p0", (MANAGER, MANUAL, ACTIVE));
    site.put("bio", "p5", (MEMBER, MANUAL, ACTIVE));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn the_owner_is_never_touched() {
    let site = bio().start().await;
    let own = |name: &str, owner: &str| {
        site.account().add_category(&NewCategory {
            path: format!("{ROOT}>{name}"),
            reference_id: Some(name.to_owned()),
            owner: Some(owner.to_owned()),
            ..NewCategory::default()
        })
    };
    let id = own("bio", "p1");
    own("chem", "dean");
    // An owner whose row is a synchroniser's is the owner all the same.
    site.put("bio", "p1", (MANAGER, AUTOMATIC, ACTIVE));
    site.put("chem", "dean", (MANAGER, AUTOMATIC, ACTIVE));
    site.sync().await.is(0);
    site.leave("bio", 1);
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.members_of(id), ["p0", "p1 manager", "p2"]);
    assert_eq!(site.members("chem"), ["dean manager", "p0"]);
}

#[tokio::test]
async fn a_protected_person_is_never_touched() {
    let site = bio()
        .set(|settings| settings.policy = "protected = [\"P1\", \"p5\"]".into())
        .start()
        .await;
    site.put("bio", "p5", (MANAGER, AUTOMATIC, ACTIVE));
    site.sync().await.is(0).says("protected");
    assert_eq!(site.members("bio"), ["p0", "p2", "p5 manager"]);
}

#[tokio::test]
async fn a_membership_deactivated_by_hand_stays_so() {
    let site = bio().in_step().await;
    site.put("bio", "p1", (MEMBER, AUTOMATIC, NOT_ACTIVE));
    site.sync_full().await.is(0).says("deactivated by hand");
    assert_eq!(site.members("bio"), ["p0", "p1 inactive", "p2"]);
}

#[tokio::test]
async fn a_membership_removed_by_hand_is_added_again() {
    let site = bio().in_step().await;
    site.account().remove_membership(site.channel("bio"), "p1");
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_membership_removed_by_hand_stays_away_where_the_policy_says_so() {
    let site = bio()
        .set(|settings| settings.policy = "removed_by_hand = \"skip\"".into())
        .in_step()
        .await;
    site.account().remove_membership(site.channel("bio"), "p1");
    site.sync_full().await.is(0).says("removed by hand");
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn a_request_to_join_is_granted_by_the_group() {
    let site = bio().start().await;
    site.put("bio", "p1", (MEMBER, MANUAL, PENDING));
    site.put("bio", "p5", (MEMBER, MANUAL, PENDING));
    site.sync().await.is(0);
    assert_eq!(
        site.members("bio"),
        ["p0", "p1", "p2", "p5 manual pending"],
        "it is no manual membership any more"
    );
    site.leave("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p5 manual pending"]);
}

#[tokio::test]
async fn a_request_that_cannot_be_made_ours_is_not_granted() {
    let site = bio().start().await;
    site.put("bio", "p1", (MEMBER, MANUAL, PENDING));
    let fault = "categoryUser.update: error=INTERNAL_SERVERL_ERROR next=1";
    site.account().faults().add(fault.parse().unwrap());
    site.sync().await.is(3);
    assert_eq!(site.members("bio"), ["p0", "p1 manual pending", "p2"]);
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_membership_of_level_none_is_made_anew() {
    let site = bio().start().await;
    site.put("bio", "p1", (NONE, AUTOMATIC, ACTIVE));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn two_rows_for_one_person_become_one() {
    let site = bio()
        .set(|settings| settings.safety.push_str("\nlast_manager = \"allow\""))
        .in_step()
        .await;
    site.account()
        .add_twin(site.channel("bio"), "p1", MEMBER, AUTOMATIC);
    site.account()
        .add_twin(site.channel("bio"), "p1", MANAGER, AUTOMATIC);
    site.sync_full().await;
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn of_two_rows_the_manual_one_stays() {
    let site = bio().in_step().await;
    site.account()
        .add_twin(site.channel("bio"), "p1", MANAGER, MANUAL);
    site.sync_full().await.is(0);
    assert!(
        site.members("bio")
            .contains(&"p1 manager manual".to_owned())
    );
    site.leave("bio", 1);
    site.sync_full().await;
    site.sync_full().await;
    assert!(
        site.members("bio")
            .contains(&"p1 manager manual".to_owned())
    );
}

#[tokio::test]
async fn two_rows_of_somebody_who_leaves_go_both() {
    let site = bio().in_step().await;
    site.account()
        .add_twin(site.channel("bio"), "p1", MEMBER, AUTOMATIC);
    site.leave("bio", 1);
    site.sync_full().await;
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn two_rows_of_somebody_who_leaves_go_both_by_changes_alone() {
    let site = bio().in_step().await;
    site.account()
        .add_twin(site.channel("bio"), "p1", MEMBER, AUTOMATIC);
    site.leave("bio", 1);
    site.sync().await.is(3);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn two_rows_of_somebody_who_leaves_are_not_left_half_active() {
    let site = bio()
        .set(|settings| settings.policy = "departure = \"deactivate\"".into())
        .in_step()
        .await;
    site.account()
        .add_twin(site.channel("bio"), "p1", MEMBER, AUTOMATIC);
    site.leave("bio", 1);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn a_channel_that_shows_the_members_of_another_is_left_alone() {
    let site = bio().start().await;
    site.account().inherit(site.channel("bio"));
    site.sync().await.says("none of its own");
    assert_eq!(site.account().calls().writes().len(), 1);
    assert_eq!(site.members("chem"), ["p0"]);
}

#[tokio::test]
async fn a_channel_that_begins_to_inherit_is_found_out_by_a_change() {
    let site = bio().in_step().await;
    site.account().inherit(site.channel("bio"));
    site.leave("bio", 0);
    site.sync().await.says("none of its own");
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn a_membership_that_turned_manual_behind_a_stale_list_is_saved() {
    let site = bio().in_step().await;
    site.account()
        .set_index_lag(Some(std::time::Duration::from_hours(1)));
    site.put("bio", "p1", (MANAGER, MANUAL, ACTIVE));
    site.leave("bio", 1);
    site.sync_full().await;
    assert_eq!(site.taken(), [""; 0]);
    site.account().catch_up();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1 manager manual", "p2"]);
}

fn small(limit: i64) -> Start {
    let mut start = with(8, &[("bio", &[0, 1, 2, 3])]);
    start.limits = Limits {
        users_per_category: limit,
        ..Limits::default()
    };
    start.set(|settings| {
        settings.kaltura = format!("retries = 1\nmembers_per_category = {limit}");
    })
}

#[tokio::test]
async fn a_full_channel_is_filled_as_far_as_it_goes() {
    let site = small(3).start().await;
    site.sync().await.says("the channel is full");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn in_a_full_channel_departures_go_first() {
    let site = small(4).in_step().await;
    site.join("bio", 4);
    site.join("bio", 5);
    site.leave("bio", 3);
    site.sync().await.says("the channel is full");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p4"]);
    site.leave("bio", 0);
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2", "p4", "p5"]);
}

#[tokio::test]
async fn a_channel_that_is_full_by_the_server_alone_is_tried_again() {
    let mut start = small(3);
    start.settings.kaltura = "retries = 1".to_owned();
    let site = start.start().await;
    site.sync().await.is(3);
    assert_eq!(site.members("bio").len(), 3);
    site.leave("bio", 0);
    site.sync().await;
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2", "p3"]);
}

#[tokio::test]
async fn a_channel_made_after_its_group_is_filled_by_a_full_run() {
    let site = bio()
        .ldif(&crate::slapd::group("his", [3, 4]))
        .in_step()
        .await;
    site.add_channel("his");
    site.sync_full().await.is(0);
    assert_eq!(site.members("his"), ["p3", "p4"]);
}

#[tokio::test]
async fn a_channel_made_after_its_group_is_filled_when_anything_changes() {
    let site = bio()
        .ldif(&crate::slapd::group("his", [3, 4]))
        .in_step()
        .await;
    site.add_channel("his");
    site.join("chem", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("his"), ["p3", "p4"]);
}

#[tokio::test]
async fn a_dry_run_does_not_use_up_the_news_of_a_channel() {
    let site = bio()
        .ldif(&crate::slapd::group("his", [3, 4]))
        .in_step()
        .await;
    site.add_channel("his");
    site.join("chem", 1);
    site.rollbook(&["sync", "--dry-run"]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("his"), ["p3", "p4"]);
}

#[tokio::test]
async fn a_narrow_run_does_not_use_up_the_news_of_a_channel() {
    let site = bio()
        .ldif(&crate::slapd::group("his", [3, 4]))
        .in_step()
        .await;
    site.add_channel("his");
    site.join("chem", 1);
    site.rollbook(&["sync", "--user", "p5"]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("his"), ["p3", "p4"]);
}

#[tokio::test]
async fn a_channel_that_left_the_root_is_none_of_ours() {
    let site = with(3, &[BIO]).start().await;
    let elsewhere = site.account().add_category(&NewCategory {
        path: "MediaSpace>site>archive>bio".to_owned(),
        reference_id: Some("chem".to_owned()),
        ..NewCategory::default()
    });
    site.account()
        .set_membership(elsewhere, "p9", MEMBER, AUTOMATIC, ACTIVE);
    site.sync().await.is(0);
    assert_eq!(site.members_of(elsewhere), ["p9"]);
}

#[tokio::test]
async fn a_deleted_channel_stops_nothing_else() {
    let site = bio().in_step().await;
    site.account().delete_category(site.channel("bio"));
    site.leave("bio", 0);
    site.join("chem", 4);
    site.sync().await.is(0);
    assert_eq!(site.members("chem"), ["p0", "p4"]);
    site.sync_full().await.is(0);
}

#[tokio::test]
async fn two_channels_with_one_reference_are_left_alone() {
    let site = bio().start().await;
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>bio again"),
        reference_id: Some("bio".to_owned()),
        ..NewCategory::default()
    });
    site.sync().await.is(0).says("have one reference ID");
    assert_eq!(site.members("bio"), [""; 0]);
    assert_eq!(site.members("chem"), ["p0"]);
}

#[tokio::test]
async fn a_second_channel_with_the_reference_that_appears_later_blocks_both() {
    let site = bio().in_step().await;
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>bio again"),
        reference_id: Some("bio".to_owned()),
        ..NewCategory::default()
    });
    site.leave("bio", 0);
    site.sync().await.is(0).says("have one reference ID");
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn a_reference_that_differs_by_case_is_named() {
    let site = with(3, &[BIO]).start().await;
    site.account()
        .set_reference_id(site.channel("bio"), Some("BIO"));
    site.sync().await.is(0).says("differs by case");
    assert_eq!(site.members("bio"), [""; 0]);
}

#[tokio::test]
async fn two_rows_of_which_one_is_manual_become_one_where_manual_is_overridden() {
    let site = with(2, &[("bio", &[0, 1])])
        .set(|settings| settings.policy = "manual = \"override\"".to_owned())
        .in_step()
        .await;
    // A look shows the first of them, whatever the plan thinks of both.
    site.account()
        .add_twin(site.channel("bio"), "p1", MEMBER, MANUAL);
    site.sync_full().await.is(0).says("Done: 1 change");
    assert_eq!(site.members("bio"), ["p0", "p1"]);
}

#[tokio::test]
async fn two_rows_of_which_one_is_manual_go_where_manual_is_overridden() {
    let site = with(3, &[("bio", &[0, 1, 2])])
        .set(|settings| {
            settings.policy = "manual = \"override\"".to_owned();
            settings.safety += "\ncategory = { percent = 100, at_least = 100 }";
        })
        .in_step()
        .await;
    site.account()
        .add_twin(site.channel("bio"), "p1", MEMBER, MANUAL);
    site.leave("bio", 1);
    site.sync_full().await.is(0).says("Done: 1 change");
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}
