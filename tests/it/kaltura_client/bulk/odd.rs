//! Answers about files that no real server should give, or only in a bad hour, from a scripted one.

use jiff::Timestamp;
use rollbook::kaltura::{
    ApiError, FileKind, FoundJobs, JobId, JobLog, JobStatus, KalturaError, Submitted,
};
use rollbook::plan::gate::Fence;
use serde_json::{Value, json};

use super::super::client;
use super::super::scripted::{Asked, Play, Scripted, each, error, recorded};

const PLAIN: &str = "text/plain; charset=UTF-8";
const SINCE: i64 = 1_795_294_970;

fn row(id: i64, name: &str) -> Value {
    json!({
        "id": id, "uploadedOn": SINCE, "status": 5, "bulkUploadType": "bulkUploadCsv.CSV",
        "fileName": name, "numOfObjects": 1, "bulkUploadObjectType": "4",
        "objectType": "KalturaBulkUpload"
    })
}

fn listed(rows: &[Value], total: usize) -> Value {
    json!([{"totalCount": total, "objects": rows, "objectType": "KalturaBulkUploadListResponse"}])
}

async fn submit(server: &Scripted) -> Result<Submitted, KalturaError> {
    let content = b"*categoryId,userId\n5,ada\n".to_vec();
    super::submit(
        &client(server),
        FileKind::Entitlements,
        "run-1.csv",
        content,
    )
    .await
}

async fn find(server: &Scripted) -> Result<FoundJobs, KalturaError> {
    let since = Timestamp::from_second(SINCE).unwrap();
    let names = ["run-1.csv".to_owned()].into();
    client(server)
        .find_jobs(FileKind::Entitlements, since, &names)
        .await
}

fn page(asked: &Asked) -> i64 {
    asked.body["1"]["pager"]["pageIndex"].as_i64().unwrap()
}

#[tokio::test]
async fn a_file_is_sent_as_the_official_clients_send_one() {
    let server = Scripted::start(|_, _| Play::Json(row(305, ""))).await;
    let Submitted::Accepted(job) = submit(&server).await.unwrap() else {
        panic!("it was not accepted");
    };
    assert_eq!((job.id, job.file_name), (JobId(305), None));
    let asked = server.asked();
    assert_eq!(
        asked[0].path,
        "/api_v3/service/categoryUser/action/addFromBulkUpload"
    );
    let (kind, boundary) = asked[0].content_type.split_once("; boundary=").unwrap();
    assert_eq!(kind, "multipart/form-data");
    let body = asked[0].body.as_str().unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    let (head, fields) = parts[1].split_once("\r\n\r\n").unwrap();
    assert_eq!(head, "\r\nContent-Disposition: form-data; name=\"json\"");
    let fields: Value = serde_json::from_str(fields.trim()).unwrap();
    assert_eq!(fields["format"], 1);
    assert!(fields["ks"].is_string());
    assert_eq!(fields["bulkUploadData"]["fileName"], "run-1.csv");
    let (head, file) = parts[2].split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head,
        "\r\nContent-Disposition: form-data; name=\"fileData\"; filename=\"run-1.csv\"\r\n\
         content-type: text/csv"
    );
    assert_eq!(file, "*categoryId,userId\n5,ada\n\r\n");
    assert_eq!(parts.len(), 4);
}

#[tokio::test]
async fn an_answer_that_says_nothing_of_a_job_leaves_it_unknown() {
    for play in [
        Play::Json(json!({"objectType": "KalturaBulkUpload"})),
        Play::Json(Value::Null),
        Play::Raw(200, "<html>"),
        Play::Raw(200, ""),
        Play::Raw(413, "too large"),
        Play::Raw(500, ""),
    ] {
        let name = format!("{play:?}");
        let server = Scripted::start(move |_, _| play.clone()).await;
        let submitted = submit(&server).await.unwrap();
        assert_eq!(submitted, Submitted::Unknown, "{name}");
        assert_eq!(server.asked().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_redirect_did_nothing_and_is_told() {
    let server = Scripted::start(|_, _| Play::Raw(301, "")).await;
    let error = submit(&server).await.unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura gave no usable answer to categoryUser.addFromBulkUpload in 1 attempts: HTTP status 301. The server redirects: put its final address into `kaltura.url`");
}

#[tokio::test]
async fn a_refusal_says_what_a_person_can_do() {
    let refusal = |answer: Value| async move {
        let server = Scripted::start(move |_, _| Play::Json(answer.clone())).await;
        match submit(&server).await.unwrap() {
            Submitted::Refused(error) => format!("{error}. {}", error.hint()),
            other => panic!("{other:?}"),
        }
    };
    let service = "bulkupload_bulk->addCategoryUsers";
    let forbidden = error(
        "SERVICE_FORBIDDEN",
        &format!("The access to service [{service}] is forbidden"),
        &json!({"SERVICE": service}),
    );
    insta::assert_snapshot!(refusal(forbidden).await, @"SERVICE_FORBIDDEN (The access to service [bulkupload_bulk->addCategoryUsers] is forbidden). The session's role needs the permission CONTENT_INGEST_BULK_UPLOAD");
    let blocked = error("INVALID_USER_ID", "Invalid user id", &json!([]));
    insta::assert_snapshot!(refusal(blocked).await, @"INVALID_USER_ID (the session's user is not active, and so hands in no files). Check `kaltura.user_id`: who hands in a file must be an active user");
    let restricted = error(
        "INVALID_FILE_TYPE",
        "Restricted file type for file m.csv",
        &json!({"FILE": "m.csv"}),
    );
    insta::assert_snapshot!(refusal(restricted).await, @"INVALID_FILE_TYPE (Restricted file type for file m.csv). Ask who runs the Kaltura server whether it accepts and can keep CSV files");
}

#[tokio::test]
async fn a_session_that_is_never_accepted_is_tried_once_more_and_told() {
    let server = Scripted::start(|_, asked| {
        Play::Json(if asked.body.get("1").is_some() {
            each(asked, |_| recorded("expired"))
        } else {
            recorded("expired")
        })
    })
    .await;
    let is_session = |error: KalturaError| matches!(error, KalturaError::Session { .. });
    assert!(is_session(submit(&server).await.unwrap_err()));
    assert_eq!(server.asked().len(), 2);
    let kaltura = client(&server);
    assert!(is_session(kaltura.job_log(JobId(1)).await.unwrap_err()));
    assert!(is_session(kaltura.jobs(&[JobId(1)]).await.unwrap_err()));
    assert!(is_session(
        kaltura
            .abort_job(JobId(1), &Fence::open())
            .await
            .unwrap_err()
    ));
    assert!(is_session(find(&server).await.unwrap_err()));
}

#[tokio::test]
async fn a_session_that_ended_is_told_in_xml_too() {
    let server = Scripted::start(|n, _| {
        Play::Text(
            if n == 0 { "text/xml" } else { PLAIN },
            if n == 0 {
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><xml><result><error><code>INVALID_KS</code>\
                 <message>Invalid KS</message><objectType>KalturaAPIException</objectType>\
                 <args><item><name>KSID</name><value>EXPIRED</value></item></args></error></result></xml>"
            } else {
                "1,57,c1,2,,1\n"
            }
            .to_owned(),
        )
    })
    .await;
    let log = client(&server).job_log(JobId(7)).await;
    assert_eq!(log.unwrap(), JobLog::Text(b"1,57,c1,2,,1\n".to_vec()));
    assert_eq!(server.asked().len(), 2);
    assert_eq!(server.asked()[0].body["id"], 7);
    assert_eq!(
        server.asked()[0].path,
        "/api_v3/service/bulkupload_bulk/action/serveLog"
    );
}

#[tokio::test]
async fn a_log_that_may_not_be_seen_is_told() {
    let service = "bulkupload_bulk->serveLog";
    let forbidden = error(
        "SERVICE_FORBIDDEN",
        &format!("The access to service [{service}] is forbidden"),
        &json!({"SERVICE": service}),
    );
    let server = Scripted::start(move |_, _| Play::Json(forbidden.clone())).await;
    let error = client(&server).job_log(JobId(7)).await.unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura refused bulkupload_bulk.serveLog: SERVICE_FORBIDDEN (The access to service [bulkupload_bulk->serveLog] is forbidden). The session's role needs the permission CONTENT_INGEST_BULK_UPLOAD");
}

#[tokio::test]
async fn a_log_without_an_end_is_not_read_to_its_end() {
    let server =
        Scripted::start(|_, _| Play::Text(PLAIN, "1,57,c1,2,,1\n".repeat(3_000_000))).await;
    let error = client(&server).job_log(JobId(7)).await.unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura gave no usable answer to bulkupload_bulk.serveLog in 1 attempts: the answer was larger than 33554432 bytes. Check `kaltura.url`, and what stands between here and the server");
    assert!(!error.is_passing());
}

#[tokio::test]
async fn an_answer_about_another_job_is_none() {
    let server = Scripted::start(|_, asked| {
        Play::Json(each(asked, |call| match call["id"].as_i64() {
            Some(2) => json!({"id": 2}),
            _ => row(3, "a.csv"),
        }))
    })
    .await;
    let kaltura = client(&server);
    let jobs = kaltura.jobs(&[1, 2, 3].map(JobId)).await.unwrap();
    let told: Vec<String> = jobs
        .iter()
        .map(|job| match job {
            Ok(job) => job.status.to_string(),
            Err(ApiError { message, .. }) => message.clone(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "the answer is about another job",
            "the job cannot be understood",
            "finished"
        ]
    );
    assert!(kaltura.abort_job(JobId(1), &Fence::open()).await.is_err());
    assert!(kaltura.abort_job(JobId(3), &Fence::open()).await.is_ok());
}

#[tokio::test]
async fn a_filter_that_is_ignored_brings_nothing_that_was_not_asked_for() {
    let server = Scripted::start(|_, _| {
        let mut old = row(4, "run-1.csv");
        old["uploadedOn"] = json!(SINCE - 1);
        let mut other = row(5, "run-1.csv");
        other["bulkUploadObjectType"] = json!("3");
        let mut xml = row(6, "");
        xml["bulkUploadType"] = json!("bulkUploadXml.XML");
        let rows = [row(8, "run-1.csv"), row(7, "Run-1.csv"), xml, other, old];
        Play::Json(listed(&rows, 5))
    })
    .await;
    let found = find(&server).await.unwrap();
    assert_eq!(found.nameless, []);
    assert_eq!(found.named.len(), 1);
    let jobs = &found.named["run-1.csv"];
    assert_eq!(
        (jobs[0].id, jobs[0].status),
        (JobId(8), JobStatus::Finished)
    );
    assert_eq!(jobs.len(), 1);
    let filter = &server.asked()[0].body["1"]["bulkUploadFilter"];
    assert_eq!(filter["uploadedOnGreaterThanOrEqual"], SINCE);
    assert_eq!(
        filter.get("bulkUploadObjectTypeEqual"),
        None,
        "jobs that wait have no kind, and would be left out"
    );
}

#[tokio::test]
async fn a_job_that_slips_to_the_next_page_is_counted_once_and_one_that_is_missed_read_later() {
    // Between the two pages of the first reading somebody hands in a file.
    let server = Scripted::start(|n, asked| {
        let rows = match (n, page(asked)) {
            (0, 1) => return Play::Json(listed(&[row(3, "x"), row(2, "run-1.csv")], 3)),
            (_, 1) => [row(4, "run-1.csv"), row(3, "x")],
            _ => [row(2, "run-1.csv"), row(1, "run-1.csv")],
        };
        Play::Json(listed(&rows, 4))
    })
    .await;
    let found = find(&server).await.unwrap();
    let ids: Vec<i64> = found.named["run-1.csv"]
        .iter()
        .map(|job| job.id.0)
        .collect();
    assert_eq!(ids, [4, 2, 1]);
}

#[tokio::test]
async fn a_list_that_never_adds_up_is_no_list() {
    let server = Scripted::start(|_, _| Play::Json(listed(&[row(3, "x")], 2))).await;
    let error = find(&server).await.unwrap_err();
    assert!(error.is_passing());
    insta::assert_snapshot!(error, @"the list of the bulk uploads since 2026-11-21T21:02:50Z is not complete: Kaltura says 2 and gave 1, and a second reading did not agree either. Nothing is concluded from it; the next run reads it again");
    assert_eq!(server.asked().len(), 4, "two pages, twice");
}
