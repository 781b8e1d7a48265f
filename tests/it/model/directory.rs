//! The directory of the model: who is in which group, and who is therefore wanted where.
//!
//! *Its one idea: the same answer by another way.* Plain maps, names followed one by one, no store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Names that groups may have. The last two feed no channel of their own.
pub(super) const NAMES: [&str; 8] = [
    "bio",
    "chem",
    "his",
    "math",
    "bio-staff",
    "chem-staff",
    "inner-a",
    "inner-b",
];
pub(super) const PEOPLE: usize = 9;

/// What stands at the end of a whole export.
pub(super) const END: &str = "# end of export";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    Person(usize),
    Group(usize),
    /// A name that nobody has.
    Stranger(u8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// The name in the tree.
    pub(super) name: String,
    pub(super) login: String,
    pub(super) enabled: bool,
    pub(super) there: bool,
    /// Without a login, so that it cannot be used.
    pub(super) broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// It has no name that a binding could look at.
    NoName,
    /// One of its members is not a name.
    BadMember,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: BTreeSet<Member>,
    pub(super) owners: BTreeSet<usize>,
    pub(super) there: bool,
    pub(super) flaw: Flaw,
}

/// People and groups by number, which is their stable id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) people: Vec<Person>,
    pub(super) groups: Vec<Group>,
}

impl Directory {
    /// Nine people, eight groups, two or three people in each.
    pub(super) fn new() -> Self {
        let person = |n| Person {
            name: format!("person{n}"),
            // Files must not name who has fewer than three characters.
            login: format!("p1{n}"),
            enabled: true,
            there: true,
            broken: false,
        };
        let group = |n: usize| Group {
            name: NAMES[n].to_owned(),
            members: (n..n + 3).map(|p| Member::Person(p % PEOPLE)).collect(),
            owners: BTreeSet::from([(n + 3) % PEOPLE]),
            there: n != 3,
            flaw: Flaw::None,
        };
        Self {
            people: (0..PEOPLE).map(person).collect(),
            groups: (0..NAMES.len()).map(group).collect(),
        }
    }

    /// Whether each entry can be used.
    pub(super) fn is_sound(&self) -> bool {
        let broken = |person: &Person| person.there && person.broken;
        let flawed = |group: &Group| group.there && group.flaw != Flaw::None;
        !self.people.iter().any(broken) && !self.groups.iter().any(flawed)
    }

    /// The people who have a login that another has, too.
    pub(super) fn shared(&self) -> BTreeSet<String> {
        let (mut once, mut twice) = (BTreeSet::new(), BTreeSet::new());
        for person in self.people.iter().filter(|person| person.there) {
            let key = person.login.to_lowercase();
            if !once.insert(key.clone()) {
                twice.insert(key);
            }
        }
        twice
    }

    fn dn(&self, member: Member) -> String {
        match member {
            Member::Person(n) => format!("cn={},ou=people,dc=x", self.people[n].name),
            Member::Group(n) => format!("cn={},ou=groups,dc=x", self.groups[n].name),
            Member::Stranger(n) => format!("cn=stranger{n},ou=people,dc=x"),
        }
    }

    /// The names that somebody or something has.
    fn present(&self) -> impl Iterator<Item = String> {
        let people = (0..self.people.len()).filter(|n| self.people[*n].there);
        let groups = (0..self.groups.len()).filter(|n| self.groups[*n].there);
        let people = people.map(|n| self.dn(Member::Person(n)));
        people.chain(groups.map(|n| self.dn(Member::Group(n))))
    }

    /// The export, without its end; `people_as` are the people as they were when theirs was written.
    pub(super) fn ldif(&self, people_as: &Self) -> String {
        let mut text = "dn: dc=x\nobjectClass: organization\no: X\n\n".to_owned();
        for (n, person) in people_as.people.iter().enumerate().filter(|(_, p)| p.there) {
            let dn = people_as.dn(Member::Person(n));
            write!(text, "dn: {dn}\nobjectClass: person\nentryUUID: u{n}\n").unwrap();
            if !person.broken {
                writeln!(text, "uid: {}", person.login).unwrap();
            }
            writeln!(text, "st: {}\n", if person.enabled { "on" } else { "off" }).unwrap();
        }
        for (n, group) in self.groups.iter().enumerate().filter(|(_, g)| g.there) {
            let dn = self.dn(Member::Group(n));
            write!(
                text,
                "dn: {dn}\nobjectClass: groupOfNames\nentryUUID: g{n}\n"
            )
            .unwrap();
            if group.flaw != Flaw::NoName {
                writeln!(text, "ou: {}", group.name).unwrap();
            }
            for member in &group.members {
                writeln!(text, "member: {}", self.dn(*member)).unwrap();
            }
            if group.flaw == Flaw::BadMember {
                text += "member: nobody in particular\n";
            }
            for owner in &group.owners {
                writeln!(text, "owner: {}", self.dn(Member::Person(*owner))).unwrap();
            }
            text += "\n";
        }
        text
    }
}

/// A level as a rank: the higher, the more one may do. No membership has rank 0, as `none` has.
pub(super) type Rank = i64;

/// Who is wanted in a channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// By folded login.
    pub(super) people: BTreeMap<String, Rank>,
    /// Whether any group feeds it.
    pub(super) fed: bool,
    /// Groups mentioned that are not there.
    pub(super) gaps: BTreeSet<usize>,
}

const MEMBER: Rank = 1;
const MODERATOR: Rank = 3;
const MANAGER: Rank = 4;

impl Directory {
    /// Who is wanted in the channel with this reference ID.
    pub(super) fn wanted(&self, reference: &str) -> Wanted {
        let mut wanted = Wanted::default();
        for (n, group) in self.groups.iter().enumerate().filter(|(_, g)| g.there) {
            let (level, owners) = if group.name == reference {
                (MEMBER, Some(MANAGER))
            } else if group.name == format!("{reference}-staff") {
                (MODERATOR, None)
            } else {
                continue;
            };
            wanted.fed = true;
            for person in self.inside(n, &mut wanted.gaps) {
                wanted.grant(&self.people[person], level);
            }
            for owner in owners.iter().flat_map(|_| &group.owners) {
                wanted.grant(&self.people[*owner], owners.unwrap_or(MEMBER));
            }
        }
        wanted
    }

    /// Everybody in a group, and in the groups in it.
    fn inside(&self, group: usize, gaps: &mut BTreeSet<usize>) -> BTreeSet<usize> {
        let (mut people, mut met, mut open) =
            (BTreeSet::new(), BTreeSet::from([group]), vec![group]);
        while let Some(next) = open.pop() {
            for member in &self.groups[next].members {
                match *member {
                    Member::Person(person) => _ = people.insert(person),
                    Member::Group(inner) if !self.groups[inner].there => _ = gaps.insert(inner),
                    Member::Group(inner) if met.insert(inner) => open.push(inner),
                    Member::Group(_) | Member::Stranger(_) => {}
                }
            }
        }
        people
    }
}

impl Wanted {
    fn grant(&mut self, person: &Person, rank: Rank) {
        if person.there && person.enabled {
            let granted = self.people.entry(person.login.to_lowercase()).or_default();
            *granted = rank.max(*granted);
        }
    }
}

/// What groups of a channel list that may be somebody who is not wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    /// People who are not there, by number.
    pub(super) gone: BTreeSet<usize>,
    /// Whether something is listed of which nobody knows who it is.
    pub(super) anybody: bool,
}

impl Directory {
    /// What the groups of the channel with this reference ID list that is nobody's who is there.
    fn listed(&self, reference: &str) -> Listed {
        let mut listed = Listed::default();
        let shared = self.shared();
        for (n, group) in self.groups.iter().enumerate().filter(|(_, g)| g.there) {
            if !leads_to(&group.name, reference) {
                continue;
            }
            let mut open = vec![n];
            let mut met = BTreeSet::from([n]);
            while let Some(next) = open.pop() {
                let group = &self.groups[next];
                // Of a group in a group only the members count.
                let owners = group.owners.iter().filter(|_| next == n);
                let owners = owners.copied().map(Member::Person);
                // Owners of a group of staff are granted nothing.
                let grants = |member: &Member| {
                    self.groups[n].name == reference || group.members.contains(member)
                };
                for member in group.members.iter().copied().chain(owners) {
                    match member {
                        Member::Person(person) => {
                            let person_of = &self.people[person];
                            if !person_of.there && grants(&member) {
                                listed.gone.insert(person);
                            }
                            let login = person_of.login.to_lowercase();
                            listed.anybody |=
                                !person_of.there || person_of.broken || shared.contains(&login);
                        }
                        Member::Stranger(_) => listed.anybody = true,
                        Member::Group(inner) if met.insert(inner) => open.push(inner),
                        Member::Group(_) => {}
                    }
                }
            }
        }
        listed
    }

    /// Whether somebody is there with this login.
    fn has(&self, login: &str) -> bool {
        let mut people = self.people.iter().filter(|person| person.there);
        people.any(|person| person.login.to_lowercase() == login)
    }
}

/// What the directory was when it was last read as a whole.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The logins of people when they were last there.
    last_login: BTreeMap<usize, String>,
    /// The logins that people have had.
    former_logins: BTreeSet<String>,
    pub(super) directory: Directory,
    /// Names of groups that were there, and are not.
    pub(super) vanished: BTreeSet<String>,
    /// The same, where half an export may have shown the name, too.
    pub(super) maybe_vanished: BTreeSet<String>,
    /// Groups that were there and are not, and who still mentions them.
    pub(super) lost: BTreeSet<(usize, usize)>,
    /// Whether half an export was read since, so that nobody knows what is known of a broken entry.
    pub(super) fuzzy: bool,
    /// Whether a group has got a name that nobody has: perhaps somebody was renamed while it was read,
    /// so nobody may leave the group before it is read again.
    pub(super) doubtful: bool,
    ever: BTreeSet<String>,
    maybe_ever: BTreeSet<String>,
}

impl Known {
    /// Nothing has been read.
    pub(super) fn nothing() -> Self {
        let mut directory = Directory::new();
        directory.people.iter_mut().for_each(|p| p.there = false);
        directory.groups.iter_mut().for_each(|g| g.there = false);
        Self {
            directory,
            last_login: BTreeMap::new(),
            former_logins: BTreeSet::new(),
            vanished: BTreeSet::new(),
            maybe_vanished: BTreeSet::new(),
            lost: BTreeSet::new(),
            fuzzy: false,
            doubtful: false,
            ever: BTreeSet::new(),
            maybe_ever: BTreeSet::new(),
        }
    }

    /// Learns from half an export: names, at most.
    pub(super) fn half(&mut self, directory: &Directory) {
        let there = directory.groups.iter().filter(|group| group.there);
        self.maybe_ever
            .extend(there.map(|group| group.name.clone()));
        self.fuzzy = true;
    }

    /// Learns from a whole export. A broken entry is as it was last known.
    pub(super) fn whole(&mut self, now: &Directory) {
        let before = std::mem::replace(&mut self.directory, now.clone());
        for (n, person) in self.directory.people.iter_mut().enumerate() {
            if person.there && person.broken {
                *person = before.people[n].clone();
            }
        }
        for (n, group) in self.directory.groups.iter_mut().enumerate() {
            if group.there && group.flaw == Flaw::NoName {
                *group = before.groups[n].clone();
                group.flaw = Flaw::NoName;
            }
        }
        for (n, person) in self.directory.people.iter().enumerate() {
            if person.there {
                let login = person.login.to_lowercase();
                self.former_logins.insert(login.clone());
                self.last_login.insert(n, login);
            }
        }
        let held = |directory: &Directory, n: usize| -> BTreeSet<String> {
            let group = &directory.groups[n];
            let owners = group.owners.iter().copied().map(Member::Person);
            let all = group.members.iter().copied().chain(owners);
            let all = all.filter(|_| group.there);
            all.map(|member| directory.dn(member)).collect()
        };
        let somebody: BTreeSet<String> = self.directory.present().collect();
        self.doubtful = (0..self.directory.groups.len()).any(|n| {
            let (was, is) = (held(&before, n), held(&self.directory, n));
            is.difference(&was).any(|name| !somebody.contains(name))
        });
        let names: BTreeSet<String> = self
            .directory
            .groups
            .iter()
            .filter(|group| group.there)
            .map(|group| group.name.clone())
            .collect();
        self.ever.extend(names.iter().cloned());
        self.maybe_ever.extend(names.iter().cloned());
        self.vanished = self.ever.difference(&names).cloned().collect();
        self.maybe_vanished = self.maybe_ever.difference(&names).cloned().collect();
        let after = &self.directory;
        let mut lost = BTreeSet::new();
        for (outer, group) in after.groups.iter().enumerate().filter(|(_, g)| g.there) {
            for member in &group.members {
                let Member::Group(inner) = *member else {
                    continue;
                };
                let was_lost = self.lost.contains(&(outer, inner));
                let was_there = before.groups[inner].there
                    && before.groups[outer].there
                    && before.groups[outer].members.contains(member);
                if !after.groups[inner].there && (was_there || was_lost) {
                    lost.insert((outer, inner));
                }
            }
        }
        self.lost = lost;
        self.fuzzy &= !now.is_sound();
    }

    /// Whether nobody may lose anything in the channel, by what is surely known.
    pub(super) fn must_keep(&self, reference: &str) -> bool {
        let feeds = |name: &String| leads_to(name, reference);
        let mut outer = self.directory.groups.iter().enumerate();
        let wanted = self.directory.wanted(reference);
        self.vanished.iter().any(feeds)
            || outer.any(|(n, group)| {
                group.there
                    && feeds(&group.name)
                    && (group.flaw == Flaw::BadMember
                        || self
                            .lost
                            .iter()
                            .any(|(o, i)| *o == n && wanted.gaps.contains(i)))
            })
    }

    /// Whether a group of the channel still lists this person, whose entry is not there any more.
    pub(super) fn is_still_listed(&self, reference: &str, login: &str) -> bool {
        let gone = self.directory.listed(reference).gone;
        let mut gone = gone.iter().filter_map(|person| self.last_login.get(person));
        gone.any(|last| last == login) && !self.directory.has(login)
    }

    /// Whether a group of the channel lists something that may be this person, so that nobody may take
    /// their access, although nobody knows that they are wanted.
    pub(super) fn may_be_listed(&self, reference: &str, login: &str) -> bool {
        let listed = self.directory.listed(reference);
        let mut gone = listed
            .gone
            .iter()
            .filter_map(|person| self.last_login.get(person));
        gone.any(|last| last == login)
            || listed.anybody && (!self.directory.has(login) || self.former_logins.contains(login))
    }

    /// Whether it is certain who is wanted in the channel.
    pub(super) fn is_clear(&self, reference: &str) -> bool {
        let feeds = |name: &String| leads_to(name, reference);
        let flawed = |group: &Group| group.there && group.flaw != Flaw::None;
        !self.maybe_vanished.iter().any(feeds)
            && self.directory.wanted(reference).gaps.is_empty()
            && !self.directory.groups.iter().any(flawed)
            && !self.fuzzy
    }
}

/// Whether a group of this name feeds the channel.
pub(super) fn leads_to(name: &str, reference: &str) -> bool {
    name == reference || name.strip_suffix("-staff") == Some(reference)
}
