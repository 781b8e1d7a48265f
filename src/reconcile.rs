//! One run, told from top to bottom.
//!
//! *Its one idea: a trigger only says where to look; what to do is found out anew.* The directory is
//! read into the mirror; the marks that this leaves say where to look; there, what is wanted is
//! compared with what Kaltura has; the gate divides the plan; what is approved is applied; and each
//! mark gets a verdict. A run that is cut off anywhere is repaired by the next.
//!
//! | module | its part |
//! |---|---|
//! | [`lease`] | the right to run |
//! | [`read`] | the directories, into the mirror |
//! | [`scope`] | from marks to categories and people |
//! | [`look`] | what Kaltura has, and the plan that follows |
//! | [`planner`] | what is to be done in each category |
//! | [`again`] | a second look where a list is late or short |
//! | [`renamed`] | who may have been renamed in Kaltura |
//! | [`undo`] | the way back from an earlier run |
//! | [`settle`] | what needs no call |
//! | [`verdict`] | what becomes of a plan: held, applied, cleared |
//! | [`export`] | what the groups want, as files beside a run: channels to be made, people, a first set-up |
//! | [`uploaded`] | what became of files that somebody was to upload |
//! | [`report`] | what a run says about itself |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::apply::route::Via;
use crate::apply::{ApplyError, doubt, submit};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::config::Config;
use crate::directory::{Evidence, GroupId};
use crate::kaltura::{Kaltura, KalturaError};
use crate::killpoint;
use crate::plan::Plan;
use crate::plan::binding::Bindings;
use crate::plan::decision::Configurations;
use crate::plan::gate::{self, Grounds};
use crate::plan::saved::{self, Difference};
use crate::progress::Progress;
use crate::source::{Source, SourceError};
use crate::store::held::Held;
use crate::store::lease::Lease;
use crate::store::{Store, StoreError};

mod again;
pub mod export;
mod lease;
mod look;
mod planner;
mod read;
mod renamed;
pub mod report;
mod scope;
mod settle;
mod undo;
pub mod uploaded;
mod verdict;

use settle::Seen;

use report::ReadKind;
pub use report::{Looked, Report, Verdict};

/// The setting that names the configuration that is [accepted](Configurations::accepted).
const ACCEPTED: &str = "configuration";
/// The setting of a state file that was made anew: its first plan is held, whatever the configuration
/// says of first runs.
pub const REBUILT: &str = "rebuilt";
/// The setting that names the configuration that is [planned](Configurations::planned).
const PLANNED: &str = "configuration_planned";

/// Everything that a run needs.
#[derive(Clone)]
pub struct Engine {
    /// The configuration.
    pub config: Arc<Config>,
    /// The directories.
    pub sources: Arc<Vec<Source>>,
    /// The account.
    pub kaltura: Kaltura,
    /// The state file.
    pub store: Store,
    /// The bindings, compiled.
    pub bindings: Arc<Bindings>,
    /// Where progress shows.
    pub progress: Progress,
}

impl Engine {
    /// The same, which writes to the state file only while the lease is its own.
    fn under(&self, lease: Lease) -> Self {
        Self {
            store: self.store.under(lease),
            ..self.clone()
        }
    }

    /// What a plan of this engine rests on.
    fn grounds(&self, evidence: BTreeMap<String, Evidence>) -> Grounds {
        Grounds {
            account: self.config.kaltura.account(),
            configuration: self.config.fingerprint(),
            fence: self.store.fence(),
            evidence,
        }
    }
}

/// What a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// As it is called in the list of runs.
    pub command: String,
    /// What is to be done.
    pub task: Task,
    /// Read and compare everything, not only what changed.
    pub full: bool,
    /// Plan, and change nothing in Kaltura.
    pub dry_run: bool,
    /// Look at these people only.
    pub users: Vec<UserId>,
    /// Look at these groups only.
    pub groups: Vec<GroupId>,
    /// By which way the changes go, if not as the configuration says.
    pub via: Option<Via>,
    /// Look at these categories only, by reference ID, name or number.
    pub categories: Vec<String>,
}

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Task {
    /// Bring the channels in step with the groups.
    #[default]
    Sync,
    /// Take back what an earlier run did.
    Undo {
        /// The run's number.
        run: i64,
        /// Only for these people; for everybody, where nobody is named.
        users: BTreeSet<UserId>,
        /// Only in these channels; in all of them, where none is named.
        categories: BTreeSet<CategoryId>,
    },
    /// Do what a saved plan says, where it still is what would be done.
    Apply {
        /// The file, as it is named on the command line.
        file: String,
        /// What it says.
        plan: Arc<Plan>,
    },
}

impl Task {
    /// The command that does it, as it may be typed: what it holds, and an approval, are for this
    /// command only.
    pub fn command(&self) -> String {
        match self {
            Self::Sync => "sync".to_owned(),
            Self::Undo {
                run,
                users,
                categories,
            } => {
                let categories = categories.iter().map(|id| format!(" --category {id}"));
                let users = users
                    .iter()
                    .map(|user| format!(" --user {}", user.as_str()));
                format!("undo {run}{}", categories.chain(users).collect::<String>())
            }
            Self::Apply { file, .. } => format!("apply {file}"),
        }
    }
}

impl Request {
    /// Whether the run is about something in particular: then other marks keep waiting.
    fn is_narrow(&self) -> bool {
        let named =
            !(self.users.is_empty() && self.groups.is_empty() && self.categories.is_empty());
        named || matches!(self.task, Task::Apply { .. })
    }
}

/// Why a run failed. Nothing is lost: the marks are still there.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another run holds the lease.
    #[error(
        "another run is going on: {holder}, last seen at {seen_at}. Wait for it. A run that has died is taken over at once on the machine on which it ran, and elsewhere after a minute"
    )]
    Leased {
        /// Who.
        holder: String,
        /// When they last showed themselves.
        seen_at: jiff::Timestamp,
    },
    /// A directory could not be read.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// Kaltura could not be asked.
    #[error("{0}")]
    Kaltura(#[from] KalturaError),
    /// The state file could not be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A saved plan is not what would be done any more.
    #[error(
        "the saved plan is out of date, and nothing of it was done:\n  {0}\nMake it anew: rollbook sync --dry-run --out FILE"
    )]
    Stale(String),
    /// No channel is to be seen, which is no reason to take anything for settled.
    #[error("no channel is to be seen {place}, and nothing was changed. {cause}")]
    NoChannels {
        /// Where there should be some.
        place: String,
        /// What may be wrong, and what to do.
        cause: &'static str,
    },
    /// Something asked for on the command line is not there.
    #[error("{0}")]
    NotFound(String),
    /// The command line says something that means nothing.
    #[error("{0}")]
    Usage(&'static str),
    /// The changes could not go by file.
    #[error(transparent)]
    Files(ApplyError),
}

/// Of what is otherwise, so much is named.
const MOST_DIFFERENCES: usize = 10;

impl RunError {
    fn stale(differences: &[Difference]) -> Self {
        let shown = differences.iter().take(MOST_DIFFERENCES);
        let mut lines: Vec<String> = shown.map(ToString::to_string).collect();
        if differences.len() > MOST_DIFFERENCES {
            lines.push(format!("and {} more", differences.len() - MOST_DIFFERENCES));
        }
        Self::Stale(lines.join("\n  "))
    }
}

impl From<ApplyError> for RunError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Kaltura(error) => Self::Kaltura(error),
            ApplyError::Store(error) => Self::Store(error),
            other => Self::Files(other),
        }
    }
}

/// Runs once, alone: takes the lease, keeps it fresh, and gives it back.
pub async fn reconcile(engine: &Engine, request: &Request) -> Result<Report, RunError> {
    let lease = lease::claim(&engine.store).await?;
    let fenced = engine.under(lease);
    let result = run(&fenced, request, lease).await;
    engine.progress.end();
    let released = lease::release(&engine.store, lease).await;
    // Where both fail, it is the run's own failure that people must know.
    let report = result?;
    released?;
    Ok(report)
}

/// One run, from the directories to the report.
async fn run(engine: &Engine, request: &Request, lease: Lease) -> Result<Report, RunError> {
    let mut report = begin(engine, request).await?;
    let before = report::Traffic::from(engine.kaltura.traffic());
    let work = async {
        recover(engine, request.dry_run).await?;
        match &request.task {
            Task::Sync | Task::Apply { .. } => {
                steps(engine, request, lease, &mut report).await?;
            }
            Task::Undo {
                run,
                users,
                categories,
            } => {
                let deeds = undo::deeds(engine, *run, users, categories).await?;
                undo::steps(engine, request, deeds, lease, &mut report).await?;
            }
        }
        report.still_held = still_held(engine, &report).await?;
        report.in_files = engine.store.run(Store::waiting_files).await?;
        report.set_aside = engine.store.run(Store::waiting).await?.len() as u64;
        Ok(())
    };
    let result = lease::keep(&engine.store, lease, Box::pin(work)).await;
    report.traffic = report::Traffic::from(engine.kaltura.traffic()) - before;
    engine.progress.end();
    killpoint::here("before-ending");
    let outcome = match &result {
        Ok(()) => report.verdict().to_string(),
        // One line, for the list of runs.
        Err(error) => {
            let error = error.to_string();
            let lines: Vec<&str> = error.lines().map(str::trim).collect();
            format!("failed: {}", lines.join(" "))
        }
    };
    let (run, record) = (report.run, report.record());
    let ended = engine
        .store
        .run(move |store| {
            store.end_run(run, &outcome, &record, clock::now())?;
            store.history_head()
        })
        .await;
    if let Ok(Some(head)) = &ended {
        // Kept where the state file is not, it shows that the history up to here is what it was.
        tracing::info!(run, history_head = %head, "the history ends here");
    }
    result?;
    ended?;
    Ok(report)
}

async fn steps(
    engine: &Engine,
    request: &Request,
    lease: Lease,
    report: &mut Report,
) -> Result<(), RunError> {
    report.reads = read::directories(engine, request.full).await?;

    let questions = scope::questions(engine, request).await?;
    if questions.is_empty() {
        return Ok(());
    }
    let scope = scope::resolve(engine, request, &questions).await?;
    report.looked = if questions.everything {
        Looked::Everywhere
    } else {
        Looked::Somewhere
    };
    report.findings.clone_from(&scope.findings);

    killpoint::here("before-planning");
    let planned = look::plan(engine, &scope, &report.reads).await?;
    report.unread = planned.unread.count();
    report.findings.extend(planned.findings);
    let plan = match &request.task {
        Task::Apply { plan, .. } => saved::compare(plan, &planned.plan)
            .map_err(|differences| RunError::stale(&differences))?,
        Task::Sync | Task::Undo { .. } => planned.plan,
    };
    let evidence = report.reads.iter();
    let evidence = evidence.map(|read| (read.directory.clone(), read.evidence.clone()));
    let grounds = engine.grounds(evidence.collect());
    let circumstances =
        verdict::circumstances(engine, &request.task, &plan, (&scope.there(), grounds)).await?;
    let review = gate::review(plan, &circumstances);
    report.trips.clone_from(&review.trips);
    report.note_plan(&review);
    if request.dry_run {
        let plan = report.plan.clone();
        let route = verdict::route(engine, request, &plan, report);
        report.confusable = verdict::confusable(engine, &route).await?;
        return Ok(());
    }

    killpoint::here("after-planning");
    // What a saved plan leaves out has no verdict by it.
    if request.task == Task::Sync {
        let asked = (&questions, &scope);
        let seen = Seen::new(asked, (&planned.unread, &planned.unsure), &review);
        settle::settle(engine, report.run, &seen, &circumstances.undone).await?;
    }
    let (run, task) = (report.run, &request.task);
    killpoint::here("after-settling");
    report.held = verdict::hold(engine, run, task, &review).await?;
    killpoint::here("after-holding");
    verdict::apply(engine, request, lease, review, report).await?;

    killpoint::here("before-clearing");
    if report.reads.iter().any(|read| read.kind == ReadKind::Full) {
        prune(engine).await?;
    }
    if !request.is_narrow() {
        verdict::clear(engine, &questions, &scope, &planned.unread, report).await?;
    }
    Ok(())
}

/// The plans of earlier runs that nobody has answered yet.
async fn still_held(engine: &Engine, report: &Report) -> Result<Vec<report::Held>, RunError> {
    let held = engine.store.run(|store| store.held(clock::now())).await?;
    let this = report.held.as_ref().map(|held| &held.digest);
    // The way back from a run is asked for, and waits, by itself.
    // What another configuration holds waits for that.
    let fingerprint = engine.config.fingerprint();
    let is_meant = |held: &Held| {
        held.is_of(&fingerprint) && (report.is_undo || !held.command.starts_with("undo "))
    };
    let others = held
        .into_iter()
        .filter(|held| held.open > 0 && Some(&held.digest) != this && is_meant(held));
    let others = others.map(|held| report::Held {
        digest: held.digest,
        counts: held.counts,
    });
    Ok(others.collect())
}

/// Takes from the history what is older than the configuration keeps.
async fn prune(engine: &Engine) -> Result<(), RunError> {
    let kept = SignedDuration::try_from(engine.config.state.history.0).unwrap_or_default();
    let pruned = engine
        .store
        .run(move |store| match clock::now().checked_sub(kept) {
            Ok(before) => store.prune_history(before),
            // Longer than time itself: for ever.
            Err(_) => Ok(0),
        });
    let gone = pruned.await?;
    if gone > 0 {
        tracing::info!(lines = gone, "old lines were taken from the history");
    }
    Ok(())
}

async fn begin(engine: &Engine, request: &Request) -> Result<Report, RunError> {
    let command = request.command.clone();
    let now = clock::now();
    let vanished = engine.config.policy.vanished_person.over_since(now);
    let (fingerprint, dry_run) = (engine.config.fingerprint(), request.dry_run);
    let account = engine.config.kaltura.account();
    let run = engine
        .store
        .run(move |store| {
            if let Some(until) = vanished {
                store.mark_vanished(until)?;
            }
            store.note_origin(&[ACCEPTED, PLANNED])?;
            // A dry run, too: it leaves the channels in the index that it has seen.
            let mut configurations = configurations(store)?;
            configurations.begin(&fingerprint);
            remember(store, &configurations)?;
            if !dry_run && store.note_account(&account)? {
                tracing::warn!(
                    "another Kaltura account than before: what was known of the former one's channels is forgotten"
                );
            }
            store.mark_due(now)?;
            store.begin_run(&command, &account, now)
        })
        .await?;
    Ok(Report::new(run, request))
}

/// Which configurations stand how.
fn configurations(store: &Store) -> Result<Configurations, StoreError> {
    Ok(Configurations {
        accepted: store.setting(ACCEPTED)?,
        planned: store.setting(PLANNED)?,
    })
}

fn remember(store: &Store, configurations: &Configurations) -> Result<(), StoreError> {
    let settings = [
        (ACCEPTED, &configurations.accepted),
        (PLANNED, &configurations.planned),
    ];
    for (name, value) in settings {
        match value {
            Some(value) => store.set_setting(name, value)?,
            None => store.drop_setting(name)?,
        }
    }
    Ok(())
}

/// Finds out what a run that was cut off has done, before anything is decided by what it had noted.
async fn recover(engine: &Engine, only_look: bool) -> Result<(), RunError> {
    let account = engine.config.kaltura.account();
    let elsewhere = engine
        .store
        .run(move |store| store.open_elsewhere(&account));
    let elsewhere = elsewhere.await?;
    if !elsewhere.is_empty() {
        tracing::warn!(
            runs = elsewhere.len(),
            "runs in another Kaltura account have left changes open: a run with the configuration of that account finds out what became of them"
        );
    }
    let in_files = submit::resolve(
        &engine.kaltura,
        &engine.store,
        &engine.config.apply.csv,
        (only_look, &elsewhere),
    )
    .await?;
    if in_files > 0 {
        tracing::warn!(
            actions = in_files,
            "the last run was cut off; what became of its files is found out"
        );
    }
    let open = doubt::resolve(&engine.kaltura, &engine.store, &elsewhere).await?;
    if open > 0 {
        tracing::warn!(
            actions = open,
            "the outcome of some changes of an earlier run is not known: they are looked at again"
        );
    }
    killpoint::here("after-recovering");
    Ok(())
}
