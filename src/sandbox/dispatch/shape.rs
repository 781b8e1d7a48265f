//! What is done to an answer on its way out.
//!
//! *Its one idea: the action has answered; what is left out of it is nobody's business but the asker's.*

use serde_json::{Map, Value};

use crate::sandbox::answer::Answer;
use crate::sandbox::params::{int, plain};

/// Whether an answer is a page of a list.
pub(super) fn is_list(answer: &Answer) -> bool {
    matches!(answer, Answer::Object(object) if object.class.ends_with("ListResponse"))
}

/// Loses the last rows of a page, as when the search engine lists rows the database has lost.
pub(super) fn shorten(answer: &mut Answer, lost: usize) {
    if let Answer::Object(object) = answer {
        for (name, value) in &mut object.fields {
            if *name == "objects"
                && let Answer::List(rows) = value
            {
                rows.truncate(rows.len().saturating_sub(lost));
            }
        }
    }
}

/// Applies a response profile: type 1 shows the fields it names, any other hides them.
pub(super) fn show_only(answer: &mut Answer, profile: &Map<String, Value>) {
    let fields = profile.get("fields").map(plain).unwrap_or_default();
    let fields: Vec<&str> = fields
        .split(',')
        .map(str::trim)
        .filter(|f| !f.is_empty())
        .collect();
    if fields.is_empty() {
        return;
    }
    let include = profile.get("type").map(int) == Some(1);
    let trim = |answer: &mut Answer| {
        if let Answer::Object(object) = answer {
            object
                .fields
                .retain(|(name, _)| fields.contains(name) == include);
        }
    };
    if is_list(answer)
        && let Answer::Object(object) = answer
    {
        for (_, value) in &mut object.fields {
            if let Answer::List(rows) = value {
                rows.iter_mut().for_each(trim);
            }
        }
    } else {
        trim(answer);
    }
}
