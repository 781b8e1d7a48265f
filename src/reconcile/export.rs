//! What the groups want, as files for Kaltura.
//!
//! *Its one idea: an export removes nothing.* A channel that is missing, a person, a membership: each row adds, or
//! sets what is there to what the directory says, so that a file may be handed in twice. Deleting somebody from Kaltura
//! is no part of it: that takes along all their memberships, for good, past gate and journal, and no run could undo it.
//! What does not fit into a file is left out with a reason.
//!
//! | module | its part |
//! |---|---|
//! | [`channels`] | channels for groups that have none |
//! | [`people`] | people who are wanted in some channel |
//! | [`submit`] | handing files in, and what became of each row |

use jiff::Timestamp;

use super::{Engine, RunError, look, scope, verdict};
use crate::apply::ApplyError;
use crate::apply::files::{set_up, set_up_style};
use crate::apply::route::Route;
use crate::config;
use crate::kaltura::csv::{Heading, Limits, Sheet, divide, write_sheet};
use crate::plan::{CategoryPlan, Decision, Plan};
use crate::shown::Shown;

pub mod channels;
pub mod people;
pub mod submit;

/// What there is to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export<R> {
    /// Rows, file by file.
    pub files: Vec<Vec<R>>,
    /// What is in no file.
    pub left: Vec<Left>,
}

/// Something that is in no file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// What: a person, a group, a channel.
    pub what: String,
    /// Why, for people.
    pub why: String,
}

impl Left {
    fn new(what: &(impl ToString + ?Sized), why: &impl ToString) -> Self {
        Self {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}

/// A file that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// What is in it.
    pub content: Vec<u8>,
    /// How many rows that is, without heading and names of columns.
    pub rows: usize,
}

impl<S: Sheet + Clone> Export<S> {
    fn new(rows: Vec<S>, mut left: Vec<Left>, csv: &config::apply::Csv) -> Self {
        let (files, unfit) = divide(rows, limits(csv));
        left.extend(unfit.iter().map(|(row, why)| Left::new(row.subject(), why)));
        left.sort();
        Self { files, left }
    }

    /// Writes the files, each with what it is above its rows.
    pub fn papers(&self, title: &str, now: Timestamp) -> Result<Vec<Paper>, ApplyError> {
        let files = self.files.iter().enumerate();
        let papers = files.map(|(number, rows)| {
            let heading = heading(title, now, number, self.files.len());
            paper(&heading, rows)
        });
        papers.collect()
    }
}

fn limits(csv: &config::apply::Csv) -> Limits {
    Limits {
        rows: csv.rows,
        bytes: csv.bytes,
    }
}

fn heading(title: &str, now: Timestamp, number: usize, of: usize) -> Heading {
    let now = now.strftime("%Y-%m-%d %H:%M:%S UTC");
    Heading::new([
        format!("Rollbook - {title}"),
        format!("made on {now} - file {} of {of}", number + 1),
    ])
}

fn paper<S: Sheet>(heading: &Heading, rows: &[S]) -> Result<Paper, ApplyError> {
    let mut content = Vec::new();
    write_sheet(&mut content, heading, rows).map_err(ApplyError::Written)?;
    Ok(Paper {
        content,
        rows: rows.len(),
    })
}

/// Every membership that the groups grant, as files for a first set-up, by what the state file knows of directory and
/// channels. Owners, protected people, and channels of which nobody knows whose they are, are in none.
pub async fn entitlements(
    engine: &Engine,
    now: Timestamp,
) -> Result<(Vec<Paper>, Vec<Left>), RunError> {
    let parts = set_up_parts(engine).await?;
    let mut left: Vec<Left> = parts.iter().flat_map(stays_out).collect();
    let plan = Plan::new(parts);
    let csv = &engine.config.apply.csv;
    let by_files = Route::Files { or_calls: false };
    let confusable = verdict::confusable(engine, &by_files).await?;
    let (files, unfit) = set_up(&plan, csv, &confusable);
    left.extend(unfit.iter().map(|(category, user, why)| {
        let channel = plan
            .categories
            .iter()
            .find(|part| part.category.id == *category);
        let channel = channel.map_or_else(|| category.to_string(), |part| named(part));
        Left::new(&format!("{channel}: {user}"), why)
    }));
    left.sort();
    let style = set_up_style(csv);
    let papers = files.iter().enumerate().map(|(number, rows)| {
        let heading = heading("memberships for a first set-up", now, number, files.len());
        let mut content = Vec::new();
        style.write(&mut content, &heading, rows)?;
        Ok(Paper {
            content,
            rows: rows.len(),
        })
    });
    let papers = papers
        .collect::<Result<_, _>>()
        .map_err(ApplyError::Written)?;
    Ok((papers, left))
}

/// What the groups grant, channel by channel.
async fn set_up_parts(engine: &Engine) -> Result<Vec<CategoryPlan>, RunError> {
    let scope = scope::known(engine).await?;
    if scope.groups.there.is_empty() || scope.index.is_empty() {
        return Err(nothing_known());
    }
    look::from_nothing(engine, &scope).await
}

fn nothing_known() -> RunError {
    RunError::NotFound(
        "no group, or no channel, is known yet: `rollbook sync --dry-run` reads them, and changes nothing".to_owned(),
    )
}

/// What of a channel is not exported, and why.
fn stays_out(part: &CategoryPlan) -> Vec<Left> {
    let block = part
        .block
        .iter()
        .map(|block| Left::new(&named(part), block));
    let people = part
        .actions
        .iter()
        .filter_map(|action| match action.decision {
            Decision::Skip(objection) => Some(Left::new(
                &format!("{}: {}", named(part), action.user),
                &objection,
            )),
            _ => None,
        });
    block.chain(people).collect()
}

fn named(part: &CategoryPlan) -> String {
    let reference = part.category.reference_id.as_ref();
    reference.map_or_else(
        || Shown(&part.category.name).to_string(),
        ToString::to_string,
    )
}
