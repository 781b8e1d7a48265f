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

/// The cookie to ask for the next page with; empty where there is no next page, which a server says with an
/// empty cookie or no paging control at all (RFC 2696, section 3). `None`: the control cannot be decoded.
pub(super) fn next_page(controls: &[Control]) -> Option<Vec<u8>> {
    let Some(Control(_, raw)) = controls.iter().find(|c| c.1.ctype == PAGED_RESULTS) else {
        return Some(Vec::new());
    };
    let (_, tag) = parse_tag(raw.val.as_deref()?).ok()?;
    primitive(constructed(tag)?.into_iter().nth(1)?)
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

#[cfg(test)]
mod tests {
    use ldap3::controls::RawControl;

    use super::*;

    fn next(value: Option<&[u8]>) -> Option<Vec<u8>> {
        let raw = RawControl {
            ctype: PAGED_RESULTS.to_owned(),
            crit: false,
            val: value.map(<[u8]>::to_vec),
        };
        next_page(&[Control(None, raw)])
    }

    #[test]
    fn a_page_control_that_cannot_be_decoded_is_not_the_last_page() {
        assert_eq!(next_page(&[]), Some(vec![]));
        assert_eq!(next(Some(b"\x30\x05\x02\x01\0\x04\0")), Some(vec![]));
        let cookie = next(Some(b"\x30\x07\x02\x01\0\x04\x02go"));
        assert_eq!(cookie, Some(b"go".to_vec()));
        for broken in [
            None,
            Some(&b""[..]),
            Some(b"\x30\x09\x02"),
            Some(b"\x30\x03\x02\x01\0"),
        ] {
            assert_eq!(next(broken), None, "{broken:?}");
        }
    }
}
