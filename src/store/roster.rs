//! The mirror as the planner wants it: names of groups, members of some, and who is who.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::{Store, StoreError};
use crate::category::UserId;
use crate::directory::{GroupId, Reason, Role};
use crate::plan::category::Cause;
use crate::plan::desired::{
    EntryId, Gone, GroupNames, Listed, Listing, NamedGroup, Roster, Unaccounted, UnusableName,
    VanishedName,
};
use crate::store::mirror::group_evidence;

/// How deep groups in groups are followed, by directory; a directory that is not here: not at all.
pub type Depths = BTreeMap<String, usize>;

/// What the planner asks the mirror for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How deep groups in groups are followed.
    pub depths: Depths,
    /// People and names whose entries are gone or hidden since after this, in Unix seconds, are kept.
    pub kept_after: i64,
}

/// Where somebody is, who is wanted nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// Some directory has an entry of theirs.
    Present,
    /// A directory had an entry of theirs, until this read of it.
    Gone {
        /// The mirror's number of the directory.
        directory: i64,
        /// The last read in which the entry was there.
        look: i64,
    },
    /// No directory has or had an entry of theirs, as far as it is known.
    Unknown,
}

/// Two or more entries with one user ID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Shared {
    /// The user ID.
    pub user: UserId,
    /// Each entry: its directory and its name.
    pub entries: Vec<(String, String)>,
}

/// Two or more people of one directory with one login, which groups name them by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct SharedLogin {
    /// The login.
    pub login: String,
    /// Their user IDs.
    pub users: BTreeSet<UserId>,
    /// Each entry: its directory and its name.
    pub entries: Vec<(String, String)>,
}

/// What the directory says of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Mail address. Never logged.
    pub mail: Option<String>,
}

impl Store {
    /// The names of all groups: there, vanished, and unusable.
    pub fn group_names(&self) -> Result<GroupNames, StoreError> {
        let connection = self.lock();
        let mut names = Names::default();
        let mut statement = connection.prepare_cached(
            "SELECT grp.id, directory.name, grp.group_id FROM grp JOIN entry USING (id)
             JOIN directory ON directory.id = entry.directory ORDER BY grp.group_id, grp.id",
        )?;
        let there = statement.query_map([], |row| {
            Ok(NamedGroup {
                entry: row.get(0)?,
                directory: names.name(row, 1)?,
                group_id: GroupId::new(row.get::<_, String>(2)?),
            })
        })?;
        let there = there.collect::<Result<_, _>>()?;
        let mut statement = connection.prepare_cached(
            "SELECT directory.name, group_id FROM vanished_group
             JOIN directory ON directory.id = vanished_group.directory ORDER BY group_id",
        )?;
        let vanished = statement.query_map([], |row| {
            Ok(VanishedName {
                directory: names.name(row, 0)?,
                group_id: GroupId::new(row.get::<_, String>(1)?),
            })
        })?;
        let vanished = vanished.collect::<Result<_, _>>()?;
        let mut statement = connection.prepare_cached(
            "SELECT directory.name, group_id FROM unusable_group
             JOIN directory ON directory.id = unusable_group.directory ORDER BY group_id",
        )?;
        let unusable = statement.query_map([], |row| {
            Ok(UnusableName {
                directory: names.name(row, 0)?,
                group_id: GroupId::new(row.get::<_, String>(1)?),
            })
        })?;
        Ok(GroupNames {
            there,
            vanished,
            unusable: unusable.collect::<Result<_, _>>()?,
        })
    }

    /// The directories that have never been read in full.
    pub fn never_read(&self, names: &[&str]) -> Result<BTreeSet<Arc<str>>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT 1 FROM directory WHERE name = ?1 AND full_read_at IS NOT NULL",
        )?;
        let mut never = BTreeSet::new();
        for name in names {
            if !statement.exists([name])? {
                never.insert(Arc::from(*name));
            }
        }
        Ok(never)
    }

    /// Where somebody is who is wanted nowhere.
    pub fn whereabouts(&self, user: &UserId) -> Result<Vec<Whereabouts>, StoreError> {
        let connection = self.lock();
        let is_present = connection
            .prepare_cached(
                "SELECT 1 FROM person WHERE user_key = ?1
                 UNION ALL SELECT 1 FROM former_user JOIN person USING (id)
                 WHERE former_user.user_key = ?1",
            )?
            .exists([user.key()])?;
        if is_present {
            return Ok(vec![Whereabouts::Present]);
        }
        let mut statement = connection.prepare_cached(
            "SELECT directory, former_person.look FROM former_person JOIN entry USING (id)
             WHERE user_key = ?1",
        )?;
        let gone = statement.query_map([user.key()], |row| {
            Ok(Whereabouts::Gone {
                directory: row.get(0)?,
                look: row.get(1)?,
            })
        })?;
        let gone: Vec<_> = gone.collect::<Result<_, _>>()?;
        Ok(if gone.is_empty() {
            vec![Whereabouts::Unknown]
        } else {
            gone
        })
    }

    /// The directories that list names, new in their last complete read, which no entry has and nobody has looked up:
    /// somebody may have been renamed while it was read. Each with the number of that read.
    pub fn read_once(&self) -> Result<BTreeMap<i64, i64>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, full_look FROM directory WHERE EXISTS
                 (SELECT 1 FROM entry WHERE directory = directory.id AND kind = 'name'
                  AND looked_up_at IS NULL AND look >= full_look)",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The user IDs that two or more people have, with their entries. Entries of several directories that
    /// are joined (`people.join`) are one person.
    pub fn shared_user_ids(&self) -> Result<Vec<Shared>, StoreError> {
        let connection = self.lock();
        let keys: Vec<String> = connection
            .prepare_cached("SELECT user_key FROM person GROUP BY user_key HAVING count(*) > 1")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut statement = connection.prepare_cached(
            "SELECT user_id, directory.name, entry.name, join_key FROM person JOIN entry USING (id)
             JOIN directory ON directory.id = entry.directory WHERE user_key = ?1
             ORDER BY directory.name, entry.name",
        )?;
        let mut shared = Vec::new();
        for key in keys {
            let rows: Vec<(String, String, String, Option<String>)> = statement
                .query_map([key], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect::<Result<_, _>>()?;
            let directories: BTreeSet<&str> = rows.iter().map(|row| row.1.as_str()).collect();
            let joined: BTreeSet<Option<&str>> = rows.iter().map(|row| row.3.as_deref()).collect();
            let is_one =
                directories.len() == rows.len() && joined.len() == 1 && !joined.contains(&None);
            if let (false, Some(first)) = (is_one, rows.first()) {
                shared.push(Shared {
                    user: UserId::new(first.0.as_str()),
                    entries: rows.into_iter().map(|row| (row.1, row.2)).collect(),
                });
            }
        }
        Ok(shared)
    }

    /// The logins that two or more people of one directory have, with their entries: whom a group means by such a
    /// login cannot be told.
    pub fn shared_logins(&self) -> Result<Vec<SharedLogin>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT login, user_id, directory.name, entry.name
             FROM person JOIN entry USING (id) JOIN directory ON directory.id = entry.directory
             WHERE login IN (SELECT login FROM person WHERE login IS NOT NULL
                             GROUP BY login HAVING count(*) > 1)
             ORDER BY directory.name, login, entry.name",
        )?;
        let mut rows = statement.query([])?;
        let mut found: BTreeMap<(String, String), SharedLogin> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (login, directory): (String, String) = (row.get(0)?, row.get(2)?);
            let shared = found
                .entry((directory.clone(), login.clone()))
                .or_insert(SharedLogin {
                    login,
                    users: BTreeSet::new(),
                    entries: Vec::new(),
                });
            shared.users.insert(UserId::new(row.get::<_, String>(1)?));
            shared.entries.push((directory, row.get(3)?));
        }
        let shared = found.into_values();
        Ok(shared.filter(|shared| shared.entries.len() > 1).collect())
    }

    /// The names for people of groups that have one, by group ID; of two groups of one ID, one's.
    pub fn group_titles(&self) -> Result<BTreeMap<GroupId, String>, StoreError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT group_id, name FROM grp WHERE name IS NOT NULL ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok((GroupId::new(row.get::<_, String>(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is known of some people, by user ID.
    pub fn profiles(
        &self,
        wanted: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Profile>, StoreError> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT user_id, first_name, last_name, mail FROM person")?;
        let mut rows = statement.query([])?;
        let mut profiles = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let user = UserId::new(row.get::<_, String>(0)?);
            if wanted.contains(&user) {
                let profile = Profile {
                    first_name: row.get(1)?,
                    last_name: row.get(2)?,
                    mail: row.get(3)?,
                };
                profiles.insert(user, profile);
            }
        }
        Ok(profiles)
    }

    /// A group and all the groups that contain it, directly or through others.
    pub fn outer_groups(&self, group: &GroupId) -> Result<Vec<EntryId>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "WITH RECURSIVE outer_group (id) AS (
                 SELECT id FROM grp WHERE group_id = ?1
                 UNION
                 SELECT membership.group_id FROM membership JOIN outer_group ON member_id = outer_group.id
             ) SELECT id FROM outer_group",
        )?;
        let rows = statement.query_map([group.as_str()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The groups that have a person as a direct member, their primary group included.
    pub fn groups_of(&self, user: &UserId) -> Result<Vec<GroupId>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT grp.group_id FROM person JOIN membership ON member_id = person.id
             JOIN grp ON grp.id = membership.group_id WHERE user_key = ?1
             UNION SELECT grp.group_id FROM person JOIN grp ON grp.primary_key = primary_group
             WHERE user_key = ?1",
        )?;
        let rows = statement.query_map([user.key()], |row| {
            row.get::<_, String>(0).map(GroupId::new)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Everybody and every group.
    pub fn whole_roster(&self, terms: &Terms) -> Result<Roster, StoreError> {
        let connection = self.lock();
        let mut roster = Roster::default();
        let mut statement = connection.prepare_cached(
            "SELECT id, user_id, enabled, directory FROM person JOIN entry USING (id)",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            roster.people.insert(row.get(0)?, listed(row, 1)?);
        }
        let mut statement = connection.prepare_cached(
            "SELECT grp.id, grp.group_id, grp.evidence, directory.name, grp.primary_key
             FROM grp JOIN entry USING (id) JOIN directory ON directory.id = entry.directory",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            roster.groups.insert(row.get(0)?, listing(row, terms)?);
        }
        let roles = roles(&connection)?;
        let mut statement = connection.prepare_cached(
            "SELECT group_id, role, member_id FROM membership ORDER BY group_id, role",
        )?;
        let mut rows = statement.query([])?;
        // A group's rows come together, and so do those of one role.
        let mut group = (0, Vec::new());
        let mut role = (0, Role::member());
        while let Some(row) = rows.next()? {
            let (group_id, role_id): (EntryId, i64) = (row.get(0)?, row.get(1)?);
            if group_id != group.0 {
                roster.fill(group.0, std::mem::take(&mut group.1));
                group.0 = group_id;
            }
            if role_id != role.0 {
                role = (
                    role_id,
                    roles.get(&role_id).cloned().unwrap_or_else(Role::member),
                );
            }
            group.1.push((role.1.clone(), row.get(2)?));
        }
        roster.fill(group.0, group.1);
        let mut statement = connection.prepare_cached(
            "SELECT person.id, grp.id FROM grp
             JOIN entry AS mine ON mine.id = grp.id
             JOIN person ON primary_group = primary_key
             JOIN entry AS theirs ON theirs.id = person.id AND theirs.directory = mine.directory
             WHERE primary_key IS NOT NULL",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            roster.add(row.get(1)?, row.get(0)?);
        }
        let mut statement = connection.prepare_cached(
            "SELECT entry.id, entry.kind, entry.directory, entry.look, entry.since,
                 former_person.user_id, former_person.how, former_person.gone_at
             FROM entry LEFT JOIN former_person USING (id)
             WHERE NOT EXISTS (SELECT 1 FROM person WHERE person.id = entry.id)
             AND NOT EXISTS (SELECT 1 FROM grp WHERE grp.id = entry.id)",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            unusual(&mut roster, row.get(0)?, row, 1, terms)?;
        }
        let mut statement = connection.prepare_cached("SELECT DISTINCT group_id FROM departure")?;
        let groups: Vec<EntryId> = statement
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for group in groups {
            departures(&connection, &mut roster, group, &roles)?;
        }
        let mut statement = connection.prepare_cached(&format!(
            "SELECT id, user_id FROM former_user WHERE {STILL_THEIRS}"
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let user = UserId::new(row.get::<_, String>(1)?);
            roster.former_ids.entry(row.get(0)?).or_default().push(user);
        }
        Ok(roster)
    }

    /// These groups, the groups in them, and their people.
    pub fn roster(&self, groups: &BTreeSet<EntryId>, terms: &Terms) -> Result<Roster, StoreError> {
        let connection = self.lock();
        let roles = roles(&connection)?;
        let mut roster = Roster::default();
        let mut open: Vec<EntryId> = groups.iter().copied().collect();
        let mut met: HashSet<EntryId> = groups.iter().copied().collect();
        while let Some(id) = open.pop() {
            let Some((listing, primary_key)) = group(&connection, id, terms)? else {
                continue;
            };
            roster.groups.insert(id, listing);
            let mut members = Vec::new();
            for from in ["membership", "departure"] {
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT role, member_id, person.user_id, person.enabled, entry.directory,
                         entry.kind, entry.directory, entry.look, entry.since,
                         former_person.user_id, former_person.how, former_person.gone_at
                     FROM {from} JOIN entry ON entry.id = member_id
                     LEFT JOIN person ON person.id = member_id
                     LEFT JOIN former_person ON former_person.id = member_id
                     WHERE {from}.group_id = ?1"
                ))?;
                let mut rows = statement.query([id])?;
                while let Some(row) = rows.next()? {
                    let member: EntryId = row.get(1)?;
                    let role = roles.get(&row.get(0)?);
                    if from == "membership" {
                        members.push((role.cloned().unwrap_or_else(Role::member), member));
                    }
                    if row.get_ref(2)? != rusqlite::types::ValueRef::Null {
                        if roster.people.insert(member, listed(row, 2)?).is_none() {
                            former_ids(&connection, &mut roster, member)?;
                        }
                    } else if row.get_ref(5)?.as_str().unwrap_or_default() == "group" {
                        if met.insert(member) {
                            open.push(member);
                        }
                    } else {
                        unusual(&mut roster, member, row, 5, terms)?;
                        former_ids(&connection, &mut roster, member)?;
                    }
                }
            }
            roster.fill(id, members);
            departures(&connection, &mut roster, id, &roles)?;
            if let Some(key) = primary_key {
                let mut statement = connection.prepare_cached(
                    "SELECT person.id, user_id, enabled, directory FROM person JOIN entry USING (id)
                     WHERE primary_group = ?1
                     AND directory = (SELECT directory FROM entry WHERE id = ?2)",
                )?;
                let mut rows = statement.query(rusqlite::params![key, id])?;
                while let Some(row) = rows.next()? {
                    let member = row.get(0)?;
                    if roster.people.insert(member, listed(row, 1)?).is_none() {
                        former_ids(&connection, &mut roster, member)?;
                    }
                    roster.add(id, member);
                }
            }
        }
        roster.vanished = met
            .into_iter()
            .filter(|id| !groups.contains(id) && !roster.groups.contains_key(id))
            .collect();
        Ok(roster)
    }
}

/// Notes a member that is neither a person nor a group that can be used. The row has kind, directory,
/// look and since of the entry from this column on, then what is known of a person who is gone.
fn unusual(
    roster: &mut Roster,
    id: EntryId,
    row: &Row<'_>,
    column: usize,
    terms: &Terms,
) -> rusqlite::Result<()> {
    let user: Option<String> = row.get(column + 4)?;
    if let Some(user) = user {
        let is_filtered = row.get_ref(column + 5)?.as_str()? == "filter";
        let gone_at: i64 = row.get(column + 6)?;
        let gone = Gone {
            user: UserId::new(user),
            cause: if is_filtered {
                Cause::LeftFilter
            } else {
                Cause::PersonGone
            },
            is_kept: !is_filtered && gone_at > terms.kept_after,
        };
        roster.gone.insert(id, gone);
        return Ok(());
    }
    let directory = row.get(column + 1)?;
    match row.get_ref(column)?.as_str()? {
        "group" => _ = roster.vanished.insert(id),
        // It is there, whatever the policy says of those who are not.
        "person" => {
            let entry = Unaccounted { directory, look: 0 };
            roster.unaccounted.insert(id, entry);
        }
        "name" => {
            let since: Option<i64> = row.get(column + 3)?;
            if since.unwrap_or(0) > terms.kept_after {
                let look = row.get(column + 2)?;
                roster
                    .unaccounted
                    .insert(id, Unaccounted { directory, look });
            }
        }
        _ => {}
    }
    Ok(())
}

/// Notes whom a group does not list any more, without proof that they have left.
fn departures(
    connection: &Connection,
    roster: &mut Roster,
    group: EntryId,
    roles: &HashMap<i64, Role>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT role, member_id, reason, own AND EXISTS
                 (SELECT 1 FROM former_person WHERE former_person.id = member_id AND how = 'gone')
             FROM departure WHERE group_id = ?1",
    )?;
    let mut rows = statement.query([group])?;
    while let Some(row) = rows.next()? {
        if row.get(3)? {
            // Only their own entry could say that they have left.
            roster.add(group, row.get(1)?);
            continue;
        }
        let role = roles.get(&row.get(0)?);
        let reason: Reason = super::from_word(row.get_ref(2)?.as_str().unwrap_or_default())?;
        roster.departures.entry(group).or_default().push((
            role.cloned().unwrap_or_else(Role::member),
            row.get(1)?,
            reason,
        ));
    }
    Ok(())
}

/// A former ID of somebody who is gone says nothing once another person has it.
const STILL_THEIRS: &str = "(EXISTS (SELECT 1 FROM person WHERE person.id = former_user.id)
    OR NOT EXISTS (SELECT 1 FROM person WHERE person.user_key = former_user.user_key))";

fn former_ids(
    connection: &Connection,
    roster: &mut Roster,
    member: EntryId,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT user_id FROM former_user WHERE id = ?1 AND {STILL_THEIRS}"
    ))?;
    let mut rows = statement.query([member])?;
    while let Some(row) = rows.next()? {
        let user = UserId::new(row.get::<_, String>(0)?);
        roster.former_ids.entry(member).or_default().push(user);
    }
    Ok(())
}

fn group(
    connection: &Connection,
    id: EntryId,
    terms: &Terms,
) -> Result<Option<(Listing, Option<String>)>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT grp.id, grp.group_id, grp.evidence, directory.name, grp.primary_key
             FROM grp JOIN entry USING (id)
             JOIN directory ON directory.id = entry.directory WHERE grp.id = ?1",
        )?
        .query_row([id], |row| Ok((listing(row, terms)?, row.get(4)?)))
        .optional()?)
}

fn listing(row: &Row<'_>, terms: &Terms) -> rusqlite::Result<Listing> {
    let depth = terms.depths.get(&row.get::<_, String>(3)?);
    Ok(Listing {
        group_id: GroupId::new(row.get::<_, String>(1)?),
        evidence: group_evidence(row, 2)?,
        depth: depth.copied().unwrap_or(0),
        members: Vec::new(),
    })
}

fn listed(row: &Row<'_>, column: usize) -> rusqlite::Result<Listed> {
    let user = UserId::new(row.get_ref(column)?.as_str()?);
    Ok(Listed {
        is_usable: user.problem().is_none(),
        user,
        enabled: row.get(column + 1)?,
        directory: row.get(column + 2)?,
    })
}

fn roles(connection: &Connection) -> Result<HashMap<i64, Role>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM role")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, Role::new(row.get::<_, String>(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Directory names, each kept once.
#[derive(Default)]
struct Names(BTreeMap<String, Arc<str>>);

impl Names {
    fn name(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
        let name = row.get_ref(column)?.as_str()?;
        if let Some(known) = self.0.get(name) {
            return Ok(known.clone());
        }
        let shared: Arc<str> = name.into();
        self.0.insert(name.to_owned(), shared.clone());
        Ok(shared)
    }
}
