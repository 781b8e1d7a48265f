//! Observations on their way out, in batches.

use super::{Observations, SourceError};
use crate::directory::Observation;

/// Observations in one batch.
const BATCH: usize = 500;

/// Member values in one batch: a few huge groups are a batch too.
const BATCH_MEMBERS: usize = 20_000;

/// Gathers observations and sends them in batches; waits while the mirror is busy.
pub(super) struct Outbox<'a> {
    out: &'a Observations,
    batch: Vec<Observation>,
    members: usize,
    identified: u64,
    /// Groups so far, and whether any of them has a member.
    groups: u64,
    has_members: bool,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(out: &'a Observations) -> Self {
        Self {
            out,
            batch: Vec::with_capacity(BATCH),
            members: 0,
            identified: 0,
            groups: 0,
            has_members: false,
        }
    }

    /// Takes one observation.
    pub(super) async fn push(&mut self, observation: Observation) -> Result<(), SourceError> {
        if let Observation::Group(group, _) = &observation {
            self.members += group.members.len();
            self.groups += 1;
            self.has_members |= !group.members.is_empty();
        }
        if let Observation::Person(person, _) = &observation {
            // In Active Directory everybody has a primary group, which is rarely one of ours.
            let key = person.primary_group.as_deref();
            self.has_members |= key.is_some_and(|key| key.starts_with("gid:"));
        }
        let is_nobody = match &observation {
            Observation::Unusable(unusable) => unusable.id.is_none(),
            Observation::Left(..) | Observation::Other(_) => true,
            _ => false,
        };
        if !is_nobody {
            self.identified += 1;
        }
        self.batch.push(observation);
        if self.batch.len() >= BATCH || self.members >= BATCH_MEMBERS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Observations so far of entries whose id could be read.
    pub(super) fn identified(&self) -> u64 {
        self.identified
    }

    /// Whether there are groups, and none of them has a member.
    pub(super) fn nobody_in_any_group(&self) -> bool {
        self.groups > 0 && !self.has_members
    }

    /// Sends what has been gathered. Called at the end of each read, whichever way it ended: what
    /// was received is told.
    pub(super) async fn flush(&mut self) -> Result<(), SourceError> {
        self.members = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.out.send(batch).await.map_err(|_| SourceError::Stopped)
    }
}
