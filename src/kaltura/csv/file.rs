//! A file as bytes: comments, the line of column names, rows.
//!
//! *Its one idea: a file is plain.* UTF-8 without a mark at its start: all but reference IDs is ASCII. Lines end
//! in LF: the engine looks for the kind of line ends at the start of a file, and one byte cannot be mistaken for
//! half of two. Both were recorded, as were the mark and CRLF; spreadsheets read either.

use std::io;

use super::Line;

/// The comment lines at the top of a file. The engine skips them, and they count as no rows; a spreadsheet shows
/// each in one cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heading(Vec<String>);

impl Heading {
    /// The longest heading, in bytes; so much is kept free in every file. What is longer is cut.
    pub const MAX_BYTES: usize = 1000;

    /// Makes a comment of each text: which run this is, which file of it, the digest of its plan.
    ///
    /// A comment is plain ASCII without commas, quotation marks and backslashes, which are replaced, so that it
    /// is one unquoted cell that begins with `# `.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut room = Self::MAX_BYTES;
        let mut comments = Vec::new();
        for text in texts {
            // The space matters: a file that begins with `#!` looks like a program to whoever guesses types.
            let comment = format!("# {}", text.as_ref());
            let Some(most) = room.checked_sub(1).filter(|most| *most > 0) else {
                break;
            };
            let comment: String = comment.chars().map(plain).take(most).collect();
            room = most - comment.len();
            comments.push(comment);
        }
        Self(comments)
    }
}

fn plain(c: char) -> char {
    match c {
        ',' => ';',
        '"' => '\'',
        '\\' => '/',
        ' ' => c,
        c if c.is_ascii_graphic() => c,
        _ => '?',
    }
}

/// The length of the line of column names.
pub(super) fn header_bytes(columns: &[&str]) -> usize {
    let names: usize = columns.iter().map(|name| name.len()).sum();
    names + columns.len()
}

pub(super) fn write<'a, R: Line + 'a>(
    out: impl io::Write,
    heading: &Heading,
    columns: &[&str],
    rows: impl IntoIterator<Item = &'a R>,
) -> csv::Result<()> {
    // Flexible, because a comment is one cell.
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(out);
    for comment in &heading.0 {
        writer.write_record([comment])?;
    }
    writer.write_record(columns)?;
    for row in rows {
        for cell in row.cells() {
            writer.write_field(&*cell)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::{CategoryId, PermissionLevel, ReferenceId, UpdateMethod, UserId};
    use crate::kaltura::Write;
    use crate::kaltura::csv::{Address, Style};

    fn file(style: Style, heading: &Heading) -> String {
        let writes = [Write::Add {
            category: CategoryId(57),
            user: UserId::new("ada@example.edu"),
            level: PermissionLevel::Member,
            method: UpdateMethod::Automatic,
        }];
        let reference_id = ReferenceId::new("ÄÖ-1/2");
        let piece = style.piece(&writes, Some(&reference_id), ()).unwrap();
        let mut out = Vec::new();
        style.write(&mut out, heading, &piece.rows).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_file_is_comments_names_and_rows() {
        let heading = Heading::new(["Rollbook run 12, file 1", "plan \"3f\\a\" of Zoë"]);
        assert_eq!(
            file(Style::default(), &heading),
            "# Rollbook run 12; file 1\n# plan '3f/a' of Zo?\n\
             *action,categoryId,userId,permissionLevel,updateMethod,status\n\
             1,57,ada@example.edu,3,1,\n"
        );
    }

    #[test]
    fn by_reference_id_there_is_another_column() {
        let style = Style {
            address: Address::ReferenceId,
            ..Style::default()
        };
        assert_eq!(
            file(style, &Heading::default()),
            "*action,categoryReferenceId,userId,permissionLevel,updateMethod,status\n\
             1,ÄÖ-1/2,ada@example.edu,3,1,\n"
        );
    }

    #[test]
    fn a_heading_is_never_longer_than_what_is_kept_free() {
        for (texts, length) in [(1, 2000), (2000, 1), (20, 60), (3, 331), (499, 0)] {
            let Heading(comments) = Heading::new(vec!["ä".repeat(length); texts]);
            let bytes: usize = comments.iter().map(|comment| comment.len() + 1).sum();
            assert!(bytes <= Heading::MAX_BYTES, "{texts} × {length}: {bytes}");
            assert!(comments.iter().all(|comment| comment.starts_with('#')));
        }
    }
}
