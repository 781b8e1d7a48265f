//! What happened, for good: every action and refusal, who, when, why, and what was there before.
//!
//! *Its one idea: each line seals the one before it.* A line's hash covers its own text and the hash
//! of its predecessor, so that a line which is removed or changed shows ([`Store::verify_history`]).
//! Lines are only added; the oldest go when the configuration says so, and the seal of the last that
//! went is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::journal::Outcome;
use super::{Store, StoreError, from_word};
use crate::category::{CategoryId, Entitlement, UserId};
use crate::plan::{Action, CategoryPlan, Decision, Grant, Plan};

/// The setting that keeps number and hash of the last line that was taken from the front.
const ANCHOR: &str = "history_anchor";
/// The setting that keeps number and hash of the newest line: a cut at the end shows, too.
const HEAD: &str = "history_head";

/// A line to be.
#[derive(Debug, Clone)]
pub struct Event {
    /// Where.
    pub category: CategoryId,
    /// Whose.
    pub user: UserId,
    /// What was decided.
    pub decision: Decision,
    /// What was there.
    pub before: Option<Entitlement>,
    /// What grants it, or granted it.
    pub why: Option<Grant>,
    /// How it ended.
    pub outcome: Outcome,
    /// Kaltura's code, where it refused.
    pub answer: Option<String>,
    /// Who released it, where it was held.
    pub approved_by: Option<String>,
}

impl Event {
    /// What became of an action that needed no call.
    fn of(category: CategoryId, action: &Action, outcome: Outcome) -> Self {
        Self {
            category,
            user: action.user.clone(),
            decision: action.decision,
            before: action.before.clone(),
            why: action.via.clone(),
            outcome,
            answer: None,
            approved_by: None,
        }
    }
}

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

/// What a look at the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Every line is there, as it was written.
    Whole {
        /// How many.
        lines: u64,
    },
    /// Something was removed or changed.
    Broken {
        /// The first line that does not fit its predecessor.
        number: i64,
    },
    /// Lines are missing at the end.
    CutOff {
        /// The last line there is.
        last: i64,
        /// The last line there was.
        was: i64,
    },
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
                    let text = serde_json::to_string(&action.decision)?;
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

    /// Takes the lines from the front that are older than this; answers how many.
    pub fn prune_history(&self, before: Timestamp) -> Result<usize, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let last = transaction
            .query_row(
                "SELECT seq, hash FROM history
                 WHERE seq < coalesce(
                     (SELECT seq FROM history WHERE at >= ?1 ORDER BY seq LIMIT 1), 1 << 62)
                 ORDER BY seq DESC LIMIT 1",
                [before.as_second()],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
            )
            .optional()?;
        let Some((number, hash)) = last else {
            return Ok(0);
        };
        let gone = transaction.execute("DELETE FROM history WHERE seq <= ?1", [number])?;
        write_seal(&transaction, ANCHOR, number, &hash)?;
        transaction.commit()?;
        Ok(gone)
    }

    /// Looks whether every line is there, as it was written.
    pub fn verify_history(&self) -> Result<Chain, StoreError> {
        let connection = self.lock();
        let (mut number, mut seal) = seal(&connection, ANCHOR)?;
        let mut lines = 0;
        let mut statement =
            connection.prepare(&format!("SELECT {CHAINED}, hash FROM history ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let found: i64 = row.get(0)?;
            let written: Vec<u8> = row.get(CHAINED_COLUMNS)?;
            let cells = (0..CHAINED_COLUMNS).map(|column| row.get_ref(column));
            let cells: Vec<ValueRef<'_>> = cells.collect::<Result<_, _>>()?;
            seal = hash(&seal, cells.into_iter());
            if found != number + 1 || written != seal {
                return Ok(Chain::Broken { number: found });
            }
            number = found;
            lines += 1;
        }
        let (was, head) = self::seal(&connection, HEAD)?;
        Ok(if was > number {
            Chain::CutOff { last: number, was }
        } else if was == number && (lines == 0 || head == seal) {
            Chain::Whole { lines }
        } else {
            Chain::Broken { number }
        })
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

/// The columns under a line's seal, in their order.
const CHAINED: &str =
    "seq, run, at, category_id, user_id, action, before, why, outcome, answer, approved_by, loss";
const CHAINED_COLUMNS: usize = 12;

/// Adds lines, within somebody's transaction.
pub(super) fn append(
    connection: &Connection,
    run: i64,
    events: &[Event],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut number, mut sealed) = seal(connection, HEAD)?;
    for event in events {
        number += 1;
        let cells: [Value; CHAINED_COLUMNS] = [
            number.into(),
            run.into(),
            now.as_second().into(),
            event.category.0.into(),
            event.user.as_str().to_owned().into(),
            serde_json::to_string(&event.decision)?.into(),
            event
                .before
                .as_ref()
                .map(serde_json::to_string)
                .transpose()?
                .into(),
            event
                .why
                .as_ref()
                .map(serde_json::to_string)
                .transpose()?
                .into(),
            event.outcome.word().to_owned().into(),
            event.answer.clone().into(),
            event.approved_by.clone().into(),
            event.decision.takes_access(event.before.as_ref()).into(),
        ];
        sealed = hash(&sealed, cells.iter().map(ValueRef::from));
        connection
            .prepare_cached(
                "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(rusqlite::params_from_iter(
                cells.into_iter().chain([sealed.clone().into()]),
            ))?;
    }
    if !events.is_empty() {
        write_seal(connection, HEAD, number, &sealed)?;
    }
    Ok(())
}

/// The seal of a line: over its predecessor's and its own cells, each with its length.
fn hash<'a>(before: &[u8], cells: impl Iterator<Item = ValueRef<'a>>) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(before);
    for cell in cells {
        let cell = match cell {
            ValueRef::Null => vec![b'-'],
            ValueRef::Integer(number) => format!("i{number}").into_bytes(),
            ValueRef::Real(number) => format!("r{number}").into_bytes(),
            ValueRef::Text(text) | ValueRef::Blob(text) => [b"t", text].concat(),
        };
        hash.update(cell.len().to_le_bytes());
        hash.update(cell);
    }
    hash.finalize().to_vec()
}

/// A number and a hash that a setting keeps; of a chain that has not begun, nothing.
fn seal(connection: &Connection, name: &str) -> Result<(i64, Vec<u8>), StoreError> {
    let kept: Option<String> = connection
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(kept) = kept else {
        return Ok((0, Vec::new()));
    };
    let damaged = || StoreError::Damaged {
        what: format!("setting {name}"),
    };
    let (number, hex) = kept.split_once(' ').ok_or_else(damaged)?;
    Ok((
        number.parse().map_err(|_| damaged())?,
        HEXLOWER.decode(hex.as_bytes()).map_err(|_| damaged())?,
    ))
}

fn write_seal(
    connection: &Connection,
    name: &str,
    number: i64,
    hash: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)")?
        .execute(params![name, format!("{number} {}", HEXLOWER.encode(hash))])?;
    Ok(())
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
    Ok(Line {
        number: row.get(0)?,
        run: row.get(1)?,
        at: Timestamp::from_second(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
        category: CategoryId(row.get(3)?),
        channel: path.map(|path| path.rsplit('>').next().unwrap_or_default().to_owned()),
        user: UserId::new(row.get::<_, String>(4)?),
        decision: serde_json::from_value(json(5)?)?,
        before: serde_json::from_value(json(6)?)?,
        why: serde_json::from_value(json(7)?)?,
        outcome: from_word(&row.get::<_, String>(8)?)?,
        answer: text(9)?,
        approved_by: text(10)?,
    })
}

pub mod members;

#[cfg(test)]
mod tests;
