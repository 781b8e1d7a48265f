//! What people decide, as two state machines: of a channel's part of a held plan, and of a configuration.
//!
//! A part that the gate holds is open until somebody answers it. It is over when all of it is made, or when a plan
//! finds nothing left to do there; where another part is planned, that one is asked about.
//!
//! ```text
//!            ┌─────────── its time is up ───────────┐
//!            ▼                                      │
//!  held ─► open ──────────── approve ───────────► approved ─── made ───► over
//!            │                                     ▲   │
//!            │             answered again, by the  │   │
//!            │             name of the channel     │   ▼
//!            └──────────── reject ──────────────► rejected
//! ```
//!
//! A configuration (the account, its root, the directories, the bindings, the policy) is new until a run has
//! compared everything by it and nothing of its plan waits for an answer. Until then all that it would do is held
//! (`safety.first_run`). A run that saw no channel, or that could not read all, changes nothing.
//!
//! ```text
//!             everything compared               nothing waits
//!  new ───────────────────────────► planned ──────────────────► accepted
//!   ▲                                  │                          │   ▲
//!   └── another configuration runs ────┘                          │   │ everything compared
//!                                       another configuration runs│   │
//!                                                                 ▼   │
//!                                                               returned
//!  any ── another configuration is accepted, or the state file is copied, restored or rebuilt ──► new
//! ```

/// How a channel's part of a held plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nobody has answered, or the approval has lapsed.
    Open,
    /// The next run makes it.
    Approved,
    /// It stays as it is.
    Rejected,
}

impl Unit {
    /// How it stands after an answer; `None` where the answer is not about it. What has an answer is only answered
    /// again by the name of its channel: nobody takes back unawares what a colleague has said.
    pub fn answer(self, answer: Self, is_named: bool) -> Option<Self> {
        (self == Self::Open || is_named).then_some(answer)
    }
}

/// How a configuration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has been compared by it.
    New,
    /// Everything has been compared by it, and something may wait for an answer.
    Planned,
    /// It is in force.
    Accepted,
    /// It is in force, and another one has run in between.
    Returned,
}

impl Stage {
    /// Whether all that it would do is held.
    pub fn is_first(self) -> bool {
        matches!(self, Self::New | Self::Planned)
    }

    /// Whether the next run must compare everything.
    pub fn must_compare(self) -> bool {
        matches!(self, Self::New | Self::Returned)
    }
}

/// Which configurations stand how, by their fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configurations {
    /// The one that was accepted last.
    pub accepted: Option<String>,
    /// The one by which everything was compared, if no other has run since.
    pub planned: Option<String>,
}

impl Configurations {
    /// How this one stands.
    pub fn stage(&self, fingerprint: &str) -> Stage {
        let is = |stored: &Option<String>| stored.as_deref() == Some(fingerprint);
        match (is(&self.planned), is(&self.accepted)) {
            (false, false) => Stage::New,
            (true, false) => Stage::Planned,
            (true, true) => Stage::Accepted,
            (false, true) => Stage::Returned,
        }
    }

    /// A run by this one begins, which may change something.
    pub fn begin(&mut self, fingerprint: &str) {
        if self.planned.as_deref() != Some(fingerprint) {
            self.planned = None;
        }
    }

    /// A run by this one has ended: whether it has compared everything, with complete evidence and with a channel at
    /// least, and whether anything still waits for an answer, or for being made.
    pub fn end(&mut self, fingerprint: &str, has_compared: bool, waits: bool) {
        if has_compared {
            self.planned = Some(fingerprint.to_owned());
        }
        if self.stage(fingerprint) == Stage::Planned && !waits {
            self.accepted = Some(fingerprint.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_what_is_open_and_for_what_is_named() {
        use Unit::{Approved, Open, Rejected};
        for before in [Open, Approved, Rejected] {
            for answer in [Approved, Rejected] {
                assert_eq!(before.answer(answer, true), Some(answer));
                let taken = (before == Open).then_some(answer);
                assert_eq!(before.answer(answer, false), taken, "{before:?}");
            }
        }
    }

    /// What may happen: a run by one of two configurations, and how it ends.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Run {
        by: &'static str,
        compares: bool,
        waits: bool,
    }

    /// The stage, derived from all runs of the past.
    fn stage_after(past: &[Run], of: &str) -> Stage {
        // Every run compares everything that must.
        let mine = |run: &&Run| run.by == of;
        let since_other = past.iter().rev().take_while(mine);
        let compared = since_other.clone().filter(|run| run.compares).count() > 0;
        let mut accepted = None;
        for (n, run) in past.iter().enumerate() {
            let before = past[..=n]
                .iter()
                .rev()
                .take_while(|other| other.by == run.by);
            if !run.waits && before.into_iter().any(|run| run.compares) {
                accepted = Some(run.by);
            }
        }
        match (compared, accepted == Some(of)) {
            (false, false) => Stage::New,
            (true, false) => Stage::Planned,
            (true, true) => Stage::Accepted,
            (false, true) => Stage::Returned,
        }
    }

    #[test]
    fn every_sequence_of_six_runs_leads_where_its_past_says() {
        let runs = ["a", "b"].into_iter().flat_map(|by| {
            [(false, false), (false, true), (true, false), (true, true)].map(|(compares, waits)| {
                Run {
                    by,
                    compares,
                    waits,
                }
            })
        });
        let runs: Vec<Run> = runs.collect();
        for number in 0..runs.len().pow(6) {
            let digit = |n: u32| number / runs.len().pow(n) % runs.len();
            let past: Vec<Run> = (0..6).map(|n| runs[digit(n)]).collect();
            let mut configurations = Configurations::default();
            for run in &past {
                configurations.begin(run.by);
                configurations.end(run.by, run.compares, run.waits);
            }
            // What has only been looked at changes nothing.
            for of in ["a", "b"] {
                let expected = stage_after(&past, of);
                assert_eq!(configurations.stage(of), expected, "{of}: {past:?}");
            }
        }
    }

    #[test]
    fn a_configuration_that_saw_nothing_stays_new() {
        let mut configurations = Configurations::default();
        configurations.begin("a");
        configurations.end("a", false, false);
        assert_eq!(configurations.stage("a"), Stage::New);
        assert!(Stage::New.is_first() && Stage::New.must_compare());
        assert!(Stage::Planned.is_first() && !Stage::Planned.must_compare());
        assert!(!Stage::Returned.is_first() && Stage::Returned.must_compare());
        assert!(!Stage::Accepted.is_first() && !Stage::Accepted.must_compare());
    }
}
