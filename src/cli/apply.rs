//! `rollbook apply`: do what a saved plan says.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::{Exit, engine, sync};
use crate::plan::Plan;
use crate::plan::saved::named_twice;
use crate::reconcile::{Request, Task, reconcile};
use crate::shown::Shown;
use crate::terminal;

/// Applies a plan that `rollbook sync --dry-run --out FILE` has saved and somebody has reviewed. Where
/// directory or Kaltura have moved for any of its people, nothing is done and the difference is shown. The
/// gate looks at it like at any plan.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The saved plan.
    file: PathBuf,
}

pub(super) async fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let name = arguments.file.display().to_string();
    let plan = read(&arguments.file).with_context(|| {
        format!("{name} is not a plan: save one with rollbook sync --dry-run --out FILE")
    })?;
    if let Some((channel, user)) = named_twice(&plan) {
        bail!(
            "{name} has two changes for {user} in channel {}: it is not as it was saved. Nothing was done",
            Shown(channel)
        );
    }
    let engine = engine::open(config)?;
    let task = Task::Apply {
        file: name,
        plan: Arc::new(plan),
    };
    let request = Request {
        command: task.command(),
        task,
        ..Request::default()
    };
    let report = reconcile(&engine, &request).await?;
    let out = &mut terminal::stdout();
    sync::text(&report, out)?;
    Ok(sync::exit(&report, false))
}

fn read(file: &Path) -> anyhow::Result<Plan> {
    let file = File::open(file)?;
    Ok(serde_json::from_reader(BufReader::new(file))?)
}
