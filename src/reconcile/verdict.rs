//! What becomes of a plan: reviewed, settled, held, applied.
//!
//! *Its one idea: nothing leaves a mark, a held plan or a waiting action without a verdict on it.*

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use super::{ACCEPTED, Engine, PLANNED, REBUILT, RunError, Task, look, report, scope};
use crate::apply::{Applied, Applier};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::config::Config;
use crate::config::safety::FirstRun;
use crate::killpoint;
use crate::plan::gate::{self, Circumstances, First, Review, Trip};
use crate::plan::{CategoryPlan, Plan};
use crate::store::held::Held;
use crate::store::history::Note;
use crate::store::lease::Lease;
use crate::store::{Store, StoreError};

/// Of what tripped, so much is kept with a held plan; the rest is more of the same.
const MOST_REASONS: usize = 5;

/// Divides the plan into what may be applied and what a person must see first.
pub(super) async fn review(
    engine: &Engine,
    task: &Task,
    plan: Plan,
    memberships: u64,
) -> Result<Review, RunError> {
    if plan.changes().next().is_some() {
        engine.store.run(Store::check_pages).await?;
    }
    let (config, task) = (Arc::clone(&engine.config), task.clone());
    let circumstances = engine
        .store
        .run(move |store| circumstances(store, &config, &task, memberships))
        .await?;
    Ok(gate::review(plan, &circumstances))
}

/// What the state file and the configuration know that bears on a plan.
fn circumstances(
    store: &Store,
    config: &Config,
    task: &Task,
    memberships: u64,
) -> Result<Circumstances, StoreError> {
    let (now, command) = (clock::now(), task.command());
    let window = SignedDuration::try_from(config.safety.window.0).unwrap_or_default();
    // Taking back is a person's wish: it is neither a first run, nor what they have said no to.
    let is_undo = matches!(task, Task::Undo { .. });
    Ok(Circumstances {
        safety: config.safety.clone(),
        first: if is_undo { None } else { first(store, config)? },
        memberships,
        recent: store.losses_since(now.saturating_sub(window).unwrap_or(now))?,
        undone: if is_undo {
            BTreeSet::new()
        } else {
            store.undone()?
        },
        waiting: store.unanswered(&command)?,
        approvals: store.approvals(&command, now)?,
        rejections: store.rejections(&command)?,
    })
}

/// What makes a plan a first one. That of a state file which was made anew is held whatever the
/// configuration says of first runs.
fn first(store: &Store, config: &Config) -> Result<Option<First>, StoreError> {
    if store.setting(ACCEPTED)? == Some(config.fingerprint()) {
        return Ok(None);
    }
    if store.setting(REBUILT)?.is_some() {
        return Ok(Some(First::Rebuilt));
    }
    Ok(match config.safety.first_run {
        FirstRun::Apply => None,
        FirstRun::Hold if store.is_copy()? => Some(First::Copied),
        FirstRun::Hold => Some(First::Configuration),
    })
}

/// Writes down what needs no call: memberships that are as they should be, or gone; and drops what
/// was held or waiting where nothing is left to do.
pub(super) async fn settle(
    engine: &Engine,
    run: i64,
    review: &Review,
    questions: &scope::Questions,
    scope: &scope::Scope,
    unread: &look::Unread,
    is_proven: bool,
) -> Result<(), RunError> {
    let parts = || {
        review
            .approved
            .plan()
            .categories
            .iter()
            .chain(&review.held.categories)
            .chain(&review.rejected.categories)
    };
    let entries: Vec<_> = parts()
        .flat_map(|part| report::ledger_entries(part))
        .collect();
    let changing: BTreeSet<CategoryId> = parts()
        .filter(|part| part.changes().next().is_some())
        .map(|part| part.category.id)
        .collect();
    let held = engine
        .store
        .run(|store| store.held_categories(&Task::Sync.command()))
        .await?;
    // What no group feeds any more can never be done, whatever was held for it.
    let is_fed = |id: &CategoryId| scope.categories.contains_key(id);
    // Of a channel that was not read, or of which it is not known who is wanted, nothing is settled.
    let blocked: BTreeSet<CategoryId> = parts()
        .filter(|part| part.block.is_some())
        .map(|part| part.category.id)
        .collect();
    let is_known = |id: &CategoryId| !blocked.contains(id) && !unread.categories.contains(id);
    let is_over = |id: &CategoryId| {
        (is_fed(id) && is_known(id) && !changing.contains(id))
            || (!is_fed(id) && questions.everything)
    };
    let over: Vec<CategoryId> = if is_proven && unread.count() == 0 {
        held.into_iter().filter(is_over).collect()
    } else {
        Vec::new()
    };
    let (waiting, undone) = engine
        .store
        .run(|store| Ok((store.waiting()?, store.undone()?)))
        .await?;
    let by_category: BTreeMap<CategoryId, _> =
        parts().map(|part| (part.category.id, part)).collect();
    let is_settled = |(category, user): &(CategoryId, UserId)| {
        let asked = scope.asks_about(*category, user) || scope.is_over(questions, *category, user);
        let part = by_category.get(category);
        let changes = part.is_some_and(|part| part.changes().any(|action| action.user == *user));
        let is_read = !unread.people.contains(&(*category, user.clone()));
        asked && !changes && is_read && is_known(category)
    };
    let waiting = waiting.into_iter().map(|item| (item.category, item.user));
    let settled: Vec<_> = waiting.filter(is_settled).collect();
    // On half an answer, directory and Kaltura only seem to agree.
    let agreed: Vec<_> = undone
        .into_iter()
        .filter(|pair| is_proven && is_settled(pair))
        .collect();
    let notes = notes(&parts().cloned().collect::<Vec<_>>(), scope);
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
            store.release_held(&Task::Sync.command(), &over)?;
            store.forget_undone(&agreed)?;
            store.settle(&settled)
        })
        .await?;
    Ok(())
}

/// What the history learns of each channel without a call: what was adopted, found to be gone, and
/// refused.
fn notes(parts: &[Arc<CategoryPlan>], scope: &scope::Scope) -> Vec<Note> {
    let planned: BTreeMap<CategoryId, &Arc<CategoryPlan>> =
        parts.iter().map(|part| (part.category.id, part)).collect();
    scope
        .categories
        .iter()
        .map(|(id, (_, who))| Note {
            category: *id,
            looked_at: match who {
                scope::Who::Everybody => None,
                scope::Who::These(users) => Some(users.iter().cloned().collect()),
            },
            part: planned.get(id).map(|part| Arc::clone(part)),
        })
        .collect()
}

/// Holds what the gate has not approved.
pub(super) async fn hold(
    engine: &Engine,
    run: i64,
    task: &Task,
    review: &Review,
) -> Result<Option<report::Held>, RunError> {
    if review.held.is_empty() {
        return Ok(None);
    }
    let reasons: Vec<String> = review
        .trips
        .iter()
        .take(MOST_REASONS)
        .map(ToString::to_string)
        .collect();
    let (plan, reason, command) = (review.held.clone(), reasons.join("; "), task.command());
    let counts = crate::plan::show::Counts::of(&plan);
    let is_whole = review.trips.iter().any(Trip::is_of_the_whole);
    let because = reason.clone();
    let digest = engine
        .store
        .run(move |store| store.hold(run, &command, &plan, (&because, is_whole), clock::now()))
        .await?;
    tracing::info!(run, digest = digest.short(), reason, "a plan is held");
    Ok(Some(report::Held { digest, counts }))
}

/// Applies what is approved. Only then is an approval used up: a run that is cut off leaves it.
pub(super) async fn apply(
    engine: &Engine,
    run: i64,
    task: &Task,
    lease: Lease,
    review: Review,
    is_proven: bool,
) -> Result<Applied, RunError> {
    let applier = Applier {
        kaltura: engine.kaltura.clone(),
        store: engine.store.clone(),
        run,
        lease,
        batch: engine.config.kaltura.batch,
        concurrency: engine.config.kaltura.concurrency,
        progress: engine.progress.clone(),
    };
    let parts = review.approved.plan().categories.iter();
    // On an answer that is not complete only a part of a plan is done.
    let done = parts.filter(|part| is_proven && part.block.is_none());
    let categories: Vec<CategoryId> = done.map(|part| part.category.id).collect();
    // A person has seen these, and said yes. What an undo does is itself what they said no to.
    let by = review.approved.by();
    let is_undo = matches!(task, Task::Undo { .. });
    let released: Vec<(CategoryId, UserId)> = review
        .approved
        .plan()
        .changes()
        .filter(|(part, _)| !is_undo && by.contains_key(&part.category.id))
        .map(|(part, action)| (part.category.id, action.user.clone()))
        .collect();
    let outcome = applier.apply(review.approved).await?;
    killpoint::here("after-applying");
    let command = task.command();
    engine
        .store
        .run(move |store| {
            store.forget_undone(&released)?;
            store.release_held(&command, &categories)
        })
        .await?;
    Ok(outcome)
}

/// Clears the marks on which there is a verdict now.
pub(super) async fn clear(
    engine: &Engine,
    questions: &scope::Questions,
    scope: &scope::Scope,
    unread: u64,
) -> Result<(), RunError> {
    let up_to = questions.up_to;
    let new = scope.new.clone();
    engine
        .store
        .run(move |store| {
            store.clear_marks(up_to)?;
            killpoint::here("while-clearing");
            // What could not be read has not been planned.
            if unread == 0 {
                store.clear_category_marks(&new)?;
            }
            Ok(())
        })
        .await?;
    if unread == 0 {
        accept_configuration(engine, questions.everything).await?;
    }
    Ok(())
}

/// A configuration is accepted once its first plan has been made and nothing of it is held any more.
async fn accept_configuration(engine: &Engine, planned_all: bool) -> Result<(), RunError> {
    let fingerprint = engine.config.fingerprint();
    engine
        .store
        .run(move |store| {
            if planned_all {
                store.set_setting(PLANNED, &fingerprint)?;
            }
            let planned = store.setting(PLANNED)?.as_deref() == Some(&fingerprint);
            let is_answered = |held: &Held| held.open + held.approved == 0;
            let sync = Task::Sync.command();
            let held = store.held()?;
            let mut ours = held.iter().filter(|held| held.command == sync);
            if planned && ours.all(is_answered) {
                store.set_setting(ACCEPTED, &fingerprint)?;
                store.drop_setting(REBUILT)?;
                store.accept_copy()?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}
