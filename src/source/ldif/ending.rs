//! What proves that an LDIF file is all of an export: its end, and the ends of the exports in it.
//!
//! Half a file is a valid file, so what stands between and behind the records is looked at as closely
//! as the records.

use percent_encoding::percent_decode;

use super::lines::Stop;
use crate::directory::Dn;

const NO_END: &str = "another export begins here, and the one before it has no end";

/// What is known of the ends of the exports in a file.
#[derive(Debug, Default, Clone)]
pub(super) struct Ending {
    /// The first thing that shows that the file is damaged.
    doubt: Option<String>,
    /// Whether ldapsearch wrote the present export and says so, so that its last lines must follow.
    by_ldapsearch: bool,
    /// Where its header begins.
    header: u64,
    /// Whether ldapsearch's last lines were seen since the last entry.
    trailer: bool,
    /// The result in ldapsearch's last lines, where it is not success.
    result: Option<String>,
    /// Whether more pages must follow.
    more_pages: bool,
    /// The number of ldapsearch's last operation, which grows from page to page.
    operation: u64,
    /// References to other servers: the name of the place that they have, where it can be read.
    references: Vec<Option<Dn>>,
}

impl Ending {
    /// Says what keeps the file from being all of these bases, if anything does.
    pub(super) fn problem(
        &self,
        stop: Stop,
        last_line: &[u8],
        end_marker: Option<&str>,
        bases: &[&Dn],
    ) -> Option<String> {
        if self.doubt.is_some() {
            return self.doubt.clone();
        }
        let references = self
            .references
            .iter()
            .filter(|place| matters(place.as_ref(), bases));
        let references = references.count();
        if references > 0 {
            return Some(format!(
                "it refers to other servers for parts of the tree ({references}), which are not in it. Export those, too"
            ));
        }
        if let Some(result) = &self.result {
            return Some(format!("ldapsearch ended with result {result}"));
        }
        if self.is_unfinished() {
            return Some(
                "ldapsearch did not come to its end: its last lines are missing".to_owned(),
            );
        }
        if let Some(marker) = end_marker {
            let found = stop != Stop::Open && last_line == marker.trim_end().as_bytes();
            return (!found).then(|| format!("its last line is not the end_marker {marker:?}"));
        }
        match stop {
            Stop::Open => Some("its last line has no line break".to_owned()),
            Stop::LineBreak if !self.trailer => Some(
                "its last record has no empty line behind it, as every export tool writes one"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether an export has begun and has not come to its end.
    fn is_unfinished(&self) -> bool {
        self.more_pages || (self.by_ldapsearch && !self.trailer)
    }

    /// Notes that the file is damaged at a line.
    pub(super) fn doubt(&mut self, line: u64, reason: &str) {
        self.doubt
            .get_or_insert_with(|| format!("line {line}: {reason}"));
    }

    pub(super) fn begin_entry(&mut self) {
        self.trailer = false;
    }

    /// Notes a comment between two records.
    pub(super) fn note_comment(&mut self, comment: &[u8], line: u64) {
        match comment {
            b"# extended LDIF" => self.begin_export(line),
            // The same header, or that of `ldapsearch -L`, which has no line before.
            b"# LDAPv3" if line.saturating_sub(self.header) > 2 || self.header == 0 => {
                self.begin_export(line);
            }
            b"# search result" => self.trailer = true,
            _ => {
                let after = |prefix: &str| comment.strip_prefix(prefix.as_bytes());
                if let Some(result) = after("# result: ") {
                    self.note_result(result);
                } else if let Some(value) = after("# pagedresults: ") {
                    self.note_page(value);
                } else if let Some(url) = after("# ref").filter(|url| url.starts_with(b"ldap")) {
                    self.references.push(place(url));
                }
            }
        }
    }

    /// Notes that another export begins: the one before must have come to its end, or to the end of
    /// a page, after which the next page has a header of its own.
    fn begin_export(&mut self, line: u64) {
        if self.by_ldapsearch && !self.trailer {
            self.doubt(line, NO_END);
        }
        self.by_ldapsearch = true;
        self.header = line;
        self.trailer = false;
    }

    /// Notes a line `version: 1` between two records, which begins an export or a page. It stands
    /// behind an empty line, at the beginning, or behind ldapsearch's last lines.
    pub(super) fn note_version(&mut self, line: u64, is_apart: bool) {
        if !self.trailer && (self.by_ldapsearch || !is_apart) {
            self.doubt(line, NO_END);
        }
    }

    /// Notes a line of ldapsearch's last ones; `false` where it is none.
    pub(super) fn note_trailer(&mut self, name: &str, value: &[u8], line: u64) -> bool {
        match name {
            "search" => self.note_operation(value, line),
            "matchedDN" | "text" | "control" => {}
            "pagedresults" => self.note_page(value),
            "ref" => self.references.push(place(value)),
            "result" => self.note_result(value),
            _ => return false,
        }
        true
    }

    /// Pages of one search have growing numbers; where they begin again, another search has begun.
    fn note_operation(&mut self, number: &[u8], line: u64) {
        let number = str::from_utf8(number).ok().and_then(|n| n.parse().ok());
        let Some(number) = number else { return };
        if self.more_pages && number <= self.operation {
            self.doubt(
                line,
                "another export ends here, and the one before it has no last page",
            );
        }
        self.operation = number;
    }

    /// Notes the end of a page (RFC 2696): an empty cookie says that it was the last one.
    fn note_page(&mut self, value: &[u8]) {
        self.more_pages = value.trim_ascii() != b"cookie=";
        self.trailer = true;
    }

    fn note_result(&mut self, result: &[u8]) {
        self.trailer = true;
        if !result.starts_with(b"0 ") {
            self.result = Some(String::from_utf8_lossy(result).into_owned());
        }
    }
}

/// The place that a reference is about: the DN of an LDAP URL (RFC 4516).
fn place(url: &[u8]) -> Option<Dn> {
    let start = url.windows(3).position(|three| three == b"://")? + 3;
    let dn = url[start..].splitn(2, |byte| *byte == b'/').nth(1)?;
    let dn = dn.split(|byte| *byte == b'?').next()?;
    let dn = percent_decode(dn).decode_utf8().ok()?;
    if dn.trim().is_empty() {
        return None;
    }
    Dn::parse(&dn).ok()
}

/// Active Directory's own partitions, to which every search of a whole domain refers. They hold
/// neither people nor groups.
const PARTITIONS: [&str; 3] = [
    "dc=domaindnszones,",
    "dc=forestdnszones,",
    "cn=configuration,",
];

/// Whether entries of one of the bases could be at this place. One that cannot be read could be any.
fn matters(place: Option<&Dn>, bases: &[&Dn]) -> bool {
    let Some(place) = place else { return true };
    let is_partition = PARTITIONS
        .iter()
        .any(|name| place.as_str().starts_with(name));
    let mut bases = bases.iter();
    bases.any(|base| base.is_under(place) || (place.is_under(base) && !is_partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_matter_where_they_could_hold_entries_of_a_base() {
        let dn = |text| Dn::parse(text).unwrap();
        let (people, groups) = (
            dn("ou=people,dc=example,dc=edu"),
            dn("ou=groups,dc=example,dc=edu"),
        );
        for (url, expected) in [
            ("ldap://other/ou=people,dc=example,dc=edu??sub", true),
            ("ldap://other/ou=staff,ou=People,dc=example,dc=edu", true),
            ("ldap://other/dc=example,dc=edu??sub", true),
            ("ldap://other/ou=alumni%2Cdc=example,dc=edu", false),
            ("ldap://other/", true),
            ("ldap://other", true),
            ("ldap://other/??sub", true),
            ("ldap://other/nonsense", true),
        ] {
            let found = matters(place(url.as_bytes()).as_ref(), &[&people, &groups]);
            assert_eq!(found, expected, "{url}");
        }
        let url = b"ldap://example.edu/DC=DomainDnsZones,DC=example,DC=edu";
        assert!(!matters(place(url).as_ref(), &[&dn("dc=example,dc=edu")]));
    }
}
