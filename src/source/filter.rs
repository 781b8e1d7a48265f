//! Search filters evaluated here: for files, which have no server, and for `people.enabled`.
//!
//! *Its one idea: the parser is the same as on the way to a server* (RFC 4515, by the LDAP library),
//! so that a filter means one thing. Values compare as texts without case, as nearly all attributes
//! do; as numbers or times where the filter asks for an order and both are such; as names where both
//! are DNs.

use ldap3::asn1::{ASNTag, PL, StructureTag};

use super::entry::Entry;
use super::stamp;
use crate::directory::{Dn, fold, short_name};

mod classes;

/// Bit-and and bit-or of Active Directory (MS-ADTS, section 3.1.1.3.4.4).
const BIT_AND: &str = "1.2.840.113556.1.4.803";
const BIT_OR: &str = "1.2.840.113556.1.4.804";

/// A filter that can be asked about an entry.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Present(String),
    Equal(String, Wanted),
    Substrings(String, Vec<Piece>),
    AtLeast(String, String),
    AtMost(String, String),
    AllBits(String, u64),
    AnyBit(String, u64),
}

/// The value that an equality asks for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    octets: Vec<u8>,
    folded: Option<String>,
    dn: Option<Dn>,
}

/// A piece of a value, folded, in its place.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    First(String),
    Within(String),
    Last(String),
}

/// Why a filter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is not a filter.
    #[error(
        "it is not a search filter (RFC 4515); each part needs its own parentheses, without spaces"
    )]
    Syntax,
    /// It asks for what only a server can tell.
    #[error(
        "only a server can evaluate the matching rule {rule}, and this filter is evaluated here"
    )]
    Rule {
        /// The rule's name or number.
        rule: String,
    },
}

/// Checks that a server could understand a filter (RFC 4515).
pub(super) fn check(text: &str) -> Result<(), FilterError> {
    ldap3::parse_filter(text)
        .map(drop)
        .map_err(|()| FilterError::Syntax)
}

impl Filter {
    /// Reads a filter (RFC 4515).
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let tag = ldap3::parse_filter(text).map_err(|()| FilterError::Syntax)?;
        Self::from_ber(tag.into_structure())
    }

    /// Reads the parsed form (RFC 4511, section 4.5.1.7).
    fn from_ber(tag: StructureTag) -> Result<Self, FilterError> {
        Ok(match (tag.id, tag.payload) {
            (0, PL::C(parts)) => Self::And(all(parts)?),
            (1, PL::C(parts)) => Self::Or(all(parts)?),
            (2, PL::C(parts)) => {
                let inner = all(parts)?.pop().ok_or(FilterError::Syntax)?;
                Self::Not(Box::new(inner))
            }
            (3 | 8, PL::C(parts)) => {
                let (name, octets) = assertion(parts)?;
                Self::Equal(name, Wanted::new(octets))
            }
            (4, PL::C(parts)) => substrings(parts)?,
            (5, PL::C(parts)) => {
                let (name, octets) = assertion(parts)?;
                Self::AtLeast(name, text(octets)?)
            }
            (6, PL::C(parts)) => {
                let (name, octets) = assertion(parts)?;
                Self::AtMost(name, text(octets)?)
            }
            (7, PL::P(name)) => Self::Present(attribute_name(name)?),
            (9, PL::C(parts)) => extensible(parts)?,
            _ => return Err(FilterError::Syntax),
        })
    }

    /// Says whether an entry matches.
    pub(super) fn matches(&self, entry: &Entry) -> bool {
        let any = |name: &str, test: &dyn Fn(&[u8]) -> bool| {
            entry.values(name).iter().any(|value| test(value))
        };
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(entry)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(entry)),
            Self::Not(part) => !part.matches(entry),
            Self::Present(name) => name == "objectclass" || !entry.values(name).is_empty(),
            Self::Equal(name, wanted) if name == "objectclass" => {
                any(name, &|value| wanted.is_class_of(value))
            }
            Self::Equal(name, wanted) if name == "objectcategory" => {
                any(name, &|value| wanted.is(value) || wanted.is_category(value))
            }
            Self::Equal(name, wanted) => any(name, &|value| wanted.is(value)),
            Self::Substrings(name, pieces) => any(name, &|value| has_pieces(value, pieces)),
            Self::AtLeast(name, bound) => any(name, &|value| {
                compare(value, bound).is_some_and(std::cmp::Ordering::is_ge)
            }),
            Self::AtMost(name, bound) => any(name, &|value| {
                compare(value, bound).is_some_and(std::cmp::Ordering::is_le)
            }),
            Self::AllBits(name, bits) => any(name, &|value| {
                number(value).is_some_and(|n| n & bits == *bits)
            }),
            Self::AnyBit(name, bits) => {
                any(name, &|value| number(value).is_some_and(|n| n & bits != 0))
            }
        }
    }

    /// Adds the names of the attributes that it looks at.
    pub(super) fn attributes(&self, names: &mut Vec<String>) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|p| p.attributes(names)),
            Self::Not(part) => part.attributes(names),
            Self::Present(name)
            | Self::Equal(name, _)
            | Self::Substrings(name, _)
            | Self::AtLeast(name, _)
            | Self::AtMost(name, _)
            | Self::AllBits(name, _)
            | Self::AnyBit(name, _) => names.push(name.clone()),
        }
    }
}

impl Wanted {
    fn new(octets: Vec<u8>) -> Self {
        let text = str::from_utf8(&octets).ok();
        Self {
            folded: text.map(|text| fold(text).into_owned()),
            dn: text
                .filter(|text| text.contains('='))
                .and_then(|text| Dn::parse(text).ok()),
            octets,
        }
    }

    fn is(&self, value: &[u8]) -> bool {
        let (Some(folded), Ok(text)) = (&self.folded, str::from_utf8(value)) else {
            return self.octets == value;
        };
        if fold(text) == folded.as_str() {
            return true;
        }
        self.dn
            .as_ref()
            .is_some_and(|dn| Dn::parse(text).as_ref() == Ok(dn))
    }
}

fn all(parts: Vec<StructureTag>) -> Result<Vec<Filter>, FilterError> {
    parts.into_iter().map(Filter::from_ber).collect()
}

fn assertion(parts: Vec<StructureTag>) -> Result<(String, Vec<u8>), FilterError> {
    let mut octets = parts.into_iter().filter_map(StructureTag::expect_primitive);
    match (octets.next(), octets.next()) {
        (Some(name), Some(value)) => Ok((attribute_name(name)?, value)),
        _ => Err(FilterError::Syntax),
    }
}

fn substrings(parts: Vec<StructureTag>) -> Result<Filter, FilterError> {
    let mut parts = parts.into_iter();
    let name = parts.next().and_then(StructureTag::expect_primitive);
    let pieces = parts.next().and_then(StructureTag::expect_constructed);
    let (Some(name), Some(pieces)) = (name, pieces) else {
        return Err(FilterError::Syntax);
    };
    let pieces = pieces.into_iter().map(|piece| {
        let id = piece.id;
        let piece = fold(&text(piece.expect_primitive().unwrap_or_default())?).into_owned();
        Ok(match id {
            0 => Piece::First(piece),
            1 => Piece::Within(piece),
            _ => Piece::Last(piece),
        })
    });
    Ok(Filter::Substrings(
        attribute_name(name)?,
        pieces.collect::<Result<_, FilterError>>()?,
    ))
}

/// `(attribute:rule:=value)`; only the two bit rules can be evaluated without a schema.
fn extensible(parts: Vec<StructureTag>) -> Result<Filter, FilterError> {
    let (mut rule, mut name, mut value) = (String::new(), String::new(), String::new());
    for part in parts {
        match (part.id, part.payload) {
            (1, PL::P(octets)) => rule = text(octets)?,
            (2, PL::P(octets)) => name = attribute_name(octets)?,
            (3, PL::P(octets)) => value = text(octets)?,
            (4, PL::P(octets)) if octets.iter().any(|octet| *octet != 0) => {
                return Err(FilterError::Rule {
                    rule: "dn".to_owned(),
                });
            }
            _ => {}
        }
    }
    let bits = value.trim().parse::<u64>();
    match (rule.as_str(), bits) {
        (BIT_AND, Ok(bits)) if !name.is_empty() => Ok(Filter::AllBits(name, bits)),
        (BIT_OR, Ok(bits)) if !name.is_empty() => Ok(Filter::AnyBit(name, bits)),
        _ => Err(FilterError::Rule { rule }),
    }
}

fn attribute_name(octets: Vec<u8>) -> Result<String, FilterError> {
    let name = text(octets)?.to_ascii_lowercase();
    let name = name.split(';').next().unwrap_or_default();
    Ok(short_name(name).to_owned())
}

fn text(octets: Vec<u8>) -> Result<String, FilterError> {
    String::from_utf8(octets).map_err(|_| FilterError::Syntax)
}

fn has_pieces(value: &[u8], pieces: &[Piece]) -> bool {
    let Ok(value) = str::from_utf8(value) else {
        return false;
    };
    let value = fold(value);
    let mut rest = &*value;
    pieces.iter().all(|piece| {
        let behind = match piece {
            Piece::First(piece) => rest.strip_prefix(piece.as_str()),
            Piece::Within(piece) => rest.split_once(piece.as_str()).map(|(_, behind)| behind),
            Piece::Last(piece) => rest.ends_with(piece.as_str()).then_some(""),
        };
        rest = behind.unwrap_or_default();
        behind.is_some()
    })
}

fn compare(value: &[u8], bound: &str) -> Option<std::cmp::Ordering> {
    let value = str::from_utf8(value).ok()?;
    if let (Ok(value), Ok(bound)) = (value.trim().parse::<i128>(), bound.trim().parse::<i128>()) {
        return Some(value.cmp(&bound));
    }
    if let (Some(value), Some(bound)) = (stamp::parse(value), stamp::parse(bound)) {
        return Some(value.cmp(&bound));
    }
    Some(fold(value).cmp(&fold(bound)))
}

fn number(value: &[u8]) -> Option<u64> {
    let value: i64 = str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some(value.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::super::entry::entry;
    use super::*;

    fn ada() -> Entry {
        entry(
            "uid=ada,ou=people,dc=x",
            &[
                ("objectClass", &["inetOrgPerson"]),
                ("uid", &["Ada"]),
                ("cn", &["Ada  King Lovelace"]),
                ("uidNumber", &["1200"]),
                ("userAccountControl", &["514"]),
                ("memberOf", &[r"CN=Smith\2C John,DC=x"]),
                ("modifyTimestamp", &["20261121120000Z"]),
                ("parens", &["a(b)*c"]),
                (
                    "objectCategory",
                    &["CN=Person,CN=Schema,CN=Configuration,DC=x"],
                ),
            ],
        )
    }

    #[test]
    fn each_kind_of_filter_is_evaluated() {
        for (filter, expected) in [
            ("(objectClass=person)", true),
            ("(objectClass=top)", true),
            ("(objectClass=groupOfNames)", false),
            ("(objectClass=*)", true),
            ("(&(objectClass=inetorgperson)(UID=ADA))", true),
            ("(|(uid=bob)(uid=ada))", true),
            ("(!(uid=ada))", false),
            ("(!(nsAccountLock=TRUE))", true),
            ("(mail=*)", false),
            ("(userid=ada)", true),
            ("(cn=ada king lovelace)", true),
            ("(cn=ada*love*)", true),
            ("(cn=*king*lace)", true),
            ("(cn=king*)", false),
            ("(cn=*king)", false),
            ("(uidNumber>=200)", true),
            ("(uidNumber<=200)", false),
            ("(uidNumber<=1200)", true),
            ("(modifyTimestamp>=20261121115959.9Z)", true),
            ("(modifyTimestamp>=20261121120001Z)", false),
            ("(userAccountControl:1.2.840.113556.1.4.803:=2)", true),
            ("(!(userAccountControl:1.2.840.113556.1.4.803:=3))", true),
            ("(userAccountControl:1.2.840.113556.1.4.804:=3)", true),
            ("(objectCategory=person)", true),
            ("(objectCategory=User)", true),
            (
                "(objectCategory=cn=person,cn=schema,cn=Configuration,dc=x)",
                true,
            ),
            ("(objectCategory=group)", false),
            ("(objectCategory=schema)", false),
            (r"(memberOf=cn=smith\5c, john,dc=X)", true),
            (r"(parens=a\28b\29\2ac)", true),
        ] {
            assert_eq!(
                Filter::parse(filter).unwrap().matches(&ada()),
                expected,
                "{filter}"
            );
        }
    }

    #[test]
    fn what_only_a_server_can_tell_is_refused() {
        let error = Filter::parse("(memberOf:1.2.840.113556.1.4.1941:=cn=g)").unwrap_err();
        assert!(matches!(error, FilterError::Rule { .. }), "{error}");
        assert_eq!(Filter::parse("(uid=ada").unwrap_err(), FilterError::Syntax);
        assert_eq!(check("uid=("), Err(FilterError::Syntax));
    }

    #[test]
    fn the_attributes_it_looks_at_are_known() {
        let mut names = Vec::new();
        let filter = Filter::parse("(&(a=1)(|(B=*)(!(c>=2))))").unwrap();
        filter.attributes(&mut names);
        assert_eq!(names, ["a", "b", "c"]);
    }
}
