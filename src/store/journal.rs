//! What this program is doing: a row before each call, closed after it.
//!
//! *Its one idea: closing the journal, writing the history and the ledger are one transaction*, so that
//! the three never tell different stories.

use jiff::Timestamp;
use rusqlite::{Connection, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::history::{self, Event};
use super::lease::{self, Lease};
use super::ledger::{self, Entry};
use super::set_aside::{self, SetAside};
use super::{Store, StoreError};
use crate::category::{CategoryId, UserId};
use crate::plan::category::Recorded;
use crate::plan::{Action, Grant};

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is as planned now.
    Done,
    /// It was as planned before anything was sent: somebody else had done it by then. That is not this program's to
    /// undo, and is none of its arrivals or losses.
    Already,
    /// Kaltura refused it for good.
    Refused,
    /// It failed for a passing reason.
    Passing,
    /// What was there had changed since the plan was made; nothing was done.
    Changed,
    /// Nobody knows; it is looked at again.
    Unknown,
    /// Nothing was to be sent: refused by a rule of ours.
    Left,
}

impl Outcome {
    /// The word that stands for it, in the state file as in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::Refused => "refused",
            Self::Passing => "passing",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
            Self::Left => "left",
        }
    }
}

/// The answer by which a history of before says [`Outcome::Already`].
pub const FOUND_SO: &str = "found so";

/// An action that is about to be sent.
#[derive(Debug, Clone)]
pub struct Open {
    /// Where.
    pub category: CategoryId,
    /// What.
    pub action: Action,
    /// Who released it, where it was held.
    pub approved_by: Option<String>,
}

/// An action that a run which was cut off left open.
#[derive(Debug, Clone)]
pub struct Doubt {
    /// The row.
    pub journal: i64,
    /// The run.
    pub run: i64,
    /// Where.
    pub category: CategoryId,
    /// What.
    pub action: Action,
}

/// What closes a journal row.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The row.
    pub journal: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// Kaltura's code, where there is one.
    pub answer: Option<String>,
    /// What the ledger learns.
    pub ledger: Option<Entry>,
    /// The action to be tried later.
    pub set_aside: Option<SetAside>,
}

impl Store {
    /// Writes that these actions are about to be sent; answers the rows' numbers, in order. Refused
    /// when the lease is lost.
    pub fn open_journal(
        &self,
        run: i64,
        lease: Lease,
        actions: &[Open],
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        self.durably(|transaction| {
            lease::check(transaction, lease)?;
            actions
                .iter()
                .map(|open| insert(transaction, run, open, now))
                .collect()
        })
    }

    /// Closes rows of the journal: each becomes a line of the history, and the ledger learns of it. That
    /// is never refused, also when the lease is lost: the calls were answered, and what became of them
    /// must not be forgotten. But a row that whoever took over has closed already stays as they left it:
    /// they have looked since, and may have written.
    pub fn close_journal(
        &self,
        run: i64,
        verdicts: &[Verdict],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut events = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            let Some((mut event, _)) = take(&transaction, verdict.journal)? else {
                tracing::warn!(
                    run,
                    row = verdict.journal,
                    outcome = verdict.outcome.word(),
                    "another run had taken over before this answer came; it looks for itself"
                );
                continue;
            };
            event.outcome = verdict.outcome;
            event.answer.clone_from(&verdict.answer);
            if event.why.is_none() {
                event.why = ledger::via(&transaction, event.category, &event.user)?;
            }
            match &verdict.set_aside {
                Some(set_aside) => set_aside::write(&transaction, set_aside)?,
                None if matches!(verdict.outcome, Outcome::Done | Outcome::Already) => {
                    set_aside::forget(&transaction, event.category, &event.user)?;
                }
                None => {}
            }
            if let Some(entry) = &verdict.ledger {
                ledger::write(&transaction, run, entry, now)?;
            }
            events.push(event);
        }
        history::append(&transaction, run, &events, now)?;
        Ok(transaction.commit()?)
    }

    /// What a run that was cut off left open. What went by file is [asked file by file](Store::items).
    pub fn in_doubt(&self) -> Result<Vec<Doubt>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {DOUBT} FROM journal WHERE file IS NULL ORDER BY id"
        ))?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(doubt(row)?);
        }
        Ok(found)
    }

    /// Rows that an earlier run left open, and that are not done, become marks: somebody looks there again. What
    /// became of them nobody knows, and the history says so.
    pub fn recover_journal(&self, rows: &[i64], now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for row in rows {
            let Some((event, run)) = take(&transaction, *row)? else {
                continue;
            };
            transaction
                .prepare_cached(
                    "INSERT INTO dirty (kind, user_id, category_id) VALUES ('entitlement', ?1, ?2)",
                )?
                .execute(params![event.user.as_str(), event.category.0])?;
            history::append(&transaction, run, &[event], now)?;
        }
        Ok(transaction.commit()?)
    }
}

/// The columns of which [`doubt`] is made.
pub(super) const DOUBT: &str = "id, run, category_id, user_id, action, before, why";

/// An open action, from the columns of [`DOUBT`].
pub(super) fn doubt(row: &Row<'_>) -> Result<Doubt, StoreError> {
    let recorded: Recorded = serde_json::from_value(json(row, 4)?)?;
    Ok(Doubt {
        journal: row.get(0)?,
        run: row.get(1)?,
        category: CategoryId(row.get(2)?),
        action: Action {
            user: UserId::new(row.get::<_, String>(3)?),
            decision: recorded.decision,
            cause: recorded.cause,
            before: serde_json::from_value(json(row, 5)?)?,
            via: serde_json::from_value(json(row, 6)?)?,
            // Of a membership that is put back, level, method and status tell whether it is done.
            extra_permissions: Vec::new(),
        },
    })
}

/// Writes that an action is about to be sent; answers the row's number.
pub(super) fn insert(
    connection: &Connection,
    run: i64,
    open: &Open,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let action = &open.action;
    let why = action.via.as_ref().map(serde_json::to_string).transpose()?;
    let before = action.before.as_ref().map(serde_json::to_string);
    connection
        .prepare_cached(
            "INSERT INTO journal (run, category_id, user_id, action, before, state, at, why, approved_by)
             VALUES (?1, ?2, ?3, ?4, ?5, 'sent', ?6, ?7, ?8)",
        )?
        .execute(params![
            run,
            open.category.0,
            action.user.as_str(),
            serde_json::to_string(&Recorded {
                decision: action.decision,
                cause: action.cause,
            })?,
            before.transpose()?,
            now.as_second(),
            why,
            open.approved_by,
        ])?;
    Ok(connection.last_insert_rowid())
}

fn json(row: &Row<'_>, column: usize) -> Result<serde_json::Value, StoreError> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map_or(Ok(serde_json::Value::Null), |text| {
        serde_json::from_str(&text)
    })?)
}

/// Takes a row out of the journal: a line of the history, whose outcome nobody knows yet, and the
/// number of its run.
fn take(connection: &Connection, journal: i64) -> Result<Option<(Event, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM journal WHERE id = ?1
         RETURNING category_id, user_id, action, before, why, approved_by, run",
    )?;
    let mut rows = statement.query([journal])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let why: Option<Grant> = serde_json::from_value(json(row, 4)?)?;
    let recorded: Recorded = serde_json::from_value(json(row, 2)?)?;
    let event = Event {
        category: CategoryId(row.get(0)?),
        user: UserId::new(row.get::<_, String>(1)?),
        decision: recorded.decision,
        cause: recorded.cause,
        before: serde_json::from_value(json(row, 3)?)?,
        why,
        outcome: Outcome::Unknown,
        answer: None,
        approved_by: row.get(5)?,
    };
    Ok(Some((event, row.get(6)?)))
}
