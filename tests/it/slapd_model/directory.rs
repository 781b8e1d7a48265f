//! What is true in the directory of the model, what is hidden included: plain maps, and names followed
//! one by one.

use std::collections::{BTreeMap, BTreeSet};

use crate::slapd::SUFFIX;

pub(super) const PEOPLE: usize = 8;
/// Group IDs. What stands before the dash is the channel; `inner` and `other` have none.
pub(super) const NAMES: [&str; 11] = [
    "bio", "chem", "bio-x", "chem-y", "inner-a", "inner-b", "math", "mix-c", "bio-z", "other-q",
    "math-z",
];
/// The groups that there are, each of which has at first the name of the same number.
pub(super) const GROUPS: usize = 8;
/// The groups that other groups may list.
pub(super) const INNER: [usize; 2] = [4, 5];
/// The channels that groups of this directory feed.
pub(super) const CHANNELS: [&str; 4] = ["bio", "chem", "math", "mix"];
/// A name that nobody has, and that a group without a member lists.
pub(super) const NOTHING: &str = "cn=nothing";

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Base,
    /// In an organisational unit in the base.
    Unit(usize),
    /// Outside the base.
    Outside,
}

/// Why the user ID of a person cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    TwoIds,
    BadId,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is set by a step of its own"
)]
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Changes when the entry is made anew.
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) login: String,
    pub(super) there: bool,
    pub(super) enabled: bool,
    pub(super) flaw: Flaw,
    /// Whether the account may not see the entry.
    pub(super) hidden: bool,
    /// Whether the account may not see what `people.filter` asks for.
    pub(super) filter_hidden: bool,
}

/// A value of `member`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    pub(super) dn: String,
    /// The entry that was meant when it was written.
    pub(super) meant: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) there: bool,
    pub(super) values: BTreeSet<Value>,
    /// Whether the account may not see the members.
    pub(super) unreadable: bool,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is set by a step of its own"
)]
#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) people: Vec<Person>,
    pub(super) groups: Vec<Group>,
    pub(super) units: [String; 2],
    pub(super) members_hidden: bool,
    pub(super) enabled_hidden: bool,
    pub(super) filter_hidden: bool,
    /// The logins of entries that were deleted.
    pub(super) deleted: BTreeSet<String>,
    /// The names under which a run has read entries with this state file. By a name from before nobody
    /// can know an entry again.
    seen: BTreeSet<Value>,
    /// What groups listed then, by a name that the entry had.
    listed: BTreeSet<(u32, Value)>,
    refint: bool,
    made: u32,
}

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    Person(usize),
    Group(usize),
}

/// Who is in a channel by the truth.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    /// Everybody whom a group lists, by a former name, hidden, or outside the base, too.
    pub(super) members: BTreeSet<String>,
    /// Whether any group in the base feeds the channel.
    pub(super) fed: bool,
    /// People whose former name a group lists, as a run has seen, while another entry has the name now.
    pub(super) former: BTreeSet<String>,
    /// Those of them whom a group lists by their present name, in the base.
    pub(super) by_name: BTreeSet<String>,
    /// Whether a group lists a name whose entry is gone, so that people without an entry may be meant.
    pub(super) dangling: bool,
    /// Whether a group lists a former name of an entry that another has now, or an entry outside the
    /// base.
    pub(super) doubtful: bool,
}

impl Directory {
    pub(super) fn new(refint: bool) -> Self {
        let mut directory = Self {
            people: Vec::new(),
            groups: Vec::new(),
            units: ["a".to_owned(), "b".to_owned()],
            members_hidden: false,
            enabled_hidden: false,
            filter_hidden: false,
            deleted: BTreeSet::new(),
            seen: BTreeSet::new(),
            listed: BTreeSet::new(),
            refint,
            made: 0,
        };
        for n in 0..PEOPLE {
            let id = directory.id();
            directory.people.push(Person {
                id,
                name: format!("p{n}"),
                place: [Place::Base, Place::Unit(0), Place::Unit(1)][n % 3],
                login: format!("u{n}"),
                there: true,
                enabled: true,
                flaw: Flaw::None,
                hidden: false,
                filter_hidden: false,
            });
        }
        for (n, name) in NAMES.iter().take(GROUPS).enumerate() {
            let id = directory.id();
            let members = (n..n + 3).map(|p| directory.value(Entry::Person(p % PEOPLE)));
            directory.groups.push(Group {
                id,
                name: (*name).to_owned(),
                place: Place::Base,
                there: true,
                values: members.collect(),
                unreadable: false,
            });
        }
        directory
    }

    pub(super) fn id(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// A value that means this entry by its present name.
    pub(super) fn value(&self, entry: Entry) -> Value {
        let meant = match entry {
            Entry::Person(n) => self.people[n].id,
            Entry::Group(n) => self.groups[n].id,
        };
        Value {
            dn: self.dn(entry),
            meant: Some(meant),
        }
    }

    pub(super) fn dn(&self, entry: Entry) -> String {
        let (name, place, tree) = match entry {
            Entry::Person(n) => (&self.people[n].name, self.people[n].place, "people"),
            Entry::Group(n) => (&self.groups[n].name, self.groups[n].place, "groups"),
        };
        format!("cn={name},{}", self.place(place, tree))
    }

    pub(super) fn place(&self, place: Place, tree: &str) -> String {
        match place {
            Place::Base => format!("ou={tree},{SUFFIX}"),
            Place::Unit(n) if tree == "people" => self.unit(n),
            Place::Unit(_) => format!("ou=sub,ou={tree},{SUFFIX}"),
            Place::Outside => format!("ou=alumni,{SUFFIX}"),
        }
    }

    pub(super) fn unit(&self, n: usize) -> String {
        format!("ou={},ou=people,{SUFFIX}", self.units[n])
    }

    /// The entries that are there, by name.
    pub(super) fn present(&self) -> BTreeMap<String, Entry> {
        let people = (0..self.people.len()).filter(|n| self.people[*n].there);
        let groups = (0..self.groups.len()).filter(|n| self.groups[*n].there);
        let all = people.map(Entry::Person).chain(groups.map(Entry::Group));
        all.map(|entry| (self.dn(entry), entry)).collect()
    }

    fn by_id(&self, id: u32) -> Option<Entry> {
        let mut present = self.present().into_values();
        present.find(|entry| match *entry {
            Entry::Person(n) => self.people[n].id == id,
            Entry::Group(n) => self.groups[n].id == id,
        })
    }

    /// Whether a group of this name is there.
    pub(super) fn has_group(&self, name: &str) -> bool {
        let mut groups = self.groups.iter();
        groups.any(|group| group.there && group.name == name)
    }

    /// The IDs of the groups in the base.
    pub(super) fn group_ids(&self) -> impl Iterator<Item = &str> {
        let feeding = |group: &&Group| group.there && group.place != Place::Outside;
        self.groups.iter().filter(feeding).map(|group| &*group.name)
    }

    /// What the overlay does after an entry, and what is below it, has another name.
    pub(super) fn renamed(&mut self, from: &str, to: &str) {
        if !self.refint {
            return;
        }
        let below = format!(",{from}");
        for group in self.groups.iter_mut().filter(|group| group.there) {
            let values = std::mem::take(&mut group.values);
            let moved = |value: Value| {
                let rest = match value.dn.strip_suffix(&below) {
                    Some(rest) => format!("{rest},"),
                    None if value.dn == from => String::new(),
                    None => return value,
                };
                let dn = format!("{rest}{to}");
                Value { dn, ..value }
            };
            group.values = values.into_iter().map(moved).collect();
        }
    }

    /// What the overlay does after an entry is deleted.
    pub(super) fn gone(&mut self, dn: &str) {
        if !self.refint {
            return;
        }
        for group in self.groups.iter_mut().filter(|group| group.there) {
            group.values.retain(|value| value.dn != dn);
            if group.values.is_empty() {
                group.values.insert(nothing());
            }
        }
    }

    /// Whether the account sees all there is, and can use it.
    pub(super) fn is_plain(&self) -> bool {
        let odd = |person: &Person| {
            person.there && (person.hidden || person.filter_hidden || person.flaw != Flaw::None)
        };
        let unreadable = |group: &Group| group.there && group.unreadable;
        !self.members_hidden
            && !self.enabled_hidden
            && !self.filter_hidden
            && !self.people.iter().any(odd)
            && !self.groups.iter().any(unreadable)
    }

    /// Who is in a channel.
    pub(super) fn truth(&self, channel: &str) -> Truth {
        let (mut truth, present) = (Truth::default(), self.present());
        let (mut open, mut met) = (Vec::new(), BTreeSet::new());
        for (n, group) in self.groups.iter().enumerate() {
            if group.there && group.place != Place::Outside && channel_of(&group.name) == channel {
                truth.fed = true;
                met.insert(n);
                open.push(n);
            }
        }
        while let Some(next) = open.pop() {
            for value in &self.groups[next].values {
                let named = present.get(&value.dn).copied();
                let meant = value.meant.filter(|_| self.seen.contains(value));
                let meant = meant.and_then(|id| self.by_id(id));
                truth.dangling |= named.is_none() || meant.is_none();
                // A name that another entry has now means that one: nobody can know better.
                truth.doubtful |= named.is_some() && meant.is_some() && meant != named;
                if let Some(Entry::Person(n)) = meant
                    && named.is_some()
                    && meant != named
                    && self.people[n].enabled
                    && self.listed.contains(&(self.groups[next].id, value.clone()))
                {
                    truth.former.insert(self.people[n].login.clone());
                }
                match named.or(meant) {
                    Some(Entry::Person(n)) => {
                        let person = &self.people[n];
                        truth.doubtful |= person.place == Place::Outside;
                        if person.enabled {
                            truth.members.insert(person.login.clone());
                            if named.is_some() && person.place != Place::Outside {
                                truth.by_name.insert(person.login.clone());
                            }
                        }
                    }
                    Some(Entry::Group(n)) => {
                        // A group that is listed by a name outside the base is none of ours.
                        let is_outside = self.groups[n].place == Place::Outside;
                        truth.doubtful |= is_outside;
                        if !(is_outside && named.is_some()) && met.insert(n) {
                            open.push(n);
                        }
                    }
                    None => {}
                }
            }
        }
        truth
    }

    /// Notes under which names the account sees entries; what is not read as a whole shows what is listed.
    pub(super) fn note_read(&mut self, full: bool) {
        let shown = |entry: &&Entry| match **entry {
            Entry::Person(n) => {
                let person = &self.people[n];
                person.place != Place::Outside && !person.hidden && !person.filter_hidden
            }
            Entry::Group(n) => self.groups[n].place != Place::Outside,
        };
        let present = self.present();
        let shown = present.values().filter(shown);
        let mut shown: BTreeSet<Value> = shown.map(|entry| self.value(*entry)).collect();
        if !full {
            let listed = |value: &Value| {
                self.groups
                    .iter()
                    .any(|g| g.there && g.values.contains(value))
            };
            shown.retain(listed);
        }
        let readable = |group: &&Group| {
            group.there
                && group.place != Place::Outside
                && !group.unreadable
                && !self.members_hidden
        };
        for group in self.groups.iter().filter(readable) {
            let values = group.values.intersection(&shown);
            self.listed
                .extend(values.map(|value| (group.id, value.clone())));
        }
        self.seen.append(&mut shown);
    }

    /// Forgets the names: the state file is another.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        self.listed.clear();
    }

    /// Whether somebody of this login has an entry in the base.
    pub(super) fn has_entry(&self, login: &str) -> bool {
        let mut people = self.people.iter();
        people.any(|person| person.there && person.place != Place::Outside && person.login == login)
    }
}

/// The value of a group without a member.
pub(super) fn nothing() -> Value {
    Value {
        dn: NOTHING.to_owned(),
        meant: None,
    }
}

/// What stands before the dash of a group ID.
pub(super) fn channel_of(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}
