//! Plans that wait for a person, and what a person said.
//!
//! *Its one idea: an answer is about what was seen.* A held plan is kept channel by channel, as it was
//! shown; each channel's part has its own digest and its own answer. Where the next plan has the same
//! part, the answer counts; where it differs, it is asked again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params, params};
use serde::Serialize;

use super::{Store, StoreError, undone};
use crate::category::{CategoryId, UserId};
use crate::plan::decision::Unit;
use crate::plan::show::Counts;
use crate::plan::{CategoryPlan, Digest, Plan};

mod answers;

/// The command that makes most plans.
const SYNC: &str = "sync";

/// What nobody has answered at the time `:now`: an approval that has lapsed is no answer any more.
const OPEN: &str = "(answer IS NULL OR (answer = 'approved' AND expires_at <= :now))";
/// Plans of which the command `:command` makes the same changes: a saved plan's are those of `sync`, and an answer to
/// one counts for both. The way back from a run is a change of its own.
const SAME_CHANGES: &str = "(held.command = :command
    OR (held.command NOT LIKE 'undo %' AND :command NOT LIKE 'undo %'))";
/// What is approved at the time `:now`.
const APPROVED: &str = "(answer = 'approved' AND expires_at > :now)";

/// A plan that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The name by which it is answered.
    pub digest: Digest,
    /// The run that first made it.
    pub run: i64,
    /// When it was first held.
    pub held_at: Timestamp,
    /// The command that made it, and does it once it is approved: `sync`, or `undo 12`.
    pub command: String,
    /// The fingerprint of the configuration that made it, and by which an approval counts.
    #[serde(skip)]
    pub configuration: Option<String>,
    /// What tripped.
    pub reason: String,
    /// What it would do, as far as it is still held.
    pub counts: Counts,
    /// Channels of it that nobody has answered yet.
    pub open: u32,
    /// Channels that are approved; the next run does them.
    pub approved: u32,
    /// Channels that are rejected: they stay as they are until their part of the plan changes.
    pub rejected: u32,
    /// Who answered last.
    pub answered_by: Option<String>,
    /// When the first approval lapses.
    pub expires_at: Option<Timestamp>,
}

impl Held {
    /// Whether this configuration made it; one of an older version may be anybody's.
    pub fn is_of(&self, configuration: &str) -> bool {
        let made_by = self.configuration.as_deref();
        made_by.is_none_or(|made_by| made_by == configuration)
    }
}

/// Where a held plan comes from, and why it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold<'a> {
    /// The run that made it.
    pub run: i64,
    /// The command that made it.
    pub command: &'a str,
    /// The configuration by which it was made; an approval is for this one only.
    pub configuration: Option<&'a str>,
    /// What tripped.
    pub reason: &'a str,
}

/// What a person says to a held plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Do it.
    Approved {
        /// When the approval lapses unused.
        until: Timestamp,
    },
    /// Leave it.
    Rejected,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It stands, for these channels of this plan.
    Given(Digest, Plan),
    /// All of the plan has an answer, which only an answer to a channel by its name takes back.
    Already(Held),
    /// No plan has this digest.
    NoSuchPlan,
    /// Several digests begin like this.
    Ambiguous,
}

impl Store {
    /// Holds a plan. What the same command had held for the same categories is out of date and goes; a
    /// plan that is made again is held since it was first made.
    pub fn hold(
        &self,
        plan: &Plan,
        cause: &Hold<'_>,
        now: Timestamp,
    ) -> Result<Digest, StoreError> {
        let command = cause.command;
        let digest = name(command, plan);
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let first: Option<(i64, i64)> = transaction
            .prepare_cached("SELECT run, held_at FROM held WHERE digest = ?1")?
            .query_row([&digest.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (run, held_at) = first.unwrap_or((cause.run, now.as_second()));
        let categories: Vec<_> = plan
            .categories
            .iter()
            .map(|part| part.category.id)
            .collect();
        // What another configuration holds is still open, should it be in force again.
        let which = Which {
            configuration: cause.configuration,
            ..Which::of(command)
        };
        release(&transaction, &which, &categories)?;
        transaction.execute(
            "INSERT OR REPLACE INTO held
                 (digest, run, held_at, reason, summary, command, configuration)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                digest.0,
                run,
                held_at,
                cause.reason,
                serde_json::to_string(&Counts::of(plan))?,
                command,
                cause.configuration
            ],
        )?;
        for part in &plan.categories {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO held_category (plan, category_id, digest, part)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    digest.0,
                    part.category.id.0,
                    part.digest().0,
                    serde_json::to_string(part)?
                ])?;
        }
        transaction.commit()?;
        Ok(digest)
    }

    /// The plans that are held, oldest first, with the answers that stand at this time.
    pub fn held(&self, now: Timestamp) -> Result<Vec<Held>, StoreError> {
        all(&self.lock(), now)
    }

    /// The part of a held plan that is still held, as it was made. `digest` may be its first digits.
    pub fn held_plan(&self, digest: &str) -> Result<Answered, StoreError> {
        let connection = self.lock();
        let digest = match find(&connection, digest)? {
            Ok(digest) => digest,
            Err(refused) => return Ok(refused),
        };
        let plan = Plan::new(parts(&connection, &digest, &[])?);
        Ok(Answered::Given(digest, plan))
    }

    /// Answers the plan whose digest begins like this, or some channels of it (none given: all). The
    /// next run does what is approved, where it still is what was seen.
    pub fn answer(
        &self,
        digest: &str,
        channels: &[CategoryId],
        answer: Answer,
        by: &str,
        now: Timestamp,
    ) -> Result<Answered, StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let digest = match find(&transaction, digest)? {
            Ok(digest) => digest,
            Err(refused) => return Ok(refused),
        };
        let mut named = parts(&transaction, &digest, channels)?;
        let units = units(&transaction, &digest, now)?;
        let unit = match answer {
            Answer::Approved { .. } => Unit::Approved,
            Answer::Rejected => Unit::Rejected,
        };
        named.retain(|part| {
            let before = units.get(&part.category.id).copied().unwrap_or(Unit::Open);
            before.answer(unit, !channels.is_empty()).is_some()
        });
        if named.is_empty() {
            let mut all = all(&transaction, now)?.into_iter();
            let held = all.find(|held| held.digest == digest);
            return Ok(held.map_or(Answered::NoSuchPlan, Answered::Already));
        }
        let plan = Plan::new(named);
        let is_undo = is_of_undo(&transaction, &digest)?;
        let (word, until) = match answer {
            Answer::Approved { until } => ("approved", Some(until.as_second())),
            Answer::Rejected => ("rejected", None),
        };
        for part in &plan.categories {
            let id = part.category.id.0;
            transaction
                .prepare_cached(
                    "UPDATE held_category
                     SET answer = ?3, answered_by = ?4, answered_at = ?5, expires_at = ?6,
                         answered_after = (SELECT coalesce(max(seq), 0) FROM history)
                     WHERE plan = ?1 AND category_id = ?2",
                )?
                .execute(params![digest.0, id, word, by, now.as_second(), until])?;
            let people = part
                .changes()
                .map(|action| (part.category.id, action.user.clone()));
            let people: Vec<_> = people.collect();
            if !is_undo && answer == Answer::Rejected {
                undone::write(&transaction, None, &people)?;
            }
            transaction
                .prepare_cached("INSERT INTO dirty (kind, category_id) VALUES ('category', ?1)")?
                .execute([id])?;
        }
        let counted = self.count_on(&transaction)?;
        transaction.commit()?;
        if let Some(number) = counted {
            self.write_beside(number);
        }
        Ok(Answered::Given(digest, plan))
    }

    /// The categories for which something is held of the changes that a command makes.
    pub fn held_categories(&self, command: &str) -> Result<BTreeSet<CategoryId>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT DISTINCT category_id FROM held_category JOIN held ON plan = held.digest
             WHERE {SAME_CHANGES}"
        ))?;
        let rows = statement.query_map(named_params! {":command": command}, |row| {
            row.get(0).map(CategoryId)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes categories off the held plans of a configuration, or of all of them, but for the way back from runs:
    /// nothing is left to do there.
    pub fn release_over(
        &self,
        categories: &[CategoryId],
        configuration: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let commands: Vec<String> = transaction
            .prepare_cached("SELECT DISTINCT command FROM held WHERE command NOT LIKE 'undo %'")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for command in commands {
            let which = Which {
                configuration,
                ..Which::of(&command)
            };
            release(&transaction, &which, categories)?;
        }
        Ok(transaction.commit()?)
    }

    /// Takes off all held plans the categories of which all changes have been made, by their identities, but for what was
    /// rejected since then.
    pub fn release_done(
        &self,
        done: &BTreeSet<(CategoryId, String)>,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let categories: BTreeSet<CategoryId> = done.iter().map(|(category, _)| *category).collect();
        let mut over: Vec<(String, CategoryId)> = Vec::new();
        let mut statement = transaction.prepare_cached(
            "SELECT category_id, command, part FROM held_category JOIN held ON plan = held.digest",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = CategoryId(row.get(0)?);
            if !categories.contains(&id) {
                continue;
            }
            let part: CategoryPlan = serde_json::from_str(&row.get::<_, String>(2)?)?;
            if part
                .changes()
                .all(|action| done.contains(&(id, action.identity())))
            {
                over.push((row.get(1)?, id));
            }
        }
        drop(rows);
        drop(statement);
        for (command, category) in over {
            let which = Which {
                rejected_before: Some(since.as_second()),
                ..Which::of(&command)
            };
            release(&transaction, &which, &[category])?;
        }
        Ok(transaction.commit()?)
    }

    /// Takes categories off a command's held plans, of this configuration, whose approved changes have been made, with
    /// what a person had said no to before that approval. An approval counts once. What was rejected since then stays so.
    pub fn release_applied(
        &self,
        (command, configuration): (&str, &str),
        categories: &[CategoryId],
        made: &[(CategoryId, UserId)],
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        let rejected = rejected_since(&transaction, since.as_second())?;
        let released = made.iter().filter(|(id, _)| !rejected.contains(id));
        undone::forget(&transaction, &released.cloned().collect::<Vec<_>>())?;
        let which = Which {
            command,
            configuration: Some(configuration),
            rejected_before: Some(since.as_second()),
        };
        release(&transaction, &which, categories)?;
        Ok(transaction.commit()?)
    }

    /// The categories of which a person has rejected something after this second.
    pub fn rejected_after(&self, then: Timestamp) -> Result<BTreeSet<CategoryId>, StoreError> {
        Ok(rejected_since(&self.lock(), then.as_second() + 1)?)
    }

    /// Forgets what other configurations hold, once this one is accepted: they are asked about anew, should they be in
    /// force again.
    pub fn release_others(&self, configuration: &str) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = self.begin(&mut connection)?;
        for sql in [
            "DELETE FROM held_category WHERE plan IN
                 (SELECT digest FROM held WHERE configuration <> ?1 AND command NOT LIKE 'undo %')",
            "DELETE FROM held WHERE configuration <> ?1 AND command NOT LIKE 'undo %'",
        ] {
            transaction.execute(sql, [configuration])?;
        }
        Ok(transaction.commit()?)
    }

    /// Whose changes are held, of those that a command makes, whatever was answered.
    pub fn held_pairs(&self, command: &str) -> Result<BTreeSet<(CategoryId, UserId)>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT category_id, json_extract(action.value, '$.user')
             FROM held_category JOIN held ON plan = held.digest,
                 json_each(part, '$.actions') AS action
             WHERE {SAME_CHANGES}
                 AND json_extract(action.value, '$.do') NOT IN ('keep', 'adopt', 'forget', 'skip')",
        ))?;
        let rows = statement.query_map(named_params! {":command": command}, super::pair)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// All held plans, oldest first, with the answers that stand at this time.
fn all(connection: &Connection, now: Timestamp) -> Result<Vec<Held>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT held.digest, run, held_at, reason, summary,
             count(*) FILTER (WHERE {OPEN}),
             count(*) FILTER (WHERE {APPROVED}),
             count(*) FILTER (WHERE answer = 'rejected'),
             max(answered_by) FILTER (WHERE NOT {OPEN}),
             min(expires_at) FILTER (WHERE {APPROVED}),
             command, configuration
         FROM held JOIN held_category ON plan = held.digest
         GROUP BY held.digest ORDER BY held_at, held.digest",
    ))?;
    let mut rows = statement.query(named_params! {":now": now.as_second()})?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Held {
            digest: Digest(row.get(0)?),
            run: row.get(1)?,
            held_at: time(row.get(2)?),
            command: row.get(10)?,
            configuration: row.get(11)?,
            reason: row.get(3)?,
            counts: serde_json::from_str(&row.get::<_, String>(4)?)?,
            open: row.get(5)?,
            approved: row.get(6)?,
            rejected: row.get(7)?,
            answered_by: row.get(8)?,
            expires_at: row.get::<_, Option<i64>>(9)?.map(time),
        });
    }
    Ok(found)
}

/// The digest that begins like this.
fn find(connection: &Connection, start: &str) -> Result<Result<Digest, Answered>, StoreError> {
    let start = start.to_ascii_lowercase();
    let mut statement = connection.prepare_cached("SELECT digest FROM held ORDER BY digest")?;
    let all = statement.query_map([], |row| row.get(0).map(Digest))?;
    let mut matching = Vec::new();
    for digest in all {
        let digest = digest?;
        if digest.0.starts_with(&start) {
            matching.push(digest);
        }
    }
    Ok(match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => Err(Answered::NoSuchPlan),
        _ => Err(Answered::Ambiguous),
    })
}

/// The name of a plan that a command has made: two commands may make the same plan, and an answer is for
/// one of them.
fn name(command: &str, plan: &Plan) -> Digest {
    match command {
        SYNC => plan.digest(),
        _ => Digest::of([command.to_owned(), plan.digest().0]),
    }
}

fn is_of_undo(connection: &Connection, digest: &Digest) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT command LIKE 'undo %' FROM held WHERE digest = ?1")?
        .query_row([&digest.0], |row| row.get(0))
}

/// How the channels of a held plan stand at this time.
fn units(
    connection: &Connection,
    digest: &Digest,
    now: Timestamp,
) -> rusqlite::Result<BTreeMap<CategoryId, Unit>> {
    connection
        .prepare_cached(&format!(
            "SELECT category_id, {OPEN}, {APPROVED} FROM held_category WHERE plan = :plan"
        ))?
        .query_map(
            named_params! {":now": now.as_second(), ":plan": digest.0},
            |row| {
                let unit = match (row.get(1)?, row.get(2)?) {
                    (true, _) => Unit::Open,
                    (_, Some(true)) => Unit::Approved,
                    _ => Unit::Rejected,
                };
                Ok((CategoryId(row.get(0)?), unit))
            },
        )?
        .collect()
}

/// The parts of a held plan; of these channels only, where some are named.
fn parts(
    connection: &Connection,
    digest: &Digest,
    channels: &[CategoryId],
) -> Result<Vec<CategoryPlan>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT part FROM held_category WHERE plan = ?1 ORDER BY category_id")?;
    let mut rows = statement.query([&digest.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let part: CategoryPlan = serde_json::from_str(&row.get::<_, String>(0)?)?;
        if channels.is_empty() || channels.contains(&part.category.id) {
            found.push(part);
        }
    }
    Ok(found)
}

fn rejected_since(connection: &Connection, since: i64) -> rusqlite::Result<BTreeSet<CategoryId>> {
    connection
        .prepare_cached(
            "SELECT category_id FROM held_category WHERE answer = 'rejected' AND answered_at >= ?1",
        )?
        .query_map([since], |row| row.get(0).map(CategoryId))?
        .collect()
}

/// Of which held plans something is taken off.
struct Which<'a> {
    command: &'a str,
    /// Those of this configuration; of each, where none is named.
    configuration: Option<&'a str>,
    /// Of what was rejected only what was before this time, in Unix seconds.
    rejected_before: Option<i64>,
}

impl<'a> Which<'a> {
    fn of(command: &'a str) -> Self {
        Self {
            command,
            configuration: None,
            rejected_before: None,
        }
    }
}

/// Takes categories off plans. What is left of a plan is counted anew; a plan of which nothing is left goes.
fn release(
    connection: &Connection,
    which: &Which<'_>,
    categories: &[CategoryId],
) -> Result<(), StoreError> {
    let mut touched = BTreeSet::new();
    let mut delete = connection.prepare_cached(
        "DELETE FROM held_category WHERE category_id = :category
         AND plan IN (SELECT digest FROM held WHERE command = :command
             AND (:configuration IS NULL OR configuration IS NULL OR configuration = :configuration))
         AND (:rejected_before IS NULL OR answer IS NOT 'rejected' OR answered_at < :rejected_before)
         RETURNING plan",
    )?;
    for category in categories {
        let plans = delete.query_map(
            named_params! {
                ":category": category.0,
                ":command": which.command,
                ":configuration": which.configuration,
                ":rejected_before": which.rejected_before,
            },
            |row| row.get(0),
        )?;
        for plan in plans {
            touched.insert(Digest(plan?));
        }
    }
    for digest in touched {
        let left = Plan::new(parts(connection, &digest, &[])?);
        if left.categories.is_empty() {
            connection.execute("DELETE FROM held WHERE digest = ?1", [&digest.0])?;
        } else {
            let summary = serde_json::to_string(&Counts::of(&left))?;
            connection.execute(
                "UPDATE held SET summary = ?2 WHERE digest = ?1",
                params![digest.0, summary],
            )?;
        }
    }
    Ok(())
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}
