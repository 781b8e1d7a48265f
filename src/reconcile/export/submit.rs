//! Exports, handed in.
//!
//! *Its one idea: handing in twice does no harm.* A person is added or updated; a channel is made only where nobody
//! has its reference ID, which is looked at before each file. So there is no journal: what became of a row is said,
//! and whoever does not know runs the command again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Export, channels, heading, paper};
use crate::apply::ApplyError;
use crate::apply::job::{self, Jobs, Place};
use crate::category::ReferenceId;
use crate::clock;
use crate::kaltura::JobId;
use crate::kaltura::csv::channel::ChannelRow;
use crate::kaltura::csv::person::PersonRow;
use crate::kaltura::csv::{Log, RowVerdict, Sheet};
use crate::plan::gate::{self, Fence, Grounds, Warrant};
use crate::reconcile::{Engine, RunError, lease};

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It is done but for this.
    DoneBut(String),
    /// Somebody else has done it meanwhile: it was not handed in.
    There,
    /// Kaltura refused it, with this text.
    Refused(String),
    /// Kaltura has not taken its file.
    NotTaken,
    /// Nobody knows.
    Unknown,
}

impl From<RowVerdict> for Fate {
    fn from(verdict: RowVerdict) -> Self {
        match verdict {
            RowVerdict::Done => Self::Done,
            RowVerdict::Refused(text) => Self::Refused(text),
            RowVerdict::DoneBut(text) => Self::DoneBut(text),
            RowVerdict::Unknown => Self::Unknown,
        }
    }
}

/// A file that Kaltura has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedIn<'a> {
    /// Its name in Kaltura.
    pub name: &'a str,
    /// What it has become.
    pub job: JobId,
    /// Its rows.
    pub rows: usize,
}

/// Hands in files of people, one after the other, and follows each to its end. Each that Kaltura takes is told of at
/// once. Runs go on meanwhile: nobody's membership is concerned.
pub async fn people(
    engine: &Engine,
    export: Export<PersonRow>,
    tell: impl Fn(&HandedIn<'_>),
) -> Result<Vec<(PersonRow, Fate)>, RunError> {
    let mut fates = Vec::new();
    let of = export.files.len();
    let grounds = engine.grounds(BTreeMap::new());
    let warrant = gate::release_export(Grounds {
        fence: Fence::open(),
        ..grounds
    });
    for (number, rows) in export.files.into_iter().enumerate() {
        fates.extend(file(engine, &warrant, "users", (number, of), rows, &tell).await?);
    }
    Ok(fates)
}

/// Hands in files of channels, one after the other, alone, and follows each to its end. Before each is looked what is
/// there by now, and after it, where the log is silent.
pub async fn channels(
    engine: &Engine,
    export: Export<ChannelRow>,
    tell: impl Fn(&HandedIn<'_>),
) -> Result<Vec<(ChannelRow, Fate)>, RunError> {
    alone(engine, async |engine| {
        let mut fates = Vec::new();
        let of = export.files.len();
        let warrant = gate::release_export(engine.grounds(BTreeMap::new()));
        for (number, rows) in export.files.into_iter().enumerate() {
            let known = channels::reference_ids(engine).await?;
            let is_there = |row: &ChannelRow| known.contains(row.reference_id());
            let (there, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_there);
            fates.extend(there.into_iter().map(|row| (row, Fate::There)));
            if rows.is_empty() {
                continue;
            }
            // Before, in case that this is cut off; no run comes before the end.
            channels::look_there_next(engine, &rows).await?;
            let mut told = file(engine, &warrant, "categories", (number, of), rows, &tell).await?;
            if told.iter().any(|(_, fate)| *fate == Fate::Unknown) {
                believe_what_is_there(&channels::reference_ids(engine).await?, &mut told);
            }
            fates.extend(told);
        }
        Ok(fates)
    })
    .await
}

fn believe_what_is_there(known: &BTreeSet<ReferenceId>, told: &mut [(ChannelRow, Fate)]) {
    for (row, fate) in told {
        if *fate == Fate::Unknown && known.contains(row.reference_id()) {
            *fate = Fate::Done;
        }
    }
}

/// Works while no run and no other export does.
async fn alone<T>(
    engine: &Engine,
    work: impl AsyncFnOnce(&Engine) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let lease = lease::claim(&engine.store).await?;
    let fenced = engine.under(lease);
    let done = lease::keep(&engine.store, lease, Box::pin(work(&fenced))).await;
    let released = lease::release(&engine.store, lease).await;
    let done = done?;
    released?;
    Ok(done)
}

/// One file, from handing in to the last row.
async fn file<S: Sheet>(
    engine: &Engine,
    warrant: &Warrant,
    subject: &str,
    (number, of): (usize, usize),
    rows: Vec<S>,
    tell: &impl Fn(&HandedIn<'_>),
) -> Result<Vec<(S, Fate)>, RunError> {
    let csv = &engine.config.apply.csv;
    let name = format!(
        "rollbook-{subject}-{:04}-{:08x}.csv",
        number + 1,
        fastrand::u32(..)
    );
    let heading = heading(subject, clock::now(), number, of);
    let paper = paper(&heading, &rows)?;
    let jobs = Jobs {
        kaltura: &engine.kaltura,
        config: csv,
        kind: S::KIND,
        fence: &warrant.grounds().fence,
    };
    let nobody = |fate: Fate| rows.iter().map(|_| fate.clone()).collect::<Vec<_>>();
    let content = async || Ok(Some(paper.content.clone()));
    let place = jobs.hand_in(&name, content, warrant).await?;
    let place = place.map_err(|error| ApplyError::NotTaken {
        kind: S::KIND,
        error,
    })?;
    let job = match place {
        Place::At(job) => job,
        Place::Nowhere => {
            let fates = nobody(Fate::NotTaken);
            return Ok(rows.into_iter().zip(fates).collect());
        }
        Place::Unclear => {
            let fates = nobody(Fate::Unknown);
            return Ok(rows.into_iter().zip(fates).collect());
        }
    };
    tell(&HandedIn {
        name: &name,
        job,
        rows: rows.len(),
    });
    let log = match jobs.follow(job).await? {
        job::Fate::Over(log) => log,
        job::Fate::Never | job::Fate::Open => Vec::new(),
    };
    let log = Log::read(&log);
    let verdicts = log.verdicts(&rows).into_iter().map(Fate::from);
    Ok(rows.into_iter().zip(verdicts.collect::<Vec<_>>()).collect())
}
