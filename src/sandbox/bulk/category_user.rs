//! Rows that write memberships.
//!
//! *Its one idea: a row is checked and looked up when it is read, and acts later*, when all rows of the run
//! were read: whether "add or update" means the one or the other is settled before the first row acts
//! (`BulkUploadCategoryUserEngineCsv.php`).

use serde_json::{Value, json};

use super::{
    ADD, ADD_OR_UPDATE, Accident, DELETE, ERROR, OK, ROWS_PER_REQUEST, Row, UPDATE, Verdict, ask,
    first_id, is_one_of, is_truthy, message,
};
use crate::sandbox::dispatch::Outcome;
use crate::sandbox::state::{ACTIVE, NOT_ACTIVE, State};

/// The columns it knows.
pub(super) const COLUMNS: &[&str] = &[
    "action",
    "categoryUserId",
    "categoryId",
    "categoryReferenceId",
    "userId",
    "status",
    "permissionLevel",
    "updateMethod",
];

const STATUSES: &[i64] = &[1, 2, 3, 4];
const LEVELS: &[i64] = &[0, 1, 2, 3, 4];
const METHODS: &[i64] = &[0, 1];
const PENDING: &str = "2";
const NONE: &[i64] = &[4];

/// A row that is to act.
struct Pending<'a> {
    row: &'a Row,
    action: i64,
    category: String,
    user: &'a str,
}

pub(super) fn handle(
    state: &mut State,
    job: i64,
    rows: &[Row],
    now_ms: i64,
) -> Result<(), Accident> {
    let mut pending = Vec::new();
    for row in rows {
        match check(state, row, now_ms) {
            Ok(Some(row)) => pending.push(row),
            // An action nobody knows leaves no trace.
            Ok(None) => {}
            Err(error) => row.log(
                state,
                job,
                Verdict {
                    status: ERROR,
                    object_status: ACTIVE,
                    error: error.to_owned(),
                    ..Verdict::default()
                },
            )?,
        }
    }
    for chunk in pending.chunks(ROWS_PER_REQUEST) {
        // One multirequest: all rows of it have acted before the first status is looked at.
        let outcomes: Vec<Outcome> = chunk
            .iter()
            .map(|row| act(state, job, row, now_ms))
            .collect();
        for (pending, outcome) in chunk.iter().zip(outcomes) {
            let verdict = match outcome {
                Ok(_) => Verdict {
                    status: OK,
                    object_status: ACTIVE,
                    error: set_status(state, job, pending, now_ms),
                    ..Verdict::default()
                },
                Err(failure) => Verdict {
                    status: ERROR,
                    error: message(&failure),
                    ..Verdict::default()
                },
            };
            pending.row.log(state, job, verdict)?;
        }
    }
    Ok(())
}

/// Looks at a row. The last complaint is the one that counts.
fn check<'a>(
    state: &mut State,
    row: &'a Row,
    now_ms: i64,
) -> Result<Option<Pending<'a>>, &'static str> {
    if row.has_broken_cell() {
        return Err("value with unknown encoding was passed");
    }
    let mut error = None;
    let user = row.text("userId");
    let mut category = row.text("categoryId").to_owned();
    let reference = row.truthy("categoryReferenceId");
    if !is_truthy(user) {
        error = Some("Missing mandatory parameter userId");
    }
    if !is_truthy(&category) && reference.is_none() {
        error = Some("Missing mandatory parameter categoryId");
    }
    let wrong = |column: &str, members: &[i64]| {
        let cell = row.truthy(column);
        cell.is_some_and(|cell| !is_one_of(cell, members))
    };
    if row.text("status") != PENDING && wrong("status", STATUSES) {
        error = Some("Wrong value passed for property status.");
    }
    if wrong("permissionLevel", LEVELS) {
        error = Some("Wrong value passed for property permissionLevel.");
    } else if is_one_of(row.text("permissionLevel"), NONE) {
        error = Some(
            "NONE permission (4) level is not allowed. Users without permissions should not be added to \
             categories. Use allowed permission value",
        );
    }
    if wrong("updateMethod", METHODS) {
        error = Some("Wrong value passed for property updateMethod.");
    }
    if row.line > state.limits.bulk_rows {
        error = Some("Exceeded max records count per bulk");
    }
    if !is_truthy(&category)
        && let Some(reference) = reference
    {
        let filter = json!({"filter": {"referenceIdEqual": reference}});
        let found = ask(state, "category.list", filter, now_ms);
        match found.ok().as_ref().and_then(first_id) {
            Some(id) => category = id,
            None => error = Some("Could not locate category by given reference ID."),
        }
    }
    if let Some(error) = error {
        return Err(error);
    }
    let action = match row.action() {
        Some(ADD_OR_UPDATE) => {
            let pair = json!({"categoryId": category, "userId": user});
            // Whatever goes wrong here is taken for "not there".
            match ask(state, "categoryUser.get", pair, now_ms) {
                Ok(_) => UPDATE,
                Err(_) => ADD,
            }
        }
        Some(action @ (ADD | UPDATE | DELETE)) => action,
        _ => return Ok(None),
    };
    Ok(Some(Pending {
        row,
        action,
        category,
        user,
    }))
}

fn act(state: &mut State, job: i64, pending: &Pending<'_>, now_ms: i64) -> Outcome {
    let mut membership = json!({
        "categoryId": pending.category,
        "userId": pending.user,
        "updateMethod": 1,
    });
    for column in ["permissionLevel", "updateMethod"] {
        let cell = pending.row.text(column);
        if !cell.is_empty() {
            membership[column] = json!(cell);
        }
    }
    let mut sent = pair(pending);
    if pending.action != DELETE {
        sent["categoryUser"] = membership;
    }
    let call = match pending.action {
        ADD => "add",
        UPDATE => "update",
        _ => "delete",
    };
    write(state, job, call, &sent, now_ms)
}

/// Brings a membership that was written into the status its row asks for. A failure is told, and the row
/// counts as done all the same.
fn set_status(state: &mut State, job: i64, pending: &Pending<'_>, now_ms: i64) -> String {
    if pending.action == DELETE {
        return String::new();
    }
    let wanted = pending.row.text("status");
    let call = if is_one_of(wanted, &[ACTIVE]) {
        "activate"
    } else if is_one_of(wanted, &[NOT_ACTIVE]) {
        "deactivate"
    } else {
        return String::new();
    };
    match write(state, job, call, &pair(pending), now_ms) {
        Ok(_) => String::new(),
        Err(failure) => message(&failure),
    }
}

fn pair(pending: &Pending<'_>) -> Value {
    json!({"categoryId": pending.category, "userId": pending.user})
}

/// Writes a membership, for all to see in the log of writes.
fn write(state: &mut State, job: i64, call: &'static str, sent: &Value, now_ms: i64) -> Outcome {
    let outcome = ask(state, &format!("categoryUser.{call}"), sent.clone(), now_ms);
    if let Value::Object(sent) = sent {
        let calls = state.bulk.calls.clone();
        calls.note_bulk_write(call, sent, &outcome, now_ms / 1000, job);
    }
    outcome
}
