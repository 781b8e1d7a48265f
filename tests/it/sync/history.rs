//! What happened, asked afterwards.

use super::site::{ACTIVE, MANAGER, MANUAL, Site, with};

async fn lived() -> Site {
    let site = with(4, &[("bio", &[0, 1, 2])]).in_step().await;
    site.leave("bio", 1);
    site.sync().await.is(0);
    site.put("bio", "p2", (MANAGER, MANUAL, ACTIVE));
    site.leave("bio", 2);
    site.sync().await.is(0);
    site
}

#[tokio::test]
async fn every_action_and_refusal_has_its_line() {
    let site = lived().await;
    let told = site.rollbook(&["history", "--category", "bio"]).await.is(0);
    let lines: Vec<String> = told
        .stdout
        .lines()
        .map(|line| line.split("  ").skip(3).collect::<Vec<_>>().join("  "))
        .collect();
    assert_eq!(
        lines,
        [
            "+ p0  member  through bio",
            "+ p1  member  through bio",
            "+ p2  member  through bio",
            "- p1  no group grants it  through bio",
            "! p2  set by hand: left as it is",
        ]
    );
    let of_one = site.rollbook(&["history", "--user", "P1"]).await.is(0);
    assert_eq!(of_one.stdout.lines().count(), 2);
}

#[tokio::test]
async fn a_refusal_is_written_once() {
    let site = lived().await;
    for _ in 0..3 {
        site.sync_full().await.is(0);
    }
    let told = site.rollbook(&["history", "--user", "p2"]).await.is(0);
    assert_eq!(told.stdout.lines().count(), 2);
}

#[tokio::test]
async fn who_was_in_a_channel_on_a_day() {
    let site = lived().await;
    let today = jiff::Zoned::now().date().to_string();
    let told = site
        .rollbook(&["history", "--category", "bio", "--on", &today])
        .await
        .is(0);
    let told = told
        .says("p0  member")
        .says("p2  manager")
        .says("set by hand");
    told.says_nothing_of("p1");
    let before = site
        .rollbook(&["history", "--category", "bio", "--on", "2020-01-01"])
        .await;
    before
        .is(0)
        .says("Nobody, as far as is known")
        .says("The history is complete from");
}

#[tokio::test]
async fn who_was_in_several_channels_is_told_by_channel() {
    let site = with(4, &[("bio", &[0, 1]), ("chem", &[2])]).in_step().await;
    let today = jiff::Zoned::now().date().to_string();
    let on = |format: &'static str| {
        let (site, today) = (&site, today.clone());
        async move {
            let asked = ["--category", "bio", "--category", "chem", "--on", &today];
            site.rollbook(&[&["history", "--format", format][..], &asked].concat())
                .await
                .is(0)
        }
    };
    let told = on("text").await;
    told.says(&format!(
        "bio (channel {})\n  p0  member",
        site.channel("bio")
    ))
    .says(&format!(
        "chem (channel {})\n  p2  member",
        site.channel("chem")
    ))
    .says_nothing_of("The history is complete from");
    let told: serde_json::Value = serde_json::from_str(&on("json").await.stdout).unwrap();
    assert_eq!(told["channels"][1]["channel"], "chem");
    assert_eq!(told["channels"][1]["members"][0]["user"], "p2");
    assert_eq!(told["channels"][1]["members"][0]["run"], 1);
    on("csv").await.says(",chem,p2,member,");
}

#[tokio::test]
async fn who_came_before_the_lines_that_are_kept_is_still_known() {
    let site = lived().await;
    let day_before = "UPDATE history SET at = at - 172800 WHERE run = 1;
         UPDATE ledger SET since = since - 172800 WHERE run = 1;";
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    state.execute_batch(day_before).unwrap();
    state
        .execute_batch("DELETE FROM history WHERE run = 1")
        .unwrap();
    let on = |days: i64| {
        let day = jiff::Zoned::now().date() - jiff::Span::new().days(days);
        let (site, day) = (&site, day.to_string());
        async move {
            let asked = ["history", "--category", "bio", "--on", &day];
            site.rollbook(&asked).await.is(0)
        }
    };
    let today = on(0).await.says("p0  member").says("p2  manager");
    today.says_nothing_of("p1").says_nothing_of("complete from");
    let yesterday = on(1).await.says("p0  member").says("p1  member");
    yesterday.says("The history is complete from");
}

#[tokio::test]
async fn the_way_through_groups_in_groups_is_kept() {
    let site = with(3, &[("bio", &[0]), ("staff", &[2])])
        .set(|settings| settings.groups = "nested = true".into())
        .channel("staff")
        .start()
        .await;
    let suffix = crate::slapd::SUFFIX;
    site.slapd.modify(&format!(
        "dn: cn=bio,ou=groups,{suffix}\nchangetype: modify\nadd: member\nmember: cn=staff,ou=groups,{suffix}\n"
    ));
    site.sync().await.is(0).says("through bio > staff");
    let told = site.rollbook(&["history", "--user", "p2"]).await;
    told.is(0).says("through bio > staff");
}

#[tokio::test]
async fn a_history_that_somebody_edited_is_not_whole() {
    let site = lived().await;
    let verify = &["history", "--verify"];
    site.rollbook(verify)
        .await
        .is(0)
        .says("The history is whole: 5 lines");
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    state
        .execute("DELETE FROM history WHERE seq = 4", [])
        .unwrap();
    site.rollbook(verify).await.is(1).says("broken at line 5");
}

#[tokio::test]
async fn the_history_reads_as_json_and_as_csv() {
    let site = lived().await;
    let json = site.rollbook(&["history", "--format", "json"]).await.is(0);
    let lines: Vec<serde_json::Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["do"], "add");
    assert_eq!(lines[0]["via"], "bio");
    assert_eq!(lines[3]["do"], "remove");
    assert_eq!(lines[3]["before"]["level"], "member");
    let csv = site.rollbook(&["history", "--format", "csv"]).await.is(0);
    let mut reader = csv::Reader::from_reader(csv.stdout.as_bytes());
    assert_eq!(reader.records().count(), 5);
}
