//! Rows that make, change and delete categories.
//!
//! *Its one idea: each row acts on its own, in turn*, since a row may want the category of the row before it
//! as its parent. Results are written at the end of the run, all but a few
//! (`BulkUploadCategoryEngineCsv.php`).

use serde_json::{Value, json};

use super::{
    ADD, ADD_OR_UPDATE, Accident, DELETE, ERROR, OK, Row, UPDATE, Verdict, ask, first_id, message,
};
use crate::sandbox::answer::Answer;
use crate::sandbox::state::State;

/// The columns it knows.
pub(super) const COLUMNS: &[&str] = &[
    "action",
    "categoryId",
    "name",
    "relativePath",
    "tags",
    "description",
    "referenceId",
    "contributionPolicy",
    "privacy",
    "inheritanceType",
    "owner",
    "userJoinPolicy",
    "appearInList",
    "defaultPermissionLevel",
    "partnerSortValue",
    "partnerData",
    "moderation",
];

/// Columns that are sent unless PHP takes their cell for false.
const IF_TRUE: &[&str] = &[
    "tags",
    "description",
    "referenceId",
    "contributionPolicy",
    "privacy",
    "appearInList",
    "inheritanceType",
    "owner",
    "partnerData",
];

/// Columns that are sent unless their cell is empty.
const IF_FILLED: &[&str] = &[
    "name",
    "defaultPermissionLevel",
    "userJoinPolicy",
    "partnerSortValue",
    "moderation",
];

/// `status` of a category that is there; results show it whatever has happened.
const ACTIVE: i64 = 2;

const NOT_UNDER_PATH: &str = "Category reference ID not found under the provided relativePath";

/// A row that is to act.
struct Pending<'a> {
    row: &'a Row,
    action: Option<i64>,
    id: String,
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
            Ok(row) => pending.push(Some(row)),
            Err(error) => {
                row.log(state, job, failed(row.text("categoryId"), error))?;
                // The row stays in the list of those to act, as a null.
                pending.push(None);
            }
        }
    }
    let mut verdicts = Vec::new();
    for pending in &pending {
        // PHP 8 dies of writing to a null: what came before is done, and nobody will ever say so.
        let Some(pending) = pending else {
            return Err(Accident::Dead);
        };
        match act(state, pending, now_ms) {
            Act::None => {}
            Act::NotFound => {
                let verdict = failed("", NOT_UNDER_PATH.to_owned());
                pending.row.log(state, job, verdict)?;
            }
            Act::Done(id, Ok(answer)) => {
                let made = answer.text_at(&["id"]);
                verdicts.push((
                    pending.row,
                    Verdict {
                        status: OK,
                        object_id: made.unwrap_or(id),
                        object_status: ACTIVE,
                        error: String::new(),
                    },
                ));
            }
            Act::Done(id, Err(error)) => verdicts.push((pending.row, failed(&id, error))),
        }
    }
    for (row, verdict) in verdicts {
        row.log(state, job, verdict)?;
    }
    Ok(())
}

fn failed(id: &str, error: String) -> Verdict {
    Verdict {
        status: ERROR,
        object_id: id.to_owned(),
        object_status: ACTIVE,
        error,
    }
}

fn check<'a>(state: &mut State, row: &'a Row, now_ms: i64) -> Result<Pending<'a>, String> {
    if row.has_broken_cell() {
        return Err("value with unknown encoding was passed".to_owned());
    }
    let mut id = row.text("categoryId").to_owned();
    let mut action = row.action();
    let is_named = row.truthy("categoryId").is_some() || row.truthy("referenceId").is_some();
    if action == Some(ADD_OR_UPDATE) {
        let known = find(state, row, now_ms);
        action = Some(if known.is_some() { UPDATE } else { ADD });
        id = known.unwrap_or_default();
    }
    let mut error = None;
    match action {
        Some(ADD) if row.truthy("name").is_none() => {
            error = Some("Mandatory Column [name] missing from CSV.".to_owned());
        }
        Some(UPDATE) if !is_named => {
            error = Some(
                "Mandatory parameters missing for action [2] - categoryId/referenceId".to_owned(),
            );
        }
        Some(DELETE) if !is_named => {
            error = Some("Mandatory parameters missing for action [3]".to_owned());
        }
        _ => {}
    }
    if row.line > state.limits.bulk_rows {
        error = Some("Exeeded max records count per bulk".to_owned());
    }
    match error {
        Some(error) => Err(error),
        None => Ok(Pending { row, action, id }),
    }
}

/// What a row has come to.
enum Act {
    /// Its action is unknown: it leaves no trace.
    None,
    /// There is no category of its reference ID.
    NotFound,
    /// The call was made, or its parent could not be found.
    Done(String, Result<Answer, String>),
}

fn act(state: &mut State, pending: &Pending<'_>, now_ms: i64) -> Act {
    let row = pending.row;
    let id = match pending.action {
        Some(ADD) => pending.id.clone(),
        Some(UPDATE | DELETE) if super::is_truthy(&pending.id) => pending.id.clone(),
        Some(UPDATE | DELETE) => match find(state, row, now_ms) {
            Some(id) => id,
            None => return Act::NotFound,
        },
        _ => return Act::None,
    };
    let (call, sent) = if pending.action == Some(DELETE) {
        ("category.delete", json!({"id": id}))
    } else {
        let category = match category(state, row, now_ms) {
            Ok(category) => category,
            Err(error) => return Act::Done(id, Err(error)),
        };
        match pending.action {
            Some(ADD) => ("category.add", json!({"category": category})),
            _ => ("category.update", json!({"id": id, "category": category})),
        }
    };
    let done = ask(state, call, sent, now_ms).map_err(|failure| message(&failure));
    Act::Done(id, done)
}

/// The category a row means: by its number, or the first of its reference ID below its path.
fn find(state: &mut State, row: &Row, now_ms: i64) -> Option<String> {
    if let Some(id) = row.truthy("categoryId") {
        return Some(id.to_owned());
    }
    let mut filter = json!({"referenceIdEqual": row.truthy("referenceId")?});
    let path = row.text("relativePath");
    if !path.is_empty() {
        filter["fullNameStartsWith"] = json!(path);
    }
    let found = ask(state, "category.list", json!({"filter": filter}), now_ms);
    first_id(&found.ok()?)
}

fn category(state: &mut State, row: &Row, now_ms: i64) -> Result<Value, String> {
    let mut category = json!({});
    if let Some(path) = row.truthy("relativePath") {
        category["parentId"] = json!(parent(state, path, now_ms)?);
    }
    for column in IF_TRUE {
        if let Some(cell) = row.truthy(column) {
            category[*column] = json!(cell);
        }
    }
    for column in IF_FILLED {
        let cell = row.text(column);
        if !cell.is_empty() {
            category[*column] = json!(cell);
        }
    }
    Ok(category)
}

fn parent(state: &mut State, path: &str, now_ms: i64) -> Result<String, String> {
    let filter = json!({"filter": {"fullNameEqual": path}});
    let found = ask(state, "category.list", filter, now_ms).map_err(|failure| message(&failure))?;
    let count = found.text_at(&["totalCount"]).unwrap_or_default();
    match (&*count, first_id(&found)) {
        ("1", Some(id)) => Ok(id),
        ("0", _) | (_, None) => Err(format!("Parent category not found for full name [{path}]")),
        (count, _) => Err(format!(
            "Multiple [{count}] parent categories found for full name [{path}]"
        )),
    }
}
