//! One run, told from top to bottom.
//!
//! *Its one idea: a trigger only says where to look; what to do is found out anew.* The directory is
//! read into the mirror; the marks that this leaves say where to look; there, what is wanted is
//! compared with what Kaltura has; the gate divides the plan; what is approved is applied; and each
//! mark gets a verdict. A run that is cut off anywhere is repaired by the next.
//!
//! | module | its part |
//! |---|---|
//! | [`read`] | the directories, into the mirror |
//! | [`scope`] | from marks to categories and people |
//! | [`look`] | what is wanted against what is there: the plan |
//! | [`report`] | what a run says about itself |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::apply::{Applied, Applier, ApplyError};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::config::Config;
use crate::directory::GroupId;
use crate::kaltura::{Kaltura, KalturaError};
use crate::plan::Plan;
use crate::plan::binding::Bindings;
use crate::plan::gate::{self, Circumstances, Review};
use crate::progress::Progress;
use crate::source::{Source, SourceError};
use crate::store::lease::{Claim, Lease};
use crate::store::{Store, StoreError};

mod look;
mod read;
pub mod report;
mod scope;

pub use report::{Report, Verdict};

/// How often a run shows that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Of what tripped, so much is kept with a held plan; the rest is more of the same.
const MOST_REASONS: usize = 5;

/// The setting that names the configuration whose first plan has been applied.
const ACCEPTED: &str = "configuration";
/// The setting that names the configuration whose first plan has been made, and may be held.
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

/// What a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// As it is called in the list of runs.
    pub command: String,
    /// Read and compare everything, not only what changed.
    pub full: bool,
    /// Plan, and change nothing in Kaltura.
    pub dry_run: bool,
    /// Look at these people only.
    pub users: Vec<UserId>,
    /// Look at these groups only.
    pub groups: Vec<GroupId>,
    /// Look at the categories with these reference IDs only.
    pub categories: Vec<String>,
}

impl Request {
    /// Whether the run is about something in particular: then other marks keep waiting.
    fn is_narrow(&self) -> bool {
        !(self.users.is_empty() && self.groups.is_empty() && self.categories.is_empty())
    }
}

/// Why a run failed. Nothing is lost: the marks are still there.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another run holds the lease.
    #[error(
        "another run is going on: {holder}, last seen at {seen_at}. Wait for it; a run that has died is taken over after a minute"
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
    /// Something asked for on the command line is not there.
    #[error("{0}")]
    NotFound(String),
}

impl From<ApplyError> for RunError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Kaltura(error) => Self::Kaltura(error),
            ApplyError::Store(error) => Self::Store(error),
        }
    }
}

/// Runs once, alone: takes the lease, keeps it fresh, and gives it back.
pub async fn reconcile(engine: &Engine, request: &Request) -> Result<Report, RunError> {
    let lease = claim(engine).await?;
    let heart = tokio::spawn(beat(engine.store.clone(), lease));
    let result = run(engine, request, lease).await;
    heart.abort();
    engine.progress.end();
    engine.store.run(move |store| store.release(lease)).await?;
    result
}

/// One run, from the directories to the report.
async fn run(engine: &Engine, request: &Request, lease: Lease) -> Result<Report, RunError> {
    let mut report = begin(engine, request).await?;
    let before = report::Traffic::from(engine.kaltura.traffic());
    let result = steps(engine, request, lease, &mut report).await;
    report.traffic = report::Traffic::from(engine.kaltura.traffic()) - before;
    engine.progress.end();
    let outcome = match &result {
        Ok(()) => report.verdict().to_string(),
        Err(error) => format!("failed: {error}"),
    };
    let (run, record) = (report.run, report.record());
    engine
        .store
        .run(move |store| store.end_run(run, &outcome, &record, clock::now()))
        .await?;
    result.map(|()| report)
}

async fn steps(
    engine: &Engine,
    request: &Request,
    lease: Lease,
    report: &mut Report,
) -> Result<(), RunError> {
    let config = std::sync::Arc::clone(&engine.config);
    engine
        .store
        .run(move |store| {
            let names: Vec<&str> = config
                .directory
                .iter()
                .map(crate::config::Directory::name)
                .collect();
            store.keep_directories(&names)
        })
        .await?;
    report.reads = read::directories(engine, request.full).await?;

    let questions = scope::questions(engine, request).await?;
    if questions.is_empty() {
        return Ok(());
    }
    let scope = scope::resolve(engine, request, &questions).await?;
    report.findings.clone_from(&scope.findings);

    let planned = look::plan(engine, &scope, report.is_proven()).await?;
    report.unread = planned.unread.count();
    report.findings.extend(planned.findings);
    let review = review(engine, planned.plan, &scope).await?;
    report.trips.clone_from(&review.trips);
    report.note_plan(&review);
    if request.dry_run {
        return Ok(());
    }

    settle(
        engine,
        report.run,
        &review,
        &questions,
        &scope,
        &planned.unread,
        report.is_proven(),
    )
    .await?;
    report.held = hold(engine, report.run, &review).await?;
    report.applied = apply(engine, report.run, lease, review, report.is_proven()).await?;

    if report.is_proven() && !request.is_narrow() {
        let up_to = questions.up_to;
        engine
            .store
            .run(move |store| store.clear_marks(up_to))
            .await?;
        // What could not be read has not been planned.
        if report.unread == 0 {
            engine
                .store
                .run(move |store| store.clear_category_marks(&scope.new))
                .await?;
            accept_configuration(engine, questions.everything).await?;
        }
    }
    Ok(())
}

/// Divides the plan into what may be applied and what a person must see first.
async fn review(engine: &Engine, plan: Plan, scope: &scope::Scope) -> Result<Review, RunError> {
    let fingerprint = engine.config.fingerprint();
    let (accepted, approvals) = engine
        .store
        .run(|store| Ok((store.setting(ACCEPTED)?, store.approvals()?)))
        .await?;
    let hold_first = engine.config.safety.first_run == crate::config::safety::FirstRun::Hold;
    Ok(gate::review(
        plan,
        &Circumstances {
            safety: &engine.config.safety,
            first_run: hold_first && accepted != Some(fingerprint),
            memberships: scope.memberships,
            approvals: &approvals,
        },
    ))
}

/// Writes down what needs no call: memberships that are as they should be, or gone; and drops what
/// was held or waiting where nothing is left to do.
async fn settle(
    engine: &Engine,
    run: i64,
    review: &Review,
    questions: &scope::Questions,
    scope: &scope::Scope,
    unread: &look::Unread,
    is_proven: bool,
) -> Result<(), RunError> {
    let parts = || {
        review
            .approved
            .plan()
            .categories
            .iter()
            .chain(&review.held.categories)
    };
    let entries: Vec<_> = parts()
        .flat_map(|part| report::ledger_entries(part))
        .collect();
    let changing: BTreeSet<CategoryId> = parts()
        .filter(|part| part.changes().next().is_some())
        .map(|part| part.category.id)
        .collect();
    let held = engine.store.run(Store::held_categories).await?;
    // What no group feeds any more can never be done, whatever was held for it.
    let is_fed = |id: &CategoryId| scope.categories.contains_key(id);
    let is_over = |id: &CategoryId| {
        (is_fed(id) && !changing.contains(id)) || (!is_fed(id) && questions.everything)
    };
    let over: Vec<CategoryId> = if is_proven && unread.count() == 0 {
        held.into_iter().filter(is_over).collect()
    } else {
        Vec::new()
    };
    let waiting = engine.store.run(Store::waiting).await?;
    let by_category: BTreeMap<CategoryId, _> =
        parts().map(|part| (part.category.id, part)).collect();
    let settled: Vec<(CategoryId, UserId)> = waiting
        .into_iter()
        .map(|item| (item.category, item.user))
        .filter(|(category, user)| {
            scope.asks_about(*category, user) || scope.is_over(questions, *category, user)
        })
        .filter(|pair| !unread.people.contains(pair))
        .filter(|(category, user)| {
            let part = by_category.get(category);
            !part.is_some_and(|part| part.changes().any(|action| action.user == *user))
        })
        .collect();
    engine
        .store
        .run(move |store| {
            store.note(run, &entries)?;
            store.release_held(&over)?;
            store.settle(&settled)
        })
        .await?;
    Ok(())
}

/// Holds what the gate has not approved.
async fn hold(
    engine: &Engine,
    run: i64,
    review: &Review,
) -> Result<Option<report::Held>, RunError> {
    if review.held.is_empty() {
        return Ok(None);
    }
    let reasons: Vec<String> = review
        .trips
        .iter()
        .take(MOST_REASONS)
        .map(ToString::to_string)
        .collect();
    let (plan, reason) = (review.held.clone(), reasons.join("; "));
    let counts = crate::plan::show::Counts::of(&plan);
    tracing::info!(
        run,
        digest = plan.digest().short(),
        reason,
        "a plan is held"
    );
    let digest = engine
        .store
        .run(move |store| store.hold(run, &plan, &reason, clock::now()))
        .await?;
    Ok(Some(report::Held { digest, counts }))
}

/// Applies what is approved. Only then is an approval used up: a run that is cut off leaves it.
async fn apply(
    engine: &Engine,
    run: i64,
    lease: Lease,
    review: Review,
    is_proven: bool,
) -> Result<Applied, RunError> {
    let applier = Applier {
        kaltura: engine.kaltura.clone(),
        store: engine.store.clone(),
        run,
        lease,
        batch: engine.config.kaltura.batch,
        concurrency: engine.config.kaltura.concurrency,
        progress: engine.progress.clone(),
    };
    let parts = review.approved.plan().categories.iter();
    // On an answer that is not complete only a part of a plan is done.
    let done = parts.filter(|_| is_proven);
    let categories: Vec<CategoryId> = done.map(|part| part.category.id).collect();
    let outcome = applier.apply(review.approved).await?;
    engine
        .store
        .run(move |store| store.release_held(&categories))
        .await?;
    Ok(outcome)
}

/// A configuration is accepted once its first plan has been made and nothing of it is held any more.
async fn accept_configuration(engine: &Engine, planned_all: bool) -> Result<(), RunError> {
    let fingerprint = engine.config.fingerprint();
    engine
        .store
        .run(move |store| {
            if planned_all {
                store.set_setting(PLANNED, &fingerprint)?;
            }
            let planned = store.setting(PLANNED)?.as_deref() == Some(&fingerprint);
            if planned && store.held()?.is_empty() {
                store.set_setting(ACCEPTED, &fingerprint)?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}

async fn begin(engine: &Engine, request: &Request) -> Result<Report, RunError> {
    let command = request.command.clone();
    let run = engine
        .store
        .run(move |store| {
            let now = clock::now();
            let open = store.recover_journal()?;
            if open > 0 {
                tracing::warn!(
                    actions = open,
                    "the last run was cut off; what it was doing is looked at again"
                );
            }
            store.mark_due(now)?;
            store.begin_run(&command, now)
        })
        .await?;
    Ok(Report::new(run, request))
}

async fn claim(engine: &Engine) -> Result<Lease, RunError> {
    let holder = format!("process {}", std::process::id());
    let claimed = engine
        .store
        .run(move |store| store.claim(&holder, clock::now()))
        .await;
    match claimed {
        Ok(Claim::Granted(lease)) => Ok(lease),
        Ok(Claim::Refused { holder, seen_at }) => Err(RunError::Leased { holder, seen_at }),
        // A holder in the middle of a long write cannot show itself; it is there all the same.
        Err(StoreError::Busy) => Err(RunError::Leased {
            holder: "a process that is writing to the state file".to_owned(),
            seen_at: clock::now(),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Shows, as long as the run goes on, that it does.
async fn beat(store: Store, lease: Lease) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let renewed = store
            .run(move |store| store.renew(lease, clock::now()))
            .await;
        if let Err(error) = renewed {
            tracing::error!(%error, "the lease could not be renewed");
        }
    }
}
