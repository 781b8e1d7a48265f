//! What becomes of a plan: held, applied, cleared.
//!
//! *Its one idea: nothing leaves a mark, a held plan or a waiting action without a verdict on it.*

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::look::Unread;
use super::scope::Who;
use super::{Engine, REBUILT, Request, RunError, Task, report, scope};
use crate::apply::Applier;
use crate::apply::files::tag;
use crate::apply::route::{self, Route, Speed, Via};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::config::Config;
use crate::config::apply::Address;
use crate::config::safety::FirstRun;
use crate::kaltura::csv::search_key;
use crate::killpoint;
use crate::plan::Plan;
use crate::plan::category::Block;
use crate::plan::decision::Stage;
use crate::plan::gate::{Circumstances, First, Grounds, Review};
use crate::store::dirty::Mark;
use crate::store::held::{Held, Hold};
use crate::store::lease::Lease;
use crate::store::{Store, StoreError};

/// Of what tripped, so much is kept with a held plan; the rest is more of the same.
const MOST_REASONS: usize = 5;

/// What the state file and the configuration know that bears on a plan.
pub(super) async fn circumstances(
    engine: &Engine,
    task: &Task,
    plan: &Plan,
    (there, grounds): (&There, Grounds),
) -> Result<Circumstances, RunError> {
    if !plan.is_empty() {
        engine.store.run(Store::check_pages).await?;
    }
    let (config, command, plan) = (Arc::clone(&engine.config), task.command(), plan.clone());
    // Taking back is a person's wish: it is neither a first run, nor what they have said no to.
    let is_undo = matches!(task, Task::Undo { .. });
    let There {
        channels,
        memberships,
    } = *there;
    let read = move |store: &Store| {
        let now = clock::now();
        let window = SignedDuration::try_from(config.safety.window.0).unwrap_or_default();
        let first = if is_undo {
            None
        } else {
            first(store, &config)?
        };
        let planned = store.planned_categories()?;
        let new = plan.categories.iter().map(|part| part.category.id);
        let is_asked = !is_undo && first.is_none() && config.safety.first_run == FirstRun::Hold;
        let new = new.filter(|id| is_asked && !planned.contains(id));
        let new = new.collect();
        Ok(Circumstances {
            grounds,
            safety: config.safety.clone(),
            first,
            memberships,
            channels,
            new,
            recent: recent(store, now.saturating_sub(window).unwrap_or(now))?,
            undone: if is_undo {
                BTreeSet::new()
            } else {
                store.undone()?
            },
            // A first plan is held whatever else is.
            waiting: if first.is_some() {
                BTreeSet::new()
            } else {
                store.unanswered(&command, now)?
            },
            approvals: store.approvals(&command, &config.fingerprint(), &plan, now)?,
            rejections: store.rejections(&command, &config.fingerprint())?,
        })
    };
    Ok(engine.store.run(read).await?)
}

/// What there is in Kaltura beside a plan.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct There {
    /// Bound categories.
    pub(super) channels: u64,
    /// Memberships in them.
    pub(super) memberships: u64,
}

/// What was lost since then without anybody's approval. What waits in files is as good as done.
fn recent(store: &Store, since: Timestamp) -> Result<BTreeMap<CategoryId, u64>, StoreError> {
    let mut recent = store.losses_since(since)?;
    for (category, pending) in store.pending()? {
        let losses = pending
            .iter()
            .filter(|pending| !pending.is_approved && pending.action.is_loss());
        *recent.entry(category).or_default() += losses.count() as u64;
    }
    Ok(recent)
}

/// What makes a plan a first one. That of a state file which was made anew is held whatever the
/// configuration says of first runs.
fn first(store: &Store, config: &Config) -> Result<Option<First>, StoreError> {
    let stage = super::configurations(store)?.stage(&config.fingerprint());
    if !stage.is_first() {
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
    let (because, configuration) = (reason.clone(), engine.config.fingerprint());
    let hold = move |store: &Store| {
        let cause = Hold {
            run,
            command: &command,
            configuration: Some(&configuration),
            reason: &because,
        };
        store.hold(&plan, &cause, clock::now())
    };
    let digest = engine.store.run(hold).await?;
    tracing::info!(run, digest = digest.short(), reason, "a plan is held");
    Ok(Some(report::Held { digest, counts }))
}

/// Applies what is approved. Only then is an approval used up: a run that is cut off leaves it to the next
/// one, for what is not done yet.
pub(super) async fn apply(
    engine: &Engine,
    request: &Request,
    lease: Lease,
    review: Review,
    report: &mut report::Report,
) -> Result<(), RunError> {
    let (task, since) = (&request.task, clock::now());
    let is_undo = matches!(task, Task::Undo { .. });
    let approved = review.approved.plan();
    let mut route = route(engine, request, approved, report);
    // Putting back what was set by hand is beyond a file; and a later run would not try it again.
    if let (Route::Files { or_calls }, true) = (&mut route, is_undo) {
        *or_calls = true;
    }
    if let Some(routed) = &report.route {
        tracing::info!(run = report.run, "{routed}");
    }
    let applier = Applier {
        kaltura: engine.kaltura.clone(),
        store: engine.store.clone(),
        run: report.run,
        lease,
        batch: engine.config.kaltura.batch,
        concurrency: engine.config.kaltura.concurrency,
        confusable: confusable(engine, &route).await?,
        route,
        csv: engine.config.apply.csv.clone(),
        tag: tag(),
        digest: approved.digest(),
        is_repeated: !is_undo,
        reviewed_at: since,
        progress: engine.progress.clone(),
    };
    // While something stands against a channel only a part of its plan is done. What needed no approval says nothing of
    // what is held.
    let by = review.approved.by();
    let done = approved
        .categories
        .iter()
        .filter(|part| part.block.is_none() && by.contains_key(&part.category.id));
    let categories: Vec<CategoryId> = done.map(|part| part.category.id).collect();
    let made: BTreeSet<(CategoryId, String)> = approved
        .changes()
        .map(|(part, action)| (part.category.id, action.identity()))
        .collect();
    // A person has seen these, and said yes. What an undo does is itself what they said no to.
    let released: Vec<(CategoryId, UserId)> = approved
        .changes()
        .filter(|(part, _)| !is_undo && by.contains_key(&part.category.id))
        .map(|(part, action)| (part.category.id, action.user.clone()))
        .collect();
    report.applied = applier.apply(review.approved).await?;
    killpoint::here("after-applying");
    let (command, fingerprint) = (task.command(), engine.config.fingerprint());
    engine
        .store
        .run(move |store| {
            store.release_applied((&command, &fingerprint), &categories, &released, since)?;
            store.release_done(&made, since)
        })
        .await?;
    Ok(())
}

/// The categories whose reference IDs Kaltura's search cannot tell apart, where files name them so.
pub(super) async fn confusable(
    engine: &Engine,
    route: &Route,
) -> Result<BTreeSet<CategoryId>, RunError> {
    if *route == Route::Calls || engine.config.apply.csv.category == Address::Id {
        return Ok(BTreeSet::new());
    }
    // In the whole account: the search does not stop at kaltura.root.
    let categories = engine.kaltura.categories(None, None).await?;
    let mut by_key: BTreeMap<String, Vec<CategoryId>> = BTreeMap::new();
    for category in categories {
        if let Some(reference) = &category.reference_id {
            let key = search_key(reference);
            by_key.entry(key).or_default().push(category.id);
        }
    }
    let shared = by_key.into_values().filter(|ids| ids.len() > 1);
    Ok(shared.flatten().collect())
}

/// Chooses the way for a plan, and says in the report why, where there is a choice.
pub(super) fn route(
    engine: &Engine,
    request: &Request,
    plan: &Plan,
    report: &mut report::Report,
) -> Route {
    let as_configured = Via::Either(engine.config.apply.via);
    let via = request.via.as_ref().unwrap_or(&as_configured);
    let choice = route::choose(plan, via, Speed::from(&*engine.config));
    let estimate = choice.estimate.filter(|_| !plan.is_empty());
    report.route = estimate.map(|estimate| report::Routed {
        by_files: choice.route != Route::Calls,
        estimate,
    });
    choice.route
}

/// Clears the marks on which there is a verdict now.
pub(super) async fn clear(
    engine: &Engine,
    questions: &scope::Questions,
    scope: &scope::Scope,
    unread: &Unread,
    report: &report::Report,
) -> Result<(), RunError> {
    let parts = report.plan.categories.iter();
    let blocked = parts.filter(|part| part.block.is_some());
    let blocked: BTreeSet<CategoryId> = blocked.map(|part| part.category.id).collect();
    let whole = scope.categories.iter().filter(|(id, (_, who))| {
        *who == Who::Everybody && !unread.categories.contains(id) && !blocked.contains(id)
    });
    let whole: Vec<CategoryId> = whole.map(|(id, _)| *id).collect();
    let (up_to, unread) = (questions.up_to, report.unread);
    let new = scope.new.clone();
    // What waits for a directory that could not be read in full is looked at again by the next run.
    let waiting: Vec<Mark> = report
        .plan
        .categories
        .iter()
        .filter(|part| matches!(part.block, Some(Block::UnprovenRead { .. })))
        .filter(|part| {
            part.actions
                .iter()
                .any(|action| action.lacks_evidence().is_some())
        })
        .map(|part| Mark::Category(part.category.id))
        .collect();
    engine
        .store
        .run(move |store| {
            store.clear_marks(up_to)?;
            store.mark(&waiting)?;
            killpoint::here("while-clearing");
            // What could not be read has not been planned.
            if unread == 0 {
                store.clear_category_marks(&new)?;
            }
            Ok(())
        })
        .await?;
    if unread == 0 && report.is_proven() {
        // Who has seen no channel has seen nothing.
        note_configuration(engine, questions.everything && scope.channels > 0).await?;
    }
    let fingerprint = engine.config.fingerprint();
    engine
        .store
        .run(move |store| {
            // A first plan says nothing of the channels before it is accepted.
            if super::configurations(store)?.stage(&fingerprint) == Stage::Accepted {
                let held = store.held_categories(&Task::Sync.command())?;
                let planned: Vec<_> = whole.into_iter().filter(|id| !held.contains(id)).collect();
                store.note_planned(&planned)?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}

/// Notes how the configuration stands after a run.
async fn note_configuration(engine: &Engine, has_compared: bool) -> Result<(), RunError> {
    let fingerprint = engine.config.fingerprint();
    engine
        .store
        .run(move |store| {
            let sync = Task::Sync.command();
            let held = store.held(clock::now())?;
            let waits = |held: &Held| {
                held.is_of(&fingerprint) && held.command == sync && held.open + held.approved > 0
            };
            let mut configurations = super::configurations(store)?;
            configurations.end(&fingerprint, has_compared, held.iter().any(waits));
            super::remember(store, &configurations)?;
            if configurations.stage(&fingerprint) == Stage::Accepted {
                store.drop_setting(REBUILT)?;
                store.accept_copy()?;
                store.release_others(&fingerprint)?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}
