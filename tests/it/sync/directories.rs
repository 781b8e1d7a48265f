//! Several directories: what one of them does not tell holds up no other.

use super::site::{Site, Start, with};
use crate::slapd::{self, SUFFIX, Slapd, SlapdOptions};

const NO_LIMITS: &str = "first_run = \"apply\"\ncategory = { percent = 100, at_least = 100 }\n\
                         total = { percent = 100, at_least = 100 }\nleft_empty = 0";

/// The sections of a second directory, which is the text of `kind` and so on.
fn second(source: &str, lines: &str) -> String {
    format!(
        "[[directory]]\nname = \"medical\"\n{source}\n[directory.people]\nbase = \"ou=people,{SUFFIX}\"\n\
         user_id = \"uid\"\n{lines}[directory.groups]\nbase = \"ou=groups,{SUFFIX}\"\n"
    )
}

fn ldap(url: &str) -> String {
    format!("kind = \"ldap\"\nurls = [\"{url}\"]")
}

fn start() -> Start {
    with(6, &[("bio", &[0, 1, 2]), ("chem", &[3])])
        .channel("med")
        .set(|settings| NO_LIMITS.clone_into(&mut settings.safety))
}

/// A second directory of people q0 to q5, with the groups `med` and, where it says so, `bio`.
fn medical(groups: &[(&str, &[usize])]) -> Slapd {
    let rename = |text: String| text.replace("uid=p", "uid=q").replace("uid: p", "uid: q");
    let mut ldif = rename(slapd::people(6));
    for (name, members) in groups {
        ldif += &rename(slapd::group(name, members.iter().copied()));
    }
    Slapd::start(&SlapdOptions {
        ldif,
        ..SlapdOptions::default()
    })
}

async fn in_step(groups: &[(&str, &[usize])], bindings: &str) -> (Site, Slapd) {
    let medical = medical(groups);
    let sections = second(&ldap(&medical.url()), "") + bindings;
    let site = start()
        .set(|settings| settings.bindings = sections)
        .start()
        .await;
    site.sync().await.is(0);
    site.account().calls().reset();
    (site, medical)
}

#[tokio::test]
async fn a_directory_that_is_down_holds_up_no_other() {
    let (site, mut medical) = in_step(&[("med", &[0, 1])], "").await;
    assert_eq!(site.members("med"), ["q0", "q1"]);
    medical.kill();
    site.leave("bio", 1);
    site.join("bio", 5);
    site.sync()
        .await
        .is(3)
        .says("Directory medical: not read")
        .says("p1  no group grants it");
    assert_eq!(site.members("bio"), ["p0", "p2", "p5"]);
    assert_eq!(site.members("med"), ["q0", "q1"]);
}

#[tokio::test]
async fn nobody_leaves_a_channel_that_a_directory_which_is_down_feeds_too() {
    let (site, mut medical) = in_step(&[("bio", &[0]), ("med", &[1])], COMMON).await;
    assert_eq!(site.members("bio"), ["p0", "p1", "p2", "q0"]);
    let backup = medical.backup();
    medical.kill();
    site.leave("bio", 1);
    for _ in 0..2 {
        site.sync()
            .await
            .is(3)
            .says("kept: the directory could not be read");
        assert_eq!(site.taken(), [""; 0]);
    }
    // It is there again, and what waited is done.
    let again = Slapd::start(&SlapdOptions {
        backup: Some(backup),
        ..SlapdOptions::default()
    });
    let mut site = site;
    site.settings.bindings = second(&ldap(&again.url()), "") + COMMON;
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p2", "q0"]);
}

/// Groups of one name in both directories feed one channel, each by its own binding.
const COMMON: &str = "[[binding]]\ngroup = \".+\"\ndirectory = \"campus\"\n\
                      [[binding]]\ngroup = \".+\"\ndirectory = \"medical\"\n";

#[tokio::test]
async fn a_directory_that_was_never_read_may_feed_what_its_bindings_lead_to() {
    let sections = second(&ldap("ldap://127.0.0.1:9"), "");
    let bound = "[[binding]]\ngroup = \".+\"\ndirectory = \"campus\"\n\
                 [[binding]]\ngroups = [\"med\", \"chem\"]\ndirectory = \"medical\"\n";
    let site = start()
        .set(|settings| settings.bindings = sections + bound)
        .start()
        .await;
    site.sync().await.is(3);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    site.leave("bio", 1);
    site.leave_last("chem", 3);
    site.sync().await.is(3);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
    assert_eq!(site.members("chem"), ["p0", "p3"], "medical may feed it");
}

#[tokio::test]
async fn a_cut_export_beside_a_whole_directory_takes_nobody_away() {
    let site = start().start().await;
    let path = site.path("medical.ldif");
    let export = |members: &[usize]| {
        let text = slapd::BASE_LDIF.to_owned()
            + &slapd::people(6)
            + &slapd::group("med", members.iter().copied());
        text.replace("uid=p", "uid=q").replace("uid: p", "uid: q")
    };
    std::fs::write(&path, export(&[0, 1, 2])).unwrap();
    let source = format!("kind = \"ldif\"\npath = \"{}\"", path.display());
    let mut site = site;
    site.settings.bindings = second(&source, "");
    site.sync().await.is(0);
    let whole = export(&[0, 2]);
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    site.leave("bio", 1);
    site.sync().await.is(3);
    assert_eq!(site.members("bio"), ["p0", "p2"]);
    assert_eq!(site.members("med"), ["q0", "q1", "q2"]);
    std::fs::write(&path, whole).unwrap();
    site.sync().await.is(0);
    assert_eq!(site.members("med"), ["q0", "q2"]);
}

#[tokio::test]
async fn entries_of_one_person_in_two_directories_are_named_and_may_be_joined() {
    // The same people in both directories, with the same user IDs.
    let numbered = |text: String| {
        (0..6).fold(text, |text, n| {
            text.replace(
                &format!("uid: p{n}\n"),
                &format!("uid: p{n}\nemployeeNumber: {n}\n"),
            )
        })
    };
    let other = Slapd::start(&SlapdOptions {
        ldif: numbered(slapd::people(6)) + &slapd::group("med", [0, 4]),
        ..SlapdOptions::default()
    });
    let mut first = start();
    first.slapd.ldif = numbered(first.slapd.ldif);
    let mut site = first
        .set(|settings| settings.bindings = second(&ldap(&other.url()), ""))
        .start()
        .await;
    site.sync()
        .await
        .is(0)
        .says("user ID p0 is that of 2 entries: uid=p0,ou=people,dc=example,dc=edu in campus; uid=p0,ou=people,dc=example,dc=edu in medical")
        .says("directory.people.join");
    assert_eq!(site.members("bio"), [""; 0]);
    site.settings.people = "join = \"employeeNumber\"".to_owned();
    site.settings.bindings = second(&ldap(&other.url()), "join = \"employeeNumber\"\n");
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p0", "p1", "p2"]);
    assert_eq!(site.members("med"), ["p0", "p4"]);
    site.leave("bio", 0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p1", "p2"]);
    assert_eq!(site.members("med"), ["p0", "p4"]);
}
