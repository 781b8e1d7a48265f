//! Entries that a file has more than once.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::super::entry::Entry;

/// The entries seen so far, by hashes of their names and contents.
#[derive(Debug, Default)]
pub(super) struct Seen {
    contents: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Seen {
    /// Notes an entry; `true` where one of this name with another content was seen before, so that
    /// neither need be all of it.
    pub(super) fn is_another(&mut self, entry: &Entry) -> bool {
        let name = self.hasher.hash_one(entry.dn.to_ascii_lowercase());
        let content = self.hasher.hash_one(&entry.attributes);
        *self.contents.entry(name).or_insert(content) != content
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::entry;
    use super::*;

    #[test]
    fn an_entry_with_two_contents_is_seen_and_the_same_one_twice_is_not_another() {
        let mut seen = Seen::default();
        let group = |dn: &str, member: &str| entry(dn, &[("member", &[member])]);
        assert!(!seen.is_another(&group("cn=g,dc=edu", "a")));
        assert!(!seen.is_another(&group("cn=h,dc=edu", "b")));
        assert!(!seen.is_another(&group("CN=g,dc=edu", "a")));
        assert!(seen.is_another(&group("cn=g,dc=edu", "b")));
    }
}
