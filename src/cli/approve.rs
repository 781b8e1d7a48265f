//! `rollbook approve`: release a held plan.

use std::io::Write;
use std::path::Path;

use anyhow::bail;

use super::Exit;
use crate::clock;
use crate::config::Config;
use crate::plan::show::many;
use crate::store::Store;
use crate::store::held::Approval;

/// Releases exactly the plan that was shown, once. Where it is no longer the same, a channel is held
/// anew. The next run applies what is released: `rollbook sync`, or the service within minutes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plan's digest, as `sync` and `status` show it; its first digits are enough.
    digest: String,
    /// Who approves, for the record. Default: the user who runs the command.
    #[arg(long, env = "USER", default_value = "somebody")]
    by: String,
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let store = Store::open(&Config::load(config)?.config.state.path)?;
    if arguments.digest.len() < 6 {
        bail!("give at least six digits of the digest");
    }
    match store.approve(&arguments.digest, &arguments.by, clock::now())? {
        Approval::Given(held, channels) => {
            writeln!(
                std::io::stdout(),
                "Approved plan {}: {}, in {}.\nThe next run applies it: rollbook sync",
                held.digest.short(),
                held.counts,
                many(channels, "channel")
            )?;
            Ok(Exit::Done)
        }
        Approval::NoSuchPlan => bail!(
            "no plan that begins with {} is held. `rollbook status` lists what is held",
            arguments.digest
        ),
        Approval::Ambiguous => bail!(
            "several held plans begin with {}: give more digits (`rollbook status` lists them)",
            arguments.digest
        ),
    }
}
