//! What the attributes of an entry mean: entries in, people and groups out.
//!
//! *Its one idea: the configuration is compiled once, and each entry is judged alone.* An entry that
//! cannot be used is named with its problem, and the next one is looked at.

use regex::Regex;

use super::SourceError;
use super::entry::{Entry, not_text};
use super::filter::{self, Filter};
use super::outbox::Outbox;
use crate::config::directory::{Groups, People};
use crate::directory::{
    Dn, EntryKind, EntryProblem, Evidence, Group, GroupId, Member, MemberName, Observation, Person,
    Reason, Role, StableId, Unusable, Version,
};

mod user_id;

/// The attribute of the people that names their groups, where the groups do not name their people.
pub(super) const MEMBER_OF: &str = "memberof";

/// What makes a person, compiled from `[directory.people]`.
#[derive(Debug)]
pub(super) struct PeopleMeaning {
    pub(super) base: String,
    pub(super) filter: String,
    /// The filter, where it can be evaluated here.
    pub(super) matching: Option<Filter>,
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
    enabled_attributes: Vec<String>,
    /// The attributes that name somebody's primary group; none where nobody is a member by it.
    primary: &'static [&'static str],
    /// The attribute by which entries in several directories are one person's; empty: none.
    join: String,
    /// The attributes of which a server may send a part only.
    pub(super) ranged: Vec<String>,
}

/// What makes a group, compiled from `[directory.groups]`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the configuration"
)]
#[derive(Debug)]
pub(super) struct GroupMeaning {
    pub(super) base: String,
    pub(super) filter: String,
    /// The filter, where it can be evaluated here.
    pub(super) matching: Option<Filter>,
    group_id: String,
    name: String,
    /// The membership attributes of the group itself, the plain members first.
    members: Vec<MemberAttribute>,
    /// The attributes of which a server may send a part only.
    pub(super) ranged: Vec<String>,
    /// Whether the plain members are read from the people.
    pub(super) by_people: bool,
    /// Whether groups in groups are followed.
    pub(super) nested: bool,
    /// Whether people are members by their primary group.
    primary: bool,
    /// Whether a group may be without a member, although its class must have one.
    pub(super) may_be_empty: bool,
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

/// Attributes that every account of Active Directory has (MS-ADSC, class user).
pub(super) const ALWAYS_THERE: [&str; 4] = [
    "useraccountcontrol",
    "primarygroupid",
    "objectsid",
    "samaccountname",
];

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
        let enabled = enabled
            .transpose()
            .map_err(|e| wrong("enabled", e.to_string()))?;
        let mut enabled_attributes = Vec::new();
        if let Some(enabled) = &enabled {
            enabled.attributes(&mut enabled_attributes);
        }
        Ok(Self {
            base: people.base.clone(),
            filter: people.filter.clone(),
            matching: Filter::parse(&people.filter).ok(),
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
            enabled,
            enabled_attributes,
            primary: if groups.primary { &PRIMARY_GROUP } else { &[] },
            join: people
                .join
                .as_deref()
                .unwrap_or_default()
                .to_ascii_lowercase(),
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
            &self.join,
        ];
        let mut names: Vec<String> = single.into_iter().chain(&self.ranged).cloned().collect();
        names.extend(self.enabled_attributes.iter().cloned());
        names.extend(self.primary.iter().map(|name| (*name).to_owned()));
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The attributes that a person should have and has not, where they decide about their access: those for
    /// which the account counts as disabled, and the groups, where people name them.
    pub(super) fn lacks(&self, entry: &Entry) -> Vec<&str> {
        // Whoever counts as enabled may lack the attribute for good, unless every account has it.
        let decides = |name: &&String| match &self.enabled {
            Some(enabled) => !enabled.matches(entry) || ALWAYS_THERE.contains(&name.as_str()),
            None => false,
        };
        let of_the_account = self.enabled_attributes.iter().filter(decides);
        missing(entry, of_the_account.chain(self.ranged.first()))
    }

    /// Whether an attribute decides whether an account is in use, rather than in which groups it is.
    pub(super) fn is_of_the_account(&self, attribute: &str) -> bool {
        !self.ranged.iter().any(|name| name == attribute)
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
        let mut states = self.enabled_attributes.iter();
        if let Some(problem) = states.find_map(|name| entry.incomplete(name)) {
            return Err(problem);
        }
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
            primary_group: self.primary.iter().find_map(|name| {
                let value = entry.text(name).ok().flatten()?;
                Some(primary_key(name, value))
            }),
            join_key: optional(&self.join).map(|key| key.to_lowercase()),
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
            primary: groups.primary,
            nested: groups.nested,
            may_be_empty: groups.may_be_empty,
            matching: Filter::parse(&groups.filter).ok(),
        })
    }

    /// The attributes to ask a server for.
    pub(super) fn attributes(&self) -> Vec<String> {
        let mut names = vec![self.group_id.clone(), self.name.clone()];
        names.extend_from_slice(&self.ranged);
        if self.primary {
            names.extend(PRIMARY_KEY.map(str::to_owned));
        }
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
        let mut told = told(EntryKind::Group, entry, id, understand, Observation::Group);
        if let Some(Observation::Unusable(unusable)) = told.first_mut() {
            let ids = entry.values(&self.group_id).iter();
            let ids = ids.filter_map(|value| str::from_utf8(value).ok());
            unusable.group_ids = ids.map(|id| GroupId::new(id.trim())).collect();
        }
        told
    }

    /// The same of a record in a file, which has no server that could be asked: a group of a class that must
    /// have a member (RFC 4519, sections 3.5 and 3.6) and has none was exported by an account that may not
    /// read the members.
    pub(super) fn observe_in_file(
        &self,
        entry: &Entry,
        id: Result<StableId, EntryProblem>,
    ) -> Vec<Observation> {
        let mut told = self.observe(entry, id);
        let must_have = [
            ("groupOfNames", "member"),
            ("groupOfUniqueNames", "uniquemember"),
        ];
        let lacks = self.lacks(entry);
        let impossible = must_have.into_iter().find(|(class, attribute)| {
            let mut classes = entry.values("objectclass").iter();
            lacks.contains(attribute)
                && classes.any(|found| found.eq_ignore_ascii_case(class.as_bytes()))
        });
        if let (Some(Observation::Group(group, _)), Some((_, attribute)), false) =
            (told.first_mut(), impossible, self.may_be_empty)
        {
            let attribute = attribute.to_owned();
            group.evidence = Evidence::unknown(Reason::AttributeUnreadable);
            let flawed = Unusable {
                kind: EntryKind::Group,
                id: Some(group.id.clone()),
                dn: entry.dn.clone(),
                problem: EntryProblem::Hidden { attribute },
                group_ids: Vec::new(),
            };
            told.push(Observation::Flawed(flawed));
        }
        told
    }

    /// The attributes in which a group would name this member in this role, with the value.
    pub(super) fn values_of(&self, role: &Role, member: &MemberName) -> Vec<(&str, String)> {
        let in_role = self
            .members
            .iter()
            .filter(|attribute| attribute.role == *role);
        in_role
            .filter_map(|attribute| match member {
                MemberName::Dn(dn) if !attribute.by_login => {
                    Some((attribute.name.as_str(), dn.as_str().to_owned()))
                }
                MemberName::Login(login) if attribute.by_login => {
                    Some((attribute.name.as_str(), login.clone()))
                }
                _ => None,
            })
            .collect()
    }

    /// The member attributes that a group has no value of.
    pub(super) fn lacks(&self, entry: &Entry) -> Vec<&str> {
        missing(entry, &self.ranged)
    }

    /// What to say where there are groups, and none of them has a member: an account without the right to
    /// read them gets the same answer.
    pub(super) fn no_members(&self, out: &Outbox<'_>) -> Option<String> {
        if !out.nobody_in_any_group() || self.may_be_empty {
            return None;
        }
        let attribute = self
            .members
            .first()
            .map_or(MEMBER_OF, |member| &member.name);
        Some(format!(
            "none of the groups has a member. Check that {attribute} is the right attribute (directory.groups.members), and that the account may read it. If all groups are empty, set directory.groups.may_be_empty = true"
        ))
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
        let mut evidence = Evidence::Known;
        let mut members = Vec::new();
        for attribute in &self.members {
            let problem = attribute.read(entry, &mut members);
            if let Some(problem) = &problem {
                evidence.lacks(match problem {
                    EntryProblem::Partial { .. } => Reason::ValuesMissing,
                    _ => Reason::ValueNotUnderstood,
                });
            }
            flaws.extend(problem);
        }
        let what = Group {
            id,
            dn,
            group_id: GroupId::new(group_id),
            name: name.map(str::to_owned),
            members,
            evidence,
            primary_key: self.primary.then(|| own_primary_key(entry)).flatten(),
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
        group_ids: Vec::new(),
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

/// The state of an entry, where the server can name it: by its change number, or else by the time of the
/// last change, where all servers of the directory agree about it. Active Directory's do not, and it is not
/// asked for `modifyTimestamp`.
pub(super) fn version(entry: &Entry) -> Option<Version> {
    if let Some(version) = entry.text(VERSION).ok().flatten() {
        return Some(Version(version.to_owned()));
    }
    let changed = entry.text("modifytimestamp").ok().flatten()?;
    super::stamp::parse(changed).map(Version::of_time)
}

/// The attributes by which a person names their primary group: Active Directory's (MS-ADA3, section
/// 2.120), and RFC 2307's.
const PRIMARY_GROUP: [&str; 2] = ["primarygroupid", "gidnumber"];

/// The attributes by which a group is somebody's primary group.
const PRIMARY_KEY: [&str; 2] = ["objectsid", "gidnumber"];

/// A primary group as it is stored: by which attribute, and its value.
fn primary_key(name: &str, value: &str) -> String {
    let scheme = if name == "gidnumber" { "gid" } else { "rid" };
    format!("{scheme}:{}", value.trim())
}

/// The attributes, of these, of which an entry has no value.
fn missing<'n>(entry: &Entry, names: impl IntoIterator<Item = &'n String>) -> Vec<&'n str> {
    let names = names.into_iter().map(String::as_str);
    names.filter(|name| entry.values(name).is_empty()).collect()
}

/// What people write who have this as their primary group: the last part of its SID, or its number.
fn own_primary_key(entry: &Entry) -> Option<String> {
    let sid = entry.values("objectsid").iter().next();
    if let Some(rid) = sid.and_then(|sid| relative_id(sid)) {
        return Some(primary_key("primarygroupid", &rid.to_string()));
    }
    let number = entry.text("gidnumber").ok().flatten()?;
    Some(primary_key("gidnumber", number))
}

/// The last part of a SID (MS-DTYP, section 2.4.2): as octets, or as text, as exports may have it.
fn relative_id(sid: &[u8]) -> Option<u32> {
    if let Some(text) = str::from_utf8(sid)
        .ok()
        .filter(|text| text.starts_with("S-1-"))
    {
        return text.rsplit('-').next()?.parse().ok();
    }
    let parts = usize::from(*sid.get(1)?);
    let last = sid.get(8..)?.chunks_exact(4).nth(parts.checked_sub(1)?)?;
    (sid.len() == 8 + 4 * parts).then(|| Some(u32::from_le_bytes(last.try_into().ok()?)))?
}

fn dn_of(entry: &Entry) -> Result<Dn, EntryProblem> {
    Dn::parse(&entry.dn).map_err(|_| EntryProblem::Undecodable)
}

fn check_base(base: &str) -> Result<(), String> {
    Dn::parse(base).map(drop).map_err(|_| {
        format!("found {base:?}; it must be a distinguished name, such as \"ou=people,dc=example,dc=edu\"")
    })
}

#[cfg(test)]
mod tests {
    use super::super::entry::entry;
    use super::*;

    #[test]
    fn a_person_lacks_whatever_decides_about_their_access_and_did_not_come() {
        let groups = toml::from_str("base = \"dc=x\"\nmembers = \"memberOf\"").unwrap();
        let groups = GroupMeaning::new("campus", &groups).unwrap();
        let people =
            "base = \"dc=x\"\nuser_id = \"uid\"\nenabled = \"(&(status=on)(!(locked=1)))\"";
        let people = toml::from_str(people).unwrap();
        let people = PeopleMeaning::new("campus", &people, &groups).unwrap();
        let lacks = |attributes: &[(&str, &[&str])]| {
            let entry = entry("uid=ada,dc=x", attributes);
            people.lacks(&entry).join(" ")
        };
        assert_eq!(lacks(&[]), "status locked memberof");
        assert_eq!(lacks(&[("status", &["off"])]), "locked memberof");
        assert_eq!(lacks(&[("status", &["on"])]), "memberof");
        let all: &[(&str, &[&str])] = &[
            ("status", &["off"]),
            ("locked", &["0"]),
            ("memberOf", &["cn=a"]),
        ];
        assert_eq!(lacks(all), "");
    }
}
