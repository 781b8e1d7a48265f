//! The directory of the model, made in a real server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::directory::{Directory, Entry, Flaw, Person};
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

pub(super) fn person(directory: &Directory, n: usize) -> String {
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

pub(super) fn group(directory: &Directory, n: usize) -> String {
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

pub(super) fn uids(person: &Person) -> Vec<String> {
    match person.flaw {
        Flaw::None => vec![person.login.clone()],
        Flaw::TwoIds => vec![person.login.clone(), format!("{}-too", person.login)],
        Flaw::BadId => vec![format!("{} (left)", person.login)],
    }
}

pub(super) fn state(person: &Person) -> &'static str {
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
