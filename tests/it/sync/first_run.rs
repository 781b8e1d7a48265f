//! The first run, the gate, and doing nothing.

use super::site::with;
use crate::slapd::SUFFIX;

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2]);

#[tokio::test]
async fn the_first_plan_is_held_until_it_is_approved() {
    let site = with(4, &[BIO])
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    let held = site.sync().await.is(4);
    assert_eq!(site.members("bio"), [""; 0]);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.account().calls().reset();
    site.sync().await.is(0).says("nothing has changed");
    assert_eq!(site.requests(), 0);
    site.sync_full().await.is(0).says("Nothing to do");
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn a_plan_that_changed_after_its_approval_is_held_anew() {
    let site = with(4, &[BIO])
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    let held = site.sync().await.is(4);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    site.join("bio", 3);
    let again = site.sync().await.is(4);
    assert_eq!(site.members("bio"), [""; 0]);
    site.rollbook(&["approve", &again.digest()]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
}

#[tokio::test]
async fn a_change_while_the_first_plan_is_held_is_not_lost() {
    let site = with(4, &[BIO, ("chem", &[0])])
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    site.sync().await.is(4);
    site.join("chem", 3);
    let both = site.sync_full().await.is(4);
    site.rollbook(&["approve", &both.digest()]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    assert_eq!(site.members("chem"), ["p0", "p3"]);
}

#[tokio::test]
async fn the_first_plan_is_applied_at_once_where_the_configuration_says_so() {
    let site = with(3, &[BIO]).start().await;
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.account().calls().reset();
    site.sync().await.is(0);
    assert_eq!(site.requests(), 0);
}

#[tokio::test]
async fn an_emptied_group_is_held_and_released_by_approval() {
    let site = with(6, &[("bio", &[0, 1, 2, 3, 4, 5])]).in_step().await;
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\nreplace: member\nmember: cn=nothing\n"
    ));
    let held = site.sync().await.is(4);
    assert_eq!(site.members("bio").len(), 6);
    assert_eq!(site.taken(), [""; 0]);
    site.sync_full().await.is(4);
    assert_eq!(site.taken(), [""; 0]);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), [""; 0]);
}

#[tokio::test]
async fn small_losses_pass() {
    let site = with(4, &[("bio", &[0, 1, 2, 3])]).in_step().await;
    for person in 0..3 {
        site.leave("bio", person);
    }
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p3"]);
}

/// Twelve channels lose two members each: no channel too many, all together too many.
async fn losing_too_much_in_total() -> super::site::Site {
    const NAMES: [&str; 12] = [
        "g00", "g01", "g02", "g03", "g04", "g05", "g06", "g07", "g08", "g09", "g10", "g11",
    ];
    let groups: Vec<(&str, &[usize])> = NAMES
        .iter()
        .map(|name| (*name, &[0, 1, 2, 3, 4][..]))
        .collect();
    let site = with(6, &groups).in_step().await;
    for name in NAMES {
        site.leave(name, 0);
        site.leave(name, 1);
    }
    site.sync().await.is(4);
    assert_eq!(site.taken(), [""; 0]);
    site
}

#[tokio::test]
async fn what_is_held_in_total_is_not_lost_bit_by_bit_when_one_channel_changes() {
    let site = losing_too_much_in_total().await;
    site.join("g00", 5);
    site.sync().await;
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn what_is_held_in_total_is_not_lost_when_one_channel_is_asked_for() {
    let site = losing_too_much_in_total().await;
    site.rollbook(&["sync", "--category", "g00"]).await;
    assert_eq!(site.taken(), [""; 0]);
}
