//! What Kaltura has, read a part at a time, and the plan that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::again;
use super::planner::{Past, Planner, Thought};
use super::report::ReadReport;
use super::scope::{Scope, Who};
use super::{Engine, RunError};
use crate::category::{Category, CategoryId, Entitlement, UserId};
use crate::kaltura::{Found, PAIRS_AT_ONCE};
use crate::plan::category::Block;
use crate::plan::desired::{self, Finding};
use crate::plan::{CategoryPlan, Plan};
use crate::store::dirty::Mark;

/// Memberships read from Kaltura before they are planned and forgotten: memory stays flat.
const MEMBERSHIPS_AT_ONCE: u64 = 250_000;

/// A plan, and what was met on the way to it.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// What could not be read, and was put off.
    pub(super) unread: Unread,
    /// Groups that contain themselves, or go too deep.
    pub(super) findings: BTreeSet<Finding>,
    /// Of those of whom a person has said something, or is yet to: who is not there and not wanted now, while it is
    /// not known that no group lists them.
    pub(super) unsure: BTreeSet<(CategoryId, UserId)>,
}

impl Planned {
    /// Takes in what was thought of a part; answers the plans.
    fn take(&mut self, thought: Thought) -> Vec<CategoryPlan> {
        self.findings.extend(thought.findings);
        self.unsure.extend(thought.unsure);
        thought.plans
    }
}

/// What could not be read. Nothing is known of it, so nothing about it is settled.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Whole categories.
    pub(super) categories: BTreeSet<CategoryId>,
    /// Single memberships.
    pub(super) people: BTreeSet<(CategoryId, UserId)>,
}

impl Unread {
    /// How many categories and single memberships there are.
    pub(super) fn count(&self) -> u64 {
        (self.categories.len() + self.people.len()) as u64
    }
}

/// Plans all categories of the scope.
pub(super) async fn plan(
    engine: &Engine,
    scope: &Scope,
    reads: &[ReadReport],
) -> Result<Planned, RunError> {
    let planner = Arc::new(Planner::new(engine, scope, reads).await?);
    let (mut found, mut outcome) = (Vec::new(), Planned::default());
    outcome.findings.clone_from(&planner.findings);
    engine
        .progress
        .begin("comparing", scope.categories.len() as u64);
    for part in parts(scope) {
        let length = part.len() as u64;
        let mut actual = actual(engine, part, &mut outcome.unread).await?;
        again::look_again(engine, &planner.asked, &mut actual, &mut outcome.unread).await?;
        let plans = mind_renames(engine, scope, &planner, actual, &mut outcome).await?;
        let (whole, plans): (Vec<_>, Vec<_>) = plans
            .into_iter()
            .partition(|plan| plan.fresh && plan.losses() > 0);
        found.extend(plans);
        found.extend(counted(engine, scope, &planner, whole, &mut outcome).await?);
        engine.progress.advance(length);
    }
    outcome.plan = Plan::new(found);
    Ok(outcome)
}

/// Plans all categories of the scope as if nobody were in them, and nobody ever had been: what the groups grant,
/// and what stands against it. Kaltura is not asked.
pub(super) async fn from_nothing(
    engine: &Engine,
    scope: &Scope,
) -> Result<Vec<CategoryPlan>, RunError> {
    let planner = Planner::new(engine, scope, &[]).await?;
    let categories = scope.categories.values();
    let parts = categories.filter_map(|(category, who)| {
        let actual = Actual {
            category: category.clone(),
            who: who.clone(),
            members: Vec::new(),
            block: None,
        };
        let fed = planner.assignment.categories.get(&category.id)?;
        let desired = desired::desired(&fed.feeds, &planner.roster);
        Some(planner.part(fed, &actual, &Past::default(), desired))
    });
    Ok(parts.collect())
}

/// Plans a part, and leaves alone whoever may have been renamed in Kaltura. A channel of which only some people were
/// looked at is looked at as a whole where somebody is missing whom Kaltura does not know.
async fn mind_renames(
    engine: &Engine,
    scope: &Scope,
    planner: &Arc<Planner>,
    actual: Vec<Actual>,
    outcome: &mut Planned,
) -> Result<Vec<CategoryPlan>, RunError> {
    let mut thought = think(engine, planner, actual).await?;
    let mut suspects = std::mem::take(&mut thought.suspects);
    let mut plans = outcome.take(thought);
    let missing = suspects.iter().flat_map(|(category, suspects)| {
        let missing = suspects.missing.iter();
        missing.map(|(user, _)| (*category, user.clone()))
    });
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return Ok(plans);
    }
    let mut unknown = BTreeSet::new();
    for chunk in missing.chunks(PAIRS_AT_ONCE) {
        unknown.extend(engine.kaltura.unknown_users(chunk).await?);
    }
    suspects.retain(|_, suspects| suspects.concern(&unknown));
    let (some, rest): (Vec<_>, Vec<_>) = plans
        .into_iter()
        .partition(|plan| plan.fresh && suspects.contains_key(&plan.category.id));
    plans = rest;
    if let Some(part) = whole_of(scope, &some) {
        let actual = self::actual(engine, part, &mut outcome.unread).await?;
        let mut thought = think(engine, planner, actual).await?;
        suspects.append(&mut thought.suspects);
        plans.extend(outcome.take(thought));
    }
    for plan in &mut plans {
        if let Some(suspects) = suspects.get(&plan.category.id) {
            suspects.leave_alone(plan, &unknown);
        }
    }
    Ok(plans)
}

async fn think(
    engine: &Engine,
    planner: &Arc<Planner>,
    actual: Vec<Actual>,
) -> Result<Thought, RunError> {
    let planner = Arc::clone(planner);
    let thought = engine
        .store
        .run(move |store| planner.plan(store, actual))
        .await?;
    Ok(thought)
}

/// Counts the members of channels that a look at some people would take access from: how great a share that is, and
/// whether it is the last manager, only the whole can tell. Kaltura's own counters may be wrong for good.
async fn counted(
    engine: &Engine,
    scope: &Scope,
    planner: &Planner,
    plans: Vec<CategoryPlan>,
    outcome: &mut Planned,
) -> Result<Vec<CategoryPlan>, RunError> {
    let Some(part) = whole_of(scope, &plans) else {
        return Ok(Vec::new());
    };
    let actual = actual(engine, part, &mut outcome.unread).await?;
    let lists = actual
        .iter()
        .map(|actual| (actual.category.id, &actual.members));
    let lists: BTreeMap<CategoryId, &Vec<Entitlement>> = lists.collect();
    let mut counted = Vec::with_capacity(plans.len());
    for mut plan in plans {
        let Some(members) = lists.get(&plan.category.id) else {
            continue;
        };
        plan.count(members);
        if let Some(pending) = planner.pending.get(&plan.category.id) {
            plan.count_as_done(pending.iter().map(|pending| &pending.action));
        }
        counted.push(plan);
    }
    Ok(counted)
}

/// The channels of some plans, to be looked at as a whole; nothing, where there are none.
fn whole_of(scope: &Scope, plans: &[CategoryPlan]) -> Option<Part> {
    let part: Part = plans
        .iter()
        .filter_map(|plan| scope.categories.get(&plan.category.id))
        .map(|(category, _)| (category.clone(), Who::Everybody))
        .collect();
    (!part.is_empty()).then_some(part)
}

type Part = Vec<(Category, Who)>;

/// Divides the categories into parts of about equal cost.
fn parts(scope: &Scope) -> Vec<Part> {
    let mut parts = vec![Part::new()];
    let mut cost = 0;
    for (category, who) in scope.categories.values() {
        cost += match who {
            Who::Everybody => category.members_count,
            Who::These(users) => users.len() as u64,
        };
        if let Some(part) = parts.last_mut() {
            part.push((category.clone(), who.clone()));
        }
        if cost >= MEMBERSHIPS_AT_ONCE {
            parts.push(Part::new());
            cost = 0;
        }
    }
    parts
}

/// A category with what Kaltura has in it.
pub(super) struct Actual {
    pub(super) category: Category,
    pub(super) who: Who,
    pub(super) members: Vec<Entitlement>,
    /// What the answers themselves say against the category.
    pub(super) block: Option<Block>,
}

/// Asks Kaltura: whole categories by list, single people from the database. A category whose list is
/// not to be had is left out, and marked, so that the next run looks at it again.
async fn actual(engine: &Engine, part: Part, unread: &mut Unread) -> Result<Vec<Actual>, RunError> {
    let (whole, some): (Part, Part) = part
        .into_iter()
        .partition(|(_, who)| *who == Who::Everybody);
    let listable: Vec<Category> = whole
        .iter()
        .filter(|(category, _)| category.inherits_from.is_none())
        .map(|(category, _)| category.clone())
        .collect();
    let mut lists = if listable.is_empty() {
        BTreeMap::new()
    } else {
        engine.kaltura.members(&listable).await?
    };
    let mut actual = Vec::new();
    let mut again = Vec::new();
    for (category, who) in whole {
        let inherits = category.inherits_from.is_some();
        let list = lists
            .remove(&category.id)
            .or_else(|| inherits.then(Vec::new));
        if let Some(members) = list {
            actual.push(Actual {
                category,
                who,
                members,
                block: None,
            });
        } else {
            again.push(Mark::Category(category.id));
            unread.categories.insert(category.id);
        }
    }
    if !again.is_empty() {
        engine.store.run(move |store| store.mark(&again)).await?;
    }
    actual.extend(single(engine, some, &mut unread.people).await?);
    Ok(actual)
}

async fn single(
    engine: &Engine,
    part: Part,
    unread: &mut BTreeSet<(CategoryId, UserId)>,
) -> Result<Vec<Actual>, RunError> {
    let mut actual = Vec::new();
    let mut pairs: Vec<(CategoryId, UserId)> = Vec::new();
    for (category, who) in part {
        if let Who::These(users) = &who {
            let askable = users.iter().filter(|user| user.problem().is_none());
            pairs.extend(askable.map(|user| (category.id, user.clone())));
        }
        actual.push(Actual {
            category,
            who,
            members: Vec::new(),
            block: None,
        });
    }
    let places: BTreeMap<CategoryId, usize> = actual
        .iter()
        .enumerate()
        .map(|(place, actual)| (actual.category.id, place))
        .collect();
    for chunk in pairs.chunks(PAIRS_AT_ONCE) {
        let found = engine.kaltura.memberships(chunk).await?;
        for ((category, user), found) in chunk.iter().zip(found) {
            let Some(there) = places
                .get(category)
                .and_then(|place| actual.get_mut(*place))
            else {
                continue;
            };
            match found {
                Found::Present(entitlement) => there.members.push(entitlement),
                Found::Absent => {}
                Found::Inherited { from } => there.block = Some(Block::InheritsFrom { id: from }),
                Found::NoSuchCategory => there.who = Who::These(BTreeSet::new()),
                Found::Failed(error) => {
                    tracing::warn!(
                        category = category.0,
                        code = error.code,
                        "a membership could not be read"
                    );
                    put_off(engine, *category, user, &error.code).await?;
                    unread.insert((*category, user.clone()));
                    if let Who::These(users) = &mut there.who {
                        users.remove(user);
                    }
                }
            }
        }
    }
    Ok(actual)
}

/// Sets a membership aside that could not be read.
async fn put_off(
    engine: &Engine,
    category: CategoryId,
    user: &UserId,
    code: &str,
) -> Result<(), RunError> {
    let item = crate::store::set_aside::SetAside {
        category,
        user: user.clone(),
        reason: code.to_owned(),
        at: crate::clock::now(),
        first_wait_s: 60,
    };
    Ok(engine.store.run(move |store| store.put_off(&item)).await?)
}
