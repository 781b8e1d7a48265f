//! Two things at once: what one leaves waiting, another must not take for done.

use rollbook::sandbox::NewCategory;

use super::network::Wire;
use super::site::{ACTIVE, AUTOMATIC, MANAGER, MEMBER, ROOT, with};
use crate::slapd::{self, SUFFIX};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2]);

#[tokio::test]
async fn what_was_set_aside_in_a_channel_that_is_deleted_is_over() {
    let site = with(5, &[BIO, ("chem", &[0])]).in_step().await;
    site.join("bio", 3);
    site.account()
        .faults()
        .fail_next("categoryUser.add", 1, "INVALID_USER_ID");
    site.sync().await.is(3);
    site.account().delete_category(site.channel("bio"));
    site.wait_an_hour();
    site.sync().await.is(0);
    site.account().calls().reset();
    site.sync().await.is(0);
    assert_eq!(site.requests(), 0);
}

#[tokio::test]
async fn who_is_set_aside_and_leaves_is_not_added() {
    let site = with(5, &[BIO]).in_step().await;
    site.join("bio", 3);
    site.account()
        .faults()
        .fail_next("categoryUser.add", 1, "INVALID_USER_ID");
    site.sync().await.is(3);
    site.leave("bio", 3);
    site.sync().await.is(0);
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says_nothing_of("Set aside");
}

#[tokio::test]
async fn a_held_loss_and_a_broken_read_stay_held() {
    let mut site = with(8, &[("bio", &[0, 1, 2, 3, 4, 5])]).in_step().await;
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\nreplace: member\nmember: cn=nothing\n"
    ));
    let held = site.sync().await.is(4);
    site.rollbook(&["approve", &held.digest()]).await.is(0);
    let whole = Wire::start(site.slapd.port(), usize::MAX);
    site.settings.ldap_urls = Some(format!("\"{}\"", whole.url));
    site.rollbook(&["sync", "--full", "--dry-run"]).await.is(0);
    let broken = Wire::start(site.slapd.port(), whole.passed() / 2);
    site.settings.ldap_urls = Some(format!("\"{}\"", broken.url));
    site.sync_full().await.is(3);
    assert_eq!(site.taken(), [""; 0]);
    site.settings.ldap_urls = None;
    if let Some(4) = site.sync().await.code {
        let held = site.sync_full().await.is(4);
        site.rollbook(&["approve", &held.digest()]).await.is(0);
        site.sync().await.is(0);
    }
    assert_eq!(site.members("bio"), [""; 0]);
}

#[tokio::test]
async fn a_held_plan_whose_group_comes_back_is_over() {
    let members = [0, 1, 2, 3, 4, 5];
    let site = with(8, &[("bio", &members)]).in_step().await;
    for person in &members[1..] {
        site.leave("bio", *person);
    }
    site.sync().await.is(4);
    for person in &members[1..] {
        site.join("bio", *person);
    }
    site.sync().await.is(0);
    assert_eq!(site.account().calls().writes(), []);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says_nothing_of("approve");
}

#[tokio::test]
async fn a_first_plan_of_which_a_list_could_not_be_read_is_held_all_the_same() {
    let site = with(5, &[BIO])
        .set(|settings| {
            settings.safety.clear();
            settings.kaltura = "retries = 0".to_owned();
        })
        .start()
        .await;
    site.account()
        .faults()
        .fail_next("categoryUser.list", 1, "INTERNAL_SERVER_ERROR");
    let first = site.sync().await;
    assert!(matches!(first.code, Some(1 | 3 | 4)), "{first:?}");
    site.sync().await.is(4);
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn a_channel_that_takes_over_a_reference_is_filled_and_the_other_keeps_its_own() {
    let site = with(5, &[BIO, ("chem", &[4])]).in_step().await;
    site.account()
        .set_reference_id(site.channel("bio"), Some("old"));
    let new = site.account().add_category(&NewCategory {
        path: format!("{ROOT}>new bio"),
        reference_id: Some("bio".to_owned()),
        ..NewCategory::default()
    });
    site.sync_full().await.is(0);
    assert_eq!(site.members_of(new), ["p0", "p1", "p2"]);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_user_id_that_goes_from_one_person_to_another() {
    let site = with(5, &[BIO]).in_step().await;
    let dn = |uid: &str| format!("uid={uid},ou=people,{SUFFIX}");
    // The group is told of the rename; then somebody new gets the old name.
    site.slapd.rename(&dn("p1"), "uid=ada", None);
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\nmember: {}\n-\n\
         add: member\nmember: {}\n",
        dn("p1"),
        dn("ada")
    ));
    site.slapd.modify(&format!(
        "dn: {}\nobjectClass: inetOrgPerson\nuid: p1\ncn: x\nsn: x\n",
        dn("p1")
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["ada", "p0", "p2"]);
    site.sync_full().await.is(0).says("Nothing to do");
}

#[tokio::test]
async fn a_name_that_a_group_still_says_means_whoever_has_it_now() {
    let site = with(5, &[BIO]).in_step().await;
    let dn = |uid: &str| format!("uid={uid},ou=people,{SUFFIX}");
    // Nobody tells the group.
    site.slapd.rename(&dn("p1"), "uid=ada", None);
    site.slapd.modify(&format!(
        "dn: {}\nobjectClass: inetOrgPerson\nuid: p1\ncn: x\nsn: x\n",
        dn("p1")
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn an_inner_group_whose_rename_nobody_told_the_outer_takes_nobody_away() {
    let outer =
        slapd::group("outer", []).replace("cn=nothing", &format!("cn=inner,ou=groups,{SUFFIX}"));
    let site = with(4, &[])
        .channel("outer")
        .ldif(&slapd::group("inner", [0, 1]))
        .ldif(&outer)
        .set(|settings| settings.groups = "nested = true".into())
        .in_step()
        .await;
    site.slapd
        .rename(&format!("cn=inner,ou=groups,{SUFFIX}"), "cn=inner2", None);
    site.sync().await;
    site.sync_full().await;
    site.sync_full().await;
    assert_eq!(site.members("outer"), ["p0", "p1"]);
}

#[tokio::test]
async fn two_rows_of_different_levels_and_a_broken_read_lower_nobody() {
    let mut site = with(5, &[BIO])
        .ldif(&slapd::group("staff", [1, 4]))
        .set(|settings| {
            settings.bindings = "[[binding]]\ngroup = \"bio\"\n[[binding]]\ngroups = [\"staff\"]\n\
                 category = { reference_id = \"bio\" }\nlevel = \"manager\""
                .to_owned();
        })
        .in_step()
        .await;
    assert_eq!(
        site.members("bio"),
        ["p0", "p1 manager", "p2", "p4 manager"]
    );
    site.account()
        .add_twin(site.channel("bio"), "p1", MEMBER, AUTOMATIC);
    site.put("bio", "p1", (MANAGER, AUTOMATIC, ACTIVE));
    site.leave("staff", 1);
    let whole = Wire::start(site.slapd.port(), usize::MAX);
    site.settings.ldap_urls = Some(format!("\"{}\"", whole.url));
    site.rollbook(&["sync", "--full", "--dry-run"]).await;
    let broken = Wire::start(site.slapd.port(), whole.passed() / 2);
    site.settings.ldap_urls = Some(format!("\"{}\"", broken.url));
    site.sync_full().await.is(3);
    assert_eq!(site.taken(), [""; 0]);
}
