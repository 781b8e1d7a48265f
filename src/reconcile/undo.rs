//! Taking back what an earlier run did.
//!
//! *Its one idea: the way back is a plan like any other*: decided membership by membership on what is
//! there now, through the same gate, journal and history. What the run before did is not done again
//! unasked: the directory still says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Engine, Request, RunError, report, scope, verdict};
use crate::category::{Category, CategoryId, UserId};
use crate::clock;
use crate::kaltura::{Found, PAIRS_AT_ONCE};
use crate::plan::category::{Cause, Named};
use crate::plan::membership::{Decision, Objection};
use crate::plan::undo::{Deed, undo};
use crate::plan::{Action, CategoryPlan, Plan, gate};
use crate::store::history::{Asked, Line};
use crate::store::journal::{FOUND_SO, Outcome};
use crate::store::lease::Lease;
use crate::store::{Store, StoreError};

type Pair = (CategoryId, UserId);

/// What a run did, one line for each membership.
pub(super) type Deeds = BTreeMap<Pair, Line>;

/// Takes deeds back, as far as what is there still is as they left it.
pub(super) async fn steps(
    engine: &Engine,
    request: &Request,
    deeds: Deeds,
    lease: Lease,
    report: &mut report::Report,
) -> Result<(), RunError> {
    let index = index(engine, &deeds).await?;
    let memberships = index.values().map(|category| category.members_count).sum();
    let there = verdict::There {
        channels: index.len() as u64,
        memberships,
    };

    let now = look(engine, &deeds, report).await?;
    let protected = protected(engine);
    let pending = engine.store.run(Store::pending).await?;
    let mut actions: BTreeMap<CategoryId, Vec<Action>> = BTreeMap::new();
    for ((category, user), found) in now {
        let line = &deeds[&(category, user.clone())];
        let there = match &found {
            Found::Present(there) => Some(there),
            _ => None,
        };
        let objection = match found {
            Found::Present(_) | Found::Absent if !index.contains_key(&category) => {
                Some(Objection::OutsideRoot)
            }
            _ if protected.contains(&user) => Some(Objection::Protected),
            _ if pending.get(&category).is_some_and(|pending| {
                pending.iter().any(|pending| pending.action.user == user)
            }) =>
            {
                Some(Objection::HandedOver)
            }
            _ if index.get(&category).and_then(|known| known.owner.as_ref()) == Some(&user) => {
                Some(Objection::OwnerProtected)
            }
            Found::Present(_) | Found::Absent => None,
            _ => Some(Objection::ChangedSince),
        };
        let deed = Deed {
            decision: line.decision,
            before: line.before.as_ref(),
        };
        let decision = objection.map_or_else(|| undo(deed, there), Decision::Skip);
        actions.entry(category).or_default().push(Action {
            user: there.map_or(user, |there| there.user.clone()),
            decision,
            via: line.why.clone(),
            before: there.cloned(),
            cause: Cause::default(),
            extra_permissions: match (decision, deed.before) {
                (Decision::Restore { .. }, Some(before)) => before.extra_permissions.clone(),
                _ => Vec::new(),
            },
        });
    }
    let mut parts = Vec::new();
    for (id, actions) in actions {
        parts.push(part(engine, id, index.get(&id), actions).await?);
    }
    let plan = Plan::new(parts);
    // The history says what is taken back, and no directory is asked.
    let grounds = engine.grounds(BTreeMap::new());
    let circumstances =
        verdict::circumstances(engine, &request.task, &plan, (&there, grounds)).await?;
    let review = gate::review(plan, &circumstances);
    report.trips.clone_from(&review.trips);
    report.note_plan(&review);
    if request.dry_run {
        return Ok(());
    }

    let (run, task, plan) = (report.run, &request.task, report.plan.clone());
    engine
        .store
        .run(move |store| store.write_refusals(run, &plan, clock::now()))
        .await?;
    report.held = verdict::hold(engine, run, task, &review).await?;
    let pairs: Vec<Pair> = review
        .approved
        .plan()
        .changes()
        .map(|(part, action)| (part.category.id, action.user.clone()))
        .collect();
    // Before the first call: a run that is cut off must not be done again by the next.
    engine
        .store
        .run(move |store| store.note_undone(run, &pairs))
        .await?;
    verdict::apply(engine, request, lease, review, report).await
}

/// Reads from the history what a run did: to these people and in these channels, where any are named.
pub(super) async fn deeds(
    engine: &Engine,
    run: i64,
    users: &BTreeSet<UserId>,
    categories: &BTreeSet<CategoryId>,
) -> Result<Deeds, RunError> {
    let account = engine.store.run(move |store| store.account_of(run)).await?;
    if account.is_some_and(|account| account != engine.config.kaltura.account()) {
        return Err(RunError::Usage(
            "that run was made in another Kaltura account (kaltura.url, kaltura.partner_id): undo it with the configuration of that account",
        ));
    }
    let (users, categories) = (users.clone(), categories.clone());
    engine
        .store
        .run(move |store| {
            let asked = Asked {
                run: Some(run),
                ..Asked::default()
            };
            let mut deeds = Deeds::new();
            let mut any = false;
            store.history(&asked, |line| {
                any = true;
                let done = line.outcome == Outcome::Done
                    && line.decision.is_change()
                    && line.answer.as_deref() != Some(FOUND_SO);
                let meant = (users.is_empty() || users.contains(&line.user))
                    && (categories.is_empty() || categories.contains(&line.category));
                if done && meant {
                    deeds.insert((line.category, line.user.clone()), line);
                }
                Ok::<_, StoreError>(())
            })?;
            Ok(if any { Some(deeds) } else { None })
        })
        .await?
        .ok_or_else(|| {
            RunError::NotFound(format!(
                "the history has nothing of a run {run}. `rollbook status` lists the last runs; what still waits in files to be uploaded is not done, and is given up with rollbook settle DIR --discard"
            ))
        })
}

/// All categories; those that are concerned as they are now, because what is kept of them may be old.
async fn index(engine: &Engine, deeds: &Deeds) -> Result<BTreeMap<CategoryId, Category>, RunError> {
    let concerned: BTreeSet<CategoryId> = deeds.keys().map(|(category, _)| *category).collect();
    let ids: Vec<CategoryId> = concerned.iter().copied().collect();
    let found = engine.kaltura.categories_by_id(&ids).await?;
    let (is_there, root) = (!found.is_empty(), engine.config.kaltura.root.as_deref());
    let now = scope::below_root(found, root);
    if is_there && now.is_empty() && engine.kaltura.categories(root, None).await?.is_empty() {
        return Err(scope::nothing_there(engine).await?);
    }
    let kept = engine.store.run(Store::categories).await?;
    let others = kept
        .into_iter()
        .filter(|category| !concerned.contains(&category.id));
    let all = others.chain(now);
    Ok(all.map(|category| (category.id, category)).collect())
}

/// Looks at what is there now, in the database.
async fn look(
    engine: &Engine,
    deeds: &Deeds,
    report: &mut report::Report,
) -> Result<Vec<(Pair, Found)>, RunError> {
    let pairs: Vec<Pair> = deeds.keys().cloned().collect();
    let mut found = Vec::with_capacity(pairs.len());
    engine.progress.begin("comparing", pairs.len() as u64);
    for chunk in pairs.chunks(PAIRS_AT_ONCE) {
        let answers = engine.kaltura.memberships(chunk).await?;
        for (pair, answer) in chunk.iter().zip(answers) {
            match answer {
                Found::Failed(_) => report.unread += 1,
                answer => found.push((pair.clone(), answer)),
            }
        }
        engine.progress.advance(chunk.len() as u64);
    }
    engine.progress.end();
    Ok(found)
}

fn protected(engine: &Engine) -> BTreeSet<UserId> {
    let protected = engine.config.policy.protected.iter();
    protected.map(|user| UserId::new(user.as_str())).collect()
}

async fn part(
    engine: &Engine,
    id: CategoryId,
    known: Option<&Category>,
    mut actions: Vec<Action>,
) -> Result<Arc<CategoryPlan>, RunError> {
    actions.retain(|action| action.decision != Decision::Keep);
    actions.sort_by_key(|action| !action.decision.is_departure());
    let mut part = CategoryPlan {
        category: known.map_or_else(
            || Named {
                id,
                reference_id: None,
                name: format!("channel {id}"),
            },
            Named::of,
        ),
        block: None,
        actions,
        members: known.map_or(0, |known| known.members_count),
        fresh: true,
        manual: 0,
        owned: known.is_some_and(|known| known.owner.is_some()),
        managers: None,
    };
    if let Some(known) = known
        && part.losses() > 0
    {
        // How great a share that is, and whether it is the last manager, only the whole can tell.
        let list = engine.kaltura.members(std::slice::from_ref(known)).await?;
        if let Some(members) = list.get(&id) {
            part.count(members);
        }
    }
    let pending = engine.store.run(Store::pending).await?;
    if let Some(pending) = pending.get(&id) {
        part.count_as_done(pending.iter().map(|pending| &pending.action));
    }
    Ok(Arc::new(part))
}
