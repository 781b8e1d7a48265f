//! `rollbook run`: the service.

use std::path::Path;

use super::{Exit, engine};
use crate::daemon;
use crate::progress::Progress;

/// Runs by the schedule of the configuration, until it is told to stop (SIGTERM, Ctrl-C). A run that is
/// going on is finished first.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) async fn run(config: &Path, _: &Arguments) -> anyhow::Result<Exit> {
    let mut engine = engine::open(config)?;
    engine.progress = Progress::default();
    daemon::serve(&engine).await?;
    Ok(Exit::Done)
}
