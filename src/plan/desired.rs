//! Who is wanted where: bindings × mirror.
//!
//! First which groups feed which category ([`assign`]), then who is in those groups ([`desired`]). The
//! first needs only the groups' names, so an incremental run asks for the members of a few groups alone.
//!
//! [`desired`] also says of whom it is *not* known that no group grants them more, and why:
//!
//! | a group lists | it follows |
//! |---|---|
//! | a person | they are wanted |
//! | a person whose account is disabled, or who left the filter | they are not wanted |
//! | a person whose entry is gone or hidden | they are kept: `policy.vanished_person` |
//! | a person whose present user ID cannot be used | whoever had their former IDs is kept |
//! | a name that no entry has, or an entry that cannot be used | whoever has no other entry is kept |
//! | nobody any more, but that is not proven yet | they are kept |
//! | a group that is missing or cannot be used | everybody in the category is kept |

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::binding::{Bindings, Levels, Selector};
use super::category::{Block, Cause, Grant, Want};
use crate::category::{Category, CategoryId, ReferenceId, UserId};
use crate::config::policy::{Departure, ManualPolicy, VanishedGroup};
use crate::directory::{Evidence, GroupId, Reason, Role};

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

/// A group's entry that cannot be used, and so may be the group of a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableName {
    /// The directory it is in.
    pub directory: Arc<str>,
    /// A group ID that it may have.
    pub group_id: GroupId,
}

/// The names of groups, as the mirror has them.
#[derive(Debug, Clone, Default)]
pub struct GroupNames {
    /// The groups that are there.
    pub there: Vec<NamedGroup>,
    /// Group IDs that were there, and are not any more.
    pub vanished: Vec<VanishedName>,
    /// Group IDs of entries that cannot be used.
    pub unusable: Vec<UnusableName>,
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
    /// The directories that the groups are in, or were in.
    pub directories: BTreeSet<Arc<str>>,
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
    /// Two or more entries have one user ID, so none of them is managed.
    SharedUserId {
        /// The user ID.
        user: UserId,
        /// Each entry: its directory and its name.
        entries: Vec<(String, String)>,
    },
    /// Two or more people have one login, which groups name them by, so none of them is managed.
    SharedLogin {
        /// The login.
        login: String,
        /// Each entry: its directory and its name.
        entries: Vec<(String, String)>,
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
    names: &GroupNames,
    bindings: &Bindings,
    categories: &[Category],
    policy: VanishedGroup,
) -> Assignment {
    let index = Index::new(categories);
    let mut assignment = Assignment::default();
    let mut owners: HashMap<(usize, &GroupId, CategoryId), EntryId> = HashMap::new();
    for group in &names.there {
        for target in bindings.targets(&group.directory, &group.group_id) {
            let found = index.find(&target.category);
            if found.is_empty() {
                assignment
                    .findings
                    .push(index.missing(&group.group_id, &target.category));
            }
            for category in &found {
                let fed = assignment.categories.entry(category.id).or_default();
                fed.directories.insert(Arc::clone(&group.directory));
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
    for name in &names.vanished {
        for target in bindings.targets(&name.directory, &name.group_id) {
            let found = index.find(&target.category);
            for category in &found {
                let fed = assignment.categories.entry(category.id).or_default();
                fed.directories.insert(Arc::clone(&name.directory));
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
    for name in &names.unusable {
        for target in bindings.targets(&name.directory, &name.group_id) {
            for category in index.find(&target.category) {
                // What no usable group feeds is not looked at.
                if let Some(fed) = assignment.categories.get_mut(&category.id) {
                    fed.directories.insert(Arc::clone(&name.directory));
                    fed.block.get_or_insert_with(|| Block::UnprovenGroup {
                        group: name.group_id.clone(),
                        reasons: BTreeSet::from([Reason::EntryUnusable]),
                    });
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
    /// Entries of groups that are missing or cannot be used: who is in them is not known.
    pub vanished: HashSet<EntryId>,
    /// People whose entries left the filter, or are gone or hidden.
    pub gone: HashMap<EntryId, Gone>,
    /// Former user IDs of people.
    pub former_ids: HashMap<EntryId, Vec<UserId>>,
    /// Names that no entry has, and entries of people that cannot be used: they may be anybody.
    pub unaccounted: HashMap<EntryId, Unaccounted>,
    /// Members that a group does not list any more, and whose departure is not proven, by group.
    pub departures: HashMap<EntryId, Vec<(Role, EntryId, Reason)>>,
}

/// A person whose entry is not one of ours any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The ID in Kaltura.
    pub user: UserId,
    /// Why they are not wanted.
    pub cause: Cause,
    /// Whether the policy keeps them for now.
    pub is_kept: bool,
}

/// A name that no entry has, or an entry of a person that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unaccounted {
    /// The mirror's number of the directory.
    pub directory: i64,
    /// The read in which the name was first seen; 0 for an entry.
    pub look: i64,
}

impl Roster {
    /// Gives a group its members.
    pub(crate) fn fill(&mut self, group: EntryId, members: Vec<(Role, EntryId)>) {
        if let Some(listing) = self.groups.get_mut(&group) {
            listing.members = members;
        }
    }

    /// Gives a group one more plain member, who has it as their primary group.
    pub(crate) fn add(&mut self, group: EntryId, member: EntryId) {
        if let Some(listing) = self.groups.get_mut(&group) {
            listing.members.push((Role::member(), member));
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
    /// Whether the user ID can be used: Kaltura takes it, and nobody else has it.
    pub is_usable: bool,
    /// The mirror's number of the directory.
    pub directory: i64,
}

/// A group's direct members.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Its name.
    pub group_id: GroupId,
    /// How much is known of `members`.
    pub evidence: Evidence,
    /// How deep groups in this group are followed; 0: not at all.
    pub depth: usize,
    /// Who is in it, and in what capacity.
    pub members: Vec<(Role, EntryId)>,
}

/// Who is wanted in one category, and how much is known of it.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Who, at the highest level that any group grants.
    pub people: BTreeMap<UserId, Want>,
    /// Why nobody may lose anything by this list, where it may be short.
    pub gap: Option<Block>,
    /// Of whom it is not known that no group grants them more, and why.
    pub kept: BTreeMap<UserId, Reason>,
    /// Why people are not wanted whom a group lists.
    pub causes: BTreeMap<UserId, Cause>,
    /// For each directory whose groups list something unaccounted: the newest read in which such a
    /// name was first seen. Whoever has no entry may be meant.
    pub unaccounted: BTreeMap<i64, i64>,
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
            desired.note_gap(&feed.group_id, Reason::EntryUnusable);
            continue;
        };
        desired.note_evidence(listing);
        for (level, members) in by_level(feed, &listing.members) {
            for (person, through) in desired.everybody(feed, listing, &members, roster) {
                let want = Want {
                    level,
                    via: Grant {
                        group: feed.group_id.clone(),
                        through,
                        binding: feed.binding,
                    },
                };
                desired.want(&person.user, want);
            }
        }
        desired.keep_departures(feed, listing, roster);
    }
    desired
}

/// The members of a group by the level that the feed grants them.
fn by_level(
    feed: &Feed,
    members: &[(Role, EntryId)],
) -> BTreeMap<crate::category::PermissionLevel, Vec<EntryId>> {
    let mut by_level: BTreeMap<_, Vec<EntryId>> = BTreeMap::new();
    for (role, member) in members {
        if let Some(level) = feed.levels.of(role) {
            by_level.entry(level).or_default().push(*member);
        }
    }
    by_level
}

impl Desired {
    fn want(&mut self, user: &UserId, want: Want) {
        match self.people.entry(user.clone()) {
            Entry::Vacant(place) => _ = place.insert(want),
            Entry::Occupied(mut place) => {
                if want.level > place.get().level {
                    place.insert(want);
                }
            }
        }
    }

    fn note_gap(&mut self, group: &GroupId, reason: Reason) {
        let gap = self.gap.get_or_insert_with(|| Block::UnprovenGroup {
            group: group.clone(),
            reasons: BTreeSet::new(),
        });
        if let Block::UnprovenGroup { reasons, .. } = gap {
            reasons.insert(reason);
        }
    }

    fn note_evidence(&mut self, listing: &Listing) {
        for reason in listing.evidence.reasons() {
            self.note_gap(&listing.group_id, *reason);
        }
    }

    /// Keeps whom a group does not list any more, until that is proven.
    fn keep_departures(&mut self, feed: &Feed, listing: &Listing, roster: &Roster) {
        for (role, member, reason) in roster.departures.get(&feed.entry).into_iter().flatten() {
            if feed.levels.of(role).is_some() {
                self.keep(feed, listing, *member, *reason, roster);
            }
        }
    }

    /// Keeps a member, or everybody in a member that is a group.
    fn keep(
        &mut self,
        feed: &Feed,
        listing: &Listing,
        member: EntryId,
        reason: Reason,
        roster: &Roster,
    ) {
        let mut inside = Self::default();
        let people = inside.everybody(feed, listing, &[member], roster);
        let users = people.into_iter().map(|(person, _)| &person.user);
        let gone = roster.gone.get(&member).map(|gone| &gone.user);
        let former = roster.former_ids.get(&member).into_iter().flatten();
        let others = inside.kept.keys().chain(inside.causes.keys());
        for user in users.chain(gone).chain(former).chain(others) {
            self.kept.entry(user.clone()).or_insert(reason);
        }
        for (directory, look) in inside.unaccounted {
            self.note_unaccounted(Unaccounted { directory, look });
        }
        if let Some(gap) = inside.gap {
            for reason in gap.evidence().reasons() {
                self.note_gap(&feed.group_id, *reason);
            }
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
                    if self.is_wanted(member, person, roster) {
                        people.push((person, path));
                    }
                } else if self.is_nobody_of_ours(member, roster) || listing.depth == 0 {
                    // Groups in groups are not asked for.
                } else if roster.vanished.contains(&member) {
                    self.note_gap(&feed.group_id, Reason::InnerGroupMissing);
                } else if member == feed.entry {
                    self.findings.insert(Finding::Cycle {
                        group: feed.group_id.clone(),
                    });
                } else if let Some(inner) = roster.groups.get(&member)
                    && visited.insert(member)
                {
                    let path = path.iter().chain([&inner.group_id]).cloned();
                    inner_groups.push((member, inner, path.collect::<Path>()));
                }
            }
            if inner_groups.is_empty() {
                break;
            }
            if depth >= listing.depth {
                self.findings.insert(Finding::TooDeep {
                    group: feed.group_id.clone(),
                });
                self.note_gap(&feed.group_id, Reason::TooDeep);
                break;
            }
            for (entry, inner, path) in inner_groups {
                self.note_evidence(inner);
                let is_plain = |role: &Role| role.as_str() == Role::MEMBER;
                let plain = inner.members.iter().filter(|(role, _)| is_plain(role));
                level.extend(plain.map(|(_, member)| (*member, Path::clone(&path))));
                for (role, member, reason) in roster.departures.get(&entry).into_iter().flatten() {
                    if is_plain(role) {
                        self.keep(feed, listing, *member, *reason, roster);
                    }
                }
            }
        }
        people
    }

    /// Whether a listed person is wanted; notes what follows for their former user IDs.
    fn is_wanted(&mut self, member: EntryId, person: &Listed, roster: &Roster) -> bool {
        let former = roster.former_ids.get(&member).into_iter().flatten();
        if !person.enabled {
            self.causes.insert(person.user.clone(), Cause::Disabled);
            let former = former.map(|user| (user.clone(), Cause::Disabled));
            self.causes.extend(former);
            return false;
        }
        if person.is_usable {
            self.causes
                .extend(former.map(|user| (user.clone(), Cause::OtherId)));
        } else {
            // Who had one of the former IDs would lose access and get none by the present one.
            let former = former.map(|user| (user.clone(), Reason::IdUnusable));
            self.kept.extend(former);
            self.note_unaccounted(Unaccounted {
                directory: person.directory,
                look: 0,
            });
        }
        true
    }

    /// Whether a member is no person of ours, and what follows from that.
    fn is_nobody_of_ours(&mut self, member: EntryId, roster: &Roster) -> bool {
        if let Some(gone) = roster.gone.get(&member) {
            let former = roster.former_ids.get(&member).into_iter().flatten();
            for user in former.chain([&gone.user]) {
                if gone.is_kept {
                    self.kept.insert(user.clone(), Reason::StillListed);
                } else {
                    self.causes.insert(user.clone(), gone.cause);
                }
            }
            return true;
        }
        let unaccounted = roster.unaccounted.get(&member);
        unaccounted
            .map(|name| self.note_unaccounted(*name))
            .is_some()
    }

    fn note_unaccounted(&mut self, name: Unaccounted) {
        let newest = self.unaccounted.entry(name.directory).or_default();
        *newest = name.look.max(*newest);
    }
}

#[cfg(test)]
mod tests;
