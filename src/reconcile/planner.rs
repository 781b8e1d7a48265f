//! What is to be done in each category, by what is wanted and what is there.
//!
//! *Its one idea: what is the same for all categories is read once.* Kaltura is not asked here, and nothing is written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use super::look::Actual;
use super::renamed::Suspects;
use super::report::ReadReport;
use super::scope::{Scope, Who};
use super::{Engine, RunError, Task};
use crate::category::{Category, CategoryId, UserId};
use crate::clock;
use crate::config::policy::Departure;
use crate::directory::{Evidence, Reason};
use crate::plan::CategoryPlan;
use crate::plan::binding::Bindings;
use crate::plan::category::{self, Block, Knowledge, People};
use crate::plan::desired::{self, Assignment, Desired, Fed, Finding, Roster};
use crate::plan::membership::{Last, Rules, Standing};
use crate::store::files::Pending;
use crate::store::roster::{Depths, Terms, Whereabouts};
use crate::store::{Store, StoreError};

/// A part of the scope, planned.
#[derive(Default)]
pub(super) struct Thought {
    pub(super) plans: Vec<CategoryPlan>,
    pub(super) findings: BTreeSet<Finding>,
    pub(super) unsure: Vec<(CategoryId, UserId)>,
    pub(super) suspects: BTreeMap<CategoryId, Suspects>,
}

/// What this program did in a category before.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// What it last did to each membership.
    ledger: BTreeMap<UserId, Last>,
    /// Whom it deactivated so long ago that their time is over.
    over: BTreeSet<UserId>,
}

/// What is the same for all categories of a run.
pub(super) struct Planner {
    pub(super) assignment: Assignment,
    pub(super) roster: Roster,
    standing: BTreeMap<UserId, Standing>,
    /// What may yet happen by files.
    pub(super) pending: BTreeMap<CategoryId, Vec<Pending>>,
    rules: Rules,
    room: u64,
    /// User IDs that several entries have.
    pub(super) findings: BTreeSet<Finding>,
    bindings: Arc<Bindings>,
    /// What this run knows of each directory.
    directories: BTreeMap<Arc<str>, Evidence>,
    /// The directories that have never been read in full: whom they want where is not known at all.
    never_read: BTreeSet<Arc<str>>,
    /// The directories with names that only their last complete read has shown, and its number.
    read_once: BTreeMap<i64, i64>,
    /// Whose changes a person has refused or undone, or is yet to answer.
    pub(super) asked: BTreeMap<CategoryId, BTreeSet<UserId>>,
}

impl Planner {
    pub(super) async fn new(
        engine: &Engine,
        scope: &Scope,
        reads: &[ReadReport],
    ) -> Result<Self, RunError> {
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
    pub(super) fn plan(&self, store: &Store, part: Vec<Actual>) -> Result<Thought, StoreError> {
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
    pub(super) fn part(
        &self,
        fed: &Fed,
        actual: &Actual,
        past: &Past,
        desired: Desired,
    ) -> CategoryPlan {
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

    /// Keeps whoever has no entry in any directory, while a group lists names that no entry has, or entries that cannot
    /// be used: they may be meant. So may anybody, as long as only one read has shown such a name. A name that was there
    /// before their entry went is not theirs.
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
