//! Changes that go by CSV file: submitted, followed, settled; and what becomes of them in bad hours.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rollbook::sandbox::{BulkFault, NewCategory};

use crate::sandbox::client::upload;

use super::site::{
    ACTIVE, AUTOMATIC, MANAGER, MANUAL, MEMBER, NONE, NOT_ACTIVE, Settings, Site, with,
};

const BIO: (&str, &[usize]) = ("bio", &[10, 11, 12]);
const CHEM: (&str, &[usize]) = ("chem", &[10, 13]);

/// Files are looked after often, and given up soon: tests do not wait.
const QUICK: &str = "via = \"csv\"\ncsv = { poll = \"50ms\", patience = \"1s\" }";

fn quick(settings: &mut Settings) {
    QUICK.clone_into(&mut settings.apply);
    "first_run = \"apply\"\ncategory = { percent = 100, at_least = 100 }\n\
         total = { percent = 100, at_least = 100 }\nleft_empty = 0\nlast_manager = \"allow\""
        .clone_into(&mut settings.safety);
}

/// Two channels, filled by file.
async fn filled() -> Site {
    with(20, &[BIO, CHEM]).set(quick).in_step().await
}

/// How many files were handed in since the log of calls was reset.
fn files(site: &Site) -> u64 {
    site.account()
        .calls()
        .count_of("categoryUser.addFromBulkUpload")
}

fn state(site: &Site, sql: &str) -> i64 {
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    state.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Nothing is on its way any more.
#[track_caller]
fn is_settled(site: &Site) {
    assert_eq!(state(site, "SELECT count(*) FROM journal"), 0);
    assert_eq!(state(site, "SELECT count(*) FROM file"), 0);
}

/// What the writes of the account's workers and clients were: `add p1`.
fn writes(site: &Site) -> Vec<String> {
    let writes = site.account().calls().writes().into_iter();
    let mut writes: Vec<String> = writes
        .map(|write| format!("{} {}", write.action, write.user_id))
        .collect();
    writes.sort();
    writes
}

#[tokio::test]
async fn additions_changes_and_departures_go_by_file_and_none_by_call() {
    let site = with(20, &[BIO, CHEM]).set(quick).start().await;
    site.put("chem", "p14", (MEMBER, AUTOMATIC, ACTIVE));
    site.put("chem", "p13", (MANAGER, AUTOMATIC, ACTIVE));
    site.account().calls().reset();
    site.sync().await.is(0).says("Done: 6 changes");
    assert_eq!(site.members("bio"), ["p10", "p11", "p12"]);
    assert_eq!(site.members("chem"), ["p10", "p13"]);
    assert_eq!(files(&site), 1, "both channels fit into one file");
    let writes = site.account().calls().writes();
    assert!(writes.iter().all(|write| write.bulk_job.is_some()));
    is_settled(&site);
    site.sync_full()
        .await
        .is(0)
        .says("Every channel is as its groups say");
}

#[tokio::test]
async fn who_is_deactivated_by_file_is_activated_by_file() {
    let site = with(20, &[BIO])
        .set(quick)
        .set(|settings| settings.policy = "departure = \"deactivate\"".to_owned())
        .in_step()
        .await;
    site.leave("bio", 11);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p11 inactive", "p12"]);
    site.join("bio", 11);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p11", "p12"]);
    assert_eq!(files(&site), 2);
}

#[tokio::test]
async fn the_flag_has_the_last_word() {
    let site = filled().await;
    site.join("bio", 14);
    site.rollbook(&["sync", "--via", "api"]).await.is(0);
    assert_eq!(files(&site), 0);
    assert_eq!(site.members("bio"), ["p10", "p11", "p12", "p14"]);
    site.rollbook(&["sync", "--via", "mail"])
        .await
        .is(2)
        .says("api");
    site.rollbook(&["sync", "--via", "csv-file"])
        .await
        .is(2)
        .says("DIR");
}

#[tokio::test]
async fn a_membership_made_permanent_by_hand_is_not_removed_by_the_engine_that_would() {
    let site = filled().await;
    site.leave("bio", 11);
    site.put("bio", "p11", (MEMBER, MANUAL, ACTIVE));
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p11 manual", "p12"]);
    assert_eq!(files(&site), 0);
}

#[tokio::test]
async fn what_was_set_by_hand_goes_by_call_where_there_is_a_choice_and_is_left_where_there_is_none()
{
    let site = with(20, &[BIO])
        .set(quick)
        .set(|settings| settings.policy = "manual = \"override\"".to_owned())
        .in_step()
        .await;
    site.put("bio", "p19", (MEMBER, MANUAL, ACTIVE));
    site.sync_full().await.is(3).says("Not done: 1 change");
    site.rollbook(&["status"]).await.is(0).says("by hand");
    assert_eq!(site.members("bio"), ["p10", "p11", "p12", "p19 manual"]);
    site.rollbook(&["sync", "--full", "--via", "auto"])
        .await
        .is(0);
    assert_eq!(site.members("bio"), ["p10", "p11", "p12"]);
}

#[tokio::test]
async fn an_owner_is_not_removed_by_the_engine_that_would() {
    let site = filled().await;
    site.leave("bio", 11);
    // Between the plan and the file nobody can step in here; but the index may be behind.
    site.account().set_index_lag(Some(Duration::from_hours(1)));
    site.put("bio", "p11", (MANAGER, AUTOMATIC, ACTIVE));
    site.sync().await;
    assert!(site.taken().is_empty() || site.taken() == ["delete p11"]);
}

#[tokio::test]
async fn a_channel_larger_than_a_file_goes_by_several_one_after_the_other() {
    let site = with(
        22,
        &[("bio", &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])],
    )
    .set(quick)
    .set(|settings| {
        settings.apply = "via = \"csv\"\ncsv = { rows = 5, jobs = 8, poll = \"50ms\" }".to_owned();
    })
    .start()
    .await;
    site.sync().await.is(0).says("Done: 12 changes");
    assert_eq!(files(&site), 3);
    assert_eq!(site.members("bio").len(), 12);
}

#[tokio::test]
async fn reference_ids_that_kaltura_takes_for_one_another_do_not_go_by_file() {
    let site = with(20, &[BIO, ("chem", &[13])])
        .set(quick)
        .set(|settings| {
            settings.apply =
                "via = \"csv\"\ncsv = { category = \"reference_id\", poll = \"50ms\" }".to_owned();
        })
        .start()
        .await;
    site.account().add_category(&NewCategory {
        path: "elsewhere".to_owned(),
        reference_id: Some("BIO".to_owned()),
        ..NewCategory::default()
    });
    site.sync().await.is(3).says("Not done: 3 changes");
    assert!(site.members("bio").is_empty());
    assert_eq!(site.members("chem"), ["p13"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("for another category's");
}

/// Brings the channels in step in one hour that is bad, and then in as many as it takes; nothing is done
/// twice, and nothing that the groups do not say.
async fn survives(fault: BulkFault, code: i32) -> Site {
    let site = filled().await;
    site.leave("bio", 11);
    site.join("bio", 13);
    site.join("chem", 14);
    site.account().faults().next_bulk_job(fault);
    site.sync().await.is(code);
    is_settled(&site);
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p12", "p13"]);
    assert_eq!(site.members("chem"), ["p10", "p13", "p14"]);
    assert_eq!(writes(&site), ["add p13", "add p14", "delete p11"]);
    is_settled(&site);
    site
}

#[tokio::test]
async fn a_job_that_fails_is_planned_again() {
    let site = survives(BulkFault::Fail, 3).await;
    assert_eq!(files(&site), 2);
}

#[tokio::test]
async fn a_job_that_somebody_aborts_is_planned_again() {
    let site = survives(BulkFault::Abort, 3).await;
    assert_eq!(files(&site), 2);
}

#[tokio::test]
async fn a_log_that_lacks_rows_is_made_up_for_by_looking() {
    let site = survives(BulkFault::LogLacksRows(2), 0).await;
    assert_eq!(files(&site), 1);
}

#[tokio::test]
async fn a_log_with_an_extra_cell_is_made_up_for_by_looking() {
    let site = survives(BulkFault::LogHasAnotherCell, 0).await;
    assert_eq!(files(&site), 1);
}

#[tokio::test]
async fn a_log_with_every_row_twice_is_no_matter() {
    let site = survives(BulkFault::LogRepeatsRows, 0).await;
    assert_eq!(files(&site), 1);
}

#[tokio::test]
async fn a_row_that_kaltura_refuses_is_set_aside_with_its_text_and_the_others_are_done() {
    let mut start = with(20, &[BIO]).set(quick);
    start.limits.users_per_category = 4;
    let site = start.in_step().await;
    site.join("bio", 13);
    site.join("bio", 14);
    let run = site.sync().await.is(3);
    run.says("Done: 1 change").says("Not done: 1 change");
    assert_eq!(site.members("bio"), ["p10", "p11", "p12", "p13"]);
    is_settled(&site);
    site.rollbook(&["status"]).await.is(0).says("p14: ");
    site.leave("bio", 10);
    site.rollbook(&["retry"]).await.is(0);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p11", "p12", "p13", "p14"]);
}

#[tokio::test]
async fn rows_beyond_what_the_server_takes_are_tried_again_by_a_later_run() {
    let mut start = with(20, &[BIO]).set(quick);
    start.limits.bulk_rows = 2;
    let site = start.start().await;
    site.sync().await.is(3).says("Not done: 1 change");
    site.rollbook(&["status"]).await.is(0).says("max records");
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p11", "p12"]);
}

#[tokio::test]
async fn a_session_that_ends_while_a_job_is_followed_is_made_anew() {
    let site = filled().await;
    site.join("bio", 13);
    let mut run = site.spawn(&["sync"]);
    while files(&site) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    site.account().expire_sessions();
    assert!(run.wait().await.unwrap().success());
    assert_eq!(site.members("bio"), ["p10", "p11", "p12", "p13"]);
    assert_eq!(files(&site), 1);
}

/// Kills a run at a point, and lets the next one find the job.
async fn killed_at(point: &str, submitted: u64) {
    let site = filled().await;
    site.leave("bio", 11);
    site.join("chem", 14);
    let mut command = site.command(&["sync"]);
    command.env("ROLLBOOK_KILL_AT", format!("{point}:1"));
    let output = command.output().await.unwrap();
    assert!(!output.status.success(), "it was not killed at {point}");
    site.wait_an_hour();
    let run = site.sync().await;
    assert!([Some(0), Some(3)].contains(&run.code), "{run:?}");
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p12"], "{point}");
    assert_eq!(site.members("chem"), ["p10", "p13", "p14"], "{point}");
    assert_eq!(writes(&site), ["add p14", "delete p11"], "{point}");
    assert_eq!(files(&site), submitted, "{point}");
    is_settled(&site);
}

#[tokio::test]
async fn a_run_killed_before_its_file_was_submitted_submits_it_later() {
    killed_at("after-opening-a-file", 1).await;
    killed_at("before-submitting", 1).await;
}

#[tokio::test]
async fn a_run_killed_before_it_knew_the_job_finds_it_by_the_name_of_the_file() {
    killed_at("after-submitting", 1).await;
}

#[tokio::test]
async fn a_run_killed_while_its_job_was_worked_on_waits_for_it() {
    killed_at("after-noting-a-job", 1).await;
    killed_at("while-settling-a-file", 1).await;
}

#[tokio::test]
async fn who_may_not_upload_files_is_told_what_is_missing_and_may_go_by_calls() {
    let site = filled().await;
    site.join("bio", 13);
    let faults = site.account().faults().clone();
    for call in ["categoryUser.addFromBulkUpload", "bulkupload_bulk.list"] {
        faults.fail_next(call, 100, "SERVICE_FORBIDDEN");
    }
    let run = site.sync().await.is(1);
    run.says("CONTENT_INGEST_BULK_UPLOAD").says("--via api");
    is_settled(&site);
    site.rollbook(&["sync", "--via", "api"]).await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p11", "p12", "p13"]);
}

#[tokio::test]
async fn a_right_that_was_withdrawn_while_a_job_ran_stops_no_other_change() {
    let site = filled().await;
    site.leave("bio", 11);
    let mut command = site.command(&["sync"]);
    command.env("ROLLBOOK_KILL_AT", "after-noting-a-job:1");
    assert!(!command.output().await.unwrap().status.success());
    let faults = site.account().faults().clone();
    for call in ["get", "list", "serveLog", "abort"] {
        faults.fail_next(
            &format!("bulkupload_bulk.{call}"),
            1000,
            "SERVICE_FORBIDDEN",
        );
    }
    site.join("chem", 14);
    site.wait_an_hour();
    site.rollbook(&["sync", "--via", "api"]).await.is(3);
    assert_eq!(site.members("chem"), ["p10", "p13", "p14"]);
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("has not ended the job");
    faults.clear();
    site.account().work(None);
    site.sync().await.is(0);
    is_settled(&site);
    assert_eq!(site.members("bio"), ["p10", "p12"]);
    assert_eq!(writes(&site), ["add p14", "delete p11"]);
}

#[tokio::test]
async fn rows_of_a_job_that_does_not_end_wait_and_are_planned_again_after_a_day() {
    let site = filled().await;
    site.leave("bio", 11);
    site.join("chem", 14);
    site.account().faults().next_bulk_job(BulkFault::Stick);
    site.sync().await.is(3).says("has not ended the job");
    site.join("chem", 15);
    let run = site.rollbook(&["sync", "--full", "--via", "api"]).await;
    run.is(3).says("waits in a file");
    assert_eq!(
        writes(&site),
        ["add p15"],
        "what the job may yet do is left to it"
    );
    site.rollbook(&["status"])
        .await
        .is(0)
        .says("has not ended the job");
    let path = site.path("rollbook.db");
    let day = "UPDATE file SET made_at = made_at - 90000";
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(day)
        .unwrap();
    site.sync().await;
    site.wait_an_hour();
    site.sync().await.is(0);
    assert_eq!(writes(&site), ["add p14", "add p15", "delete p11"]);
    assert_eq!(files(&site), 2);
    is_settled(&site);
}

#[tokio::test]
async fn what_would_be_held_is_not_shown_as_what_would_be_submitted() {
    let site = with(20, &[BIO, CHEM])
        .set(quick)
        .set(|settings| settings.safety.clear())
        .start()
        .await;
    let shown = site
        .rollbook(&["sync", "--dry-run", "--format", "csv"])
        .await;
    let shown = shown.is(0).says("a run would hold it");
    assert_eq!(shown.stdout, "");
    let digest = site.sync().await.is(4).digest();
    let held = site
        .rollbook(&["show", &digest, "--format", "csv"])
        .await
        .is(0);
    assert!(held.stdout.contains(",p13,3,1,"), "{}", held.stdout);
}

/// What the ledger says of somebody.
fn ledger(site: &Site, user: &str) -> String {
    let state = rusqlite::Connection::open(site.path("rollbook.db")).unwrap();
    let sql = "SELECT state FROM ledger WHERE user_key = ?1";
    state.query_row(sql, [user], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_was_never_sent_is_not_noted_as_removed() {
    let site = filled().await;
    // Two rows for one person do not go by file.
    site.account()
        .add_twin(site.channel("bio"), "p11", MEMBER, AUTOMATIC);
    site.sync_full().await.is(3).says("Not done: 1 change");
    assert_eq!(ledger(&site, "p11"), "active");
}

#[tokio::test]
async fn what_a_job_that_failed_did_not_make_anew_is_not_noted_as_removed() {
    let site = filled().await;
    site.put("bio", "p11", (NONE, AUTOMATIC, ACTIVE));
    site.account().faults().next_bulk_job(BulkFault::Fail);
    site.sync_full().await.is(3).says("Not done: 1 change");
    assert_eq!(ledger(&site, "p11"), "active");
}

// Files for a person to upload.

fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "csv"))
        .collect();
    files.sort();
    files
}

/// A site of which two changes lie in a folder.
async fn handed_over() -> (Site, String) {
    let site = filled().await;
    site.leave("bio", 11);
    site.join("chem", 14);
    let folder = site.path("out").display().to_string();
    let run = site
        .rollbook(&["sync", "--via", "csv-file", &folder])
        .await
        .is(0);
    run.says("2 changes").says("rollbook settle");
    assert_eq!(writes(&site), [""; 0]);
    (site, folder)
}

#[tokio::test]
async fn files_in_a_folder_have_a_manifest_and_a_page_that_says_what_to_do() {
    let (_site, folder) = handed_over().await;
    let folder = Path::new(&folder);
    let files = csv_files(folder);
    assert_eq!(files.len(), 1);
    let content = fs::read_to_string(&files[0]).unwrap();
    assert!(content.starts_with('#'), "{content}");
    assert!(content.contains("\n*action,categoryId,userId"), "{content}");
    let names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let find = |end: &str| names.iter().find(|name| name.ends_with(end)).unwrap();
    let manifest = fs::read_to_string(folder.join(find(".json"))).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["rows"], 2);
    assert_eq!(manifest["files"][0]["rows"], 2);
    assert_eq!(manifest["files"][0]["categories"][0]["reference_id"], "bio");
    assert!(content.contains(&manifest["plan"].as_str().unwrap()[..12]));
    let page = fs::read_to_string(folder.join(find(".txt"))).unwrap();
    assert!(page.contains("rollbook settle"), "{page}");
}

#[tokio::test]
async fn uploaded_files_are_settled_by_the_jobs_that_bear_their_names() {
    let (site, folder) = handed_over().await;
    upload(&site.sandbox, &csv_files(Path::new(&folder))[0]).await;
    let settled = site.rollbook(&["settle", &folder]).await.is(0);
    settled.says("Done: 2 changes");
    is_settled(&site);
    site.sync_full().await.is(0).says("Every channel is as");
    assert_eq!(writes(&site), ["add p14", "delete p11"]);
    let history = site.rollbook(&["history", "--user", "p11"]).await.is(0);
    history.says("bio");
    assert!(
        csv_files(Path::new(&folder)).is_empty(),
        "nobody uploads it again"
    );
}

#[tokio::test]
async fn uploaded_files_are_settled_by_a_log_that_somebody_brings() {
    let (site, folder) = handed_over().await;
    let job = upload(&site.sandbox, &csv_files(Path::new(&folder))[0]).await;
    let log = site.path("log.csv");
    fs::write(&log, site.account().bulk_log(job).unwrap()).unwrap();
    let log = log.display().to_string();
    let settled = site.rollbook(&["settle", &folder, "--log", &log]).await;
    settled.is(0).says("Done: 2 changes");
    is_settled(&site);
}

#[tokio::test]
async fn what_waits_in_a_folder_is_not_planned_again_and_not_forgotten() {
    let (site, folder) = handed_over().await;
    site.join("bio", 15);
    site.rollbook(&["sync", "--full", "--via", "api"])
        .await
        .is(0);
    assert_eq!(writes(&site), ["add p15"]);
    site.rollbook(&["status"]).await.is(0).says(&folder);
    site.rollbook(&["settle", &folder])
        .await
        .is(3)
        .says("Waiting: 2 changes");
    upload(&site.sandbox, &csv_files(Path::new(&folder))[0]).await;
    site.rollbook(&["settle", &folder]).await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p12", "p15"]);
    is_settled(&site);
}

#[tokio::test]
async fn files_that_are_given_up_are_taken_away_and_their_changes_planned_anew() {
    let (site, folder) = handed_over().await;
    site.rollbook(&["settle", &folder, "--discard"]).await.is(3);
    assert!(csv_files(Path::new(&folder)).is_empty());
    is_settled(&site);
    site.wait_an_hour();
    site.rollbook(&["sync", "--via", "api"]).await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p12"]);
    assert_eq!(site.members("chem"), ["p10", "p13", "p14"]);
    site.rollbook(&["settle", &folder])
        .await
        .is(2)
        .says("nothing in");
}

#[tokio::test]
async fn a_run_killed_while_it_wrote_into_a_folder_has_handed_nothing_over() {
    let points = [
        "after-opening-a-file",
        "after-writing-a-file",
        "before-handing-over",
    ];
    for point in points {
        let site = filled().await;
        site.leave("bio", 11);
        let folder = site.path("out");
        let mut command = site.command(&["sync", "--via", "csv-file", folder.to_str().unwrap()]);
        command.env("ROLLBOOK_KILL_AT", format!("{point}:1"));
        assert!(!command.output().await.unwrap().status.success());
        site.wait_an_hour();
        let run = site
            .rollbook(&["sync", "--via", "csv-file", folder.to_str().unwrap()])
            .await;
        run.is(0);
        let files = csv_files(&folder);
        assert_eq!(files.len(), 1, "{point}: {files:?}");
        upload(&site.sandbox, &files[0]).await;
        let folder = folder.display().to_string();
        site.rollbook(&["settle", &folder]).await.is(0);
        assert_eq!(site.members("bio"), ["p10", "p12"], "{point}");
        is_settled(&site);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_and_loses_nothing() {
    let site = filled().await;
    site.leave("bio", 11);
    fs::write(site.path("out"), "a file").unwrap();
    let folder = site.path("out").display().to_string();
    let run = site.rollbook(&["sync", "--via", "csv-file", &folder]).await;
    run.is(1).says("could not be written to").says(&folder);
    site.sync().await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p12"]);
}

#[tokio::test]
async fn the_plan_as_csv_is_what_would_be_submitted() {
    let site = filled().await;
    site.leave("bio", 11);
    site.join("chem", 14);
    site.put("chem", "p13", (MEMBER, AUTOMATIC, NOT_ACTIVE));
    let shown = site
        .rollbook(&["sync", "--dry-run", "--format", "csv"])
        .await
        .is(0)
        .stdout;
    let folder = site.path("out");
    let arguments = ["sync", "--via", "csv-file", folder.to_str().unwrap()];
    site.rollbook(&arguments).await.is(0);
    let written = fs::read_to_string(&csv_files(&folder)[0]).unwrap();
    let rows = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        rows.map(str::to_owned).collect()
    };
    assert_eq!(rows(&shown), rows(&written));
    assert_eq!(rows(&shown).len(), 3, "{shown}");
}

#[tokio::test]
async fn files_whose_folder_is_gone_can_be_given_up_all_the_same() {
    let (site, folder) = handed_over().await;
    fs::remove_dir_all(&folder).unwrap();
    site.rollbook(&["settle", &folder])
        .await
        .is(3)
        .says("Waiting: 2 changes");
    site.rollbook(&["settle", &folder, "--discard"]).await.is(3);
    is_settled(&site);
}

#[tokio::test]
async fn a_log_of_another_file_settles_nothing() {
    let (site, folder) = handed_over().await;
    let log = site.path("log.csv");
    // The same removal, a month ago.
    fs::write(&log, format!("3,{},p11,,,,2,,0\n", site.channel("bio"))).unwrap();
    let log = log.display().to_string();
    let settled = site.rollbook(&["settle", &folder, "--log", &log]).await;
    settled.is(3).says("Waiting: 2 changes");
    assert_eq!(state(&site, "SELECT count(*) FROM journal"), 2);
    fs::write(site.path("log.csv"), "Log file is not ready").unwrap();
    let settled = site.rollbook(&["settle", &folder, "--log", &log]).await;
    settled.is(3).says("says nothing of these files");
}

#[tokio::test]
async fn what_somebody_else_did_meanwhile_is_not_noted_as_ours() {
    let (site, folder) = handed_over().await;
    let run = state(&site, "SELECT run FROM file").to_string();
    site.account().remove_membership(site.channel("bio"), "p11");
    site.rollbook(&["settle", &folder, "--discard"]).await.is(3);
    site.rollbook(&["undo", &run]).await.is(0);
    assert_eq!(site.members("bio"), ["p10", "p12"]);
}

#[tokio::test]
async fn the_gate_counts_what_waits_in_files_as_done() {
    let managers = [
        "[[binding]]",
        "groups = [\"staff\"]",
        "category = { reference_id = \"bio\" }",
        "level = \"manager\"",
        "[[binding]]",
        "groups = [\"bio\"]",
    ];
    let site = with(20, &[("bio", &[10, 11, 12]), ("staff", &[14, 15, 99])])
        .set(quick)
        .set(|settings| {
            settings.bindings = managers.join("\n");
            settings.safety = settings.safety.replace("\"allow\"", "\"hold\"");
        })
        .in_step()
        .await;
    site.leave("staff", 14);
    let folder = site.path("out").display().to_string();
    let by_file = ["sync", "--via", "csv-file", &folder];
    site.rollbook(&by_file).await.is(0);
    site.leave("staff", 15);
    let run = site.rollbook(&["sync", "--via", "api"]).await;
    run.is(4).says("no manager would be left");
}

#[tokio::test]
async fn two_sites_may_use_one_folder_and_take_away_their_own_files_only() {
    let (one, folder) = handed_over().await;
    let other = filled().await;
    other.leave("bio", 11);
    other
        .rollbook(&["sync", "--via", "csv-file", &folder])
        .await
        .is(0);
    assert_eq!(csv_files(Path::new(&folder)).len(), 2);
    other
        .rollbook(&["settle", &folder, "--discard"])
        .await
        .is(3);
    assert_eq!(csv_files(Path::new(&folder)).len(), 1);
    upload(&one.sandbox, &csv_files(Path::new(&folder))[0]).await;
    one.rollbook(&["settle", &folder]).await.is(0);
}

#[tokio::test]
async fn files_are_not_given_up_blindly() {
    let (site, folder) = handed_over().await;
    let faults = site.account().faults().clone();
    faults.fail_next("bulkupload_bulk.list", 100, "SERVICE_FORBIDDEN");
    let discard = ["settle", &folder, "--discard"];
    site.rollbook(&discard).await.is(2).says("--sure");
    assert_eq!(state(&site, "SELECT count(*) FROM journal"), 2);
    site.rollbook(&["settle", &folder, "--discard", "--sure"])
        .await
        .is(3);
    is_settled(&site);
}

#[tokio::test]
async fn what_is_as_a_file_wants_it_before_it_is_uploaded_is_not_its_work() {
    let (site, folder) = handed_over().await;
    site.account().remove_membership(site.channel("bio"), "p11");
    site.rollbook(&["settle", &folder])
        .await
        .is(3)
        .says("Waiting: 2 changes");
    assert_eq!(state(&site, "SELECT count(*) FROM journal"), 2);
}

#[tokio::test]
async fn a_dry_run_looks_at_a_job_of_a_run_that_was_cut_off_and_stops_none() {
    let site = filled().await;
    site.leave("bio", 11);
    site.account().faults().next_bulk_job(BulkFault::Stick);
    let mut command = site.command(&["sync"]);
    command.env("ROLLBOOK_KILL_AT", "after-noting-a-job:1");
    assert!(!command.output().await.unwrap().status.success());
    site.wait_an_hour();
    site.rollbook(&["sync", "--dry-run", "--full"])
        .await
        .is(3)
        .says("waits in a file");
    assert_eq!(site.account().calls().count_of("bulkupload_bulk.abort"), 0);
}

#[tokio::test]
async fn what_somebody_has_undone_is_remembered_while_a_file_with_it_waits() {
    let site = filled().await;
    site.leave("bio", 11);
    site.sync().await.is(0);
    let run = state(&site, "SELECT max(run) FROM history").to_string();
    site.account().faults().next_bulk_job(BulkFault::Stick);
    site.rollbook(&["undo", &run]).await.is(3);
    site.sync_full().await;
    assert_eq!(state(&site, "SELECT count(*) FROM undone"), 1);
}
