//! The directories, into the mirror.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::report::{ReadKind, ReadReport};
use super::{Engine, RunError};
use crate::clock;
use crate::config::Directory;
use crate::killpoint;
use crate::source::{Changes, Checkpoint, Moved, Observations, Proof, Read, Source, SourceError};

/// Batches of observations that may wait between a source and the mirror.
const BATCHES_WAITING: usize = 8;

/// Reads each directory: what changed, or everything.
pub(super) async fn directories(engine: &Engine, full: bool) -> Result<Vec<ReadReport>, RunError> {
    let config = Arc::clone(&engine.config);
    engine
        .store
        .run(move |store| {
            let names: Vec<&str> = config.directory.iter().map(Directory::name).collect();
            store.keep_directories(&names)
        })
        .await?;
    let mut reports = Vec::new();
    for source in engine.sources.iter() {
        let report = directory(engine, source, full).await?;
        if let Some(reason) = &report.unproven {
            tracing::warn!(
                directory = source.name(),
                reason,
                "the read is not complete: nothing is taken away on it"
            );
        }
        tracing::info!(
            directory = source.name(),
            kind = %report.kind,
            entries = report.entries,
            new = report.absorbed.new,
            changed = report.absorbed.changed,
            gone = report.absorbed.gone,
            "read"
        );
        reports.push(report);
    }
    Ok(reports)
}

async fn directory(engine: &Engine, source: &Source, full: bool) -> Result<ReadReport, RunError> {
    let name = source.name().to_owned();
    let (checkpoint, doubtful) = engine
        .store
        .run(move |store| Ok((store.checkpoint(&name)?, store.doubtful_groups(&name)?)))
        .await?;
    let Some(checkpoint) = checkpoint.filter(|_| !full) else {
        return everything(engine, source).await;
    };
    let report = changes(engine, source, &checkpoint).await?;
    if report.kind == ReadKind::Full || report.unproven.is_some() {
        return Ok(report);
    }
    resolve_anew(engine, source, report, doubtful).await
}

/// Reads the groups again whose members' names lead to somebody else now, and those that an earlier
/// run had doubts about. The groups themselves may not have changed.
async fn resolve_anew(
    engine: &Engine,
    source: &Source,
    report: ReadReport,
    doubtful: Vec<Moved>,
) -> Result<ReadReport, RunError> {
    let name = source.name().to_owned();
    let mut groups = engine
        .store
        .run(move |store| store.groups_to_resolve(&name))
        .await?;
    groups.extend(doubtful);
    if groups.is_empty() {
        return Ok(report);
    }
    let again = absorb(engine, source, ReadKind::Changes, async |out| {
        source.read_entries(&groups, &out).await
    })
    .await?;
    Ok(report.and(again))
}

async fn changes(
    engine: &Engine,
    source: &Source,
    checkpoint: &Checkpoint,
) -> Result<ReadReport, RunError> {
    match source.changes_since(checkpoint).await? {
        (Changes::FullReadNeeded { reason }, _) => {
            tracing::info!(directory = source.name(), reason, "a full read is needed");
            everything(engine, source).await
        }
        (Changes::Nothing, next) => unchanged(engine, source, next).await,
        (Changes::Entries(moved), next) => {
            let name = source.name().to_owned();
            let moved = engine
                .store
                .run(move |store| store.unknown_of(&name, moved))
                .await?;
            if moved.is_empty() {
                unchanged(engine, source, next).await
            } else {
                entries(engine, source, &moved, next).await
            }
        }
    }
}

async fn unchanged(
    engine: &Engine,
    source: &Source,
    next: Checkpoint,
) -> Result<ReadReport, RunError> {
    let name = source.name().to_owned();
    engine
        .store
        .run(move |store| store.set_checkpoint(&name, &next, clock::now()))
        .await?;
    Ok(ReadReport::new(source.name(), ReadKind::Unchanged))
}

async fn everything(engine: &Engine, source: &Source) -> Result<ReadReport, RunError> {
    engine.progress.begin("reading the directory", 0);
    absorb(engine, source, ReadKind::Full, async |out| {
        source.read_all(&out).await
    })
    .await
}

async fn entries(
    engine: &Engine,
    source: &Source,
    moved: &[Moved],
    next: Checkpoint,
) -> Result<ReadReport, RunError> {
    absorb(engine, source, ReadKind::Changes, async |out| {
        let mut read = source.read_entries(moved, &out).await?;
        if read.proof == Proof::Entries {
            read.checkpoint = Some(next);
        }
        Ok(read)
    })
    .await
}

/// Why nothing is believed of a server that is behind.
fn behind(older: u64) -> String {
    format!(
        "{} older than when last read: the server lags behind another, its clock went back, or it was restored from a backup (if that is how it is to be: rollbook state rebuild)",
        if older == 1 {
            "1 entry is".to_owned()
        } else {
            format!("{older} entries are")
        }
    )
}

/// Lets the mirror absorb what a source sends, while it sends it.
async fn absorb(
    engine: &Engine,
    source: &Source,
    kind: ReadKind,
    read: impl AsyncFnOnce(Observations) -> Result<Read, SourceError>,
) -> Result<ReadReport, RunError> {
    if matches!(source, Source::Ldif(_)) {
        // Half a file may hold half an entry, which passes for a whole one. Then the finished file must
        // be read, even if it is the one that the checkpoint knows; also when this run is cut off.
        let name = source.name().to_owned();
        engine
            .store
            .run(move |store| store.forget_checkpoint(&name))
            .await?;
    }
    let (out, observations) = mpsc::channel(BATCHES_WAITING);
    let (say_end, end) = oneshot::channel();
    let name = source.name().to_owned();
    let absorbing = engine
        .store
        .run(move |store| store.absorb(&name, observations, end, clock::now()));
    let reading = async {
        let read = read(out).await?;
        // The mirror is not listening any more only when it failed; then its own error tells more.
        let _ = say_end.send(read.clone());
        Ok::<_, SourceError>(read)
    };
    let (absorbed, read) = tokio::join!(absorbing, reading);
    let (absorbed, read) = (absorbed?, read?);
    killpoint::here("after-absorbing");
    let mut report = ReadReport::new(source.name(), kind);
    report.entries = read.entries;
    report.absorbed = absorbed.unwrap_or_default();
    if let Proof::Unproven { reason } = read.proof {
        report.unproven = Some(reason);
    } else if report.absorbed.older > 0 {
        report.unproven = Some(behind(report.absorbed.older));
    }
    Ok(report)
}
