//! The directories, into the mirror.
//!
//! Each directory is read by itself: one that cannot be read, or not in full, holds up no other. A read has
//! up to three steps: what changed, or everything; groups that list a name which has changed hands; and a
//! second look at the groups and people of departures, because a departure depends on both.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::report::{ReadKind, ReadReport};
use super::{Engine, RunError};
use crate::clock;
use crate::config::{Directory, Period};
use crate::directory::Reason;
use crate::killpoint;
use crate::source::{
    Changes, Checkpoint, Moved, Observations, Proof, Read, Seen, Source, SourceError,
};
use crate::store::mirror::departure::Confirmation;

/// Batches of observations that may wait between a source and the mirror.
const BATCHES_WAITING: usize = 8;

/// Names looked up in one run.
const MOST_NAMES: usize = 2_000;

/// Second looks in one run: a second look may find further departures.
const MOST_LOOKS: usize = 3;

/// Reads each directory: what changed, or everything. An error is returned only where no directory could be
/// read at all.
pub(super) async fn directories(engine: &Engine, full: bool) -> Result<Vec<ReadReport>, RunError> {
    let config = Arc::clone(&engine.config);
    engine
        .store
        .run(move |store| {
            let names: Vec<&str> = config.directory.iter().map(Directory::name).collect();
            store.keep_directories(&names)
        })
        .await?;
    let (mut reports, mut first_failure) = (Vec::new(), None);
    for (source, config) in engine.sources.iter().zip(&engine.config.directory) {
        let reader = Reader {
            engine,
            source,
            confirm_after: config.confirm_after(),
        };
        let report = match reader.read(full).await {
            Ok(report) => report,
            Err(RunError::Source(error)) => {
                if let SourceError::Behind { .. } = &error {
                    reader.compare_behind().await?;
                }
                let reason = match &error {
                    SourceError::Behind { .. } => Reason::ServerBehind,
                    _ => Reason::DirectoryUnavailable,
                };
                let report = ReadReport::failed(source.name(), reason, error.to_string());
                first_failure.get_or_insert(error);
                report
            }
            Err(error) => return Err(error),
        };
        tell(&report);
        reports.push(report);
    }
    match first_failure {
        Some(error) if reports.iter().all(|report| report.failed) => Err(error.into()),
        _ => Ok(reports),
    }
}

fn tell(report: &ReadReport) {
    let directory = &report.directory;
    if let Some(reason) = &report.unproven {
        tracing::warn!(
            directory,
            reason,
            "the directory is not known in full: nothing is taken away on its word"
        );
    }
    tracing::info!(
        directory,
        kind = %report.kind,
        entries = report.entries,
        new = report.absorbed.new,
        changed = report.absorbed.changed,
        gone = report.absorbed.gone,
        departures = report.departures,
        "read"
    );
}

/// What follows the first read of a directory.
#[derive(Clone, Copy)]
enum Step {
    Unannounced,
    Resolve,
    LookUp,
    Confirm,
}

/// One directory, read once.
struct Reader<'e> {
    engine: &'e Engine,
    source: &'e Source,
    confirm_after: Period,
}

impl Reader<'_> {
    async fn read(&self, full: bool) -> Result<ReadReport, RunError> {
        self.source.begin_run();
        let name = self.name();
        let (checkpoint, full_read_at, was_behind) = self
            .engine
            .store
            .run(move |store| {
                Ok((
                    store.checkpoint(&name)?,
                    store.full_read_at(&name)?,
                    store.is_behind(&name)?,
                ))
            })
            .await?;
        let is_old = full_read_at.is_some_and(|at| {
            let longest = self.engine.config.schedule.full_read_after;
            at < ago(clock::now(), longest)
        });
        let mut report = match checkpoint.filter(|_| !full && !is_old) {
            Some(checkpoint) => self.changes(&checkpoint).await?,
            None => self.everything().await?,
        };
        // Another server may have come as far as what was read before. What one server lacks is only held
        // against it where no other is read.
        while report.absorbed.older > 0 && self.source.leave_server() {
            let set_aside = if was_behind {
                None
            } else {
                self.swap_behind(None).await?
            };
            tracing::warn!(
                directory = self.source.name(),
                entries = report.absorbed.older,
                "the server shows entries older than when last read: the next one is read"
            );
            let again = self.everything().await;
            let is_whole = again.as_ref().is_ok_and(|again| again.unproven.is_none());
            if set_aside.is_some() && !is_whole {
                self.swap_behind(set_aside).await?;
            }
            report = again?;
        }
        let steps = [
            Step::Unannounced,
            Step::Resolve,
            Step::LookUp,
            Step::Confirm,
        ];
        for step in steps {
            if report.unproven.is_some() {
                break;
            }
            let before = report.clone();
            let further = match step {
                Step::Unannounced => self.unannounced(report).await,
                Step::Resolve => self.resolve_again(report).await,
                Step::LookUp => self.look_up(report).await,
                Step::Confirm => self.confirm(report).await,
            };
            // What has been read stays read: it may add.
            report = match further {
                Err(RunError::Source(error)) => {
                    let mut before = before;
                    before.note_unproven(Reason::ReadIncomplete, error.to_string());
                    before
                }
                further => further?,
            };
        }
        let name = self.name();
        let count = move |store: &crate::store::Store| store.unreadable_groups(&name);
        report.unreadable_groups = self.engine.store.run(count).await?;
        Ok(report)
    }

    /// Finds out which entries of servers that are behind are older than when they were last read: once
    /// they have been written again, nobody could tell any more.
    async fn compare_behind(&self) -> Result<(), RunError> {
        let (store, name) = (&self.engine.store, self.name());
        if store.run(move |store| store.is_behind(&name)).await? {
            return Ok(());
        }
        let (out, observations) = mpsc::channel(BATCHES_WAITING);
        let (say_end, end) = oneshot::channel();
        let name = self.name();
        let comparing =
            store.run(move |store| store.compare_behind(&name, observations, end, clock::now()));
        let reading = async {
            let read = self.source.read_all(None, &out).await;
            drop(out);
            if let Ok(read) = read {
                let _ = say_end.send(read);
            }
        };
        let (compared, ()) = tokio::join!(comparing, reading);
        compared?;
        Ok(())
    }

    async fn swap_behind(&self, behind: Option<String>) -> Result<Option<String>, RunError> {
        let name = self.name();
        let swap = move |store: &crate::store::Store| store.swap_behind(&name, behind.as_deref());
        Ok(self.engine.store.run(swap).await?)
    }

    /// Lists the ids of all entries, where that is due, and reads what is missing, new or renamed.
    async fn unannounced(&self, report: ReadReport) -> Result<ReadReport, RunError> {
        let (store, name, now) = (&self.engine.store, self.name(), clock::now());
        let longest = self.engine.config.schedule.list_after;
        let listed_at = store.run(move |store| store.listed_at(&name)).await?;
        if report.kind == ReadKind::Full || listed_at.is_some_and(|at| at >= ago(now, longest)) {
            return Ok(report);
        }
        let seen = self.seen().await?;
        let Some(listed) = self.source.list(seen.as_ref()).await? else {
            return Ok(report);
        };
        let name = self.name();
        let differing = store
            .run(move |store| store.differing(&name, &listed))
            .await?;
        let mut report = report;
        if !differing.is_empty() {
            report = report.and(self.entries(&differing, None).await?);
        }
        if report.unproven.is_none() {
            let name = self.name();
            store
                .run(move |store| store.note_listed(&name, now))
                .await?;
        }
        Ok(report)
    }

    /// Looks up names that groups list and no entry has: new ones at once, others from time to time.
    async fn look_up(&self, report: ReadReport) -> Result<ReadReport, RunError> {
        if !self.source.is_server() {
            return Ok(report);
        }
        let (store, name, now) = (&self.engine.store, self.name(), clock::now());
        let since = ago(now, self.engine.config.schedule.list_after);
        let names = store
            .run(move |store| store.names_to_look_up(&name, since, MOST_NAMES))
            .await?;
        if names.is_empty() {
            return Ok(report);
        }
        let seen = self.seen().await?;
        let (ids, names): (Vec<_>, Vec<_>) = names.into_iter().unzip();
        let found = self
            .absorb(ReadKind::Changes, async |out| {
                let read = self.source.look_up(&names, seen.as_ref(), &out).await?;
                Ok(read.unwrap_or_else(Read::of_nothing))
            })
            .await?;
        if found.unproven.is_none() {
            store
                .run(move |store| store.note_looked_up(ids.into_iter(), now))
                .await?;
        }
        Ok(report.and(found))
    }

    fn name(&self) -> String {
        self.source.name().to_owned()
    }

    async fn seen(&self) -> Result<Option<Seen>, RunError> {
        let name = self.name();
        Ok(self
            .engine
            .store
            .run(move |store| store.seen(&name))
            .await?)
    }

    async fn changes(&self, checkpoint: &Checkpoint) -> Result<ReadReport, RunError> {
        let seen = self.seen().await?;
        match self.source.changes_since(checkpoint, seen.as_ref()).await? {
            (Changes::FullReadNeeded { reason }, _) => {
                tracing::info!(
                    directory = self.source.name(),
                    reason,
                    "a full read is needed"
                );
                self.everything().await
            }
            (Changes::Nothing, next) => self.unchanged(next).await,
            (Changes::Entries(moved), next) => {
                let name = self.name();
                let store = &self.engine.store;
                let moved = store
                    .run(move |store| store.unknown_of(&name, moved))
                    .await?;
                if moved.is_empty() {
                    self.unchanged(next).await
                } else {
                    self.entries(&moved, Some(next)).await
                }
            }
        }
    }

    async fn unchanged(&self, next: Checkpoint) -> Result<ReadReport, RunError> {
        let name = self.name();
        self.engine
            .store
            .run(move |store| store.set_checkpoint(&name, &next, clock::now()))
            .await?;
        Ok(ReadReport::new(self.source.name(), ReadKind::Unchanged))
    }

    async fn everything(&self) -> Result<ReadReport, RunError> {
        self.engine.progress.begin("reading the directory", 0);
        let seen = self.seen().await?;
        self.absorb(ReadKind::Full, async |out| {
            self.source.read_all(seen.as_ref(), &out).await
        })
        .await
    }

    async fn entries(
        &self,
        moved: &[Moved],
        next: Option<Checkpoint>,
    ) -> Result<ReadReport, RunError> {
        let seen = self.seen().await?;
        self.absorb(ReadKind::Changes, async |out| {
            let mut read = self.source.read_entries(moved, seen.as_ref(), &out).await?;
            if read.proof == Proof::Entries {
                read.checkpoint = next;
            }
            Ok(read)
        })
        .await
    }

    /// Reads the groups again whose members' names lead to somebody else now. The groups themselves may
    /// not have changed. A file has been read as a whole anyway.
    async fn resolve_again(&self, report: ReadReport) -> Result<ReadReport, RunError> {
        if !self.source.is_server() {
            return Ok(report);
        }
        let name = self.name();
        let groups = self
            .engine
            .store
            .run(move |store| store.groups_to_resolve(&name))
            .await?;
        if groups.is_empty() {
            return Ok(report);
        }
        let again = self.entries(&groups, None).await?;
        Ok(report.and(again))
    }

    /// Looks a second time at departures, and drops those that are proven then.
    async fn confirm(&self, mut report: ReadReport) -> Result<ReadReport, RunError> {
        let now = clock::now();
        let policy = self.engine.config.policy.vanished_person;
        let seen_until = ago(now, self.confirm_after);
        // People who are gone are looked for at each full read, and from time to time.
        let looked_up_since = match report.kind {
            ReadKind::Full => Timestamp::MAX,
            _ => ago(now, self.engine.config.schedule.list_after),
        };
        for _ in 0..MOST_LOOKS {
            let name = self.name();
            let (due, look) = self
                .engine
                .store
                .run(move |store| {
                    Ok((
                        store.to_confirm(&name, seen_until, looked_up_since)?,
                        store.last_look(&name)?,
                    ))
                })
                .await?;
            if due.is_empty() {
                break;
            }
            if self.source.is_server() {
                let again = self.entries(&due, None).await?;
                report = report.and(again);
                if report.unproven.is_none() {
                    report = self.resolve_again(report).await?;
                }
                if report.unproven.is_some() {
                    break;
                }
                self.ask_about_departures(seen_until).await?;
            }
            let confirmation = Confirmation {
                seen_until,
                vanished_until: policy.over_since(now),
                before_look: if self.source.is_server() {
                    look + 1
                } else {
                    i64::MAX
                },
                other_source: !self.source.is_server() && !self.confirm_after.0.is_zero(),
                read_again: self.source.is_server(),
            };
            let name = self.name();
            let settle =
                move |store: &crate::store::Store| store.settle_departures(&name, &confirmation);
            let settled = self.engine.store.run(settle).await?;
            report.departures += settled.proven;
            // The second look may itself be the first one at further departures.
            if settled.new == 0 {
                break;
            }
        }
        Ok(report)
    }

    /// Asks the server whether groups have the members who seem to have left.
    async fn ask_about_departures(&self, seen_until: Timestamp) -> Result<(), RunError> {
        let (store, name) = (&self.engine.store, self.name());
        let asked = store
            .run(move |store| store.departures_to_ask(&name, seen_until))
            .await?;
        if asked.is_empty() {
            return Ok(());
        }
        let (keys, questions): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let seen = self.seen().await?;
        let hidden = self.source.hides(&questions, seen.as_ref()).await?;
        let hidden: Vec<_> = keys
            .into_iter()
            .zip(hidden)
            .filter_map(|(key, is_hidden)| is_hidden.then_some(key))
            .collect();
        let name = self.name();
        store
            .run(move |store| store.note_hidden(&name, &hidden))
            .await?;
        Ok(())
    }

    /// Lets the mirror absorb what the source sends, while it sends it.
    async fn absorb(
        &self,
        kind: ReadKind,
        read: impl AsyncFnOnce(Observations) -> Result<Read, SourceError>,
    ) -> Result<ReadReport, RunError> {
        let store = &self.engine.store;
        if !self.source.is_server() {
            // Half a file may hold half an entry, which passes for a whole one. Then the finished file must
            // be read, even if it is the one that the checkpoint knows; also when this run is cut off.
            let name = self.name();
            store
                .run(move |store| store.forget_checkpoint(&name))
                .await?;
        }
        let (out, observations) = mpsc::channel(BATCHES_WAITING);
        let (say_end, end) = oneshot::channel();
        let name = self.name();
        let absorbing =
            store.run(move |store| store.absorb(&name, observations, end, clock::now()));
        let reading = async {
            let read = read(out).await?;
            // The mirror is not listening any more only when it failed; then its own error tells more.
            let _ = say_end.send(read.clone());
            Ok::<_, SourceError>(read)
        };
        let (absorbed, read) = tokio::join!(absorbing, reading);
        let (absorbed, read) = (absorbed?, read?);
        killpoint::here("after-absorbing");
        let mut report = ReadReport::new(self.source.name(), kind);
        report.entries = read.entries;
        report.absorbed = absorbed.unwrap_or_default();
        if let Proof::Unproven { reason } = read.proof {
            report.note_unproven(Reason::ReadIncomplete, reason);
        }
        let absorbed = report.absorbed;
        if absorbed.older > 0 || absorbed.rewritten > 0 {
            let why = behind(self.source.name(), absorbed.older, absorbed.rewritten);
            report.note_unproven(Reason::ServerBehind, why);
        }
        Ok(report)
    }
}

/// A time before.
fn ago(now: Timestamp, period: Period) -> Timestamp {
    let period = SignedDuration::try_from(period.0).unwrap_or(SignedDuration::MAX);
    now.checked_sub(period).unwrap_or(Timestamp::MIN)
}

/// Why nothing is believed of a server that is behind.
fn behind(directory: &str, older: u64, rewritten: u64) -> String {
    let entries = |number: u64, one: &str, many: &str| match number {
        1 => format!("1 entry {one}"),
        _ => format!("{number} entries {many}"),
    };
    let what = if older > 0 {
        format!(
            "{} older than when last read: the server lags behind another, its clock went back, or it was restored from a backup",
            entries(older, "is", "are")
        )
    } else {
        format!(
            "{} older than when last read, and changed since: the server was restored from a backup, and changes in between may be lost",
            entries(rewritten, "was", "were")
        )
    };
    format!("{what} (if this state is right: rollbook state accept {directory})")
}
