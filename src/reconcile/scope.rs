//! From marks to the categories and people to look at.

use std::collections::{BTreeMap, BTreeSet};

use super::verdict::There;
use super::{Engine, Request, RunError, Task};
use crate::category::{self, Category, CategoryId, UserId};
use crate::directory::GroupId;
use crate::killpoint;
use crate::plan::desired::{self, Assignment, Finding, GroupNames, NamedGroup};
use crate::shown::Shown;
use crate::store::Store;
use crate::store::dirty::Mark;

/// Above so many people, a category is listed rather than asked person by person.
const MOST_PEOPLE: usize = 100;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Questions {
    pub(super) marks: Vec<Mark>,
    pub(super) everything: bool,
    /// Whether a person asked about something in particular.
    narrow: bool,
    /// The newest mark on which this run will have a verdict.
    pub(super) up_to: i64,
}

impl Questions {
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty() && !self.everything && !self.narrow
    }
}

/// Which people of a category to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Everybody,
    These(BTreeSet<UserId>),
}

/// What there is to look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The categories, with their people.
    pub(super) categories: BTreeMap<CategoryId, (Category, Who)>,
    /// All groups, for the assignment.
    pub(super) groups: GroupNames,
    /// The index of categories.
    pub(super) index: Vec<Category>,
    /// The categories that were not in the index before.
    pub(super) new: Vec<CategoryId>,
    /// Whether all of it is looked at.
    pub(super) everything: bool,
    /// Bound categories there are.
    pub(super) channels: u64,
    /// Memberships in all bound categories, by Kaltura's counts.
    pub(super) memberships: u64,
    /// What a person should know.
    pub(super) findings: Vec<Finding>,
}

impl Scope {
    /// Whether this person in this category is looked at.
    pub(super) fn asks_about(&self, category: CategoryId, user: &UserId) -> bool {
        match self.categories.get(&category) {
            Some((_, Who::Everybody)) => true,
            Some((_, Who::These(users))) => users.contains(user),
            None => false,
        }
    }

    /// Whether this membership was to be looked at and is in no channel of ours any more.
    pub(super) fn is_over(
        &self,
        questions: &Questions,
        category: CategoryId,
        user: &UserId,
    ) -> bool {
        let mark = Mark::Entitlement(category, user.clone());
        !self.categories.contains_key(&category) && questions.marks.contains(&mark)
    }

    /// What there is beside a plan.
    pub(super) fn there(&self) -> There {
        There {
            channels: self.channels,
            memberships: self.memberships,
        }
    }

    /// Which groups feed which categories.
    pub(super) fn assignment(&self, engine: &Engine) -> Assignment {
        desired::assign(
            &self.groups,
            &engine.bindings,
            &self.index,
            engine.config.policy.vanished_group,
        )
    }
}

/// Finds out where to look: where the command says, or wherever there are marks.
pub(super) async fn questions(engine: &Engine, request: &Request) -> Result<Questions, RunError> {
    let fingerprint = engine.config.fingerprint();
    let (marks, configurations) = engine
        .store
        .run(|store| Ok((store.marks()?, super::configurations(store)?)))
        .await?;
    if request.is_narrow() {
        let users = request.users.iter().cloned().map(Mark::Person);
        let groups = request.groups.iter().cloned().map(Mark::Group);
        let saved = match &request.task {
            Task::Apply { plan, .. } => plan.changes().collect(),
            Task::Sync | Task::Undo { .. } => Vec::new(),
        };
        let saved = saved
            .into_iter()
            .map(|(part, action)| Mark::Entitlement(part.category.id, action.user.clone()));
        let marks = users.chain(groups).chain(saved).collect();
        return Ok(Questions {
            marks,
            narrow: true,
            ..Questions::default()
        });
    }
    let must_compare = configurations.stage(&fingerprint).must_compare();
    let everything = request.full || must_compare || marks.marks.contains(&Mark::Everything);
    Ok(Questions {
        marks: marks.marks,
        everything,
        narrow: false,
        up_to: marks.up_to,
    })
}

/// Finds the categories and people that the questions are about, as Kaltura has them now.
pub(super) async fn resolve(
    engine: &Engine,
    request: &Request,
    questions: &Questions,
) -> Result<Scope, RunError> {
    let new = refresh_index(engine, questions.everything).await?;
    killpoint::here("after-listing");
    let mut scope = load(engine).await?;
    scope.everything = questions.everything;
    let mut who = whom(engine, request, questions, &scope).await?;
    if !questions.narrow {
        who.extend(new.iter().map(|category| (*category, Who::Everybody)));
    }
    scope.new = new;
    // What is held was planned for everybody, and only the same plan can be released. It is planned
    // together, too: alone, each category may be small enough for the gate.
    let held = engine
        .store
        .run(|store| store.held_categories(&Task::Sync.command()))
        .await?;
    if held.iter().any(|category| who.contains_key(category)) {
        who.extend(held.into_iter().map(|category| (category, Who::Everybody)));
    }
    if !questions.everything {
        let ids: Vec<CategoryId> = who.keys().copied().collect();
        let found = engine.kaltura.categories_by_id(&ids).await?;
        let found = below_root(found, engine.config.kaltura.root.as_deref());
        if found.is_empty() && !ids.is_empty() {
            // All of them at once: the root may be away, or the session may not see it.
            refresh_index(engine, true).await?;
        }
        engine
            .store
            .run(move |store| store.refresh_categories(&ids, &found))
            .await?;
        scope.index = engine.store.run(Store::categories).await?;
    }
    let assignment = scope.assignment(engine);
    let fed: BTreeSet<CategoryId> = assignment.categories.keys().copied().collect();
    scope.findings = findings(&assignment, questions);
    scope.channels = fed.len() as u64;
    scope.memberships = scope
        .index
        .iter()
        .filter(|category| fed.contains(&category.id))
        .map(|category| category.members_count)
        .sum();
    scope.categories = scope
        .index
        .iter()
        .filter(|category| fed.contains(&category.id))
        .filter_map(|category| Some((category.id, (category.clone(), who.remove(&category.id)?))))
        .collect();
    Ok(scope)
}

/// Brings the index of categories up to date: all of it, or what is new. Answers what is new since
/// the first time.
async fn refresh_index(engine: &Engine, everything: bool) -> Result<Vec<CategoryId>, RunError> {
    let root = engine.config.kaltura.root.as_deref();
    let (newest, known) = engine
        .store
        .run(|store| Ok((store.categories_created()?, store.categories()?)))
        .await?;
    let since = newest.filter(|_| !everything);
    engine.progress.begin("listing channels", 0);
    // While Kaltura lists, the mirror is made ready for questions.
    let (found, indexed) = tokio::join!(
        engine.kaltura.categories(root, since),
        engine.store.run(Store::index_memberships)
    );
    indexed?;
    let mut found = found?;
    if since.is_none() {
        found.extend(still_there(engine, &known, &found).await?);
        if found.is_empty() {
            return Err(nothing_there(engine).await?);
        }
    }
    let known: BTreeSet<CategoryId> = known.iter().map(|category| category.id).collect();
    let mut new: Vec<CategoryId> = found.iter().map(|category| category.id).collect();
    // Before the first list everything is looked at anyway.
    let is_first = newest.is_none() && everything;
    new.retain(|id| !is_first && !known.contains(id));
    let marked = new.clone();
    engine
        .store
        .run(move |store| match since {
            None => store.replace_categories(&found, &marked),
            Some(_) => store.add_categories(&found, &marked),
        })
        .await?;
    Ok(new)
}

/// The known channels that a whole list does not show and that are there all the same: the index behind it lags.
async fn still_there(
    engine: &Engine,
    known: &[Category],
    listed: &[Category],
) -> Result<Vec<Category>, RunError> {
    let listed: BTreeSet<CategoryId> = listed.iter().map(|category| category.id).collect();
    let known = known.iter().map(|category| category.id);
    let missing: Vec<CategoryId> = known.filter(|id| !listed.contains(id)).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let found = engine.kaltura.categories_by_id(&missing).await?;
    Ok(below_root(found, engine.config.kaltura.root.as_deref()))
}

/// Why no channel is to be seen at all. Nothing follows from that for anything that was decided before.
pub(super) async fn nothing_there(engine: &Engine) -> Result<RunError, RunError> {
    let root = engine.config.kaltura.root.as_deref();
    let place = root.map_or("in the account".to_owned(), |root| {
        format!("below kaltura.root ({})", Shown(root))
    });
    let sees_everything = engine.kaltura.check().await?.sees_everything;
    let cause = if sees_everything {
        "Check that kaltura.root is the full name of the category above the channels, as it is now, and kaltura.partner_id"
    } else {
        "The session lacks the privilege disableentitlement, and sees only what its user is a member of: make an app token that has it among its sessionPrivileges"
    };
    Ok(RunError::NoChannels { place, cause })
}

/// A category that was moved out of the root is none of ours any more.
pub(super) fn below_root(mut categories: Vec<Category>, root: Option<&str>) -> Vec<Category> {
    if let Some(root) = root {
        let prefix = format!("{}>", root.to_lowercase());
        categories.retain(|category| category.full_name.to_lowercase().starts_with(&prefix));
    }
    categories
}

/// Everything that any group feeds, as the state file has it: nobody is asked.
pub(super) async fn known(engine: &Engine) -> Result<Scope, RunError> {
    let mut scope = load(engine).await?;
    scope.everything = true;
    let mut assignment = scope.assignment(engine);
    scope.categories = scope
        .index
        .iter()
        .filter(|category| assignment.categories.remove(&category.id).is_some())
        .map(|category| (category.id, (category.clone(), Who::Everybody)))
        .collect();
    Ok(scope)
}

async fn load(engine: &Engine) -> Result<Scope, RunError> {
    Ok(engine
        .store
        .run(|store| {
            Ok(Scope {
                groups: store.group_names()?,
                index: store.categories()?,
                ..Scope::default()
            })
        })
        .await?)
}

/// Whom to look at in which category.
async fn whom(
    engine: &Engine,
    request: &Request,
    questions: &Questions,
    scope: &Scope,
) -> Result<BTreeMap<CategoryId, Who>, RunError> {
    let assignment = scope.assignment(engine);
    if questions.everything {
        return Ok(assignment
            .categories
            .keys()
            .map(|id| (*id, Who::Everybody))
            .collect());
    }
    let mut gathered = Gathered::new(&assignment, &scope.groups.there);
    for named in &request.categories {
        let found = category::meant(named, scope.index.iter().map(Category::names));
        if found.is_empty() {
            return Err(RunError::NotFound(format!(
                "no category below kaltura.root has the reference ID, the name or the number {named:?}"
            )));
        }
        for id in found {
            gathered.everybody(id);
        }
    }
    for user in &request.users {
        for (category, _) in engine.kaltura.categories_of(user).await? {
            gathered.person(category, user);
        }
    }
    let marks = questions.marks.clone();
    let places = engine
        .store
        .run(move |store| {
            marks
                .iter()
                .map(|mark| places(store, mark))
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    for (mark, places) in questions.marks.iter().zip(places) {
        gathered.mark(mark, &places);
    }
    Ok(gathered.into_who())
}

/// What the state file adds to a mark: the groups around it, and the categories in the ledger.
#[derive(Debug, Clone, Default)]
struct Places {
    groups: BTreeSet<i64>,
    categories: BTreeSet<CategoryId>,
}

fn places(store: &Store, mark: &Mark) -> Result<Places, crate::store::StoreError> {
    let mut places = Places::default();
    match mark {
        Mark::Group(group) | Mark::Membership(group, _) => {
            places.groups.extend(store.outer_groups(group)?);
        }
        Mark::Person(user) => {
            for group in store.groups_of(user)? {
                places.groups.extend(store.outer_groups(&group)?);
            }
            places.categories = store.ledger_of(user)?;
        }
        Mark::Everything | Mark::Category(_) | Mark::Entitlement(..) => {}
    }
    Ok(places)
}

/// The categories and people gathered so far.
struct Gathered<'a> {
    fed_by: BTreeMap<i64, Vec<CategoryId>>,
    fed_by_vanished: BTreeMap<&'a GroupId, Vec<CategoryId>>,
    who: BTreeMap<CategoryId, Who>,
}

impl<'a> Gathered<'a> {
    fn new(assignment: &'a Assignment, groups: &[NamedGroup]) -> Self {
        let mut gathered = Self {
            fed_by: groups
                .iter()
                .map(|group| (group.entry, Vec::new()))
                .collect(),
            fed_by_vanished: BTreeMap::new(),
            who: BTreeMap::new(),
        };
        for (category, fed) in &assignment.categories {
            for feed in &fed.feeds {
                gathered
                    .fed_by
                    .entry(feed.entry)
                    .or_default()
                    .push(*category);
            }
            for group in &fed.vanished {
                gathered
                    .fed_by_vanished
                    .entry(group)
                    .or_default()
                    .push(*category);
            }
        }
        gathered
    }

    fn mark(&mut self, mark: &Mark, places: &Places) {
        let fed = places
            .groups
            .iter()
            .filter_map(|entry| self.fed_by.get(entry));
        let mut categories: BTreeSet<CategoryId> = fed.flatten().copied().collect();
        categories.extend(&places.categories);
        match mark {
            Mark::Everything => {}
            Mark::Category(category) => self.everybody(*category),
            Mark::Entitlement(category, user) => self.person(*category, user),
            Mark::Person(user) => categories.iter().for_each(|id| self.person(*id, user)),
            Mark::Group(group) => {
                categories.extend(self.fed_by_vanished.get(group).into_iter().flatten());
                for id in categories {
                    self.everybody(id);
                }
            }
            Mark::Membership(group, user) => {
                categories.extend(self.fed_by_vanished.get(group).into_iter().flatten());
                for id in categories {
                    self.person(id, user);
                }
            }
        }
    }

    fn everybody(&mut self, category: CategoryId) {
        self.who.insert(category, Who::Everybody);
    }

    fn person(&mut self, category: CategoryId, user: &UserId) {
        let who = self
            .who
            .entry(category)
            .or_insert_with(|| Who::These(BTreeSet::new()));
        if let Who::These(users) = who {
            users.insert(user.clone());
            if users.len() > MOST_PEOPLE {
                *who = Who::Everybody;
            }
        }
    }

    fn into_who(self) -> BTreeMap<CategoryId, Who> {
        self.who
    }
}

/// The findings that concern this run: all of a full one, else those of the groups it is about.
fn findings(assignment: &Assignment, questions: &Questions) -> Vec<Finding> {
    let about: BTreeSet<&GroupId> = questions
        .marks
        .iter()
        .filter_map(|mark| match mark {
            Mark::Group(group) | Mark::Membership(group, _) => Some(group),
            _ => None,
        })
        .collect();
    let concerns = |finding: &&Finding| match finding {
        Finding::NoSuchCategory { group, .. } => questions.everything || about.contains(group),
        Finding::Cycle { .. }
        | Finding::TooDeep { .. }
        | Finding::SharedUserId { .. }
        | Finding::SharedLogin { .. } => true,
    };
    assignment
        .findings
        .iter()
        .filter(concerns)
        .cloned()
        .collect()
}
