//! What goes by file, what by call, and what is left as it is.
//!
//! *Its one idea: a channel goes one way as a whole where it can*, so that its departures come before its
//! additions.

use super::end::End;
use super::files::Packed;
use super::{Applied, Applier, ApplyError, Task};
use crate::clock;
use crate::store::journal::Outcome;

/// How many actions are left in one piece.
const LEFT_AT_ONCE: usize = 1_000;

/// Actions by the way that they go.
#[derive(Default)]
pub(super) struct Ways {
    /// By file, channel by channel.
    pub(super) files: Vec<Packed>,
    /// By call, channel by channel.
    pub(super) calls: Vec<Vec<Task>>,
    /// Not at all, and why.
    pub(super) left: Vec<(Task, String)>,
}

impl Ways {
    /// Divides actions, which come channel by channel. What does not fit into a file is left, or, where
    /// calls are allowed, takes its whole channel along to these.
    pub(super) fn of(
        channels: impl Iterator<Item = Vec<Task>>,
        or_calls: bool,
        piece: impl Fn(&Task) -> Result<Packed, String>,
    ) -> Self {
        let mut ways = Self::default();
        for tasks in channels {
            let pieces: Vec<_> = tasks.iter().map(&piece).collect();
            if or_calls && pieces.iter().any(Result::is_err) {
                ways.calls.push(tasks);
                continue;
            }
            for (task, piece) in tasks.into_iter().zip(pieces) {
                match piece {
                    Ok(piece) => ways.files.push(piece),
                    Err(reason) => ways.left.push((task, reason)),
                }
            }
        }
        ways
    }
}

impl Applier {
    /// Writes down what is left as it is.
    pub(super) async fn leave(&self, left: Vec<(Task, String)>) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        for left in left.chunks(LEFT_AT_ONCE) {
            let tasks: Vec<Task> = left.iter().map(|(task, _)| task.clone()).collect();
            let rows = self.open(&tasks).await?;
            let closed = left.iter().zip(rows).map(|((task, reason), row)| {
                let end = End::answered(Outcome::Left, reason.clone()).untouched();
                applied.count(end.outcome);
                end.verdict(row, task.category(), task.action(), self.is_repeated)
            });
            let (run, verdicts) = (self.run, closed.collect::<Vec<_>>());
            self.store
                .run(move |store| store.close_journal(run, &verdicts, clock::now()))
                .await?;
        }
        Ok(applied)
    }
}
