//! What is wanted against what is there: the plan, category by category, a part at a time.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use super::again;
use super::renamed::Suspects;
use super::report::ReadReport;
use super::scope::{Scope, Who};
use super::{Engine, RunError, Task};
use crate::category::{Category, CategoryId, Entitlement, UserId};
use crate::clock;
use crate::config::policy::Departure;
use crate::directory::{Evidence, Reason};
use crate::kaltura::{Found, PAIRS_AT_ONCE};
use crate::plan::binding::Bindings;
use crate::plan::category::{self, Block, Knowledge, People};
use crate::plan::desired::{self, Assignment, Desired, Fed, Finding, Roster};
use crate::plan::membership::{Last, Rules, Standing};
use crate::plan::{CategoryPlan, Plan};
use crate::store::dirty::Mark;
use crate::store::files::Pending;
use crate::store::roster::{Depths, Terms, Whereabouts};
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

/// A part of the scope, planned.
#[derive(Default)]
struct Thought {
    plans: Vec<CategoryPlan>,
    findings: BTreeSet<Finding>,
    unsure: Vec<(CategoryId, UserId)>,
    suspects: BTreeMap<CategoryId, Suspects>,
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
    /// User IDs that several entries have.
    findings: BTreeSet<Finding>,
    bindings: Arc<Bindings>,
    /// What this run knows of each directory.
    directories: BTreeMap<Arc<str>, Evidence>,
    /// The directories that have never been read in full: whom they want where is not known at all.
    never_read: BTreeSet<Arc<str>>,
    /// The directories with names that only their last complete read has shown, and its number.
    read_once: BTreeMap<i64, i64>,
    /// Whose changes a person has refused or undone, or is yet to answer.
    asked: BTreeMap<CategoryId, BTreeSet<UserId>>,
}

impl Planner {
    async fn new(engine: &Engine, scope: &Scope, reads: &[ReadReport]) -> Result<Self, RunError> {
        let policy = &engine.config.policy;
        let kept_after = match policy.vanished_person.over_since(clock::now()) {
            None => i64::MIN,
            Some(until) => until.as_second(),
        };
        let terms = Terms {
            depths: depths(engine),
            kept_after,
        };
        let assignment = scope.assignment(engine);
        let groups = groups_in(&assignment, scope);
        let everything = scope.everything;
        let names: Vec<String> = reads.iter().map(|read| read.directory.clone()).collect();
        let (mut roster, shared, logins, pending, never_read, read_once, asked) = engine
            .store
            .run(move |store| {
                let roster = if everything {
                    store.whole_roster(&terms)?
                } else {
                    store.roster(&groups, &terms)?
                };
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let never_read = store.never_read(&names)?;
                let asked = store.undone()?.into_iter();
                Ok((
                    roster,
                    store.shared_user_ids()?,
                    store.shared_logins()?,
                    store.pending()?,
                    never_read,
                    store.read_once()?,
                    asked.chain(store.unanswered(&Task::Sync.command(), clock::now())?),
                ))
            })
            .await?;
        let mut by_category: BTreeMap<CategoryId, BTreeSet<UserId>> = BTreeMap::new();
        for (category, user) in asked {
            by_category.entry(category).or_default().insert(user);
        }
        let findings = shared.iter().map(|shared| Finding::SharedUserId {
            user: shared.user.clone(),
            entries: shared.entries.clone(),
        });
        let by_login = logins.iter().map(|shared| Finding::SharedLogin {
            login: shared.login.clone(),
            entries: shared.entries.clone(),
        });
        let findings = findings.chain(by_login).filter(|_| everything);
        let findings: BTreeSet<Finding> = findings.collect();
        let shared = shared.into_iter().map(|shared| shared.user);
        let by_login = logins.into_iter().flat_map(|shared| shared.users);
        let shared: BTreeSet<UserId> = shared.chain(by_login).collect();
        if !shared.is_empty() {
            for person in roster.people.values_mut() {
                person.is_usable &= !shared.contains(&person.user);
            }
        }
        let shared = shared.into_iter().map(|user| (user, Standing::Shared));
        let protected = policy.protected.iter();
        let protected = protected.map(|user| (UserId::new(user.as_str()), Standing::Protected));
        let directories = reads.iter();
        let directories =
            directories.map(|read| (Arc::from(read.directory.as_str()), read.evidence.clone()));
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
            },
            room: engine.config.kaltura.members_per_category,
            findings,
            bindings: Arc::clone(&engine.bindings),
            directories: directories.collect(),
            never_read,
            read_once,
            asked: by_category,
        })
    }

    /// Plans a part. Blocks; the rest of the run goes on meanwhile.
    fn plan(&self, store: &Store, part: Vec<Actual>) -> Result<Thought, StoreError> {
        let mut thought = Thought::default();
        for actual in part {
            let Some(fed) = self.assignment.categories.get(&actual.category.id) else {
                continue;
            };
            let departure = fed.departure(self.rules.departure);
            let before = Past {
                ledger: store.ledger(actual.category.id)?,
                over: over(store, actual.category.id, departure)?,
            };
            let mut desired = desired::desired(&fed.feeds, &self.roster);
            thought.findings.append(&mut desired.findings);
            let none = BTreeSet::new();
            let asked = self.asked.get(&actual.category.id).unwrap_or(&none);
            self.keep_unaccounted(store, &actual, asked, &mut desired)?;
            let there: BTreeSet<&UserId> = actual.members.iter().map(|row| &row.user).collect();
            let is_unsure =
                |user: &&UserId| desired.kept.contains_key(*user) && !there.contains(*user);
            let unsure = asked.iter().filter(is_unsure);
            let unsure = unsure.map(|user| (actual.category.id, user.clone()));
            thought.unsure.extend(unsure);
            let mut plan = self.part(fed, &actual, &before, desired);
            if let Some(pending) = self.pending.get(&plan.category.id) {
                plan.count_as_done(pending.iter().map(|pending| &pending.action));
            }
            if plan.block.is_some() || !plan.actions.is_empty() {
                let suspects = Suspects::of(store, &plan, &before.ledger)?;
                if !suspects.missing.is_empty() {
                    thought.suspects.insert(plan.category.id, suspects);
                }
                thought.plans.push(plan);
            }
        }
        Ok(thought)
    }

    /// Plans one category.
    fn part(&self, fed: &Fed, actual: &Actual, past: &Past, desired: Desired) -> CategoryPlan {
        let block = fed
            .block
            .clone()
            .or_else(|| actual.block.clone())
            .or_else(|| self.unproven(fed, &actual.category))
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
            kept: &desired.kept,
            causes: &desired.causes,
            standing: &self.standing(actual.category.id),
            rules: Rules {
                manual: fed.manual(self.rules.manual),
                departure: fed.departure(self.rules.departure),
                ..self.rules
            },
            room: self.room,
        })
    }

    /// Whether a directory that feeds a category, or may feed it, is not known in full in this run.
    fn unproven(&self, fed: &Fed, category: &Category) -> Option<Block> {
        for (directory, evidence) in &self.directories {
            let reasons = if fed.directories.contains(directory) {
                evidence.reasons().clone()
            } else if self.never_read.contains(directory)
                && self.bindings.may_feed(directory, category)
            {
                let never = Evidence::unknown(Reason::NeverRead);
                never.and(evidence.clone()).reasons().clone()
            } else {
                continue;
            };
            if !reasons.is_empty() {
                return Some(Block::UnprovenRead {
                    directory: directory.to_string(),
                    reasons,
                });
            }
        }
        None
    }

    /// Keeps whoever has no entry in any directory, while a group lists names that no entry has, or entries
    /// that cannot be used: they may be meant. So may anybody, as long as only one
    /// read has shown such a name. A name that was there before their entry went is not theirs.
    fn keep_unaccounted(
        &self,
        store: &Store,
        actual: &Actual,
        asked: &BTreeSet<UserId>,
        desired: &mut Desired,
    ) -> Result<(), StoreError> {
        if desired.unaccounted.is_empty() {
            return Ok(());
        }
        let there = actual.members.iter().map(|member| &member.user);
        for user in there.chain(asked) {
            if desired.people.contains_key(user)
                || desired.kept.contains_key(user)
                || desired.causes.contains_key(user)
            {
                continue;
            }
            let may_be_meant = store.whereabouts(user)?.iter().any(|place| match place {
                // Whoever was renamed while the directory was read has an entry by the former name.
                Whereabouts::Present => self.read_once.iter().any(|(directory, look)| {
                    let newest = desired.unaccounted.get(directory);
                    newest.is_some_and(|newest| newest >= look)
                }),
                Whereabouts::Gone { directory, look } => {
                    let newest = desired.unaccounted.get(directory);
                    newest.is_some_and(|newest| newest > look)
                }
                Whereabouts::Unknown => true,
            });
            if may_be_meant {
                desired.kept.insert(user.clone(), Reason::PerhapsListed);
            }
        }
        Ok(())
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
