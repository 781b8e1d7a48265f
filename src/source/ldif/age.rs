//! How old a file may be to be evidence.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use jiff::{SignedDuration, Timestamp};

use crate::config::Period;

/// Says that a file is older than it may be, and what to do; `None` where it is not.
pub(super) fn too_old(
    path: &Path,
    max_age: Option<Period>,
    now: Timestamp,
) -> io::Result<Option<String>> {
    let Some(Period(max_age)) = max_age else {
        return Ok(None);
    };
    let modified =
        Timestamp::try_from(fs::metadata(path)?.modified()?).map_err(io::Error::other)?;
    // A file from the future is a new one to a clock that is slow.
    let age = Duration::try_from(now.duration_since(modified)).unwrap_or_default();
    Ok((age > max_age).then(|| {
        format!(
            "it was written {} ago, and max_age is {}: see why no newer export has come",
            written(age),
            written(max_age)
        )
    }))
}

/// A length of time in minutes, or in seconds where it is short.
fn written(length: Duration) -> String {
    let seconds = length.as_secs();
    let rounded = if seconds < 60 {
        seconds
    } else {
        seconds / 60 * 60
    };
    let length = i64::try_from(rounded).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_too_old_by_its_modification_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let modified = file.as_file().metadata().unwrap().modified().unwrap();
        let modified = Timestamp::try_from(modified).unwrap();
        let after = |hours: i64, max_age: Option<u64>| {
            let now = modified + SignedDuration::from_hours(hours);
            let max_age = max_age.map(|hours| Period::seconds(3600 * hours));
            too_old(file.path(), max_age, now).unwrap()
        };
        assert_eq!(after(26, Some(26)), None);
        assert_eq!(after(-30, Some(26)), None);
        assert_eq!(after(3000, None), None);
        insta::assert_snapshot!(
            after(30, Some(26)).unwrap(),
            @"it was written 30h ago, and max_age is 26h: see why no newer export has come"
        );
    }
}
