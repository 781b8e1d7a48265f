//! `rollbook check`: is all in place, and if not, what mends it.

use std::io::Write;
use std::path::Path;

use super::{Exit, engine};
use crate::config::apply::Via;
use crate::kaltura::Standing;
use crate::plan::show::many;
use crate::reconcile::Engine;
use crate::shown::Shown;
use crate::source::{CheckReport, Sample};
use crate::terminal;

/// Reads the configuration, asks the directories for a few entries and Kaltura for its rights, and
/// says what is not as it should be and what mends it. Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) async fn run(config: &Path, _: &Arguments) -> anyhow::Result<Exit> {
    let engine = engine::open(config)?;
    let out = &mut terminal::stdout();
    writeln!(out, "✓ configuration {}", config.display())?;
    writeln!(out, "✓ state file {}", engine.store.path().display())?;
    let directories = directories(&engine, out).await?;
    let kaltura = kaltura(&engine, out).await?;
    Ok(if directories && kaltura {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn directories(engine: &Engine, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut good = true;
    for source in engine.sources.iter() {
        match source.check().await {
            Ok(report) => good &= directory(source.name(), &report, out)?,
            Err(error) => {
                good = false;
                writeln!(out, "✗ directory {}: {error}", source.name())?;
            }
        }
    }
    Ok(good)
}

fn directory(name: &str, report: &CheckReport, out: &mut impl Write) -> anyhow::Result<bool> {
    match &report.server {
        Some(server) => {
            let who = server.bound_as.as_deref().unwrap_or("nobody in particular");
            writeln!(
                out,
                "✓ directory {name}: {} at {}, which takes us for {who}",
                server.kind, report.place
            )?;
            if !server.private {
                writeln!(
                    out,
                    "  ! the connection is not encrypted: use ldaps:// or starttls = true"
                )?;
            }
        }
        None => writeln!(out, "✓ directory {name}: {}", report.place)?,
    }
    let people = sample("person", "people", &report.people, out)?;
    let groups = sample("group", "groups", &report.groups, out)?;
    if groups && report.groups.with_members == 0 {
        writeln!(
            out,
            "  ! none of these groups has a member. Is directory.groups.members the right attribute, and may this account read it?"
        )?;
    }
    Ok(people && groups)
}

fn sample(one: &str, several: &str, sample: &Sample, out: &mut impl Write) -> anyhow::Result<bool> {
    let noun = if sample.looked_at == 1 { one } else { several };
    let more = if sample.more {
        ", and there are more"
    } else {
        ""
    };
    let mark = if sample.usable > 0 { '✓' } else { '✗' };
    writeln!(
        out,
        "  {mark} {} of {} {noun} looked at can be used{more}",
        sample.usable, sample.looked_at
    )?;
    if sample.looked_at == 0 {
        writeln!(
            out,
            "    look at directory.{several}.base and .filter, and at the rights of the account"
        )?;
    }
    if sample.stamped < sample.looked_at {
        writeln!(
            out,
            "    ! {} without a time stamp: changes of these are only found by a full read",
            many(sample.looked_at - sample.stamped, "entry").replace("entrys", "entries")
        )?;
    }
    for problem in &sample.problems {
        writeln!(out, "    ! {}: {}", Shown(&problem.dn), problem.problem)?;
    }
    Ok(sample.usable > 0)
}

async fn kaltura(engine: &Engine, out: &mut impl Write) -> anyhow::Result<bool> {
    let config = &engine.config.kaltura;
    let standing = match engine.kaltura.check().await {
        Ok(standing) => standing,
        Err(error) => {
            writeln!(out, "✗ Kaltura at {}: {error}", config.url)?;
            return Ok(false);
        }
    };
    writeln!(
        out,
        "✓ Kaltura at {}, account {}",
        config.url, config.partner_id
    )?;
    if let Some((_, source)) = config.proxy_used() {
        writeln!(out, "  through the proxy of {source}")?;
    }
    let via = engine.config.apply.via;
    rights(&standing, via, out)?;
    let is_enough = standing.missing.is_empty() && (via == Via::Api || standing.uploads);
    if let Some(root) = &config.root {
        let categories = engine.kaltura.categories(Some(root), None).await?;
        let named = categories
            .iter()
            .filter(|category| category.reference_id.is_some())
            .count();
        let mark = if named > 0 { '✓' } else { '✗' };
        writeln!(
            out,
            "  {mark} {} below {root}, {named} with a reference ID",
            many(categories.len(), "channel")
        )?;
        return Ok(is_enough && named > 0);
    }
    Ok(is_enough)
}

fn rights(standing: &Standing, via: Via, out: &mut impl Write) -> anyhow::Result<()> {
    if !standing.missing.is_empty() {
        writeln!(
            out,
            "  ✗ the session lacks {}: add them to the role of the app token or user",
            standing.missing.join(", ")
        )?;
    }
    if via != Via::Api && !standing.uploads {
        writeln!(
            out,
            "  ✗ the session lacks CONTENT_INGEST_BULK_UPLOAD, which CSV files need (apply.via): add it to the role, or go by calls"
        )?;
    }
    if standing.full_administrator {
        writeln!(
            out,
            "  ! the session may do everything in the account. An app token with a role that has only CONTENT_MANAGE_ASSIGN_CATEGORIES and ADMIN_BASE is enough"
        )?;
    } else if !standing.dangerous.is_empty() {
        writeln!(
            out,
            "  ! the session may do more than it needs: {}",
            standing.dangerous.join(", ")
        )?;
    }
    Ok(())
}
