//! The account in a file, so that it is still there tomorrow.
//!
//! *Its one idea: memory is the account, the file is its diary.* Everything is answered from memory;
//! when a request is over, what it wrote goes to the file in one transaction. At the start the file
//! is read once, from beginning to end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use rusqlite_migration::{M, Migrations};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::state::{
    Categories, Category, Cells, CustomData, DELETED, GroupRow, Groups, Memberships, Metadata,
    Partner, State, Tally, Tracked, User, UserKey, Users, level_names,
};

/// Why the file of a sandbox cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// Another sandbox has it open.
    #[error("another sandbox serves {path} already: stop that one, or take another file")]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer program.
    #[error("{path} was written by a newer version of Rollbook: use that version, or another file")]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// It holds another account than the one that was asked for.
    #[error(
        "{path} holds the account {found}, with secrets of its own: leave partner and secrets to the file, or take another file"
    )]
    OtherAccount {
        /// The file.
        path: PathBuf,
        /// The number of the account in it.
        found: i64,
    },
    /// It holds something that is no account.
    #[error("{path} is not the file of a sandbox account ({what}): take another file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What could not be read.
        what: String,
    },
    /// `SQLite` refused.
    #[error("the sandbox cannot use the file {path}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: rusqlite::Error,
    },
}

/// The file of an account, open and nobody else's.
#[derive(Debug)]
pub(super) struct File {
    connection: Connection,
    path: PathBuf,
}

impl File {
    /// Opens a file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FileError::Taken {
                path: path.to_owned(),
            },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => FileError::Unreadable {
                path: path.to_owned(),
                what: source.to_string(),
            },
            _ => FileError::Sqlite {
                path: path.to_owned(),
                source,
            },
        };
        let mut connection = Connection::open(path).map_err(failed)?;
        let configure = |connection: &Connection| {
            connection.busy_timeout(Duration::from_millis(200))?;
            // A file of somebody else is not made ours.
            let tables = "SELECT count(*) FROM sqlite_schema
                          WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'document')";
            if connection.query_one(tables, [], |row| row.get::<_, i64>(0))? > 0 {
                return Ok(false);
            }
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            // The lock of a file is taken by the first write.
            connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
            Ok(true)
        };
        if !configure(&connection).map_err(failed)? {
            return Err(FileError::Unreadable {
                path: path.to_owned(),
                what: "it is the database of another program".to_owned(),
            });
        }
        let steps = [
            M::up(include_str!("../../migrations/sandbox/0001_account.sql")),
            M::up(include_str!(
                "../../migrations/sandbox/0002_groups_and_metadata.sql"
            )),
        ];
        Migrations::new(steps.to_vec())
            .to_latest(&mut connection)
            .map_err(|error| match error {
                rusqlite_migration::Error::MigrationDefinition(_) => FileError::Newer {
                    path: path.to_owned(),
                },
                rusqlite_migration::Error::RusqliteError { err, .. } => failed(err),
                other => FileError::Unreadable {
                    path: path.to_owned(),
                    what: other.to_string(),
                },
            })?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// The account the file holds; none when it is new.
    pub(super) fn partner(&self) -> Result<Option<Partner>, FileError> {
        self.document("partner")
    }

    /// Says that the file holds another account than `wanted`.
    pub(super) fn is_not(&self, found: i64) -> FileError {
        FileError::OtherAccount {
            path: self.path.clone(),
            found,
        }
    }

    /// Reads everything into a state that was just made for this account; a new file is given what
    /// that state has.
    pub(super) fn load(&mut self, state: &mut State) -> Result<(), FileError> {
        let is_new = self.partner()?.is_none();
        if !is_new {
            state.users = Users::default();
            state.categories = Categories::default();
            state.memberships = Memberships::default();
            state.groups = Groups::default();
            state.metadata = CustomData::default();
            self.load_users(state)?;
            self.load_categories(state)?;
            self.load_memberships(state)?;
            self.load_groups_and_metadata(state)?;
            for (name, document) in state.documents() {
                if let Some(text) = self.text(name)? {
                    let read = document.restore(&text);
                    read.map_err(|error| self.unreadable(name, &error))?;
                }
            }
        }
        state.metadata.restore_schemas();
        state.follow();
        if !is_new {
            state.saved();
            // The same tokens must not be made a second time.
            state.random = fastrand::Rng::new();
        }
        self.save(state)
    }

    /// Writes what has changed since the last time.
    pub(super) fn save(&mut self, state: &mut State) -> Result<(), FileError> {
        let saved = self.write(state);
        saved.map_err(|source| FileError::Sqlite {
            path: self.path.clone(),
            source,
        })?;
        state.saved();
        Ok(())
    }

    fn write(&mut self, state: &mut State) -> rusqlite::Result<()> {
        let documents: Vec<(&str, String)> = state
            .documents()
            .into_iter()
            .filter(|(_, document)| document.is_changed())
            .map(|(name, document)| (name, document.to_json()))
            .collect();
        let (users, categories) = (&state.users, &state.categories);
        let memberships = &state.memberships;
        if documents.is_empty()
            && users.changes.is_empty()
            && categories.changes.is_empty()
            && memberships.changes.is_empty()
            && state.groups.changes.is_empty()
            && state.metadata.changes.is_empty()
        {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        {
            let mut put = transaction.prepare_cached("REPLACE INTO document VALUES (?, ?)")?;
            put.execute(params!["partner", json(&state.partner)])?;
            for (name, text) in documents {
                put.execute(params![name, text])?;
            }
            let mut put = transaction.prepare_cached("REPLACE INTO user VALUES (?, ?)")?;
            for key in users.changes.iter() {
                put.execute(params![key.number(), json(&**users.get(key))])?;
            }
            let mut put =
                transaction.prepare_cached("REPLACE INTO category VALUES (?, ?, ?, ?, ?, ?)")?;
            for entry in categories
                .changes
                .iter()
                .filter_map(|id| categories.entry(id))
            {
                let Tally {
                    members,
                    pending,
                    updated,
                } = entry.tally;
                let (id, document) = (entry.stored.id, json(&*entry.stored));
                put.execute(params![
                    id,
                    document,
                    entry.deleted,
                    members,
                    pending,
                    updated
                ])?;
            }
            let mut put = transaction
                .prepare_cached("REPLACE INTO membership VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
            let mut remove = transaction.prepare_cached("DELETE FROM membership WHERE row = ?")?;
            for row in memberships.changes.iter() {
                let cells = memberships.cells(row);
                if cells.status == DELETED {
                    remove.execute([row])?;
                    continue;
                }
                let names = memberships.names_text(cells.names);
                put.execute(params![
                    row,
                    memberships.category(row),
                    memberships.user(row).number(),
                    cells.level,
                    cells.status,
                    cells.method,
                    (*names != *level_names(cells.level)).then_some(names),
                    cells.created,
                    cells.updated,
                ])?;
            }
        }
        for id in state.groups.changes.iter() {
            put_document(&transaction, "group_row", id, state.groups.get(id))?;
        }
        for id in state.metadata.changes.iter() {
            put_document(&transaction, "metadata", id, state.metadata.document(id))?;
        }
        transaction.commit()
    }

    fn load_users(&self, state: &mut State) -> Result<(), FileError> {
        self.rows("SELECT key, document FROM user ORDER BY key", |row| {
            let user: User = self.parse("user", row.get_ref(1)?.as_str()?)?;
            let key = state.users.insert(user);
            state.users.index(key);
            if row.get::<_, u32>(0)? != key.number() {
                return Err(self.unreadable("user", &"a number is missing").into());
            }
            Ok(())
        })
    }

    fn load_categories(&self, state: &mut State) -> Result<(), FileError> {
        let all = "SELECT document, deleted, members, pending, updated FROM category ORDER BY id";
        self.rows(all, |row| {
            let category: Category = self.parse("category", row.get_ref(0)?.as_str()?)?;
            let tally = Tally {
                members: row.get(2)?,
                pending: row.get(3)?,
                updated: row.get(4)?,
            };
            state.categories.restore(category, tally, row.get(1)?);
            Ok(())
        })
    }

    fn load_memberships(&self, state: &mut State) -> Result<(), FileError> {
        let all = "SELECT row, category, user, level, status, method, names, created, updated
                   FROM membership ORDER BY row";
        self.rows(all, |row| {
            let level = row.get(3)?;
            let names = match row.get_ref(6)?.as_str_or_null()? {
                Some(names) => state.memberships.names(names),
                None => state.memberships.names(level_names(level)),
            };
            let cells = Cells {
                level,
                status: row.get(4)?,
                method: row.get(5)?,
                names,
                created: row.get(7)?,
                updated: row.get(8)?,
            };
            let user = UserKey::of(row.get(2)?);
            if user.number() as usize >= state.users.len() {
                return Err(self.unreadable("membership", &"its user is missing").into());
            }
            state.restore_membership(row.get(0)?, row.get(1)?, user, cells);
            Ok(())
        })
    }

    fn load_groups_and_metadata(&self, state: &mut State) -> Result<(), FileError> {
        self.rows("SELECT document FROM group_row ORDER BY id", |row| {
            let row: GroupRow = self.parse("group row", row.get_ref(0)?.as_str()?)?;
            let people = row.user.into_iter().chain([row.group]);
            if people.map(UserKey::number).max() >= u32::try_from(state.users.len()).ok() {
                return Err(self.unreadable("group row", &"its user is missing").into());
            }
            state.groups.insert(row);
            Ok(())
        })?;
        self.rows("SELECT document FROM metadata ORDER BY id", |row| {
            let document: Metadata = self.parse("metadata", row.get_ref(0)?.as_str()?)?;
            state.metadata.restore(document);
            Ok(())
        })
    }

    fn rows(
        &self,
        sql: &str,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> Result<(), RowError>,
    ) -> Result<(), FileError> {
        let mut read = || -> Result<(), RowError> {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                each(row)?;
            }
            Ok(())
        };
        read().map_err(|error| match error {
            RowError::File(error) => error,
            RowError::Sqlite(error) => self.unreadable("a row", &error),
            RowError::Type(error) => self.unreadable("a row", &error),
        })
    }

    fn document<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FileError> {
        let text = self.text(name)?;
        text.map(|text| self.parse(name, &text)).transpose()
    }

    fn text(&self, name: &str) -> Result<Option<String>, FileError> {
        let one = "SELECT value FROM document WHERE name = ?";
        let read = self.connection.query_one(one, [name], |row| row.get(0));
        let read = read.optional();
        read.map_err(|error| self.unreadable(name, &error))
    }

    fn parse<T: DeserializeOwned>(&self, name: &str, text: &str) -> Result<T, FileError> {
        serde_json::from_str(text).map_err(|error| self.unreadable(name, &error))
    }

    fn unreadable(&self, what: &str, why: &dyn std::fmt::Display) -> FileError {
        FileError::Unreadable {
            path: self.path.clone(),
            what: format!("{what}: {why}"),
        }
    }
}

/// Writes one document of a table, or removes what is gone.
fn put_document<T: Serialize>(
    transaction: &rusqlite::Transaction<'_>,
    table: &str,
    id: i64,
    value: Option<&T>,
) -> rusqlite::Result<()> {
    let Some(value) = value else {
        let remove = format!("DELETE FROM {table} WHERE id = ?");
        transaction.prepare_cached(&remove)?.execute([id])?;
        return Ok(());
    };
    let put = format!("REPLACE INTO {table} VALUES (?, ?)");
    transaction
        .prepare_cached(&put)?
        .execute(params![id, json(value)])?;
    Ok(())
}

/// What may be wrong with a row.
#[derive(Debug)]
enum RowError {
    File(FileError),
    Sqlite(rusqlite::Error),
    Type(FromSqlError),
}

impl From<FileError> for RowError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<FromSqlError> for RowError {
    fn from(error: FromSqlError) -> Self {
        Self::Type(error)
    }
}

/// Something of the account that is saved as a whole.
pub(super) trait Document {
    /// Whether it was written to since it was last saved.
    fn is_changed(&self) -> bool;
    /// What a file keeps of it.
    fn to_json(&self) -> String;
    /// Takes over what a file has kept.
    fn restore(&mut self, text: &str) -> Result<(), serde_json::Error>;
    /// Says that it is saved.
    fn saved(&mut self);
}

impl<T: Serialize + DeserializeOwned> Document for Tracked<T> {
    fn is_changed(&self) -> bool {
        Tracked::is_changed(self)
    }

    fn to_json(&self) -> String {
        json(&**self)
    }

    fn restore(&mut self, text: &str) -> Result<(), serde_json::Error> {
        *self = Tracked::saved_already(serde_json::from_str(text)?);
        Ok(())
    }

    fn saved(&mut self) {
        Tracked::saved(self);
    }
}

/// Numbers, texts and lists of them: there is nothing JSON could not say.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
