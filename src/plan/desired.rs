//! Who is wanted where: bindings × mirror.
//!
//! *Its one idea: first which groups feed which category, then who is in those groups.* The first
//! needs only the groups' names, so an incremental run asks for the members of a few groups alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::binding::{Bindings, Levels, Selector};
use super::category::{Block, Grant, Want};
use crate::category::{Category, CategoryId, ReferenceId, UserId};
use crate::config::policy::{Departure, ManualPolicy, VanishedGroup};
use crate::directory::{GroupId, Role};

/// The mirror's number of a person, a group or a mere name.
pub type EntryId = i64;

/// A group's names: all that a binding looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedGroup {
    /// The mirror's number.
    pub entry: EntryId,
    /// The directory it is in.
    pub directory: Arc<str>,
    /// The name that bindings look at.
    pub group_id: GroupId,
}

/// A group ID that was in the directory and is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VanishedName {
    /// The directory it was in.
    pub directory: Arc<str>,
    /// The name that bindings looked at.
    pub group_id: GroupId,
}

/// Which groups feed which categories.
#[derive(Debug, Clone, Default)]
pub struct Assignment {
    /// The categories that any group feeds, or fed.
    pub categories: BTreeMap<CategoryId, Fed>,
    /// What a person should know about groups and categories that do not find each other.
    pub findings: Vec<Finding>,
}

/// What feeds one category.
#[derive(Debug, Clone, Default)]
pub struct Fed {
    /// The groups, in the order of their IDs.
    pub feeds: Vec<Feed>,
    /// The groups that fed it and are not in the directory any more.
    pub vanished: Vec<GroupId>,
    /// What stands against the category as a whole.
    pub block: Option<Block>,
    /// What each of its bindings says about manual memberships, if anything.
    pub manuals: BTreeSet<Option<ManualPolicy>>,
    /// What each of its bindings says about those who leave, if anything.
    pub departures: BTreeSet<Option<Departure>>,
}

impl Fed {
    /// What happens to manual memberships: the gentlest of what the bindings say, where one that says
    /// nothing means the policy.
    pub fn manual(&self, policy: ManualPolicy) -> ManualPolicy {
        let said = self.manuals.iter();
        said.map(|said| said.unwrap_or(policy))
            .min()
            .unwrap_or(policy)
    }

    /// What happens to those who leave: the gentlest of what the bindings say, where one that says
    /// nothing means the policy.
    pub fn departure(&self, policy: Departure) -> Departure {
        let said = self.departures.iter();
        said.map(|said| said.unwrap_or(policy))
            .max()
            .unwrap_or(policy)
    }
}

/// One group that feeds a category.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The group.
    pub entry: EntryId,
    /// Its name.
    pub group_id: GroupId,
    /// What it grants.
    pub levels: Arc<Levels>,
    /// By which binding, from 1; 0 where none is written.
    pub binding: usize,
}

/// Something about a group that a person should know, and that stops nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// No category has the reference ID that the group leads to.
    NoSuchCategory {
        /// The group.
        group: GroupId,
        /// What was looked for.
        reference: String,
        /// A reference ID that differs only by case.
        near: Option<ReferenceId>,
    },
    /// Groups contain each other, this one among them.
    Cycle {
        /// The group.
        group: GroupId,
    },
    /// Groups in groups go deeper than the configured depth.
    TooDeep {
        /// The outermost group.
        group: GroupId,
    },
}

/// Finds out which groups feed which categories.
pub fn assign(
    groups: &[NamedGroup],
    vanished: &[VanishedName],
    bindings: &Bindings,
    categories: &[Category],
    policy: VanishedGroup,
) -> Assignment {
    let index = Index::new(categories);
    let mut assignment = Assignment::default();
    let mut owners: HashMap<(usize, &GroupId, CategoryId), EntryId> = HashMap::new();
    for group in groups {
        for target in bindings.targets(&group.directory, &group.group_id) {
            let found = index.find(&target.category);
            if found.is_empty() {
                assignment
                    .findings
                    .push(index.missing(&group.group_id, &target.category));
            }
            for category in &found {
                let fed = assignment.categories.entry(category.id).or_default();
                fed.manuals.insert(target.manual);
                fed.departures.insert(target.departure);
                fed.feeds.push(Feed {
                    entry: group.entry,
                    group_id: group.group_id.clone(),
                    levels: Arc::clone(&target.levels),
                    binding: target.number,
                });
                let key = (target.rule, &group.group_id, category.id);
                if owners
                    .insert(key, group.entry)
                    .is_some_and(|other| other != group.entry)
                {
                    let group = group.group_id.clone();
                    fed.block = Some(Block::AmbiguousGroup { group });
                }
                if let Some(block) = block_of(category, &found) {
                    fed.block = Some(block);
                }
            }
        }
    }
    for name in vanished {
        for target in bindings.targets(&name.directory, &name.group_id) {
            let found = index.find(&target.category);
            for category in &found {
                let fed = assignment.categories.entry(category.id).or_default();
                fed.vanished.push(name.group_id.clone());
                fed.manuals.insert(target.manual);
                fed.departures.insert(target.departure);
                if let Some(block) = block_of(category, &found) {
                    fed.block = Some(block);
                }
                if policy == VanishedGroup::Keep && fed.block.is_none() {
                    let group = name.group_id.clone();
                    fed.block = Some(Block::NoSuchGroup { group });
                }
            }
        }
    }
    assignment.findings.sort();
    assignment.findings.dedup();
    assignment
}

fn block_of(category: &Category, found: &[&Category]) -> Option<Block> {
    if found.len() > 1 {
        let ids = found.iter().map(|category| category.id).collect();
        return Some(Block::AmbiguousReference { ids });
    }
    category.inherits_from.map(|id| Block::InheritsFrom { id })
}

/// The categories by both of their names.
struct Index<'c> {
    references: HashMap<&'c str, Vec<&'c Category>>,
    /// Reference IDs by their folded form, to tell of those that differ by case only.
    folded: HashMap<String, &'c ReferenceId>,
    numbers: HashMap<CategoryId, &'c Category>,
}

impl<'c> Index<'c> {
    fn new(categories: &'c [Category]) -> Self {
        let mut index = Self {
            references: HashMap::new(),
            folded: HashMap::new(),
            numbers: HashMap::new(),
        };
        for category in categories {
            index.numbers.insert(category.id, category);
            if let Some(reference) = &category.reference_id {
                index
                    .references
                    .entry(reference.as_str())
                    .or_default()
                    .push(category);
                index
                    .folded
                    .insert(reference.as_str().to_lowercase(), reference);
            }
        }
        index
    }

    fn find(&self, selector: &Selector) -> Vec<&'c Category> {
        match selector {
            Selector::Reference(reference) => self
                .references
                .get(reference.as_str())
                .cloned()
                .unwrap_or_default(),
            Selector::Id(id) => self.numbers.get(id).copied().into_iter().collect(),
        }
    }

    fn missing(&self, group: &GroupId, selector: &Selector) -> Finding {
        let (reference, near) = match selector {
            Selector::Reference(reference) => (
                reference.as_str().to_owned(),
                self.folded
                    .get(&reference.as_str().to_lowercase())
                    .copied()
                    .cloned(),
            ),
            Selector::Id(id) => (format!("#{id}"), None),
        };
        Finding::NoSuchCategory {
            group: group.clone(),
            reference,
            near,
        }
    }
}

/// The people and members of the groups that matter for a run.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// The people, by the mirror's number. A member who is neither here nor a group is a mere name.
    pub people: HashMap<EntryId, Listed>,
    /// The groups, by the mirror's number, nested ones included.
    pub groups: HashMap<EntryId, Listing>,
    /// Entries that were groups and are none any more: who was in them is not known.
    pub vanished: HashSet<EntryId>,
}

impl Roster {
    /// Gives a group its members.
    pub(crate) fn fill(&mut self, group: EntryId, members: Vec<(Role, EntryId)>) {
        if let Some(listing) = self.groups.get_mut(&group) {
            listing.members = members;
        }
    }
}

/// A person, as far as wanting them goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The ID in Kaltura.
    pub user: UserId,
    /// A disabled person is wanted nowhere.
    pub enabled: bool,
}

/// A group's direct members.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Its name.
    pub group_id: GroupId,
    /// Whether `members` is all of them.
    pub complete: bool,
    /// How deep groups in this group are followed; 0: not at all.
    pub depth: usize,
    /// Who is in it, and in what capacity.
    pub members: Vec<(Role, EntryId)>,
}

/// Who is wanted in one category, and how good the evidence is.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Who, at the highest level that any group grants.
    pub people: BTreeMap<UserId, Want>,
    /// Why the list may be short: then nobody may lose anything by it.
    pub gap: Option<Block>,
    /// Cycles and depths.
    pub findings: BTreeSet<Finding>,
}

/// The groups between a feeding group and a person.
type Path = Arc<[GroupId]>;

/// Finds out who is wanted in the category that these groups feed.
pub fn desired(feeds: &[Feed], roster: &Roster) -> Desired {
    let mut desired = Desired::default();
    for feed in feeds {
        let Some(listing) = roster.groups.get(&feed.entry) else {
            desired.gap = Some(Block::UnprovenGroup {
                group: feed.group_id.clone(),
            });
            continue;
        };
        let mut by_role: BTreeMap<&Role, Vec<EntryId>> = BTreeMap::new();
        for (role, member) in &listing.members {
            by_role.entry(role).or_default().push(*member);
        }
        desired.note_gap(listing.complete, &feed.group_id);
        for (role, members) in by_role {
            let Some(level) = feed.levels.of(role) else {
                continue;
            };
            for (person, through) in desired.everybody(feed, listing, &members, roster) {
                let want = Want {
                    level,
                    via: Grant {
                        group: feed.group_id.clone(),
                        through,
                        binding: feed.binding,
                    },
                };
                desired
                    .people
                    .entry(person.user.clone())
                    .and_modify(|other| {
                        if level > other.level {
                            *other = want.clone();
                        }
                    })
                    .or_insert(want);
            }
        }
    }
    desired
}

impl Desired {
    fn note_gap(&mut self, complete: bool, group: &GroupId) {
        if !complete {
            self.gap = Some(Block::UnprovenGroup {
                group: group.clone(),
            });
        }
    }

    /// Follows groups in groups, level by level, each group once: a cycle ends by itself.
    fn everybody<'r>(
        &mut self,
        feed: &Feed,
        listing: &Listing,
        members: &[EntryId],
        roster: &'r Roster,
    ) -> Vec<(&'r Listed, Path)> {
        let mut people = Vec::with_capacity(members.len());
        let mut visited = HashSet::from([feed.entry]);
        let here = Path::default();
        let mut level: Vec<(EntryId, Path)> = members
            .iter()
            .map(|member| (*member, Path::clone(&here)))
            .collect();
        for depth in 0.. {
            let mut inner_groups = Vec::new();
            for (member, path) in level.drain(..) {
                if let Some(person) = roster.people.get(&member) {
                    people.extend(person.enabled.then_some((person, path)));
                } else if listing.depth == 0 {
                    // Groups in groups are not asked for.
                } else if roster.vanished.contains(&member) {
                    self.note_gap(false, &feed.group_id);
                } else if member == feed.entry {
                    self.findings.insert(Finding::Cycle {
                        group: feed.group_id.clone(),
                    });
                } else if let Some(inner) = roster.groups.get(&member)
                    && visited.insert(member)
                {
                    let path = path.iter().chain([&inner.group_id]).cloned();
                    inner_groups.push((inner, path.collect::<Path>()));
                }
            }
            if inner_groups.is_empty() {
                break;
            }
            if depth >= listing.depth {
                self.findings.insert(Finding::TooDeep {
                    group: feed.group_id.clone(),
                });
                self.note_gap(false, &feed.group_id);
                break;
            }
            for (inner, path) in inner_groups {
                self.note_gap(inner.complete, &inner.group_id);
                let plain = inner
                    .members
                    .iter()
                    .filter(|(role, _)| role.as_str() == Role::MEMBER);
                level.extend(plain.map(|(_, member)| (*member, Path::clone(&path))));
            }
        }
        people
    }
}

#[cfg(test)]
mod tests;
