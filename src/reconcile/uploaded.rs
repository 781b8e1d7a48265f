//! Files that a person was to upload, settled.
//!
//! *Its one idea: what became of a file is found out, not asserted.* By the logs that somebody brings, or
//! by those of the jobs that bear the files' names, or else by looking at each membership. What nobody can
//! say, and is not done, keeps waiting, unless the files are given up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};

use super::{Engine, RunError, lease};
use crate::apply::folder::{Manifest, Written, discard, discard_papers};
use crate::apply::settle::{Silence, settle as settle_rows};
use crate::apply::{Applied, ApplyError, job};
use crate::kaltura::csv::Log;
use crate::kaltura::{FileKind, FoundJobs};
use crate::store::Store;
use crate::store::files::{File, Way};

/// How far Kaltura's clock, or that of whoever uploads, may be off.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// What is to be settled.
#[derive(Debug, Clone, Default)]
pub struct Settling {
    /// The folder with the files.
    pub folder: PathBuf,
    /// Result logs that somebody has brought.
    pub logs: Vec<Vec<u8>>,
    /// The files will not be uploaded any more: what is not done is planned again.
    pub discard: bool,
}

/// What was settled.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Settled {
    /// What became of the changes.
    pub applied: Applied,
    /// Changes that still wait.
    pub waiting: u64,
    /// Files that Kaltura is still working on.
    pub under_way: Vec<String>,
    /// Files that are not as they were written.
    pub edited: Vec<String>,
}

/// Settles the files in a folder, alone: takes the lease, and gives it back.
pub async fn settle(engine: &Engine, settling: &Settling) -> Result<Settled, RunError> {
    let lease = lease::claim(&engine.store).await?;
    let fenced = Engine {
        store: engine.store.under(lease),
        ..engine.clone()
    };
    let work = Box::pin(steps(&fenced, settling));
    let settled = lease::keep(&engine.store, lease, work).await;
    let released = lease::release(&engine.store, lease).await;
    let settled = settled?;
    released?;
    Ok(settled)
}

async fn steps(engine: &Engine, settling: &Settling) -> Result<Settled, RunError> {
    let (files, mut settled) = waiting(engine, settling).await?;
    let brought = settling.logs.concat();
    let jobs = if settling.logs.is_empty() {
        jobs(engine, &files).await
    } else {
        FoundJobs::default()
    };
    let mut given_up = BTreeSet::new();
    for file in files {
        // A job that hides its name may be the file's: Kaltura shows it once a worker has begun.
        let jobs = jobs.named.get(&file.name).unwrap_or(&jobs.nameless);
        if jobs.iter().any(|job| !job.status.is_over()) {
            settled.under_way.push(file.name.clone());
        }
        let is_over = !jobs.is_empty() && jobs.iter().all(|job| job.status.is_over());
        let mut log = brought.clone();
        for job in jobs.iter().filter(|job| job.status.is_over()) {
            log.extend(job::log(&engine.kaltura, &engine.config.apply.csv, job).await?);
        }
        let is_given_up = settling.discard && !settled.under_way.contains(&file.name);
        let silence = if is_over || is_given_up {
            Silence::IsNo
        } else {
            Silence::IsWaiting
        };
        let id = file.id;
        let items = engine.store.run(move |store| store.items(id)).await?;
        let count = items.len() as u64;
        let done = settle_rows(
            &engine.kaltura,
            &engine.store,
            &items,
            &Log::read(&log),
            silence,
            // A log may be another file's; and between upload and now there may have been days.
            |_| true,
        )
        .await?;
        settled.waiting += count - done.total();
        settled.applied = settled.applied.add(done);
        if is_given_up && !is_over {
            given_up.insert(file.run);
            discard(&settling.folder, &file.name);
        }
    }
    for run in given_up.into_iter().filter(|_| settled.waiting == 0) {
        discard_papers(&settling.folder, run);
    }
    Ok(settled)
}

/// The files of the folder that wait, and whether somebody has edited them.
async fn waiting(engine: &Engine, settling: &Settling) -> Result<(Vec<File>, Settled), RunError> {
    let folder = &settling.folder;
    let unreadable = |source| ApplyError::Unreadable {
        folder: folder.clone(),
        source,
    };
    let manifests = Manifest::find(folder).map_err(unreadable)?;
    let written: BTreeMap<&str, &Written> = manifests
        .iter()
        .flat_map(|manifest| &manifest.files)
        .map(|file| (file.name.as_str(), file))
        .collect();
    let is_waiting = |file: &File| {
        matches!(file.way, Way::Handed { .. }) && written.contains_key(file.name.as_str())
    };
    let files = engine.store.run(Store::files).await?;
    let files: Vec<File> = files.into_iter().filter(is_waiting).collect();
    if files.is_empty() {
        return Err(RunError::NotFound(format!(
            "nothing in {} waits to be settled: it has no manifest of Rollbook's (rollbook-run*.json), or all of it is settled. `rollbook status` lists what waits",
            folder.display()
        )));
    }
    let is_edited = |file: &&File| {
        let content = std::fs::read(folder.join(&file.name));
        let known = written.get(file.name.as_str());
        content.is_ok_and(|content| {
            known.is_none_or(|known| HEXLOWER.encode(&Sha256::digest(&content)) != known.sha256)
        })
    };
    let edited = files.iter().filter(is_edited);
    let edited = edited.map(|file| file.name.clone()).collect();
    let settled = Settled {
        edited,
        ..Settled::default()
    };
    Ok((files, settled))
}

/// The jobs that the files have become, by name. Who may not list jobs finds none: then the memberships
/// themselves must do.
async fn jobs(engine: &Engine, files: &[File]) -> FoundJobs {
    let names: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
    let made_at = files.iter().map(|file| file.made_at).min();
    let since = made_at.and_then(|made_at| made_at.checked_sub(CLOCKS).ok());
    let found = engine
        .kaltura
        .find_jobs(FileKind::Entitlements, since.unwrap_or_default(), &names)
        .await;
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, "the jobs of the files cannot be found; their memberships are looked at instead");
        FoundJobs::default()
    })
}
