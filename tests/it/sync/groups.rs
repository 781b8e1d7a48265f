//! Groups in groups, renamed, moved, deleted, and several for one channel.

use super::site::{Start, with};
use crate::slapd::{self, SUFFIX};

/// A group whose members are groups.
fn outer(name: &str, inner: &[&str]) -> String {
    let mut ldif = slapd::group(name, []);
    for inner in inner {
        ldif = ldif.replace(
            "\n\n",
            &format!("\nmember: cn={inner},ou=groups,{SUFFIX}\n\n"),
        );
    }
    ldif
}

fn nested(start: Start, more: &str) -> Start {
    start.set(|settings| settings.groups = format!("nested = true\n{more}"))
}

fn group(name: &str) -> String {
    format!("cn={name},ou=groups,{SUFFIX}")
}

#[tokio::test]
async fn a_change_in_an_inner_group_reaches_the_channel_of_the_outer() {
    let site = nested(with(4, &[("inner", &[0, 1])]), "")
        .channel("outer")
        .ldif(&outer("middle", &["inner"]))
        .ldif(&outer("outer", &["middle"]))
        .in_step()
        .await;
    assert_eq!(site.members("outer"), ["p0", "p1"]);
    site.join("inner", 2);
    site.leave("inner", 0);
    site.sync().await.is(0);
    assert_eq!(site.members("outer"), ["p1", "p2"]);
    assert_eq!(site.members("inner"), ["p1", "p2"]);
}

#[tokio::test]
async fn an_inner_group_that_is_added_later_brings_its_members() {
    let site = nested(with(4, &[("outer", &[3])]), "")
        .ldif(&slapd::group("inner", [0, 1]))
        .in_step()
        .await;
    site.slapd.modify(&format!(
        "dn: {}\nchangetype: modify\nadd: member\nmember: {}\n",
        group("outer"),
        group("inner")
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("outer"), ["p0", "p1", "p3"]);
}

#[tokio::test]
async fn groups_that_contain_each_other_end_and_are_reported() {
    let site = nested(with(2, &[]), "")
        .channel("a")
        .ldif(
            &outer("a", &["b"])
                .replace("\n\n", &format!("\nmember: uid=p0,ou=people,{SUFFIX}\n\n")),
        )
        .ldif(
            &outer("b", &["a"])
                .replace("\n\n", &format!("\nmember: uid=p1,ou=people,{SUFFIX}\n\n")),
        )
        .start()
        .await;
    site.sync().await.is(0).says("contains itself");
    assert_eq!(site.members("a"), ["p0", "p1"]);
}

#[tokio::test]
async fn groups_deeper_than_the_limit_take_nobody_away() {
    let start = with(2, &[])
        .channel("outer")
        .ldif(&slapd::group("g2", [0]))
        .ldif(&outer("g1", &["g2"]))
        .ldif(&outer("outer", &["g1"]));
    let mut site = nested(start, "").in_step().await;
    assert_eq!(site.members("outer"), ["p0"]);
    site.settings.groups = "nested = true\ndepth = 1".to_owned();
    site.sync_full().await.is(0).says("deeper");
    assert_eq!(site.members("outer"), ["p0"]);
}

#[tokio::test]
async fn an_inner_group_that_is_deleted_takes_nobody_away() {
    let site = nested(with(3, &[]), "")
        .channel("outer")
        .ldif(&slapd::group("inner", [0, 1]))
        .ldif(&outer("outer", &["inner"]))
        .in_step()
        .await;
    site.slapd.delete(&group("inner"));
    site.sync_full().await;
    site.sync_full().await;
    assert_eq!(site.members("outer"), ["p0", "p1"]);
}

#[tokio::test]
async fn an_inner_group_that_is_renamed_takes_nobody_away() {
    let site = nested(with(3, &[]), "")
        .channel("outer")
        .ldif(&slapd::group("inner", [0, 1]))
        .ldif(&outer("outer", &["inner"]))
        .in_step()
        .await;
    site.slapd.rename(&group("inner"), "cn=inner2", None);
    site.sync().await;
    assert_eq!(site.members("outer"), ["p0", "p1"]);
    site.slapd.modify(&format!(
        "dn: {}\nchangetype: modify\ndelete: member\nmember: {}\n-\nadd: member\nmember: {}\n",
        group("outer"),
        group("inner"),
        group("inner2")
    ));
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.taken(), [""; 0]);
    assert_eq!(site.members("outer"), ["p0", "p1"]);
}

#[tokio::test]
async fn the_channel_of_a_renamed_group_loses_nobody() {
    let site = with(3, &[("bio", &[0, 1])]).channel("zoo").in_step().await;
    site.slapd.rename(&group("bio"), "cn=zoo", None);
    site.sync()
        .await
        .is(0)
        .says("its group bio is not in the directory any more");
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1"]);
    assert_eq!(site.members("zoo"), ["p0", "p1"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("group bio is not in the directory any more");
}

#[tokio::test]
async fn a_group_that_moves_changes_nothing() {
    let site = with(3, &[("bio", &[0, 1])])
        .ldif(&format!(
            "dn: ou=old,ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: old\n\n"
        ))
        .in_step()
        .await;
    site.slapd.rename(
        &group("bio"),
        "cn=bio",
        Some(&format!("ou=old,ou=groups,{SUFFIX}")),
    );
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn the_channel_of_a_deleted_group_loses_nobody() {
    let site = with(3, &[("bio", &[0, 1]), ("chem", &[0])]).in_step().await;
    site.slapd.delete(&group("bio"));
    site.sync_full()
        .await
        .is(0)
        .says("its group bio is not in the directory any more");
    assert_eq!(site.members("bio"), ["p0", "p1"]);
}

#[tokio::test]
async fn a_group_deleted_and_made_anew_is_the_group() {
    let site = with(4, &[("bio", &[0, 1]), ("chem", &[0])]).in_step().await;
    site.slapd.delete(&group("bio"));
    site.slapd.modify(&slapd::group("bio", [1, 2]));
    site.sync().await;
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2"]);
}

#[tokio::test]
async fn a_vanished_group_empties_its_channel_where_the_policy_says_so() {
    let site = with(
        9,
        &[
            ("bio", &[0, 1]),
            ("chem", &[0, 1, 2, 3, 4, 5, 6]),
            ("his", &[0]),
        ],
    )
    .set(|settings| {
        settings.policy = "vanished_group = \"remove\"".into();
        settings.safety.push_str("\nleft_empty = 0");
    })
    .in_step()
    .await;
    site.slapd.delete(&group("bio"));
    site.slapd.delete(&group("chem"));
    site.sync_full().await.is(4);
    assert_eq!(site.members("bio"), [""; 0]);
    assert_eq!(site.members("chem").len(), 7);
}

const COURSES: &str = "[[binding]]\ngroup = \"course-(?<course>[a-z]+)\"\n\
    category = { reference_id = \"{course}\" }\n\
    [[binding]]\ngroup = \"course-(?<course>[a-z]+)-staff\"\n\
    category = { reference_id = \"{course}\" }\nlevel = \"manager\"";

fn courses() -> Start {
    with(4, &[])
        .channel("bio")
        .ldif(&slapd::group("course-bio", [0, 1, 2]))
        .ldif(&slapd::group("course-bio-staff", [2, 3]))
        .set(|settings| settings.bindings = COURSES.into())
}

#[tokio::test]
async fn of_two_groups_for_one_channel_the_higher_level_wins() {
    let site = courses().in_step().await;
    assert_eq!(
        site.members("bio"),
        ["p0", "p1", "p2 manager", "p3 manager"]
    );
    site.leave("course-bio-staff", 2);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3 manager"]);
}

#[tokio::test]
async fn when_one_of_two_groups_vanishes_nobody_is_lost() {
    let site = courses().in_step().await;
    site.slapd.delete(&group("course-bio-staff"));
    site.sync_full().await.is(0);
    site.leave("course-bio", 0);
    site.sync().await.is(0);
    assert_eq!(site.taken(), [""; 0]);
}
