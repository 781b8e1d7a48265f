//! Bad hours of the directory: what is not proven takes nobody away, and no change is lost.

use super::network::Wire;
use super::site::{Site, with};
use crate::slapd::{READER, SUFFIX};

const ALL: [usize; 30] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29,
];

/// Forty people; a group of thirty of them, and a small one.
fn start() -> super::site::Start {
    with(40, &[("bio", &ALL), ("chem", &[0, 1])])
        .set(|settings| settings.directory = "page_size = 10".into())
}

/// One leaves and one joins.
fn change(site: &Site) {
    site.leave("bio", 0);
    site.join("bio", 39);
}

/// The next good run brings what the bad ones could not.
async fn recovers(site: &Site) {
    site.sync().await.is(0);
    let members = site.members("bio");
    assert!(!members.contains(&"p0".to_owned()), "{members:?}");
    assert!(members.contains(&"p39".to_owned()), "{members:?}");
    assert_eq!(members.len(), 30);
    assert_eq!(site.members("chem"), ["p0", "p1"]);
    site.sync_full().await.is(0).says("Nothing to do");
}

/// Runs with a connection that breaks after each of several numbers of octets.
async fn broken_at_many_places(arguments: &[&str]) {
    let mut site = start().in_step().await;
    let whole = Wire::start(site.slapd.port(), usize::MAX);
    site.settings.ldap_urls = Some(format!("\"{}\"", whole.url));
    change(&site);
    let mut dry = arguments.to_vec();
    dry.push("--dry-run");
    site.rollbook(&dry).await.is(0);
    site.set(5, "description", "read me");
    let octets = whole.passed();
    let mut places: Vec<usize> = (0..10).map(|n| octets * n / 10).collect();
    places.extend([octets - 1, octets - 20]);
    for place in places {
        let broken = Wire::start(site.slapd.port(), place);
        site.settings.ldap_urls = Some(format!("\"{}\"", broken.url));
        let run = site.rollbook(arguments).await;
        // A read in parts uses several connections, of which each may be short enough to live.
        assert!(
            matches!(run.code, Some(0 | 1 | 3)),
            "cut after {place}: {run:?}"
        );
        if run.code != Some(0) {
            assert_eq!(site.taken(), [""; 0], "cut after {place}: {run:?}");
        }
    }
    site.settings.ldap_urls = None;
    recovers(&site).await;
}

#[tokio::test]
async fn a_full_read_that_breaks_off_takes_nobody_away() {
    broken_at_many_places(&["sync", "--full"]).await;
}

#[tokio::test]
async fn a_read_of_changes_that_breaks_off_loses_none() {
    broken_at_many_places(&["sync"]).await;
}

/// A server that is good to the administrator and bad to the reader, in this way.
async fn bad_to_the_reader(lines: &str, code: i32) {
    let mut start = start();
    start.slapd.database = format!("{lines}\n");
    let mut site = start.in_step().await;
    change(&site);
    let good = std::mem::replace(&mut site.settings.bind_dn, READER.to_owned());
    site.sync_full().await.is(code);
    assert_eq!(site.taken(), [""; 0]);
    site.sync_full().await.is(code);
    assert_eq!(site.taken(), [""; 0]);
    site.settings.bind_dn = good;
    recovers(&site).await;
}

#[tokio::test]
async fn a_size_limit_takes_nobody_away() {
    bad_to_the_reader(&format!("limits dn.exact=\"{READER}\" size=12"), 3).await;
}

#[tokio::test]
async fn a_server_that_refuses_pages_sends_what_it_likes_and_proves_nothing() {
    bad_to_the_reader(
        &format!("limits dn.exact=\"{READER}\" size.soft=12 size.hard=12 size.prtotal=disabled"),
        3,
    )
    .await;
}

#[tokio::test]
async fn people_hidden_from_the_account_are_not_people_gone() {
    bad_to_the_reader(
        &format!(
            "access to dn.subtree=\"ou=people,{SUFFIX}\" by dn.exact=\"{READER}\" none by * read\n\
             access to * by * read"
        ),
        // The base itself is hidden.
        1,
    )
    .await;
}

#[tokio::test]
async fn people_of_whom_only_the_place_is_shown_are_not_people_gone() {
    bad_to_the_reader(
        &format!(
            "access to dn.one=\"ou=people,{SUFFIX}\" by dn.exact=\"{READER}\" none by * read\n\
             access to * by * read"
        ),
        3,
    )
    .await;
}

#[tokio::test]
async fn groups_hidden_from_the_account_are_not_groups_gone() {
    bad_to_the_reader(
        &format!(
            "access to dn.one=\"ou=groups,{SUFFIX}\" by dn.exact=\"{READER}\" none by * read\n\
             access to * by * read"
        ),
        3,
    )
    .await;
}

#[tokio::test]
async fn members_hidden_from_the_account_are_kept() {
    let mut start = start();
    start.slapd.database = format!(
        "access to attrs=member by dn.exact=\"{READER}\" none by * read\naccess to * by * read\n"
    );
    let mut site = start.in_step().await;
    site.settings.bind_dn = READER.to_owned();
    site.sync_full()
        .await
        .is(3)
        .says("none of the groups has a member");
    assert_eq!(site.members("bio").len(), 30);
}

#[tokio::test]
async fn half_of_the_people_hidden_are_kept() {
    let mut start = start();
    start.slapd.database = format!(
        "access to filter=(uid=p1*) by dn.exact=\"{READER}\" none by * read\n\
         access to * by * read\n"
    );
    let mut site = start.in_step().await;
    site.settings.bind_dn = READER.to_owned();
    site.sync_full()
        .await
        .is(0)
        .says("whose entry is gone or hidden");
    assert_eq!(site.members("bio").len(), 30);
}

#[tokio::test]
async fn a_base_that_is_gone_is_an_error() {
    let site = start().in_step().await;
    for group in ["bio", "chem"] {
        site.slapd.delete(&format!("cn={group},ou=groups,{SUFFIX}"));
    }
    site.slapd.delete(&format!("ou=groups,{SUFFIX}"));
    site.sync_full().await.is(1).says("ou=groups");
    site.sync().await.is(1);
    assert_eq!(site.taken(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_is_down_is_an_error() {
    let mut site = start().in_step().await;
    site.slapd.kill();
    site.sync().await.is(1);
    site.sync_full().await.is(1);
    assert_eq!(site.requests(), 0);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_does_not_say_it() {
    let site = start().in_step().await;
    super::site::private(&site.path("ldap.password"), "wrong horse");
    site.sync()
        .await
        .is(1)
        .says("password")
        .says_nothing_of("wrong horse");
    assert_eq!(site.requests(), 0);
}

#[tokio::test]
async fn the_second_server_is_asked_when_the_first_is_down() {
    let mut site = start().in_step().await;
    change(&site);
    site.settings.ldap_urls = Some(format!("\"ldap://127.0.0.1:9\", \"{}\"", site.slapd.url()));
    recovers(&site).await;
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_an_error() {
    let mut start = start();
    start.slapd.tls = true;
    let mut site = start.start().await;
    let ca = |name: &str| {
        format!(
            "ca_file = \"{}\"",
            site.slapd.ca_file().with_file_name(name).display()
        )
    };
    let (other, right) = (ca("other-ca.pem"), ca("ca.pem"));
    site.settings.ldap_urls = Some(format!("\"{}\"", site.slapd.ldaps_url()));
    site.settings.directory = other;
    site.sync().await.is(1).says("certificate");
    site.settings.directory = right;
    site.sync().await.is(0);
    assert_eq!(site.members("chem"), ["p0", "p1"]);
}

/// An export of people and a group of these.
fn export(members: &[usize]) -> String {
    use crate::slapd;
    slapd::BASE_LDIF.to_owned() + &slapd::people(8) + &slapd::group("bio", members.iter().copied())
}

async fn with_an_export(marker: &str, end: &str) -> Site {
    let mut site = with(1, &[]).channel("bio").start().await;
    let path = site.path("export.ldif");
    std::fs::write(&path, export(&[0, 1, 2, 3, 4, 5, 6]) + end).unwrap();
    site.settings.source = Some(format!(
        "kind = \"ldif\"\npath = \"{}\"\n{marker}",
        path.display()
    ));
    site.sync().await.is(0);
    assert_eq!(site.members("bio").len(), 7);
    site
}

#[tokio::test]
async fn half_an_export_takes_nobody_away_and_may_add() {
    let site = with_an_export("", "").await;
    let whole = export(&[7, 1, 2, 3, 4, 5, 6]);
    let path = site.path("export.ldif");
    for length in [whole.len() - 1, whole.len() - 40, whole.len() / 2 + 3] {
        std::fs::write(&path, &whole[..length]).unwrap();
        site.sync().await.is(3);
        assert_eq!(site.taken(), [""; 0], "{length}");
    }
    std::fs::write(&path, whole).unwrap();
    site.sync().await.is(0);
    assert_eq!(
        site.members("bio"),
        ["p1", "p2", "p3", "p4", "p5", "p6", "p7"]
    );
}

#[tokio::test]
async fn an_export_without_its_end_takes_nobody_away() {
    let site = with_an_export("end_marker = \"# end\"", "# end\n").await;
    let whole = export(&[1, 2, 3, 4, 5, 6]) + "# end\n";
    let path = site.path("export.ldif");
    std::fs::write(&path, whole.replace("# end\n", "")).unwrap();
    site.sync().await.is(3);
    assert_eq!(site.taken(), [""; 0]);
    std::fs::write(&path, whole).unwrap();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2", "p3", "p4", "p5", "p6"]);
}

#[tokio::test]
async fn who_was_renamed_while_the_first_export_was_written_is_kept_until_the_next() {
    let site = with_an_export("", "").await;
    let path = site.path("export.ldif");
    let (old, new) = ("uid=p1,ou=people", "uid=p1,ou=moved,ou=people");
    let torn = export(&[0, 1, 2, 3, 4, 5, 6])
        .replace(&format!("member: {old}"), &format!("member: {new}"));
    site.forget_everything();
    std::fs::write(&path, &torn).unwrap();
    site.sync().await;
    assert_eq!(site.taken(), [""; 0]);

    // The name is somebody else's, whom nobody sees.
    site.sync_full().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "p3", "p4", "p5", "p6"]);
}
