//! Values that a file adds to an entry in a record of its own, as ldifde writes big groups
//! (`changetype: modify`, `add: member`).
//!
//! The file is read twice. The first time these records are collected, so that the second time each
//! group has all its values, wherever in the file they are.

use std::collections::{BTreeSet, HashMap};

use super::super::entry::{Attribute, Entry};
use crate::directory::Dn;

/// The collected values, by the name of their entry.
#[derive(Debug, Default)]
pub(super) struct Additions {
    by_name: HashMap<Dn, Added>,
}

#[derive(Debug)]
struct Added {
    line: u64,
    attributes: Vec<Attribute>,
    merged: bool,
}

impl Additions {
    /// Notes the values of a record that begins at a line; `false` where its name cannot be read.
    pub(super) fn note(&mut self, record: Entry, line: u64) -> bool {
        let Ok(name) = Dn::parse(&record.dn) else {
            return false;
        };
        let added = self.by_name.entry(name).or_insert_with(|| Added {
            line,
            attributes: Vec::new(),
            merged: false,
        });
        added.attributes.extend(record.attributes);
        true
    }

    /// Gives an entry the values that were noted for it.
    pub(super) fn complete(&mut self, entry: &mut Entry) {
        if self.by_name.is_empty() {
            return;
        }
        let name = Dn::parse(&entry.dn).ok();
        if let Some(added) = name.and_then(|name| self.by_name.get_mut(&name)) {
            entry.attributes.extend_from_slice(&added.attributes);
            added.merged = true;
        }
    }

    /// Says which values were missing when the entries below a base were read for these attributes,
    /// none of which [`complete`](Self::complete) had.
    pub(super) fn missing(&self, base: &Dn, attributes: &BTreeSet<String>) -> Option<String> {
        self.first(base, |added| {
            added.attributes.iter().any(|attribute| {
                let name = attribute.description.split(';').next().unwrap_or_default();
                attributes.contains(&name.to_ascii_lowercase())
            })
        })
    }

    /// Says which values below a base belong to no entry of the file.
    pub(super) fn unclaimed(&self, base: &Dn) -> Option<String> {
        self.first(base, |added| !added.merged)
    }

    fn first(&self, base: &Dn, is_meant: impl Fn(&Added) -> bool) -> Option<String> {
        let all = self.by_name.iter();
        let meant = all.filter(|(name, added)| name.is_under(base) && is_meant(added));
        let (_, added) = meant.min_by_key(|(_, added)| added.line)?;
        Some(format!(
            "line {}: values are added to an entry which has no record for them in the file or is not a group",
            added.line
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::entry;
    use super::*;

    #[test]
    fn values_find_their_entry_by_any_spelling_and_those_without_one_are_told() {
        let mut additions = Additions::default();
        let base = Dn::parse("dc=edu").unwrap();
        assert!(additions.note(entry("CN=Big,DC=edu", &[("member", &["b"])]), 7));
        assert!(additions.note(entry("cn=big,dc=edu", &[("member", &["c"])]), 9));
        assert!(additions.note(entry("cn=other,dc=edu", &[("Mail;x", &["d"])]), 12));
        assert!(!additions.note(entry("nonsense", &[]), 20));

        let mut big = entry("cn=Big,dc=edu", &[("member", &["a"])]);
        additions.complete(&mut big);

        assert_eq!(big.values("member").iter().count(), 3);
        let unclaimed = additions.unclaimed(&base).unwrap();
        assert!(unclaimed.starts_with("line 12: "), "{unclaimed}");
        assert!(!unclaimed.contains("cn=other"), "{unclaimed}");
        assert_eq!(additions.unclaimed(&Dn::parse("dc=com").unwrap()), None);
        let needed = |name: &str| additions.missing(&base, &BTreeSet::from([name.to_owned()]));
        assert!(needed("mail").unwrap().starts_with("line 12: "));
        assert!(needed("member").unwrap().starts_with("line 7: "));
        assert_eq!(needed("uid"), None);
    }
}
