//! What is settled without a call: memberships that are as they should be or gone, refusals, and what
//! was held or waiting where nothing is left to do.
//!
//! *Its one idea: only what was seen is settled.* Of a channel that was not read, or of which it is not
//! known who is wanted, everything stays open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::look::Unread;
use super::scope::{Questions, Scope, Who};
use super::{Engine, RunError, Task, report};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::killpoint;
use crate::plan::gate::Review;
use crate::plan::{Action, CategoryPlan, Decision};
use crate::store::history::Note;

type Pair = (CategoryId, UserId);

/// What a run has seen.
pub(super) struct Seen<'a> {
    questions: &'a Questions,
    scope: &'a Scope,
    unread: &'a Unread,
    unsure: &'a BTreeSet<Pair>,
    /// The plan, whatever the gate says to its parts.
    parts: BTreeMap<CategoryId, &'a Arc<CategoryPlan>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        (questions, scope): (&'a Questions, &'a Scope),
        (unread, unsure): (&'a Unread, &'a BTreeSet<Pair>),
        review: &'a Review,
    ) -> Self {
        let parts = review.approved.plan().categories.iter();
        let parts = parts
            .chain(&review.held.categories)
            .chain(&review.rejected.categories);
        Self {
            questions,
            scope,
            unread,
            unsure,
            parts: parts.map(|part| (part.category.id, part)).collect(),
        }
    }

    /// Whether it is known what is there, and who is wanted.
    fn is_known(&self, category: CategoryId) -> bool {
        let part = self.parts.get(&category);
        let is_blocked = part.is_some_and(|part| part.block.is_some());
        !is_blocked && !self.unread.categories.contains(&category)
    }

    /// Whether nothing is left to do in a category of what is held for it. That nothing can be done now is not enough: a
    /// person may be left alone for another reason for a time, and the channel be fed by no group.
    fn is_over(&self, category: CategoryId, held: &BTreeSet<Pair>) -> bool {
        if self.unread.count() > 0 || !self.scope.categories.contains_key(&category) {
            return false;
        }
        let part = self.parts.get(&category);
        let changes = part.is_some_and(|part| part.changes().next().is_some());
        let mut held = held.iter().filter(|pair| pair.0 == category);
        self.is_known(category) && !changes && held.all(|pair| self.agree_on(pair))
    }

    /// Whether nothing is left to do about a membership.
    fn is_settled(&self, pair: &Pair) -> bool {
        let (category, user) = pair;
        let is_asked = self.scope.asks_about(*category, user)
            || self.scope.is_over(self.questions, *category, user);
        let part = self.parts.get(category);
        let changes = part.is_some_and(|part| part.changes().any(|action| action.user == *user));
        is_asked && !changes && !self.unread.people.contains(pair) && self.is_known(*category)
    }

    /// Whether directory and Kaltura agree on a membership, for all that is known.
    fn agree_on(&self, pair: &Pair) -> bool {
        let part = self.parts.get(&pair.0).into_iter();
        let mut actions = part.flat_map(|part| &part.actions);
        let is_open = actions.any(|action| action.user == pair.1 && is_open(action));
        let is_asked = self.scope.asks_about(pair.0, &pair.1);
        is_asked && self.is_settled(pair) && !is_open && !self.unsure.contains(pair)
    }

    /// What the history learns of each channel: what was adopted, found to be gone, and refused.
    fn notes(&self) -> Vec<Note> {
        let categories = self.scope.categories.iter();
        categories
            .map(|(id, (_, who))| Note {
                category: *id,
                looked_at: match who {
                    Who::Everybody => None,
                    Who::These(users) => Some(users.iter().cloned().collect()),
                },
                part: self.parts.get(id).map(|part| Arc::clone(part)),
            })
            .collect()
    }
}

/// Whether something may have to be done yet.
fn is_open(action: &Action) -> bool {
    action.decision.is_change() || matches!(action.decision, Decision::Skip(_))
}

/// Writes down what needs no call, and drops what was held, undone or waiting where nothing is left to
/// do.
pub(super) async fn settle(
    engine: &Engine,
    run: i64,
    seen: &Seen<'_>,
    undone: &BTreeSet<Pair>,
) -> Result<(), RunError> {
    let (command, fingerprint) = (Task::Sync.command(), engine.config.fingerprint());
    let (held, held_pairs, stage, waiting, pending) = engine
        .store
        .run(move |store| {
            Ok((
                store.held_categories(&command)?,
                store.held_pairs(&command)?,
                super::configurations(store)?.stage(&fingerprint),
                store.waiting()?,
                store.pending()?,
            ))
        })
        .await?;
    // What may yet happen by a file is not over, though nothing is done about it.
    let is_pending = |(category, user): &Pair| {
        let mut pending = pending.get(category).into_iter().flatten();
        pending.any(|pending| pending.action.user == *user)
    };
    let is_settled = |pair: &Pair| !is_pending(pair) && seen.is_settled(pair);
    let gone = deleted(engine, seen, &held).await?;
    let over = held.into_iter().filter(|id| seen.is_over(*id, &held_pairs));
    let over: Vec<CategoryId> = over.collect();
    let this = engine.config.fingerprint();
    let waiting = waiting.into_iter().map(|item| (item.category, item.user));
    let settled: Vec<Pair> = waiting.filter(is_settled).collect();
    // A configuration that nobody has accepted says nothing of what was decided under another.
    let agreed = undone.iter().filter(|_| !stage.is_first());
    let agreed = agreed.filter(|pair| !is_pending(pair) && seen.agree_on(pair));
    let agreed: Vec<Pair> = agreed.cloned().collect();
    let parts = seen.parts.values();
    let entries: Vec<_> = parts
        .flat_map(|part| report::ledger_entries(part))
        .filter(|entry| !is_pending(&(entry.category, entry.user.clone())))
        .collect();
    let notes = seen.notes();
    engine
        .store
        .run(move |store| {
            let now = clock::now();
            for note in &notes {
                store.write_down(run, note, now)?;
                killpoint::here("while-settling");
            }
            store.note(run, &entries, now)?;
            killpoint::here("while-settling");
            store.release_over(&gone, None)?;
            store.release_over(&over, Some(&this))?;
            store.forget_undone(&agreed)?;
            store.settle(&settled)
        })
        .await?;
    Ok(())
}

/// Which of these categories are not there any more: what is held for them can never be done.
async fn deleted(
    engine: &Engine,
    seen: &Seen<'_>,
    held: &BTreeSet<CategoryId>,
) -> Result<Vec<CategoryId>, RunError> {
    if !seen.questions.everything {
        return Ok(Vec::new());
    }
    let listed: BTreeSet<CategoryId> = seen.scope.index.iter().map(|known| known.id).collect();
    let missing: Vec<CategoryId> = held.difference(&listed).copied().collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let there = engine.kaltura.categories_by_id(&missing).await?;
    let is_gone = |id: &CategoryId| !there.iter().any(|category| category.id == *id);
    Ok(missing.into_iter().filter(is_gone).collect())
}
