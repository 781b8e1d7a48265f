//! How an attempt ended, and what follows from it.
//!
//! *Its one idea: by whatever way an action went, its end means the same* for journal, ledger and the next
//! try.

use super::doubt;
use crate::category::CategoryId;
use crate::clock;
use crate::plan::Action;
use crate::store::journal::{Outcome, Verdict};
use crate::store::set_aside::SetAside;

/// The first waits, in seconds, before an action is tried again by a later run.
const WAIT_CHANGED_S: i64 = 0;
const WAIT_PASSING_S: i64 = 60;
const WAIT_REFUSED_S: i64 = 3600;

/// How an attempt ended, and with what answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    pub(super) answer: Option<String>,
    /// Whether it is known that nothing of it was done: it was not sent, or all is as before.
    is_untouched: bool,
}

impl End {
    pub(super) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            answer: None,
            is_untouched: false,
        }
    }

    pub(super) fn answered(outcome: Outcome, answer: impl Into<String>) -> Self {
        Self {
            outcome,
            answer: Some(answer.into()),
            is_untouched: false,
        }
    }

    /// It is as planned, and this run did nothing to make it so.
    pub(super) fn found_so() -> Self {
        Self::new(Outcome::Already)
    }

    /// What is there is neither as planned nor as before.
    pub(super) fn otherwise(self) -> Self {
        Self {
            outcome: Outcome::Changed,
            answer: None,
            ..self
        }
    }

    /// Nothing of it was done, if it is not done: the ledger has nothing to learn.
    pub(super) fn untouched(self) -> Self {
        Self {
            is_untouched: true,
            ..self
        }
    }

    /// What closes the action's row of the journal; and, where somebody is to try it again later, what is
    /// set aside for then.
    pub(super) fn verdict(
        self,
        journal: i64,
        category: CategoryId,
        action: &Action,
        is_put_off: bool,
    ) -> Verdict {
        let set_aside = is_put_off.then(|| self.set_aside(category, action));
        Verdict {
            journal,
            outcome: self.outcome,
            ledger: match self.outcome {
                Outcome::Done | Outcome::Already => Some(doubt::done(category, action)),
                _ if self.is_untouched => None,
                _ => doubt::half_done(category, action),
            },
            set_aside: set_aside.flatten(),
            answer: self.answer,
        }
    }

    fn set_aside(&self, category: CategoryId, action: &Action) -> Option<SetAside> {
        let answer = self.answer.as_deref();
        let (wait, reason) = match self.outcome {
            Outcome::Done | Outcome::Already => return None,
            Outcome::Changed => (WAIT_CHANGED_S, "it changed while the run was going on"),
            Outcome::Unknown => (WAIT_PASSING_S, "nobody knows what became of it"),
            Outcome::Passing => (WAIT_PASSING_S, answer.unwrap_or("a passing fault")),
            Outcome::Refused => (WAIT_REFUSED_S, answer.unwrap_or("refused")),
            Outcome::Left => (WAIT_REFUSED_S, answer.unwrap_or("left as it is")),
        };
        Some(SetAside {
            category,
            user: action.user.clone(),
            reason: reason.to_owned(),
            at: clock::now(),
            first_wait_s: wait,
        })
    }
}
