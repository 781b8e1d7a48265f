//! Rights that the service account loses, and gets back: what cannot be read is not empty and not gone.

use super::site::{Site, Start, with};
use crate::slapd::{self, READER, SUFFIX, Slapd, SlapdOptions};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2, 3]);
const CHEM: (&str, &[usize]) = ("chem", &[0]);

/// Only evidence keeps people in, no limit.
const NO_LIMITS: &str = "first_run = \"apply\"\ncategory = { percent = 100, at_least = 100 }\n\
                         total = { percent = 100, at_least = 100 }\nleft_empty = 0";

fn start() -> Start {
    with(8, &[BIO, CHEM]).set(|settings| {
        NO_LIMITS.clone_into(&mut settings.safety);
        READER.clone_into(&mut settings.bind_dn);
    })
}

/// Puts a server in the place of the site's own that holds the same and lets the reader see less.
fn restart(site: &mut Site, access: &str) {
    let database = if access.is_empty() {
        String::new()
    } else {
        format!("{access}\naccess to * by * read\n")
    };
    site.slapd = Slapd::start(&SlapdOptions {
        backup: Some(site.slapd.backup()),
        database,
        ..SlapdOptions::default()
    });
}

async fn is_unharmed(site: &Site) {
    for arguments in [&["sync"][..], &["sync", "--full"], &["sync", "--full"]] {
        site.rollbook(arguments).await;
        assert_eq!(site.taken(), [""; 0], "{arguments:?}");
    }
}

#[tokio::test]
async fn members_that_cannot_be_read_any_more_are_kept_and_leave_when_they_can() {
    for right in ["none", "search", "compare"] {
        let mut site = start().in_step().await;
        restart(
            &mut site,
            &format!("access to attrs=member by dn.exact=\"{READER}\" {right} by * read"),
        );
        is_unharmed(&site).await;
        site.sync_full().await.is(3);
        restart(&mut site, "");
        site.leave("bio", 1);
        site.sync_full().await.is(0);
        assert_eq!(site.members("bio"), ["p0", "p2", "p3"], "{right}");
    }
}

#[tokio::test]
async fn a_group_whose_members_alone_cannot_be_read_is_kept_and_the_others_go_on() {
    let mut site = start().in_step().await;
    restart(
        &mut site,
        &format!(
            "access to dn.exact=\"cn=chem,ou=groups,{SUFFIX}\" attrs=member \
             by dn.exact=\"{READER}\" none by * read"
        ),
    );
    site.leave("bio", 1);
    site.sync_full()
        .await
        .is(3)
        .says("the member attribute cannot be read");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
    assert_eq!(site.members("chem"), ["p0"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("group chem is not known in full");
}

#[tokio::test]
async fn members_that_cannot_be_read_are_kept_by_a_new_state_file_too() {
    let mut site = start().in_step().await;
    restart(
        &mut site,
        &format!(
            "access to dn.exact=\"cn=chem,ou=groups,{SUFFIX}\" attrs=member \
             by dn.exact=\"{READER}\" none by * read"
        ),
    );
    site.forget_everything();
    is_unharmed(&site).await;
    assert_eq!(site.members("chem"), ["p0"]);
}

#[tokio::test]
async fn a_member_who_alone_cannot_be_read_is_kept_and_leaves_when_that_can_be_read() {
    for right in ["none", "search"] {
        let mut site = start().in_step().await;
        restart(
            &mut site,
            &format!(
                "access to attrs=member val.exact=\"uid=p1,ou=people,{SUFFIX}\" \
                 by dn.exact=\"{READER}\" {right} by * read"
            ),
        );
        is_unharmed(&site).await;
        site.sync_full()
            .await
            .is(3)
            .says("p1  kept: the member attribute cannot be read");
        restart(&mut site, "");
        site.leave("bio", 1);
        site.sync_full().await.is(0);
        assert_eq!(site.members("bio"), ["p0", "p2", "p3"], "{right}");
    }
}

#[tokio::test]
async fn a_group_that_is_really_empty_is_empty() {
    // An account that may compare is told that the attribute is absent.
    let mut start = start();
    start.slapd.relaxed = true;
    let site = start.in_step().await;
    site.leave("chem", 0);
    site.sync().await.is(0).says("no group grants it");
    assert_eq!(site.members("chem"), [""; 0]);
}

#[tokio::test]
async fn somebody_hidden_is_kept_and_leaves_with_the_group() {
    let mut site = start().in_step().await;
    restart(
        &mut site,
        &format!(
            "access to dn.exact=\"uid=p1,ou=people,{SUFFIX}\" by dn.exact=\"{READER}\" none by * read"
        ),
    );
    is_unharmed(&site).await;
    site.sync_full()
        .await
        .is(0)
        .says("p1  kept: a group still lists this person, whose entry is gone or hidden");
    site.leave("bio", 1);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn somebody_hidden_from_the_beginning_may_be_anybody_without_an_entry() {
    let mut site = start().in_step().await;
    restart(
        &mut site,
        &format!(
            "access to dn.exact=\"uid=p1,ou=people,{SUFFIX}\" by dn.exact=\"{READER}\" none by * read"
        ),
    );
    site.forget_everything();
    is_unharmed(&site).await;
    site.sync_full()
        .await
        .is(0)
        .says("which may be this person's");
    restart(&mut site, "");
    site.leave("bio", 1);
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn a_list_of_people_that_is_empty_says_nothing_about_anybody() {
    let mut site = start()
        .set(|settings| settings.schedule = "list_after = \"0s\"".to_owned())
        .in_step()
        .await;
    let people = format!(
        "access to dn.children=\"ou=people,{SUFFIX}\" by dn.exact=\"{READER}\" none by * read"
    );
    restart(&mut site, &people);
    site.leave("bio", 1);
    for _ in 0..3 {
        site.rollbook(&["sync"]).await;
        assert_eq!(site.taken(), [""; 0]);
    }
    restart(&mut site, "");
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn a_filter_whose_attribute_cannot_be_read_sends_nobody_away() {
    let employed = |n: usize| {
        format!(
            "dn: uid=p{n},ou=people,{SUFFIX}\nchangetype: modify\nadd: employeeType\n\
             employeeType: staff\n"
        )
    };
    let mut site = start()
        .set(|settings| {
            settings.people = "filter = \"(&(objectClass=person)(employeeType=staff))\"".to_owned();
        })
        .start()
        .await;
    for n in 0..8 {
        site.slapd.modify(&employed(n));
    }
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 4);
    restart(
        &mut site,
        &format!(
            "access to dn.regex=\"^uid=p[12],\" attrs=employeeType \
             by dn.exact=\"{READER}\" none by * read"
        ),
    );
    is_unharmed(&site).await;
    restart(&mut site, "");
    site.set(1, "employeeType", "retired");
    site.sync_full()
        .await
        .is(0)
        .says("does not match directory.people.filter any more");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn an_account_state_that_cannot_be_read_disables_nobody() {
    let mut site = start()
        .set(|settings| settings.people = "enabled = \"(employeeType=staff)\"".into())
        .start()
        .await;
    for n in 0..8 {
        site.set(n, "employeeType", "staff");
    }
    site.sync().await.is(0);
    restart(
        &mut site,
        &format!("access to attrs=employeeType by dn.exact=\"{READER}\" none by * read"),
    );
    is_unharmed(&site).await;
    site.sync_full().await.is(3).says("employeetype");
    restart(&mut site, "");
    site.set(1, "employeeType", "retired");
    site.sync_full()
        .await
        .is(0)
        .says("the account is disabled in the directory");
    assert_eq!(site.members("bio"), ["p0", "p2", "p3"]);
}

#[tokio::test]
async fn groups_that_people_name_are_not_empty_when_that_cannot_be_read() {
    let mut start = start().set(|settings| settings.groups = "members = \"memberOf\"".into());
    start.slapd.memberof = true;
    let member_of = |n: usize, group: &str| {
        format!(
            "dn: cn={group},ou=groups,{SUFFIX}\nchangetype: modify\nadd: member\n\
             member: uid=p{n},ou=people,{SUFFIX}\n"
        )
    };
    start.slapd.ldif = slapd::people(8) + &slapd::group("bio", []) + &slapd::group("chem", []);
    let mut site = start.start().await;
    for n in 0..4 {
        site.slapd.modify(&member_of(n, "bio"));
    }
    site.slapd.modify(&member_of(0, "chem"));
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 4);
    let backup = site.slapd.backup();
    site.slapd = Slapd::start(&SlapdOptions {
        backup: Some(backup),
        memberof: true,
        database: format!(
            "access to attrs=memberOf by dn.exact=\"{READER}\" none by * read\naccess to * by * read\n"
        ),
        ..SlapdOptions::default()
    });
    is_unharmed(&site).await;
    site.sync_full().await.is(3);
}
