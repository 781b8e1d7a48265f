//! An entry as it came, before anybody knows what it means: a name and attributes with values.
//!
//! *Its one idea: values are octets, and names of attributes have no case.* LDAP and LDIF both
//! arrive here, and everything after this is the same for both.

use crate::directory::{EntryProblem, short_name};

/// An entry of a directory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name, as the directory writes it.
    pub(super) dn: String,
    /// Its attributes, in the order in which they came.
    pub(super) attributes: Vec<Attribute>,
}

/// One attribute description with its values (RFC 4511, section 4.1.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    /// Its name with its options: `cn;lang-de`, `member;range=0-1499`.
    pub(super) description: String,
    /// Its values, as they came.
    pub(super) values: Vec<Vec<u8>>,
}

/// Which part of an attribute's values this is (MS-ADTS, section 3.1.1.3.1.3.3, range retrieval).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    Whole,
    /// Some of them; the others begin at this index.
    Until(usize),
}

impl Attribute {
    fn is_named(&self, name: &str) -> bool {
        let (base, _) = split_options(&self.description);
        base.eq_ignore_ascii_case(name)
    }

    fn has_options(&self) -> bool {
        self.description.contains(';')
    }

    /// Whether its options say that it holds a range of the values, and where the next one begins.
    fn range(&self) -> Option<Part> {
        let (_, options) = split_options(&self.description);
        let bounds = options.split(';').find_map(|option| {
            let (key, bounds) = option.split_once('=')?;
            key.eq_ignore_ascii_case("range").then_some(bounds)
        })?;
        let (_, end) = bounds.split_once('-')?;
        match end.parse::<usize>() {
            Ok(end) => Some(Part::Until(end.saturating_add(1))),
            Err(_) => Some(Part::Whole),
        }
    }
}

impl Entry {
    /// The attribute of this name: the plain one, or, where there is none, the first with options
    /// (`cn;lang-de`) or a range of it.
    ///
    /// A server answers by an attribute's short name whatever it was asked for (`sn` for `surname`).
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        let short = short_name(name);
        self.named(name)
            .or_else(|| (short != name).then(|| self.named(short))?)
    }

    fn named(&self, name: &str) -> Option<&Attribute> {
        let mut second_best = None;
        for attribute in self.attributes.iter().filter(|a| a.is_named(name)) {
            // AD sends an empty `member` beside `member;range=0-1499`.
            if !attribute.has_options() && !attribute.values.is_empty() {
                return Some(attribute);
            }
            second_best = match second_best {
                Some(best) if !Attribute::has_options(best) => Some(attribute),
                None => Some(attribute),
                best => best,
            };
        }
        second_best
    }

    /// The values of this attribute; none where it is missing.
    pub(super) fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attribute(name).map_or(&[], |a| &a.values)
    }

    /// The first value of this attribute as text; `None` where it is missing or empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, EntryProblem> {
        let Some(value) = self.values(name).first().filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        str::from_utf8(value).map(Some).map_err(|_| not_text(name))
    }

    /// The one value of this attribute as text.
    pub(super) fn single(&self, name: &str) -> Result<&str, EntryProblem> {
        let count = self.values(name).len();
        if count > 1 {
            return Err(EntryProblem::Several {
                attribute: name.to_owned(),
                count,
            });
        }
        self.text(name)?.ok_or_else(|| EntryProblem::Missing {
            attribute: name.to_owned(),
        })
    }

    /// Which part of its values an attribute holds.
    pub(super) fn part(&self, name: &str) -> Part {
        self.attribute(name)
            .and_then(Attribute::range)
            .unwrap_or(Part::Whole)
    }

    /// Adds values to an attribute that held only a range of them, and says what it holds now.
    pub(super) fn append_range(&mut self, name: &str, more: &mut Entry) -> Option<Part> {
        let more = more
            .attributes
            .iter_mut()
            .find(|a| a.is_named(name) && a.range().is_some())?;
        let mine = self
            .attributes
            .iter_mut()
            .find(|a| a.is_named(name) && a.range().is_some())?;
        mine.values.append(&mut more.values);
        mine.description.clone_from(&more.description);
        mine.range()
    }
}

fn split_options(description: &str) -> (&str, &str) {
    description.split_once(';').unwrap_or((description, ""))
}

/// The problem of a value that is not UTF-8.
pub(super) fn not_text(attribute: &str) -> EntryProblem {
    EntryProblem::NotText {
        attribute: attribute.to_owned(),
    }
}

#[cfg(test)]
pub(super) fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> Entry {
    Entry {
        dn: dn.to_owned(),
        attributes: attributes
            .iter()
            .map(|(description, values)| Attribute {
                description: (*description).to_owned(),
                values: values.iter().map(|v| v.as_bytes().to_vec()).collect(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_without_case_and_options() {
        let ada = entry(
            "uid=ada",
            &[("GivenName;lang-en", &["Ada"]), ("UID", &["ada"])],
        );
        assert_eq!(ada.text("givenname"), Ok(Some("Ada")));
        assert_eq!(ada.single("uid"), Ok("ada"));
        assert_eq!(ada.text("sn"), Ok(None));
    }

    #[test]
    fn the_plain_attribute_goes_before_one_with_options() {
        let ada = entry("uid=ada", &[("cn;lang-fr", &["Adèle"]), ("cn", &["Ada"])]);
        assert_eq!(ada.single("cn"), Ok("Ada"));
    }

    #[test]
    fn ranges_are_put_together_until_the_star() {
        let mut group = entry(
            "cn=g",
            &[("member", &[]), ("member;range=0-1", &["a", "b"])],
        );
        assert_eq!(group.part("member"), Part::Until(2));
        let mut more = entry("cn=g", &[("member;range=2-2", &["c"])]);
        assert_eq!(
            group.append_range("member", &mut more),
            Some(Part::Until(3))
        );
        let mut last = entry("cn=g", &[("Member;Range=3-*", &["d"])]);
        assert_eq!(group.append_range("member", &mut last), Some(Part::Whole));
        assert_eq!(group.values("member").len(), 4);
        assert_eq!(group.append_range("member", &mut entry("cn=g", &[])), None);
    }
}
