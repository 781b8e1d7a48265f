//! Fault rules as people write them.
//!
//! *Its one idea: a rule that is not understood is refused with what was found, what is allowed, and
//! what was probably meant*; a fault that silently never strikes would make a test lie.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::BulkFault;
use super::refusal::RuleError;
use super::rule::{Calls, Fault, FaultRule, When};
use crate::sandbox::service;

/// Words that are a fault.
pub(super) const FAULTS: &[&str] = &[
    "latency",
    "error",
    "status",
    "empty",
    "cut-before",
    "cut-after",
    "timeout-before",
    "timeout-after",
    "expire-session",
    "index-lag",
    "short-pages",
    "short-answers",
    "categories-locked",
    "bulk-job",
];

/// Words that go with one.
pub(super) const MODIFIERS: &[&str] = &[
    "next", "after", "every", "rate", "for", "lose", "keep", "rows",
];

/// How long nothing is answered, unless a rule says so.
const PATIENCE: Duration = Duration::from_secs(30);

/// A word of a rule, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

impl Word {
    pub(super) fn bare(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
        }
    }

    pub(super) fn new(name: &str, value: impl fmt::Display) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.to_string()),
        }
    }

    fn refused(&self, wanted: &'static str) -> RuleError {
        let found = self.to_string();
        RuleError::Value { found, wanted }
    }

    fn number<T: std::str::FromStr>(&self, wanted: &'static str) -> Result<T, RuleError> {
        let number = self.value.as_deref().and_then(|value| value.parse().ok());
        number.ok_or_else(|| self.refused(wanted))
    }

    fn positive(&self, wanted: &'static str) -> Result<u32, RuleError> {
        match self.number(wanted)? {
            0 => Err(self.refused(wanted)),
            number => Ok(number),
        }
    }

    fn time(&self, wanted: &'static str) -> Result<Duration, RuleError> {
        let time = self.value.as_deref().and_then(time);
        time.ok_or_else(|| self.refused(wanted))
    }

    fn nothing(&self) -> Result<(), RuleError> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(self.refused("it takes no value")),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Reads a rule's line.
pub(super) fn text(text: &str) -> Result<FaultRule, RuleError> {
    let (calls, rest) = match text.split_once(':') {
        Some((calls, rest)) if !calls.contains('=') => (Some(calls.trim()), rest),
        _ => (None, text),
    };
    let mut words: Vec<Word> = Vec::new();
    for token in rest.split_whitespace() {
        match token.split_once('=') {
            Some((name, value)) => words.push(Word::new(name, value)),
            // `after=100 calls` reads better than `after=100`.
            None if token == "calls" && words.last().is_some_and(|word| word.name == "after") => {}
            None => words.push(Word::bare(token)),
        }
    }
    build(calls, words)
}

/// Reads a rule's object: the words of the line, with `true` for a word without a value.
pub(super) fn object(mut object: Map<String, Value>) -> Result<FaultRule, RuleError> {
    let calls = object.remove("calls");
    let words = object.into_iter().filter_map(|(name, value)| match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(Word::bare(&name)),
        Value::String(value) => Some(Word::new(&name, value)),
        other => Some(Word::new(&name, other)),
    });
    build(calls.as_ref().and_then(Value::as_str), words.collect())
}

fn build(calls: Option<&str>, words: Vec<Word>) -> Result<FaultRule, RuleError> {
    let mut found: Option<Word> = None;
    let mut modifiers: Vec<Word> = Vec::new();
    for word in words {
        if FAULTS.contains(&word.name.as_str()) {
            if let Some(first) = found {
                return Err(RuleError::TwoFaults(first.name, word.name));
            }
            found = Some(word);
        } else if !MODIFIERS.contains(&word.name.as_str()) {
            return Err(RuleError::Unknown { word: word.name });
        } else if modifiers.iter().any(|known| known.name == word.name) {
            return Err(RuleError::Twice(word.name));
        } else {
            modifiers.push(word);
        }
    }
    let found = found.ok_or(RuleError::NoFault)?;
    let mut rule = FaultRule::new(fault(&found, &modifiers)?);
    rule.when = when(&modifiers)?.or_once(&rule.fault);
    if let Some(calls) = calls {
        check_calls(calls)?;
        rule.calls = Calls::named(calls);
    }
    Ok(rule)
}

fn fault(word: &Word, modifiers: &[Word]) -> Result<Fault, RuleError> {
    const TIME: &str = "a time is wanted, such as 200ms, 5s or 2m";
    const LOSE: &str = "how many rows a page loses: lose=2";
    const KEEP: &str = "how many answers are kept: keep=3";
    let patience = || match word.value {
        Some(_) => word.time(TIME),
        None => Ok(PATIENCE),
    };
    let extra = |name: &'static str, owner: &'static str| {
        let extra = modifiers.iter().find(|word| word.name == name);
        match extra {
            Some(_) if word.name != owner => Err(RuleError::Misplaced {
                word: name,
                fault: word.name.clone(),
                owner,
            }),
            extra => Ok(extra),
        }
    };
    let lose = extra("lose", "short-pages")?;
    let keep = extra("keep", "short-answers")?;
    let rows = extra("rows", "bulk-job")?;
    let takes_value = [
        "latency",
        "error",
        "status",
        "timeout-before",
        "timeout-after",
        "index-lag",
        "bulk-job",
    ];
    if !takes_value.contains(&word.name.as_str()) {
        word.nothing()?;
    }
    Ok(match word.name.as_str() {
        "latency" => {
            const WANTED: &str =
                "a time or two are wanted, the shorter first: 200ms, or 50ms..200ms";
            let value = word.value.as_deref().unwrap_or_default();
            let (from, to) = value.split_once("..").unwrap_or((value, value));
            match (time(from), time(to)) {
                (Some(from), Some(to)) if from <= to => Fault::Latency(from, to),
                _ => return Err(word.refused(WANTED)),
            }
        }
        "error" => match &word.value {
            Some(code) if is_code(code) => Fault::Error(code.clone()),
            _ => return Err(word.refused("a code of the API is wanted, such as LOCK_TIMED_OUT")),
        },
        "status" => {
            const WANTED: &str = "an HTTP status from 400 to 599 is wanted, such as 503";
            match word.number(WANTED)? {
                status @ 400..=599 => Fault::Status(status),
                _ => return Err(word.refused(WANTED)),
            }
        }
        "empty" => Fault::Empty,
        "cut-before" => Fault::CutBefore,
        "cut-after" => Fault::CutAfter,
        "timeout-before" => Fault::TimeoutBefore(patience()?),
        "timeout-after" => Fault::TimeoutAfter(patience()?),
        "expire-session" => Fault::ExpireSession,
        "index-lag" => Fault::IndexLag(word.time(TIME)?),
        "short-pages" => Fault::ShortPages(lose.map_or(Ok(1), |word| word.number(LOSE))?),
        "short-answers" => Fault::ShortAnswers(keep.map_or(Ok(0), |word| word.number(KEEP))?),
        "bulk-job" => Fault::BulkJob(bulk_fault(word, rows)?),
        _ => Fault::CategoriesLocked,
    })
}

fn bulk_fault(word: &Word, rows: Option<&Word>) -> Result<BulkFault, RuleError> {
    const WANTED: &str =
        "one of fail, abort, stick, log-lacks, log-adds-cell and log-repeats is wanted";
    const ROWS: &str = "how many rows the log lacks: rows=3";
    let fault = match word.value.as_deref().unwrap_or_default() {
        "fail" => BulkFault::Fail,
        "abort" => BulkFault::Abort,
        "stick" => BulkFault::Stick,
        "log-lacks" => {
            let rows = rows.map_or(Ok(1), |rows| rows.number(ROWS))?;
            return Ok(BulkFault::LogLacksRows(rows));
        }
        "log-adds-cell" => BulkFault::LogHasAnotherCell,
        "log-repeats" => BulkFault::LogRepeatsRows,
        _ => return Err(word.refused(WANTED)),
    };
    if rows.is_some() {
        return Err(RuleError::Misplaced {
            word: "rows",
            fault: word.to_string(),
            owner: "bulk-job=log-lacks",
        });
    }
    Ok(fault)
}

fn when(modifiers: &[Word]) -> Result<When, RuleError> {
    const NUMBER: &str = "a number is wanted, 1 or more";
    let mut when = When::default();
    for word in modifiers {
        match word.name.as_str() {
            "next" => when.next = Some(word.positive(NUMBER)?),
            "after" => when.after = word.number("a number of calls is wanted")?,
            "every" => when.every = Some(word.positive(NUMBER)?),
            "rate" => when.rate = Some(rate(word)?),
            "for" => when.lasts = Some(word.time("a time is wanted, such as 20s or 2m")?),
            _ => {}
        }
    }
    Ok(when)
}

/// A share: `2%`, or `0.02`.
fn rate(word: &Word) -> Result<f64, RuleError> {
    let value = word.value.as_deref().unwrap_or_default();
    let rate = match value.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
        None => value.parse(),
    };
    rate.ok()
        .filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| word.refused("a share is wanted, from 0% to 100%, such as 2% or 0.02"))
}

fn time(text: &str) -> Option<Duration> {
    let time: SignedDuration = text.parse().ok()?;
    Duration::try_from(time).ok()
}

fn is_code(code: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !code.is_empty() && code.chars().all(fits)
}

fn check_calls(calls: &str) -> Result<(), RuleError> {
    if calls == "*" || calls.eq_ignore_ascii_case("multirequest") {
        return Ok(());
    }
    let (name, action) = calls.split_once('.').unwrap_or((calls, "*"));
    let service = service::ALL
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| RuleError::NoService {
            service: name.to_owned(),
        })?;
    let known = |known: &service::Action| known.name.eq_ignore_ascii_case(action);
    if action == "*" && calls.contains('.') || service.actions.iter().any(known) {
        return Ok(());
    }
    Err(RuleError::NoAction {
        service: service.name,
        action: if calls.contains('.') { action } else { "" }.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(line: &str) -> FaultRule {
        line.parse().unwrap()
    }

    fn refusal(line: &str) -> String {
        line.parse::<FaultRule>().unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_rule_is_written_as_it_was_read() {
        for line in [
            "latency=50ms..200ms",
            "latency=1m30s",
            "categoryUser.add: error=LOCK_TIMED_OUT rate=2%",
            "categoryUser.*: error=ACTION_BLOCKED next=3",
            "cut-before rate=0.1%",
            "cut-after next=1",
            "timeout-before=30s",
            "timeout-after=5s every=7",
            "status=503 rate=5%",
            "multirequest: status=413",
            "empty next=1",
            "expire-session after=100",
            "index-lag=5s",
            "short-pages lose=2 rate=10%",
            "short-answers keep=3",
            "categories-locked for=20s",
            "bulk-job=fail next=1",
            "categoryUser.*: bulk-job=abort",
            "bulk-job=stick every=2",
            "bulk-job=log-lacks rows=3 next=1",
            "bulk-job=log-adds-cell",
            "bulk-job=log-repeats rate=10%",
        ] {
            assert_eq!(rule(line).to_string(), line);
            let json = serde_json::to_string(&rule(line)).unwrap();
            assert_eq!(
                serde_json::from_str::<FaultRule>(&json).unwrap(),
                rule(line)
            );
        }
    }

    #[test]
    fn words_may_be_said_as_people_say_them() {
        assert_eq!(
            rule("  categoryuser.ADD :  rate=0.02   error=LOCK_TIMED_OUT ").to_string(),
            "categoryuser.ADD: error=LOCK_TIMED_OUT rate=2%"
        );
        assert_eq!(
            rule("expire-session after=100 calls"),
            rule("expire-session after=100")
        );
        assert_eq!(rule("timeout-after"), rule("timeout-after=30s"));
        assert_eq!(rule("expire-session"), rule("expire-session next=1"));
        assert_eq!(rule("*: empty"), rule("empty"));
        assert_eq!(
            rule("bulk-job=log-lacks"),
            rule("bulk-job=log-lacks rows=1")
        );
    }

    #[test]
    fn json_is_a_line_or_the_words_of_one() {
        let json =
            r#"{"calls": "categoryUser.add", "error": "LOCK_TIMED_OUT", "rate": 0.02, "next": 3}"#;
        let line = "categoryUser.add: error=LOCK_TIMED_OUT next=3 rate=2%";
        assert_eq!(serde_json::from_str::<FaultRule>(json).unwrap(), rule(line));
        let quoted = format!("{line:?}");
        assert_eq!(
            serde_json::from_str::<FaultRule>(&quoted).unwrap(),
            rule(line)
        );
    }

    #[test]
    fn a_wrong_rule_is_refused_with_what_was_meant() {
        assert!(refusal("latenzy=5s").starts_with(
            "`latenzy` is not known here (did you mean `latency`?); there are the faults latency, error"
        ));
        assert!(refusal("categoryUsr.add: empty").contains("(did you mean `categoryUser`?)"));
        assert!(
            refusal("categoryUser.ad: empty").starts_with(
                "`categoryUser` has no action `ad` (did you mean `add`?); it has add, "
            )
        );
        assert!(refusal("next=3").starts_with("the rule names no fault"));
        assert_eq!(
            refusal("empty cut-after"),
            "the rule names two faults, `empty` and `cut-after`; write two rules"
        );
        assert_eq!(
            refusal("latency=200ms..50ms"),
            "`latency=200ms..50ms` cannot be read: a time or two are wanted, the shorter first: 200ms, or 50ms..200ms"
        );
        assert_eq!(
            refusal("empty rate=200%"),
            "`rate=200%` cannot be read: a share is wanted, from 0% to 100%, such as 2% or 0.02"
        );
        assert_eq!(
            refusal("empty=3"),
            "`empty=3` cannot be read: it takes no value"
        );
        assert_eq!(
            refusal("empty lose=3"),
            "`lose` does not go with `empty`; it belongs to short-pages"
        );
        assert_eq!(refusal("empty next=1 next=2"), "`next` is there twice");
        assert_eq!(
            refusal("bulk-job=explode"),
            "`bulk-job=explode` cannot be read: one of fail, abort, stick, log-lacks, log-adds-cell and log-repeats is wanted"
        );
        assert_eq!(
            refusal("bulk-job=fail rows=3"),
            "`rows` does not go with `bulk-job=fail`; it belongs to bulk-job=log-lacks"
        );
    }
}
