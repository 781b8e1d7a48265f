//! The mirror as the planner wants it: names of groups, members of some, and who is who.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::{Store, StoreError};
use crate::category::UserId;
use crate::directory::{GroupId, Role};
use crate::plan::desired::{EntryId, Listed, Listing, NamedGroup, Roster, VanishedName};

/// How deep groups in groups are followed, by directory; a directory that is not here: not at all.
pub type Depths = BTreeMap<String, usize>;

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
    /// The names of all groups.
    pub fn named_groups(&self) -> Result<Vec<NamedGroup>, StoreError> {
        let connection = self.lock();
        let mut names = Names::default();
        let mut statement = connection.prepare_cached(
            "SELECT grp.id, directory.name, grp.group_id FROM grp JOIN entry USING (id)
             JOIN directory ON directory.id = entry.directory ORDER BY grp.group_id, grp.id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(NamedGroup {
                entry: row.get(0)?,
                directory: names.name(row, 1)?,
                group_id: GroupId::new(row.get::<_, String>(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The group IDs that are not there any more.
    pub fn vanished_names(&self) -> Result<Vec<VanishedName>, StoreError> {
        let connection = self.lock();
        let mut names = Names::default();
        let mut statement = connection.prepare_cached(
            "SELECT directory.name, group_id FROM vanished_group
             JOIN directory ON directory.id = vanished_group.directory ORDER BY group_id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(VanishedName {
                directory: names.name(row, 0)?,
                group_id: GroupId::new(row.get::<_, String>(1)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The user IDs that two or more people have.
    pub fn shared_user_ids(&self) -> Result<BTreeSet<UserId>, StoreError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT user_key FROM person GROUP BY user_key HAVING count(*) > 1")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0).map(UserId::new))?;
        Ok(rows.collect::<Result<_, _>>()?)
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

    /// The groups that have a person as a direct member.
    pub fn groups_of(&self, user: &UserId) -> Result<Vec<GroupId>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT DISTINCT grp.group_id FROM person JOIN membership ON member_id = person.id
             JOIN grp ON grp.id = membership.group_id WHERE user_key = ?1",
        )?;
        let rows = statement.query_map([user.key()], |row| {
            row.get::<_, String>(0).map(GroupId::new)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Everybody and every group.
    pub fn whole_roster(&self, depths: &Depths) -> Result<Roster, StoreError> {
        let connection = self.lock();
        let mut roster = Roster::default();
        let mut statement = connection.prepare_cached("SELECT id, user_id, enabled FROM person")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            roster.people.insert(row.get(0)?, listed(row, 1)?);
        }
        let mut statement = connection.prepare_cached(
            "SELECT grp.id, grp.group_id, grp.complete, directory.name FROM grp JOIN entry USING (id)
             JOIN directory ON directory.id = entry.directory",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            roster.groups.insert(row.get(0)?, listing(row, depths)?);
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
            "SELECT id FROM entry WHERE kind = 'group'
             AND NOT EXISTS (SELECT 1 FROM grp WHERE grp.id = entry.id)",
        )?;
        let vanished = statement.query_map([], |row| row.get(0))?;
        roster.vanished = vanished.collect::<Result<_, _>>()?;
        Ok(roster)
    }

    /// These groups, the groups in them, and their people.
    pub fn roster(
        &self,
        groups: &BTreeSet<EntryId>,
        depths: &Depths,
    ) -> Result<Roster, StoreError> {
        let connection = self.lock();
        let roles = roles(&connection)?;
        let mut roster = Roster::default();
        let mut open: Vec<EntryId> = groups.iter().copied().collect();
        let mut met: HashSet<EntryId> = groups.iter().copied().collect();
        while let Some(id) = open.pop() {
            let Some(mut group) = group(&connection, id, depths)? else {
                continue;
            };
            let mut statement = connection.prepare_cached(
                "SELECT role, member_id, entry.kind, person.user_id, person.enabled
                 FROM membership JOIN entry ON entry.id = member_id
                 LEFT JOIN person ON person.id = member_id
                 WHERE membership.group_id = ?1",
            )?;
            let mut rows = statement.query([id])?;
            while let Some(row) = rows.next()? {
                let member: EntryId = row.get(1)?;
                let role = roles
                    .get(&row.get(0)?)
                    .cloned()
                    .unwrap_or_else(Role::member);
                group.members.push((role, member));
                if row.get_ref(3)? != rusqlite::types::ValueRef::Null {
                    roster.people.insert(member, listed(row, 3)?);
                } else if row.get_ref(2)?.as_str().unwrap_or_default() == "group"
                    && met.insert(member)
                {
                    open.push(member);
                }
            }
            roster.groups.insert(id, group);
        }
        roster.vanished = met
            .into_iter()
            .filter(|id| !groups.contains(id) && !roster.groups.contains_key(id))
            .collect();
        Ok(roster)
    }
}

fn group(
    connection: &Connection,
    id: EntryId,
    depths: &Depths,
) -> Result<Option<Listing>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT grp.id, grp.group_id, grp.complete, directory.name FROM grp JOIN entry USING (id)
             JOIN directory ON directory.id = entry.directory WHERE grp.id = ?1",
        )?
        .query_row([id], |row| listing(row, depths))
        .optional()?)
}

fn listing(row: &Row<'_>, depths: &Depths) -> rusqlite::Result<Listing> {
    Ok(Listing {
        group_id: GroupId::new(row.get::<_, String>(1)?),
        complete: row.get(2)?,
        depth: depths.get(&row.get::<_, String>(3)?).copied().unwrap_or(0),
        members: Vec::new(),
    })
}

fn listed(row: &Row<'_>, column: usize) -> rusqlite::Result<Listed> {
    Ok(Listed {
        user: UserId::new(row.get_ref(column)?.as_str()?),
        enabled: row.get(column + 1)?,
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
