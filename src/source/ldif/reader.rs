//! LDIF, record by record (RFC 2849), with what ldapsearch writes around it.
//!
//! *Its one idea: the end of a file has to prove that it is the end.* Half a file is a valid file,
//! so what follows the last record is looked at as closely as the records.

use std::io::{self, BufRead};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::entry::{Attribute, Entry};
use crate::directory::short_name;

/// What keeps a file from being read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {line}: {reason}")]
    Syntax { line: u64, reason: &'static str },
}

/// Reads the entries of a file.
pub(super) struct Reader<R> {
    input: R,
    /// The line that is being put together, and the next one, which may continue it.
    line: Vec<u8>,
    ahead: Vec<u8>,
    /// Where the line begins, and the next one.
    number: u64,
    next_number: u64,
    ending: Ending,
}

/// What is known of the end of a file.
#[derive(Debug, Default, Clone)]
pub(super) struct Ending {
    /// The last line that is not empty.
    last_line: Vec<u8>,
    /// How the last line ends.
    stop: Stop,
    /// Whether ldapsearch wrote the file, and says so at its beginning.
    by_ldapsearch: bool,
    /// Whether ldapsearch's last lines were seen since the last entry.
    trailer: bool,
    /// The result in ldapsearch's last lines, where it is not success.
    result: Option<String>,
    /// Whether more pages would have followed.
    more_pages: bool,
    /// References to other servers.
    references: u64,
}

/// How the last line of a file ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// In the middle.
    #[default]
    Open,
    /// With a line break.
    LineBreak,
    /// With an empty line behind it.
    EmptyLine,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            ahead: Vec::new(),
            number: 0,
            next_number: 1,
            ending: Ending::default(),
        }
    }

    /// What it read from.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// How the file ended. To be asked after the last entry.
    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// The next entry; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        let mut entry: Option<Entry> = None;
        while self.next_line()? {
            if self.line.is_empty() {
                if entry.is_some() {
                    break;
                }
                continue;
            }
            if self.line[0] == b'#' {
                self.ending.note_comment(&self.line);
                continue;
            }
            let (name, value) = self.attribute()?;
            match &mut entry {
                Some(entry) => self.add(entry, name, value)?,
                None if name.eq_ignore_ascii_case("dn") => {
                    self.ending.begin_entry();
                    entry = Some(Entry {
                        dn: String::from_utf8_lossy(&value).into_owned(),
                        attributes: Vec::new(),
                    });
                }
                None if name == "version" => {}
                None if self.ending.note_trailer(&name, &value) => {}
                None => return Err(self.syntax("a record must begin with its dn")),
            }
        }
        Ok(entry)
    }

    fn add(&self, entry: &mut Entry, name: String, value: Vec<u8>) -> Result<(), ReadError> {
        if entry.attributes.is_empty()
            && (name.eq_ignore_ascii_case("changetype") || name.eq_ignore_ascii_case("control"))
        {
            return Err(self.syntax(
                "this is a record of changes; an export of entries has no changetype (slapcat and ldapsearch write one)",
            ));
        }
        let name = canonical(name);
        let attributes = &mut entry.attributes;
        // Values of one attribute usually stand together.
        let place = attributes
            .iter()
            .rposition(|a| a.description.eq_ignore_ascii_case(&name));
        match place {
            Some(place) => attributes[place].values.push(value),
            None => attributes.push(Attribute {
                description: name,
                values: vec![value],
            }),
        }
        Ok(())
    }

    /// Takes the line apart: `name: value`, `name:: base64`.
    fn attribute(&self) -> Result<(String, Vec<u8>), ReadError> {
        let colon = self.line.iter().position(|byte| *byte == b':');
        let colon =
            colon.ok_or_else(|| self.syntax("a line must be an attribute, a colon and a value"))?;
        let (name, rest) = (&self.line[..colon], &self.line[colon + 1..]);
        let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.;=*".contains(byte);
        if name.is_empty() || !name.iter().all(valid) {
            return Err(self.syntax("what stands before the colon is not the name of an attribute"));
        }
        let value = match rest {
            [b':', encoded @ ..] => BASE64
                .decode(encoded.trim_ascii())
                .map_err(|_| self.syntax("the value is not valid base64"))?,
            [b'<', ..] => return Err(self.syntax("values in other files (:<) are not read")),
            plain => plain.trim_ascii_start().to_vec(),
        };
        Ok((String::from_utf8_lossy(name).into_owned(), value))
    }

    fn syntax(&self, reason: &'static str) -> ReadError {
        ReadError::Syntax {
            line: self.number,
            reason,
        }
    }

    /// Puts the next line together from its parts: a line that begins with a space continues the one
    /// before it. `false` at the end of the file.
    fn next_line(&mut self) -> Result<bool, ReadError> {
        if self.number == 0 {
            self.read_ahead()?;
            if self.ahead.starts_with(b"\xef\xbb\xbf") {
                self.ahead.drain(..3);
            }
        }
        let Some(ended) = without_break(&self.ahead) else {
            return Ok(false);
        };
        self.line.clear();
        self.line.extend_from_slice(ended);
        self.note_end(ended.len());
        self.number = self.next_number;
        self.next_number += 1;
        loop {
            self.read_ahead()?;
            let Some(ended) = without_break(&self.ahead) else {
                break;
            };
            let [b' ', rest @ ..] = ended else {
                break;
            };
            self.line.extend_from_slice(rest);
            self.note_end(ended.len());
            self.next_number += 1;
        }
        if !self.line.is_empty() {
            self.ending.last_line.clone_from(&self.line);
        }
        Ok(true)
    }

    /// Notes how the line in `ahead` ended, of so many octets without its break.
    fn note_end(&mut self, length: usize) {
        self.ending.stop = match (length, self.ahead.len() - length) {
            (_, 0) => Stop::Open,
            (0, _) => Stop::EmptyLine,
            _ => Stop::LineBreak,
        };
    }

    fn read_ahead(&mut self) -> io::Result<()> {
        self.ahead.clear();
        self.input.read_until(b'\n', &mut self.ahead)?;
        Ok(())
    }
}

/// A line without its break; `None` for no line at all.
fn without_break(line: &[u8]) -> Option<&[u8]> {
    if line.is_empty() {
        return None;
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// The short name of an attribute description, options kept, where it has one.
fn canonical(description: String) -> String {
    let lower = description.to_ascii_lowercase();
    let (base, options) = lower.split_at(lower.find(';').unwrap_or(lower.len()));
    let short = short_name(base);
    if short == base {
        return description;
    }
    format!("{short}{options}")
}

impl Ending {
    /// Says what is missing at the end of the file, if anything is.
    pub(super) fn problem(&self, end_marker: Option<&str>) -> Option<String> {
        if self.references > 0 {
            return Some(format!(
                "it refers to other servers for {} parts of the tree, which are not in it",
                self.references
            ));
        }
        if let Some(result) = &self.result {
            return Some(format!("ldapsearch ended with result {result}"));
        }
        if self.more_pages || (self.by_ldapsearch && !self.trailer) {
            return Some(
                "ldapsearch did not come to its end: its last lines are missing".to_owned(),
            );
        }
        if let Some(marker) = end_marker {
            let found = self.stop != Stop::Open && self.last_line == marker.trim_end().as_bytes();
            return (!found).then(|| format!("its last line is not the end_marker {marker:?}"));
        }
        match self.stop {
            Stop::Open => Some("its last line has no line break".to_owned()),
            Stop::LineBreak if !self.trailer => Some(
                "its last record has no empty line behind it, as every export tool writes one"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn begin_entry(&mut self) {
        self.trailer = false;
    }

    fn note_comment(&mut self, line: &[u8]) {
        match line {
            b"# extended LDIF" | b"# LDAPv3" => self.by_ldapsearch = true,
            b"# search result" => self.trailer = true,
            _ if line.starts_with(b"# refldap") => self.references += 1,
            _ => {
                if let Some(result) = line.strip_prefix(b"# result: ") {
                    self.note_result(result);
                }
            }
        }
    }

    /// Notes a line of ldapsearch's last ones; `false` where it is none.
    fn note_trailer(&mut self, name: &str, value: &[u8]) -> bool {
        match name {
            "search" | "matchedDN" | "text" | "control" => {}
            "pagedresults" => self.more_pages = value != b"cookie=",
            "ref" => self.references += 1,
            "result" => self.note_result(value),
            _ => return false,
        }
        true
    }

    fn note_result(&mut self, result: &[u8]) {
        self.trailer = true;
        if !result.starts_with(b"0 ") {
            self.result = Some(String::from_utf8_lossy(result).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<Vec<Entry>, String>, Ending) {
        let mut reader = Reader::new(text.as_bytes());
        let mut entries = Vec::new();
        let read = loop {
            match reader.next() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => break Ok(entries),
                Err(error) => break Err(error.to_string()),
            }
        };
        (read, reader.ending().clone())
    }

    #[test]
    fn folded_lines_base64_comments_and_line_breaks_of_windows() {
        let (entries, ending) = read(
            "version: 1\r\n# a comment\r\n  that goes on\r\ndn:: dWlkPVpvw6s=\r\nuid: Zo\r\n  e\r\n\
             surname;lang-en: King\r\nmail:\r\nmember: a\r\nMember: b\r\n\r\n\r\ndn: cn=x\r\ncn: x\r\n\r\n",
        );
        let entries = entries.unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].dn, "uid=Zoë");
        assert_eq!(entries[0].text("uid"), Ok(Some("Zo e")));
        assert_eq!(entries[0].text("sn"), Ok(Some("King")));
        assert_eq!(entries[0].text("mail"), Ok(None));
        assert_eq!(entries[0].values("member").iter().count(), 2);
        assert_eq!(ending.problem(None), None);
    }

    #[test]
    fn half_a_file_is_told_from_a_whole_one() {
        let whole = "dn: cn=a\ncn: a\n\ndn: cn=b\ncn: b\n\n";
        assert_eq!(read(whole).1.problem(None), None);
        for cut in whole.len() - 15..whole.len() {
            let (_, ending) = read(&whole[..cut]);
            let at_a_record = whole[..cut].ends_with("\n\n");
            assert_eq!(ending.problem(None).is_none(), at_a_record, "{cut}");
            assert!(ending.problem(Some("# end")).is_some());
        }
        let marked = format!("{whole}# end of export\n");
        assert_eq!(read(&marked).1.problem(Some("# end of export")), None);
        assert!(read(whole).1.problem(Some("# end of export")).is_some());
        let cut = marked.trim_end();
        assert!(read(cut).1.problem(Some("# end of export")).is_some());
    }

    #[test]
    fn what_ldapsearch_says_at_the_end_is_believed() {
        let head = "# extended LDIF\n#\n# LDAPv3\n\ndn: cn=a\ncn: a\n\n";
        let problem = |tail: &str| read(&format!("{head}{tail}")).1.problem(None);
        let good = "# search result\nsearch: 2\nresult: 0 Success\n\n# numResponses: 2\n";
        assert_eq!(problem(good), None);
        assert!(problem("").unwrap().contains("last lines are missing"));
        let limited = good.replace("0 Success", "4 Size limit exceeded");
        assert!(problem(&limited).unwrap().contains("4 Size limit exceeded"));
        assert!(problem(&format!("# search reference\nref: ldap://x\n\n{good}")).is_some());
        let paged = |cookie: &str| {
            good.replace(
                "Success\n",
                &format!("Success\npagedresults: cookie={cookie}\n"),
            )
        };
        assert_eq!(problem(&paged("")), None);
        assert!(problem(&paged("AAAA")).is_some());
        let cut_later = format!("{good}dn: cn=b\ncn: b\n\n");
        assert!(problem(&cut_later).is_some());
    }

    #[test]
    fn what_is_no_export_is_refused_with_its_line() {
        for (text, line, reason) in [
            ("dn: cn=a\nchangetype: delete\n\n", 2, "changes"),
            ("dn: cn=a\njpegPhoto:< file:///x\n\n", 2, "other files"),
            ("dn: cn=a\nno colon\n", 2, "colon"),
            ("\n\ncn: a\n", 3, "begin with its dn"),
            ("dn: cn=a\nsn:\n  x\ncn:: %%%\n", 4, "base64"),
        ] {
            let error = read(text).0.unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert!(error.starts_with(&format!("line {line}:")), "{error}");
        }
    }
}
