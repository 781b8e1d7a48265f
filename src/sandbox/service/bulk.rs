//! `bulkupload_bulk`, and the older `bulkUpload`: files that are handed in and looked after.
//!
//! *Its one idea: handing in only keeps the file.* Whether it has a header, columns or rows at all is found
//! out later, by a worker; a file of nothing is all that is refused.

use super::{Action, Service, action};
use crate::sandbox::answer::{Answer, File, Object};
use crate::sandbox::bulk::{CSV, render};
use crate::sandbox::classes;
use crate::sandbox::dispatch::{Call, Outcome, optional, required};
use crate::sandbox::error::{self, ApiError};
use crate::sandbox::faults::AskedCall;
use crate::sandbox::filter::{OneOf, Page, Range, texts};
use crate::sandbox::params::{Kind, Param, Record};
use crate::sandbox::state::{BulkJob, BulkKind, Job, bulk_status as status};

/// `status` of a user who may hand in files.
const ACTIVE: i64 = 1;

const INGEST: &[&str] = &[
    "CONTENT_INGEST_BULK_UPLOAD",
    "CONTENT_INGEST_UPLOAD",
    "BASE_USER_SESSION_PERMISSION",
];
const INGEST_USERS: &[&str] = &[
    "CONTENT_INGEST_BULK_UPLOAD",
    "CONTENT_INGEST_UPLOAD",
    "ADMIN_USER_BULK",
    "BASE_USER_SESSION_PERMISSION",
];
const ID: &[Param] = &[required("id", Kind::Int)];
const UPLOAD: &[Param] = const {
    &[
        required("fileData", Kind::File),
        optional("bulkUploadData", Kind::Object(&classes::BULK_DATA)),
    ]
};
const LIST: &[Param] = const {
    &[
        optional("bulkUploadFilter", Kind::Object(&classes::BULK_FILTER)),
        optional("pager", Kind::Object(&classes::PAGER)),
    ]
};

/// `category.addFromBulkUpload`.
pub(super) const ADD_CATEGORIES: Action = Action {
    alias_of: Some("bulkupload_bulk->addCategories"),
    ..action("addFromBulkUpload", UPLOAD, INGEST, |call| {
        add(call, BulkKind::Category)
    })
};

/// `categoryUser.addFromBulkUpload`.
pub(super) const ADD_CATEGORY_USERS: Action = Action {
    alias_of: Some("bulkupload_bulk->addCategoryUsers"),
    ..action("addFromBulkUpload", UPLOAD, INGEST, |call| {
        add(call, BulkKind::CategoryUser)
    })
};

/// `user.addFromBulkUpload`.
pub(super) const ADD_USERS: Action = Action {
    alias_of: Some("bulkupload_bulk->addUsers"),
    ..action("addFromBulkUpload", UPLOAD, INGEST_USERS, |call| {
        add(call, BulkKind::User)
    })
};

pub(super) const SERVICE: Service = Service {
    name: "bulkupload_bulk",
    actions: &[
        action("get", ID, INGEST, get),
        action("list", LIST, INGEST, list),
        action("serve", ID, INGEST, serve),
        action("serveLog", ID, INGEST, serve_log),
        action("abort", ID, INGEST, abort),
        Action {
            name: "addCategories",
            ..ADD_CATEGORIES
        },
        Action {
            name: "addCategoryUsers",
            ..ADD_CATEGORY_USERS
        },
        Action {
            name: "addUsers",
            ..ADD_USERS
        },
    ],
};

const SEE: &[&str] = &["CONTENT_INGEST_BASE", "CONTENT_INGEST_BULK_UPLOAD"];
const DOWNLOAD: &[&str] = &[
    "CONTENT_INGEST_BASE",
    "BULK_LOG_DOWNLOAD",
    "BULK_LOG_DOWNLOAD_EMAIL",
];

/// The service as it was before there were plugins, with permissions of its own
/// (`service.bulkupload.ini`); only an administrator was recorded.
pub(super) const LEGACY_SERVICE: Service = Service {
    name: "bulkUpload",
    actions: &[
        action("get", ID, SEE, get),
        action("list", LIST, SEE, list),
        action("serve", ID, DOWNLOAD, serve),
        action("serveLog", ID, DOWNLOAD, serve_log),
        action("abort", ID, &["BULK_LOG_DELETE"], abort),
    ],
};

fn add(call: &mut Call<'_>, kind: BulkKind) -> Outcome {
    let none = Record::default();
    let data = call.args.record("bulkUploadData");
    let format = match data {
        None => CSV,
        Some(data) => format(data)?,
    };
    let (name, content) = call.args.file("fileData").unwrap_or_default();
    let name = data.unwrap_or(&none).filled("fileName").unwrap_or(name);
    if content.is_empty() {
        return Err(ApiError::new(error::INVALID_FILE_TYPE, &[&name]).into());
    }
    let (name, content) = (name.to_owned(), content.to_vec());
    keep(call, kind, format, name, content)
}

/// Hands in a file of users that the server itself has written.
pub(super) fn hand_in_users(call: &mut Call<'_>, content: String) -> Outcome {
    let name = "groups.csv".to_owned();
    keep(call, BulkKind::User, CSV, name, content.into_bytes())
}

fn keep(
    call: &mut Call<'_>,
    kind: BulkKind,
    format: &str,
    file_name: String,
    content: Vec<u8>,
) -> Outcome {
    call.make_session_user();
    let user = call.user().map(|key| call.state.users.get(key));
    if user.is_some_and(|user| user.status != ACTIVE) {
        return Err(ApiError::new(error::INVALID_USER_ID, &[]).into());
    }
    let user_id = user.map_or_else(String::new, |user| user.id.to_string());
    let faults = &call.state.bulk.faults;
    let fault = if faults.is_quiet() {
        None
    } else {
        faults.bulk_fault(&AskedCall::of(&call.name(), call.sent))
    };
    let job = BulkJob {
        id: 0,
        kind,
        format: format.to_owned(),
        status: status::DONT_PROCESS,
        uploaded: call.now(),
        user_id,
        file_name,
        content,
        started: false,
        aborted: false,
        message: None,
        description: String::new(),
        description_before: String::new(),
        objects: None,
        accidents: 0,
        results: Vec::new(),
        fault,
    };
    let id = call.state.bulk.insert(job);
    call.state.queue(Job::BulkStart(id), call.now_ms);
    found(call, id)
}

/// What a file is taken for. The class that was declared is abstract, and an unknown one counts as that.
fn format(data: &Record) -> Result<&'static str, ApiError> {
    match data.text("objectType").unwrap_or_default() {
        "KalturaBulkUploadCsvJobData" => Ok(CSV),
        "KalturaBulkUploadXmlJobData" => Ok("bulkUploadXml.XML"),
        "KalturaBulkUploadFilterJobData" => Ok("bulkUploadFilter.FILTER"),
        "KalturaBulkUploadICalJobData" => Ok("scheduleBulkUpload.ICAL"),
        _ => {
            let class = classes::BULK_DATA.name;
            Err(ApiError::new(error::OBJECT_TYPE_ABSTRACT, &[&class]))
        }
    }
}

fn get(call: &mut Call<'_>) -> Outcome {
    found(call, call.args.int("id").unwrap_or(0))
}

fn found(call: &Call<'_>, id: i64) -> Outcome {
    match call.state.bulk.get(id) {
        Some(job) => Ok(view(call, job)),
        None => Err(not_found(id).into()),
    }
}

fn not_found(id: i64) -> ApiError {
    ApiError::new(error::BULK_UPLOAD_NOT_FOUND, &[&id])
}

#[expect(clippy::unnecessary_wraps, reason = "an action answers like any other")]
fn list(call: &mut Call<'_>) -> Outcome {
    let limits = &call.state.limits;
    let page = Page::unbounded(call.args.record("pager"), limits);
    let none = Record::default();
    let filter = call.args.record("bulkUploadFilter").unwrap_or(&none);
    let status = OneOf::of(filter, "status", limits);
    let uploaded = Range::of(filter, "uploadedOn");
    let uploaded_at = filter.int("uploadedOnEqual");
    let kind = filter.filled("bulkUploadObjectTypeEqual");
    let kinds = filter.filled("bulkUploadObjectTypeIn");
    let kinds = kinds.map(|list| texts(list, limits));
    let jobs: Vec<&BulkJob> = call
        .state
        .bulk
        .newest_first()
        .filter(|job| {
            // A job that no worker has taken has no kind yet.
            let own = if job.started { job.kind.number() } else { "" };
            !job.aborted
                && status.has(job.status)
                && uploaded.has(job.uploaded)
                && uploaded_at.is_none_or(|at| at == job.uploaded)
                && kind.is_none_or(|kind| kind == own)
                && kinds.as_ref().is_none_or(|kinds| kinds.contains(&own))
        })
        .collect();
    let rows = page.cut(&jobs).iter().map(|job| view(call, job)).collect();
    Ok(Answer::page(
        "KalturaBulkUploadListResponse",
        jobs.len(),
        Some(rows),
    ))
}

#[expect(clippy::unnecessary_wraps, reason = "an action answers like any other")]
fn serve(call: &mut Call<'_>) -> Outcome {
    let job = call.state.bulk.get(call.args.int("id").unwrap_or(0));
    Ok(job.map_or_else(no_file, |job| {
        Answer::File(File {
            kind: "text/plain;charset=UTF-8",
            content: job.content.clone(),
            error: None,
        })
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "an action answers like any other")]
fn serve_log(call: &mut Call<'_>) -> Outcome {
    let job = call.state.bulk.get(call.args.int("id").unwrap_or(0));
    Ok(job.map_or_else(no_file, |job| {
        Answer::File(File {
            kind: "text/plain; charset=UTF-8",
            content: render(job).into_bytes(),
            error: None,
        })
    }))
}

/// Where a file was asked for an error has no body, only a header.
fn no_file() -> Answer {
    Answer::File(File {
        kind: "text/html; charset=UTF-8",
        content: Vec::new(),
        error: Some("error- BULK_UPLOAD_NOT_FOUND".to_owned()),
    })
}

fn abort(call: &mut Call<'_>) -> Outcome {
    let id = call.args.int("id").unwrap_or(0);
    if let Some(job) = call.state.bulk.get_mut(id) {
        // A job that is over stays as it is, and vanishes from lists all the same. One that a worker has
        // in hand is left to the worker.
        job.aborted = true;
        if !job.is_over() && !matches!(job.status, status::QUEUED | status::PROCESSING) {
            job.status = status::ABORTED;
        }
    }
    found(call, id)
}

/// A job as an answer. The addresses in it contain the session of whoever asks.
fn view(call: &Call<'_>, job: &BulkJob) -> Answer {
    let url = |action: &str| {
        let (host, id, ks) = (call.host, job.id, &call.session.text);
        let service = "api_v3/service/bulkUpload";
        Answer::text(format!(
            "http://{host}/{service}/action/{action}/id/{id}/ks/{ks}"
        ))
    };
    let shown = |value: Answer| if job.started { value } else { Answer::Null };
    let objects = job.objects.and_then(|count| i64::try_from(count).ok());
    let description = Some(&*job.description).filter(|text| !text.is_empty());
    Answer::Object(Object {
        class: "KalturaBulkUpload",
        fields: vec![
            ("id", Answer::Int(job.id)),
            ("uploadedBy", Answer::Null),
            ("uploadedByUserId", shown(Answer::text(&*job.user_id))),
            ("uploadedOn", Answer::Int(job.uploaded)),
            ("numOfEntries", Answer::Null),
            ("status", Answer::Int(job.status)),
            ("logFileUrl", url("serveLog")),
            ("csvFileUrl", url("serve")),
            ("bulkFileUrl", url("serve")),
            ("bulkUploadType", Answer::text(&*job.format)),
            ("results", Answer::Null),
            ("error", Answer::maybe(job.message.as_deref())),
            ("errorType", Answer::Null),
            ("errorNumber", Answer::Null),
            ("fileName", shown(Answer::text(&*job.file_name))),
            ("description", Answer::maybe(description)),
            ("numOfObjects", shown(Answer::maybe_int(objects))),
            (
                "bulkUploadObjectType",
                shown(Answer::text(job.kind.number())),
            ),
        ],
    })
}
