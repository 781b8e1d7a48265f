//! Changes by file: memberships, categories and people as Kaltura's CSV engine reads them, and the logs it writes.
//!
//! *Its one idea: what the engine would read otherwise than it was meant is not written.* It trims bytes that
//! are halves of letters, acts on one row while others are still being looked up, and drops what it does not
//! know without a word (`BulkUploadEngineCsv.php`, `BulkUploadCategoryUserEngineCsv.php`). A write that does not
//! survive that has a reason ([`Unfit`]) instead of a row; it can still be made by a call.
//!
//! ```text
//!  Write ─► Style::piece ─► Piece ─► Style::pack ─► files ─► Style::write ─► bytes ─► (Kaltura)
//!              │                                                                        │
//!            Unfit                           RowVerdict of each row ◄─ Log::verdicts ◄──┘
//! ```
//!
//! | File | Its part |
//! |---|---|
//! | [`cell`](check) | what a text in a cell must not be |
//! | `fit` | what a write must not be |
//! | `row` | memberships: a write as a row, an action as a piece |
//! | [`channel`] | categories: a channel that is to be made, as a row |
//! | [`person`] | people: who they are, as a row |
//! | `sheet` | rows that stand for themselves, into files |
//! | `pack` | pieces into files |
//! | `file` | a file as bytes |
//! | `log` | what became of each row |
//!
//! What nobody can see from here is the caller's to know. A file **removes owners and manual members**, as the
//! engine's own account may do anything; it **cannot put a manual membership in force or out of it**; and it
//! finds a person for a change only in the **spelling that Kaltura has stored**.

use std::borrow::Cow;
use std::io;

use self::fit::check_reference_id;
use self::row::rows;
use crate::category::ReferenceId;
use crate::kaltura::Write;

mod cell;
pub mod channel;
mod file;
mod fit;
mod log;
mod pack;
pub mod person;
mod row;
mod sheet;

pub use crate::config::apply::{Address, Verb};
pub use cell::{Damage, check};
pub use file::Heading;
pub use fit::{Unfit, search_key};
pub use log::{Log, RowVerdict};
pub use pack::{Files, Limits};
pub use row::{Piece, Row};
pub use sheet::{Sheet, divide, write_sheet};

/// A row of a file, whatever the file is about.
pub trait Line {
    /// How many cells it has.
    const CELLS: usize;

    /// Its cells, in the order of the columns.
    fn cells(&self) -> Vec<Cow<'_, str>>;

    /// What Kaltura may repeat of it, and nobody is to read in a log or an error: who somebody is.
    fn hidden(&self) -> Vec<&str>;
}

/// How files are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// By what rows name their category.
    pub address: Address,
    /// What rows say is to be done.
    pub verb: Verb,
    /// How large a file may be.
    pub limits: Limits,
}

impl Style {
    /// Turns the writes of one action into rows that stay together, in their order. The reference ID is that of
    /// their category; it is only looked at where rows name it.
    pub fn piece<T>(
        &self,
        writes: &[Write],
        reference_id: Option<&ReferenceId>,
        tag: T,
    ) -> Result<Piece<T>, Unfit> {
        let reference_id = match self.address {
            Address::Id => None,
            Address::ReferenceId => {
                let reference_id = reference_id.ok_or(Unfit::NoReferenceId)?;
                check_reference_id(reference_id)?;
                Some(reference_id)
            }
        };
        let (category, rows) = rows(writes, reference_id, self.verb)?;
        let piece = Piece {
            category,
            rows,
            tag,
        };
        pack::check(&piece, self)?;
        Ok(piece)
    }

    /// Divides pieces among files, which come one by one; what a file takes is all that is held in memory, twice.
    ///
    /// The pieces of a category are expected side by side, and keep their order. They go into one file where
    /// they fit one, beside other categories; a category that is larger than a file gets files of its own. No
    /// file is larger than the limits, heading included, as long as the pieces are of this style.
    pub fn pack<T, I>(&self, pieces: I) -> Files<I::IntoIter, T>
    where
        I: IntoIterator<Item = Piece<T>>,
    {
        Files::new(pieces.into_iter(), self)
    }

    /// Writes a file: the heading, the line of column names, the rows.
    pub fn write<'a>(
        &self,
        out: impl io::Write,
        heading: &Heading,
        rows: impl IntoIterator<Item = &'a Row>,
    ) -> csv::Result<()> {
        file::write(out, heading, &row::columns(self.address), rows)
    }
}
