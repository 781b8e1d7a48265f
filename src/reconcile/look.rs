//! What is wanted against what is there: the plan, category by category, a part at a time.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use super::scope::{Scope, Who, unproven};
use super::{Engine, RunError};
use crate::category::{Category, CategoryId, Entitlement, UserId};
use crate::clock;
use crate::config::policy::Departure;
use crate::kaltura::{Found, PAIRS_AT_ONCE};
use crate::plan::category::{self, Block, Knowledge, People};
use crate::plan::desired::{self, Assignment, Fed, Finding, Roster};
use crate::plan::membership::{Last, Losses, Rules, Standing};
use crate::plan::{CategoryPlan, Plan};
use crate::store::dirty::Mark;
use crate::store::files::Pending;
use crate::store::roster::Depths;
use crate::store::{Store, StoreError};

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
    is_proven: bool,
) -> Result<Planned, RunError> {
    let planner = Arc::new(Planner::new(engine, scope, is_proven).await?);
    let (mut found, mut outcome) = (Vec::new(), Planned::default());
    engine
        .progress
        .begin("comparing", scope.categories.len() as u64);
    for part in parts(scope) {
        let length = part.len() as u64;
        let actual = actual(engine, part, &mut outcome.unread).await?;
        let (plans, findings) = think(engine, &planner, actual).await?;
        outcome.findings.extend(findings);
        let (whole, plans): (Vec<_>, Vec<_>) = plans
            .into_iter()
            .partition(|plan| plan.managers.is_none() && plan.takes_a_manager());
        found.extend(plans);
        found.extend(look_at_whole(engine, scope, &planner, whole, &mut outcome).await?);
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
    let planner = Planner::new(engine, scope, true).await?;
    let categories = scope.categories.values();
    let parts = categories.filter_map(|(category, who)| {
        let actual = Actual {
            category: category.clone(),
            who: who.clone(),
            members: Vec::new(),
            block: None,
        };
        let fed = planner.assignment.categories.get(&category.id)?;
        let plan = planner.part(fed, &actual, &Past::default(), &mut BTreeSet::new());
        Some(plan)
    });
    Ok(parts.collect())
}

async fn think(
    engine: &Engine,
    planner: &Arc<Planner>,
    actual: Vec<Actual>,
) -> Result<(Vec<CategoryPlan>, BTreeSet<Finding>), RunError> {
    let planner = Arc::clone(planner);
    let thought = engine
        .store
        .run(move |store| planner.plan(store, actual))
        .await?;
    Ok(thought)
}

/// Looks at the whole of channels that a look at some people would take a manager from: whether it is
/// the last one only the whole can tell.
async fn look_at_whole(
    engine: &Engine,
    scope: &Scope,
    planner: &Arc<Planner>,
    channels: Vec<CategoryPlan>,
    outcome: &mut Planned,
) -> Result<Vec<CategoryPlan>, RunError> {
    let part: Part = channels
        .iter()
        .filter_map(|plan| scope.categories.get(&plan.category.id))
        .map(|(category, _)| (category.clone(), Who::Everybody))
        .collect();
    if part.is_empty() {
        return Ok(Vec::new());
    }
    let actual = actual(engine, part, &mut outcome.unread).await?;
    let (plans, findings) = think(engine, planner, actual).await?;
    outcome.findings.extend(findings);
    Ok(plans)
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
struct Actual {
    category: Category,
    who: Who,
    members: Vec<Entitlement>,
    /// What the answers themselves say against the category.
    block: Option<Block>,
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

/// What this program did in a category before.
#[derive(Debug, Default)]
struct Past {
    /// What it last did to each membership.
    ledger: BTreeMap<UserId, Last>,
    /// Whom it deactivated so long ago that their time is over.
    over: BTreeSet<UserId>,
}

/// What is the same for all categories of a run.
struct Planner {
    assignment: Assignment,
    roster: Roster,
    standing: BTreeMap<UserId, Standing>,
    /// What may yet happen by files.
    pending: BTreeMap<CategoryId, Vec<Pending>>,
    rules: Rules,
    room: u64,
    is_proven: bool,
}

impl Planner {
    async fn new(engine: &Engine, scope: &Scope, is_proven: bool) -> Result<Self, RunError> {
        let policy = &engine.config.policy;
        let depths = depths(engine);
        let assignment = scope.assignment(engine);
        let groups = groups_in(&assignment, scope);
        let everything = scope.everything;
        let (roster, shared, pending) = engine
            .store
            .run(move |store| {
                let roster = if everything {
                    store.whole_roster(&depths)?
                } else {
                    store.roster(&groups, &depths)?
                };
                Ok((roster, store.shared_user_ids()?, store.pending()?))
            })
            .await?;
        let shared = shared.into_iter().map(|user| (user, Standing::Shared));
        let protected = policy.protected.iter();
        let protected = protected.map(|user| (UserId::new(user.as_str()), Standing::Protected));
        Ok(Self {
            assignment,
            roster,
            standing: shared.chain(protected).collect(),
            pending,
            rules: Rules {
                manual: policy.manual,
                departure: policy.departure,
                ownership: policy.ownership,
                removed_by_hand: policy.removed_by_hand,
                losses: if is_proven {
                    Losses::Proven
                } else {
                    Losses::Unproven
                },
            },
            room: engine.config.kaltura.members_per_category,
            is_proven,
        })
    }

    /// Plans a part. Blocks; the rest of the run goes on meanwhile.
    fn plan(
        &self,
        store: &Store,
        part: Vec<Actual>,
    ) -> Result<(Vec<CategoryPlan>, BTreeSet<Finding>), StoreError> {
        let mut plans = Vec::with_capacity(part.len());
        let mut findings = BTreeSet::new();
        for actual in part {
            let Some(fed) = self.assignment.categories.get(&actual.category.id) else {
                continue;
            };
            let departure = fed.departure(self.rules.departure);
            let before = Past {
                ledger: store.ledger(actual.category.id)?,
                over: over(store, actual.category.id, departure)?,
            };
            let mut plan = self.part(fed, &actual, &before, &mut findings);
            if let Some(pending) = self.pending.get(&plan.category.id) {
                plan.count_as_done(pending.iter().map(|pending| &pending.action));
            }
            if plan.block.is_some() || !plan.actions.is_empty() {
                plans.push(plan);
            }
        }
        Ok((plans, findings))
    }

    /// Plans one category.
    fn part(
        &self,
        fed: &Fed,
        actual: &Actual,
        past: &Past,
        findings: &mut BTreeSet<Finding>,
    ) -> CategoryPlan {
        let desired = desired::desired(&fed.feeds, &self.roster);
        findings.extend(desired.findings);
        let block = fed
            .block
            .clone()
            .or_else(|| actual.block.clone())
            .or(unproven(self.is_proven))
            .or(desired.gap);
        category::plan(&Knowledge {
            category: &actual.category,
            people: match &actual.who {
                Who::Everybody => People::All,
                Who::These(users) => People::Only(users),
            },
            desired: &desired.people,
            actual: &actual.members,
            ledger: &past.ledger,
            over: &past.over,
            block,
            standing: &self.standing(actual.category.id),
            rules: Rules {
                manual: fed.manual(self.rules.manual),
                departure: fed.departure(self.rules.departure),
                ..self.rules
            },
            room: self.room,
        })
    }

    /// What is known about people in a category.
    fn standing(&self, category: CategoryId) -> Cow<'_, BTreeMap<UserId, Standing>> {
        let Some(pending) = self.pending.get(&category) else {
            return Cow::Borrowed(&self.standing);
        };
        let mut standing = self.standing.clone();
        for pending in pending {
            standing
                .entry(pending.action.user.clone())
                .or_insert(Standing::HandedOver);
        }
        Cow::Owned(standing)
    }
}

/// Whom this program deactivated so long ago that their time is over.
fn over(
    store: &Store,
    category: CategoryId,
    departure: Departure,
) -> Result<BTreeSet<UserId>, StoreError> {
    let Departure::Grace(period) = departure else {
        return Ok(BTreeSet::new());
    };
    let period = SignedDuration::try_from(period.0).unwrap_or(SignedDuration::MAX);
    match clock::now().checked_sub(period) {
        Ok(until) => store.deactivated_until(category, until),
        // Longer than time itself: never over.
        Err(_) => Ok(BTreeSet::new()),
    }
}

fn depths(engine: &Engine) -> Depths {
    let directories = engine.config.directory.iter();
    directories
        .filter(|directory| directory.groups().nested)
        .map(|directory| (directory.name().to_owned(), directory.groups().depth))
        .collect()
}

/// The groups that feed the categories of the scope.
fn groups_in(assignment: &Assignment, scope: &Scope) -> BTreeSet<i64> {
    let categories = scope
        .categories
        .keys()
        .filter_map(|id| assignment.categories.get(id));
    categories
        .flat_map(|fed| &fed.feeds)
        .map(|feed| feed.entry)
        .collect()
}
