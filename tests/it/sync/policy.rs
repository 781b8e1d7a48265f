//! What the configuration decides.

use super::site::{ACTIVE, AUTOMATIC, MANUAL, MEMBER, NONE, NOT_ACTIVE, Site, Start, with};
use crate::slapd::SUFFIX;

fn deactivating() -> Start {
    with(4, &[("bio", &[0, 1, 2])])
        .set(|settings| settings.policy = "departure = \"deactivate\"".into())
}

#[tokio::test]
async fn who_was_deactivated_comes_back() {
    let site = deactivating().in_step().await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1 inactive", "p2"]);
    site.sync_full().await.is(0).says("Nothing to do");
    site.join("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn who_was_deactivated_comes_back_at_the_level_of_now() {
    let site = deactivating()
        .set(|settings| {
            settings.groups = "roles = { owner = \"teacher\" }".to_owned();
            settings.bindings =
                "[[binding]]\ngroup = \".+\"\nroles = { teacher = \"manager\" }".to_owned();
        })
        .in_step()
        .await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\nadd: owner\n\
         owner: uid=p1,ou=people,{SUFFIX}\n"
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1 manager", "p2"]);
}

#[tokio::test]
async fn an_edited_configuration_is_held_again() {
    let mut site = with(4, &[("bio", &[0, 1, 2])]).in_step().await;
    site.settings.safety = String::new();
    site.settings.people = "filter = \"(&(objectClass=person)(!(uid=p1)))\"".to_owned();
    let held = site.sync().await.is(4);
    assert_eq!(site.taken(), [""; 0]);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn a_filter_that_matches_nobody_takes_nobody_away() {
    let mut site = with(4, &[("bio", &[0, 1, 2])]).in_step().await;
    let good = std::mem::replace(
        &mut site.settings.people,
        "filter = \"(employeeType=nobody)\"".to_owned(),
    );
    site.sync().await.is(3);
    site.sync().await.is(3);
    assert_eq!(site.taken(), [""; 0]);
    site.settings.people = good;
    site.leave("bio", 0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2"]);
}

#[tokio::test]
async fn memberships_of_others_stay_where_ownership_goes_by_the_ledger() {
    use super::site::{ACTIVE, AUTOMATIC, MEMBER};
    let site = with(4, &[("bio", &[0, 1])])
        .set(|settings| settings.policy = "ownership = \"ledger\"".into())
        .start()
        .await;
    site.put("bio", "guest", (MEMBER, AUTOMATIC, ACTIVE));
    site.put("bio", "p1", (MEMBER, AUTOMATIC, ACTIVE));
    site.sync().await.is(0);
    site.leave("bio", 1);
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["guest", "p0"]);
}

const GRACE: &str = "departure = { deactivate_for = \"2h\", then = \"delete\" }";

/// A site whose leavers are kept without access for two hours, and somebody who left.
async fn left() -> Site {
    let site = with(4, &[("bio", &[0, 1, 2])])
        .set(|settings| settings.policy = GRACE.into())
        .in_step()
        .await;
    site.leave("bio", 1);
    site.sync().await.is(0).says("⏸ p1");
    site
}

/// Lets hours pass for what was deactivated.
fn hours_later(site: &Site, hours: i64) {
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    let earlier = "UPDATE ledger SET since = since - ?1 * 3600";
    state.execute(earlier, [hours]).unwrap();
}

#[tokio::test]
async fn who_leaves_is_deactivated_for_a_time_and_then_deleted() {
    let site = left().await;
    site.sync_full().await.is(0);
    hours_later(&site, 1);
    site.sync_full().await.is(0);
    let bio = site.channel("bio");
    assert_eq!(site.account().member(bio, "p1").unwrap().status, NOT_ACTIVE);
    hours_later(&site, 1);
    site.sync_full().await.is(0).says("- p1");
    assert!(site.account().member(bio, "p1").is_none());
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn who_returns_in_time_is_as_before() {
    let site = left().await;
    hours_later(&site, 1);
    site.join("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    hours_later(&site, 9);
    site.sync_full().await.is(0).says("Nothing to do");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn whom_a_person_deactivated_is_not_deleted_by_the_clock() {
    let site = left().await;
    site.put("bio", "p2", (MEMBER, AUTOMATIC, NOT_ACTIVE));
    site.leave("bio", 2);
    hours_later(&site, 99);
    site.sync_full().await.is(0);
    let bio = site.channel("bio");
    assert_eq!(site.account().member(bio, "p2").unwrap().status, NOT_ACTIVE);
}

#[tokio::test]
async fn whom_a_person_deactivated_is_held_back_while_a_group_grants_it_and_then_leaves_like_anybody()
 {
    let site = with(4, &[("bio", &[0, 1, 2])]).in_step().await;
    site.put("bio", "p2", (MEMBER, AUTOMATIC, NOT_ACTIVE));
    let left = site.sync_full().await.is(0);
    left.says("p2  deactivated by hand");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2 inactive"]);
    site.leave("bio", 2);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1"]);
    site.join("bio", 2);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn who_is_to_stay_out_stays_out_at_level_none_by_hand() {
    let site = with(4, &[("bio", &[0, 1, 2])]).in_step().await;
    site.put("bio", "p2", (NONE, MANUAL, ACTIVE));
    for _ in 0..2 {
        site.leave("bio", 2);
        site.sync().await.is(0);
        site.join("bio", 2);
        site.sync_full().await.is(0);
        assert_eq!(site.members("bio"), ["p0", "p1", "p2 none manual"]);
    }
}

#[tokio::test]
async fn the_gentlest_binding_of_a_channel_decides_how_people_leave() {
    let site = with(4, &[("bio", &[0, 1, 2]), ("chem", &[0, 1, 2])])
        .set(|settings| {
            settings.bindings =
                format!("[[binding]]\ngroup = \"bio\"\n{GRACE}\n[[binding]]\ngroup = \".+\"\n");
        })
        .in_step()
        .await;
    for group in ["bio", "chem"] {
        site.leave(group, 1);
    }
    site.sync().await.is(0);
    let status = |channel| {
        let member = site.account().member(site.channel(channel), "p1");
        member.map(|member| member.status)
    };
    assert_eq!((status("bio"), status("chem")), (Some(NOT_ACTIVE), None));
}
