//! CSV files, submitted and followed.
//!
//! *Its one idea: a file is a batch that takes long.* Journal before it is sent, a look at whatever takes
//! access away, then the job is followed to its end and each row closed with what became of it. The engine
//! that reads the files removes manual members and owners without a word, so both are looked for first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::SignedDuration;

use super::end::End;
use super::files::{Packed, content, file_name, heading, style};
use super::job::{Fate, Jobs, Place};
use super::settle::{Evidence, Settling};
use super::steps::{self, Stands};
use super::{Applied, Applier, ApplyError, folder};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::config;
use crate::kaltura::csv::Log;
use crate::kaltura::{ApiError, FileKind, Found, JobId, Kaltura};
use crate::killpoint;
use crate::plan::Action;
use crate::plan::gate::Warrant;
use crate::store::Store;
use crate::store::files::{File, Item, Way};
use crate::store::journal::{Doubt, Open, Outcome};

/// How long nobody may know what became of a file.
const LONGEST_OPEN: SignedDuration = SignedDuration::from_hours(24);

impl Applier {
    /// Sends actions as files: as many jobs side by side as allowed, but never two that write to one
    /// channel, so that departures come before additions and Kaltura does not lose count of members.
    pub(super) async fn by_files(
        &self,
        pieces: Vec<Packed>,
        warrant: &Warrant,
    ) -> Result<Applied, ApplyError> {
        let mut files = style(&self.csv).pack(pieces).enumerate().peekable();
        let mut running = FuturesUnordered::new();
        let mut busy: BTreeMap<usize, BTreeSet<CategoryId>> = BTreeMap::new();
        let mut applied = Applied::default();
        loop {
            while running.len() < self.csv.jobs
                && let Some((number, file)) = files.next_if(|(_, file)| {
                    let mut channels = file.iter().map(|piece| &piece.category);
                    !channels.any(|channel| busy.values().any(|busy| busy.contains(channel)))
                })
            {
                busy.insert(number, file.iter().map(|piece| piece.category).collect());
                running.push(async move { (number, self.file(number, file, warrant).await) });
            }
            let Some((number, done)) = running.next().await else {
                return Ok(applied);
            };
            busy.remove(&number);
            applied = applied.add(done?);
        }
    }

    /// One file, from the journal to the last row.
    async fn file(
        &self,
        number: usize,
        pieces: Vec<Packed>,
        warrant: &Warrant,
    ) -> Result<Applied, ApplyError> {
        let name = file_name(self.run, &self.tag, number);
        let count = pieces.len() as u64;
        let since = self.reviewed_at;
        let rejected = self.store.run(move |store| store.rejected_after(since));
        let rejected = rejected.await?;
        let (out, pieces): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| {
            piece.tag.approved_by.is_some() && rejected.contains(&piece.category)
        });
        let left_out = Applied {
            changed: out.len() as u64,
            ..Applied::default()
        };
        if pieces.is_empty() {
            self.progress.advance(count);
            return Ok(left_out);
        }
        let fresh: BTreeSet<(CategoryId, UserId)> = fresh(&pieces);
        let (file, items) = self.open_file(&name, None, pieces).await?;
        killpoint::here("after-opening-a-file");
        let (mut items, applied) = self.leave_what_moved(items).await?;
        let mut applied = applied.add(left_out);
        if !items.is_empty() {
            let heading = heading(self.run, number, &self.digest);
            let style = style(&self.csv);
            let mut is_first = true;
            // Between two attempts there may be a long wait.
            let content = async || {
                if !std::mem::take(&mut is_first) {
                    let (left, gone) = self.leave_what_moved(std::mem::take(&mut items)).await?;
                    items = left;
                    applied = applied.add(gone);
                }
                let is_empty = items.is_empty();
                let content = content(&heading, style, &items);
                content.map(|content| (!is_empty).then_some(content))
            };
            // The look before showed one row, however many there were; where a list was read, it is known.
            let may_be_one_of_two = |doubt: &Doubt| {
                steps::takes_a_row(&doubt.action)
                    && fresh.contains(&(doubt.category, doubt.action.user.clone()))
            };
            let (fate, refused) = match self.submit(file, &name, content, warrant).await? {
                Ok(fate) => (fate, None),
                Err(error) => (Fate::Never, Some(error)),
            };
            let in_account = (&self.kaltura, &self.store);
            let rows = (file, items.as_slice());
            let settled = close(in_account, rows, fate, self.is_repeated, may_be_one_of_two);
            let settled = settled.await?.unwrap_or(Applied {
                handed: items.len() as u64,
                ..Applied::default()
            });
            if let Some(error) = refused {
                let kind = FileKind::Entitlements;
                return Err(ApplyError::NotTaken { kind, error });
            }
            applied = applied.add(settled);
        }
        self.progress.advance(count);
        Ok(applied)
    }

    /// Opens the journal for a file.
    pub(super) async fn open_file(
        &self,
        name: &str,
        folder: Option<&Path>,
        pieces: Vec<Packed>,
    ) -> Result<(i64, Vec<Item>), ApplyError> {
        let (run, lease, now) = (self.run, self.lease, clock::now());
        let (name, folder) = (name.to_owned(), folder.map(ToOwned::to_owned));
        let opened = self.store.run(move |store| {
            let actions: Vec<_> = pieces
                .into_iter()
                .map(|piece| {
                    let task = &piece.tag;
                    let open = Open {
                        category: task.category(),
                        action: task.action().clone(),
                        approved_by: task.approved_by.as_deref().map(str::to_owned),
                    };
                    (open, piece.rows)
                })
                .collect();
            let (file, _) = store.open_file(run, lease, &name, folder.as_deref(), &actions, now)?;
            Ok((file, store.items(file)?))
        });
        Ok(opened.await?)
    }

    /// Leaves out what is not any more as the plan found it, and closes it.
    pub(super) async fn leave_what_moved(
        &self,
        items: Vec<Item>,
    ) -> Result<(Vec<Item>, Applied), ApplyError> {
        let owners = self.owners(&items).await?;
        let looked: Vec<bool> = items
            .iter()
            .map(|item| steps::needs_a_look(&item.doubt.action))
            .collect();
        let pairs: Vec<(CategoryId, UserId)> = items
            .iter()
            .zip(&looked)
            .filter(|(_, looked)| **looked)
            .map(|(item, _)| (item.doubt.category, item.doubt.action.user.clone()))
            .collect();
        let mut found = self.kaltura.memberships(&pairs).await?.into_iter();
        let (mut kept, mut verdicts) = (Vec::new(), Vec::new());
        let mut applied = Applied::default();
        for (item, looked) in items.into_iter().zip(looked) {
            let found = if looked { found.next() } else { None };
            let doubt = &item.doubt;
            let owns = owners.get(&doubt.category);
            let moved = match owns {
                Some(Owner::Nobody) => None,
                Some(Owner::Is(owner)) if *owner != doubt.action.user => None,
                // It is owned by this person now, takes its members from elsewhere, or is gone.
                Some(Owner::Is(_) | Owner::Elsewhere) | None => Some(End::new(Outcome::Changed)),
            };
            match moved.or_else(|| found.and_then(|found| stale(&doubt.action, found))) {
                None => kept.push(item),
                Some(end) => {
                    applied.count(end.outcome);
                    verdicts.push(end.untouched().verdict(
                        doubt.journal,
                        doubt.category,
                        &doubt.action,
                        self.is_repeated,
                    ));
                }
            }
        }
        let run = self.run;
        self.store
            .run(move |store| {
                store.close_journal(run, &verdicts, clock::now())?;
                store.drop_settled_files()
            })
            .await?;
        Ok((kept, applied))
    }

    /// Who owns the channels of a file now.
    async fn owners(&self, items: &[Item]) -> Result<BTreeMap<CategoryId, Owner>, ApplyError> {
        let ids: BTreeSet<CategoryId> = items.iter().map(|item| item.doubt.category).collect();
        let ids: Vec<CategoryId> = ids.into_iter().collect();
        let found = self.kaltura.categories_by_id(&ids).await?.into_iter();
        Ok(found
            .map(|category| {
                let owner = match (category.inherits_from, category.owner) {
                    (Some(_), _) => Owner::Elsewhere,
                    (None, Some(owner)) => Owner::Is(owner),
                    (None, None) => Owner::Nobody,
                };
                (category.id, owner)
            })
            .collect())
    }

    /// Submits a file, and follows its job; or answers why Kaltura will never take it.
    async fn submit(
        &self,
        file: i64,
        name: &str,
        content: impl AsyncFnMut() -> Result<Option<Vec<u8>>, ApplyError>,
        warrant: &Warrant,
    ) -> Result<Result<Fate, ApiError>, ApplyError> {
        killpoint::here("before-submitting");
        let jobs = Jobs {
            kaltura: &self.kaltura,
            config: &self.csv,
            kind: FileKind::Entitlements,
            fence: &warrant.grounds().fence,
        };
        let job = match jobs.hand_in(name, content, warrant).await? {
            Ok(Place::At(job)) => job,
            Ok(Place::Nowhere) => return Ok(Ok(Fate::Never)),
            Ok(Place::Unclear) => return Ok(Ok(Fate::Open)),
            Err(error) => return Ok(Err(error)),
        };
        tracing::info!(
            run = self.run,
            file = name,
            job = job.0,
            "a file is handed in"
        );
        self.store
            .run(move |store| store.note_job(file, job.0))
            .await?;
        killpoint::here("after-noting-a-job");
        Ok(Ok(jobs.follow(job).await?))
    }
}

/// Whose a channel is.
enum Owner {
    Is(UserId),
    Nobody,
    /// It shows the members of another one.
    Elsewhere,
}

/// How an action ends of which a look shows that it must not be sent.
fn stale(action: &Action, found: Found) -> Option<End> {
    match (steps::compare(action, &found), found) {
        (Stands::AsBefore, _) => None,
        (Stands::AsWanted, _) => Some(End::found_so()),
        (Stands::Otherwise, Found::Failed(error)) => {
            Some(End::answered(Outcome::Passing, error.code))
        }
        (Stands::Otherwise, _) => Some(End::new(Outcome::Changed)),
    }
}

fn fresh(pieces: &[Packed]) -> BTreeSet<(CategoryId, UserId)> {
    let fresh = pieces.iter().filter(|piece| piece.tag.part.fresh);
    fresh
        .map(|piece| (piece.category, piece.tag.action().user.clone()))
        .collect()
}

/// Closes the rows of a file by what has become of it; answers nothing where nobody knows: then they stay
/// open, and each later run looks again.
async fn close(
    (kaltura, store): (&Kaltura, &Store),
    (file, items): (i64, &[Item]),
    fate: Fate,
    is_repeated: bool,
    is_doubtful: impl Fn(&Doubt) -> bool,
) -> Result<Option<Applied>, ApplyError> {
    let (log, evidence) = match fate {
        Fate::Over(log) => (log, Evidence::Over),
        Fate::Never => (Vec::new(), Evidence::Never),
        Fate::Open => {
            store.run(move |store| store.leave_file(file)).await?;
            return Ok(None);
        }
    };
    let settling = Settling {
        kaltura,
        store,
        log: &Log::read(&log),
        evidence,
        is_repeated,
    };
    settling.settle(items, is_doubtful).await.map(Some)
}

/// Settles the files of runs that were cut off: finds their jobs, and follows them to the end, or, where that
/// would change or hold up anything (`only_look`), looks at them once. Those of runs `elsewhere`, in other accounts, wait. Files that were being written for a person
/// are taken away again. Answers how many actions were settled.
pub async fn resolve(
    kaltura: &Kaltura,
    store: &Store,
    config: &config::apply::Csv,
    (only_look, elsewhere): (bool, &BTreeSet<i64>),
) -> Result<u64, ApplyError> {
    let jobs = Jobs {
        kaltura,
        config,
        kind: FileKind::Entitlements,
        fence: &store.fence(),
    };
    let mut count = 0;
    for file in store.run(Store::files).await? {
        let id = file.id;
        let fate = match &file.way {
            _ if elsewhere.contains(&file.run) => continue,
            Way::Handed { .. } => continue,
            Way::Writing { .. } if only_look => continue,
            Way::Writing { folder } => take_back(&jobs, &file, folder).await?,
            Way::Submitted { job } if only_look => look_again(&jobs, &file, *job).await?,
            Way::Submitted { job } => {
                let (run, name) = (file.run, &file.name);
                tracing::warn!(
                    run,
                    file = name,
                    "a run was cut off while a file of it was under way; what became of it is found out"
                );
                match job {
                    Some(job) => jobs.follow(JobId(*job)).await?,
                    None => jobs.fate(name, file.made_at).await?,
                }
            }
            Way::Left { job } => look_again(&jobs, &file, *job).await?,
        };
        let items = store.run(move |store| store.items(id)).await?;
        let is_removed = |doubt: &Doubt| steps::takes_a_row(&doubt.action);
        let settled = close((kaltura, store), (id, &items), fate, true, is_removed).await?;
        count += settled.map_or(0, |settled| settled.total());
    }
    store.run(Store::drop_settled_files).await?;
    Ok(count)
}

/// A run was cut off while it wrote files for a person: they were not announced, and are taken away.
/// Should somebody have uploaded one all the same, its job is followed.
async fn take_back(jobs: &Jobs<'_>, file: &File, folder: &Path) -> Result<Fate, ApplyError> {
    if folder.exists() {
        folder::discard(folder, &file.name);
        folder::discard_papers(folder, &file.name);
    } else {
        tracing::error!(
            folder = %folder.display(),
            file = file.name,
            "a file that must not be uploaded is in a folder that is not there; should that come back, remove it"
        );
    }
    Ok(match jobs.find_once(&file.name, file.made_at).await? {
        // A job that hides its name is hardly this one's.
        Fate::Open => Fate::Never,
        fate => fate,
    })
}

/// Looks again at a file of which nobody knew what became of it. After a day it is closed by what its log
/// says so far, and by looking at the memberships.
async fn look_again(jobs: &Jobs<'_>, file: &File, job: Option<i64>) -> Result<Fate, ApplyError> {
    let fate = match job {
        Some(job) => jobs.look_once(JobId(job)).await?,
        None => jobs.find_once(&file.name, file.made_at).await?,
    };
    let is_old = clock::now().duration_since(file.made_at) > LONGEST_OPEN;
    Ok(match (fate, job) {
        (Fate::Open, Some(job)) if is_old => Fate::Over(jobs.log_so_far(JobId(job)).await?),
        (Fate::Open, None) if is_old => Fate::Never,
        (fate, _) => fate,
    })
}
