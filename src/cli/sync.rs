//! `rollbook sync`: reconcile once.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Exit, engine};
use crate::apply::files::{Unfit, preview};
use crate::apply::route::Via;
use crate::category::UserId;
use crate::config;
use crate::directory::GroupId;
use crate::plan::show::{self, Counts, many};
use crate::plan::{Plan, gate::Trip};
use crate::reconcile::report::{ReadKind, ReadReport};
use crate::reconcile::{Engine, Looked, Report, Request, RunError, Task, Verdict, reconcile};
use crate::terminal;

/// More changes than this are summed up after they have been applied, not listed.
const MOST_LISTED: usize = 200;

/// Reads what changed in the directory, compares it with the channels, and applies the difference.
///
/// The first run reads everything; so does --full. What takes too much away is held until somebody
/// approves it. With --dry-run nothing is changed in Kaltura.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Show what would be done, and do none of it.
    #[arg(long)]
    dry_run: bool,
    /// Read and compare everything, not only what changed.
    #[arg(long)]
    full: bool,
    /// Look at this person only (a user ID); may be given several times.
    #[arg(long, value_name = "ID")]
    user: Vec<String>,
    /// Look at this group only (a group ID); may be given several times.
    #[arg(long, value_name = "ID")]
    group: Vec<String>,
    /// Look at this channel only (a reference ID, a name or a number); may be given several times.
    #[arg(long, value_name = "CHANNEL")]
    category: Vec<String>,
    /// How the changes reach Kaltura, instead of apply.via of the configuration: by direct calls, as CSV
    /// files which are submitted and followed, by whichever is faster, or as CSV files in a folder, for
    /// somebody to upload (then: rollbook settle DIR).
    #[arg(long, value_names = ["api|csv|auto|csv-file", "DIR"], num_args = 1..=2)]
    via: Vec<String>,
    /// How the plan is written to standard output.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Write the plan to a file as well, as JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// With --dry-run: exit with 5 when there is anything to do.
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
}

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// The report and the plan.
    Json,
    /// Comma-separated values; of a plan, the End-User Entitlements CSV that would be submitted.
    Csv,
}

impl Arguments {
    fn request(&self) -> anyhow::Result<Request> {
        Ok(Request {
            via: via(&self.via)?,
            command: self.command(),
            task: Task::Sync,
            full: self.full,
            dry_run: self.dry_run,
            users: self
                .user
                .iter()
                .map(|id| UserId::new(id.as_str()))
                .collect(),
            groups: self
                .group
                .iter()
                .map(|id| GroupId::new(id.as_str()))
                .collect(),
            categories: self.category.clone(),
        })
    }

    /// The command as `status` shows it.
    fn command(&self) -> String {
        let flags = [(self.dry_run, " --dry-run"), (self.full, " --full")];
        let flags = flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, flag)| (*flag).to_owned());
        let named = [
            ("user", &self.user),
            ("group", &self.group),
            ("category", &self.category),
        ];
        let named = named.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| format!(" --{name} {value}"))
        });
        let via = (!self.via.is_empty()).then(|| format!(" --via {}", self.via.join(" ")));
        "sync".to_owned() + &flags.chain(named).chain(via).collect::<String>()
    }
}

/// By which way the command line wants the changes to go.
fn via(words: &[String]) -> anyhow::Result<Option<Via>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(Some(match words.as_slice() {
        [] => return Ok(None),
        ["api"] => Via::Either(config::apply::Via::Api),
        ["csv"] => Via::Either(config::apply::Via::Csv),
        ["auto"] => Via::Either(config::apply::Via::Auto),
        ["csv-file", folder] => Via::Folder(PathBuf::from(folder)),
        ["csv-file"] => {
            return Err(
                RunError::Usage("--via csv-file wants a folder: --via csv-file DIR").into(),
            );
        }
        _ => {
            return Err(RunError::Usage(
                "--via wants one of api, csv, auto, or csv-file and a folder",
            )
            .into());
        }
    }))
}

pub(super) async fn run(config: &Path, arguments: Arguments) -> anyhow::Result<Exit> {
    let engine = engine::open(config)?;
    let report = reconcile(&engine, &arguments.request()?).await?;
    if let Some(path) = &arguments.out {
        write_plan(path, &report.plan)
            .with_context(|| format!("the plan could not be written to {}", path.display()))?;
    }
    let out = &mut terminal::stdout();
    let written = match arguments.format {
        Format::Text => text(&report, out),
        Format::Json => json(&report, out),
        Format::Csv => csv(&engine, &report, out),
    };
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return Err(error).context("the plan could not be written");
    }
    Ok(exit(&report, arguments.exit_code))
}

pub(super) fn exit(report: &Report, pending_counts: bool) -> Exit {
    match report.verdict() {
        Verdict::Partly => Exit::Partly,
        Verdict::Held => Exit::Held,
        Verdict::Done if pending_counts && !report.plan.is_empty() => Exit::Pending,
        Verdict::Done => Exit::Done,
    }
}

/// Writes what was read, planned and done, for people.
pub(super) fn text(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for read in &report.reads {
        writeln!(out, "{}", sentence(read, report.looked))?;
        doubts(read, out)?;
    }
    for finding in &report.findings {
        writeln!(out, "  ! {finding}")?;
    }
    writeln!(out)?;
    let parts = report.plan.categories.iter();
    let lines: usize = parts.map(|part| part.actions.len()).sum();
    let waits = !report.still_held.is_empty() || report.rejected != Counts::default();
    let is_open = report.unread > 0 || report.set_aside > 0 || waits;
    if report.plan.is_empty() && is_open {
        // What there is to do is not known, or waits: that is said below.
        show::parts(&report.plan, out)?;
    } else if report.dry_run || lines <= MOST_LISTED {
        show::text(&report.plan, out)?;
    } else {
        writeln!(
            out,
            "Plan {}: {}.",
            report.plan.digest().short(),
            report.planned
        )?;
    }
    outcome(report, out)
}

/// Writes what became of the plan.
pub(super) fn outcome(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    if report.dry_run {
        if let Some(routed) = &report.route {
            writeln!(out, "It would go {routed}.")?;
        }
        still_open(report, out)?;
        if !report.trips.is_empty() {
            let (held, why) = (report.would_hold, reasons(&report.trips));
            if held == report.planned {
                writeln!(out, "A run would hold it: {why}.")?;
            } else {
                writeln!(
                    out,
                    "A run would hold of it {held}, and do the rest: {why}."
                )?;
            }
        }
        rejected(report, out)?;
        still_held(report, out)?;
        return writeln!(out, "Nothing was changed: this was a dry run.");
    }
    if report.plan.is_empty() && report.plan.categories.is_empty() {
        match report.looked {
            _ if report.set_aside > 0 => {}
            Looked::Nowhere if report.is_proven() => writeln!(
                out,
                "Kaltura was not asked: nothing that concerns a channel has changed in the directory."
            )?,
            Looked::Nowhere => writeln!(
                out,
                "Kaltura was not asked: nothing that concerns a channel is known to have changed."
            )?,
            Looked::Somewhere => {}
            // Said below.
            Looked::Everywhere if report.unread > 0 || report.rejected != Counts::default() => {}
            Looked::Everywhere if !report.still_held.is_empty() => writeln!(
                out,
                "Every channel is as its groups say, but for what is held."
            )?,
            Looked::Everywhere if report.is_known() => {
                writeln!(out, "Every channel is as its groups say.")?;
            }
            Looked::Everywhere => writeln!(
                out,
                "Every channel has at least whom its groups grant it; what is not known in full is named above."
            )?,
        }
    }
    if report.applied.already > 0 {
        writeln!(
            out,
            "Needed no doing, because somebody else had done it: {}.",
            many(report.applied.already, "change")
        )?;
    }
    if report.applied.done > 0 {
        writeln!(out, "Done: {}.", many(report.applied.done, "change"))?;
    }
    if let Some(routed) = &report.route {
        writeln!(out, "It went {routed}.")?;
    }
    if report.applied.failed() > 0 {
        writeln!(
            out,
            "Not done: {}; {}.",
            many(report.applied.failed(), "change"),
            if report.is_undo {
                format!(
                    "an undo is not repeated by itself (rollbook history --run {})",
                    report.run
                )
            } else {
                "tried again by a later run (rollbook status)".to_owned()
            }
        )?;
    }
    rejected(report, out)?;
    still_open(report, out)?;
    still_held(report, out)?;
    if let Some(held) = &report.held {
        writeln!(
            out,
            "Held: {}, because {}.",
            held.counts,
            reasons(&report.trips)
        )?;
        let digest = held.digest.short();
        writeln!(out, "To look at it: rollbook show {digest}")?;
        writeln!(
            out,
            "To release exactly this plan: rollbook approve {digest}"
        )?;
    }
    Ok(())
}

/// Says what somebody has rejected.
fn rejected(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    if report.rejected == Counts::default() {
        return Ok(());
    }
    writeln!(
        out,
        "Left as it is, because somebody rejected it: {} (rollbook held).",
        report.rejected
    )
}

/// Says what could not be read, and what waits to be tried again.
fn still_open(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    if report.unread > 0 {
        writeln!(
            out,
            "Not read: {}; what is to be done there is not known. The next run looks again.",
            match report.unread {
                1 => "1 channel or membership".to_owned(),
                unread => format!("{unread} channels or memberships"),
            }
        )?;
    }
    if report.set_aside > 0 {
        writeln!(
            out,
            "Waiting to be tried again: {} (rollbook status).",
            many(report.set_aside, "membership")
        )?;
    }
    Ok(())
}

/// Says what waits of earlier runs.
fn still_held(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for held in &report.still_held {
        let digest = held.digest.short();
        writeln!(
            out,
            "Still held, since an earlier run: {}. To look at it: rollbook show {digest}",
            held.counts
        )?;
    }
    for waiting in &report.in_files {
        writeln!(out, "Waiting: {waiting}.")?;
    }
    Ok(())
}

fn reasons(trips: &[Trip]) -> String {
    const SHOWN: usize = 3;
    let mut reasons: Vec<String> = trips.iter().take(SHOWN).map(ToString::to_string).collect();
    if trips.len() > SHOWN {
        reasons.push(format!("and {} more", trips.len() - SHOWN));
    }
    reasons.join("; ")
}

fn sentence(read: &ReadReport, looked: Looked) -> String {
    let absorbed = &read.absorbed;
    let name = &read.directory;
    let entries = match read.entries {
        1 => "1 entry".to_owned(),
        number => format!("{number} entries"),
    };
    let unchanged = read.kind == ReadKind::Unchanged || read.is_without_effect();
    let mut text = match (read.kind, &read.unproven) {
        (ReadKind::Failed, _) => format!("Directory {name}: not read."),
        (ReadKind::Full, None) => format!("Directory {name}: read in full, {entries}"),
        (ReadKind::Full, Some(_)) => {
            format!("Directory {name}: not read in full, {entries} received")
        }
        _ if unchanged && looked == Looked::Everywhere => {
            format!("Directory {name}: as it was when last read.")
        }
        _ if unchanged => format!("Directory {name}: nothing has changed."),
        _ => format!("Directory {name}: read what changed, {entries}"),
    };
    if read.kind == ReadKind::Full || !(unchanged || read.failed) {
        let _ = write!(
            text,
            " ({} new, {} changed, {} gone).",
            absorbed.new, absorbed.changed, absorbed.gone
        );
    }
    if absorbed.unusable > 0 {
        let _ = write!(
            text,
            " {} cannot be used (rollbook status).",
            absorbed.unusable
        );
    }
    text
}

/// Writes what a read of a directory does not tell.
fn doubts(read: &ReadReport, out: &mut impl Write) -> std::io::Result<()> {
    if let Some(reason) = &read.unproven {
        writeln!(
            out,
            "  ! Not known in full: {reason}. Nobody loses access on its word."
        )?;
    }
    if read.unreadable_groups > 0 {
        writeln!(
            out,
            "  ! {} could not be read in full, and nobody is taken out of what could not (rollbook status).",
            many(read.unreadable_groups, "group")
        )?;
    }
    if read.absorbed.kept_enabled > 0 {
        writeln!(
            out,
            "  ! {} would be disabled at once, most of those there are: the account may have lost the right to read what directory.people.enabled asks for. They stay as they were. If it is right: rollbook state accept {}",
            many(read.absorbed.kept_enabled, "account"),
            read.directory
        )?;
    }
    if read.absorbed.collapsed > 0 {
        writeln!(
            out,
            "  ! {} lost all members at once, most of those there are: the account may have lost the right to read them. Their members are kept. If they are empty indeed: rollbook state accept {}",
            many(read.absorbed.collapsed, "group"),
            read.directory
        )?;
    }
    Ok(())
}

/// Writes what would be submitted, file after file; to the standard error, what would not.
fn csv(engine: &Engine, report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let csv = &engine.config.apply.csv;
    let unfit = preview(&report.approved, csv, &report.confusable, report.run, out)?;
    let aside = &mut terminal::stderr();
    for (category, user, reason) in unfit {
        writeln!(
            aside,
            "not in the file: channel {category}, {user}: {reason}"
        )?;
    }
    if report.approved.digest() != report.plan.digest() {
        writeln!(
            aside,
            "not in the file, because a run would hold it: {} of {}. Once it is held, rollbook show prints it (--format csv)",
            Counts::of(&report.plan.without(&report.approved)),
            report.planned
        )?;
    }
    still_held(report, aside)
}

/// Says on the standard error what does not fit into a file.
pub(super) fn tell_unfit(unfit: &[Unfit]) -> std::io::Result<()> {
    let aside = &mut terminal::stderr();
    unfit.iter().try_for_each(|(category, user, reason)| {
        writeln!(
            aside,
            "not in the file: channel {category}, {user}: {reason}"
        )
    })
}

fn json(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    #[derive(serde::Serialize)]
    struct Whole<'a> {
        report: &'a Report,
        digest: String,
        plan: &'a Plan,
    }
    let whole = Whole {
        report,
        digest: report.plan.digest().0,
        plan: &report.plan,
    };
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)
}

/// Writes the plan as a whole or not at all.
fn write_plan(path: &Path, plan: &Plan) -> anyhow::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    let mut writer = std::io::BufWriter::new(&mut file);
    serde_json::to_writer(&mut writer, plan)?;
    writer.flush()?;
    drop(writer);
    file.persist(path)?;
    Ok(())
}
