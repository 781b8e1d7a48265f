//! Changes as CSV files.
//!
//! *Its one idea: the rows of an action are its calls, written down.* So a file does what the calls would;
//! and what a row cannot say has a reason instead.

use std::collections::BTreeSet;
use std::io;

use super::{ApplyError, Task, steps};
use crate::category::{CategoryId, UpdateMethod, UserId};
use crate::config;
use crate::kaltura::csv::{Heading, Limits, Piece, Row, Style, Verb};
use crate::plan::{Decision, Digest, Plan};
use crate::store::files::Item;

/// An action with its rows.
pub(super) type Packed = Piece<Task>;

/// Whose membership of which channel does not fit into a file, and why.
pub type Unfit = (CategoryId, UserId, String);

/// How files are made.
pub(super) fn style(csv: &config::apply::Csv) -> Style {
    Style {
        address: csv.category,
        verb: csv.actions,
        limits: Limits {
            rows: csv.rows,
            bytes: csv.bytes,
        },
    }
}

/// What stands above the rows of a file. The number counts from 0.
pub(super) fn heading(run: i64, number: usize, plan: &Digest) -> Heading {
    Heading::new([
        format!("Rollbook run {run} - file {}", number + 1),
        format!("plan {plan}"),
    ])
}

/// The rows that stand for an action in a file; or, for people, why none can.
pub(super) fn piece(
    task: &Task,
    style: Style,
    confusable: &BTreeSet<CategoryId>,
) -> Result<Packed, String> {
    if confusable.contains(&task.category()) {
        return Err(
            "Kaltura's search takes its reference ID for another category's, too".to_owned(),
        );
    }
    let action = task.action();
    let before = action.before.as_ref();
    if before.is_some_and(|before| before.method == UpdateMethod::Manual) {
        return Err("Kaltura's CSV files do not respect what was set by hand".to_owned());
    }
    if matches!(
        action.decision,
        Decision::Merge { .. } | Decision::Remove { copies: 2.. }
    ) {
        return Err("there are several rows of it, which a CSV file cannot tell apart".to_owned());
    }
    let writes = steps::writes(task.category(), action);
    let reference = task.part.category.reference_id.as_ref();
    style
        .piece(&writes, reference, task.clone())
        .map_err(|unfit| unfit.to_string())
}

/// The content of a file.
pub(super) fn content(
    heading: &Heading,
    style: Style,
    items: &[Item],
) -> Result<Vec<u8>, ApplyError> {
    let mut content = Vec::new();
    let rows = items.iter().flat_map(|item| &item.rows);
    style
        .write(&mut content, heading, rows)
        .map_err(ApplyError::Written)?;
    Ok(content)
}

/// Writes a plan as the files that it would make, one after the other. What does not fit into a file is
/// answered, with the reason.
pub fn preview(
    plan: &Plan,
    csv: &config::apply::Csv,
    confusable: &BTreeSet<CategoryId>,
    run: i64,
    out: &mut impl io::Write,
) -> io::Result<Vec<Unfit>> {
    let style = style(csv);
    let digest = plan.digest();
    let mut unfit = Vec::new();
    let tasks = plan
        .categories
        .iter()
        .flat_map(|part| super::tasks(part, None));
    let pieces = tasks.filter_map(|task| {
        let piece = piece(&task, style, confusable);
        piece
            .map_err(|reason| unfit.push((task.category(), task.action().user.clone(), reason)))
            .ok()
    });
    for (number, file) in style.pack(pieces).enumerate() {
        let rows = file.iter().flat_map(|piece| &piece.rows);
        style
            .write(&mut *out, &heading(run, number, &digest), rows)
            .map_err(io::Error::other)?;
    }
    Ok(unfit)
}

/// A name that no other file of the account has: the run's number may come again in another state file,
/// the tag does not. The number counts from 0.
pub(super) fn file_name(run: i64, tag: &str, number: usize) -> String {
    format!("rollbook-run{run}-{tag}-{:04}.csv", number + 1)
}

/// A word that no other run has.
pub(crate) fn tag() -> String {
    format!("{:08x}", fastrand::u32(..))
}

/// The additions of a plan as rows in files, for a first set-up: each adds or updates. What does not fit into a
/// file is answered, with the reason.
pub fn set_up(
    plan: &Plan,
    csv: &config::apply::Csv,
    confusable: &BTreeSet<CategoryId>,
) -> (Vec<Vec<Row>>, Vec<Unfit>) {
    let style = set_up_style(csv);
    let mut unfit = Vec::new();
    let mut pieces = Vec::new();
    for part in &plan.categories {
        for task in super::tasks(part, None) {
            match piece(&task, style, confusable) {
                Ok(piece) => pieces.push(piece),
                Err(reason) => unfit.push((task.category(), task.action().user.clone(), reason)),
            }
        }
    }
    let files = style.pack(pieces).map(|file| {
        let rows = file.into_iter().flat_map(|piece| piece.rows);
        rows.collect()
    });
    (files.collect(), unfit)
}

/// How the files of a first set-up are made.
pub fn set_up_style(csv: &config::apply::Csv) -> Style {
    Style {
        verb: Verb::AddOrUpdate,
        ..style(csv)
    }
}
