//! Changes to the directory of the model, made in a real server, too.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::campus::{self, rights, settle, state, uids};
use super::directory::{Directory, Entry, Flaw, Group, NAMES, Place, Value, nothing};
use super::step::{Name, Step};
use crate::slapd::Slapd;

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
            Step::Placeholder(g, on) => self.values(g, |values| {
                values.remove(&nothing());
                if on {
                    values.insert(nothing());
                }
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
        self.slapd.modify(&campus::person(self.directory, p));
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
        let name = NAMES[n];
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
        const UNITS: [&str; 3] = ["a", "b", "c"];
        let from = self.directory.unit(n);
        let mut free = UNITS.iter();
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
        self.slapd.modify(&campus::group(self.directory, g));
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
