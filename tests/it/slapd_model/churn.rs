//! People and groups of a directory that changes twenty times a second.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::slapd::{SUFFIX, Slapd};

pub(super) const PEOPLE: usize = 40;
/// The first of them stay in their groups, whatever else happens to their entries.
const STEADY: usize = 15;
/// Each feeds a channel; the last is in the third, and has none.
pub(super) const GROUPS: [&str; 4] = ["bio", "chem", "math", "inner"];
const INNER: usize = 3;
const OUTER: usize = 2;
/// The time between two changes.
const PAUSE: Duration = Duration::from_millis(50);
/// For so long the overlay may still be at work on a change.
const WORKS: Duration = Duration::from_secs(1);

/// After so many runs what has changed has been seen.
const SOON: u64 = 3;

struct Person {
    name: String,
    unit: usize,
    there: bool,
    /// When the name was last changed, and how many runs had ended by then.
    touched: (Instant, u64),
    /// How many runs had ended when the person last joined a group.
    joined: u64,
}

/// Since when people are in a group, by the numbers of group and person.
pub(super) type Since = Arc<Mutex<BTreeMap<(usize, usize), Instant>>>;

/// What is true in the directory, once the overlay has done its work.
pub(super) struct Churn {
    people: Vec<Person>,
    members: [BTreeSet<usize>; 4],
    units: [String; 3],
    /// The name of the inner group.
    inner: String,
    random: u64,
    made: u64,
    pub(super) since: Since,
    /// What was done, one change in a line, with the number of runs that had ended.
    pub(super) changes: Vec<String>,
}

impl Churn {
    pub(super) fn new(seed: u64) -> Self {
        let touched = (Instant::now(), 0);
        let person = |n: usize| Person {
            name: format!("p{n}"),
            unit: n % 3,
            there: true,
            touched,
            joined: 0,
        };
        let members = |g: usize| (0..PEOPLE).filter(|p| p % 4 == g).collect();
        let churn = Self {
            people: (0..PEOPLE).map(person).collect(),
            members: [0, 1, 2, 3].map(members),
            units: ["a", "b", "c"].map(str::to_owned),
            inner: "inner".to_owned(),
            random: seed | 1,
            made: 0,
            since: Since::default(),
            changes: Vec::new(),
        };
        churn.note_joined();
        churn
    }

    /// All of it, to begin with.
    pub(super) fn ldif(&self) -> String {
        let mut text = String::new();
        for unit in 0..self.units.len() {
            let dn = self.unit(unit);
            writeln!(text, "dn: {dn}\nobjectClass: organizationalUnit\n").unwrap();
        }
        for p in 0..PEOPLE {
            text += &self.entry(p);
        }
        for (g, members) in self.members.iter().enumerate() {
            let (name, dn) = (self.group_name(g), self.group(g));
            writeln!(text, "dn: {dn}\nobjectClass: groupOfNames\ncn: {name}").unwrap();
            for p in members {
                writeln!(text, "member: {}", self.person(*p)).unwrap();
            }
            if g == OUTER {
                writeln!(text, "member: {}", self.group(INNER)).unwrap();
            }
            text += "\n";
        }
        text
    }

    /// Who is wanted in each channel.
    pub(super) fn wanted(&self, group: usize) -> BTreeSet<String> {
        let mut members = self.members[group].clone();
        if group == OUTER {
            members.extend(&self.members[INNER]);
        }
        members.iter().map(|p| format!("u{p}")).collect()
    }

    /// Whether the person of this user ID is deleted. Open: one in some soaks leaves such a person in a
    /// channel until a full run, and it is not known yet by which steps.
    pub(super) fn is_gone(&self, user: &str) -> bool {
        let mut people = self.people.iter().enumerate();
        people.any(|(p, person)| !person.there && format!("u{p}") == user)
    }

    /// Whether this person has been wanted in a channel all the time since then.
    pub(super) fn is_wanted_since(since: &Since, channel: usize, p: usize, then: Instant) -> bool {
        let groups: &[usize] = if channel == OUTER {
            &[OUTER, INNER]
        } else {
            &[channel]
        };
        let since = since.lock().unwrap();
        let mut groups = groups.iter();
        groups.any(|g| since.get(&(*g, p)).is_some_and(|at| *at < then))
    }

    /// The groups with their members' names, as the server has them at last.
    pub(super) fn groups(&self) -> super::campus::Groups {
        let group = |(g, members): (usize, &BTreeSet<usize>)| {
            let mut names: BTreeSet<String> = members.iter().map(|p| self.person(*p)).collect();
            if g == OUTER {
                names.insert(self.group(INNER));
            }
            (self.group(g), names)
        };
        self.members.iter().enumerate().map(group).collect()
    }

    /// Changes the directory until it is told to stop.
    pub(super) fn go_on(mut self, slapd: &Slapd, stop: &Arc<AtomicBool>, runs: &AtomicU64) -> Self {
        let mut next = Instant::now();
        while !stop.load(Ordering::SeqCst) {
            // What comes up is often not possible.
            let ended = runs.load(Ordering::SeqCst);
            if let Some(ldif) = (0..100).find_map(|_| self.change(ended)) {
                self.note_left();
                slapd.modify(&ldif);
                self.note_joined();
                let line = ldif.trim_end().replace('\n', " | ");
                self.changes.push(format!("after run {ended}: {line}"));
            }
            next += PAUSE;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        self
    }

    /// Forgets who is not in a group any more, before the server hears of it.
    fn note_left(&self) {
        let mut since = self.since.lock().unwrap();
        since.retain(|(g, p), _| self.members[*g].contains(p));
    }

    /// Notes who has come into a group, after the server has heard of it.
    fn note_joined(&self) {
        let mut since = self.since.lock().unwrap();
        for (g, members) in self.members.iter().enumerate() {
            for p in members {
                since.entry((g, *p)).or_insert_with(Instant::now);
            }
        }
    }

    /// One change, as LDIF; `None` where what came up is not possible.
    fn change(&mut self, runs: u64) -> Option<String> {
        let p = self.below(PEOPLE);
        let g = self.below(GROUPS.len());
        match self.below(20) {
            0..5 => self.join(g, p, runs),
            5..10 => self.leave(g, p, runs),
            10..13 => self.rename(p, runs),
            13..16 => self.relocate(p, runs),
            16 => self.rename_unit(runs),
            17 => Some(self.rename_inner()),
            18 => self.delete(p, runs),
            _ => self.create(runs),
        }
    }

    /// Not before a run has seen the name: see
    /// `found::somebody_joins_and_the_unit_is_renamed_before_the_next_run`.
    fn join(&mut self, g: usize, p: usize, runs: u64) -> Option<String> {
        let rested = self.people[p].there && self.has_rested(p, runs);
        (rested && self.members[g].insert(p)).then(|| {
            self.people[p].joined = runs;
            self.member(g, p, "add")
        })
    }

    fn leave(&mut self, g: usize, p: usize, runs: u64) -> Option<String> {
        let may = p >= STEADY && self.has_rested(p, runs) && self.members[g].len() > 1;
        (may && self.members[g].remove(&p)).then(|| self.member(g, p, "delete"))
    }

    fn member(&self, g: usize, p: usize, change: &str) -> String {
        format!(
            "dn: {}\nchangetype: modify\n{change}: member\nmember: {}\n",
            self.group(g),
            self.person(p)
        )
    }

    fn rename(&mut self, p: usize, runs: u64) -> Option<String> {
        let from = self.person(p);
        let may = self.people[p].there && self.is_seen(p, runs);
        may.then(|| {
            self.made += 1;
            self.people[p].name = format!("f{}", self.made);
            self.moved(&from, p, runs)
        })
    }

    fn relocate(&mut self, p: usize, runs: u64) -> Option<String> {
        let (from, to) = (self.person(p), self.below(self.units.len()));
        (self.people[p].there && self.people[p].unit != to && self.is_seen(p, runs)).then(|| {
            self.people[p].unit = to;
            self.moved(&from, p, runs)
        })
    }

    fn moved(&mut self, from: &str, p: usize, runs: u64) -> String {
        self.people[p].touched = (Instant::now(), runs);
        let Person { name, unit, .. } = &self.people[p];
        format!(
            "dn: {from}\nchangetype: modrdn\nnewrdn: cn={name}\ndeleteoldrdn: 1\nnewsuperior: {}\n",
            self.unit(*unit)
        )
    }

    fn rename_unit(&mut self, runs: u64) -> Option<String> {
        let unit = self.below(self.units.len());
        let from = self.unit(unit);
        let mut people = (0..PEOPLE).filter(|p| self.people[*p].unit == unit);
        if !people.all(|p| self.is_seen(p, runs)) {
            return None;
        }
        self.made += 1;
        self.units[unit] = format!("o{}", self.made);
        for person in self.people.iter_mut().filter(|person| person.unit == unit) {
            person.touched = (Instant::now(), runs);
        }
        let name = &self.units[unit];
        Some(format!(
            "dn: {from}\nchangetype: modrdn\nnewrdn: ou={name}\ndeleteoldrdn: 1\n"
        ))
    }

    fn rename_inner(&mut self) -> String {
        let from = self.group(INNER);
        self.made += 1;
        self.inner = format!("inner-{}", self.made);
        let name = &self.inner;
        format!("dn: {from}\nchangetype: modrdn\nnewrdn: cn={name}\ndeleteoldrdn: 1\n")
    }

    /// Deletes somebody whose entry is not the newest that a run may have seen: without that one a run
    /// reads everything.
    fn delete(&mut self, p: usize, runs: u64) -> Option<String> {
        let in_all = self.members.iter().all(|members| members.len() > 1);
        (p >= STEADY && self.has_rested(p, runs) && in_all && self.people[p].there).then(|| {
            let dn = self.person(p);
            for members in &mut self.members {
                members.remove(&p);
            }
            self.people[p].there = false;
            self.people[p].touched = (Instant::now(), runs);
            format!("dn: {dn}\nchangetype: delete\n")
        })
    }

    fn create(&mut self, runs: u64) -> Option<String> {
        let mut gone = 0..PEOPLE;
        let p = gone.find(|p| !self.people[*p].there && self.has_rested(*p, runs))?;
        self.people[p].there = true;
        self.people[p].touched = (Instant::now(), runs);
        Some(self.entry(p))
    }

    /// Whether runs have seen what groups the person last joined: until then the name stays. See
    /// `found::somebody_joins_and_the_unit_is_renamed_before_the_next_run`.
    fn is_seen(&self, p: usize, runs: u64) -> bool {
        runs > self.people[p].joined + SOON
    }

    /// Whether the overlay has done with the person's name, and runs have seen it.
    fn has_rested(&self, p: usize, runs: u64) -> bool {
        let (at, ended) = self.people[p].touched;
        at.elapsed() > 2 * WORKS && runs > ended + SOON
    }

    fn entry(&self, p: usize) -> String {
        let (dn, name) = (self.person(p), &self.people[p].name);
        format!("dn: {dn}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: Family\nuid: u{p}\n\n")
    }

    fn unit(&self, n: usize) -> String {
        format!("ou={},ou=people,{SUFFIX}", self.units[n])
    }

    fn person(&self, p: usize) -> String {
        let Person { name, unit, .. } = &self.people[p];
        format!("cn={name},{}", self.unit(*unit))
    }

    fn group_name(&self, g: usize) -> &str {
        if g == INNER { &self.inner } else { GROUPS[g] }
    }

    fn group(&self, g: usize) -> String {
        format!("cn={},ou=groups,{SUFFIX}", self.group_name(g))
    }

    fn below(&mut self, most: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % (most as u64)).unwrap()
    }
}
