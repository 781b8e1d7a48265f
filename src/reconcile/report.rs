//! What a run says about itself. The log line, the exit code and what `status` shows are views of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Request, Task};
use crate::apply::Applied;
use crate::apply::route::Estimate;
use crate::category::CategoryId;
use crate::directory::{Evidence, Reason};
use crate::kaltura;
use crate::plan::category::Block;
use crate::plan::desired::Finding;
use crate::plan::gate::{Review, Trip};
use crate::plan::membership::{Decision, Last};
use crate::plan::show::Counts;
use crate::plan::{Action, CategoryPlan, Digest, Plan};
use crate::store::files::Waiting;
use crate::store::ledger::Entry;
use crate::store::mirror::Absorbed;

/// A run's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The run's number.
    pub run: i64,
    /// Whether it only planned.
    pub dry_run: bool,
    /// Whether it took back what an earlier run did: then no later run tries again what failed.
    pub is_undo: bool,
    /// What was read of each directory.
    pub reads: Vec<ReadReport>,
    /// What a person should know about groups and channels that do not find each other.
    pub findings: Vec<Finding>,
    /// What was planned, in numbers.
    pub planned: Counts,
    /// What tripped the gate.
    pub trips: Vec<Trip>,
    /// The plan that waits for a person.
    pub held: Option<Held>,
    /// What a person has rejected, and is left as it is.
    pub rejected: Counts,
    /// How much was looked at in Kaltura.
    pub looked: Looked,
    /// Plans of earlier runs that still wait for a person.
    pub still_held: Vec<Held>,
    /// Whether it looked at all that had changed, so that what waits counts for how it ended.
    #[serde(skip)]
    is_sync: bool,
    /// What became of the approved part.
    pub applied: Applied,
    /// By which way it went, where there was a choice.
    pub route: Option<Routed>,
    /// What waits in files, of this run and earlier ones.
    pub in_files: Vec<Waiting>,
    /// Why people keep access that no group is known to grant, or why a channel may lose nobody, with how many
    /// people or channels that concerns.
    pub unproven: BTreeMap<Reason, u64>,
    /// Channels and single memberships that could not be read; a later run looks at them again.
    pub unread: u64,
    /// What of the plan the gate holds, or would hold.
    #[serde(skip)]
    pub would_hold: Counts,
    /// Memberships that wait to be tried again, or to be looked at again.
    #[serde(default)]
    pub set_aside: u64,
    /// What was asked of Kaltura.
    pub traffic: Traffic,
    /// The whole plan.
    #[serde(skip)]
    pub plan: Plan,
    /// What of it the gate has let through.
    #[serde(skip)]
    pub approved: Plan,
    /// Channels that CSV files must not name by reference ID.
    #[serde(skip)]
    pub confusable: BTreeSet<CategoryId>,
}

/// How much of Kaltura a run has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Looked {
    /// Nothing.
    #[default]
    Nowhere,
    /// Where something had changed, or was asked about.
    Somewhere,
    /// Every bound channel.
    Everywhere,
}

/// A plan that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The name by which it is approved.
    pub digest: Digest,
    /// What it would do.
    pub counts: Counts,
}

/// By which way a plan went, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Routed {
    /// Whether it went by CSV files.
    pub by_files: bool,
    /// How long either way would take.
    pub estimate: Estimate,
}

impl fmt::Display for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.by_files {
            "CSV files"
        } else {
            "direct calls"
        };
        write!(f, "by {way}: {}", self.estimate)
    }
}

/// Requests and calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// HTTP requests.
    pub requests: u64,
    /// Calls in them.
    pub calls: u64,
}

impl From<kaltura::Traffic> for Traffic {
    fn from(traffic: kaltura::Traffic) -> Self {
        Self {
            requests: traffic.requests,
            calls: traffic.calls,
        }
    }
}

impl std::ops::Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            calls: self.calls - earlier.calls,
        }
    }
}

/// What was read of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadReport {
    /// Its name.
    pub directory: String,
    /// How much was asked for.
    pub kind: ReadKind,
    /// Why it proves nothing, where it does not.
    pub unproven: Option<String>,
    /// How much is known of the directory after it.
    pub evidence: Evidence,
    /// Whether nothing of it could be read.
    pub failed: bool,
    /// Departures that were seen a second time, and are proven.
    pub departures: u64,
    /// Groups that could not be read in full, in this read or an earlier one.
    pub unreadable_groups: u64,
    /// Entries received.
    pub entries: u64,
    /// What that changed in the mirror.
    pub absorbed: Absorbed,
}

impl ReadReport {
    /// Whether the mirror is as it was before.
    pub fn is_without_effect(&self) -> bool {
        let Absorbed {
            new,
            changed,
            gone,
            unusable,
            ..
        } = self.absorbed;
        new + changed + gone + unusable == 0 && self.unproven.is_none()
    }

    /// Adds a further read of the same directory.
    pub(super) fn and(self, further: Self) -> Self {
        Self {
            unproven: self.unproven.or(further.unproven),
            evidence: self.evidence.and(further.evidence),
            entries: self.entries + further.entries,
            absorbed: self.absorbed.and(further.absorbed),
            ..self
        }
    }

    pub(super) fn new(directory: &str, kind: ReadKind) -> Self {
        Self {
            directory: directory.to_owned(),
            kind,
            unproven: None,
            evidence: Evidence::Known,
            failed: false,
            departures: 0,
            unreadable_groups: 0,
            entries: 0,
            absorbed: Absorbed::default(),
        }
    }

    /// A directory of which nothing could be read.
    pub(super) fn failed(directory: &str, reason: Reason, why: String) -> Self {
        Self {
            unproven: Some(why),
            evidence: Evidence::unknown(reason),
            failed: true,
            ..Self::new(directory, ReadKind::Failed)
        }
    }

    /// Notes that nobody may lose anything by it.
    pub(super) fn note_unproven(&mut self, reason: Reason, why: String) {
        self.evidence.lacks(reason);
        self.unproven.get_or_insert(why);
    }
}

/// How much of a directory was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadKind {
    /// Everything.
    Full,
    /// What had changed.
    Changes,
    /// Nothing had changed.
    Unchanged,
    /// Nothing could be read.
    Failed,
}

impl fmt::Display for ReadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "full",
            Self::Changes => "changes",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        })
    }
}

/// How a run ended, in one word: what the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done, or nothing to do.
    Done,
    /// Done, but some actions failed, or the directory's answer was not complete.
    Partly,
    /// Something waits for a person.
    Held,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::Partly => "partly done",
            Self::Held => "held",
        })
    }
}

impl Report {
    pub(super) fn new(run: i64, request: &Request) -> Self {
        Self {
            run,
            dry_run: request.dry_run,
            is_undo: matches!(request.task, Task::Undo { .. }),
            reads: Vec::new(),
            findings: Vec::new(),
            planned: Counts::default(),
            trips: Vec::new(),
            held: None,
            rejected: Counts::default(),
            looked: Looked::default(),
            still_held: Vec::new(),
            is_sync: request.task == Task::Sync && !request.is_narrow(),
            applied: Applied::default(),
            route: None,
            in_files: Vec::new(),
            set_aside: 0,
            would_hold: Counts::default(),
            unproven: BTreeMap::new(),
            unread: 0,
            traffic: Traffic::default(),
            plan: Plan::default(),
            approved: Plan::default(),
            confusable: BTreeSet::new(),
        }
    }

    /// Whether every directory's answer was complete.
    pub fn is_proven(&self) -> bool {
        self.reads.iter().all(|read| read.unproven.is_none())
    }

    /// Whether every directory was read as a whole or for what changed, every group and channel that was
    /// looked at is known in full, and nobody keeps access for want of evidence.
    pub fn is_known(&self) -> bool {
        let is_readable = self.reads.iter().all(|read| read.unreadable_groups == 0);
        self.is_proven() && is_readable && self.unproven.is_empty() && self.unread == 0
    }

    /// How the run ended. An answer that is not complete is said first: all else rests on it. Whatever still waits
    /// for a person counts for a run that looks at everything that has changed.
    pub fn verdict(&self) -> Verdict {
        if !self.is_proven() {
            Verdict::Partly
        } else if self.held.is_some() || (self.is_sync && !self.still_held.is_empty()) {
            Verdict::Held
        } else if self.applied.failed() + self.unread > 0
            || self.awaits_a_job()
            || self.unproven.keys().any(|reason| reason.is_of_the_read())
            || self.reads.iter().any(|read| read.unreadable_groups > 0)
        {
            Verdict::Partly
        } else {
            Verdict::Done
        }
    }

    /// Whether nobody knows yet what became of a file that was submitted.
    fn awaits_a_job(&self) -> bool {
        self.in_files.iter().any(|waiting| waiting.folder.is_none())
    }

    pub(super) fn note_plan(&mut self, review: &Review) {
        let approved = review.approved.plan().categories.iter();
        let waiting = review.held.categories.iter();
        self.rejected = Counts::of(&review.rejected);
        self.would_hold = Counts::of(&review.held);
        self.approved = review.approved.plan().clone();
        self.plan = Plan::new(approved.chain(waiting).cloned());
        self.planned = Counts::of(&self.plan);
        for part in &self.plan.categories {
            let of_the_directory = |block: &&Block| {
                matches!(
                    block,
                    Block::NoSuchGroup { .. }
                        | Block::UnprovenGroup { .. }
                        | Block::UnprovenRead { .. }
                )
            };
            let evidence = part.block.as_ref().filter(of_the_directory);
            let evidence = evidence.map(Block::evidence);
            for reason in evidence.iter().flat_map(Evidence::reasons) {
                *self.unproven.entry(*reason).or_default() += 1;
            }
            let kept = part.actions.iter().filter_map(Action::lacks_evidence);
            for reason in kept.filter(|_| part.block.is_none()) {
                *self.unproven.entry(reason).or_default() += 1;
            }
        }
    }

    /// What is kept of the report.
    pub(super) fn record(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// What the ledger learns of a category without a call.
pub(super) fn ledger_entries(part: &CategoryPlan) -> impl Iterator<Item = Entry> {
    part.actions.iter().filter_map(|action| {
        let last = match action.decision {
            Decision::Adopt { level } => Some(Last::Active(level)),
            Decision::Forget => None,
            _ => return None,
        };
        Some(Entry {
            category: part.category.id,
            user: action.user.clone(),
            last,
            via: action.via.as_ref().map(|grant| grant.group.clone()),
        })
    })
}
