//! The directory of the model, made and changed in a real server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::directory::{Directory, Entry, Flaw, Group, Person, Place, Value, nothing};
use super::step::{Name, Step};
use crate::slapd::{SUFFIX, Slapd};

/// All of it, to begin with.
pub(super) fn ldif(directory: &Directory) -> String {
    let mut text = String::new();
    let units = [
        format!("ou=alumni,{SUFFIX}"),
        format!("ou=sub,ou=groups,{SUFFIX}"),
        directory.unit(0),
        directory.unit(1),
    ];
    for dn in units {
        writeln!(text, "dn: {dn}\nobjectClass: organizationalUnit\n").unwrap();
    }
    for n in 0..directory.people.len() {
        text += &person(directory, n);
    }
    for n in 0..directory.groups.len() {
        text += &group(directory, n);
    }
    text
}

fn person(directory: &Directory, n: usize) -> String {
    let person = &directory.people[n];
    let mut text = format!(
        "dn: {}\nobjectClass: inetOrgPerson\ncn: {}\nsn: Family{n}\nroomNumber: 1\n",
        directory.dn(Entry::Person(n)),
        person.name
    );
    for uid in uids(person) {
        writeln!(text, "uid: {uid}").unwrap();
    }
    writeln!(text, "employeeType: {}\n", state(person)).unwrap();
    text
}

fn group(directory: &Directory, n: usize) -> String {
    let group = &directory.groups[n];
    let mut text = format!(
        "dn: {}\nobjectClass: groupOfNames\ncn: {}\n",
        directory.dn(Entry::Group(n)),
        group.name
    );
    for value in &group.values {
        writeln!(text, "member: {}", value.dn).unwrap();
    }
    text + "\n"
}

fn uids(person: &Person) -> Vec<String> {
    match person.flaw {
        Flaw::None => vec![person.login.clone()],
        Flaw::TwoIds => vec![person.login.clone(), format!("{}-too", person.login)],
        Flaw::BadId => vec![format!("{} (left)", person.login)],
    }
}

fn state(person: &Person) -> &'static str {
    if person.enabled { "on" } else { "off" }
}

/// What the account may read, as lines of the server's configuration.
pub(super) fn rights(directory: &Directory) -> String {
    let mut text = String::new();
    let mut deny = |what: String| writeln!(text, "access to {what} by * none").unwrap();
    for (n, person) in directory.people.iter().enumerate() {
        let dn = directory.dn(Entry::Person(n));
        if person.there && person.hidden {
            deny(format!("dn.exact=\"{dn}\""));
        }
        if person.there && person.filter_hidden {
            deny(format!("dn.exact=\"{dn}\" attrs=roomNumber"));
        }
    }
    for (n, group) in directory.groups.iter().enumerate() {
        if group.there && group.unreadable {
            let dn = directory.dn(Entry::Group(n));
            deny(format!("dn.exact=\"{dn}\" attrs=member"));
        }
    }
    let attributes = [
        (directory.members_hidden, "member"),
        (directory.enabled_hidden, "employeeType"),
        (directory.filter_hidden, "roomNumber"),
    ];
    for (_, attribute) in attributes.iter().filter(|(hidden, _)| *hidden) {
        deny(format!("attrs={attribute}"));
    }
    text + "access to attrs=userPassword by anonymous auth by * none\naccess to * by * read\n"
}

/// Groups with the names of their members.
pub(super) type Groups = BTreeMap<String, BTreeSet<String>>;

/// Waits until the server has the groups that the model has: the overlay works when it comes to it.
pub(super) fn settle(slapd: &Slapd, directory: &Directory) {
    let there = (0..directory.groups.len()).filter(|n| directory.groups[*n].there);
    let group = |n: usize| {
        let values = directory.groups[n].values.iter();
        let values = values.map(|value| value.dn.clone()).collect();
        (directory.dn(Entry::Group(n)), values)
    };
    settle_as(slapd, &there.map(group).collect());
}

/// The same, for these groups.
pub(super) fn settle_as(slapd: &Slapd, wanted: &Groups) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let there = groups(slapd);
        if there == *wanted {
            return;
        }
        if Instant::now() > end {
            assert_eq!(there, *wanted, "the server does otherwise than the model");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The groups of the server with their members.
fn groups(slapd: &Slapd) -> Groups {
    let found = slapd.ldapsearch(&[
        "-LLL",
        "-o",
        "ldif-wrap=no",
        "-b",
        SUFFIX,
        "(objectClass=groupOfNames)",
        "member",
    ]);
    let (mut groups, mut group) = (BTreeMap::new(), String::new());
    for line in String::from_utf8(found).unwrap().lines() {
        if let Some(dn) = line.strip_prefix("dn: ") {
            dn.clone_into(&mut group);
            groups.insert(group.clone(), BTreeSet::new());
        } else if let Some(dn) = line.strip_prefix("member: ") {
            groups.get_mut(&group).unwrap().insert(dn.to_owned());
        }
    }
    groups
}

/// A change to the directory: in the model, and in the server.
pub(super) struct Change<'a> {
    pub(super) directory: &'a mut Directory,
    pub(super) slapd: &'a mut Slapd,
}

impl Change<'_> {
    /// Makes it, where it is possible.
    pub(super) fn make(&mut self, step: &Step) {
        match *step {
            Step::Join(p, g) => self.member(g, Entry::Person(p), true),
            Step::Leave(p, g) => self.member(g, Entry::Person(p), false),
            Step::Nest(g, inner, on) if g != inner => self.member(g, Entry::Group(inner), on),
            Step::Placeholder(g, on) => self.values(g, |values| match on {
                true => _ = values.insert(nothing()),
                false => values.retain(|value| *value != nothing()),
            }),
            Step::Delete(p) => self.delete(p),
            Step::Recreate(p) => {
                self.delete(p);
                self.create(p);
            }
            Step::Rename(p, name) => self.rename(p, name),
            Step::Move(p, place) => self.relocate(Entry::Person(p), None, place),
            Step::RenameUnit(n) => self.rename_unit(n),
            Step::RenameGroup(g, n) => self.rename_group(g, n),
            Step::MoveGroup(g, place) => self.relocate(Entry::Group(g), None, place),
            Step::DeleteGroup(g) => self.delete_group(g),
            Step::CreateGroup(g) => self.create_group(g),
            Step::Tidy => self.tidy(),
            _ => self.person(step),
        }
        let rights = rights(self.directory);
        if self.slapd.database() != rights {
            settle(self.slapd, self.directory);
            self.slapd.reconfigure(&rights);
        }
    }

    /// What one person or the account's rights are.
    fn person(&mut self, step: &Step) {
        let directory = &mut *self.directory;
        let n = match *step {
            Step::Login(p) if directory.people[p].flaw == Flaw::None => {
                let id = directory.id();
                directory.people[p].login = format!("n{id}");
                p
            }
            Step::Enable(p, on) => {
                directory.people[p].enabled = on;
                p
            }
            Step::Flaw(p, flaw) => {
                directory.people[p].flaw = flaw;
                p
            }
            Step::HideMembers(on) => return directory.members_hidden = on,
            Step::HideMembersOf(g, on) => return directory.groups[g].unreadable = on,
            Step::HidePerson(p, on) => return directory.people[p].hidden = on,
            Step::HideEnabled(on) => return directory.enabled_hidden = on,
            Step::HideFilter(on) => return directory.filter_hidden = on,
            Step::HideFilterOf(p, on) => return directory.people[p].filter_hidden = on,
            _ => return,
        };
        let person = &self.directory.people[n];
        if !person.there {
            return;
        }
        let mut text = format!(
            "dn: {}\nchangetype: modify\nreplace: employeeType\nemployeeType: {}\n-\nreplace: uid\n",
            self.directory.dn(Entry::Person(n)),
            state(person)
        );
        for uid in uids(person) {
            writeln!(text, "uid: {uid}").unwrap();
        }
        self.slapd.modify(&text);
    }

    fn member(&mut self, g: usize, entry: Entry, joins: bool) {
        let is_there = match entry {
            Entry::Person(n) => self.directory.people[n].there,
            Entry::Group(n) => self.directory.groups[n].there,
        };
        let value = self.directory.value(entry);
        self.values(g, |values| {
            // Whoever is listed already stays listed by that name.
            if joins && is_there && !values.iter().any(|other| other.dn == value.dn) {
                values.insert(value);
            } else if !joins {
                values.retain(|other| other.dn != value.dn);
            }
        });
    }

    /// Changes the members of a group; somebody must be left.
    fn values(&mut self, g: usize, change: impl FnOnce(&mut BTreeSet<Value>)) {
        let group = &mut self.directory.groups[g];
        if !group.there {
            return;
        }
        let before = group.values.clone();
        change(&mut group.values);
        if group.values.is_empty() {
            group.values.insert(nothing());
        }
        let dns = |values: &BTreeSet<Value>| -> BTreeSet<String> {
            values.iter().map(|value| value.dn.clone()).collect()
        };
        let (before, after) = (dns(&before), dns(&group.values));
        let mut text = String::new();
        for (change, dns) in [
            ("add", after.difference(&before)),
            ("delete", before.difference(&after)),
        ] {
            for dn in dns {
                writeln!(text, "{change}: member\nmember: {dn}\n-").unwrap();
            }
        }
        if !text.is_empty() {
            let dn = self.directory.dn(Entry::Group(g));
            self.slapd
                .modify(&format!("dn: {dn}\nchangetype: modify\n{text}"));
        }
    }

    fn delete(&mut self, p: usize) {
        let person = &mut self.directory.people[p];
        if std::mem::take(&mut person.there) {
            self.directory.deleted.insert(person.login.clone());
            let dn = self.directory.dn(Entry::Person(p));
            self.slapd.delete(&dn);
            self.directory.gone(&dn);
            settle(self.slapd, self.directory);
        }
    }

    fn create(&mut self, p: usize) {
        let dn = self.directory.dn(Entry::Person(p));
        if self.directory.present().contains_key(&dn) {
            return;
        }
        let id = self.directory.id();
        let person = &mut self.directory.people[p];
        (person.there, person.id) = (true, id);
        self.slapd.modify(&self::person(self.directory, p));
    }

    fn rename(&mut self, p: usize, name: Name) {
        let name = match name {
            Name::Fresh => format!("f{}", self.directory.id()),
            Name::First => format!("p{p}"),
            Name::Shared(n) => format!("s{n}"),
        };
        let place = self.directory.people[p].place;
        self.relocate(Entry::Person(p), Some(name), place);
    }

    fn rename_group(&mut self, g: usize, n: usize) {
        let name = super::directory::NAMES[n];
        if !self.directory.has_group(name) {
            let place = self.directory.groups[g].place;
            self.relocate(Entry::Group(g), Some(name.to_owned()), place);
        }
    }

    /// Gives an entry another name or place, where it is free.
    fn relocate(&mut self, entry: Entry, name: Option<String>, place: Place) {
        let from = self.directory.dn(entry);
        let place = match (entry, place) {
            (Entry::Group(_), Place::Unit(_)) => Place::Unit(0),
            (_, place) => place,
        };
        let before = self.directory.clone();
        let there = match entry {
            Entry::Person(n) => {
                let person = &mut self.directory.people[n];
                person.name = name.unwrap_or_else(|| person.name.clone());
                person.place = place;
                person.there
            }
            Entry::Group(n) => {
                let group = &mut self.directory.groups[n];
                group.name = name.unwrap_or_else(|| group.name.clone());
                group.place = place;
                group.there
            }
        };
        let to = self.directory.dn(entry);
        if !there || from == to || before.present().contains_key(&to) {
            *self.directory = before;
            return;
        }
        let (rdn, superior) = to.split_once(',').unwrap();
        self.slapd.rename(&from, rdn, Some(superior));
        self.directory.renamed(&from, &to);
    }

    fn rename_unit(&mut self, n: usize) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let from = self.directory.unit(n);
        let mut free = NAMES.iter();
        let free = free.find(|name| !self.directory.units.iter().any(|unit| unit == *name));
        (*free.unwrap()).clone_into(&mut self.directory.units[n]);
        let to = self.directory.unit(n);
        let (rdn, _) = to.split_once(',').unwrap();
        self.slapd.rename(&from, rdn, None);
        self.directory.renamed(&from, &to);
    }

    fn delete_group(&mut self, g: usize) {
        let dn = self.directory.dn(Entry::Group(g));
        if std::mem::take(&mut self.directory.groups[g].there) {
            self.slapd.delete(&dn);
            self.directory.gone(&dn);
        }
    }

    fn create_group(&mut self, g: usize) {
        let Group { name, there, .. } = &self.directory.groups[g];
        if *there || self.directory.has_group(name) {
            return;
        }
        let id = self.directory.id();
        let people = [g, g + 2].map(|p| p % self.directory.people.len());
        let people = people.iter().filter(|p| self.directory.people[**p].there);
        let mut values: BTreeSet<Value> = people
            .map(|p| self.directory.value(Entry::Person(*p)))
            .collect();
        if values.is_empty() {
            values.insert(nothing());
        }
        let group = &mut self.directory.groups[g];
        (group.there, group.id, group.values) = (true, id, values);
        self.slapd.modify(&self::group(self.directory, g));
    }

    fn tidy(&mut self) {
        for p in 0..self.directory.people.len() {
            let person = &mut self.directory.people[p];
            (person.hidden, person.filter_hidden) = (false, false);
            if person.flaw != Flaw::None {
                self.person(&Step::Flaw(p, Flaw::None));
            }
        }
        let directory = &mut *self.directory;
        for hidden in [
            &mut directory.members_hidden,
            &mut directory.enabled_hidden,
            &mut directory.filter_hidden,
        ] {
            *hidden = false;
        }
        for g in 0..self.directory.groups.len() {
            self.directory.groups[g].unreadable = false;
            let present = self.directory.present();
            let in_base = |entry: &&Entry| match entry {
                Entry::Person(n) => self.directory.people[*n].place != Place::Outside,
                Entry::Group(n) => self.directory.groups[*n].place != Place::Outside,
            };
            let own = present.values().filter(in_base);
            let own: BTreeSet<Value> = own.map(|entry| self.directory.value(*entry)).collect();
            let is_person = |entry: &&Entry| in_base(entry) && matches!(entry, Entry::Person(_));
            let someone = present.values().find(is_person);
            let someone = someone.map(|entry| self.directory.value(*entry));
            self.values(g, |values| {
                values.retain(|value| own.contains(value));
                if values.is_empty() {
                    values.extend(someone);
                }
            });
        }
    }
}
