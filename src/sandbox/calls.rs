//! What clients have asked of the sandbox.
//!
//! *Its one idea: a test may assert on what was asked, not only on what came of it*: that a second run
//! writes nothing, that reads are batched, that nobody was deleted twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value};

use super::dispatch::Outcome;
use super::error::Failure;
use super::params::{int, plain};

/// The log of what was asked: a cheap handle, shared with the running server.
#[derive(Debug, Clone, Default)]
pub struct CallLog {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: u64,
    calls: BTreeMap<String, u64>,
    writes: Vec<MembershipWrite>,
    recent: VecDeque<CallRecord>,
    last_number: u64,
}

/// Calls that are remembered one by one.
const RECENT: usize = 500;

/// Parameters that tell what a call is about, and no secret.
const TELLING: [&str; 9] = [
    "categoryId",
    "userId",
    "id",
    "name",
    "referenceId",
    "permissionLevel",
    "categoryIdEqual",
    "userIdEqual",
    "referenceIdEqual",
];

/// One of the last calls. It holds no session and no secret.
#[derive(Debug, Clone, Serialize)]
pub struct CallRecord {
    /// Its number, counted from 1.
    pub number: u64,
    /// When it was answered, in unix milliseconds of the sandbox's clock.
    pub at_ms: i64,
    /// Service and action: `categoryUser.add`.
    pub call: String,
    /// What it was about: `categoryId 12, userId ada`.
    pub about: String,
    /// The user of its session; empty for none.
    pub user: String,
    /// `ok`, the code of an error, or what became of the request.
    pub outcome: String,
    /// How long after the request came, in milliseconds.
    pub duration_ms: f64,
}

/// A call that was answered, or not.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    pub(super) call: &'a str,
    pub(super) sent: &'a Map<String, Value>,
    pub(super) user: String,
    pub(super) outcome: String,
    pub(super) began: Instant,
    pub(super) now_ms: i64,
}

/// A call that meant to write a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipWrite {
    /// `add`, `update`, `delete`, `activate` or `deactivate`.
    pub action: &'static str,
    /// The category it named.
    pub category_id: i64,
    /// The user it named, as it was spelled.
    pub user_id: String,
    /// The code of the error it got; none when it was done.
    pub error: Option<String>,
    /// When, in unix seconds of the sandbox's clock.
    pub at: i64,
    /// The bulk upload whose row asked for it; none for a call.
    pub bulk_job: Option<i64>,
}

impl CallLog {
    /// How many HTTP requests came.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// How many calls of an action came (`categoryUser.add`), items of multirequests counted.
    pub fn count_of(&self, call: &str) -> u64 {
        self.lock().calls.get(call).copied().unwrap_or(0)
    }

    /// The calls by action.
    pub fn by_action(&self) -> BTreeMap<String, u64> {
        self.lock().calls.clone()
    }

    /// Every call that meant to write a membership, in order.
    pub fn writes(&self) -> Vec<MembershipWrite> {
        self.lock().writes.clone()
    }

    /// The last calls, the latest first.
    pub fn recent(&self, most: usize) -> Vec<CallRecord> {
        let inner = self.lock();
        inner.recent.iter().rev().take(most).cloned().collect()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.lock() = Inner::default();
    }

    pub(super) fn request(&self) {
        self.lock().requests += 1;
    }

    pub(super) fn count(&self, call: &str) {
        let calls = &mut self.lock().calls;
        match calls.get_mut(call) {
            Some(count) => *count += 1,
            None => _ = calls.insert(call.to_owned(), 1),
        }
    }

    /// Remembers a call.
    pub(super) fn note_call(&self, answered: Answered<'_>) {
        let mut inner = self.lock();
        inner.last_number += 1;
        let record = CallRecord {
            number: inner.last_number,
            at_ms: answered.now_ms,
            call: answered.call.to_owned(),
            about: about(answered.sent),
            user: answered.user,
            outcome: answered.outcome,
            duration_ms: (answered.began.elapsed().as_secs_f64() * 1e6).round() / 1e3,
        };
        if inner.recent.len() == RECENT {
            inner.recent.pop_front();
        }
        inner.recent.push_back(record);
    }

    pub(super) fn note_write(
        &self,
        action: &'static str,
        sent: &Map<String, Value>,
        outcome: &Outcome,
        at: i64,
    ) {
        self.note(action, sent, outcome, at, None);
    }

    /// Notes what a row of a bulk upload meant to write.
    pub(super) fn note_bulk_write(
        &self,
        action: &'static str,
        sent: &Map<String, Value>,
        outcome: &Outcome,
        at: i64,
        job: i64,
    ) {
        self.note(action, sent, outcome, at, Some(job));
    }

    fn note(
        &self,
        action: &'static str,
        sent: &Map<String, Value>,
        outcome: &Outcome,
        at: i64,
        bulk_job: Option<i64>,
    ) {
        let object = match sent.get("categoryUser") {
            Some(Value::Object(object)) if action == "add" => object,
            _ => sent,
        };
        let error = match outcome {
            Ok(_) => None,
            Err(Failure::Api(error)) => Some(error.code.to_string()),
            Err(Failure::Fatal) => Some(String::new()),
        };
        self.lock().writes.push(MembershipWrite {
            action,
            category_id: object.get("categoryId").map_or(0, int),
            user_id: object.get("userId").map(plain).unwrap_or_default(),
            error,
            at,
            bulk_job,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call was about, of what may be shown.
fn about(sent: &Map<String, Value>) -> String {
    let mut told: Vec<String> = Vec::new();
    let objects = sent.values().filter_map(Value::as_object);
    for object in std::iter::once(sent).chain(objects) {
        for name in TELLING {
            let value = object.get(name).map(plain).unwrap_or_default();
            if !value.is_empty() {
                told.push(format!("{name} {value}"));
            }
        }
    }
    told.join(", ")
}
