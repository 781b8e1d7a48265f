//! What became of the rows of a file.
//!
//! *Its one idea: only a plain yes is believed.* A row that the job's log calls done is done. Whatever
//! else the log says, or does not say, what is there now is looked at, and that decides.

use std::collections::BTreeMap;

use super::end::End;
use super::steps::{self, Stands};
use super::{Applied, ApplyError};
use crate::category::{CategoryId, UserId};
use crate::clock;
use crate::kaltura::csv::{Log, Row, RowVerdict};
use crate::kaltura::{Found, Kaltura};
use crate::killpoint;
use crate::store::Store;
use crate::store::dirty::Mark;
use crate::store::files::Item;
use crate::store::journal::{Doubt, Outcome};

/// What Kaltura writes of the rows beyond its limit (`maxRecords`), in both spellings.
const TOO_MANY_ROWS: [&str; 2] = [
    "Exceeded max records count per bulk",
    "Exeeded max records count per bulk",
];

/// How many actions are settled in one piece.
const AT_ONCE: usize = 1_000;

/// What is known of a file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Its job is over: what is not done will not be done any more.
    Over,
    /// No job has worked on it, or ever will: what is done was done by others.
    Never,
    /// It may yet be worked on: only what is as wanted is closed, the rest waits.
    Open,
}

/// How the rows of a file are settled.
pub(crate) struct Settling<'a> {
    /// The account.
    pub(crate) kaltura: &'a Kaltura,
    /// The state file.
    pub(crate) store: &'a Store,
    /// The log of the file's job.
    pub(crate) log: &'a Log,
    /// What is known of the file as a whole.
    pub(crate) evidence: Evidence,
    /// Whether a later run makes the same plan by itself.
    pub(crate) is_repeated: bool,
}

impl Settling<'_> {
    /// Settles rows: from the log, and where that does not say "done", by looking. Where `is_doubtful` says
    /// so, also what the log calls done is looked at: a removal may have been one of two rows, or the log
    /// may be another's.
    pub(crate) async fn settle(
        &self,
        items: &[Item],
        is_doubtful: impl Fn(&Doubt) -> bool,
    ) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        for items in items.chunks(AT_ONCE) {
            let said = said(items, self.log);
            let is_looked_at =
                |item: &Item, said: &Said| *said != Said::Done || is_doubtful(&item.doubt);
            let asked: Vec<bool> = items
                .iter()
                .zip(&said)
                .map(|(item, said)| is_looked_at(item, said))
                .collect();
            let pairs: Vec<(CategoryId, UserId)> = items
                .iter()
                .zip(&asked)
                .filter(|(_, asked)| **asked)
                .map(|(item, _)| (item.doubt.category, item.doubt.action.user.clone()))
                .collect();
            let mut found = self.kaltura.memberships(&pairs).await?.into_iter();
            let ends = items.iter().zip(said).zip(asked);
            let ends: Vec<Option<End>> = ends
                .map(|((item, said), asked)| {
                    let found = if asked { found.next() } else { None };
                    end(&item.doubt, said, found, self.evidence)
                })
                .collect();
            self.close(items, ends, &mut applied).await?;
        }
        self.store.run(Store::drop_settled_files).await?;
        Ok(applied)
    }

    /// Closes what has an end, and has everything looked at again.
    async fn close(
        &self,
        items: &[Item],
        ends: Vec<Option<End>>,
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        let mut by_run: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        let mut marks = Vec::new();
        for (item, end) in items.iter().zip(ends) {
            let Some(end) = end else { continue };
            let Doubt {
                journal,
                run,
                category,
                action,
            } = &item.doubt;
            applied.count(end.outcome);
            marks.push(Mark::Entitlement(*category, action.user.clone()));
            let verdict = end.verdict(*journal, *category, action, self.is_repeated);
            by_run.entry(*run).or_default().push(verdict);
        }
        let close = move |store: &Store| {
            let now = clock::now();
            store.mark(&marks)?;
            by_run
                .iter()
                .try_for_each(|(run, verdicts)| store.close_journal(*run, verdicts, now))
        };
        self.store.run(close).await?;
        killpoint::here("while-settling-a-file");
        Ok(())
    }
}

/// Whether a log says anything of the actions of a file.
pub(crate) fn speaks_of_any(items: &[Item], log: &Log) -> bool {
    said(items, log).iter().any(|said| *said != Said::Nothing)
}

/// Whether a log says something of every action of a file: then it is the log of that file, and whole.
pub(crate) fn speaks_of_all(items: &[Item], log: &Log) -> bool {
    said(items, log).iter().all(|said| *said != Said::Nothing)
}

/// What a log says of an action, all its rows taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Done,
    Refused(String),
    Nothing,
}

fn said(items: &[Item], log: &Log) -> Vec<Said> {
    let rows: Vec<Row> = items
        .iter()
        .flat_map(|item| item.rows.iter().cloned())
        .collect();
    let mut verdicts = log.verdicts(&rows).into_iter();
    items
        .iter()
        .map(|item| {
            let verdicts = verdicts.by_ref().take(item.rows.len());
            verdicts.fold(Said::Done, |said, verdict| match (said, verdict) {
                (Said::Done, RowVerdict::Done) => Said::Done,
                (Said::Refused(text), _)
                | (_, RowVerdict::Refused(text) | RowVerdict::DoneBut(text)) => Said::Refused(text),
                (Said::Nothing, _) | (_, RowVerdict::Unknown) => Said::Nothing,
            })
        })
        .collect()
}

/// How an action ended; nothing where it may yet be done.
fn end(doubt: &Doubt, said: Said, found: Option<Found>, evidence: Evidence) -> Option<End> {
    let Some(found) = found else {
        return Some(End::new(Outcome::Done));
    };
    let stands = steps::compare(&doubt.action, &found);
    if evidence == Evidence::Open && stands != Stands::AsWanted {
        return None;
    }
    if let Found::Failed(error) = &found {
        return Some(End::answered(Outcome::Unknown, error.code.clone()));
    }
    let is_single = steps::writes(doubt.category, &doubt.action).len() == 1;
    Some(match (stands, said) {
        // Refused because it is so already, or never worked on: somebody else did it.
        (Stands::AsWanted, Said::Refused(_)) if is_single => End::found_so(),
        (Stands::AsWanted, Said::Nothing) if evidence == Evidence::Never => End::found_so(),
        (Stands::AsWanted, _) => End::new(Outcome::Done),
        (Stands::AsBefore, Said::Refused(text)) if is_of_the_file(&text) => {
            End::answered(Outcome::Passing, text).untouched()
        }
        (Stands::AsBefore, Said::Refused(text)) => {
            End::answered(Outcome::Refused, text).untouched()
        }
        (Stands::AsBefore, Said::Nothing) => {
            let why = if evidence == Evidence::Never {
                "its file has not reached Kaltura"
            } else {
                "Kaltura did not process its row"
            };
            End::answered(Outcome::Passing, why).untouched()
        }
        // One of two rows was removed; or somebody has been there since.
        (Stands::AsBefore, Said::Done) | (Stands::Otherwise, _) => End::new(Outcome::Changed),
    })
}

/// Whether a refusal is about the file, and not about the row.
fn is_of_the_file(text: &str) -> bool {
    TOO_MANY_ROWS.iter().any(|known| text.contains(known))
}
