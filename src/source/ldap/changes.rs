//! From where to look for changes: the server's own time stamps, and how far to trust them.
//!
//! *Its one idea: the window always begins early enough, and no earlier than it must.*
//!
//! ```text
//!            overlap                 while reading
//!   ├──────────────────────┼───────────────────────┤ newest stamp seen
//!   since (early)          since (late)             (always read again)
//! ```
//!
//! A change made while we read may be on a page that we had already passed, so the window begins no
//! later than the read itself did, by the server's clock. A change that another provider made may
//! arrive late, so it begins earlier still by the overlap; but not so early that more than
//! [`MOST_AGAIN`] entries are listed again each time, as after a bulk load.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::Checkpoint;
use super::super::entry::Entry;
use super::super::stamp;
use super::server::Server;
use crate::directory::{EntryKind, StableId};

/// The most entries that an overlap makes a search list again.
const MOST_AGAIN: u64 = 1000;

/// The most seconds to remember.
const MOST_SECONDS: usize = 10_000;

/// Our form of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    format: u32,
    /// What it was made for, as a hash: another configuration asks for a full read.
    made_for: String,
    /// The server, where its stamps mean something there only.
    server: Option<String>,
    people: Option<Mark>,
    groups: Option<Mark>,
}

/// How far one kind of entry has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The newest stamp seen, in Unix seconds.
    pub(super) newest: i64,
    /// An entry that had it. It is there at the next look, unless it was deleted or the server was
    /// put back to an older state.
    pub(super) entry: StableId,
    /// Where the next window begins.
    pub(super) since: i64,
}

impl Position {
    /// The second version: people and groups are read with what makes primary groups.
    const FORMAT: u32 = 2;

    /// A position after both kinds have been read.
    pub(super) fn new(
        made_for: &str,
        server: &Server,
        people: Option<Mark>,
        groups: Option<Mark>,
    ) -> Self {
        Self {
            format: Self::FORMAT,
            made_for: made_for.to_owned(),
            server: server.pinned_to.clone(),
            people,
            groups,
        }
    }

    /// Reads a checkpoint, or says why only a full read can help.
    pub(super) fn read(checkpoint: &Checkpoint, made_for: &str) -> Result<Self, String> {
        let position: Self = serde_json::from_str(&checkpoint.0)
            .map_err(|_| "the checkpoint is of another kind of source".to_owned())?;
        if position.format != Self::FORMAT {
            return Err("the checkpoint is of another version of this program".to_owned());
        }
        if position.made_for != made_for {
            return Err("the directory's configuration has changed".to_owned());
        }
        Ok(position)
    }

    /// Checks that the stamps mean something on this server.
    pub(super) fn check_server(&self, server: &Server) -> Result<(), String> {
        if self.server == server.pinned_to {
            return Ok(());
        }
        Err(
            "another server answers, and its time stamps cannot be compared with the last one's"
                .to_owned(),
        )
    }

    /// How far this kind has been read; `None` where the server shows no time stamps.
    pub(super) fn mark(&self, kind: EntryKind) -> Option<&Mark> {
        match kind {
            EntryKind::Person => self.people.as_ref(),
            EntryKind::Group => self.groups.as_ref(),
        }
    }

    /// The text to store.
    pub(super) fn checkpoint(&self) -> Option<Checkpoint> {
        serde_json::to_string(self).ok().map(Checkpoint)
    }
}

/// The stamps seen in one search.
pub(super) struct Stamps {
    attribute: &'static str,
    began: Instant,
    newest: Option<(i64, StableId)>,
    per_second: BTreeMap<i64, u64>,
    unstamped: u64,
}

impl Stamps {
    /// Begins with a search that is about to begin.
    pub(super) fn begin(server: &Server) -> Self {
        Self {
            attribute: server.stamp_attribute(),
            began: Instant::now(),
            newest: None,
            per_second: BTreeMap::new(),
            unstamped: 0,
        }
    }

    /// Notes the stamp of an entry.
    pub(super) fn note(&mut self, entry: &Entry, id: &StableId) {
        let text = entry.text(self.attribute).ok().flatten();
        let Some(second) = text.and_then(stamp::parse) else {
            self.unstamped += 1;
            return;
        };
        if self
            .newest
            .as_ref()
            .is_none_or(|(newest, _)| *newest < second)
        {
            self.newest = Some((second, id.clone()));
        }
        *self.per_second.entry(second).or_default() += 1;
        if self.per_second.len() > MOST_SECONDS {
            self.per_second.pop_first();
        }
    }

    /// Where to look next time. `None` where an entry has no stamp: its changes would not be seen.
    pub(super) fn mark(self, overlap: Duration, before: Option<&Mark>) -> Option<Mark> {
        let took = seconds_up(self.began.elapsed());
        let (newest, entry) = self.newest.filter(|_| self.unstamped == 0)?;
        // The search began after the last one had seen its newest stamp.
        let began = before.map_or(newest - took, |mark| mark.newest.max(newest - took));
        // What stands before the last window is not in these counts, and has been looked at.
        let known = before.map_or(i64::MIN, |mark| mark.since);
        let early = (newest - took - seconds_up(overlap)).max(known);
        let since = capped(&self.per_second, early, newest).min(began.min(newest));
        Some(Mark {
            newest,
            entry,
            since,
        })
    }
}

/// The earliest second from `early` on, after which no more than [`MOST_AGAIN`] entries stand before
/// the newest second.
fn capped(per_second: &BTreeMap<i64, u64>, early: i64, newest: i64) -> i64 {
    let mut since = newest;
    let mut again = 0;
    for (second, entries) in per_second.range(early.min(newest)..newest).rev() {
        again += entries;
        if again > MOST_AGAIN {
            return since;
        }
        since = *second;
    }
    early.min(newest)
}

fn seconds_up(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(counts: &[(i64, u64)]) -> BTreeMap<i64, u64> {
        counts.iter().copied().collect()
    }

    #[test]
    fn the_overlap_counts_where_little_has_changed() {
        assert_eq!(capped(&seconds(&[(10, 5), (90, 5), (100, 5)]), 40, 100), 40);
    }

    #[test]
    fn after_a_bulk_load_only_so_many_are_listed_again() {
        let load = seconds(&[(97, 600), (98, 600), (99, 400), (100, 9000)]);
        assert_eq!(capped(&load, 40, 100), 98);
        assert_eq!(capped(&seconds(&[(99, 9000), (100, 1)]), 40, 100), 100);
    }

    #[tokio::test]
    async fn the_window_does_not_swing_back_over_a_bulk_load() {
        let server = Server::plain(super::super::server::Kind::OpenLdap);
        let stamped = |seconds: std::ops::RangeInclusive<i64>| {
            let mut stamps = Stamps::begin(&server);
            for second in seconds {
                stamps.per_second.insert(second, 900);
                stamps.newest = Some((second, StableId::new("a")));
            }
            stamps
        };
        let overlap = Duration::from_mins(1);
        let first = stamped(1..=100).mark(overlap, None).unwrap();
        assert_eq!(first.since, 99);
        let second = stamped(first.since..=100)
            .mark(overlap, Some(&first))
            .unwrap();
        let third = stamped(second.since..=100)
            .mark(overlap, Some(&second))
            .unwrap();
        assert_eq!((second.since, third.since), (99, 99));
        // Time goes on, and so does the window.
        let later = stamped(200..=200).mark(overlap, Some(&third)).unwrap();
        assert_eq!(later.since, 139);
    }

    #[test]
    fn a_checkpoint_of_another_configuration_is_refused() {
        let server = Server::plain(super::super::server::Kind::OpenLdap);
        let checkpoint = Position::new("a", &server, None, None)
            .checkpoint()
            .unwrap();
        assert!(Position::read(&checkpoint, "a").is_ok());
        assert!(Position::read(&checkpoint, "b").is_err());
        assert!(Position::read(&Checkpoint("{}".to_owned()), "a").is_err());
    }
}
