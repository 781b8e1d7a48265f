//! Files that a person was to upload, settled.
//!
//! *Its one idea: what became of a file is found out, not asserted.* By the logs that somebody brings, or
//! by those of the jobs that bear the files' names, or else by looking at each membership. What nobody can
//! say, and is not done, keeps waiting, unless the files are given up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{Engine, RunError, lease};
use crate::apply::folder::{Manifest, Written, discard, discard_papers, put_away};
use crate::apply::job::{CLOCKS, Jobs, unless_forbidden};
use crate::apply::settle::{Evidence, Settling as Rows, speaks_of_all, speaks_of_any};
use crate::apply::{Applied, ApplyError};
use crate::kaltura::csv::Log;
use crate::kaltura::{FileKind, FoundJobs, Job, JobId};
use crate::store::Store;
use crate::store::files::{File, Way};

/// What is to be settled.
#[derive(Debug, Clone, Default)]
pub struct Settling {
    /// The folder with the files.
    pub folder: PathBuf,
    /// Result logs that somebody has brought.
    pub logs: Vec<Vec<u8>>,
    /// The files will not be uploaded any more: what is not done is planned again.
    pub discard: bool,
    /// That is certain, whatever jobs there are that hide their names, or may not be listed.
    pub sure: bool,
}

/// What was settled.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Settled {
    /// What became of the changes.
    pub applied: Applied,
    /// Changes that still wait.
    pub waiting: u64,
    /// In which files, and how many in each.
    pub files: BTreeMap<String, u64>,
    /// Whether the logs that somebody has brought say anything of these files.
    pub is_log_of_these: bool,
    /// Files that Kaltura is still working on.
    pub under_way: Vec<String>,
    /// Jobs that hide the names of their files, and may be theirs.
    pub suspects: BTreeSet<JobId>,
    /// Files that are not as they were written.
    pub edited: Vec<String>,
}

impl Settled {
    fn wait(&mut self, file: &File, changes: u64) {
        self.waiting += changes;
        if changes > 0 {
            self.files.insert(file.name.clone(), changes);
        }
    }
}

/// Settles the files in a folder, alone: takes the lease, and gives it back.
pub async fn settle(engine: &Engine, settling: &Settling) -> Result<Settled, RunError> {
    let lease = lease::claim(&engine.store).await?;
    let fenced = engine.under(lease);
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
    let brought_log = Log::read(&brought);
    let listed = jobs(engine, &files).await?;
    let may_list = listed.is_some();
    let jobs = listed.unwrap_or_default();
    if settling.discard && !settling.sure && !may_list {
        return Err(RunError::Usage(
            "whether somebody has uploaded the files cannot be looked up: the session's role lacks CONTENT_INGEST_BULK_UPLOAD. If you are certain that nobody has: --discard --sure",
        ));
    }
    let asking = Jobs {
        kaltura: &engine.kaltura,
        config: &engine.config.apply.csv,
        kind: FileKind::Entitlements,
        fence: &engine.store.fence(),
    };
    for file in files {
        let id = file.id;
        let items = engine.store.run(move |store| store.items(id)).await?;
        let named = jobs.named.get(&file.name).map_or(&[][..], Vec::as_slice);
        let mut log = brought.clone();
        for job in named.iter().filter(|job| job.status.is_over()) {
            log.extend(asking.log(job).await?);
        }
        let log = Log::read(&log);
        let is_whole = speaks_of_all(&items, &log);
        // A job that hides its name may be the file's: Kaltura shows it once a worker has begun.
        let hides = |job: &&Job| !job.status.is_over();
        let suspects: Vec<_> = jobs.nameless.iter().filter(hides).collect();
        let evidence = if named.iter().any(|job| !job.status.is_over()) {
            settled.under_way.push(file.name.clone());
            Evidence::Open
        } else if !named.is_empty() || is_whole {
            Evidence::Over
        } else if !suspects.is_empty() && !settling.sure {
            let numbers = suspects.iter().map(|job| job.id);
            settled.suspects.extend(numbers);
            Evidence::Open
        } else if settling.discard {
            Evidence::Never
        } else {
            Evidence::Open
        };
        settled.is_log_of_these |= speaks_of_any(&items, &brought_log);
        // Where jobs can be looked up, and there is none, nothing has happened by this file.
        if evidence == Evidence::Open && may_list && named.is_empty() && brought.is_empty() {
            settled.wait(&file, items.len() as u64);
            continue;
        }
        if evidence == Evidence::Never {
            discard(&settling.folder, &file.name);
            discard_papers(&settling.folder, &file.name);
        }
        let rows = Rows {
            kaltura: &engine.kaltura,
            store: &engine.store,
            log: &log,
            evidence,
            is_repeated: true,
        };
        // A log may be another file's; and between upload and now there may have been days.
        let done = rows.settle(&items, |_| true).await?;
        let waiting = items.len() as u64 - done.total();
        settled.wait(&file, waiting);
        if waiting == 0 {
            put_away(&settling.folder, &file.name);
        }
        settled.applied = settled.applied.add(done);
    }
    Ok(settled)
}

/// The files of the folder that wait, and whether somebody has edited them. The folder need not be there
/// any more, or may have moved with its manifest.
async fn waiting(engine: &Engine, settling: &Settling) -> Result<(Vec<File>, Settled), RunError> {
    let folder = &settling.folder;
    let manifests = match Manifest::find(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        manifests => manifests.map_err(|source| ApplyError::Unreadable {
            folder: folder.clone(),
            source,
        })?,
    };
    let written: BTreeMap<&str, &Written> = manifests
        .iter()
        .flat_map(|manifest| &manifest.files)
        .map(|file| (file.name.as_str(), file))
        .collect();
    let absolute = std::fs::canonicalize(folder).or_else(|_| std::path::absolute(folder));
    let absolute = absolute.unwrap_or_else(|_| folder.clone());
    let is_waiting = |file: &File| match &file.way {
        Way::Handed { folder } => *folder == absolute || written.contains_key(file.name.as_str()),
        _ => false,
    };
    let files = engine.store.run(Store::files).await?;
    let files: Vec<File> = files.into_iter().filter(is_waiting).collect();
    if files.is_empty() {
        return Err(RunError::NotFound(format!(
            "nothing in {} waits to be settled. `rollbook status` lists what waits, and where",
            folder.display()
        )));
    }
    let is_edited = |file: &&File| {
        let content = std::fs::read(folder.join(&file.name));
        let known = written.get(file.name.as_str());
        content.is_ok_and(|content| {
            known.is_some_and(|known| HEXLOWER.encode(&Sha256::digest(&content)) != known.sha256)
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

/// The jobs that the files have become, by name; nothing for who may not list jobs.
async fn jobs(engine: &Engine, files: &[File]) -> Result<Option<FoundJobs>, RunError> {
    let names: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
    let made_at = files.iter().map(|file| file.made_at).min();
    let since = made_at.and_then(|made_at| made_at.checked_sub(CLOCKS).ok());
    let found = engine
        .kaltura
        .find_jobs(FileKind::Entitlements, since.unwrap_or_default(), &names)
        .await;
    Ok(unless_forbidden(found)?)
}
