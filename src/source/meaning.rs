//! What the attributes of an entry mean: entries in, people and groups out.
//!
//! *Its one idea: the configuration is compiled once, and each entry is judged alone.* An entry that
//! cannot be used is named with its problem, and the next one is looked at.

use regex::Regex;

use super::SourceError;
use super::entry::{Entry, not_text};
use super::filter::{self, Filter};
use crate::config::directory::{Groups, People};
use crate::directory::{
    Dn, EntryKind, EntryProblem, Group, GroupId, Member, MemberName, Observation, Person, Role,
    StableId, Unusable, Version,
};

mod user_id;

/// The attribute of the people that names their groups, where the groups do not name their people.
pub(super) const MEMBER_OF: &str = "memberof";

/// What makes a person, compiled from `[directory.people]`.
#[derive(Debug)]
pub(super) struct PeopleMeaning {
    pub(super) base: String,
    pub(super) filter: String,
    user_id: String,
    pattern: Option<Regex>,
    strip_domain: bool,
    lowercase: bool,
    first_name: String,
    last_name: String,
    mail: String,
    /// Empty where no group names people by it.
    login: String,
    enabled: Option<Filter>,
    /// The attributes of which a server may send a part only.
    pub(super) ranged: Vec<String>,
}

/// What makes a group, compiled from `[directory.groups]`.
#[derive(Debug)]
pub(super) struct GroupMeaning {
    pub(super) base: String,
    pub(super) filter: String,
    group_id: String,
    name: String,
    /// The membership attributes of the group itself, the plain members first.
    members: Vec<MemberAttribute>,
    /// The attributes of which a server may send a part only.
    pub(super) ranged: Vec<String>,
    /// Whether the plain members are read from the people.
    pub(super) by_people: bool,
}

/// An attribute that names members.
#[derive(Debug)]
struct MemberAttribute {
    name: String,
    role: Role,
    by_login: bool,
}

/// An entry understood, and what could not be understood of it.
struct Understood<T> {
    what: T,
    flaws: Vec<EntryProblem>,
}

impl PeopleMeaning {
    /// Compiles the configuration.
    ///
    /// What is read of people depends on how groups name them: by login, or the other way round.
    pub(super) fn new(
        directory: &str,
        people: &People,
        groups: &GroupMeaning,
    ) -> Result<Self, SourceError> {
        let wrong = |key: &str, reason: String| SourceError::Config {
            directory: directory.to_owned(),
            key: format!("people.{key}"),
            reason,
        };
        check_base(&people.base).map_err(|reason| wrong("base", reason))?;
        filter::check(&people.filter).map_err(|e| wrong("filter", e.to_string()))?;
        let pattern = &people.user_id_transform.pattern;
        let pattern = pattern.as_ref().map(|p| Regex::new(&format!("^(?:{p})$")));
        let enabled = people.enabled.as_deref().map(Filter::parse);
        Ok(Self {
            base: people.base.clone(),
            filter: people.filter.clone(),
            user_id: people.user_id.to_ascii_lowercase(),
            pattern: pattern
                .transpose()
                .map_err(|e| wrong("user_id_transform.pattern", e.to_string()))?,
            strip_domain: people.user_id_transform.strip_domain,
            lowercase: people.user_id_transform.lowercase,
            first_name: people.first_name.to_ascii_lowercase(),
            last_name: people.last_name.to_ascii_lowercase(),
            mail: people.mail.to_ascii_lowercase(),
            login: if groups.members.iter().any(|attribute| attribute.by_login) {
                people.login.to_ascii_lowercase()
            } else {
                String::new()
            },
            enabled: enabled
                .transpose()
                .map_err(|e| wrong("enabled", e.to_string()))?,
            ranged: groups
                .by_people
                .then(|| MEMBER_OF.to_owned())
                .into_iter()
                .collect(),
        })
    }

    /// The attributes to ask a server for.
    pub(super) fn attributes(&self) -> Vec<String> {
        let single = [
            &self.user_id,
            &self.first_name,
            &self.last_name,
            &self.mail,
            &self.login,
        ];
        let mut names: Vec<String> = single.into_iter().chain(&self.ranged).cloned().collect();
        if let Some(enabled) = &self.enabled {
            enabled.attributes(&mut names);
        }
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Tells about a person's entry.
    pub(super) fn observe(
        &self,
        entry: &Entry,
        id: Result<StableId, EntryProblem>,
    ) -> Vec<Observation> {
        let understand = |id| self.understand(entry, id);
        told(
            EntryKind::Person,
            entry,
            id,
            understand,
            Observation::Person,
        )
    }

    fn understand(&self, entry: &Entry, id: StableId) -> Result<Understood<Person>, EntryProblem> {
        let mut flaws = Vec::new();
        let mut optional = |name: &str| {
            let text = entry.text(name).unwrap_or_else(|problem| {
                flaws.push(problem);
                None
            });
            text.map(str::to_owned)
        };
        let what = Person {
            id,
            dn: dn_of(entry)?,
            login: optional(&self.login).map(|login| login.trim().to_lowercase()),
            user_id: self.user_id(entry)?,
            first_name: optional(&self.first_name),
            last_name: optional(&self.last_name),
            mail: optional(&self.mail),
            enabled: self.enabled.as_ref().is_none_or(|f| f.matches(entry)),
        };
        Ok(Understood { what, flaws })
    }
}

impl GroupMeaning {
    /// Compiles the configuration.
    pub(super) fn new(directory: &str, groups: &Groups) -> Result<Self, SourceError> {
        let wrong = |key: &str, reason: String| SourceError::Config {
            directory: directory.to_owned(),
            key: format!("groups.{key}"),
            reason,
        };
        check_base(&groups.base).map_err(|reason| wrong("base", reason))?;
        filter::check(&groups.filter).map_err(|e| wrong("filter", e.to_string()))?;
        let by_people = groups.members.eq_ignore_ascii_case(MEMBER_OF);
        let plain = (!by_people).then(|| MemberAttribute::new(&groups.members, Role::member()));
        let roles = groups.roles.iter();
        let roles = roles.map(|(name, role)| MemberAttribute::new(name, Role::new(role.as_str())));
        let members: Vec<MemberAttribute> = plain.into_iter().chain(roles).collect();
        Ok(Self {
            base: groups.base.clone(),
            filter: groups.filter.clone(),
            group_id: groups.group_id.to_ascii_lowercase(),
            name: groups.name.to_ascii_lowercase(),
            ranged: members
                .iter()
                .map(|attribute| attribute.name.clone())
                .collect(),
            members,
            by_people,
        })
    }

    /// The attributes to ask a server for.
    pub(super) fn attributes(&self) -> Vec<String> {
        let mut names = vec![self.group_id.clone(), self.name.clone()];
        names.extend_from_slice(&self.ranged);
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Tells about a group's entry, of which all ranges have been fetched that could be.
    pub(super) fn observe(
        &self,
        entry: &Entry,
        id: Result<StableId, EntryProblem>,
    ) -> Vec<Observation> {
        let understand = |id| self.understand(entry, id);
        told(EntryKind::Group, entry, id, understand, Observation::Group)
    }

    fn understand(&self, entry: &Entry, id: StableId) -> Result<Understood<Group>, EntryProblem> {
        let dn = dn_of(entry)?;
        let group_id = entry.single(&self.group_id)?.trim();
        if group_id.is_empty() {
            return Err(EntryProblem::Missing {
                attribute: self.group_id.clone(),
            });
        }
        let mut flaws = Vec::new();
        let name = entry.text(&self.name).unwrap_or_else(|problem| {
            flaws.push(problem);
            None
        });
        let mut members_complete = true;
        let mut members = Vec::new();
        for attribute in &self.members {
            let problem = attribute.read(entry, &mut members);
            members_complete &= problem.is_none();
            flaws.extend(problem);
        }
        let what = Group {
            id,
            dn,
            group_id: GroupId::new(group_id),
            name: name.map(str::to_owned),
            members,
            members_complete,
        };
        Ok(Understood { what, flaws })
    }
}

impl MemberAttribute {
    fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_ascii_lowercase(),
            role,
            by_login: name.eq_ignore_ascii_case("memberUid"),
        }
    }

    /// Adds the members that it names, and says what kept it from naming all of them.
    fn read(&self, entry: &Entry, members: &mut Vec<Member>) -> Option<EntryProblem> {
        let values = entry.values(&self.name);
        members.reserve_exact(values.iter().count());
        let mut problem = None;
        for value in values.iter() {
            match self.member(value) {
                Ok(name) => members.push(Member {
                    role: self.role.clone(),
                    name,
                }),
                Err(found) => problem = Some(found),
            }
        }
        entry.incomplete(&self.name).or(problem)
    }

    fn member(&self, value: &[u8]) -> Result<MemberName, EntryProblem> {
        let text = str::from_utf8(value).map_err(|_| not_text(&self.name))?;
        let dn = parse_member(text);
        // Some directories have names of entries in memberUid. An empty text is the root's name.
        if self.by_login && !(dn.is_some() && text.contains('=')) {
            return Ok(MemberName::Login(text.trim().to_lowercase()));
        }
        dn.map(MemberName::Dn).ok_or_else(|| EntryProblem::NotADn {
            attribute: self.name.clone(),
        })
    }
}

/// Reads a name, with or without the bit string that `uniqueMember` may have behind it
/// (Name And Optional UID, RFC 4517, section 3.3.21).
fn parse_member(text: &str) -> Option<Dn> {
    let unique = text.strip_suffix("'B").and_then(|front| {
        let (name, bits) = front.rsplit_once("#'")?;
        bits.bytes()
            .all(|bit| matches!(bit, b'0' | b'1'))
            .then_some(name)
    });
    Dn::parse(unique.unwrap_or(text)).ok()
}

/// What is told about an entry: the thing itself with its flaws, or why it cannot be used.
fn told<T>(
    kind: EntryKind,
    entry: &Entry,
    id: Result<StableId, EntryProblem>,
    understand: impl FnOnce(StableId) -> Result<Understood<T>, EntryProblem>,
    observation: impl FnOnce(T, Option<Version>) -> Observation,
) -> Vec<Observation> {
    let about = |id: Option<&StableId>, problem| Unusable {
        kind,
        id: id.cloned(),
        dn: entry.dn.clone(),
        problem,
    };
    let id = match id {
        Ok(id) => id,
        Err(problem) => return vec![Observation::Unusable(about(None, problem))],
    };
    match understand(id.clone()) {
        Err(problem) => vec![Observation::Unusable(about(Some(&id), problem))],
        Ok(understood) => {
            let flaws = understood.flaws.into_iter();
            let flaws = flaws.map(|flaw| Observation::Flawed(about(Some(&id), flaw)));
            std::iter::once(observation(understood.what, version(entry)))
                .chain(flaws)
                .collect()
        }
    }
}

/// The attribute that marks one state of an entry on OpenLDAP, by server and microsecond.
pub(super) const VERSION: &str = "entrycsn";

/// The state of an entry, where the server can name it.
pub(super) fn version(entry: &Entry) -> Option<Version> {
    let version = entry.text(VERSION).ok().flatten()?;
    Some(Version(version.to_owned()))
}

fn dn_of(entry: &Entry) -> Result<Dn, EntryProblem> {
    Dn::parse(&entry.dn).map_err(|_| EntryProblem::Undecodable)
}

fn check_base(base: &str) -> Result<(), String> {
    Dn::parse(base).map(drop).map_err(|_| {
        format!("found {base:?}; it must be a distinguished name, such as \"ou=people,dc=example,dc=edu\"")
    })
}
