//! Actions in order, batch by batch.

use std::collections::VecDeque;

use super::end::End;
use super::steps::{self, Stands};
use super::{Applied, Applier, ApplyError, Task};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::kaltura::{Found, Write, WriteOutcome};
use crate::killpoint;
use crate::plan::gate::Warrant;
use crate::store::journal::{Open, Outcome};

/// How often an action is tried in one run: once, and once more when nobody knew what became of it
/// and it turned out not to be done.
const ATTEMPTS: u32 = 2;

impl Applier {
    /// Works through the tasks of one lane.
    pub(super) async fn lane(
        &self,
        tasks: Vec<Task>,
        warrant: &Warrant,
    ) -> Result<Applied, ApplyError> {
        let mut open = VecDeque::from(tasks);
        let mut applied = Applied::default();
        while !open.is_empty() {
            let batch = self.next_batch(&mut open);
            let (batch, rejected) = self.still_approved(batch).await?;
            applied.changed += rejected;
            let again = self.batch(batch, warrant, &mut applied).await?;
            open.extend(again);
        }
        Ok(applied)
    }

    /// Leaves out what a person had approved, and has rejected since; answers how much that is.
    async fn still_approved(&self, batch: Vec<Task>) -> Result<(Vec<Task>, u64), ApplyError> {
        if batch.iter().all(|task| task.approved_by.is_none()) {
            return Ok((batch, 0));
        }
        let since = self.reviewed_at;
        let rejected = self.store.run(move |store| store.rejected_after(since));
        let rejected = rejected.await?;
        let (out, left): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|task| task.approved_by.is_some() && rejected.contains(&task.category()));
        Ok((left, out.len() as u64))
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
        warrant: &Warrant,
        applied: &mut Applied,
    ) -> Result<Vec<Task>, ApplyError> {
        let rows = self.open(&tasks).await?;
        killpoint::here("after-opening");
        let mut ends: Vec<Option<End>> = vec![None; tasks.len()];
        self.write(&tasks, warrant, &mut ends).await?;
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

    /// Looks at some of the tasks as they are now: the index lags behind, somebody may have changed them since the
    /// plan was made, and the server deletes manual memberships without a word. Answers how those end that are
    /// not as they were.
    async fn look_first(
        &self,
        tasks: &[Task],
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<Option<End>>, ApplyError> {
        let found = self.look(tasks, wanted).await?;
        Ok(tasks
            .iter()
            .zip(found)
            .map(|(task, found)| {
                let found = found?;
                let end = match (steps::compare(task.action(), &found), found) {
                    (Stands::AsBefore, _) => None,
                    (Stands::AsWanted, _) if task.attempt == 1 => Some(End::found_so()),
                    (Stands::AsWanted, _) => Some(End::new(Outcome::Done)),
                    // What became of the attempt before is still not known.
                    (_, Found::Failed(_)) if task.attempt > 1 => Some(End::new(Outcome::Unknown)),
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

    /// Writes, and again what the server did not begin with. What takes access away is looked at right before,
    /// each time.
    async fn write(
        &self,
        tasks: &[Task],
        warrant: &Warrant,
        ends: &mut [Option<End>],
    ) -> Result<(), ApplyError> {
        let mut under_way: Vec<UnderWay> = tasks.iter().map(UnderWay::new).collect();
        let mut writing = self.kaltura.writing(warrant)?;
        loop {
            let is_untouched = |index: usize| ends[index].is_none() && !under_way[index].is_begun();
            let stale =
                |index: usize| is_untouched(index) && steps::needs_a_look(tasks[index].action());
            let looked = self.look_first(tasks, stale).await?;
            let half_way = |index: usize| ends[index].is_none() && under_way[index].is_half_way();
            let still_ours = self.look(tasks, half_way).await?;
            for (((end, looked), task), found) in
                ends.iter_mut().zip(looked).zip(tasks).zip(still_ours)
            {
                let is_taken = |found: &Found| !steps::goes_on(task.action(), found);
                let taken = found.filter(is_taken).map(|_| End::new(Outcome::Changed));
                *end = end.take().or(looked).or(taken);
            }
            killpoint::here("before-writing");
            let next: Vec<usize> = (0..tasks.len())
                .filter(|index| ends[*index].is_none())
                .collect();
            let steps = next.iter().flat_map(|index| under_way[*index].next());
            let writes: Vec<Write> = steps.cloned().collect();
            if writes.is_empty() {
                break;
            }
            let mut outcomes = writing.attempt(&writes).await?.into_iter();
            for index in next {
                under_way[index].take(&mut outcomes);
            }
        }
        for ((task, end), under_way) in tasks.iter().zip(ends).zip(under_way) {
            *end = end.take().or_else(|| Some(under_way.end(task.attempt)));
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
            let takes_one = task.part.fresh && steps::takes_a_row(task.action());
            takes_one && *end == Some(End::new(Outcome::Done))
        };
        // Of two calls that did not both succeed, the first may have been done or not.
        let may_be_half_done = |task: &Task, end: &Option<End>| {
            steps::last_by_half(task.action()).is_some()
                && matches!(outcome(end), Some(Outcome::Refused | Outcome::Passing))
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
            if matches!(found, Found::Failed(_)) {
                // What the server found otherwise may be what the attempt before has done.
                if task.attempt > 1 && outcome(end) == Some(Outcome::Changed) {
                    *end = Some(End::new(Outcome::Unknown));
                }
                continue;
            }
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
                if end.outcome == Outcome::Unknown {
                    // It stays open: the next run looks first, and decides by what it finds.
                    continue;
                }
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

/// The calls of an action, and the outcomes of the first of them.
struct UnderWay {
    writes: Vec<Write>,
    outcomes: Vec<WriteOutcome>,
    /// Whether a call may only go out once the one before it has succeeded.
    in_steps: bool,
}

impl UnderWay {
    fn new(task: &Task) -> Self {
        Self {
            writes: steps::writes(task.category(), task.action()),
            outcomes: Vec::new(),
            in_steps: steps::in_steps(task.action()),
        }
    }

    fn is_begun(&self) -> bool {
        !self.outcomes.is_empty()
    }

    /// Whether some of it is done, and some is to come.
    fn is_half_way(&self) -> bool {
        self.is_begun() && !self.next().is_empty()
    }

    /// What is to be sent next; nothing, where it is over.
    fn next(&self) -> &[Write] {
        let left = &self.writes[self.outcomes.len()..];
        if !self.in_steps {
            return left;
        }
        let is_good = |outcome: &WriteOutcome| {
            matches!(outcome, WriteOutcome::Done | WriteOutcome::AlreadySo)
        };
        let goes_on = self.outcomes.iter().all(is_good);
        &left[..left.len().min(usize::from(goes_on))]
    }

    fn take(&mut self, outcomes: &mut impl Iterator<Item = WriteOutcome>) {
        let sent = self.next().len();
        self.outcomes.extend(outcomes.take(sent));
    }

    fn end(self, attempt: u32) -> End {
        let is_ours = attempt > 1 || self.outcomes.is_empty();
        let nothing_done = |outcome: &WriteOutcome| *outcome == WriteOutcome::AlreadySo;
        if !is_ours && self.outcomes.iter().all(nothing_done) {
            End::found_so()
        } else {
            sum_up(self.outcomes.into_iter())
        }
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
