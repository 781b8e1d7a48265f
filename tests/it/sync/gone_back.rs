//! A directory that has gone back, or has lost half of itself: nobody loses anything on its word.

use super::site::{Site, Start, with};
use crate::slapd::{self, SUFFIX, Slapd, SlapdOptions};

const BIO: (&str, &[usize]) = ("bio", &[0, 1, 2, 3]);
const CHEM: (&str, &[usize]) = ("chem", &[0, 4]);

/// Only what the directory proves keeps people in, no limit.
fn start() -> Start {
    with(8, &[BIO, CHEM]).set(|settings| {
        "first_run = \"apply\"\ncategory = { percent = 100, at_least = 100 }\n\
             total = { percent = 100, at_least = 100 }\nleft_empty = 0"
            .clone_into(&mut settings.safety);
    })
}

/// Puts a server in the place of the site's own that is as this backup says.
fn restore(site: &mut Site, backup: String) -> Slapd {
    let restored = Slapd::start(&SlapdOptions {
        backup: Some(backup),
        ..SlapdOptions::default()
    });
    site.settings.ldap_urls = Some(format!("\"{}\"", restored.url()));
    restored
}

#[tokio::test]
async fn a_directory_restored_from_an_older_backup_takes_nobody_away() {
    let mut site = start().in_step().await;
    let backup = site.slapd.backup();
    site.join("bio", 5);
    site.join("chem", 6);
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 5);
    let _restored = restore(&mut site, backup);
    for arguments in [&["sync"][..], &["sync", "--full"], &["sync", "--full"]] {
        site.rollbook(arguments).await;
        assert!(site.taken().is_empty(), "{:?}", site.taken());
    }
    let run = site.sync_full().await.is(3);
    run.says("2 entries are older than when last read");
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3", "p5"]);
    assert_eq!(site.members("chem"), ["p0", "p4", "p6"]);
}

#[tokio::test]
async fn a_replica_that_lags_behind_takes_nobody_away_and_is_believed_once_it_has_caught_up() {
    let mut site = start().in_step().await;
    let behind = site.slapd.backup();
    site.join("bio", 5);
    site.sync().await.is(0);
    let _replica = restore(&mut site, behind);
    site.sync_full().await.is(3);
    assert_eq!(site.members("bio").len(), 5);
    let now = site.slapd.backup();
    let caught_up = restore(&mut site, now);
    site.sync_full().await.is(0);
    caught_up.modify(&format!(
        "dn: cn=bio,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\n\
         member: uid=p1,ou=people,{SUFFIX}\n"
    ));
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3", "p5"]);
}

#[tokio::test]
async fn a_backup_that_is_meant_is_accepted_with_a_state_file_made_anew() {
    let mut site = start().in_step().await;
    let backup = site.slapd.backup();
    site.join("bio", 5);
    site.sync().await.is(0);
    let _restored = restore(&mut site, backup);
    site.sync_full()
        .await
        .is(3)
        .says("rollbook state accept campus");
    let digest = site.rollbook(&["state", "rebuild"]).await.is(4).digest();
    site.rollbook(&["approve", &digest]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
}

#[tokio::test]
async fn a_server_that_answers_with_half_its_groups_takes_nobody_away() {
    let site = start().in_step().await;
    site.slapd.delete(&format!("cn=bio,ou=groups,{SUFFIX}"));
    for arguments in [&["sync"][..], &["sync", "--full"], &["sync", "--full"]] {
        site.rollbook(arguments).await;
        assert!(site.taken().is_empty(), "{:?}", site.taken());
    }
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("bio is not in the directory");
    site.slapd.modify(&slapd::group("bio", [0, 1, 2, 3]));
    site.sync_full().await.is(0);
    assert!(site.taken().is_empty(), "{:?}", site.taken());
}

fn with_syncprov() -> Start {
    let mut start = start();
    start.slapd.syncprov = true;
    start
}

/// A server that shows how far it has come, and is as this backup says.
fn provider(backup: String) -> Slapd {
    Slapd::start(&SlapdOptions {
        backup: Some(backup),
        syncprov: true,
        ..SlapdOptions::default()
    })
}

#[tokio::test]
async fn a_server_that_shows_that_it_is_behind_neither_adds_nor_removes() {
    let mut site = with_syncprov().in_step().await;
    let backup = site.slapd.backup();
    site.join("bio", 5);
    site.leave("chem", 4);
    site.sync().await.is(0);
    site.account().calls().reset();
    let behind = provider(backup);
    site.settings.ldap_urls = Some(format!("\"{}\"", behind.url()));
    for arguments in [&["sync"][..], &["sync", "--full"]] {
        site.rollbook(arguments)
            .await
            .is(1)
            .says("has come as far as what was already read")
            .says("rollbook state accept campus");
        assert_eq!(site.account().calls().writes(), []);
    }
}

#[tokio::test]
async fn the_next_server_is_read_when_the_first_is_behind() {
    let mut site = with_syncprov().in_step().await;
    let behind = provider(site.slapd.backup());
    site.join("bio", 5);
    site.sync().await.is(0);
    site.leave("bio", 1);
    site.settings.ldap_urls = Some(format!("\"{}\", \"{}\"", behind.url(), site.slapd.url()));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3", "p5"]);
}

#[tokio::test]
async fn a_restored_server_is_not_believed_when_the_entry_is_written_again() {
    for syncprov in [false, true] {
        let mut start = start();
        start.slapd.syncprov = syncprov;
        let mut site = start.in_step().await;
        let backup = site.slapd.backup();
        site.join("bio", 5);
        site.join("chem", 6);
        site.sync().await.is(0);
        let restored = if syncprov {
            provider(backup)
        } else {
            Slapd::start(&SlapdOptions {
                backup: Some(backup),
                ..SlapdOptions::default()
            })
        };
        site.settings.ldap_urls = Some(format!("\"{}\"", restored.url()));
        site.sync_full().await;
        // What was lost is not put back; something else is written to the same groups.
        for group in ["bio", "chem"] {
            restored.modify(&format!(
                "dn: cn={group},ou=groups,{SUFFIX}\nchangetype: modify\nreplace: description\n\
                 description: rewritten\n"
            ));
        }
        for arguments in [&["sync"][..], &["sync", "--full"], &["sync", "--full"]] {
            site.rollbook(arguments).await;
            assert_eq!(site.taken(), [""; 0], "{syncprov} {arguments:?}");
        }
        site.rollbook(&["state", "accept", "campus"]).await.is(0);
        site.sync().await.is(0);
        assert_eq!(site.members("bio"), ["p0", "p1", "p2", "p3"], "{syncprov}");
    }
}

#[tokio::test]
async fn only_a_directory_that_was_read_can_be_accepted() {
    let site = start().start().await;
    for name in ["campus", "nowhere"] {
        site.rollbook(&["state", "accept", name])
            .await
            .is(1)
            .says("The configuration names: campus");
    }
}

#[tokio::test]
async fn the_next_server_is_read_when_entries_of_the_first_are_older() {
    let mut site = start().in_step().await;
    let behind = site.slapd.backup();
    site.join("bio", 5);
    site.sync().await.is(0);
    site.leave("bio", 1);
    let behind = Slapd::start(&SlapdOptions {
        backup: Some(behind),
        ..SlapdOptions::default()
    });
    site.settings.ldap_urls = Some(format!("\"{}\", \"{}\"", behind.url(), site.slapd.url()));
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3", "p5"]);
}
