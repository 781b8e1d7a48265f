//! The chain of lines: written at its end, taken from its front, looked through.
//!
//! *Its one idea: a seal covers a line and the seal before it*, so that no line can be removed or changed
//! without the next one showing it. Number and seal of the newest line are kept apart, and those of the last
//! line that was taken from the front.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use jiff::Timestamp;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};

use crate::category::{CategoryId, Entitlement, UserId};
use crate::plan::category::{Cause, Recorded};
use crate::plan::{Action, Decision, Grant};
use crate::store::journal::Outcome;
use crate::store::{Store, StoreError};

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
    /// Why access went, where it went.
    pub cause: Cause,
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
    pub(super) fn of(category: CategoryId, action: &Action, outcome: Outcome) -> Self {
        Self {
            category,
            user: action.user.clone(),
            decision: action.decision,
            cause: action.cause,
            before: action.before.clone(),
            why: action.via.clone(),
            outcome,
            answer: None,
            approved_by: None,
        }
    }
}

/// The newest line as it was at some time: its number and its seal. Whoever can write to the state file can write
/// another chain, but not one that ends in a head which is kept elsewhere, such as in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The line's number.
    pub number: i64,
    seal: Vec<u8>,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, HEXLOWER.encode(&self.seal))
    }
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str =
            "expected is a line's number, a colon and 64 hexadecimal digits, as the log has it";
        let (number, seal) = text.split_once(':').ok_or(PROBLEM)?;
        let number = number.parse().map_err(|_| PROBLEM)?;
        let seal = HEXLOWER_PERMISSIVE
            .decode(seal.as_bytes())
            .map_err(|_| PROBLEM)?;
        Ok(Self { number, seal })
    }
}

/// What a look at the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Every line is there, as it was written.
    Whole {
        /// How many.
        lines: u64,
    },
    /// The line of a known head was taken from the front since, as too old: nothing is to be compared.
    Pruned {
        /// The last line that was taken.
        up_to: i64,
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
    /// Takes the lines from the front that are older than this, and the runs of which nothing is left; answers how
    /// many lines.
    pub fn prune_history(&self, before: Timestamp) -> Result<usize, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        transaction.execute(
            "DELETE FROM run WHERE started_at < ?1
             AND id < (SELECT coalesce(min(run), 1 << 62) FROM history WHERE at >= ?1)
             AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.run = run.id)
             AND id < (SELECT max(id) FROM run)",
            [before.as_second()],
        )?;
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
            transaction.commit()?;
            return Ok(0);
        };
        let gone = transaction.execute("DELETE FROM history WHERE seq <= ?1", [number])?;
        write_seal(&transaction, ANCHOR, number, &hash)?;
        transaction.commit()?;
        Ok(gone)
    }

    /// The newest line; `None` where there has never been one.
    pub fn history_head(&self) -> Result<Option<Head>, StoreError> {
        let (number, seal) = seal(&self.lock(), HEAD)?;
        Ok((number > 0).then_some(Head { number, seal }))
    }

    /// Looks whether every line is there, as it was written; and whether it is the history that had this head.
    pub fn verify_history(&self, known: Option<&Head>) -> Result<Chain, StoreError> {
        let connection = self.lock();
        let (mut number, mut seal) = seal(&connection, ANCHOR)?;
        if let Some(known) = known {
            if known.number < number {
                return Ok(Chain::Pruned { up_to: number });
            }
            if known.number == number && known.seal != seal {
                return Ok(Chain::Broken { number });
            }
        }
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
            if known.is_some_and(|known| known.number == number && known.seal != seal) {
                return Ok(Chain::Broken { number });
            }
        }
        if let Some(known) = known.filter(|known| known.number > number) {
            let (last, was) = (number, known.number);
            return Ok(Chain::CutOff { last, was });
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

/// The columns under a line's seal, in their order.
const CHAINED: &str =
    "seq, run, at, category_id, user_id, action, before, why, outcome, answer, approved_by, loss";
const CHAINED_COLUMNS: usize = 12;

/// Adds lines, within somebody's transaction.
pub(in crate::store) fn append(
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
            serde_json::to_string(&Recorded {
                decision: event.decision,
                cause: event.cause,
            })?
            .into(),
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
