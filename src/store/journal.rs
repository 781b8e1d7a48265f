//! What this program is doing: a row before each call, closed after it.
//!
//! *Its one idea: closing the journal and writing the ledger are one transaction*, so that the two
//! never tell different stories.

use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::lease::{self, Lease};
use super::ledger::{self, Entry};
use super::set_aside::{self, SetAside};
use super::{Store, StoreError};
use crate::category::CategoryId;
use crate::directory::GroupId;
use crate::plan::Action;

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is as planned now.
    Done,
    /// Kaltura refused it for good.
    Refused,
    /// It failed for a passing reason.
    Passing,
    /// What was there had changed since the plan was made; nothing was done.
    Changed,
    /// Nobody knows; it is looked at again.
    Unknown,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Passing => "passing",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
        }
    }
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
        actions: &[(CategoryId, Action)],
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        lease::check(&transaction, lease)?;
        let mut rows = Vec::with_capacity(actions.len());
        for (category, action) in actions {
            transaction
                .prepare_cached(
                    "INSERT INTO journal (run, category_id, user_id, action, before, via, state, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'sent', ?7)",
                )?
                .execute(params![
                    run,
                    category.0,
                    action.user.as_str(),
                    serde_json::to_string(&action.decision)?,
                    action.before.as_ref().map(serde_json::to_string).transpose()?,
                    action.via.as_ref().map(GroupId::as_str),
                    now.as_second(),
                ])?;
            rows.push(transaction.last_insert_rowid());
        }
        transaction.commit()?;
        Ok(rows)
    }

    /// Closes rows of the journal, and lets the ledger know.
    pub fn close_journal(&self, run: i64, verdicts: &[Verdict]) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for verdict in verdicts {
            transaction
                .prepare_cached("UPDATE journal SET state = ?2, answer = ?3 WHERE id = ?1")?
                .execute(params![
                    verdict.journal,
                    verdict.outcome.word(),
                    verdict.answer
                ])?;
            if let Some(entry) = &verdict.ledger {
                ledger::write(&transaction, run, entry)?;
            }
            match &verdict.set_aside {
                Some(set_aside) => set_aside::write(&transaction, set_aside)?,
                None => set_aside::forget(&transaction, verdict.journal)?,
            }
        }
        Ok(transaction.commit()?)
    }

    /// Rows that a run which was cut off left open become marks: somebody looks there again.
    /// Answers how many there were.
    pub fn recover_journal(&self) -> Result<usize, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT INTO dirty (kind, user_id, category_id)
             SELECT DISTINCT 'entitlement', user_id, category_id FROM journal WHERE state = 'sent'",
            [],
        )?;
        let open = transaction.execute(
            "UPDATE journal SET state = 'unknown' WHERE state = 'sent'",
            [],
        )?;
        transaction.commit()?;
        Ok(open)
    }
}
