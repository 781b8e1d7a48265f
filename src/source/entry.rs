//! An entry as it came, before anybody knows what it means: a name and attributes with values.
//!
//! *Its one idea: values are octets, and names of attributes have no case.* LDAP and LDIF both
//! arrive here, and everything after this is the same for both.

use std::collections::BTreeSet;

use self::options::{Options, UNREADABLE};
use crate::directory::{EntryProblem, short_name};

mod options;

/// An entry of a directory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name, as the directory writes it.
    pub(super) dn: String,
    /// Its attributes, in the order in which they came.
    pub(super) attributes: Vec<Attribute>,
}

/// One attribute description with its values (RFC 4511, section 4.1.7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// Marks that a value under this description could not be read.
    pub(super) fn unreadable(description: &str) -> Self {
        Self {
            description: format!("{description};{UNREADABLE}"),
            values: Vec::new(),
        }
    }

    /// The options of its description, where this is its name.
    fn options_if_named(&self, name: &str) -> Option<Options> {
        // Asked of each attribute of each entry: a look at the first octets settles most.
        let (base, rest) = self.description.split_at_checked(name.len())?;
        if !base.eq_ignore_ascii_case(name) {
            return None;
        }
        match rest.strip_prefix(';') {
            None => rest.is_empty().then(Options::default),
            Some("") => Some(Options::default()),
            Some(options) => Some(Options::read(options)),
        }
    }
}

/// The values of one attribute under all of its descriptions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'e, 'n> {
    attributes: &'e [Attribute],
    name: &'n str,
    variants: bool,
}

impl<'e, 'n> Values<'e, 'n> {
    /// Goes through them, in the order in which they came.
    pub(super) fn iter(self) -> impl Iterator<Item = &'e Vec<u8>> + use<'e, 'n> {
        named(self.attributes, self.name)
            .filter(move |(_, options)| !options.deleted && (self.variants || !options.variant))
            .flat_map(|(attribute, _)| &attribute.values)
    }

    /// Whether there are none.
    pub(super) fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

/// The attributes of this name, or of its short form, with what their options say.
///
/// A server answers by an attribute's short name whatever it was asked for (`sn` for `surname`).
fn named<'e, 'n>(
    attributes: &'e [Attribute],
    name: &'n str,
) -> impl Iterator<Item = (&'e Attribute, Options)> + use<'e, 'n> {
    let short = Some(short_name(name)).filter(|short| *short != name);
    attributes.iter().filter_map(move |attribute| {
        let options = attribute
            .options_if_named(name)
            .or_else(|| attribute.options_if_named(short?))?;
        Some((attribute, options))
    })
}

impl Entry {
    /// All values of this attribute, whatever the options of their descriptions; none where it is
    /// missing. Deleted values do not count.
    pub(super) fn values<'e, 'n>(&'e self, name: &'n str) -> Values<'e, 'n> {
        Values {
            attributes: &self.attributes,
            name,
            variants: true,
        }
    }

    /// The values of an attribute that should have one: the plain ones, or, where there are none,
    /// those of its variants (`cn;lang-de`). Empty values do not count.
    fn candidates<'e, 'n>(
        &'e self,
        name: &'n str,
    ) -> Result<impl Iterator<Item = &'e Vec<u8>> + use<'e, 'n>, EntryProblem> {
        let (mut plain, mut unreadable, mut unreadable_variant) = (false, false, false);
        for (attribute, options) in named(&self.attributes, name).filter(|(_, o)| !o.deleted) {
            if options.variant {
                unreadable_variant |= options.unreadable;
            } else {
                unreadable |= options.unreadable;
                plain |= attribute.values.iter().any(|value| !value.is_empty());
            }
        }
        if unreadable || (unreadable_variant && !plain) {
            return Err(unreadable_value(name));
        }
        let values = Values {
            variants: !plain,
            ..self.values(name)
        };
        Ok(values.iter().filter(|value| !value.is_empty()))
    }

    /// The first value of this attribute as text; `None` where it is missing or empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, EntryProblem> {
        let first = self.candidates(name)?.next();
        first.map(|value| text_of(value, name)).transpose()
    }

    /// The one value of this attribute as text. The same value several times is one.
    pub(super) fn single(&self, name: &str) -> Result<&str, EntryProblem> {
        let mut values = self.candidates(name)?;
        let first = values.next().ok_or_else(|| EntryProblem::Missing {
            attribute: name.to_owned(),
        })?;
        if values.any(|value| value != first) {
            return Err(EntryProblem::Several {
                attribute: name.to_owned(),
                count: self.candidates(name)?.collect::<BTreeSet<_>>().len(),
            });
        }
        text_of(first, name)
    }

    /// The different values as texts of an attribute that should have one.
    pub(super) fn texts(&self, name: &str) -> Result<BTreeSet<&str>, EntryProblem> {
        self.candidates(name)?
            .map(|value| text_of(value, name))
            .collect()
    }

    /// What keeps [`values`](Self::values) from being all values of this attribute.
    pub(super) fn incomplete(&self, name: &str) -> Option<EntryProblem> {
        if named(&self.attributes, name).any(|(_, options)| options.unreadable && !options.deleted)
        {
            return Some(unreadable_value(name));
        }
        match self.part(name) {
            Part::Whole => None,
            Part::Until(_) => Some(EntryProblem::Partial {
                attribute: name.to_owned(),
            }),
        }
    }

    /// Which part of its values an attribute holds: the whole, unless some are in ranges that leave
    /// something out.
    pub(super) fn part(&self, name: &str) -> Part {
        let mut ranges: Vec<_> = named(&self.attributes, name)
            .filter_map(|(attribute, options)| {
                let range = options.range.filter(|_| !options.deleted)?;
                Some((range, attribute.values.len()))
            })
            .collect();
        if ranges.is_empty() {
            return Part::Whole;
        }
        ranges.sort_unstable();
        let mut next = 0;
        for (range, count) in ranges {
            if range.first > next {
                break;
            }
            let Some(last) = range.last else {
                return Part::Whole;
            };
            // A range with fewer values than it says is not all of that range.
            let end = last
                .saturating_add(1)
                .min(range.first.saturating_add(count));
            next = next.max(end);
        }
        Part::Until(next)
    }

    /// Adds the ranges of an attribute that another answer holds, and says what is there now; `None`
    /// where the answer has no range of it.
    pub(super) fn append_range(&mut self, name: &str, more: &mut Entry) -> Option<Part> {
        let before = self.attributes.len();
        let is_range = |attribute: &mut Attribute| {
            let options = attribute.options_if_named(name);
            options.is_some_and(|options| options.range.is_some())
        };
        self.attributes
            .extend(more.attributes.extract_if(.., is_range));
        (self.attributes.len() > before).then(|| self.part(name))
    }
}

fn text_of<'v>(value: &'v [u8], name: &str) -> Result<&'v str, EntryProblem> {
    str::from_utf8(value).map_err(|_| not_text(name))
}

fn unreadable_value(name: &str) -> EntryProblem {
    EntryProblem::Unreadable {
        attribute: name.to_owned(),
    }
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
        assert_eq!(group.values("member").iter().count(), 4);
        assert_eq!(group.append_range("member", &mut entry("cn=g", &[])), None);
    }

    #[test]
    fn values_under_several_descriptions_are_values_of_one_attribute() {
        let group = entry(
            "cn=g",
            &[
                ("member;vucsn-665dc0aa000000010001", &["a"]),
                ("Member;lang-de", &["b"]),
                ("member", &["c"]),
                ("member;vdcsn-665dc0aa000000010009;deleted", &["gone"]),
                (
                    "mail;adcsn-665dc0aa000000010009;deletedattribute;deleted",
                    &["x"],
                ),
            ],
        );
        let members: Vec<_> = group.values("member").iter().collect();
        assert_eq!(members, [b"a", b"b", b"c"]);
        assert_eq!(group.incomplete("member"), None);
        assert!(group.values("mail").is_empty());
        assert_eq!(group.text("mail"), Ok(None));
    }

    #[test]
    fn a_value_with_a_change_number_is_a_plain_one_and_two_plain_ones_are_several() {
        let mut group = entry(
            "cn=g",
            &[
                ("cn;lang-de", &["Gruppe"]),
                ("cn;vucsn-1;mdcsn-1", &["g"]),
                ("cn", &["g"]),
            ],
        );
        assert_eq!(group.single("cn"), Ok("g"));
        group.attributes[2].values.push(b"h".to_vec());
        let several = EntryProblem::Several {
            attribute: "cn".to_owned(),
            count: 2,
        };
        assert_eq!(group.single("cn"), Err(several.clone()));
        let variants = entry("cn=g", &[("cn;lang-de", &["g"]), ("cn;lang-fr", &["h"])]);
        assert_eq!(variants.single("cn"), Err(several));
    }

    #[test]
    fn ranges_of_one_record_are_whole_only_from_zero_to_the_star_without_a_gap() {
        let part = |attributes: &[(&str, &[&str])]| entry("cn=g", attributes).part("member");
        let (zero, two, end): (_, _, (&str, &[&str])) = (
            ("member;range=0-1", &["a", "b"] as &[&str]),
            ("member;range=2-3", &["c", "d"] as &[&str]),
            ("Member;Range=4-*", &["e"]),
        );
        assert_eq!(part(&[end, zero, two, ("member", &[])]), Part::Whole);
        assert_eq!(part(&[zero, two]), Part::Until(4));
        assert_eq!(part(&[zero, end]), Part::Until(2));
        assert_eq!(part(&[two, end]), Part::Until(0));
        assert_eq!(part(&[zero, ("member", &["x"])]), Part::Until(2));
        assert_eq!(part(&[("member;range=0-3", &["a"]), end]), Part::Until(1));
        assert_eq!(part(&[("member;range=x", &["a"])]), Part::Until(0));
        assert_eq!(part(&[("member", &["a"])]), Part::Whole);
    }

    #[test]
    fn a_value_that_could_not_be_read_makes_its_attribute_incomplete() {
        let mut ada = entry("uid=ada", &[("uid", &["ada"]), ("cn", &["Ada"])]);
        let unreadable = |name| Err(unreadable_value(name));
        for description in [
            "jpegPhoto",
            "uid",
            "cn;lang-de",
            "sn;lang-de",
            "mail;deleted",
        ] {
            ada.attributes.push(Attribute::unreadable(description));
        }
        assert_eq!(ada.single("uid"), unreadable("uid"));
        assert_eq!(ada.single("cn"), Ok("Ada"));
        assert_eq!(ada.text("sn"), Err(unreadable_value("sn")));
        assert_eq!(ada.text("mail"), Ok(None));
        assert_eq!(
            ada.incomplete("jpegphoto"),
            Some(unreadable_value("jpegphoto"))
        );
        assert_eq!(ada.incomplete("mail"), None);
    }
}
