//! Rollbook as a service: cron pokes, one loop runs.
//!
//! *Its one idea: a trigger only pokes.* The scheduler knows nothing of overlapping runs; here there is
//! nothing to overlap, because all triggers set one flag and one loop looks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::config::Schedule;
use crate::reconcile::{Engine, Request, RunError, reconcile};
use crate::store::StoreError;

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// An expression of the schedule is not understood.
    #[error("{key} = {expression:?} is no schedule: {source}")]
    Schedule {
        /// The key.
        key: &'static str,
        /// Its value.
        expression: String,
        /// What the scheduler says.
        source: JobSchedulerError,
    },
    /// The scheduler does not run.
    #[error("the scheduler does not start: {0}")]
    Scheduler(#[from] JobSchedulerError),
    /// The state file is not the one that the service has open.
    #[error("{0}")]
    StateFile(StoreError),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(#[from] std::io::Error),
}

/// What there is to do, as the triggers say it.
#[derive(Debug, Default)]
struct Pokes {
    wake: Notify,
    full: AtomicBool,
}

impl Pokes {
    fn poke(&self, full: bool) {
        self.full.fetch_or(full, Ordering::Relaxed);
        self.wake.notify_one();
    }

    async fn next(&self) -> Request {
        self.wake.notified().await;
        let full = self.full.swap(false, Ordering::Relaxed);
        let command = if full { "run (full)" } else { "run" };
        Request {
            command: command.to_owned(),
            full,
            ..Request::default()
        }
    }
}

/// Runs by the schedule until the process is told to stop; a run that is going on is finished first.
/// A failed run is logged; the next one tries again.
pub async fn serve(engine: &Engine) -> Result<(), DaemonError> {
    let pokes = Arc::new(Pokes::default());
    let mut scheduler = schedule(&engine.config.schedule, &pokes).await?;
    scheduler.start().await?;
    let stop = stop_signal()?;
    tokio::pin!(stop);
    // Outside systemd there is nobody to notify, which is as well.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    pokes.poke(false);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            request = pokes.next() => once(engine, &request).await?,
        }
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    scheduler.shutdown().await?;
    Ok(())
}

async fn once(engine: &Engine, request: &Request) -> Result<(), DaemonError> {
    match reconcile(engine, request).await {
        Ok(report) => {
            let counts = report.planned;
            if let Some(held) = &report.held {
                let digest = held.digest.short();
                tracing::warn!(
                    digest,
                    "a plan is held; release it with: rollbook approve {digest}"
                );
            }
            tracing::info!(
                run = report.run,
                outcome = %report.verdict(),
                add = counts.add,
                change = counts.change,
                remove = counts.remove,
                done = report.applied.done,
                failed = report.applied.failed(),
                kaltura_requests = report.traffic.requests,
                "run ended"
            );
            let status = format!("last run {}: {}", report.run, report.verdict());
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
        }
        Err(RunError::Leased { holder, .. }) => {
            tracing::warn!(holder, "another run is going on; this one is left out");
        }
        // All that it would do, hold and note would be in a file that nobody looks at.
        Err(RunError::Store(error @ StoreError::Replaced { .. })) => {
            return Err(DaemonError::StateFile(error));
        }
        Err(error) => tracing::error!(%error, "run failed; the next one tries again"),
    }
    Ok(())
}

async fn schedule(schedule: &Schedule, pokes: &Arc<Pokes>) -> Result<JobScheduler, DaemonError> {
    let scheduler = JobScheduler::new().await?;
    let entries = [
        ("schedule.incremental", &schedule.incremental, false),
        ("schedule.full", &schedule.full, true),
    ];
    for (key, expression, full) in entries {
        let pokes = Arc::clone(pokes);
        // The scheduler counts seconds first; the configuration has the five fields that people know.
        let job = Job::new_tz(
            format!("0 {expression}").as_str(),
            chrono::Local,
            move |_, _| pokes.poke(full),
        );
        let job = job.map_err(|source| DaemonError::Schedule {
            key,
            expression: expression.clone(),
            source,
        })?;
        scheduler.add(job).await?;
    }
    Ok(scheduler)
}

/// Completes when the process is told to stop.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
