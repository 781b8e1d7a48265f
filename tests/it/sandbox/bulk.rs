//! CSV files: handed in, worked on, looked after.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use rollbook::sandbox::{Account, BulkFault, JobKind, NewCategory, Options, Sandbox};

use super::client::{Reply, call, multipart, send, send_bytes, start};

const MEMBERS: &str = "categoryUser.addFromBulkUpload";

async fn upload_bytes(sandbox: &Sandbox, ks: &str, action: &str, content: &[u8]) -> Value {
    let (service, action) = action.split_once('.').unwrap();
    let path = format!("/api_v3/service/{service}/action/{action}");
    let (kind, body) = multipart(
        &[("format", "1"), ("ks", ks)],
        &[("fileData", "run.csv", content)],
    );
    let reply = send_bytes(sandbox, "POST", &path, &[kind], &body).await;
    reply.unwrap().value()
}

/// Hands in a file of memberships, and answers the number of the job.
async fn hand_in(sandbox: &Sandbox, ks: &str, content: &str) -> i64 {
    let job = upload_bytes(sandbox, ks, MEMBERS, content.as_bytes()).await;
    job["id"].as_i64().unwrap()
}

async fn job(sandbox: &Sandbox, ks: &str, id: i64) -> Value {
    call(sandbox, "bulkupload_bulk.get", json!({"ks": ks, "id": id})).await
}

async fn serve_log(sandbox: &Sandbox, ks: &str, id: i64) -> Reply {
    let path = format!("/api_v3/service/bulkupload_bulk/action/serveLog/id/{id}/ks/{ks}");
    send(sandbox, "GET", &path, &[], "").await.unwrap()
}

async fn log(sandbox: &Sandbox, ks: &str, id: i64) -> String {
    serve_log(sandbox, ks, id).await.body
}

/// Hands in a file of memberships, has all work done, and answers the log.
async fn done(sandbox: &Sandbox, ks: &str, content: &str) -> String {
    let id = hand_in(sandbox, ks, content).await;
    sandbox.account().work(None);
    log(sandbox, ks, id).await
}

fn channel(account: &Account) -> i64 {
    account.add_category(&NewCategory {
        path: "MediaSpace>a".to_owned(),
        reference_id: Some("REF-1".to_owned()),
        owner: Some("owner".to_owned()),
        ..NewCategory::default()
    })
}

fn rows(id: i64, count: usize) -> String {
    let mut file = "*action,categoryId,userId\n".to_owned();
    for number in 0..count {
        writeln!(file, "1,{id},u{number}").unwrap();
    }
    file
}

#[tokio::test]
async fn a_job_shows_its_data_only_when_a_worker_has_taken_it() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let file = rows(channel(&account), 1);
    let new = upload_bytes(&sandbox, &ks, MEMBERS, file.as_bytes()).await;
    assert_eq!(new["status"], 11);
    assert!(new["fileName"].is_null() && new["bulkUploadObjectType"].is_null());
    assert!(new["logFileUrl"].as_str().unwrap().ends_with(&ks));
    account.work(Some(JobKind::Bulk));
    let after = job(&sandbox, &ks, new["id"].as_i64().unwrap()).await;
    assert_eq!(after["status"], 5);
    assert_eq!(after["fileName"], "run.csv");
    assert_eq!(after["uploadedByUserId"], "admin");
    assert_eq!(after["bulkUploadObjectType"], "4");
    assert_eq!(after["error"], "Finished successfully");
}

#[tokio::test]
async fn a_large_file_is_handled_in_slices_and_only_to_its_thousandth_row() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let id = hand_in(&sandbox, &ks, &rows(category, 1010)).await;
    account.work(Some(JobKind::Bulk));
    let first = job(&sandbox, &ks, id).await;
    assert_eq!(first["status"], 9);
    assert_eq!(
        first["error"],
        "Retrying: 101 entitlement objects were handled until now"
    );
    assert!(first["numOfObjects"].is_null());
    assert_eq!(account.members(category).len(), 102);
    for _ in 1..10 {
        assert_eq!(account.work(Some(JobKind::Bulk)), 1);
    }
    assert_eq!(job(&sandbox, &ks, id).await["status"], 8);
    account.work(Some(JobKind::BulkClose));
    let last = job(&sandbox, &ks, id).await;
    assert_eq!(
        (&last["status"], &last["numOfObjects"]),
        (&json!(12), &json!(1000))
    );
    let log = log(&sandbox, &ks, id).await;
    assert_eq!(log.lines().count(), 1010);
    assert_eq!(log.matches(",2,,1\n").count(), 1000);
    let refused = "1,,1,\"Exceeded max records count per bulk\"\n";
    assert_eq!(log.matches(refused).count(), 10);
    assert_eq!(account.members(category).len(), 1001);
}

#[tokio::test]
async fn with_a_delay_each_phase_can_be_seen() {
    let mut options = Options {
        job_delay: Some(Duration::from_secs(100)),
        bulk_retry_delay: Some(Duration::from_mins(50)),
        ..Options::default()
    };
    options.limits.bulk_rows_per_run = 2;
    let sandbox = Sandbox::start(options).await.unwrap();
    let account = sandbox.account();
    let ks = account.session("admin", 2, "disableentitlement", 86_400);
    let category = channel(&account);
    let file = format!("{}9,,\n1,{category},a b\n", rows(category, 2));
    let id = hand_in(&sandbox, &ks, &file).await;
    let mut seen = Vec::new();
    for seconds in [0, 101, 101, 101, 3000, 101, 101] {
        account.clock().advance(Duration::from_secs(seconds));
        seen.push(job(&sandbox, &ks, id).await["status"].as_i64().unwrap());
    }
    assert_eq!(seen, [11, 1, 9, 9, 1, 8, 12]);
}

#[tokio::test]
async fn rows_are_checked_before_the_first_one_acts() {
    let (sandbox, ks) = start().await;
    let category = channel(&sandbox.account());
    let file = format!("*action,categoryId,userId\n6,{category},ada\n6,{category},ada\n");
    let log = done(&sandbox, &ks, &file).await;
    assert_eq!(
        log,
        format!("6,{category},ada,2,,1\n6,{category},ada,1,,0,\"CategoryUser already exists\"\n")
    );
}

#[tokio::test]
async fn a_manual_row_cannot_be_changed_but_deleted_and_so_can_the_owners() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    account.set_membership(category, "ada", 3, 0, 1);
    let header = "*action,categoryId,userId,permissionLevel\n";
    let log = done(&sandbox, &ks, &format!("{header}2,{category},ada,1\n")).await;
    assert!(log.ends_with("1,,0,\"Cannot override manual changes\"\n"));
    let file = format!("{header}3,{category},ada,\n3,{category},owner,\n");
    let log = self::done(&sandbox, &ks, &file).await;
    assert_eq!(log.matches(",2,,1\n").count(), 2, "{log}");
    assert!(account.members(category).is_empty());
}

#[tokio::test]
async fn what_a_file_writes_stands_in_the_log_of_writes() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let file = format!("*action,categoryId,userId,status\n1,{category},ada,3\n3,{category},bob,\n");
    let id = hand_in(&sandbox, &ks, &file).await;
    account.work(None);
    let writes: Vec<_> = account
        .calls()
        .writes()
        .into_iter()
        .map(|write| (write.action, write.user_id, write.error, write.bulk_job))
        .collect();
    let unknown = Some("INVALID_USER_ID".to_owned());
    assert_eq!(
        writes,
        [
            ("add", "ada".to_owned(), None, Some(id)),
            ("delete", "bob".to_owned(), unknown, Some(id)),
            ("deactivate", "ada".to_owned(), None, Some(id)),
        ]
    );
    assert_eq!(account.member(category, "ada").unwrap().status, 3);
    assert_eq!(account.calls().count_of("categoryUser.add"), 0);
}

#[tokio::test]
async fn a_reference_id_finds_what_its_folded_words_find() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let file = "*action,categoryReferenceId,userId\n1,ref 1,ada\n1,REF,bob\n";
    let log = done(&sandbox, &ks, file).await;
    assert!(account.member(category, "ada").is_some());
    assert!(log.contains("1,REF,bob,1,,1,\"Could not locate category by given reference ID.\""));
}

#[tokio::test]
async fn an_action_that_is_a_word_leaves_no_trace() {
    let (sandbox, ks) = start().await;
    let category = channel(&sandbox.account());
    let file = format!("*action,categoryId,userId\nadd,{category},ada\n9,{category},bob\n");
    let id = hand_in(&sandbox, &ks, &file).await;
    sandbox.account().work(None);
    let job = job(&sandbox, &ks, id).await;
    assert_eq!(
        (&job["status"], &job["numOfObjects"]),
        (&json!(5), &json!(0))
    );
    assert_eq!(log(&sandbox, &ks, id).await, "Log file is not ready");
}

#[tokio::test]
async fn one_row_that_is_no_text_fails_the_whole_job_at_the_third_attempt() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let mut file = rows(category, 3).into_bytes();
    file.extend_from_slice(format!("1,{category},later\n").as_bytes());
    file.extend_from_slice(format!("1,{category},").as_bytes());
    file.extend_from_slice(b"x\xe4x\n");
    let new = upload_bytes(&sandbox, &ks, MEMBERS, &file).await;
    let id = new["id"].as_i64().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        account.work(Some(JobKind::Bulk));
        seen.push(job(&sandbox, &ks, id).await["status"].as_i64().unwrap());
    }
    assert_eq!(seen, [9, 9, 6]);
    assert_eq!(account.members(category).len(), 1);
    assert_eq!(log(&sandbox, &ks, id).await, "Log file is not ready");
}

#[tokio::test]
async fn bytes_in_a_column_that_nobody_reads_fail_the_job_when_the_row_is_written() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let file = format!("*action,categoryId,userId,remark\n1,{category},ada,");
    let file = [file.as_bytes(), b"\xe4\n"];
    let new = upload_bytes(&sandbox, &ks, MEMBERS, &file.concat()).await;
    account.work(None);
    assert_eq!(
        job(&sandbox, &ks, new["id"].as_i64().unwrap()).await["status"],
        6
    );
    assert!(account.member(category, "ada").is_some());
}

#[tokio::test]
async fn a_value_that_ends_in_half_a_no_break_space_is_refused() {
    let (sandbox, ks) = start().await;
    let category = channel(&sandbox.account());
    let file = format!("*categoryId,userId\n{category},voil\u{e0}\n");
    let log = done(&sandbox, &ks, &file).await;
    assert!(
        log.ends_with(",1,,1,\"value with unknown encoding was passed\"\n"),
        "{log}"
    );
}

#[tokio::test]
async fn a_cell_that_looks_like_a_formula_has_an_apostrophe_in_the_log() {
    let (sandbox, ks) = start().await;
    let category = channel(&sandbox.account());
    let file = format!("*categoryId,userId\n{category},-ada\n{category},@bob\n");
    let log = done(&sandbox, &ks, &file).await;
    assert_eq!(
        log,
        format!("{category},'-ada,2,,1\n{category},'@bob,2,,1\n")
    );
    assert!(sandbox.account().member(category, "-ada").is_some());
}

#[tokio::test]
async fn a_category_without_a_name_kills_the_worker_and_what_came_before_is_done() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let file = b"*name,referenceId\nOne,r1\n,r2\nThree,r3\n";
    let new = upload_bytes(&sandbox, &ks, "category.addFromBulkUpload", file).await;
    let id = new["id"].as_i64().unwrap();
    account.work(None);
    let job = job(&sandbox, &ks, id).await;
    assert_eq!(
        (&job["status"], &job["numOfObjects"]),
        (&json!(1), &json!(0))
    );
    let log = log(&sandbox, &ks, id).await;
    assert_eq!(
        log,
        ",r2,1,,2,\"Mandatory Column [name] missing from CSV.\"\n"
    );
    let all = call(&sandbox, "category.list", json!({"ks": ks})).await;
    assert_eq!(all["totalCount"], 1);
}

#[tokio::test]
async fn a_category_may_lie_below_the_one_of_the_row_before() {
    let (sandbox, ks) = start().await;
    let file = b"*name,relativePath\nA,\nB,A\nC,A>B\nD,nowhere\n";
    let new = upload_bytes(&sandbox, &ks, "category.addFromBulkUpload", file).await;
    sandbox.account().work(None);
    let log = log(&sandbox, &ks, new["id"].as_i64().unwrap()).await;
    assert_eq!(log.matches(",2,").count(), 4, "{log}");
    assert!(
        log.ends_with("D,nowhere,1,,2,\"Parent category not found for full name [nowhere]\"\n")
    );
}

#[tokio::test]
async fn users_join_and_leave_groups_and_the_log_does_not_say_so() {
    let (sandbox, ks) = start().await;
    sandbox.account().add_user("ada", None);
    let groups = || async {
        let filter = json!({"ks": ks, "filter": {"userIdEqual": "ada"}});
        let rows = call(&sandbox, "groupUser.list", filter).await;
        rows["objects"].clone()
    };
    let run = |file: &'static str| async {
        let new = upload_bytes(&sandbox, &ks, "user.addFromBulkUpload", file.as_bytes()).await;
        sandbox.account().work(None);
        log(&sandbox, &ks, new["id"].as_i64().unwrap()).await
    };
    let log = run("*action,userId,group,userRole\n2,ada,staff,2\n2,ada,-nobody,\n").await;
    assert_eq!(log, "2,ada,staff,2,2,3,1\n2,ada,'-nobody,,2,3,1\n");
    let joined = groups().await;
    assert_eq!(joined[0]["groupId"], "staff");
    assert_eq!(
        (&joined[0]["creationMode"], &joined[0]["userRole"]),
        (&json!(2), &json!(2))
    );
    run("*action,userId,group\n2,ada,-staff\n").await;
    assert_eq!(groups().await, json!([]));
}

#[tokio::test]
async fn somebody_who_is_blocked_cannot_hand_in_a_file() {
    let (sandbox, ks) = start().await;
    sandbox.account().add_user("ada", None);
    let blocked = json!({"ks": ks, "userId": "ada", "user": {"status": 0}});
    call(&sandbox, "user.update", blocked).await;
    let ada = sandbox.account().session("ada", 2, "", 3600);
    let refused = upload_bytes(&sandbox, &ada, MEMBERS, b"*userId\na\n").await;
    assert_eq!(refused["code"], "INVALID_USER_ID");
}

#[tokio::test]
async fn a_job_is_aborted_before_it_runs_and_vanishes_from_lists() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let first = hand_in(&sandbox, &ks, &rows(category, 1)).await;
    account.work(None);
    let second = hand_in(&sandbox, &ks, &rows(category, 2)).await;
    let third = hand_in(&sandbox, &ks, &rows(category, 2)).await;
    for (id, status) in [(first, 5), (second, 7)] {
        let asked = json!({"ks": ks, "id": id});
        let aborted = call(&sandbox, "bulkupload_bulk.abort", asked).await;
        assert_eq!(aborted["status"], status);
    }
    account.work(None);
    assert_eq!(job(&sandbox, &ks, second).await["status"], 7);
    let all = call(&sandbox, "bulkupload_bulk.list", json!({"ks": ks})).await;
    assert_eq!(all["totalCount"], 1);
    assert_eq!(all["objects"][0]["id"], third);
}

#[tokio::test]
async fn lists_go_by_kind_and_status_and_a_waiting_job_has_no_kind() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let done = hand_in(&sandbox, &ks, &rows(category, 1)).await;
    account.work(None);
    hand_in(&sandbox, &ks, &rows(category, 2)).await;
    for filter in [
        json!({"bulkUploadObjectTypeEqual": "4"}),
        json!({"statusIn": "5,6"}),
        json!({"bulkUploadObjectTypeIn": "2,4", "statusEqual": 5}),
    ] {
        let asked = json!({"ks": ks, "bulkUploadFilter": filter});
        let found = call(&sandbox, "bulkupload_bulk.list", asked).await;
        assert_eq!(found["totalCount"], 1, "{filter}");
        assert_eq!(found["objects"][0]["id"], done);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_has_an_empty_body_and_a_header() {
    let (sandbox, ks) = start().await;
    let reply = serve_log(&sandbox, &ks, 77).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert_eq!(
        reply.header("X-Kaltura"),
        Some("error- BULK_UPLOAD_NOT_FOUND")
    );
}

#[tokio::test]
async fn the_file_comes_back_byte_for_byte() {
    let (sandbox, ks) = start().await;
    let new = upload_bytes(&sandbox, &ks, MEMBERS, b"\xff\xfe\r\n\x00").await;
    let serve = json!({"ks": ks, "id": new["id"]});
    let body = call(&sandbox, "bulkupload_bulk.serve", serve).await;
    assert_eq!(body, "\u{fffd}\u{fffd}\r\n\u{0}");
}

#[tokio::test]
async fn a_file_can_be_handed_in_within_a_multirequest() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let items = json!({
        "format": 1, "ks": ks,
        "1": {"service": "system", "action": "ping"},
        "2": {
            "service": "categoryUser", "action": "addFromBulkUpload",
            "bulkUploadData": {"objectType": "KalturaBulkUploadCsvJobData", "fileName": "two.csv"},
        },
    });
    let file = rows(category, 1);
    let (kind, body) = multipart(
        &[("json", &items.to_string())],
        &[("2:fileData", "run.csv", file.as_bytes())],
    );
    let path = "/api_v3/service/multirequest";
    let reply = send_bytes(&sandbox, "POST", path, &[kind], &body).await;
    let id = reply.unwrap().value()[1]["id"].as_i64().unwrap();
    account.work(None);
    assert_eq!(job(&sandbox, &ks, id).await["fileName"], "two.csv");
    assert!(account.member(category, "u0").is_some());
}

#[tokio::test]
async fn what_did_not_come_as_a_file_is_none() {
    let (sandbox, ks) = start().await;
    for file in [json!("*userId"), json!({"name": "a", "content": "b"})] {
        let refused = call(&sandbox, MEMBERS, json!({"ks": ks, "fileData": file})).await;
        assert_eq!(refused["code"], "MISSING_MANDATORY_PARAMETER");
    }
}

#[tokio::test]
async fn an_uploaded_file_holds_no_result_tokens() {
    let (sandbox, ks) = start().await;
    let category = channel(&sandbox.account());
    let items = json!({
        "format": 1, "ks": ks,
        "1": {"service": "system", "action": "ping"},
        "2": {"service": "categoryUser", "action": "addFromBulkUpload"},
    });
    let file = format!("*categoryId,userId\n{category},{{1:result}}\n");
    let (kind, body) = multipart(
        &[("json", &items.to_string())],
        &[("2:fileData", "run.csv", file.as_bytes())],
    );
    let path = "/api_v3/service/multirequest";
    let reply = send_bytes(&sandbox, "POST", path, &[kind], &body).await;
    let id = reply.unwrap().value()[1]["id"].as_i64().unwrap();
    let serve = json!({"ks": ks, "id": id});
    let kept = call(&sandbox, "bulkupload_bulk.serve", serve).await;
    assert_eq!(kept, file);
}

#[tokio::test]
async fn a_session_that_may_not_hand_in_is_told_the_real_name_of_the_action() {
    let (sandbox, _) = start().await;
    let ks = sandbox.account().session("ada", 0, "widget:1", 3600);
    let refused = upload_bytes(&sandbox, &ks, MEMBERS, b"*userId\na\n").await;
    assert_eq!(
        refused["args"]["SERVICE"],
        "bulkupload_bulk->addCategoryUsers"
    );
}

#[tokio::test]
async fn jobs_fail_abort_and_hang_on_demand_and_nothing_is_done() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let faults = account.faults();
    for (fault, status) in [
        (BulkFault::Fail, 6),
        (BulkFault::Abort, 7),
        (BulkFault::Stick, 2),
    ] {
        faults.next_bulk_job(fault);
        let id = hand_in(&sandbox, &ks, &rows(category, 1)).await;
        account.work(None);
        let job = job(&sandbox, &ks, id).await;
        assert_eq!(job["status"], status, "{fault:?}");
        assert_eq!(job["fileName"], "run.csv");
        assert_eq!(account.members(category).len(), 1);
    }
    let id = hand_in(&sandbox, &ks, &rows(category, 1)).await;
    account.work(None);
    assert_eq!(job(&sandbox, &ks, id).await["status"], 5);
}

#[tokio::test]
async fn logs_lack_rows_have_cells_too_many_and_repeat_themselves_on_demand() {
    let (sandbox, ks) = start().await;
    let account = sandbox.account();
    let category = channel(&account);
    let lines = |log: &str| log.lines().count();
    let faults = account.faults();
    faults.next_bulk_job(BulkFault::LogLacksRows(2));
    let log = done(&sandbox, &ks, &rows(category, 3)).await;
    assert_eq!((lines(&log), account.members(category).len()), (1, 4));
    faults.next_bulk_job(BulkFault::LogHasAnotherCell);
    let file = format!("*action,categoryId,userId\n3,{category},u0\n");
    let log = done(&sandbox, &ks, &file).await;
    assert_eq!(log, format!("3,{category},u0,another,2,,1\n"));
    faults.next_bulk_job(BulkFault::LogRepeatsRows);
    let file = format!("*action,categoryId,userId\n3,{category},u1\n");
    let log = done(&sandbox, &ks, &file).await;
    assert_eq!(lines(&log), 2);
}

#[tokio::test]
async fn a_job_outlives_the_server_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options {
        job_delay: None,
        data: Some(folder.path().join("account.db")),
        ..Options::default()
    };
    let sandbox = Sandbox::start(options()).await.unwrap();
    let ks = sandbox.account().session("admin", 2, "", 86_400);
    let category = channel(&sandbox.account());
    let id = hand_in(&sandbox, &ks, &rows(category, 1)).await;
    sandbox.stop().await;
    let sandbox = Sandbox::start(options()).await.unwrap();
    sandbox.account().work(None);
    assert_eq!(job(&sandbox, &ks, id).await["status"], 5);
    assert!(sandbox.account().member(category, "u0").is_some());
}
