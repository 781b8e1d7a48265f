//! Pieces into files.
//!
//! *Its one idea: a category is in one file, or has its files to itself.* So files that share no category can be
//! handed in side by side, and a category is never written to from two of them at once.

use std::collections::VecDeque;

use super::file::{Heading, header_bytes};
use super::row::columns;
use super::{Piece, Style, Unfit};
use crate::category::CategoryId;

/// How large a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows; comments and the line of column names do not count. The server handles no more than 1000
    /// (`maxRecords`), whatever its guide says. Default: 1000.
    pub rows: usize,
    /// Bytes, everything counted. Default: 1,000,000.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 1000,
            bytes: 1_000_000,
        }
    }
}

/// Checks that a piece fits a file that is otherwise empty.
pub(super) fn check<T>(piece: &Piece<T>, style: &Style) -> Result<(), Unfit> {
    let size = Size::of(piece);
    if size.fits(Size::room(style)) {
        Ok(())
    } else {
        Err(Unfit::TooLarge {
            rows: size.rows,
            bytes: size.bytes,
        })
    }
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    rows: usize,
    bytes: usize,
}

impl Size {
    fn of<T>(piece: &Piece<T>) -> Self {
        Self {
            rows: piece.rows.len(),
            bytes: piece.bytes(),
        }
    }

    /// What a file has for rows, after the longest heading.
    fn room(style: &Style) -> Self {
        let above = Heading::MAX_BYTES + header_bytes(&columns(style.address));
        Self {
            rows: style.limits.rows,
            bytes: style.limits.bytes.saturating_sub(above),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
        }
    }

    fn fits(self, room: Self) -> bool {
        self.rows <= room.rows && self.bytes <= room.bytes
    }
}

/// Pieces that go together, and how much that is.
#[derive(Debug)]
struct Load<T> {
    pieces: Vec<Piece<T>>,
    size: Size,
}

impl<T> Default for Load<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            size: Size::default(),
        }
    }
}

/// Files, each as the pieces in it, made while they are asked for.
#[derive(Debug)]
pub struct Files<I, T> {
    pieces: Option<I>,
    room: Size,
    /// Categories that are whole and have a place.
    file: Load<T>,
    /// What has come of the category under way, and is in no file yet.
    category: Load<T>,
    under_way: Option<CategoryId>,
    /// Whether the category under way is larger than a file.
    is_large: bool,
    /// At most two: what was there before a large category, and its first part.
    ready: VecDeque<Vec<Piece<T>>>,
}

impl<T, I: Iterator<Item = Piece<T>>> Files<I, T> {
    pub(super) fn new(pieces: I, style: &Style) -> Self {
        Self {
            pieces: Some(pieces),
            room: Size::room(style),
            file: Load::default(),
            category: Load::default(),
            under_way: None,
            is_large: false,
            ready: VecDeque::new(),
        }
    }

    fn take(&mut self, piece: Piece<T>) {
        if self.under_way != Some(piece.category) {
            self.end_category();
            self.under_way = Some(piece.category);
        }
        let size = Size::of(&piece);
        if !self.category.size.and(size).fits(self.room) {
            self.end_file();
            self.is_large = true;
            self.file = std::mem::take(&mut self.category);
            self.end_file();
        }
        self.category.size = self.category.size.and(size);
        self.category.pieces.push(piece);
    }

    /// The category under way is whole: it goes into the file at hand where it fits, else into the next one.
    fn end_category(&mut self) {
        let category = std::mem::take(&mut self.category);
        let size = self.file.size.and(category.size);
        if !size.fits(self.room) {
            self.end_file();
        }
        self.file.size = self.file.size.and(category.size);
        self.file.pieces.extend(category.pieces);
        // The last part of a large one shares its file with nobody either.
        if std::mem::take(&mut self.is_large) {
            self.end_file();
        }
    }

    fn end_file(&mut self) {
        let file = std::mem::take(&mut self.file);
        if !file.pieces.is_empty() {
            self.ready.push_back(file.pieces);
        }
    }
}

impl<T, I: Iterator<Item = Piece<T>>> Iterator for Files<I, T> {
    type Item = Vec<Piece<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            if let Some(piece) = self.pieces.as_mut()?.next() {
                self.take(piece);
            } else {
                self.pieces = None;
                self.end_category();
                self.end_file();
            }
        }
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests;
