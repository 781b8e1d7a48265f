//! What of the recordings is played and compared, and what is not, each with its reason.

use rollbook::sandbox::JobKind;

/// The accounts of the recordings: throw-away ones that no longer exist.
pub(super) const ACCOUNTS: [(i64, &str, &str); 2] = [
    (
        103,
        "dbd0c6d82cd6ad045446f28fc70c8bc9",
        "6944bf8f341df8bebb73b9228d262bfe",
    ),
    (
        102,
        "8fde7324c83df414cd29b76a4da48a4d",
        "43162a7e93b4469f3704eb2267645e3f",
    ),
];

/// What the comparison does not look at, and why.
pub(super) const IGNORED: &[(&str, &str)] = &[
    (
        "createdAt updatedAt uploadedOn statusUpdatedAt deletedAt expiry",
        "the moment of the replay is another",
    ),
    ("order of object members", "JSON objects have none"),
    (
        "random part of sessions, application tokens and their ids",
        "random",
    ),
    (
        "order of application tokens in a list",
        "it is the order of their random ids",
    ),
    ("executionTime", "another machine"),
    (
        "rows of lists that the recording did not make",
        "the recorded account held the leavings of earlier recordings",
    ),
    (
        "rows and totals of a page that shows such rows",
        "which rows a page shows depends on them",
    ),
    (
        "the time in the name of a cloned role",
        "the moment of the replay is another",
    ),
    (
        "numbers of bulk uploads and of the users in their logs, beyond being the same throughout",
        "they count what else happened on the recorded server",
    ),
    (
        "X-Kaltura: cached-dispatcher and cache-key",
        "the cache in front of the real server is not there",
    ),
];

pub(super) const TIMES: [&str; 6] = [
    "createdAt",
    "updatedAt",
    "uploadedOn",
    "statusUpdatedAt",
    "deletedAt",
    "expiry",
];

/// Arguments of errors that name what has another number or text in the replay.
pub(super) const MAPPED_ARGS: [&str; 4] = ["CAT", "ID", "KSID", "PARENT_ID"];

/// Classes of things whose numbers are others in the replay.
pub(super) const NUMBERED: [&str; 4] = [
    "KalturaGroupUser",
    "KalturaMetadata",
    "KalturaMetadataProfile",
    "KalturaMetadataProfileField",
];

/// Services the sandbox has; calls of others are left out, by name.
pub(super) const SERVICES: [&str; 16] = [
    "system",
    "session",
    "apptoken",
    "permission",
    "category",
    "categoryuser",
    "user",
    "userrole",
    "bulkupload_bulk",
    "bulkupload",
    "bulk",
    "groupuser",
    "group_group",
    "metadata_metadata",
    "metadata_metadataprofile",
    "multirequest",
];

/// Exchanges that cannot be played, and why.
pub(super) const EXCEPTIONS: &[(&str, &[usize], &str)] = &[
    (
        "08-user",
        &[18],
        "an earlier, unrecorded attempt had left a user of the same 100 characters",
    ),
    (
        "08-user",
        &[111, 112, 118],
        "the worker also did jobs of earlier, unrecorded attempts, and emptied the category",
    ),
    (
        "09-multirequest",
        &[22, 23],
        "the request was recorded without its session, format or items",
    ),
    (
        "14-concurrency",
        &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 28, 29, 30, 31, 32, 33,
            34, 35, 36, 37, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
        ],
        "eight at once: which one came first is not repeatable",
    ),
    (
        "27-metadata-mapping",
        &[79],
        "the database orders documents of one second as it likes",
    ),
];

/// Workers that ran before an exchange, in recordings made before they noted it themselves.
pub(super) const WORKERS: &[(&str, usize, JobKind)] = &[
    ("07b-category-delete-lock", 20, JobKind::Delete),
    ("07b-category-delete-lock", 34, JobKind::Delete),
    ("07b-category-delete-lock", 47, JobKind::Delete),
    ("08-user", 111, JobKind::Delete),
];
