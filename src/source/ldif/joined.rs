//! Files that were cut and had another one appended, so that two records run together.
//!
//! Where the cut is between two lines, a `dn:` stands inside a record, which no export has. Where it
//! is inside a line, the other file's first line stands behind what is left of it:
//! `member: uid=bodn: uid=ada,ou=people,dc=example,dc=edu`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::entry::Entry;
use crate::directory::{Dn, fold};

/// How many exports begin.
const VERSION: &str = "version: 1";

/// Whether another record, or the head of another file, begins inside this line of a record.
pub(super) fn begins_inside(line: &[u8]) -> bool {
    let front = |head: &str| line.strip_suffix(head.as_bytes());
    if front("# extended LDIF").is_some_and(|front| !front.is_empty())
        || front(VERSION).is_some_and(|front| front.contains(&b':'))
    {
        return true;
    }
    let mut rest = line;
    while let Some(colon) = rest.iter().position(|byte| *byte == b':') {
        let (before, after) = rest.split_at(colon);
        let is_first = rest.len() == line.len();
        // The first colon of a line ends the name of its own attribute.
        let ends = before.len().saturating_sub(2);
        if before[ends..].eq_ignore_ascii_case(b"dn") && !is_first && name_in(after).is_some() {
            return true;
        }
        rest = &after[1..];
    }
    false
}

/// Reads the name in `: ou=people,dc=…` or `:: b3U9…`.
fn name_in(after: &[u8]) -> Option<Dn> {
    let name = match after {
        [b':', b':', encoded @ ..] => BASE64.decode(encoded.trim_ascii()).ok()?,
        [b':', b' ', plain @ ..] => plain.to_vec(),
        _ => return None,
    };
    let name = str::from_utf8(&name).ok()?;
    name.contains('=').then(|| Dn::parse(name).ok())?
}

/// A line that may be the seam between two records inside the name of an attribute: the rest of the
/// name and the first line of another file, as `objecdn: ou=people,dc=…` or `membversion: 1`. There
/// are attributes that end so, such as `entrydn`; [`joins`](Self::joins) tells.
pub(super) struct Seam {
    stem: String,
    /// The name of the record that begins here, unless it is a `version` line.
    other: Option<Dn>,
}

impl Seam {
    /// Looks for a seam in a line of a record.
    pub(super) fn find(name: &str, value: &[u8]) -> Option<Self> {
        let (stem, other) = match name.strip_suffix("version") {
            Some(stem) if value == b"1" => (stem, None),
            Some(_) => return None,
            None => {
                let stem = name.strip_suffix("dn")?;
                let value = str::from_utf8(value)
                    .ok()
                    .filter(|text| text.contains('='))?;
                (stem, Some(Dn::parse(value).ok()?))
            }
        };
        (!stem.is_empty()).then(|| Self {
            stem: stem.to_owned(),
            other,
        })
    }

    /// Whether two records are joined here: the entry has an attribute whose name begins like this
    /// one's, or the one that names the other record.
    pub(super) fn joins(&self, entry: &Entry) -> bool {
        if self.other.is_some() && Dn::parse(&entry.dn).ok() == self.other {
            return false;
        }
        let is_rest_of = |whole: &str| {
            let rest = whole
                .get(..self.stem.len())
                .filter(|front| front.eq_ignore_ascii_case(&self.stem))
                .map(|front| &whole[front.len()..]);
            rest.is_some_and(|rest| !["dn", "version"].contains(&rest))
        };
        let mut names = entry.attributes.iter().map(|a| a.description.as_str());
        if names.any(is_rest_of) || COMMON.into_iter().any(is_rest_of) {
            return true;
        }
        let other = self.other.as_ref().map_or("", Dn::as_str);
        let own = other.split([',', '+']).next().unwrap_or_default();
        own.split_once('=').is_some_and(|(kind, value)| {
            let mut values = entry.values(kind).iter();
            values.any(|found| str::from_utf8(found).is_ok_and(|found| fold(found) == value))
        })
    }
}

/// Attributes that most entries have, so that a cut name may be one of them.
const COMMON: [&str; 8] = [
    "objectClass",
    "cn",
    "member",
    "uniqueMember",
    "memberUid",
    "description",
    "userPassword",
    "uid",
];

#[cfg(test)]
mod tests {
    use super::super::super::entry::entry;
    use super::*;

    #[test]
    fn a_record_that_begins_inside_a_line_is_seen() {
        for line in [
            "member: uid=bodn: ou=people,dc=example,dc=edu",
            "member:dn: ou=people,dc=example,dc=edu",
            "member: uid=boDN: ou=people,dc=example,dc=edu",
            "member: dn: ou=people,dc=example,dc=edu",
            "jpegPhoto:: /9j/4AAdn: ou=people,dc=example,dc=edu",
            "dn: cn=g,ou=grodn:: b3U9cGVvcGxlLGRjPWV4YW1wbGUsZGM9ZWR1",
            "mail: ada@exaversion: 1",
            "mail: ada@# extended LDIF",
        ] {
            assert!(begins_inside(line.as_bytes()), "{line}");
        }
        for line in [
            "dn: ou=people,dc=example,dc=edu",
            "entrydn: ou=people,dc=example,dc=edu",
            "version: 1",
            "schemaversion: 1",
            "aci: (targetattr=*)(version 3.0; acl \"x\"; allow (read) userdn = \"ldap:///self\";)",
            "description: the dn: it is a name",
            "labeledURI: http://example.edu/?dn:x",
        ] {
            assert!(!begins_inside(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_name_that_is_cut_is_told_from_attributes_that_hold_names() {
        let joined = |name: &str, value: &str, attributes: &[(&str, &[&str])]| {
            let entry = entry("uid=ada,dc=edu", attributes);
            Seam::find(name, value.as_bytes()).is_some_and(|seam| seam.joins(&entry))
        };
        assert!(joined("objecdn", "ou=people,dc=edu", &[]));
        assert!(joined(
            "mailAddn",
            "uid=bob,dc=edu",
            &[("mailAddress", &["x"])]
        ));
        assert!(joined("xdn", "uid=bob,dc=edu", &[("uid", &["Bob"])]));
        assert!(!joined("entrydn", "uid=ada,dc=edu", &[("uid", &["ada"])]));
        assert!(!joined("managerdn", "uid=bob,dc=edu", &[("uid", &["ada"])]));
        assert!(joined("membversion", "1", &[]));
        assert!(joined("cnversion", "1", &[]));
        assert!(!joined("schemaversion", "1", &[]));
        assert!(!joined("membversion", "2", &[]));
        assert!(!joined("managerdn", "bob", &[("uid", &["bob"])]));
    }
}
