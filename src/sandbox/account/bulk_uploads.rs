//! Bulk uploads, as people look at them.
//!
//! *Its one idea: a person sees a job whole from the start*, though the API hides what it is until a
//! worker has taken it.

use serde::Serialize;

use super::words::BulkStatus;
use super::{Account, Look, Rows};
use crate::sandbox::bulk::{ERROR, render};
use crate::sandbox::faults::{Fault, FaultRule};
use crate::sandbox::state::{BulkJob, BulkKind};

/// A file that was handed in.
#[derive(Debug, Clone, Serialize)]
pub struct BulkUploadView {
    /// Kaltura's number of it.
    pub id: i64,
    /// What the file is called.
    pub file_name: String,
    /// What its rows are about: `categories`, `users` or `memberships`.
    pub objects: &'static str,
    /// Where it stands.
    pub status: BulkStatus,
    /// Rows that were handled so far.
    pub rows: usize,
    /// Those of them that came to nothing.
    pub errors: usize,
    /// When it was handed in, in unix seconds.
    pub uploaded_at: i64,
    /// Who handed it in.
    pub uploaded_by: String,
    /// What a worker said last.
    pub message: Option<String>,
    /// What happens to it on purpose, as a fault rule says it.
    pub fault: Option<String>,
    /// Whether somebody has aborted it; lists of the API leave it out.
    pub aborted: bool,
}

impl Account {
    /// Looks at bulk uploads, the newest first, by the name of their file.
    pub fn bulk_uploads(&self, look: &Look) -> Rows<BulkUploadView> {
        self.act(|state, _| {
            let wanted = look.search.to_lowercase();
            let jobs = state.bulk.newest_first();
            let found = jobs.filter(|job| job.file_name.to_lowercase().contains(&wanted));
            look.cut(found.collect(), view)
        })
    }

    /// The log of a bulk upload, as the API serves it.
    pub fn bulk_log(&self, id: i64) -> Option<String> {
        self.act(|state, _| state.bulk.get(id).map(render))
    }
}

fn view(job: &BulkJob) -> BulkUploadView {
    BulkUploadView {
        id: job.id,
        file_name: job.file_name.clone(),
        objects: match job.kind {
            BulkKind::Category => "categories",
            BulkKind::User => "users",
            BulkKind::CategoryUser => "memberships",
        },
        status: BulkStatus::of(job.status),
        rows: job.results.len(),
        errors: job.count(ERROR),
        uploaded_at: job.uploaded,
        uploaded_by: job.user_id.clone(),
        message: job.message.clone(),
        fault: job
            .fault
            .map(|fault| FaultRule::new(Fault::BulkJob(fault)).to_string()),
        aborted: job.aborted,
    }
}
