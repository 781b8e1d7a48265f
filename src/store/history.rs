//! What happened, for good: every action and refusal, who, when, why, and what was there before.
//!
//! *Its one idea: what is written down is never written again.* Lines are only added, each sealed by the
//! next ([`Store::verify_history`]); what stays as it is has its one line. The oldest go when the
//! configuration says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::journal::Outcome;
use super::{Store, StoreError, from_word};
use crate::category::{CategoryId, Entitlement, UserId};
use crate::plan::category::{Cause, Recorded};
use crate::plan::{Action, CategoryPlan, Decision, Grant, Plan};

mod chain;
pub mod members;

pub(super) use chain::append;
pub use chain::{Chain, Event, Head};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number; no number is left out.
    pub number: i64,
    /// The run.
    pub run: i64,
    /// When.
    pub at: Timestamp,
    /// Where.
    pub category: CategoryId,
    /// The channel's name, as far as it is known today.
    pub channel: Option<String>,
    /// Whose.
    pub user: UserId,
    /// What was decided.
    #[serde(flatten)]
    pub decision: Decision,
    /// Why access went, where it went.
    pub cause: Cause,
    /// What was there.
    pub before: Option<Entitlement>,
    /// What grants it, or granted it.
    #[serde(flatten)]
    pub why: Option<Grant>,
    /// How it ended.
    pub outcome: Outcome,
    /// Kaltura's code, where it refused.
    pub answer: Option<String>,
    /// Who released it, where it was held.
    pub approved_by: Option<String>,
}

/// Which lines are asked for; all of the conditions hold.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Of this person.
    pub user: Option<UserId>,
    /// Of these channels.
    pub categories: Vec<CategoryId>,
    /// Of this run.
    pub run: Option<i64>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Not younger than this.
    pub until: Option<Timestamp>,
}

/// What a look at one channel found.
#[derive(Debug, Clone)]
pub struct Note {
    /// The channel.
    pub category: CategoryId,
    /// Who was looked at; everybody where nobody is named.
    pub looked_at: Option<Vec<UserId>>,
    /// What is to be said of it, where there is anything.
    pub part: Option<Arc<CategoryPlan>>,
}

impl Store {
    /// Writes down what a look at a channel found and no call changes: memberships that were adopted
    /// or are gone, and refusals that are new. A refusal is written once, not with each run.
    pub fn write_down(&self, run: i64, note: &Note, now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let known = refusals(&connection, note.category)?;
        let actions = note.part.as_ref().map_or(&[][..], |part| &part.actions);
        if known.is_empty() && actions.iter().all(|action| action.decision.is_change()) {
            return Ok(());
        }
        let transaction = self.begin(&mut connection)?;
        let (mut events, mut refused) = (Vec::new(), BTreeSet::new());
        for action in actions {
            let outcome = match action.decision {
                Decision::Adopt { .. } | Decision::Forget => Outcome::Done,
                Decision::Skip(_) => {
                    // What is there counts, too: it is told again when it is otherwise.
                    let there = action.before.as_ref();
                    let there = there.map(|row| (row.level, row.method, row.status));
                    let text = serde_json::to_string(&(action.decision, there))?;
                    refused.insert(action.user.key());
                    if known.get(&action.user.key()) == Some(&text) {
                        continue;
                    }
                    transaction
                        .prepare_cached("INSERT OR REPLACE INTO refusal VALUES (?1, ?2, ?3)")?
                        .execute(params![note.category.0, action.user.key(), text])?;
                    Outcome::Left
                }
                _ => continue,
            };
            events.push(Event::of(note.category, action, outcome));
        }
        let looked_at = |key: &str| match &note.looked_at {
            None => true,
            Some(users) => users.iter().any(|user| user.key() == key),
        };
        for key in known
            .keys()
            .filter(|key| !refused.contains(*key) && looked_at(key))
        {
            transaction
                .prepare_cached("DELETE FROM refusal WHERE category_id = ?1 AND user_key = ?2")?
                .execute(params![note.category.0, key])?;
        }
        append(&transaction, run, &events, now)?;
        Ok(transaction.commit()?)
    }

    /// Writes down what was refused of a plan that a person asked for, whenever they ask. It says nothing
    /// of what is refused in general, and takes back nothing of that either.
    pub fn write_refusals(&self, run: i64, plan: &Plan, now: Timestamp) -> Result<(), StoreError> {
        let refused = plan.categories.iter().flat_map(|part| {
            let is_refused = |action: &&Action| matches!(action.decision, Decision::Skip(_));
            let actions = part.actions.iter().filter(is_refused);
            actions.map(|action| Event::of(part.category.id, action, Outcome::Left))
        });
        let refused: Vec<Event> = refused.collect();
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        append(&transaction, run, &refused, now)?;
        Ok(transaction.commit()?)
    }

    /// Reads lines, oldest first, and hands each on.
    pub fn history<E: From<StoreError>>(
        &self,
        asked: &Asked,
        mut each: impl FnMut(Line) -> Result<(), E>,
    ) -> Result<(), E> {
        let connection = self.lock();
        let mut wanted = vec!["1 = 1".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        let mut want = |condition: &str, value: Value| {
            values.push(value);
            wanted.push(condition.replace('?', &format!("?{}", values.len())));
        };
        if let Some(user) = &asked.user {
            want("user_id = ?", user.as_str().to_owned().into());
        }
        if let Some(run) = asked.run {
            want("run = ?", run.into());
        }
        if let Some(since) = asked.since {
            want("at >= ?", since.as_second().into());
        }
        if let Some(until) = asked.until {
            want("at <= ?", until.as_second().into());
        }
        if !asked.categories.is_empty() {
            let ids: Vec<_> = asked.categories.iter().map(|id| id.0.to_string()).collect();
            wanted.push(format!("category_id IN ({})", ids.join(",")));
        }
        let sql = format!(
            "SELECT seq, run, at, category_id, user_id, action, before, why, outcome, answer,
                 approved_by, (SELECT full_name FROM category WHERE id = category_id)
             FROM history WHERE {} ORDER BY seq",
            wanted.join(" AND ")
        );
        let mut statement = connection.prepare(&sql).map_err(StoreError::from)?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(values))
            .map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            each(line(row)?)?;
        }
        Ok(())
    }

    /// When the oldest line that is kept was written.
    pub(super) fn history_begins(&self) -> Result<Option<Timestamp>, StoreError> {
        let connection = self.lock();
        let first: Option<i64> = connection
            .prepare_cached("SELECT at FROM history ORDER BY seq LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(first.and_then(|second| Timestamp::from_second(second).ok()))
    }

    /// Losses since a point in time that nobody had approved, by category.
    pub fn losses_since(&self, since: Timestamp) -> Result<BTreeMap<CategoryId, u64>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT category_id, count(*) FROM history
             WHERE loss AND approved_by IS NULL AND at >= ?1 AND outcome = 'done'
             GROUP BY category_id",
        )?;
        let rows = statement.query_map([since.as_second()], |row| {
            Ok((CategoryId(row.get(0)?), u64::from(row.get::<_, u32>(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The refusals in force in a channel, by person.
fn refusals(
    connection: &Connection,
    category: CategoryId,
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT user_key, action FROM refusal WHERE category_id = ?1")?;
    let rows = statement.query_map([category.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn line(row: &Row<'_>) -> Result<Line, StoreError> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let json = |column: usize| -> Result<serde_json::Value, StoreError> {
        let text = text(column)?;
        Ok(text.map_or(Ok(serde_json::Value::Null), |text| {
            serde_json::from_str(&text)
        })?)
    };
    let path: Option<String> = text(11)?;
    let recorded: Recorded = serde_json::from_value(json(5)?)?;
    Ok(Line {
        number: row.get(0)?,
        run: row.get(1)?,
        at: Timestamp::from_second(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
        category: CategoryId(row.get(3)?),
        channel: path.map(|path| path.rsplit('>').next().unwrap_or_default().to_owned()),
        user: UserId::new(row.get::<_, String>(4)?),
        decision: recorded.decision,
        cause: recorded.cause,
        before: serde_json::from_value(json(6)?)?,
        why: serde_json::from_value(json(7)?)?,
        outcome: from_word(&row.get::<_, String>(8)?)?,
        answer: text(9)?,
        approved_by: text(10)?,
    })
}

#[cfg(test)]
mod tests;
