//! Rows that make, change and delete users, and put them into groups.
//!
//! *Its one idea: users first, groups when all users are done.* What becomes of the groups stands nowhere in
//! the log (`BulkUploadUserEngineCsv.php`).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::{
    ADD, ADD_OR_UPDATE, Accident, DELETE, ERROR, OK, ROWS_PER_REQUEST, Row, UPDATE, Verdict, ask,
    is_one_of, message,
};
use crate::sandbox::dispatch::Outcome;
use crate::sandbox::state::State;

/// The columns it knows.
pub(super) const COLUMNS: &[&str] = &[
    "action",
    "userId",
    "screenName",
    "firstName",
    "lastName",
    "email",
    "tags",
    "gender",
    "zip",
    "country",
    "state",
    "city",
    "dateOfBirth",
    "partnerData",
    "group",
    "groupUserCreationMode",
    "userRole",
    "externalId",
    "capabilities",
];

/// Columns that are sent under their own names unless PHP takes their cell for false.
const IF_TRUE: &[&str] = &[
    "screenName",
    "firstName",
    "lastName",
    "email",
    "tags",
    "gender",
    "zip",
    "country",
    "state",
    "city",
    "partnerData",
    "externalId",
];

const GENDERS: &[i64] = &[0, 1, 2];
/// `status` of a user who is there.
const ACTIVE: i64 = 1;
/// `type` of a group.
const GROUP: i64 = 1;
/// `creationMode` of a group membership that nobody made by hand.
const AUTOMATIC: &str = "2";

static DATE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("([1-2][0-9]{3})-([0-1][0-9])-([0-3][0-9])").ok());

/// A row that is to act.
struct Pending<'a> {
    row: &'a Row,
    action: i64,
}

pub(super) fn handle(
    state: &mut State,
    job: i64,
    rows: &[Row],
    now_ms: i64,
) -> Result<(), Accident> {
    let mut pending = Vec::new();
    let mut members = Vec::new();
    for row in rows {
        match check(state, row, now_ms) {
            Ok(action) => {
                members.push(row);
                if let Some(action @ (ADD | UPDATE | DELETE)) = action {
                    pending.push(Pending { row, action });
                }
            }
            Err(error) => {
                let verdict = verdict(state, row, ERROR, ACTIVE, error);
                row.log(state, job, verdict)?;
            }
        }
    }
    for chunk in pending.chunks(ROWS_PER_REQUEST) {
        let outcomes: Vec<Outcome> = chunk.iter().map(|row| act(state, row, now_ms)).collect();
        for (pending, outcome) in chunk.iter().zip(outcomes) {
            let row = pending.row;
            let verdict = match outcome {
                Ok(_) => verdict(state, row, OK, ACTIVE, String::new()),
                Err(failure) => verdict(state, row, ERROR, 0, message(&failure)),
            };
            row.log(state, job, verdict)?;
        }
    }
    join_groups(state, &members, now_ms);
    Ok(())
}

/// A verdict names the user by number (Kaltura counts from 1), if there is one when it is written.
fn verdict(state: &State, row: &Row, status: i64, object_status: i64, error: String) -> Verdict {
    let key = state.users.find(user_id(row));
    Verdict {
        status,
        object_id: key.map_or_else(String::new, |key| (key.number() + 1).to_string()),
        object_status,
        error,
    }
}

fn user_id(row: &Row) -> &str {
    row.truthy("userId")
        .or_else(|| row.truthy("externalId"))
        .unwrap_or_default()
}

/// Looks at a row and says what it is to do. The last complaint is the one that counts.
fn check(state: &mut State, row: &Row, now_ms: i64) -> Result<Option<i64>, String> {
    if row.has_broken_cell() {
        return Err("value with unknown encoding was passed".to_owned());
    }
    let mut error = None;
    if user_id(row).is_empty() {
        error = Some("Mandatory Column [userId] missing from CSV.".to_owned());
    }
    if let Some(date) = row.truthy("dateOfBirth")
        && born(date).is_none()
    {
        error = Some(format!(
            "Format of property dateOfBirth is incorrect [{date}]."
        ));
    }
    if let Some(gender) = row.truthy("gender")
        && !is_one_of(gender, GENDERS)
    {
        error = Some(format!("Wrong value passed for property gender [{gender}]"));
    }
    let mut action = row.action();
    if action == Some(ADD_OR_UPDATE) {
        let known = ask(state, "user.get", json!({"userId": user_id(row)}), now_ms);
        action = Some(if known.is_ok() { UPDATE } else { ADD });
    }
    if row.line > state.limits.bulk_rows {
        error = Some("Exeeded max records count per bulk".to_owned());
    }
    match error {
        Some(error) => Err(error),
        None => Ok(action),
    }
}

fn act(state: &mut State, pending: &Pending<'_>, now_ms: i64) -> Outcome {
    let id = user_id(pending.row);
    match pending.action {
        ADD => ask(
            state,
            "user.add",
            json!({"user": user(pending.row)}),
            now_ms,
        ),
        UPDATE => {
            let sent = json!({"userId": id, "user": user(pending.row)});
            ask(state, "user.update", sent, now_ms)
        }
        _ => ask(state, "user.delete", json!({"userId": id}), now_ms),
    }
}

fn user(row: &Row) -> Value {
    let mut user = json!({});
    if let Some(id) = row.truthy("userId") {
        user["id"] = json!(id);
    }
    for column in IF_TRUE {
        if let Some(cell) = row.truthy(column) {
            user[*column] = json!(cell);
        }
    }
    if let Some(born) = row.truthy("dateOfBirth").and_then(born) {
        user["dateOfBirth"] = json!(born);
    }
    user
}

/// A day as unix seconds.
fn born(date: &str) -> Option<i64> {
    let found = DATE.as_ref()?.captures(date)?;
    let part = |at: usize| found[at].parse::<i8>().ok();
    let year = found[1].parse().ok()?;
    // PHP's gmmktime carries what is too much over, as the 31st of a shorter month.
    let (month, day) = (part(2)?, part(3)?);
    let first = jiff::civil::Date::new(year, month.clamp(1, 12), 1).ok()?;
    let day = first
        .checked_add(jiff::Span::new().days(i64::from(day) - 1))
        .ok()?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_second())
}

/// Takes users out of groups (`-group`), then puts users into groups. A group that is not there is made.
fn join_groups(state: &mut State, rows: &[&Row], now_ms: i64) {
    let wanted = rows
        .iter()
        .filter_map(|row| Some((row, row.truthy("group")?)));
    let (left, joined): (Vec<_>, Vec<_>) = wanted.partition(|(_, group)| group.starts_with('-'));
    for (row, group) in left {
        let pair = json!({"userId": user_id(row), "groupId": &group[1..]});
        _ = ask(state, "groupUser.delete", pair, now_ms);
    }
    for (_, group) in &joined {
        let known = ask(state, "user.get", json!({"userId": group}), now_ms);
        let is_group = known.is_ok_and(|user| {
            let kind = user.text_at(&["type"]);
            kind == Some(GROUP.to_string())
        });
        if !is_group {
            let group = json!({"user": {"id": group, "type": GROUP}});
            _ = ask(state, "user.add", group, now_ms);
        }
    }
    for (row, group) in joined {
        let mut member = json!({
            "userId": user_id(row),
            "groupId": group,
            "creationMode": row.truthy("groupUserCreationMode").unwrap_or(AUTOMATIC),
        });
        if let Some(role) = row.truthy("userRole") {
            member["userRole"] = json!(role);
        }
        _ = ask(state, "groupUser.add", json!({"groupUser": member}), now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_midnight() {
        assert_eq!(born("1990-01-02"), Some(631_238_400));
        assert_eq!(born("born 1990-01-02T10:00"), Some(631_238_400));
        assert_eq!(born("1990-02-31"), born("1990-03-03"));
        assert_eq!(born("notadate"), None);
    }
}
