//! `rollbook history`: what happened, to whom, where and why.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::answer::open;
use super::sync::Format;
use super::{Exit, places};
use crate::category::{CategoryId, UpdateMethod, UserId};
use crate::clock;
use crate::plan::show::{decision_text, symbol};
use crate::shown::Shown;
use crate::store::Store;
use crate::store::history::members::Member;
use crate::store::history::{Asked, Chain, Head, Line};
use crate::store::journal::Outcome;
use crate::terminal;

/// Shows every action and refusal: when, by which run, through which group and binding, what was there
/// before, what Kaltura answered, and who had released it.
///
///   rollbook history --user ada
///   rollbook history --category BIO-101 --since 30d
///   rollbook history --category BIO-101 --on 2026-10-01    who was in it on that day, and why
///   rollbook history --verify                              is every line there, as it was written?
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Of this person (a user ID).
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Of this channel (a reference ID, a name or a number); may be given several times.
    #[arg(long, value_name = "CHANNEL")]
    category: Vec<String>,
    /// Of this run.
    #[arg(long, value_name = "RUN")]
    run: Option<i64>,
    /// Not older than this: a day (2026-10-01), a moment (2026-10-01T08:00:00Z), or a length of time
    /// (30d, 12h).
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Not younger than this, written like --since.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Instead of the lines, who was in the channels at the end of this day, as far as Rollbook wrote it down: what people
    /// did by hand may not show.
    #[arg(long, value_name = "DAY", requires = "category", conflicts_with_all = ["since", "until", "run"])]
    on: Option<Date>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Look whether any line was removed or changed. Whoever can write to the state file can write another history,
    /// too: give the head that the log has of a run (`history_head`), and it shows that nothing up to then is otherwise.
    #[arg(long, value_name = "HEAD", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["user", "category", "run", "since", "until", "on"])]
    verify: Option<String>,
}

pub(super) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<Exit> {
    let (_, store) = open(config)?;
    if let Some(known) = &arguments.verify {
        let known = (!known.is_empty()).then(|| known.parse::<Head>());
        let known = known.transpose().map_err(anyhow::Error::msg)?;
        return verify(&store, known.as_ref(), &mut terminal::stdout());
    }
    let asked = Asked {
        user: arguments.user.as_deref().map(UserId::new),
        categories: places::named(&store, &arguments.category)?,
        run: arguments.run,
        since: arguments.since.as_deref().map(moment).transpose()?,
        until: arguments.until.as_deref().map(moment).transpose()?,
    };
    if let Some(day) = arguments.on {
        return members(&store, &asked, day, arguments.format);
    }
    let out = &mut terminal::stdout();
    match arguments.format {
        Format::Text => {
            let mut any = false;
            store.history(&asked, |line| {
                any = true;
                text(&line, out).map_err(anyhow::Error::from)
            })?;
            if !any {
                writeln!(out, "Nothing is known of that.")?;
            }
        }
        Format::Json => store.history(&asked, |line| {
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out).map_err(anyhow::Error::from)
        })?,
        Format::Csv => csv(&store, &asked, out)?,
    }
    Ok(Exit::Done)
}

fn verify(store: &Store, known: Option<&Head>, out: &mut impl Write) -> anyhow::Result<Exit> {
    match store.verify_history(known)? {
        Chain::Whole { lines } => {
            writeln!(
                out,
                "The history is whole: {lines} lines, each as it was written."
            )?;
            match known {
                Some(known) => writeln!(
                    out,
                    "Up to line {} it is the one of that head.",
                    known.number
                )?,
                None => writeln!(
                    out,
                    "Whoever can write to the state file could have written all of it: compare it with a head from the log (--verify HEAD)."
                )?,
            }
            Ok(Exit::Done)
        }
        Chain::Pruned { up_to } => {
            writeln!(
                out,
                "Lines up to {up_to} were taken away as too old (state.history), that of this head among them: give a newer head."
            )?;
            Ok(Exit::Failed)
        }
        Chain::Broken { number } => {
            writeln!(
                out,
                "The history is broken at line {number}: that line, or the one before it, is not what was written."
            )?;
            Ok(Exit::Failed)
        }
        Chain::CutOff { last, was } => {
            writeln!(
                out,
                "The history is cut off: its last line is {last}, and there were lines up to {was}."
            )?;
            Ok(Exit::Failed)
        }
    }
}

/// A moment as people write it.
fn moment(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(day) = text.parse::<Date>() {
        return Ok(day.to_zoned(TimeZone::system())?.timestamp());
    }
    if let Ok(ago) = text.parse::<SignedDuration>() {
        return Ok(clock::now().checked_sub(ago)?);
    }
    if let Some(days) = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<i64>().ok())
    {
        return Ok(clock::now().checked_sub(SignedDuration::from_hours(24 * days))?);
    }
    bail!(
        "{text} is no time: write a day (2026-10-01), a moment (2026-10-01T08:00:00Z), or a length of time (30d, 12h)"
    )
}

fn end_of(day: Date) -> anyhow::Result<Timestamp> {
    let next = day.tomorrow().context("the day is out of range")?;
    let begins = next.to_zoned(TimeZone::system())?.timestamp();
    Ok(begins.checked_sub(SignedDuration::from_secs(1))?)
}

fn text(line: &Line, out: &mut impl Write) -> std::io::Result<()> {
    let channel = match &line.channel {
        Some(name) => Shown(name).to_string(),
        None => format!("channel {}", line.category),
    };
    let symbol = symbol(line.decision).unwrap_or(' ');
    let mut text = format!(
        "{}  run {}  {channel}  {symbol} {}  {}",
        line.at,
        line.run,
        line.user,
        decision_text(line.decision, line.cause)
    );
    if let Some(grant) = &line.why {
        let _ = write!(text, "  through {grant}");
        if grant.binding > 0 {
            let _ = write!(text, " (binding {})", grant.binding);
        }
    }
    if let Some(by) = &line.approved_by {
        let _ = write!(text, ", approved by {by}");
    }
    match (line.outcome, &line.answer) {
        (Outcome::Done | Outcome::Left, _) => writeln!(out, "{text}"),
        (Outcome::Already, _) => writeln!(out, "{text}: it was so already"),
        (outcome, Some(answer)) => {
            writeln!(out, "{text}  [{}: {}]", outcome.word(), Shown(answer))
        }
        (outcome, None) => writeln!(out, "{text}  [{}]", outcome.word()),
    }
}

fn csv(store: &Store, asked: &Asked, out: &mut impl Write) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([
        "line",
        "at",
        "run",
        "category_id",
        "channel",
        "user_id",
        "action",
        "before",
        "through",
        "binding",
        "approved_by",
        "outcome",
        "answer",
    ])?;
    store.history(asked, |line| {
        let before = line.before.as_ref();
        let before = before.map(|before| {
            let manual = before.method == UpdateMethod::Manual;
            let method = if manual { "manual" } else { "automatic" };
            format!("{} {method}", before.level)
        });
        writer.write_record([
            line.number.to_string(),
            line.at.to_string(),
            line.run.to_string(),
            line.category.to_string(),
            line.channel.unwrap_or_default(),
            line.user.as_str().to_owned(),
            decision_text(line.decision, line.cause),
            before.unwrap_or_default(),
            line.why
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            line.why
                .as_ref()
                .map(|why| why.binding.to_string())
                .unwrap_or_default(),
            line.approved_by.unwrap_or_default(),
            line.outcome.word().to_owned(),
            line.answer.unwrap_or_default(),
        ])?;
        anyhow::Ok(())
    })?;
    Ok(writer.flush()?)
}

/// A channel, and who was in it.
#[derive(Serialize)]
struct Channel {
    category: CategoryId,
    #[serde(rename = "channel")]
    name: Option<String>,
    members: Vec<Member>,
}

/// Whom a list of members names.
const COVERS: &str = "Listed is whom Rollbook added or changed, and whom it left alone, each as it was last written down. What people did by \
                      hand may not show: who was added by hand and is in no group, or was removed since.";

/// Says who was in these channels at the end of a day.
fn members(store: &Store, asked: &Asked, day: Date, format: Format) -> anyhow::Result<Exit> {
    let at = end_of(day)?;
    let there = store.members_at(asked, at)?;
    let known = store.categories()?;
    let name = |id| {
        let category = known.iter().find(|category| category.id == id);
        category.map(|category| category.name().to_owned())
    };
    let channels = there
        .members
        .into_iter()
        .map(|(category, members)| Channel {
            category,
            name: name(category),
            members,
        });
    let channels: Vec<Channel> = channels.collect();
    let out = &mut terminal::stdout();
    match format {
        Format::Json => {
            let told = serde_json::json!({
                "at": at,
                "complete_since": there.complete_since,
                "covers": COVERS,
                "channels": channels,
            });
            serde_json::to_writer_pretty(&mut *out, &told)?;
            writeln!(out)?;
        }
        Format::Csv => members_csv(&channels, out)?,
        Format::Text => members_text(&channels, out)?,
    }
    if format == Format::Text {
        writeln!(out, "{COVERS}")?;
    }
    if there.complete_since.is_none_or(|since| since > at) {
        let note = incomplete(day, there.complete_since);
        match format {
            Format::Text => writeln!(out, "{note}")?,
            // Not among what a program reads.
            Format::Json | Format::Csv => writeln!(terminal::stderr(), "{note}")?,
        }
    }
    Ok(Exit::Done)
}

fn incomplete(day: Date, complete_since: Option<Timestamp>) -> String {
    match complete_since {
        None => "The history is empty: nothing is known for sure.".to_owned(),
        Some(since) => format!(
            "The history is complete from {since} on: of {day}, only what is said here is known."
        ),
    }
}

fn members_text(channels: &[Channel], out: &mut impl Write) -> std::io::Result<()> {
    for channel in channels {
        let indent = if channels.len() > 1 {
            let id = channel.category;
            match &channel.name {
                Some(name) => writeln!(out, "{} (channel {id})", Shown(name))?,
                None => writeln!(out, "channel {id}")?,
            }
            "  "
        } else {
            ""
        };
        for one in &channel.members {
            let since = match one.since {
                Some(since) => format!("since {} (run {})", since.since, since.run),
                None => "since a day that is not known".to_owned(),
            };
            let (user, level) = (&one.user, one.level);
            writeln!(out, "{indent}{user}  {level} {since}, {}", why(one))?;
        }
        if channel.members.is_empty() {
            writeln!(out, "{indent}Nobody, as far as is known.")?;
        }
    }
    Ok(())
}

fn members_csv(channels: &[Channel], out: &mut impl Write) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let header = [
        "category_id",
        "channel",
        "user_id",
        "level",
        "since",
        "run",
        "why",
    ];
    writer.write_record(header)?;
    for channel in channels {
        for one in &channel.members {
            writer.write_record([
                channel.category.to_string(),
                channel.name.clone().unwrap_or_default(),
                one.user.as_str().to_owned(),
                one.level.to_string(),
                one.since
                    .map(|since| since.since.to_string())
                    .unwrap_or_default(),
                one.since
                    .map(|since| since.run.to_string())
                    .unwrap_or_default(),
                why(one),
            ])?;
        }
    }
    Ok(writer.flush()?)
}

fn why(member: &Member) -> String {
    match (&member.left_alone, &member.why) {
        (Some(objection), _) => objection.to_string(),
        (None, Some(grant)) => format!("through {grant}"),
        (None, None) => "the reason is not known".to_owned(),
    }
}
