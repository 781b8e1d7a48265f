//! The way of the observations out of the reading thread.

use tokio::runtime::Handle;

use super::super::SourceError;
use super::super::outbox::Outbox;
use crate::directory::{Observation, Reason};

/// The way out for a thread that may block.
pub(super) struct Sink<'a> {
    out: Outbox<'a>,
    runtime: Handle,
}

impl<'a> Sink<'a> {
    pub(super) fn new(out: Outbox<'a>, runtime: Handle) -> Self {
        Self { out, runtime }
    }

    /// Sends an observation, or keeps it for the next batch.
    pub(super) fn push(&mut self, observation: Observation) -> Result<(), SourceError> {
        self.runtime.block_on(self.out.push(observation))
    }

    /// Sends what is left.
    pub(super) fn flush(&mut self) -> Result<(), SourceError> {
        self.runtime.block_on(self.out.flush())
    }

    /// What has been sent.
    pub(super) fn sent(&self) -> &Outbox<'a> {
        &self.out
    }

    /// How many of those sent were of entries that could be identified.
    pub(super) fn identified(&self) -> u64 {
        self.out.identified()
    }
}

/// Takes from the observations of one entry what could take anybody's access away: a file with a flaw may add, and
/// never removes.
pub(super) fn withhold_removals(observations: &mut Vec<Observation>) {
    match observations.first_mut() {
        Some(Observation::Group(group, _)) => group.evidence.lacks(Reason::ReadIncomplete),
        Some(Observation::Person(person, _)) if !person.enabled => observations.clear(),
        Some(Observation::Left(..)) => observations.clear(),
        _ => {}
    }
}
