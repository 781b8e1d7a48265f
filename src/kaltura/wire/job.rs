//! Jobs as the server writes them.
//!
//! *Its one idea: a job shows little until a worker has taken it.* The name of the file and what it
//! is about are missing before, so both are optional; the addresses in a row hold the session, and
//! are not read at all.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::Deserializer;

use super::row::{number, optional_number};
use crate::kaltura::api_error;
use crate::kaltura::bulk::{FileKind, Job, JobId, JobStatus};

/// `bulkUploadType` of a CSV file.
const CSV: &str = "bulkUploadCsv.CSV";

/// A job as the server writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kaltura) struct JobRow {
    #[serde(deserialize_with = "number")]
    id: i64,
    #[serde(deserialize_with = "number")]
    status: i64,
    #[serde(default, deserialize_with = "optional_number")]
    uploaded_on: Option<i64>,
    #[serde(default, deserialize_with = "optional_text")]
    file_name: Option<String>,
    #[serde(default, deserialize_with = "optional_number")]
    num_of_objects: Option<i64>,
    #[serde(default, deserialize_with = "optional_text")]
    error: Option<String>,
    #[serde(default, deserialize_with = "optional_text")]
    bulk_upload_object_type: Option<String>,
    #[serde(default, deserialize_with = "optional_text")]
    bulk_upload_type: Option<String>,
}

impl JobRow {
    /// Its number.
    pub(in crate::kaltura) fn id(&self) -> JobId {
        JobId(self.id)
    }

    /// Whether it may be a CSV file of this kind that was handed in at or after a second, as far as
    /// it shows.
    pub(in crate::kaltura) fn may_be(&self, kind: FileKind, since: Timestamp) -> bool {
        self.uploaded_on.is_none_or(|at| at >= since.as_second())
            && is_or_hidden(self.bulk_upload_type.as_deref(), CSV)
            && is_or_hidden(self.bulk_upload_object_type.as_deref(), kind_number(kind))
    }

    /// The job.
    pub(in crate::kaltura) fn into_job(self) -> Job {
        Job {
            id: JobId(self.id),
            file_name: self.file_name.filter(|name| !name.is_empty()),
            status: status(self.status),
            rows_done: self.num_of_objects.and_then(|n| u64::try_from(n).ok()),
            message: self
                .error
                .map(|message| harmless(&message))
                .filter(|message| !message.is_empty()),
        }
    }
}

fn is_or_hidden(shown: Option<&str>, wanted: &str) -> bool {
    shown.is_none_or(|shown| shown.is_empty() || shown == wanted)
}

/// `KalturaBulkUploadObjectType`
fn kind_number(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Categories => "2",
        FileKind::Users => "3",
        FileKind::Entitlements => "4",
    }
}

/// `KalturaBatchJobStatus`
fn status(number: i64) -> JobStatus {
    match number {
        // The second is "don't process", which the enumeration counts among those that are over: so
        // a job shows itself from when it is handed in until a worker takes it.
        0 | 11 => JobStatus::Waiting,
        // Queued, processing, processed, moving a file; almost done, between two slices; suspended
        // at work, and suspended when almost done.
        1..=4 | 8 | 9 | 13 | 14 => JobStatus::Running,
        5 => JobStatus::Finished,
        6 => JobStatus::Failed,
        7 => JobStatus::Aborted,
        10 => JobStatus::Fatal,
        12 => JobStatus::FinishedPartially,
        other => JobStatus::Other(other),
    }
}

/// What a worker says, on one line and without mail addresses: it may quote what it was asked and
/// what it sent.
fn harmless(message: &str) -> String {
    let words: Vec<&str> = message
        .split_whitespace()
        .map(|word| if word.contains('@') { "…" } else { word })
        .collect();
    api_error::redact_sessions(&words.join(" "))
}

/// A text that the server may write as a number.
fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    Ok(
        Option::<Either>::deserialize(deserializer)?.map(|either| match either {
            Either::Number(number) => number.to_string(),
            Either::Text(text) => text,
        }),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Just handed in, as recorded, with the session cut short.
    fn handed_in() -> Value {
        json!({
            "id": 305, "uploadedOn": 1_795_294_970, "status": 11,
            "logFileUrl": "http://127.0.0.1/api_v3/service/bulkUpload/action/serveLog/id/305/ks/djJ8MTAzfM2f",
            "csvFileUrl": "http://127.0.0.1/api_v3/service/bulkUpload/action/serve/id/305/ks/djJ8MTAzfM2f",
            "bulkFileUrl": "http://127.0.0.1/api_v3/service/bulkUpload/action/serve/id/305/ks/djJ8MTAzfM2f",
            "bulkUploadType": "bulkUploadCsv.CSV", "objectType": "KalturaBulkUpload"
        })
    }

    /// The same with other members.
    fn with(members: Value) -> JobRow {
        let mut row = handed_in();
        for (name, value) in serde_json::from_value::<serde_json::Map<_, _>>(members).unwrap() {
            row[name] = value;
        }
        serde_json::from_value(row).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_job_that_was_just_handed_in_waits_and_hides_its_name_and_its_session() {
        let job = with(json!({})).into_job();
        assert_eq!((job.id, job.status), (JobId(305), JobStatus::Waiting));
        assert_eq!((&job.file_name, job.rows_done), (&None, None));
        assert!(!format!("{:?}{job:?}", with(json!({}))).contains("djJ8"));
    }

    #[test]
    fn a_job_that_finished_partially_tells_how_many_rows_came_to_something() {
        let row = with(json!({
            "uploadedByUserId": "admin", "status": 12, "error": "Finished, but with some errors",
            "fileName": "m.csv", "numOfObjects": 1, "bulkUploadObjectType": "4",
            "description": "\nParsing file [BulkUploadCategoryUserEngineCsv]\nWaiting for objects closure"
        }));
        assert_eq!(
            row.into_job(),
            Job {
                id: JobId(305),
                file_name: Some("m.csv".to_owned()),
                status: JobStatus::FinishedPartially,
                rows_done: Some(1),
                message: Some("Finished, but with some errors".to_owned()),
            }
        );
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers() {
        let row = with(json!({
            "id": "305", "status": "5", "uploadedOn": "1795294970", "numOfObjects": "45",
            "fileName": 2024, "bulkUploadObjectType": 4, "error": null
        }));
        assert!(row.may_be(FileKind::Entitlements, at(1_795_294_970)));
        let job = row.into_job();
        assert_eq!((job.id, job.status), (JobId(305), JobStatus::Finished));
        assert_eq!((job.rows_done, job.message), (Some(45), None));
        assert_eq!(job.file_name.as_deref(), Some("2024"));
    }

    #[test]
    fn only_what_cannot_change_any_more_is_over() {
        let over: Vec<i64> = (-1..=20)
            .filter(|number| status(*number).is_over())
            .collect();
        assert_eq!(over, [5, 6, 7, 10, 12]);
        assert_eq!(status(11), JobStatus::Waiting);
        assert_eq!(status(9), JobStatus::Running);
        assert_eq!(status(15), JobStatus::Other(15));
    }

    #[test]
    fn what_a_job_does_not_show_may_be_what_is_looked_for() {
        let may_be = |members: Value| with(members).may_be(FileKind::Users, at(1_795_294_970));
        assert!(may_be(json!({})));
        assert!(may_be(json!({"bulkUploadObjectType": "3"})));
        assert!(!may_be(json!({"bulkUploadObjectType": "4"})));
        assert!(!may_be(
            json!({"bulkUploadObjectType": "scheduleBulkUpload.SCHEDULE_EVENT"})
        ));
        assert!(!may_be(json!({"bulkUploadType": "bulkUploadXml.XML"})));
        assert!(!may_be(json!({"uploadedOn": 1_795_294_969})));
    }

    #[test]
    fn what_a_worker_says_is_one_line_without_session_and_mail_address() {
        // The first part was recorded; what the worker quotes may hold anything.
        let job = with(json!({
            "error": "Error: failed to unserialize server result\n<?xml version=\"1.0\"?><v>ada@example.edu</v> \
                      ks/djJ8MTAzfM2fOofNCD-Gf4gz/x"
        }))
        .into_job();
        assert_eq!(
            job.message.unwrap(),
            "Error: failed to unserialize server result <?xml … ks/[session]"
        );
    }

    proptest! {
        #[test]
        fn whatever_a_worker_says_is_short_and_gives_nobody_away(
            message in "(.|\n|ada@example\\.edu|djJ8[a-z]{0,9}){0,400}"
        ) {
            let clean = harmless(&message);
            prop_assert!(clean.chars().count() <= 300);
            prop_assert!(!clean.contains('@') && !clean.contains("djJ8"), "{clean}");
            prop_assert!(!clean.contains(char::is_control));
        }
    }
}
