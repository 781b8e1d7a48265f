//! A fault rule: which calls, what happens to them, and when.
//!
//! *Its one idea: a rule is a line that a person can read aloud*, and the JSON form has the same words.
//!
//! ```text
//! [CALLS:] FAULT [next=N] [after=N [calls]] [every=N] [rate=P%] [for=TIME]
//!
//! latency=50ms..200ms
//! categoryUser.add: error=LOCK_TIMED_OUT rate=2%
//! categoryUser.*: error=ACTION_BLOCKED next=3
//! expire-session after=100 calls
//! ```
//!
//! | fault | what happens |
//! |---|---|
//! | `latency=TIME` or `TIME..TIME` | the answer waits; between two times, by chance |
//! | `error=CODE` | the call is answered with this error of the API, and not done |
//! | `status=NUMBER` | a front end answers the request with this HTTP status; nothing is done |
//! | `empty` | HTTP status 200 and no body; everything was done |
//! | `cut-before`, `cut-after` | the connection breaks before or after everything was done |
//! | `timeout-before=TIME`, `timeout-after=TIME` | no answer for so long, then a cut (30 s by default) |
//! | `expire-session` | every session used so far expires (once, unless the rule says when) |
//! | `index-lag=TIME` | lists see what the call wrote so much later |
//! | `short-pages lose=N` | a list's page lacks its last rows |
//! | `short-answers keep=N` | a multirequest answers only its first items |
//! | `categories-locked` | writes of categories are answered with `CATEGORIES_LOCKED` |
//! | `bulk-job=fail`, `abort`, `stick` | a bulk upload fails, is aborted, or never ends; nothing is done |
//! | `bulk-job=log-lacks rows=N` | a bulk upload is done, and its log lacks its last rows |
//! | `bulk-job=log-adds-cell`, `log-repeats` | the rows of its log have a cell too many, or come twice |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Spacing, SpanPrinter};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::BulkFault;
use super::parse::{self, Word};
use super::refusal::RuleError;

/// Calls that a move of a whole tree locks out.
const LOCKED_CALLS: [&str; 4] = [
    "category.add",
    "category.update",
    "category.delete",
    "category.move",
];

/// Which calls go wrong, how, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    /// Which calls it is about.
    pub calls: Calls,
    /// What happens to them.
    pub fault: Fault,
    /// Which of them are struck.
    pub when: When,
}

/// What happens to a call, or to the request that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The answer waits, for a time between these two.
    Latency(Duration, Duration),
    /// The call is not done, and answered with this code.
    Error(String),
    /// A front end answers in the server's place, with this HTTP status: nothing was done.
    Status(u16),
    /// PHP has died without a word: HTTP status 200, no body; everything was done.
    Empty,
    /// The connection breaks before anything was done.
    CutBefore,
    /// The connection breaks when everything was done: the client cannot know.
    CutAfter,
    /// Nothing is done and nothing answered for so long; then the connection breaks.
    TimeoutBefore(Duration),
    /// Everything is done, and nothing answered for so long; then the connection breaks.
    TimeoutAfter(Duration),
    /// Every session that was used so far expires, this call's with them.
    ExpireSession,
    /// Lists see what the call wrote so much later.
    IndexLag(Duration),
    /// The page of a list lacks so many of its last rows.
    ShortPages(usize),
    /// A multirequest answers only so many of its first items.
    ShortAnswers(usize),
    /// Categories cannot be written, as while a tree is on the move.
    CategoriesLocked,
    /// This happens to the bulk upload that the call hands in.
    BulkJob(BulkFault),
}

/// Which calls a rule is about: all, all of a service (`categoryUser.*`), or one action. A fault of a
/// whole request strikes when one of its calls is meant; `multirequest` means requests of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls(String);

/// Which of the calls that are meant are struck; all of them if it says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    /// Only so many, then the rule is gone.
    pub next: Option<u32>,
    /// So many are let pass first.
    pub after: u32,
    /// Only every n-th of them.
    pub every: Option<u32>,
    /// Each with this probability, from the sandbox's seed.
    pub rate: Option<f64>,
    /// Only for so long, by the sandbox's clock.
    pub lasts: Option<Duration>,
}

impl FaultRule {
    /// A rule about all calls, at all times.
    pub fn new(fault: Fault) -> Self {
        Self {
            calls: Calls::all(),
            when: When::default().or_once(&fault),
            fault,
        }
    }

    /// The same, for the next calls only.
    #[must_use]
    pub fn next(mut self, times: u32) -> Self {
        self.when.next = Some(times);
        self
    }

    /// The same, about these calls only.
    #[must_use]
    pub fn of(mut self, calls: Calls) -> Self {
        self.calls = calls;
        self
    }

    /// Whether a call is meant.
    pub(super) fn means(&self, call: &str) -> bool {
        self.calls.has(call)
            && (self.fault != Fault::CategoriesLocked
                || LOCKED_CALLS
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(call)))
    }

    fn words(&self) -> Vec<Word> {
        let mut words = vec![self.fault.word()];
        match self.fault {
            Fault::ShortPages(lose) => words.push(Word::new("lose", lose)),
            Fault::ShortAnswers(keep) => words.push(Word::new("keep", keep)),
            Fault::BulkJob(BulkFault::LogLacksRows(rows)) => words.push(Word::new("rows", rows)),
            _ => {}
        }
        let When {
            next,
            after,
            every,
            rate,
            lasts,
        } = &self.when;
        let unsaid = When {
            next: None,
            ..self.when.clone()
        }
        .or_once(&self.fault)
            == self.when;
        let next = next.filter(|_| !unsaid);
        words.extend(next.map(|next| Word::new("next", next)));
        words.extend((*after > 0).then(|| Word::new("after", after)));
        words.extend(every.map(|every| Word::new("every", every)));
        words.extend(rate.map(|rate| Word::new("rate", format_args!("{}%", percent(rate)))));
        words.extend(lasts.map(|lasts| Word::new("for", time(lasts))));
        words
    }
}

impl When {
    /// The same; once, where a fault would otherwise never let anything be done again.
    #[must_use]
    pub(super) fn or_once(mut self, fault: &Fault) -> Self {
        let said = self.next.is_some() || self.every.is_some() || self.rate.is_some();
        if *fault == Fault::ExpireSession && !said && self.lasts.is_none() {
            self.next = Some(1);
        }
        self
    }
}

impl Fault {
    fn word(&self) -> Word {
        match self {
            Self::Latency(from, to) if from == to => Word::new("latency", time(*from)),
            Self::Latency(from, to) => {
                Word::new("latency", format_args!("{}..{}", time(*from), time(*to)))
            }
            Self::Error(code) => Word::new("error", code),
            Self::Status(status) => Word::new("status", status),
            Self::Empty => Word::bare("empty"),
            Self::CutBefore => Word::bare("cut-before"),
            Self::CutAfter => Word::bare("cut-after"),
            Self::TimeoutBefore(after) => Word::new("timeout-before", time(*after)),
            Self::TimeoutAfter(after) => Word::new("timeout-after", time(*after)),
            Self::ExpireSession => Word::bare("expire-session"),
            Self::IndexLag(lag) => Word::new("index-lag", time(*lag)),
            Self::ShortPages(_) => Word::bare("short-pages"),
            Self::ShortAnswers(_) => Word::bare("short-answers"),
            Self::CategoriesLocked => Word::bare("categories-locked"),
            Self::BulkJob(fault) => Word::new("bulk-job", bulk_word(*fault)),
        }
    }
}

/// What happens to a bulk upload, in a word.
fn bulk_word(fault: BulkFault) -> &'static str {
    match fault {
        BulkFault::Fail => "fail",
        BulkFault::Abort => "abort",
        BulkFault::Stick => "stick",
        BulkFault::LogLacksRows(_) => "log-lacks",
        BulkFault::LogHasAnotherCell => "log-adds-cell",
        BulkFault::LogRepeatsRows => "log-repeats",
    }
}

impl Calls {
    /// Every call.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// The calls of this name, whether the sandbox has them or not.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    fn has(&self, call: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => call
                .get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start)),
            None => self.0.eq_ignore_ascii_case(call),
        }
    }
}

/// A time as a person writes it: `1m30s`.
fn time(time: Duration) -> String {
    let printer = SpanPrinter::new().spacing(Spacing::None);
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    printer.duration_to_string(&time)
}

/// A rate in percent without the dust of binary fractions.
fn percent(rate: f64) -> f64 {
    (rate * 1e8).round() / 1e6
}

impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.calls != Calls::all() {
            write!(f, "{}: ", self.calls.0)?;
        }
        for (at, word) in self.words().iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{word}")?;
        }
        Ok(())
    }
}

impl FromStr for FaultRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse::text(text)
    }
}

impl Serialize for FaultRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Map::new();
        if self.calls != Calls::all() {
            object.insert("calls".to_owned(), self.calls.0.clone().into());
        }
        for Word { name, value } in self.words() {
            object.insert(name, value.map_or(Value::Bool(true), Value::String));
        }
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FaultRule {
    /// Reads a rule from its line, or from an object with the same words.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::String(line) => parse::text(&line),
            Value::Object(words) => parse::object(words),
            _ => Err(RuleError::NoFault),
        }
        .map_err(D::Error::custom)
    }
}
