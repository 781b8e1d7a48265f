//! What clients have asked of the sandbox.
//!
//! *Its one idea: a test may assert on what was asked, not only on what came of it*: that a second run
//! writes nothing, that reads are batched, that nobody was deleted twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
