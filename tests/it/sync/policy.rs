//! What the configuration decides.

use super::site::{Start, with};
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
