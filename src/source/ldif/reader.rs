//! LDIF, record by record (RFC 2849), with what ldapsearch and ldifde write around it.

use std::io::{self, BufRead};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::entry::{Attribute, Entry};
use super::ending::Ending;
use super::joined::{self, Seam};
use super::lines::Lines;
use crate::directory::{Dn, short_name};

/// What keeps a file from being read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {line}: {reason}")]
    Syntax { line: u64, reason: &'static str },
}

const CHANGES: &str = "the changetype of this record says that it changes or deletes an entry; an export has only entries and records that add (slapcat and ldapsearch write one)";
const RUN_TOGETHER: &str = "a record begins inside another one: the file was cut, or another one was appended to a cut file";

/// A record of a file.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    pub(super) entry: Entry,
    /// Where it begins.
    pub(super) line: u64,
}

/// What a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// An entry.
    Entry,
    /// An entry, of which a part is missing or belongs to another one: records run together.
    Cut,
    /// Further values of an entry that has a record of its own, as ldifde writes big groups.
    Additions,
}

/// Reads the records of a file.
pub(super) struct Reader<R> {
    lines: Lines<R>,
    ending: Ending,
    /// The record whose `dn` was found inside the one before.
    begun: Option<Draft>,
    /// Whether a record was seen.
    any: bool,
}

/// A record of which more lines may follow.
struct Draft {
    record: Record,
    /// Whether its name could be read.
    named: bool,
    /// The attribute to which the last line belongs, by its place, and whether the line's value is
    /// there; `None` for the name.
    last: Option<(usize, bool)>,
    /// The attribute whose values are added, in a record of changes.
    adding: Option<String>,
    /// Lines that may be the seam between two records.
    seams: Vec<Seam>,
}

/// A line of a record.
struct Line<'l> {
    name: &'l str,
    /// `None` where it cannot be read.
    value: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input),
            ending: Ending::default(),
            begun: None,
            any: false,
        }
    }

    /// What it read from.
    pub(super) fn into_input(self) -> R {
        self.lines.into_input()
    }

    /// Says what keeps the file from being all of these bases, if anything does. To be asked after the
    /// last record.
    pub(super) fn problem(&self, end_marker: Option<&str>, bases: &[&Dn]) -> Option<String> {
        let (stop, last_line) = (self.lines.stop(), self.lines.last_line());
        self.ending.problem(stop, last_line, end_marker, bases)
    }

    /// Notes that the file is damaged at a line.
    pub(super) fn doubt(&mut self, line: u64, reason: &str) {
        self.ending.doubt(line, reason);
    }

    /// The next record; `None` at the end. A record whose name cannot be read is left out, and makes
    /// the file a doubtful one.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        if self.lines.number() == 0
            && let Some(reason) = self.lines.foreign()?
        {
            return Err(ReadError::Syntax { line: 1, reason });
        }
        let mut open = self.begun.take();
        while self.lines.advance()? {
            let is_comment = self.lines.line().starts_with(b"#");
            let Some(mut draft) = open.take() else {
                if is_comment {
                    let (comment, line) = (self.lines.line(), self.lines.number());
                    self.ending.note_comment(comment, line);
                } else if !self.lines.line().is_empty() {
                    open = self.begin()?;
                }
                continue;
            };
            let ended = if self.lines.line().is_empty() {
                true
            } else if is_comment {
                self.note_comment_within(&mut draft)
            } else {
                self.go_on(&mut draft)?
            };
            if !ended {
                open = Some(draft);
            } else if let Some(record) = self.finish(draft) {
                return Ok(Some(record));
            } else {
                open = self.begun.take();
            }
        }
        Ok(open.and_then(|draft| self.finish(draft)))
    }

    /// A comment may stand in a record; the head of another export may not.
    fn note_comment_within(&mut self, draft: &mut Draft) -> bool {
        let (comment, number) = (self.lines.line(), self.lines.number());
        let is_head = [b"# extended LDIF" as &[u8], b"# LDAPv3"].contains(&comment);
        if is_head {
            self.ending.doubt(number, RUN_TOGETHER);
            draft.record.kind = RecordKind::Cut;
        }
        self.ending.note_comment(comment, number);
        is_head
    }

    /// Takes a line that stands outside of any record.
    fn begin(&mut self) -> Result<Option<Draft>, ReadError> {
        let number = self.lines.number();
        let reason = match read(self.lines.line()) {
            Some(Line { name, value }) if name.eq_ignore_ascii_case("dn") => {
                return Ok(Some(self.named(value.as_deref())));
            }
            Some(Line {
                name: "version", ..
            }) => {
                let is_apart = !self.any || self.lines.is_behind_empty_line();
                self.ending.note_version(number, is_apart);
                return Ok(None);
            }
            Some(Line { name, value }) => {
                let value = value.unwrap_or_default();
                if self.ending.note_trailer(name, &value, number) {
                    return Ok(None);
                }
                "a record must begin with its dn"
            }
            None => "a line must be an attribute, a colon and a value",
        };
        if !self.any {
            return Err(self.syntax(reason));
        }
        self.ending.doubt(number, reason);
        Ok(Some(Draft::new(String::new(), number, false)))
    }

    /// Begins the record of a name, which is `None` where it cannot be read.
    fn named(&mut self, name: Option<&[u8]>) -> Draft {
        let number = self.lines.number();
        self.any = true;
        self.ending.begin_entry();
        let name = name.filter(|_| !joined::begins_inside(self.lines.line()));
        if name.is_none() {
            self.ending
                .doubt(number, "the name of this record cannot be read");
        }
        let text = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        Draft::new(text, number, name.is_some())
    }

    /// Takes a line of a record; answers whether the record ends with it.
    fn go_on(&mut self, draft: &mut Draft) -> Result<bool, ReadError> {
        let number = self.lines.number();
        let text = self.lines.line();
        let cut = joined::begins_inside(text);
        if cut {
            self.ending.doubt(number, RUN_TOGETHER);
            draft.record.kind = RecordKind::Cut;
        }
        if draft.record.kind == RecordKind::Additions && text == b"-" {
            draft.adding = None;
            return Ok(false);
        }
        let Some(Line { name, value }) = read(text) else {
            if !draft.spoil_last() {
                self.ending
                    .doubt(number, "this line continues a name that cannot be read");
            }
            return Ok(false);
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("dn") || (name == "version" && value.as_deref() == Some(b"1")) {
            self.ending.doubt(number, RUN_TOGETHER);
            draft.record.kind = RecordKind::Cut;
            if is("dn") {
                self.begun = Some(self.named(value.as_deref()));
            }
            return Ok(true);
        }
        if draft.is_new() && (is("changetype") || is("control")) {
            let value = value.map(|value| value.trim_ascii().to_ascii_lowercase());
            match value.as_deref() {
                Some(b"add") if is("changetype") => {}
                Some(b"modify") if is("changetype") => draft.record.kind = RecordKind::Additions,
                _ => return Err(self.syntax(CHANGES)),
            }
            return Ok(false);
        }
        if draft.record.kind == RecordKind::Additions {
            match (&draft.adding, &value) {
                (None, Some(value)) if is("add") => {
                    draft.adding = Some(String::from_utf8_lossy(value).trim().to_owned());
                    return Ok(false);
                }
                (Some(adding), _) if is(adding) => {}
                _ => return Err(self.syntax(CHANGES)),
            }
        }
        let value = value.filter(|_| !cut);
        let seam = value.as_ref().and_then(|value| Seam::find(name, value));
        draft.seams.extend(seam);
        draft.add(name, value);
        Ok(false)
    }

    /// The record, unless it has no name.
    fn finish(&mut self, draft: Draft) -> Option<Record> {
        let mut record = draft.record;
        if draft.seams.iter().any(|seam| seam.joins(&record.entry)) {
            self.ending.doubt(record.line, RUN_TOGETHER);
            record.kind = RecordKind::Cut;
        }
        if draft.adding.is_some() {
            let reason = "this record of changes has no end: the line \"-\" is missing";
            self.ending.doubt(record.line, reason);
        }
        draft.named.then_some(record)
    }

    fn syntax(&self, reason: &'static str) -> ReadError {
        ReadError::Syntax {
            line: self.lines.number(),
            reason,
        }
    }
}

impl Draft {
    fn new(dn: String, line: u64, named: bool) -> Self {
        let attributes = Vec::new();
        Self {
            record: Record {
                kind: RecordKind::Entry,
                entry: Entry { dn, attributes },
                line,
            },
            named,
            last: None,
            adding: None,
            seams: Vec::new(),
        }
    }

    /// Whether nothing but its name has been read.
    fn is_new(&self) -> bool {
        self.record.kind == RecordKind::Entry && self.record.entry.attributes.is_empty()
    }

    fn add(&mut self, name: &str, value: Option<Vec<u8>>) {
        let attributes = &mut self.record.entry.attributes;
        // Values of one attribute usually stand together.
        let place = attributes
            .iter()
            .rposition(|a| a.description.eq_ignore_ascii_case(name));
        let place = place.unwrap_or_else(|| {
            attributes.push(Attribute {
                description: canonical(name),
                values: Vec::new(),
            });
            attributes.len() - 1
        });
        self.last = Some((place, value.is_some()));
        match value {
            Some(value) => attributes[place].values.push(value),
            None => self.mark_unreadable(place),
        }
    }

    /// Takes back the value of the last line, which goes on in a line that cannot be read; `false`
    /// where that line was the name.
    fn spoil_last(&mut self) -> bool {
        let Some((place, is_there)) = self.last else {
            return !std::mem::take(&mut self.named);
        };
        if is_there {
            self.record.entry.attributes[place].values.pop();
            self.last = Some((place, false));
        }
        self.mark_unreadable(place);
        true
    }

    fn mark_unreadable(&mut self, place: usize) {
        let attributes = &mut self.record.entry.attributes;
        let mark = Attribute::unreadable(&attributes[place].description);
        if !attributes.contains(&mark) {
            attributes.push(mark);
        }
    }
}

/// Takes a line apart: `name: value`, `name:: base64`; `None` where it does not begin with the name
/// of an attribute. Values in other files (`:<`) are not read.
fn read(line: &[u8]) -> Option<Line<'_>> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, rest) = (&line[..colon], &line[colon + 1..]);
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.;=*".contains(byte);
    if !name.first()?.is_ascii_alphanumeric() || !name.iter().all(valid) {
        return None;
    }
    let value = match rest {
        [b':', encoded @ ..] => BASE64.decode(encoded.trim_ascii()).ok(),
        [b'<', ..] => None,
        plain => Some(plain.trim_ascii_start().to_vec()),
    };
    let name = str::from_utf8(name).ok()?;
    Some(Line { name, value })
}

/// The short name of an attribute description, options kept, where it has one.
fn canonical(description: &str) -> String {
    let lower = description.to_ascii_lowercase();
    let (base, options) = lower.split_at(lower.find(';').unwrap_or(lower.len()));
    let short = short_name(base);
    if short == base {
        return description.to_owned();
    }
    format!("{short}{options}")
}

#[cfg(test)]
mod tests;
