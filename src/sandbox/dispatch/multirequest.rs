//! Several calls in one request.
//!
//! *Its one idea: a later call may use what an earlier one answered*, by tokens in its parameters
//! (`KalturaFrontController.php`).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{Outcome, Request, single};
use crate::sandbox::Server;
use crate::sandbox::answer::Answer;
use crate::sandbox::error::Failure;
use crate::sandbox::faults::Asked;
use crate::sandbox::params::is_upload;
use crate::sandbox::state::State;

/// Answers the items of a request one after the other.
pub(super) fn multirequest(
    server: &Server,
    request: &Request,
    accounts: &mut [&mut State],
    now_ms: i64,
) -> Outcome {
    let mut answers: Vec<Answer> = Vec::new();
    let first = usize::from(!request.params.contains_key("0"));
    // The first gap and the first item without service or action end the whole request.
    for at in first.. {
        let Some(Value::Object(item)) = request.params.get(&at.to_string()) else {
            break;
        };
        if !item.contains_key("service") || !item.contains_key("action") {
            break;
        }
        let mut item = item.clone();
        for inherited in ["ks", "partnerId", "clientTag"] {
            if let Some(value) = request.params.get(inherited)
                && !item.contains_key(inherited)
            {
                item.insert(inherited.to_owned(), value.clone());
            }
        }
        for value in item.values_mut() {
            fill_tokens(value, &answers);
        }
        match single(server, request, &item, accounts, now_ms) {
            Err(Failure::Api(error)) => answers.push(Answer::Error(error)),
            // PHP writes a file and exits: nothing else is answered.
            Ok(file @ Answer::File(_)) => return Ok(file),
            other => answers.push(other?),
        }
    }
    if !server.faults.is_quiet()
        && let Some(keep) = server.faults.shortened(&Asked::of(&request.params))
    {
        answers.truncate(keep);
    }
    Ok(Answer::List(answers))
}

/// Replaces `{1:result:objects:0:id}` by what an earlier item answered: nothing, where that item
/// failed or has no such value. A token that points ahead stays as it is.
fn fill_tokens(value: &mut Value, answers: &[Answer]) {
    static TOKEN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\{(\d+):result:?([^{}]*)\}").ok());
    match value {
        _ if is_upload(value) => {}
        Value::Object(members) => members.values_mut().for_each(|v| fill_tokens(v, answers)),
        Value::Array(items) => items.iter_mut().for_each(|v| fill_tokens(v, answers)),
        Value::String(text) if text.contains(":result") => {
            let Some(pattern) = TOKEN.as_ref() else {
                return;
            };
            let filled = pattern.replace_all(text, |found: &regex::Captures<'_>| {
                let Some(answer) = found[1]
                    .parse::<usize>()
                    .ok()
                    .and_then(|number| answers.get(number.checked_sub(1)?))
                else {
                    return found[0].to_owned();
                };
                let path: Vec<&str> = found[2]
                    .split(':')
                    .filter(|part| !part.is_empty())
                    .collect();
                answer.text_at(&path).unwrap_or_default()
            });
            *text = filled.into_owned();
        }
        _ => {}
    }
}
