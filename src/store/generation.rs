//! How far the state file has come, told beside it.
//!
//! *Its one idea: a number that only grows.* Each run, when it begins and ends, and each answer adds one to a number in the state file, and
//! then writes it to a file beside it. Where that file is ahead, or was itself copied there, the state file was put
//! back to an earlier state, whatever it is called and however that was done. The file beside it is new each time and
//! says which file it is, so that an older one poured into its place is seen, too.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};

use super::origin::Identity;
use super::{Store, StoreError, private_file};

/// The setting with the number.
const GENERATION: &str = "generation";
/// More than any of these files has.
const MOST_BYTES: u64 = 200;

/// What stands beside a state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    Nothing,
    /// This number, written there by this program.
    Number(i64),
    /// Something that was put there.
    Foreign,
}

impl Beside {
    /// Whether a state file with this number is older than what stands beside it.
    pub(super) fn is_ahead_of(self, number: Option<i64>) -> bool {
        match (self, number) {
            (Self::Nothing, number) => number.is_some(),
            // The state file is new, or of a version that did not count.
            (_, None) => false,
            (Self::Number(beside), Some(number)) => beside > number,
            (Self::Foreign, Some(_)) => true,
        }
    }
}

/// The number in the state file; none, where nothing has been counted yet.
pub(super) fn number(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let text: Option<String> = connection
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([GENERATION], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Adds one to the number, which is at least this afterwards.
pub(super) fn count(connection: &Connection, least: i64) -> rusqlite::Result<i64> {
    let next = number(connection)?.map_or(1, |number| number.saturating_add(1));
    let next = next.max(least);
    connection
        .prepare_cached("INSERT OR REPLACE INTO setting VALUES (?1, ?2)")?
        .execute(params![GENERATION, next.to_string()])?;
    Ok(next)
}

impl Store {
    fn beside_path(&self) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push("-generation");
        path.into()
    }

    /// What stands beside the state file. To be read before the number in it, which others may raise meanwhile.
    pub(super) fn beside(&self) -> Beside {
        match read(&self.beside_path()) {
            Ok(beside) => beside,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Beside::Nothing,
            Err(_) => Beside::Foreign,
        }
    }

    /// Writes the number beside the state file, once that has it for good.
    pub(super) fn write_beside(&self, number: i64) {
        let path = self.beside_path();
        if let Err(error) = write(&path, number) {
            tracing::warn!(
                path = %path.display(),
                %error,
                "the file beside the state file cannot be written: should an old state file be put in its place, that may go unseen"
            );
        }
    }

    /// Counts an answer of a person, or the end of a run; not in a state file that is old, which the next run must see.
    pub(super) fn count_on(&self, connection: &Connection) -> Result<Option<i64>, StoreError> {
        let beside = self.beside();
        if beside.is_ahead_of(number(connection)?) {
            return Ok(None);
        }
        Ok(Some(count(connection, 0)?))
    }
}

fn read(path: &std::path::Path) -> io::Result<Beside> {
    let file = File::open(path)?;
    let is = Identity::of(&file.metadata()?);
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    let told = text.trim_end().split_once(' ');
    let told = told.and_then(|(number, file)| {
        let number: i64 = number.parse().ok()?;
        Some((number, Identity::read(file)?))
    });
    Ok(match told {
        Some((number, was)) if was.is_same(is) => Beside::Number(number),
        _ => Beside::Foreign,
    })
}

fn write(path: &std::path::Path, number: i64) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private_file(&new)?;
    let mut file = fs::OpenOptions::new().write(true).open(&new)?;
    let identity = Identity::of(&file.metadata()?);
    let written = writeln!(file, "{number} {}", identity.text())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_poured_into_the_place_of_a_newer_one_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state-generation");
        write(&path, 3).unwrap();
        assert_eq!(read(&path).unwrap(), Beside::Number(3));
        let kept = folder.path().join("kept");
        fs::copy(&path, &kept).unwrap();
        write(&path, 4).unwrap();
        assert_eq!(read(&path).unwrap(), Beside::Number(4));
        fs::copy(&kept, &path).unwrap();
        assert_eq!(read(&path).unwrap(), Beside::Foreign);
        fs::write(&path, "nonsense").unwrap();
        assert_eq!(read(&path).unwrap(), Beside::Foreign);
    }

    #[test]
    fn only_a_state_file_that_has_counted_can_be_behind() {
        for (beside, number, is_ahead) in [
            (Beside::Nothing, None, false),
            (Beside::Nothing, Some(1), true),
            (Beside::Number(4), None, false),
            (Beside::Number(4), Some(4), false),
            (Beside::Number(4), Some(5), false),
            (Beside::Number(4), Some(3), true),
            (Beside::Foreign, Some(9), true),
            (Beside::Foreign, None, false),
        ] {
            assert_eq!(
                beside.is_ahead_of(number),
                is_ahead,
                "{beside:?} {number:?}"
            );
        }
    }
}
