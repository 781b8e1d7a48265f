//! `rollbook undo`: take back what a run did.

use std::path::Path;

use super::{Exit, engine, places, sync};
use crate::category::UserId;
use crate::plan::show;
use crate::reconcile::{Request, Task, reconcile};
use crate::terminal;

/// Takes back what an earlier run did: who was added goes, who was removed comes back with the former
/// level and method, levels go back, deactivated memberships are activated. What anybody has changed
/// since is listed, and left alone. The gate looks at it like at any plan.
///
/// The directory still says what it said: the next run would do the same again. It is held instead, until
/// somebody approves it, or directory and channel agree.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The run's number, as `rollbook status` and `rollbook history` show it.
    run: i64,
    /// Only in this channel (a reference ID, a name or a number); may be given several times.
    #[arg(long, value_name = "CHANNEL")]
    category: Vec<String>,
    /// Only for this person (a user ID); may be given several times.
    #[arg(long, value_name = "ID")]
    user: Vec<String>,
    /// Show what would be done, and do none of it.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let engine = engine::open(config)?;
    let channels = places::named(&engine.store, &arguments.category)?;
    let users = arguments.user.iter().map(|id| UserId::new(id.as_str()));
    let task = Task::Undo {
        run: arguments.run,
        users: users.collect(),
        categories: channels.into_iter().collect(),
    };
    let request = Request {
        command: if arguments.dry_run {
            format!("{} --dry-run", task.command())
        } else {
            task.command()
        },
        task,
        dry_run: arguments.dry_run,
        ..Request::default()
    };
    let report = reconcile(&engine, &request).await?;
    let out = &mut terminal::stdout();
    show::text(&report.plan, out)?;
    sync::outcome(&report, out)?;
    Ok(sync::exit(&report, false))
}
