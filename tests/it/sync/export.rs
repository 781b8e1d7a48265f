//! `rollbook export`: channels, people and memberships as CSV files, written and handed in.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use rollbook::sandbox::{BulkFault, NewCategory};

use crate::slapd::{self, SUFFIX};

use super::site::{ACTIVE, AUTOMATIC, MANAGER, ROOT, Settings, Site, Start, with};

const BIO: (&str, &[usize]) = ("bio", &[10, 11]);
const SUBMIT: [&str; 5] = ["export", "categories", "--owner", "rector", "--submit"];
const USERS: [&str; 3] = ["export", "users", "--submit"];

fn quick(settings: &mut Settings) {
    "csv = { poll = \"50ms\", patience = \"1s\" }".clone_into(&mut settings.apply);
}

/// A group with a name for people, and no channel.
fn group(id: &str, name: &str, members: &[usize]) -> String {
    let mut ldif = slapd::group(id, members.iter().copied());
    ldif.truncate(ldif.trim_end().len());
    write!(ldif, "\ndescription: {name}\n\n").unwrap();
    ldif
}

fn start() -> Start {
    with(20, &[BIO]).set(quick)
}

/// One channel, and groups without any.
async fn with_groups(ldif: &str) -> Site {
    start().ldif(ldif).in_step().await
}

/// The lines of a file that are rows.
fn rows(file: &str) -> Vec<&str> {
    let lines = file.lines();
    lines.filter(|line| !line.starts_with(['#', '*'])).collect()
}

fn channels(site: &Site, reference: &str) -> Vec<i64> {
    site.account().channels_of(reference)
}

#[tokio::test]
async fn a_group_without_a_channel_gets_one_and_the_next_run_fills_it() {
    let site = with_groups(&group("chem", "Chemistry & Physics", &[10, 12])).await;
    let run = site.rollbook(&SUBMIT).await.is(0);
    run.says("+ chem").says("Job ").says("rollbook sync");
    let id = site
        .account()
        .category_at(&format!("{ROOT}>Chemistry & Physics"))
        .unwrap();
    assert_eq!(channels(&site, "chem"), [id]);
    assert_eq!(site.members_of(id), ["rector manager manual"]);
    site.sync().await.is(0);
    assert_eq!(site.members_of(id), ["p10", "p12", "rector manager manual"]);
    assert_eq!(site.members("bio"), ["p10", "p11"]);
}

#[tokio::test]
async fn channels_that_are_there_by_now_are_not_made_again() {
    let site = with_groups(&group("chem", "Chemistry", &[10])).await;
    site.rollbook(&SUBMIT).await.is(0).says("Done: 1 channel");
    site.rollbook(&SUBMIT).await.is(0).says("Done: 0 channels");
    // Somebody has made it elsewhere in the account, where Rollbook does not look.
    site.slapd.modify(&format!(
        "dn: cn=phys,ou=groups,{SUFFIX}\nchangetype: add\nobjectClass: groupOfNames\ncn: phys\n\
         member: uid=p10,ou=people,{SUFFIX}\n"
    ));
    site.account().add_category(&NewCategory {
        path: "Archive>Physics".to_owned(),
        reference_id: Some("phys".to_owned()),
        ..NewCategory::default()
    });
    site.sync().await.is(0);
    let run = site.rollbook(&SUBMIT).await.is(0);
    run.says("phys: category").says("Archive>Physics");
    assert_eq!(channels(&site, "phys").len(), 1);
    assert_eq!(channels(&site, "chem").len(), 1);
}

#[tokio::test]
async fn a_categories_file_is_what_a_spreadsheet_reads() {
    let site =
        with_groups(&(group("chem", "Chemistry \"A\"", &[10]) + &slapd::group("phys", [11]))).await;
    let run = site
        .rollbook(&["export", "categories", "--owner", "rector"])
        .await
        .is(0);
    assert!(
        run.stdout.starts_with("# Rollbook - channels"),
        "{}",
        run.stdout
    );
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(run.stdout.as_bytes());
    assert_eq!(&reader.headers().unwrap()[0], "*action");
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(
        rows,
        [
            [
                "1",
                ROOT,
                "Chemistry \"A\"",
                "chem",
                "rector",
                "3",
                "3",
                "2",
                "2"
            ],
            ["1", ROOT, "phys", "phys", "rector", "3", "3", "2", "2"],
        ]
    );
    assert_eq!(
        site.account()
            .calls()
            .count_of("category.addFromBulkUpload"),
        0
    );
}

#[tokio::test]
async fn what_kaltura_would_misread_is_refused_with_its_reason() {
    let ldif = [
        group("one", "A > B", &[10]),
        group("two", "Voila\u{300}", &[10]),
        group("three", "Twin", &[10]),
        group("four", "twin", &[10]),
        slapd::group("chem", [10]),
    ];
    let site = with_groups(&ldif.concat()).await;
    site.add_channel("Chem");
    let run = site
        .rollbook(&["export", "categories", "--owner", "rector"])
        .await
        .is(0);
    assert_eq!(rows(&run.stdout).len(), 2, "{}", run.stdout);
    run.says("one: the channel's name has '>'")
        .says("called")
        .says("chem: it leads to chem")
        .says("differs by case");
    let bad = ["export", "categories", "--owner", "Ada Lovelace"];
    site.rollbook(&bad).await.is(2).says("user ID");
}

#[tokio::test]
async fn channels_are_made_only_where_they_will_be_found() {
    let site = with_groups(&group("chem", "Chemistry", &[10])).await;
    let export = ["export", "categories", "--owner", "rector", "--parent"];
    for (parent, says) in [
        ("MediaSpace", "kaltura.root"),
        ("MediaSpace>site>channels>gone", "no category with the path"),
    ] {
        let run = site.rollbook(&[&export[..], &[parent]].concat()).await;
        run.is(2).says(says);
    }
}

#[tokio::test]
async fn a_channel_that_kaltura_refuses_is_told_with_its_text_and_the_others_are_made() {
    let ldif = ["a", "b"].map(|id| group(id, id, &[10]));
    let site = with_groups(&ldif.concat()).await;
    // Somebody makes a channel of that name, and no list shows it yet.
    site.account().set_index_lag(Some(Duration::from_hours(1)));
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>A"),
        ..NewCategory::default()
    });
    let run = site.rollbook(&SUBMIT).await.is(3);
    run.says("! a: ")
        .says("already exists")
        .says("+ b")
        .says("Not done: 1 channel");
    site.account().set_index_lag(None);
    site.account().catch_up();
    let run = site.rollbook(&SUBMIT).await.is(0);
    run.says("is called a").says("Done: 0 channels");
}

#[tokio::test]
async fn where_the_log_is_silent_the_account_is_asked() {
    let ldif = ["a", "b"].map(|id| group(id, id, &[10]));
    let site = with_groups(&ldif.concat()).await;
    site.account()
        .faults()
        .next_bulk_job(BulkFault::LogLacksRows(2));
    site.rollbook(&SUBMIT).await.is(0).says("Done: 2 channels");
    let site = with_groups(&ldif.concat()).await;
    site.account().faults().next_bulk_job(BulkFault::Fail);
    let run = site.rollbook(&SUBMIT).await.is(3);
    run.says("Not done: 2 channels").says("may be given again");
    site.rollbook(&SUBMIT).await.is(0).says("Done: 2 channels");
    assert_eq!(channels(&site, "a").len(), 1);
}

#[tokio::test]
async fn an_export_that_was_cut_off_does_no_harm_when_it_is_given_again() {
    let site = with_groups(&group("chem", "Chemistry", &[10])).await;
    let mut command = site.command(&SUBMIT);
    command.env("ROLLBOOK_KILL_AT", "after-submitting:1");
    assert!(!command.output().await.unwrap().status.success());
    site.wait_an_hour();
    site.account().work(None);
    site.sync().await.is(0);
    let run = site.rollbook(&SUBMIT).await.is(0);
    run.says("Done: 0 channels");
    let chem = channels(&site, "chem");
    assert_eq!(chem.len(), 1);
    assert_eq!(site.members_of(chem[0]), ["p10", "rector manager manual"]);
}

#[tokio::test]
async fn people_who_are_wanted_get_their_names() {
    let site = with_groups(&group("chem", "Chemistry", &[14])).await;
    site.set(11, "sn", "Lovelace, Countess \"of\" X");
    site.sync().await.is(0);
    assert_eq!(site.account().user("p10"), Some("p10".to_owned()));
    site.rollbook(&USERS).await.is(0).says("Done: 2 people");
    let name = |user: &str| {
        let look = rollbook::sandbox::Look::default();
        let users = site.account().users(&look).rows;
        let user = users.into_iter().find(|known| known.id == user);
        user.map(|user| (user.name, user.email.unwrap_or_default()))
    };
    let expected = |name: &str, mail: &str| Some((name.to_owned(), mail.to_owned()));
    assert_eq!(name("p10"), expected("Given10 Family10", "p10@example.edu"));
    assert_eq!(
        name("p11"),
        expected("Given11 Lovelace, Countess \"of\" X", "p11@example.edu")
    );
    assert_eq!(name("p14"), None, "the group has no channel");
    // Nothing of it is anybody's membership.
    site.account().calls().reset();
    site.sync_full().await.is(0);
    assert_eq!(site.account().calls().writes(), []);
}

#[tokio::test]
async fn people_who_do_not_fit_a_file_are_named_with_the_reason() {
    let site = with(20, &[("bio", &[1, 10, 11, 12, 13])])
        .set(quick)
        .set(|settings| settings.policy = "protected = [\"p13\"]".to_owned())
        .start()
        .await;
    site.set(
        11,
        "sn",
        "Cunillera\u{300}".replace("a\u{300}", "à").as_str(),
    );
    site.sync().await.is(0);
    let file = site.path("people.csv");
    let file = file.to_str().unwrap();
    let run = site
        .rollbook(&["export", "users", "--out", file])
        .await
        .is(0);
    run.says("p1: the user ID has 2 characters")
        .says("p11: the person's last name")
        .says("p13: protected")
        .says("people.csv: 2 people");
    let written = fs::read_to_string(file).unwrap();
    assert_eq!(
        rows(&written),
        [
            "6,p10,Given10,Family10,Given10 Family10,p10@example.edu",
            "6,p12,Given12,Family12,Given12 Family12,p12@example.edu",
        ]
    );
}

#[tokio::test]
async fn a_row_of_a_person_that_kaltura_refuses_is_told_with_its_text_and_without_the_name() {
    let mut start = start();
    start.limits.bulk_rows = 1;
    let site = start.in_step().await;
    let run = site.rollbook(&USERS).await.is(3);
    run.says("+ p10")
        .says("! p11: Exeeded max records")
        .says("Not done: 1 person")
        .says_nothing_of("Family11");
}

#[tokio::test]
async fn more_rows_than_a_file_takes_are_several_files() {
    let site = with(20, &[("bio", &[10, 11, 12, 13, 14])])
        .set(|settings| {
            "csv = { rows = 2, poll = \"50ms\", patience = \"1s\" }"
                .clone_into(&mut settings.apply);
        })
        .in_step()
        .await;
    let file = site.path("people.csv");
    let out = ["export", "users", "--out", file.to_str().unwrap()];
    site.rollbook(&out)
        .await
        .is(0)
        .says("people-3.csv: 1 person");
    let first = fs::read_to_string(site.path("people-1.csv")).unwrap();
    assert!(first.contains("file 1 of 3"), "{first}");
    assert_eq!(rows(&first).len(), 2);
    site.rollbook(&USERS).await.is(0).says("Done: 5 people");
    assert_eq!(site.account().calls().count_of("user.addFromBulkUpload"), 3);
}

#[tokio::test]
async fn every_membership_is_exported_but_those_that_are_nobodys_to_give() {
    let site = with(
        20,
        &[BIO, ("chem", &[10, 12]), ("phys", &[10]), ("twin", &[10])],
    )
    .set(quick)
    .set(|settings| settings.policy = "protected = [\"p12\"]".to_owned())
    .start()
    .await;
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>bio"),
        reference_id: Some("bio".to_owned()),
        owner: Some("p11".to_owned()),
        ..NewCategory::default()
    });
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>twin2"),
        reference_id: Some("twin".to_owned()),
        ..NewCategory::default()
    });
    site.account().inherit(site.channel("phys"));
    site.put("chem", "p19", (MANAGER, AUTOMATIC, ACTIVE));
    site.rollbook(&["export", "entitlements"])
        .await
        .is(2)
        .says("rollbook sync --dry-run");
    site.rollbook(&["sync", "--dry-run"]).await.is(0);
    let run = site.rollbook(&["export", "entitlements"]).await.is(0);
    let (bio, chem) = (site.channel("bio"), site.channel("chem"));
    assert_eq!(
        rows(&run.stdout),
        [format!("6,{bio},p10,3,1,"), format!("6,{chem},p10,3,1,")]
    );
    run.says("bio: p11: owns the channel")
        .says("chem: p12: protected")
        .says("phys: it shows the members of category")
        .says("twin: channels");
    site.rollbook(&["export", "entitlements", "--submit"])
        .await
        .is(2)
        .says("rollbook sync --full --via csv");
    assert_eq!(site.account().calls().writes().len(), 0);
}

#[tokio::test]
async fn who_may_not_hand_in_files_is_told_what_is_missing() {
    let site = with_groups(&group("chem", "Chemistry", &[10])).await;
    site.account()
        .faults()
        .fail_next("category.addFromBulkUpload", 1, "SERVICE_FORBIDDEN");
    let run = site.rollbook(&SUBMIT).await.is(1);
    run.says("CONTENT_INGEST_BULK_UPLOAD").says("--out FILE");
}
