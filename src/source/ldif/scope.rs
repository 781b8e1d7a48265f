//! Which entries of a file are of one kind.

use super::super::entry::Entry;
use super::super::filter::Filter;
use super::reader::RecordKind;
use crate::directory::{Dn, EntryKind, EntryProblem};

/// What a server would look at for one kind: a base and a filter.
pub(super) struct Scope {
    pub(super) kind: EntryKind,
    pub(super) base: Dn,
    filter: Filter,
    attributes: Vec<String>,
}

/// What is to be thought of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not below the base, or is of no concern.
    Elsewhere,
    /// It is below the base, and does not match the filter.
    Other,
    /// It is of this kind.
    Included,
    /// It is of this kind, or could be, and cannot be used.
    Unusable(EntryProblem),
}

impl Scope {
    /// Reads a base and a filter; the error says what is wrong with them.
    pub(super) fn new(kind: EntryKind, base: &str, filter: &str) -> Result<Self, String> {
        let filter = Filter::parse(filter).map_err(|error| error.to_string())?;
        let mut attributes = Vec::new();
        filter.attributes(&mut attributes);
        Ok(Self {
            kind,
            base: Dn::parse(base).map_err(|error| error.to_string())?,
            filter,
            attributes,
        })
    }

    /// The attributes that the filter looks at.
    pub(super) fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// Judges an entry.
    pub(super) fn judge(&self, entry: &Entry, kind: RecordKind) -> Verdict {
        let mut attributes = self.attributes.iter();
        let unreadable = attributes.find_map(|name| entry.incomplete(name));
        let matches = unreadable.is_some() || self.filter.matches(entry);
        // What the filter asks for may be missing because the account that exported it may not read it.
        let is_shown = self
            .attributes
            .iter()
            .all(|name| !entry.values(name).is_empty());
        let is_silent = self.kind == EntryKind::Group || kind == RecordKind::Cut || !is_shown;
        if !matches && is_silent {
            return Verdict::Elsewhere;
        }
        // Where a name cannot be read, nobody knows where the entry is.
        let is_here = Dn::parse(&entry.dn).map_or(matches, |dn| dn.is_under(&self.base));
        if !is_here || is_tombstone(entry) {
            Verdict::Elsewhere
        } else if !matches {
            Verdict::Other
        } else if kind == RecordKind::Cut {
            Verdict::Unusable(EntryProblem::RunTogether)
        } else {
            unreadable.map_or(Verdict::Included, Verdict::Unusable)
        }
    }
}

/// Whether this is a deleted entry, which 389 Directory Server exports for replication.
fn is_tombstone(entry: &Entry) -> bool {
    let mut classes = entry.values("objectclass").iter();
    classes.any(|class| class.eq_ignore_ascii_case(b"nsTombstone"))
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::{Attribute, entry};
    use super::*;

    fn judge(dn: &str, classes: &[&str], spoil: &str, kind: RecordKind) -> Verdict {
        let scope = Scope::new(
            EntryKind::Person,
            "ou=people,dc=edu",
            "(objectClass=person)",
        );
        let mut entry = entry(dn, &[("objectClass", classes)]);
        entry.attributes.push(Attribute::unreadable(spoil));
        scope.unwrap().judge(&entry, kind)
    }

    #[test]
    fn an_entry_is_of_a_kind_by_base_and_filter() {
        let simply =
            |dn: &str, classes: &[&str]| judge(dn, classes, "jpegPhoto", RecordKind::Entry);
        assert_eq!(
            simply("uid=ada,ou=People,dc=edu", &["person"]),
            Verdict::Included
        );
        assert_eq!(
            simply("uid=ada,ou=staff,dc=edu", &["person"]),
            Verdict::Elsewhere
        );
        assert_eq!(simply("cn=g,ou=people,dc=edu", &["device"]), Verdict::Other);
        let deleted = ["person", "nsTombstone"];
        assert_eq!(
            simply("uid=ada,ou=people,dc=edu", &deleted),
            Verdict::Elsewhere
        );
        assert_eq!(simply("nonsense", &["person"]), Verdict::Included);
    }

    #[test]
    fn an_entry_that_cannot_be_judged_is_unusable_where_it_could_be_of_the_kind() {
        let spoilt = |dn: &str| judge(dn, &["top"], "objectClass", RecordKind::Entry);
        assert!(matches!(
            spoilt("uid=ada,ou=people,dc=edu"),
            Verdict::Unusable(_)
        ));
        assert_eq!(spoilt("uid=ada,ou=staff,dc=edu"), Verdict::Elsewhere);
        assert_eq!(
            judge(
                "uid=ada,ou=people,dc=edu",
                &["person"],
                "x",
                RecordKind::Cut
            ),
            Verdict::Unusable(EntryProblem::RunTogether)
        );
    }
}
