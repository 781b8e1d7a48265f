//! How a plan reads: as text grouped by channel, as CSV. (As JSON it is its own serde form.)
//!
//! *Its one idea: a plan is a document that somebody may refuse.* Symbols as infrastructure tools
//! use them: `+` add, `~` change, `-` remove, `⏸` deactivate, `!` refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::{self, Write};

use crate::category::{Status, UpdateMethod};
use crate::directory::Reason;
use crate::shown::Shown;

use super::category::{Action, Block, CategoryPlan, Cause, Grant};
use super::desired::Finding;
use super::gate::{First, Trip};
use super::membership::{Decision, Objection};
use super::{Digest, Plan};

/// Of entries with one user ID, so many are named.
const MOST_ENTRIES: usize = 5;

/// Of people refused for one and the same reason in one channel, so many are named.
const MOST_ALIKE: usize = 20;

/// How many there are of each kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// New members, those activated included.
    pub add: u64,
    /// Changed levels, and rows put in order.
    pub change: u64,
    /// Memberships taken away.
    pub remove: u64,
    /// Memberships deactivated.
    pub deactivate: u64,
    /// Refused, with a reason.
    pub refused: u64,
    /// Found as they should be, and noted as ours.
    pub adopt: u64,
}

impl Counts {
    /// Counts the actions of a plan.
    pub fn of(plan: &Plan) -> Self {
        let mut counts = Self::default();
        for action in plan.categories.iter().flat_map(|part| &part.actions) {
            *match action.decision {
                Decision::Restore { .. } if action.before.is_none() => &mut counts.add,
                Decision::Add { .. } | Decision::Activate { .. } => &mut counts.add,
                Decision::SetLevel { .. }
                | Decision::Replace { .. }
                | Decision::Merge { .. }
                | Decision::Restore { .. } => &mut counts.change,
                Decision::Remove { .. } | Decision::TakeBack => &mut counts.remove,
                Decision::Deactivate => &mut counts.deactivate,
                Decision::Skip(_) => &mut counts.refused,
                Decision::Adopt { .. } => &mut counts.adopt,
                Decision::Keep | Decision::Forget => continue,
            } += 1;
        }
        counts
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} to add, {} to change, {} to remove",
            self.add, self.change, self.remove
        )?;
        if self.deactivate > 0 {
            write!(f, ", {} to deactivate", self.deactivate)?;
        }
        if self.refused > 0 {
            write!(f, ", {} left alone", self.refused)?;
        }
        Ok(())
    }
}

/// Writes a plan for people: grouped by channel, and one line that sums it up.
pub fn text(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    parts(plan, out)?;
    let counts = Counts::of(plan);
    if plan.is_empty() {
        writeln!(out, "Nothing to do{}.", sum(&counts))
    } else {
        let channels = plan
            .categories
            .iter()
            .filter(|part| part.changes().next().is_some())
            .count();
        writeln!(
            out,
            "Plan {}: {counts}, in {}.",
            plan.digest().short(),
            many(channels, "channel")
        )
    }
}

/// Writes a plan for people, channel by channel, without a sum.
pub fn parts(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    plan.categories
        .iter()
        .try_for_each(|part| category(part, out))
}

fn sum(counts: &Counts) -> String {
    match counts.refused {
        0 => String::new(),
        refused => format!(": {} left alone", many(refused, "membership")),
    }
}

fn category(part: &CategoryPlan, out: &mut impl Write) -> io::Result<()> {
    let shown: Vec<&Action> = part
        .actions
        .iter()
        .filter(|action| symbol(action.decision).is_some())
        .collect();
    if shown.is_empty() && part.block.is_none() {
        return Ok(());
    }
    let reference = part.category.reference_id.as_ref();
    let reference = reference
        .map(|text| format!(" ({text})"))
        .unwrap_or_default();
    writeln!(
        out,
        "{}{reference}, {}",
        Shown(&part.category.name),
        many(part.members, "member")
    )?;
    if let Some(block) = &part.block {
        writeln!(out, "  ! {block}")?;
    }
    let width = shown
        .iter()
        .map(|action| action.user.as_str().len())
        .max()
        .unwrap_or(0)
        .min(40);
    let mut refused: BTreeMap<Objection, usize> = BTreeMap::new();
    for action in shown {
        if let Decision::Skip(objection) = action.decision {
            let count = refused.entry(objection).or_default();
            *count += 1;
            if *count > MOST_ALIKE {
                continue;
            }
        }
        let symbol = symbol(action.decision).unwrap_or(' ');
        let what = action.text();
        match &action.via {
            Some(grant) => writeln!(
                out,
                "  {symbol} {:width$}  {what:7}  through {grant}",
                action.user
            )?,
            None => writeln!(out, "  {symbol} {:width$}  {what}", action.user)?,
        }
    }
    for (objection, count) in refused.into_iter().filter(|(_, count)| *count > MOST_ALIKE) {
        writeln!(out, "  ! and {} more: {objection}", count - MOST_ALIKE)?;
    }
    writeln!(out)
}

/// The sign before a line of a plan: what it does, at a glance; none where nothing is to be said.
pub fn symbol(decision: Decision) -> Option<char> {
    match decision {
        Decision::Add { .. } | Decision::Activate { .. } => Some('+'),
        Decision::SetLevel { .. }
        | Decision::Replace { .. }
        | Decision::Merge { .. }
        | Decision::Restore { .. } => Some('~'),
        Decision::Remove { .. } | Decision::TakeBack => Some('-'),

        Decision::Deactivate => Some('⏸'),
        Decision::Skip(_) => Some('!'),
        Decision::Keep | Decision::Adopt { .. } | Decision::Forget => None,
    }
}

impl Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keep => f.write_str("as it should be"),
            Self::Adopt { level } => write!(f, "{level}, as it should be"),
            Self::Forget => f.write_str("gone"),
            Self::Add { level } => write!(f, "{level}"),
            Self::SetLevel { from, to } | Self::Replace { from, to } => write!(f, "{from} → {to}"),
            Self::Activate { from, to } if from == to => write!(f, "{to}, activated"),
            Self::Activate { from, to } => write!(f, "{from} → {to}, activated"),
            Self::Merge { surplus, to } => {
                write!(f, "{} too many, one {to} stays", many(*surplus, "row"))
            }
            Self::Remove { .. } => f.write_str("removed"),
            Self::Deactivate => f.write_str("deactivated"),
            Self::TakeBack => f.write_str("taken back"),
            Self::Restore {
                level,
                method,
                status,
            } => {
                write!(f, "{level} again")?;
                if *status == Status::NotActive {
                    f.write_str(", deactivated")?;
                }
                if *method == UpdateMethod::Manual {
                    f.write_str(", kept by hand")?;
                }
                Ok(())
            }
            Self::Skip(objection) => objection.fmt(f),
        }
    }
}

impl Display for Objection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Protected => f.write_str("protected by the configuration"),
            Self::OwnerProtected => f.write_str("owns the channel: never changed"),
            Self::InvalidUserId { problem } => write!(f, "not a user ID for Kaltura: {problem}"),
            Self::SharedUserId => f.write_str(
                "two people in the directory have this user ID or login (rollbook status)",
            ),
            Self::HandedOver => f.write_str("waits in a file (rollbook status)"),
            Self::ManualOverride => f.write_str("set by hand: left as it is"),
            Self::PerhapsRenamed => f.write_str(
                "perhaps renamed in Kaltura: a member is no user there any more, and another one at the same level is in no directory. Give the person one ID on both sides; if they are two people, remove the unknown one by hand",
            ),
            Self::NotOurs => f.write_str("not written by Rollbook: left as it is"),
            Self::RemovedByHand => f.write_str("removed by hand: not added again"),
            Self::DeactivatedByHand => f.write_str("deactivated by hand: left as it is"),
            Self::Unproven { reason } => write!(f, "kept: {reason}"),
            Self::CategoryFull => f.write_str("the channel is full"),
            Self::ChangedSince => f.write_str("changed since: left as it is"),
            Self::OutsideRoot => {
                f.write_str("the channel is not below kaltura.root any more: left as it is")
            }
            Self::NoWayBack => f.write_str("Kaltura offers no way back"),
        }
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AmbiguousReference { ids } => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "channels {} have one reference ID: nothing is done until only one has it",
                    ids.join(", ")
                )
            }
            Self::InheritsFrom { id } => write!(
                f,
                "it shows the members of category {id} and has none of its own: nothing is done"
            ),
            Self::NoSuchGroup { group } => write!(
                f,
                "its group {group} is not in the directory any more, or is hidden from the account: nobody loses anything (policy.vanished_group)"
            ),
            Self::AmbiguousGroup { group } => write!(
                f,
                "two groups have the ID {group}: nothing is done until only one has it"
            ),
            Self::UnprovenGroup { group, reasons } => write!(
                f,
                "not all members of {group} are known: nobody loses anything{}",
                because(reasons)
            ),
            Self::UnprovenRead { directory, reasons } => write!(
                f,
                "the directory{}{directory} is not known in full: nobody loses anything{}",
                if directory.is_empty() { "" } else { " " },
                because(reasons)
            ),
        }
    }
}

/// The reasons, each with what would resolve it.
fn because(reasons: &BTreeSet<Reason>) -> String {
    let reasons = reasons.iter();
    let reasons: Vec<String> = reasons
        .map(|reason| format!("{reason}; {}", reason.remedy()))
        .collect();
    if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", reasons.join("; "))
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotListed => "no group grants it",
            Self::Disabled => "the account is disabled in the directory",
            Self::LeftFilter => "the entry does not match directory.people.filter any more",
            Self::PersonGone => {
                "the entry is not found any more, though a group lists it (policy.vanished_person)"
            }
            Self::OtherId => "the person has another user ID now",
        })
    }
}

impl Action {
    /// What is done or refused, for people: as the decision says, with the cause where access goes.
    pub fn text(&self) -> String {
        decision_text(self.decision, self.cause)
    }
}

/// What a decision does, for people, with the cause where access goes.
pub fn decision_text(decision: Decision, cause: Cause) -> String {
    match decision {
        Decision::Remove { .. } => cause.to_string(),
        Decision::Deactivate => format!("{cause}: deactivated"),
        _ => decision.to_string(),
    }
}

/// Names the first of some entries, with their directories.
fn name_entries(entries: &[(String, String)], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    for (n, (directory, name)) in entries.iter().take(MOST_ENTRIES).enumerate() {
        let comma = if n > 0 { "; " } else { "" };
        write!(f, "{comma}{} in {directory}", Shown(name))?;
    }
    Ok(())
}

impl Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchCategory {
                group,
                reference,
                near: None,
            } => {
                write!(
                    f,
                    "group {group}: no category has the reference ID {}",
                    Shown(reference)
                )
            }
            Self::NoSuchCategory {
                group,
                reference,
                near: Some(near),
            } => write!(
                f,
                "group {group}: no category has the reference ID {}; one has {near}, which differs by case",
                Shown(reference)
            ),
            Self::SharedUserId { user, entries } => {
                write!(f, "user ID {user} is that of {} entries: ", entries.len())?;
                name_entries(entries, f)?;
                f.write_str(
                    ". Neither is managed until only one has it; if they are one person, set directory.people.join",
                )
            }
            Self::SharedLogin { login, entries } => {
                write!(
                    f,
                    "login {} is that of {} entries: ",
                    Shown(login),
                    entries.len()
                )?;
                name_entries(entries, f)?;
                f.write_str(
                    ". Whom a group means by it cannot be told: none of them is managed until only one has it",
                )
            }
            Self::Cycle { group } => {
                write!(f, "group {group} contains itself through other groups")
            }
            Self::TooDeep { group } => write!(
                f,
                "group {group}: groups in groups go deeper than directory.groups.depth; not all members are known"
            ),
        }
    }
}

impl Display for First {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Configuration => "it is the first plan of this configuration",
            Self::Copied => {
                "the state file was copied or restored, and does not know what has happened since \
                 (if the original is still in use on another machine, end one of the two)"
            }
            Self::Rebuilt => "it is the first plan of a state file that was made anew",
        })
    }
}

impl Display for Trip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FirstRun { because } => because.fmt(f),
            Self::Total { losses, of } => {
                write!(
                    f,
                    "{losses} of {of} memberships would be lost (safety.total)"
                )
            }
            Self::Channels { channels, of } => write!(
                f,
                "{channels} of {of} channels would lose a great share of their members (safety.channels)"
            ),
            Self::VanishedPeople { losses, of } => write!(
                f,
                "{losses} of {of} memberships would be lost by people whose entries are gone or hidden, while groups list them (safety.vanished_people)"
            ),
            Self::Demotions { demotions, of } => write!(
                f,
                "{demotions} of {of} memberships would get a lower level (safety.demotions)"
            ),
            Self::TotalAdditions { additions, of } => write!(
                f,
                "{additions} would be added to {of} memberships (safety.total_additions)"
            ),
            Self::Category { name, losses, of } => write!(
                f,
                "{}: {losses} of {of} memberships would be lost (safety.category)",
                Shown(name)
            ),
            Self::CategoryAdditions {
                name,
                additions,
                of,
            } => write!(
                f,
                "{}: {additions} would be added to {of} memberships (safety.category_additions)",
                Shown(name)
            ),
            Self::LeftEmpty { name, of } => write!(
                f,
                "{}: nobody of {of} would be left but the owner (safety.left_empty)",
                Shown(name)
            ),
            Self::LastManager { name } => {
                write!(
                    f,
                    "{}: no manager would be left (safety.last_manager)",
                    Shown(name)
                )
            }
            Self::Exchanged { name, of } => write!(
                f,
                "{}: all of {of} members would leave, and others come (safety.left_empty)",
                Shown(name)
            ),
            Self::FirstOfChannel { name, losses, of } => write!(
                f,
                "{}: the channel is new, and {losses} of {of} memberships would be lost",
                Shown(name)
            ),
            Self::StillHeld { name, people } => write!(
                f,
                "{}: what it would do to {} is held already",
                Shown(name),
                people_of(*people)
            ),
            Self::Undone { name, people } => write!(
                f,
                "{}: it would do to {} what was undone or rejected",
                Shown(name),
                people_of(*people)
            ),
        }
    }
}

impl Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.group.fmt(f)?;
        self.through
            .iter()
            .try_for_each(|inner| write!(f, " > {inner}"))
    }
}

impl Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

fn people_of(number: u64) -> String {
    match number {
        1 => "1 person".to_owned(),
        _ => format!("{number} people"),
    }
}

/// A number and a noun: `1 channel`, `2 channels`.
pub fn many(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into() {
        Ok(1) => format!("1 {noun}"),
        Ok(number) => format!("{number} {noun}s"),
        Err(_) => format!("many {noun}s"),
    }
}

#[cfg(test)]
mod tests;
