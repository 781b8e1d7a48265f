//! An LDAP directory, read from a real server, in good hours and bad ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use rollbook::config::Directory;
use rollbook::directory::{EntryKind, EntryProblem, Group, MemberName, Observation, Person};
use rollbook::source::{Changes, Checkpoint, Moved, Proof, Read, Source, SourceError};
use secrecy::SecretString;

use crate::slapd::{self, ADMIN, PASSWORD, READER, SUFFIX, Slapd, SlapdOptions};

mod bad_hours;
mod changes;
mod connecting;
mod damaged_ldif;
mod entries;
mod ldif;
mod proxy;
mod scripted;
mod self_signed;

/// The sections that most tests read with.
const SECTIONS: &str = r#"
[people]
base = "ou=people,dc=example,dc=edu"
user_id = "uid"
[groups]
base = "ou=groups,dc=example,dc=edu"
"#;

/// A source for the server, with further lines before the sections.
fn source_with(slapd: &Slapd, lines: &str, sections: &str) -> Source {
    source_of(&(slapd.toml(lines) + sections)).unwrap()
}

fn source(slapd: &Slapd) -> Source {
    source_with(slapd, "", SECTIONS)
}

fn source_of(toml: &str) -> Result<Source, SourceError> {
    source_with_password(toml, PASSWORD)
}

fn source_with_password(toml: &str, password: &str) -> Result<Source, SourceError> {
    let config: Directory = toml::from_str(toml).unwrap();
    Source::new(&config, Some(SecretString::from(password)))
}

/// What a read has told.
#[derive(Debug, Default)]
struct Told {
    observations: Vec<Observation>,
}

impl Told {
    fn people(&self) -> Vec<&Person> {
        let people = self.observations.iter();
        people
            .filter_map(|observation| match observation {
                Observation::Person(person, _) => Some(person),
                _ => None,
            })
            .collect()
    }

    fn groups(&self) -> Vec<&Group> {
        let groups = self.observations.iter();
        groups
            .filter_map(|observation| match observation {
                Observation::Group(group, _) => Some(group),
                _ => None,
            })
            .collect()
    }

    fn person(&self, user_id: &str) -> &Person {
        let mut people = self.people().into_iter();
        people.find(|p| p.user_id.as_str() == user_id).unwrap()
    }

    fn group(&self, group_id: &str) -> &Group {
        let mut groups = self.groups().into_iter();
        groups.find(|g| g.group_id.as_str() == group_id).unwrap()
    }

    fn problems(&self) -> Vec<(&str, &EntryProblem)> {
        let all = self.observations.iter();
        all.filter_map(|observation| match observation {
            Observation::Unusable(u) | Observation::Flawed(u) => Some((u.dn.as_str(), &u.problem)),
            _ => None,
        })
        .collect()
    }

    fn left(&self) -> Vec<(EntryKind, &str)> {
        let all = self.observations.iter();
        all.filter_map(|observation| match observation {
            Observation::Left(kind, id, _) => Some((*kind, id.as_str())),
            _ => None,
        })
        .collect()
    }
}

/// The user IDs of a group's members, found by name as the core will find them.
fn members(told: &Told, group_id: &str) -> BTreeSet<String> {
    let group = told.group(group_id);
    let found = group.members.iter().filter_map(|member| {
        told.people().into_iter().find(|person| match &member.name {
            MemberName::Dn(dn) => person.dn == *dn,
            MemberName::Login(login) => person.login.as_ref() == Some(login),
        })
    });
    found
        .map(|person| person.user_id.as_str().to_owned())
        .collect()
}

async fn read_all(source: &Source) -> (Result<Read, SourceError>, Told) {
    let (out, incoming) = tokio::sync::mpsc::channel(4);
    let reading = async {
        let read = source.read_all(None, &out).await;
        drop(out);
        read
    };
    let (read, observations) = tokio::join!(reading, gather(incoming));
    (read, Told { observations })
}

async fn read_entries(source: &Source, moved: &[Moved]) -> (Result<Read, SourceError>, Told) {
    let (out, incoming) = tokio::sync::mpsc::channel(4);
    let reading = async {
        let read = source.read_entries(moved, None, &out).await;
        drop(out);
        read
    };
    let (read, observations) = tokio::join!(reading, gather(incoming));
    (read, Told { observations })
}

async fn gather(mut incoming: tokio::sync::mpsc::Receiver<Vec<Observation>>) -> Vec<Observation> {
    let mut all = Vec::new();
    while let Some(batch) = incoming.recv().await {
        all.extend(batch);
    }
    all
}

/// Reads everything and insists that it is proven.
async fn read_complete(source: &Source) -> (Checkpoint, Told) {
    let (read, told) = read_all(source).await;
    let read = read.unwrap();
    assert_eq!(read.proof, Proof::Complete);
    (read.checkpoint.unwrap(), told)
}

fn unproven(read: Result<Read, SourceError>) -> String {
    match read.unwrap() {
        Read {
            proof: Proof::Unproven { reason },
            checkpoint: None,
            ..
        } => reason,
        other => panic!("{other:?}"),
    }
}
