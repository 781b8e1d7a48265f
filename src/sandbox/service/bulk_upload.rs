//! A bulk upload as an answer.
//!
//! *Its one idea: whoever queues one is told where it will be found*, with the session in each
//! address.

use crate::sandbox::answer::{Answer, Object};
use crate::sandbox::dispatch::Call;

/// `status` of a job the server has not yet begun to look at.
const DONT_PROCESS: i64 = 11;

/// A job that was queued just now.
pub(super) fn queued(call: &mut Call<'_>) -> Answer {
    let id = call.state.next_bulk_upload();
    let address = |action: &str| {
        let (url, ks) = (&call.state.url, &call.session.text);
        Answer::text(format!(
            "{url}/api_v3/service/bulkUpload/action/{action}/id/{id}/ks/{ks}"
        ))
    };
    Answer::Object(Object {
        class: "KalturaBulkUpload",
        fields: vec![
            ("id", Answer::Int(id)),
            ("uploadedBy", Answer::Null),
            ("uploadedByUserId", Answer::Null),
            ("uploadedOn", Answer::Int(call.now())),
            ("numOfEntries", Answer::Null),
            ("status", Answer::Int(DONT_PROCESS)),
            ("logFileUrl", address("serveLog")),
            ("csvFileUrl", address("serve")),
            ("bulkFileUrl", address("serve")),
            ("bulkUploadType", Answer::text("bulkUploadCsv.CSV")),
            ("results", Answer::Null),
            ("error", Answer::Null),
            ("errorType", Answer::Null),
            ("errorNumber", Answer::Null),
            ("fileName", Answer::Null),
            ("description", Answer::Null),
            ("numOfObjects", Answer::Null),
            ("bulkUploadObjectType", Answer::Null),
        ],
    })
}
