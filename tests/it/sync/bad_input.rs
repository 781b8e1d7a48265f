//! Entries that are not as they should be: each is named, and stops only itself.

use std::fmt::Write as _;

use rollbook::sandbox::Limits;

use super::site::{ACTIVE, AUTOMATIC, MEMBER, Start, with};
use crate::slapd::{self, SUFFIX};

/// A person of this ID at a name of its own, and in the group bio.
fn strange(start: Start, ids: &[&str]) -> Start {
    let mut ldif = String::new();
    let mut group = slapd::group("bio", [0]).trim_end().to_owned();
    for (n, id) in ids.iter().enumerate() {
        writeln!(
            ldif,
            "dn: cn=strange {n},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\n\
             cn: strange {n}\nsn: x\n{id}"
        )
        .unwrap();
        write!(group, "\nmember: cn=strange {n},ou=people,{SUFFIX}").unwrap();
    }
    start
        .channel("bio")
        .ldif(&ldif)
        .ldif(&format!("{group}\n\n"))
}

#[tokio::test]
async fn user_ids_that_kaltura_would_refuse_are_named() {
    let long = format!("uid: {}\n", "a".repeat(101));
    let site = strange(
        with(2, &[]),
        &[
            "uid: ada lovelace\n",
            "uid: a/b\n",
            "uid:: em/Dqw==\n",
            &long,
        ],
    )
    .start()
    .await;
    let run = site.sync().await.is(0).says("not a user ID for Kaltura");
    for id in ["ada lovelace", "a/b", "zoë", &"a".repeat(101)] {
        assert!(run.stdout.contains(id), "{id}: {}", run.stdout);
    }
    assert_eq!(site.members("bio"), ["p0"]);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0"]);
}

#[tokio::test]
async fn a_user_id_of_two_people_is_left_alone() {
    let site = strange(with(2, &[]), &["uid: ada\n", "uid: ADA\n"])
        .start()
        .await;
    site.put("bio", "ada", (MEMBER, AUTOMATIC, ACTIVE));
    site.sync().await.is(0).says("two people in the directory");
    assert_eq!(site.members("bio"), ["ada", "p0"]);
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn a_group_id_of_two_groups_is_left_alone() {
    let site = with(4, &[("bio", &[0, 1]), ("chem", &[0])])
        .ldif(&format!(
            "dn: ou=more,ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: more\n\n{}",
            slapd::group("bio", [2]).replace("ou=groups", "ou=more,ou=groups")
        ))
        .start()
        .await;
    site.sync().await.is(0).says("two groups have the ID bio");
    assert_eq!(site.members("bio"), [""; 0]);
    assert_eq!(site.members("chem"), ["p0"]);
}

#[tokio::test]
async fn a_second_group_of_the_same_id_that_appears_later_takes_nobody_away() {
    let site = with(4, &[("bio", &[0, 1]), ("chem", &[0])])
        .ldif(&format!(
            "dn: ou=more,ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: more\n\n"
        ))
        .in_step()
        .await;
    site.slapd
        .modify(&slapd::group("bio", [2]).replace("ou=groups", "ou=more,ou=groups"));
    site.leave("bio", 0);
    site.sync().await.is(0).says("two groups have the ID bio");
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn a_person_without_an_id_is_named() {
    let site = strange(with(2, &[]), &[""]).start().await;
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0"]);
    site.rollbook(&["status"]).await.is(0).says("cn=strange 0");
}

#[tokio::test]
async fn a_person_who_lost_the_id_keeps_what_they_have() {
    let site = strange(with(2, &[]), &["uid: ada\n"]).in_step().await;
    assert_eq!(site.members("bio"), ["ada", "p0"]);
    site.slapd.modify(&format!(
        "dn: cn=strange 0,ou=people,{SUFFIX}\nchangetype: modify\ndelete: uid\n"
    ));
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.account().calls().writes(), []);
    site.rollbook(&["status"]).await.is(0).says("cn=strange 0");
}

#[tokio::test]
async fn values_that_are_no_text_stop_only_their_entry() {
    // An attribute of octets, in which anything may be.
    let site = with(3, &[("bio", &[0, 1])])
        .set(|settings| settings.people = "first_name = \"userPassword\"".into())
        .start()
        .await;
    site.slapd.modify(&format!(
        "dn: uid=p1,ou=people,{SUFFIX}\nchangetype: modify\nadd: userPassword\nuserPassword:: //79\n"
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1"]);
}

#[tokio::test]
async fn a_group_without_a_channel_is_named() {
    let site = with(3, &[("bio", &[0])])
        .ldif(&slapd::group("his", [1]))
        .start()
        .await;
    site.sync().await.is(0).says("group his: no category");
    assert_eq!(site.members("bio"), ["p0"]);
}

#[tokio::test]
async fn a_group_of_a_hundred_thousand_fills_its_channel_and_no_more() {
    let mut group = slapd::group("bio", 0..60).trim_end().to_owned();
    for n in 60..100_000 {
        write!(group, "\nmember: uid=p{n},ou=people,{SUFFIX}").unwrap();
    }
    let mut start = with(70, &[("chem", &[0])])
        .channel("bio")
        .ldif(&format!("{group}\n\n"))
        .set(|settings| settings.kaltura = "members_per_category = 50".into());
    start.limits = Limits {
        users_per_category: 50,
        ..Limits::default()
    };
    let site = start.start().await;
    site.sync().await.is(0).says("the channel is full");
    assert_eq!(site.members("bio").len(), 50);
    assert_eq!(site.members("chem"), ["p0"]);
    site.leave("bio", 99_999);
    site.account().calls().reset();
    site.sync().await.is(0);
    assert_eq!(site.account().calls().writes(), []);
}
