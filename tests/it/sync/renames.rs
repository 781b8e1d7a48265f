//! Entries that are renamed or moved, with and without the server's help, and groups that still say the
//! former name.

use std::fmt::Write as _;

use super::site::{ACTIVE, AUTOMATIC, Start, with};
use crate::slapd::{self, SUFFIX};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2, 3]);
const CHEM: (&str, &[usize]) = ("chem", &[0]);

const NO_LIMITS: &str = "first_run = \"apply\"\ncategory = { percent = 100, at_least = 100 }\n\
                         total = { percent = 100, at_least = 100 }\nleft_empty = 0";

fn ou(name: &str, under: &str) -> String {
    format!("dn: ou={name},{under}\nobjectClass: organizationalUnit\nou: {name}\n\n")
}

/// People p0 to p7; those in `ou=staff` are p10 to p12, who are in the group `staff`.
fn start() -> Start {
    let people = format!("ou=people,{SUFFIX}");
    let mut staff = ou("staff", &people);
    for n in 10..13 {
        writeln!(
            staff,
            "dn: uid=p{n},ou=staff,{people}\nobjectClass: inetOrgPerson\nuid: p{n}\ncn: x\nsn: x\n"
        )
        .unwrap();
    }
    writeln!(
        staff,
        "dn: cn=staff,ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: staff"
    )
    .unwrap();
    for n in 10..13 {
        writeln!(staff, "member: uid=p{n},ou=staff,{people}").unwrap();
    }
    with(8, &[BIO, CHEM])
        .channel("staff")
        .ldif(&(staff + "\n"))
        .set(|settings| NO_LIMITS.clone_into(&mut settings.safety))
}

fn staff_ou() -> String {
    format!("ou=staff,ou=people,{SUFFIX}")
}

/// Takes somebody out of the group `staff`, as it names them now.
fn leave_staff(place: &str, n: usize) -> String {
    format!(
        "dn: cn=staff,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\n\
         member: uid=p{n},{place},ou=people,{SUFFIX}\n"
    )
}

#[tokio::test]
async fn an_organisational_unit_is_renamed_and_groups_follow() {
    let mut start = start();
    start.slapd.refint = true;
    let site = start.in_step().await;
    site.slapd.rename(&staff_ou(), "ou=personnel", None);
    site.slapd.wait_for(
        &format!("cn=staff,ou=groups,{SUFFIX}"),
        "uid=p12,ou=personnel",
    );
    for arguments in [&["sync"][..], &["sync"], &["sync", "--full"], &["sync"]] {
        site.rollbook(arguments).await.is(0);
        assert_eq!(site.account().calls().writes(), [], "{arguments:?}");
    }
    site.slapd.modify(&leave_staff("ou=personnel", 11));
    site.sync().await.is(0);
    assert_eq!(site.members("staff"), ["p10", "p12"]);
}

#[tokio::test]
async fn an_organisational_unit_is_renamed_and_a_group_changes_before_anything_is_read() {
    let mut start = start();
    start.slapd.refint = true;
    let site = start.in_step().await;
    site.slapd.rename(&staff_ou(), "ou=personnel", None);
    site.slapd.wait_for(
        &format!("cn=staff,ou=groups,{SUFFIX}"),
        "uid=p12,ou=personnel",
    );
    site.slapd.modify(&leave_staff("ou=personnel", 11));
    site.sync().await.is(0);
    assert_eq!(site.members("staff"), ["p10", "p12"]);
    assert_eq!(site.taken(), ["delete p11"]);
}

#[tokio::test]
async fn a_group_that_nobody_told_lists_people_by_their_former_names() {
    let site = start().in_step().await;
    site.slapd.rename(&staff_ou(), "ou=personnel", None);
    for arguments in [
        &["sync"][..],
        &["sync"],
        &["sync", "--full"],
        &["sync", "--full"],
    ] {
        site.rollbook(arguments).await.is(0);
        assert_eq!(site.account().calls().writes(), [], "{arguments:?}");
    }
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("group staff lists 3 of its members by former names");
    site.slapd.modify(&leave_staff("ou=staff", 11));
    site.sync().await.is(0);
    assert_eq!(site.members("staff"), ["p10", "p12"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("lists 2 of its members by former names");
}

#[tokio::test]
async fn the_organisational_unit_of_an_inner_group_is_renamed() {
    let groups = format!("ou=groups,{SUFFIX}");
    for refint in [false, true] {
        let inner = ou("inner", &groups)
            + &slapd::group("inner", [4, 5]).replace("cn=inner,", "cn=inner,ou=inner,");
        let outer = slapd::group("outer", [6]).replace(
            "member:",
            &format!("member: cn=inner,ou=inner,{groups}\nmember:"),
        );
        let mut start = start()
            .channel("outer")
            .ldif(&(inner + &outer))
            .set(|settings| settings.groups = "nested = true".into());
        start.slapd.refint = refint;
        let site = start.in_step().await;
        assert_eq!(site.members("outer"), ["p4", "p5", "p6"]);
        site.slapd
            .rename(&format!("ou=inner,{groups}"), "ou=renamed", None);
        if refint {
            site.slapd
                .wait_for(&format!("cn=outer,{groups}"), "ou=renamed");
        }
        site.join("outer", 7);
        for arguments in [&["sync"][..], &["sync"], &["sync", "--full"]] {
            site.rollbook(arguments).await.is(0);
            assert_eq!(site.taken(), [""; 0], "{refint} {arguments:?}");
        }
        assert_eq!(site.members("outer"), ["p4", "p5", "p6", "p7"]);
        site.leave("outer", 6);
        site.sync().await.is(0);
        assert_eq!(site.members("outer"), ["p4", "p5", "p7"]);
    }
}

#[tokio::test]
async fn who_moves_out_of_the_base_is_kept_while_the_group_lists_them() {
    for refint in [false, true] {
        let mut start = start().ldif(&ou("elsewhere", SUFFIX));
        start.slapd.refint = refint;
        let site = start.in_step().await;
        let elsewhere = format!("ou=elsewhere,{SUFFIX}");
        site.slapd.rename(
            &format!("uid=p1,ou=people,{SUFFIX}"),
            "uid=p1",
            Some(&elsewhere),
        );
        let group = format!("cn=bio,ou=groups,{SUFFIX}");
        if refint {
            site.slapd.wait_for(&group, "uid=p1,ou=elsewhere");
        }
        for arguments in [&["sync"][..], &["sync", "--full"], &["sync", "--full"]] {
            site.rollbook(arguments).await.is(0);
            assert_eq!(site.taken(), [""; 0], "{refint} {arguments:?}");
        }
        let listed = if refint { "elsewhere" } else { "people" };
        site.slapd.modify(&format!(
            "dn: {group}\nchangetype: modify\ndelete: member\nmember: uid=p1,ou={listed},{SUFFIX}\n"
        ));
        site.sync().await.is(0);
        assert_eq!(site.members("bio"), ["p0", "p2", "p3"], "{refint}");
    }
}

#[tokio::test]
async fn who_comes_into_the_base_is_a_member_without_a_full_read() {
    let elsewhere = format!("ou=elsewhere,{SUFFIX}");
    let stranger =
        format!("dn: uid=p9,{elsewhere}\nobjectClass: inetOrgPerson\nuid: p9\ncn: x\nsn: x\n\n");
    let site = start()
        .ldif(&(ou("elsewhere", SUFFIX) + &stranger))
        .in_step()
        .await;
    site.slapd.rename(
        &format!("uid=p9,{elsewhere}"),
        "uid=p9",
        Some(&format!("ou=people,{SUFFIX}")),
    );
    site.join("bio", 9);
    site.sync().await.is(0).says("read what changed");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3", "p9"]);
}

#[tokio::test]
async fn what_a_server_does_not_announce_is_found_by_listing_the_ids() {
    let mut start = start();
    start.slapd.refint = true;
    let mut site = start.in_step().await;
    site.slapd.delete(&format!("uid=p1,ou=people,{SUFFIX}"));
    let group = format!("cn=bio,ou=groups,{SUFFIX}");
    site.slapd.wait_without(&group, "uid=p1,");
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 4, "nothing is announced");
    site.settings.schedule = "list_after = \"0s\"".to_owned();
    site.sync().await.is(0).says("p1  no group grants it");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn a_full_read_is_due_by_its_age_whatever_starts_the_run() {
    let mut site = start().in_step().await;
    site.sync().await.is(0).says("nothing has changed");
    site.settings.schedule = "full_read_after = \"0s\"".to_owned();
    site.wait_a_second().await;
    site.sync().await.is(0).says("read in full");
}

#[tokio::test]
async fn a_departure_waits_for_its_confirmation_and_an_addition_does_not() {
    let mut site = start()
        .set(|settings| settings.directory = "confirm_after = \"1h\"".into())
        .in_step()
        .await;
    site.leave("bio", 1);
    site.join("bio", 5);
    site.sync()
        .await
        .is(0)
        .says("p1  kept: the departure has not been seen a second time yet");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3", "p5"]);
    site.sync_full().await.is(0);
    assert_eq!(site.taken(), [""; 0]);
    site.settings.directory = "confirm_after = \"1s\"".to_owned();
    site.wait_a_second().await;
    site.sync().await.is(0).says("p1  no group grants it");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3", "p5"]);
}

#[tokio::test]
async fn who_comes_back_before_the_confirmation_has_never_left() {
    let mut site = start()
        .set(|settings| settings.directory = "confirm_after = \"1s\"".into())
        .in_step()
        .await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    site.join("bio", 1);
    site.wait_a_second().await;
    site.sync().await.is(0);
    site.settings.directory.clear();
    site.sync_full().await.is(0);
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn vanished_people_leave_when_their_time_is_over() {
    let mut site = start()
        .set(|settings| settings.policy = "vanished_person = { after = \"1h\" }".into())
        .in_step()
        .await;
    site.slapd.delete(&format!("uid=p1,ou=people,{SUFFIX}"));
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
    site.settings.policy = "vanished_person = { after = \"1s\" }".to_owned();
    site.wait_a_second().await;
    site.sync()
        .await
        .is(0)
        .says("p1  the entry is not found any more");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn whoever_was_renamed_in_kaltura_is_neither_added_by_the_old_id_nor_removed_by_the_new() {
    for full in [true, false] {
        let site = with(5, &[("bio", &[0, 1, 2])]).in_step().await;
        site.account().rename_user("p1", "ada");
        site.account().catch_up();
        let both = ["ada", "p0", "p2"];
        // Something changes, so that p1 is looked at.
        site.leave("bio", 1);
        site.join("bio", 1);
        let arguments: &[&str] = if full {
            &["sync", "--full"]
        } else {
            &["sync", "--user", "p1"]
        };
        site.rollbook(arguments)
            .await
            .says("perhaps renamed in Kaltura");
        assert_eq!(site.members("bio"), both, "{arguments:?}");
        site.sync_full().await.says("perhaps renamed in Kaltura");
        assert_eq!(site.members("bio"), both);

        // It is the same person after all, and has one ID again.
        site.account().rename_user("ada", "p1");
        site.account().catch_up();
        site.sync_full().await.is(0).says("Nothing to do");
        assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    }
}

#[tokio::test]
async fn whoever_was_deleted_in_kaltura_is_added_again() {
    let site = with(5, &[("bio", &[0, 1, 2])]).in_step().await;
    site.account().delete_user("p1");
    site.account().work(None);
    site.account().catch_up();
    // A moderator: nobody takes them for p1.
    site.put("bio", "x", (1, AUTOMATIC, ACTIVE));
    site.sync_full().await;
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
}
