//! Bad days on demand.
//!
//! *Its one idea: a fault is asked for, never accidental*: by number of calls, or by chance from the
//! sandbox's seed, so that a failing test fails again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// What goes wrong on purpose: a cheap handle, shared with the running server.
#[derive(Debug, Clone)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    latency: Duration,
    errors: Vec<ErrorRule>,
    transport: Vec<(TransportFault, u32)>,
    short_answers: Option<(u32, usize)>,
    short_pages: Option<(u32, usize)>,
    bulk_jobs: VecDeque<BulkFault>,
    random: fastrand::Rng,
}

#[derive(Debug)]
struct ErrorRule {
    call: String,
    code: String,
    chance: Chance,
}

#[derive(Debug)]
enum Chance {
    Next(u32),
    Probability(f64),
}

/// Something that happens to an HTTP request as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportFault {
    /// The connection breaks before the server has read the request: nothing was done.
    CutBefore,
    /// The connection breaks when everything was done: the client cannot know.
    CutAfter,
    /// A front end answers in the server's place, with this HTTP status: nothing was done.
    Status(u16),
    /// PHP has died without a word: HTTP status 200, no body; everything was done.
    Empty,
}

/// Something that happens to a bulk upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkFault {
    /// The first run fails (status 6); nothing is done.
    Fail,
    /// Somebody aborts it before its first run (status 7); nothing is done.
    Abort,
    /// Its worker takes it and never comes back (status 2); nothing is done.
    Stick,
    /// Everything is done; the log lacks this many of its last rows.
    LogLacksRows(usize),
    /// Everything is done; each row of the log has a cell too many before the result.
    LogHasAnotherCell,
    /// Everything is done; the log has each row twice.
    LogRepeatsRows,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                latency: Duration::ZERO,
                errors: Vec::new(),
                transport: Vec::new(),
                short_answers: None,
                short_pages: None,
                bulk_jobs: VecDeque::new(),
                random: fastrand::Rng::with_seed(seed),
            })),
        }
    }

    /// Delays every answer by this much from now on.
    pub fn latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// Answers the next calls of an action (`categoryUser.add`; `*` for any) with an error code.
    pub fn fail_next(&self, call: &str, times: u32, code: &str) {
        self.lock().errors.push(ErrorRule {
            call: call.to_owned(),
            code: code.to_owned(),
            chance: Chance::Next(times),
        });
    }

    /// Answers calls of an action (`*` for any) with an error code, with this probability each.
    pub fn fail_randomly(&self, call: &str, probability: f64, code: &str) {
        self.lock().errors.push(ErrorRule {
            call: call.to_owned(),
            code: code.to_owned(),
            chance: Chance::Probability(probability),
        });
    }

    /// Lets this happen to the next HTTP requests.
    pub fn break_next(&self, fault: TransportFault, times: u32) {
        self.lock().transport.push((fault, times));
    }

    /// Keeps only the first answers of the next multirequests, as after a gap in their numbering.
    pub fn shorten_answers(&self, times: u32, keep: usize) {
        self.lock().short_answers = Some((times, keep));
    }

    /// Loses the last rows of the next pages of lists.
    pub fn shorten_pages(&self, times: u32, lose: usize) {
        self.lock().short_pages = Some((times, lose));
    }

    /// Lets this happen to the next bulk upload that is handed in; asked for again, to the one after it.
    pub fn next_bulk_job(&self, fault: BulkFault) {
        self.lock().bulk_jobs.push_back(fault);
    }

    /// Ends all faults; bulk uploads that were handed in keep theirs.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.latency = Duration::ZERO;
        inner.errors.clear();
        inner.transport.clear();
        inner.short_answers = None;
        inner.short_pages = None;
        inner.bulk_jobs.clear();
    }

    pub(super) fn wait(&self) -> Duration {
        self.lock().latency
    }

    pub(super) fn transport(&self) -> Option<TransportFault> {
        let rules = &mut self.lock().transport;
        let (fault, left) = rules.first_mut()?;
        let fault = *fault;
        *left = left.saturating_sub(1);
        rules.retain(|(_, left)| *left > 0);
        Some(fault)
    }

    pub(super) fn error_for(&self, call: &str) -> Option<ApiError> {
        let inner = &mut *self.lock();
        let random = &mut inner.random;
        let mut rules = inner.errors.iter_mut();
        let rule = rules.find_map(|rule| {
            let meant = rule.call == "*" || rule.call.eq_ignore_ascii_case(call);
            let hit = match &mut rule.chance {
                _ if !meant => false,
                Chance::Next(left) => {
                    let hit = *left > 0;
                    *left = left.saturating_sub(1);
                    hit
                }
                Chance::Probability(probability) => random.f64() < *probability,
            };
            hit.then_some(rule)
        })?;
        Some(ApiError::on_demand(&rule.code))
    }

    pub(super) fn shortened(&self) -> Option<usize> {
        use_up(&mut self.lock().short_answers)
    }

    pub(super) fn bulk_fault(&self) -> Option<BulkFault> {
        self.lock().bulk_jobs.pop_front()
    }

    pub(super) fn lost_rows(&self) -> Option<usize> {
        use_up(&mut self.lock().short_pages)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes one of a number of times.
fn use_up(rule: &mut Option<(u32, usize)>) -> Option<usize> {
    let (left, value) = rule.as_mut()?;
    let value = *value;
    *left = left.saturating_sub(1);
    if *left == 0 {
        *rule = None;
    }
    Some(value)
}
