//! Files that are handed in, and calls about their jobs.
//!
//! *Its one idea: what goes alone has a path, what goes with others is a call.* A file and a log are
//! a request each; questions about jobs go into multirequests.

use jiff::Timestamp;
use serde::Serialize;

use super::call::{Call, Pager};
use super::{CLIENT_TAG, JSON, LONGEST_RELATIVE_TIME};
use crate::kaltura::bulk::{FileKind, JobId};

/// What the calls about jobs are told.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(in crate::kaltura) enum BulkParameters {
    /// Which job.
    One {
        /// Its number.
        id: JobId,
    },
    /// Which jobs.
    #[serde(rename_all = "camelCase")]
    Many {
        /// Those that are wanted.
        bulk_upload_filter: Filter,
        /// Which page of them.
        pager: Pager,
    },
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kaltura) struct Filter {
    object_type: &'static str,
    uploaded_on_greater_than_or_equal: i64,
}

impl Call {
    /// `bulkupload_bulk.get`
    pub(in crate::kaltura) fn get_job(id: JobId) -> Self {
        Self::bulk("get", BulkParameters::One { id })
    }

    /// `bulkupload_bulk.abort`
    pub(in crate::kaltura) fn abort_job(id: JobId) -> Self {
        Self::bulk("abort", BulkParameters::One { id })
    }

    /// `bulkupload_bulk.list` of what was handed in at or after a second, newest first. Not by what
    /// the files are about: that would leave out the jobs that no worker has taken yet.
    pub(in crate::kaltura) fn list_jobs(since: Timestamp, page: u32) -> Self {
        let bulk_upload_filter = Filter {
            object_type: "KalturaBulkUploadFilter",
            uploaded_on_greater_than_or_equal: since.as_second().max(LONGEST_RELATIVE_TIME + 1),
        };
        let pager = Pager::of(page);
        Self::bulk(
            "list",
            BulkParameters::Many {
                bulk_upload_filter,
                pager,
            },
        )
    }
}

/// A file to be handed in.
#[derive(Debug)]
pub(in crate::kaltura) struct Upload<'a> {
    /// What it is about.
    pub(in crate::kaltura) kind: FileKind,
    /// Its name, by which its job can be found.
    pub(in crate::kaltura) name: &'a str,
    /// What is in it.
    pub(in crate::kaltura) content: &'a [u8],
}

impl Upload<'_> {
    /// The part of the body that holds the file.
    pub(in crate::kaltura) const FILE: &'static str = "fileData";
    /// The part of the body that holds everything else, as the official clients write it.
    pub(in crate::kaltura) const FIELDS: &'static str = "json";

    /// The path below `/api_v3/service/`.
    pub(in crate::kaltura) fn path(&self) -> &'static str {
        match self.kind {
            FileKind::Entitlements => "categoryUser/action/addFromBulkUpload",
            FileKind::Categories => "category/action/addFromBulkUpload",
            FileKind::Users => "user/action/addFromBulkUpload",
        }
    }

    /// The action, for people.
    pub(in crate::kaltura) fn action(&self) -> &'static str {
        match self.kind {
            FileKind::Entitlements => "categoryUser.addFromBulkUpload",
            FileKind::Categories => "category.addFromBulkUpload",
            FileKind::Users => "user.addFromBulkUpload",
        }
    }

    /// What is sent beside the file.
    pub(in crate::kaltura) fn fields(&self, ks: &str) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Fields {
            ks,
            format: JSON,
            client_tag: CLIENT_TAG,
            bulk_upload_data: Data {
                object_type: "KalturaBulkUploadCsvJobData",
                file_name: self.name,
            },
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    ks: &'a str,
    format: u8,
    client_tag: &'static str,
    bulk_upload_data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    // The class that the server would take otherwise cannot be made.
    object_type: &'static str,
    file_name: &'a str,
}

/// `bulkupload_bulk.serveLog`, which cannot be part of a multirequest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::kaltura) struct LogRequest<'a> {
    ks: &'a str,
    // For its errors; a log is a log in any format.
    format: u8,
    client_tag: &'static str,
    id: JobId,
}

impl<'a> LogRequest<'a> {
    /// The path below `/api_v3/service/`.
    pub(in crate::kaltura) const PATH: &'static str = "bulkupload_bulk/action/serveLog";
    /// The action, for people.
    pub(in crate::kaltura) const ACTION: &'static str = "bulkupload_bulk.serveLog";

    /// Asks for the log of a job.
    pub(in crate::kaltura) fn new(ks: &'a str, id: JobId) -> Self {
        Self {
            ks,
            format: JSON,
            client_tag: CLIENT_TAG,
            id,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_time_long_ago_is_not_taken_for_one_from_now_on() {
        let since = |second| {
            let call =
                serde_json::to_value(Call::list_jobs(Timestamp::from_second(second).unwrap(), 2))
                    .unwrap();
            assert_eq!(call["pager"]["pageIndex"], 2);
            call["bulkUploadFilter"]["uploadedOnGreaterThanOrEqual"].clone()
        };
        assert_eq!(since(0), 315_360_001);
        assert_eq!(since(1_795_294_970), 1_795_294_970);
    }

    #[test]
    fn the_fields_beside_a_file_are_those_that_were_recorded() {
        let upload = Upload {
            kind: FileKind::Entitlements,
            name: "viajson.csv",
            content: b"",
        };
        let fields: Value = serde_json::from_str(&upload.fields("x").unwrap()).unwrap();
        assert_eq!((&fields["ks"], &fields["format"]), (&json!("x"), &json!(1)));
        assert_eq!(
            fields["bulkUploadData"],
            json!({"objectType": "KalturaBulkUploadCsvJobData", "fileName": "viajson.csv"})
        );
    }
}
