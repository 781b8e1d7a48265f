//! People come, go, change, and come back.

use super::site::{ACTIVE, AUTOMATIC, MANAGER, MEMBER, with};
use crate::slapd::SUFFIX;

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2]);

fn person(uid: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: x\nsn: x\n"
    )
}

#[tokio::test]
async fn one_joins_and_one_leaves() {
    let site = with(4, &[BIO]).in_step().await;
    site.join("bio", 3);
    site.leave("bio", 0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2", "p3"]);
}

#[tokio::test]
async fn a_new_person_who_was_mentioned_before_joins() {
    let site = with(4, &[BIO]).in_step().await;
    site.join("bio", 9);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.slapd.modify(&person("p9"));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p9"]);
}

#[tokio::test]
async fn a_role_changes_up_and_down() {
    let site = with(3, &[BIO])
        .set(|settings| {
            settings.groups = "roles = { owner = \"teacher\" }".to_owned();
            settings.bindings =
                "[[binding]]\ngroup = \".+\"\nroles = { teacher = \"manager\" }".to_owned();
            settings.safety.push_str("\nlast_manager = \"allow\"");
        })
        .in_step()
        .await;
    let owner = |change| {
        format!(
            "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\n{change}: owner\n\
             owner: uid=p1,ou=people,{SUFFIX}\n"
        )
    };
    site.slapd.modify(&owner("add"));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1 manager", "p2"]);
    site.slapd.modify(&owner("delete"));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    let member = site.account().member(site.channel("bio"), "p1").unwrap();
    assert_ne!(member.permission_level, MANAGER);
    assert_eq!(member.permission_level, MEMBER);
}

#[tokio::test]
async fn a_disabled_person_leaves_and_an_enabled_one_returns() {
    let site = with(3, &[BIO])
        .set(|settings| settings.people = "enabled = \"(!(employeeType=gone))\"".into())
        .in_step()
        .await;
    site.set(1, "employeeType", "gone");
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
    site.set(1, "employeeType", "here");
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn who_leaves_the_filter_and_comes_back_is_where_they_were() {
    let site = with(3, &[BIO])
        .set(|settings| {
            settings.people =
                "filter = \"(&(objectClass=person)(!(employeeType=gone)))\"".to_owned();
        })
        .in_step()
        .await;
    site.set(1, "employeeType", "gone");
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
    site.set(1, "employeeType", "here");
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn who_left_the_filter_before_a_full_read_comes_back_all_the_same() {
    let site = with(3, &[BIO])
        .set(|settings| {
            settings.people =
                "filter = \"(&(objectClass=person)(!(employeeType=gone)))\"".to_owned();
        })
        .in_step()
        .await;
    site.set(1, "employeeType", "gone");
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
    site.set(1, "employeeType", "here");
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}

#[tokio::test]
async fn a_person_who_moves_keeps_everything() {
    let site = with(3, &[BIO])
        .ldif(&format!(
            "dn: ou=alumni,ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: alumni\n\n"
        ))
        .in_step()
        .await;
    let alumni = format!("ou=alumni,ou=people,{SUFFIX}");
    site.slapd.rename(
        &format!("uid=p1,ou=people,{SUFFIX}"),
        "uid=p1",
        Some(&alumni),
    );
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\n\
         member: uid=p1,ou=people,{SUFFIX}\n-\nadd: member\nmember: uid=p1,{alumni}\n"
    ));
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn a_changed_user_id_is_another_member() {
    let site = with(3, &[BIO])
        .set(|settings| settings.people = "login = \"uid\"".into())
        .start()
        .await;
    site.sync().await.is(0);
    site.slapd
        .rename(&format!("uid=p1,ou=people,{SUFFIX}"), "uid=ada", None);
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\n\
         member: uid=p1,ou=people,{SUFFIX}\n-\nadd: member\nmember: uid=ada,ou=people,{SUFFIX}\n"
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["ada", "p0", "p2"]);
}

#[tokio::test]
async fn a_user_id_that_changes_its_case_is_the_same_person() {
    let site = with(3, &[BIO]).in_step().await;
    site.slapd
        .rename(&format!("uid=p1,ou=people,{SUFFIX}"), "uid=P1", None);
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn a_deleted_person_whom_a_group_still_lists_is_kept_until_it_does_not() {
    let site = with(3, &[BIO]).in_step().await;
    site.slapd.delete(&format!("uid=p1,ou=people,{SUFFIX}"));
    for _ in 0..2 {
        site.sync_full()
            .await
            .is(0)
            .says("p1  kept: a group still lists this person");
        assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    }
    site.leave("bio", 1);
    site.sync().await.is(0).says("p1  no group grants it");
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn a_deleted_person_leaves_where_the_policy_says_so() {
    let site = with(3, &[BIO])
        .set(|settings| settings.policy = "vanished_person = \"remove\"".to_owned())
        .in_step()
        .await;
    site.slapd.delete(&format!("uid=p1,ou=people,{SUFFIX}"));
    site.sync_full()
        .await
        .is(0)
        .says("the entry is not found any more, though a group lists it");
    assert_eq!(site.members("bio"), ["p0", "p2"]);
}

#[tokio::test]
async fn a_person_deleted_and_made_anew_keeps_the_membership() {
    let site = with(3, &[BIO]).in_step().await;
    site.slapd.delete(&format!("uid=p1,ou=people,{SUFFIX}"));
    site.slapd.modify(&person("p1"));
    site.sync().await.is(0);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn logins_name_people_too() {
    let site = with(3, &[])
        .channel("bio")
        .ldif(&format!(
            "dn: cn=bio,ou=groups,{SUFFIX}\nobjectClass: posixGroup\ncn: bio\ngidNumber: 7\n\
             memberUid: p0\nmemberUid: p1\nmemberUid: p9\n\n"
        ))
        .set(|settings| {
            settings.groups =
                "filter = \"(objectClass=posixGroup)\"\nmembers = \"memberUid\"".to_owned();
        })
        .in_step()
        .await;
    assert_eq!(site.members("bio"), ["p0", "p1"]);
    site.slapd.modify(&person("p9"));
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: memberUid\nmemberUid: p0\n"
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p9"]);
}

#[tokio::test]
async fn whom_a_login_of_two_people_means_is_not_guessed() {
    let site = with(3, &[])
        .channel("bio")
        .ldif(&format!(
            "dn: cn=bio,ou=groups,{SUFFIX}\nobjectClass: posixGroup\ncn: bio\ngidNumber: 7\n\
             memberUid: a\nmemberUid: b\n\n"
        ))
        .set(|settings| {
            "login = \"employeeNumber\"".clone_into(&mut settings.people);
            settings.groups =
                "filter = \"(objectClass=posixGroup)\"\nmembers = \"memberUid\"".to_owned();
        })
        .start()
        .await;
    for (person, login) in [(0, "a"), (1, "b"), (2, "b")] {
        site.set(person, "employeeNumber", login);
    }
    site.put("bio", "p2", (MEMBER, AUTOMATIC, ACTIVE));
    site.sync().await.says("login b is that of 2 entries");
    site.sync_full().await;
    assert_eq!(site.members("bio"), ["p0", "p2"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("login b is that of 2 entries");

    site.set(2, "employeeNumber", "c");
    site.sync().await;
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1"]);
}
