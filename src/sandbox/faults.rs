//! Bad days on demand.
//!
//! *Its one idea: a fault is asked for, never accidental*, and it happens again: whether chance strikes
//! a call is a hash of the seed, the rule, what the call asks for, and how often the same was asked
//! before. No stream of random numbers is shared, so the order in which concurrent requests arrive does
//! not matter. (What counts calls, `next`, `after` and `every`, counts them as they arrive.)

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::error::ApiError;

mod active;
mod asked;
mod parse;
mod refusal;
mod rule;

use active::Active;

pub(super) use asked::{Asked, AskedCall};
pub use refusal::RuleError;
pub use rule::{Calls, Fault, FaultRule, When};

/// What goes wrong on purpose: a cheap handle, shared with the running server.
#[derive(Debug, Clone)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
}

/// A rule in force.
#[derive(Debug, Clone, Serialize)]
pub struct ActiveFault {
    /// By what it can be ended.
    pub id: u64,
    /// The rule as a line.
    pub line: String,
    /// The rule.
    pub rule: FaultRule,
    /// How often it has struck.
    pub struck: u64,
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
    /// Nothing is done and nothing answered for so long; then the connection breaks.
    TimeoutBefore(Duration),
    /// Everything is done, and nothing answered for so long; then the connection breaks.
    TimeoutAfter(Duration),
}

impl fmt::Display for TransportFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutBefore => f.write_str("cut before"),
            Self::CutAfter => f.write_str("cut after"),
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::Empty => f.write_str("empty answer"),
            Self::TimeoutBefore(_) => f.write_str("time-out before"),
            Self::TimeoutAfter(_) => f.write_str("time-out after"),
        }
    }
}

#[derive(Debug)]
struct Inner {
    seed: u64,
    clock: Clock,
    last_id: u64,
    rules: Vec<Active>,
    injected: BTreeMap<String, u64>,
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
    pub(super) fn new(seed: u64, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                seed,
                clock,
                last_id: 0,
                rules: Vec::new(),
                injected: BTreeMap::new(),
            })),
        }
    }

    /// Puts a rule in force, after those that are, and answers by what it can be ended.
    pub fn add(&self, rule: FaultRule) -> u64 {
        let mut inner = self.lock();
        inner.last_id += 1;
        let active = Active::new(inner.last_id, rule, inner.clock.now_ms());
        inner.rules.push(active);
        inner.last_id
    }

    /// The rules in force.
    pub fn rules(&self) -> Vec<ActiveFault> {
        let mut inner = self.lock();
        inner.forget_what_is_over();
        let active = |active: &Active| ActiveFault {
            id: active.id,
            line: active.line.clone(),
            rule: active.rule.clone(),
            struck: active.struck,
        };
        inner.rules.iter().map(active).collect()
    }

    /// Ends one rule, and answers whether it was in force.
    pub fn remove(&self, id: u64) -> bool {
        let rules = &mut self.lock().rules;
        let before = rules.len();
        rules.retain(|active| active.id != id);
        rules.len() < before
    }

    /// Lets this happen to the next bulk upload that is handed in; asked for again, to the one after it.
    pub fn next_bulk_job(&self, fault: BulkFault) {
        self.add(FaultRule::new(Fault::BulkJob(fault)).next(1));
    }

    /// Ends all faults; bulk uploads that were handed in keep theirs.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// How often each rule has struck since the sandbox was started, those that are over included.
    pub fn injected(&self) -> BTreeMap<String, u64> {
        self.lock().injected.clone()
    }

    /// Delays every answer by this much from now on.
    pub fn latency(&self, latency: Duration) {
        self.end(|fault| matches!(fault, Fault::Latency(..)));
        if !latency.is_zero() {
            self.add(FaultRule::new(Fault::Latency(latency, latency)));
        }
    }

    /// Answers the next calls of an action (`categoryUser.add`; `*` for any) with an error code.
    pub fn fail_next(&self, call: &str, times: u32, code: &str) {
        let rule = FaultRule::new(Fault::Error(code.to_owned())).of(Calls::named(call));
        self.add(rule.next(times));
    }

    /// Answers calls of an action (`*` for any) with an error code, with this probability each.
    pub fn fail_randomly(&self, call: &str, probability: f64, code: &str) {
        let mut rule = FaultRule::new(Fault::Error(code.to_owned())).of(Calls::named(call));
        rule.when.rate = Some(probability);
        self.add(rule);
    }

    /// Lets this happen to the next HTTP requests.
    pub fn break_next(&self, fault: TransportFault, times: u32) {
        let fault = match fault {
            TransportFault::CutBefore => Fault::CutBefore,
            TransportFault::CutAfter => Fault::CutAfter,
            TransportFault::Status(status) => Fault::Status(status),
            TransportFault::Empty => Fault::Empty,
            TransportFault::TimeoutBefore(time) => Fault::TimeoutBefore(time),
            TransportFault::TimeoutAfter(time) => Fault::TimeoutAfter(time),
        };
        self.add(FaultRule::new(fault).next(times));
    }

    /// Keeps only the first answers of the next multirequests, as after a gap in their numbering.
    pub fn shorten_answers(&self, times: u32, keep: usize) {
        self.end(|fault| matches!(fault, Fault::ShortAnswers(_)));
        self.add(FaultRule::new(Fault::ShortAnswers(keep)).next(times));
    }

    /// Loses the last rows of the next pages of lists.
    pub fn shorten_pages(&self, times: u32, lose: usize) {
        self.end(|fault| matches!(fault, Fault::ShortPages(_)));
        self.add(FaultRule::new(Fault::ShortPages(lose)).next(times));
    }

    fn end(&self, which: impl Fn(&Fault) -> bool) {
        self.lock()
            .rules
            .retain(|active| !which(&active.rule.fault));
    }

    /// Whether nothing goes wrong; then nobody needs to know what was asked.
    pub(super) fn is_quiet(&self) -> bool {
        self.lock().rules.is_empty()
    }

    /// How long a request waits for its answer.
    pub(super) fn wait(&self, asked: &Asked) -> Duration {
        let inner = &mut *self.lock();
        inner.forget_what_is_over();
        let mut wait = Duration::ZERO;
        for active in &mut inner.rules {
            if let Fault::Latency(from, to) = active.rule.fault
                && asked.has(|call| active.rule.means(call))
                && let Some(chance) = active.strike(inner.seed, asked.digest, &mut inner.injected)
            {
                wait += from + to.saturating_sub(from).mul_f64(chance);
            }
        }
        wait
    }

    /// What happens to a request as a whole.
    pub(super) fn transport(&self, asked: &Asked) -> Option<TransportFault> {
        self.first(
            asked.digest,
            |rule| asked.has(|call| rule.means(call)),
            |fault| match fault {
                Fault::CutBefore => Some(TransportFault::CutBefore),
                Fault::CutAfter => Some(TransportFault::CutAfter),
                Fault::Status(status) => Some(TransportFault::Status(*status)),
                Fault::Empty => Some(TransportFault::Empty),
                Fault::TimeoutBefore(time) => Some(TransportFault::TimeoutBefore(*time)),
                Fault::TimeoutAfter(time) => Some(TransportFault::TimeoutAfter(*time)),
                _ => None,
            },
        )
    }

    /// How many answers of a multirequest are kept.
    pub(super) fn shortened(&self, asked: &Asked) -> Option<usize> {
        self.first(
            asked.digest,
            |rule| asked.has(|call| rule.means(call)),
            |fault| match fault {
                Fault::ShortAnswers(keep) => Some(*keep),
                _ => None,
            },
        )
    }

    /// Whether the account's sessions expire just before this call.
    pub(super) fn expires_sessions(&self, call: &AskedCall<'_>) -> bool {
        let expires = |fault: &Fault| (*fault == Fault::ExpireSession).then_some(());
        self.first_of(call, expires).is_some()
    }

    /// The error a call is answered with.
    pub(super) fn error_for(&self, call: &AskedCall<'_>) -> Option<ApiError> {
        let code = self.first_of(call, |fault| match fault {
            Fault::Error(code) => Some(code.clone()),
            Fault::CategoriesLocked => Some("CATEGORIES_LOCKED".to_owned()),
            _ => None,
        })?;
        Some(ApiError::on_demand(&code))
    }

    /// How much later lists see what this call writes.
    pub(super) fn index_lag(&self, call: &AskedCall<'_>) -> Option<Duration> {
        self.first_of(call, |fault| match fault {
            Fault::IndexLag(lag) => Some(*lag),
            _ => None,
        })
    }

    /// What happens to the bulk upload that this call hands in.
    pub(super) fn bulk_fault(&self, call: &AskedCall<'_>) -> Option<BulkFault> {
        self.first_of(call, |fault| match fault {
            Fault::BulkJob(fault) => Some(*fault),
            _ => None,
        })
    }

    /// How many rows the page of this list loses.
    pub(super) fn lost_rows(&self, call: &AskedCall<'_>) -> Option<usize> {
        self.first_of(call, |fault| match fault {
            Fault::ShortPages(lose) => Some(*lose),
            _ => None,
        })
    }

    fn first_of<T>(&self, call: &AskedCall<'_>, of: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.first(call.digest, |rule| rule.means(call.name), of)
    }

    /// What the first rule of a kind does that means a call and strikes it.
    fn first<T>(
        &self,
        digest: u64,
        means: impl Fn(&FaultRule) -> bool,
        of: impl Fn(&Fault) -> Option<T>,
    ) -> Option<T> {
        let inner = &mut *self.lock();
        inner.forget_what_is_over();
        for active in &mut inner.rules {
            let Some(found) = of(&active.rule.fault) else {
                continue;
            };
            if means(&active.rule)
                && active
                    .strike(inner.seed, digest, &mut inner.injected)
                    .is_some()
            {
                return Some(found);
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget_what_is_over(&mut self) {
        if self.rules.is_empty() {
            return;
        }
        let now_ms = self.clock.now_ms();
        self.rules.retain(|active| !active.is_over(now_ms));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(seed: u64, lines: &[&str]) -> Faults {
        let faults = Faults::new(seed, Clock::default());
        for line in lines {
            faults.add(line.parse().unwrap());
        }
        faults
    }

    /// Which of a hundred adds fail, when they come in this order.
    fn failures(faults: &Faults, order: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut failed: Vec<u32> = order
            .filter(|user| {
                let sent = json!({"ks": "a session", "userId": user.to_string()});
                let sent = sent.as_object().cloned().unwrap();
                let call = AskedCall::of("categoryUser.add", &sent);
                faults.error_for(&call).is_some()
            })
            .collect();
        failed.sort_unstable();
        failed
    }

    #[test]
    fn chance_strikes_the_same_calls_in_whatever_order_they_come() {
        let line = "categoryUser.add: error=LOCK_TIMED_OUT rate=20%";
        let forwards = failures(&faults(7, &[line]), 0..100);
        let backwards = failures(&faults(7, &[line]), (0..100).rev());
        assert_eq!(forwards, backwards);
        assert!((10..30).contains(&forwards.len()), "{forwards:?}");
        assert_ne!(forwards, failures(&faults(8, &[line]), 0..100));
    }

    #[test]
    fn a_call_that_is_tried_again_has_another_chance() {
        let faults = faults(7, &["error=LOCK_TIMED_OUT rate=50%"]);
        let first = failures(&faults, 0..100);
        assert_ne!(first, failures(&faults, 0..100));
    }

    #[test]
    fn calls_are_let_pass_and_counted() {
        let faults = faults(0, &["error=A after=2 every=3 next=2"]);
        assert_eq!(failures(&faults, 1..=20), [5, 8]);
        assert!(faults.rules().is_empty());
        let struck = [("error=A next=2 after=2 every=3".to_owned(), 2)];
        assert_eq!(faults.injected(), BTreeMap::from(struck));
    }

    #[test]
    fn a_rule_ends_with_its_time() {
        let faults = faults(0, &["categories-locked for=20s"]);
        let sent = serde_json::Map::new();
        let update = AskedCall::of("category.update", &sent);
        assert!(faults.error_for(&update).is_some());
        assert!(
            faults
                .error_for(&AskedCall::of("category.get", &sent))
                .is_none()
        );
        faults.lock().clock.advance(Duration::from_secs(20));
        assert!(faults.error_for(&update).is_none());
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn latency_lies_between_its_bounds() {
        let faults = faults(0, &["latency=50ms..200ms"]);
        let waits: Vec<Duration> = (0..50).map(|_| faults.wait(&Asked::default())).collect();
        let bounds = Duration::from_millis(50)..=Duration::from_millis(200);
        assert!(waits.iter().all(|wait| bounds.contains(wait)));
        assert!(waits.iter().max() > waits.iter().min());
    }
}
