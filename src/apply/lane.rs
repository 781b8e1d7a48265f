//! Actions in order, batch by batch.

use std::collections::VecDeque;

use super::end::End;
use super::steps::{self, Stands};
use super::{Applied, Applier, ApplyError, Task};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::kaltura::{Found, WriteOutcome};
use crate::killpoint;
use crate::plan::Decision;
use crate::store::journal::{Open, Outcome};

/// How often an action is tried in one run: once, and once more when nobody knew what became of it
/// and it turned out not to be done.
const ATTEMPTS: u32 = 2;

impl Applier {
    /// Works through the tasks of one lane.
    pub(super) async fn lane(&self, tasks: Vec<Task>) -> Result<Applied, ApplyError> {
        let mut open = VecDeque::from(tasks);
        let mut applied = Applied::default();
        while !open.is_empty() {
            let batch = self.next_batch(&mut open);
            let again = self.batch(batch, &mut applied).await?;
            open.extend(again);
        }
        Ok(applied)
    }

    /// Takes as many actions as their calls fit into one request.
    fn next_batch(&self, open: &mut VecDeque<Task>) -> Vec<Task> {
        let mut batch = Vec::new();
        let mut calls = 0;
        while let Some(task) = open.front() {
            calls += steps::writes(task.category(), task.action()).len();
            if calls > self.batch && !batch.is_empty() {
                break;
            }
            batch.extend(open.pop_front());
        }
        batch
    }

    /// Applies one batch; answers the tasks to try once more.
    async fn batch(
        &self,
        tasks: Vec<Task>,
        applied: &mut Applied,
    ) -> Result<Vec<Task>, ApplyError> {
        let rows = self.open(&tasks).await?;
        killpoint::here("after-opening");
        let mut ends: Vec<Option<End>> = self.look_first(&tasks).await?;
        killpoint::here("before-writing");
        self.write(&tasks, &mut ends).await?;
        killpoint::here("after-writing");
        self.look_after(&tasks, &mut ends).await?;
        self.close(tasks, rows, ends, applied).await
    }

    pub(super) async fn open(&self, tasks: &[Task]) -> Result<Vec<i64>, ApplyError> {
        let (run, lease, now) = (self.run, self.lease, clock::now());
        let actions: Vec<_> = tasks
            .iter()
            .map(|task| Open {
                category: task.category(),
                action: task.action().clone(),
                approved_by: task.approved_by.as_deref().map(str::to_owned),
            })
            .collect();
        Ok(self
            .store
            .run(move |store| store.open_journal(run, lease, &actions, now))
            .await?)
    }

    /// Looks once more at what takes access away: the index lags behind, and the server deletes
    /// manual memberships without a word.
    async fn look_first(&self, tasks: &[Task]) -> Result<Vec<Option<End>>, ApplyError> {
        let stale = |task: &Task| !task.is_fresh() && steps::needs_a_look(task.action());
        let found = self.look(tasks, |index| stale(&tasks[index])).await?;
        Ok(tasks
            .iter()
            .zip(found)
            .map(|(task, found)| {
                let found = found?;
                let end = match (steps::compare(task.action(), &found), found) {
                    (Stands::AsBefore, _) => None,
                    (Stands::AsWanted, _) if task.attempt == 1 => Some(End::found_so()),
                    (Stands::AsWanted, _) => Some(End::new(Outcome::Done)),
                    (_, Found::Failed(error)) => Some(End::answered(Outcome::Passing, error.code)),
                    _ => Some(End::new(Outcome::Changed)),
                };
                // The attempt before may have come half the way.
                if task.attempt == 1 {
                    end.map(End::untouched)
                } else {
                    end
                }
            })
            .collect())
    }

    async fn write(&self, tasks: &[Task], ends: &mut [Option<End>]) -> Result<(), ApplyError> {
        let open: Vec<usize> = (0..tasks.len())
            .filter(|index| ends[*index].is_none())
            .collect();
        let steps: Vec<_> = open
            .iter()
            .map(|index| steps::writes(tasks[*index].category(), tasks[*index].action()))
            .collect();
        let writes: Vec<_> = steps.iter().flatten().cloned().collect();
        if writes.is_empty() {
            return Ok(());
        }
        // The look may have taken long, or the process may have slept.
        let lease = self.lease;
        self.store.run(move |store| store.is_ours(lease)).await?;
        let mut outcomes = self.kaltura.write(&writes).await?.into_iter();
        for (index, steps) in open.into_iter().zip(steps) {
            let outcomes: Vec<_> = outcomes.by_ref().take(steps.len()).collect();
            let is_ours = tasks[index].attempt > 1 || steps.is_empty();
            let nothing_done = |outcome: &WriteOutcome| *outcome == WriteOutcome::AlreadySo;
            ends[index] = Some(if !is_ours && outcomes.iter().all(nothing_done) {
                End::found_so()
            } else {
                sum_up(outcomes.into_iter())
            });
        }
        Ok(())
    }

    /// Where nobody knows what became of an action, or where the server found things otherwise than
    /// they were thought to be, a look tells. And where one row was removed, whether it was the only one:
    /// the look before showed one of them, however many there were.
    async fn look_after(&self, tasks: &[Task], ends: &mut [Option<End>]) -> Result<(), ApplyError> {
        let outcome = |end: &Option<End>| end.as_ref().map(|end| end.outcome);
        let is_open =
            |end: &Option<End>| matches!(outcome(end), Some(Outcome::Unknown | Outcome::Changed));
        let may_be_one_of_two = |task: &Task, end: &Option<End>| {
            let is_removed = matches!(task.action().decision, Decision::Remove { .. });
            task.part.fresh && is_removed && *end == Some(End::new(Outcome::Done))
        };
        // Of two calls that did not both succeed, the first may have been done or not.
        let may_be_half_done = |task: &Task, end: &Option<End>| {
            let is_replaced = matches!(task.action().decision, Decision::Replace { .. });
            is_replaced && matches!(outcome(end), Some(Outcome::Refused | Outcome::Passing))
        };
        let is_asked = |index: usize| {
            let (task, end) = (&tasks[index], &ends[index]);
            is_open(end) || may_be_one_of_two(task, end) || may_be_half_done(task, end)
        };
        if !(0..tasks.len()).any(is_asked) {
            return Ok(());
        }
        let found = self.look(tasks, is_asked).await?;
        for ((task, end), found) in tasks.iter().zip(ends).zip(found) {
            let Some(found) = found else { continue };
            if outcome(end) == Some(Outcome::Done) {
                if matches!(found, Found::Present(_)) {
                    *end = Some(End::new(Outcome::Changed));
                }
                continue;
            }
            // Refused because it is so already: somebody else did it.
            let conflict = outcome(end) == Some(Outcome::Changed);
            let is_single = steps::writes(task.category(), task.action()).len() == 1;
            match steps::compare(task.action(), &found) {
                Stands::AsWanted if conflict && is_single && task.attempt == 1 => {
                    *end = Some(End::found_so());
                }
                Stands::AsWanted => *end = Some(End::new(Outcome::Done)),
                Stands::AsBefore if may_be_half_done(task, end) => {
                    *end = end.take().map(End::untouched);
                }
                Stands::AsBefore => {}
                Stands::Otherwise => *end = end.take().map(End::otherwise),
            }
        }
        Ok(())
    }

    /// Looks at some of the tasks' memberships, in the database.
    async fn look(
        &self,
        tasks: &[Task],
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<Option<Found>>, ApplyError> {
        let which: Vec<usize> = (0..tasks.len()).filter(|index| wanted(*index)).collect();
        let pairs: Vec<(CategoryId, UserId)> = which
            .iter()
            .map(|index| {
                (
                    tasks[*index].category(),
                    tasks[*index].action().user.clone(),
                )
            })
            .collect();
        let mut found = vec![None; tasks.len()];
        if !pairs.is_empty() {
            for (index, answer) in which
                .into_iter()
                .zip(self.kaltura.memberships(&pairs).await?)
            {
                found[index] = Some(answer);
            }
        }
        Ok(found)
    }

    /// Closes the journal; answers the tasks to try once more.
    async fn close(
        &self,
        tasks: Vec<Task>,
        rows: Vec<i64>,
        ends: Vec<Option<End>>,
        applied: &mut Applied,
    ) -> Result<Vec<Task>, ApplyError> {
        let count = tasks.len() as u64;
        let mut again = Vec::new();
        let mut verdicts = Vec::with_capacity(tasks.len());
        for ((task, journal), end) in tasks.into_iter().zip(rows).zip(ends) {
            let end = end.unwrap_or(End::new(Outcome::Unknown));
            let retry = end.outcome == Outcome::Unknown && task.attempt < ATTEMPTS;
            if !retry {
                applied.count(end.outcome);
            }
            verdicts.push(end.verdict(
                journal,
                task.category(),
                task.action(),
                self.is_repeated && !retry,
            ));
            if retry {
                again.push(Task {
                    attempt: task.attempt + 1,
                    ..task
                });
            }
        }
        let run = self.run;
        self.store
            .run(move |store| store.close_journal(run, &verdicts, clock::now()))
            .await?;
        killpoint::here("after-closing");
        self.progress.advance(count - again.len() as u64);
        Ok(again)
    }
}

/// An action is done when all its calls are; the first that is not tells how it ended.
fn sum_up(outcomes: impl Iterator<Item = WriteOutcome>) -> End {
    let mut end = End::new(Outcome::Done);
    for outcome in outcomes {
        let this = match outcome {
            WriteOutcome::Done | WriteOutcome::AlreadySo => continue,
            WriteOutcome::Conflict => End::new(Outcome::Changed),
            WriteOutcome::Unknown => End::new(Outcome::Unknown),
            WriteOutcome::Refused(error) => End::answered(Outcome::Refused, error.code),
            WriteOutcome::Passing(error) => End::answered(Outcome::Passing, error.code),
        };
        if end.outcome == Outcome::Done {
            end = this;
        }
    }
    end
}
