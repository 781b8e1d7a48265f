//! LDAP's own encoding of entries and pages (RFC 4511, RFC 2696), read without a panic.
//!
//! The LDAP library's decoders panic on what they do not expect, and copy each value; these do
//! neither.

use ldap3::asn1::{PL, StructureTag, parse_tag};
use ldap3::controls::Control;

use super::super::entry::{Attribute, Entry};

/// Paged results (RFC 2696).
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// Reads a search result entry (RFC 4511, section 4.5.2). `None` where it is none.
pub(super) fn entry(tag: StructureTag) -> Option<Entry> {
    let mut parts = constructed(tag)?.into_iter();
    let dn = text(parts.next()?)?;
    let attributes = constructed(parts.next()?)?
        .into_iter()
        .map(attribute)
        .collect::<Option<_>>()?;
    Some(Entry { dn, attributes })
}

fn attribute(tag: StructureTag) -> Option<Attribute> {
    let mut parts = constructed(tag)?.into_iter();
    Some(Attribute {
        description: text(parts.next()?)?,
        values: constructed(parts.next()?)?
            .into_iter()
            .map(primitive)
            .collect::<Option<_>>()?,
    })
}

/// The cookie to ask for the next page with; `None` where there is no next page, which a server
/// says with an empty cookie or no paging control at all.
pub(super) fn next_page(controls: &[Control]) -> Option<Vec<u8>> {
    let Control(_, raw) = controls.iter().find(|c| c.1.ctype == PAGED_RESULTS)?;
    let (_, tag) = parse_tag(raw.val.as_deref()?).ok()?;
    let cookie = primitive(constructed(tag)?.into_iter().nth(1)?)?;
    (!cookie.is_empty()).then_some(cookie)
}

/// Reads the URLs of a search result reference (RFC 4511, section 4.5.3).
pub(super) fn references(tag: StructureTag) -> Vec<String> {
    let urls = constructed(tag).unwrap_or_default();
    urls.into_iter().filter_map(text).collect()
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(octets) => Some(octets),
        PL::C(_) => None,
    }
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(primitive(tag)?).ok()
}
