//! Files that are not LDIF, told by their first octets.

/// How compressed and packed files begin, and what to do about them.
const SIGNATURES: [(&[u8], &str); 6] = [
    (
        b"\x1f\x8b",
        "the file is gzip-compressed: decompress it first (gzip -d)",
    ),
    (
        b"PK\x03\x04",
        "the file is a zip archive: unpack it first (unzip)",
    ),
    (
        b"BZh",
        "the file is bzip2-compressed: decompress it first (bzip2 -d)",
    ),
    (
        b"\xfd7zXZ\0",
        "the file is xz-compressed: decompress it first (xz -d)",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "the file is zstd-compressed: decompress it first (zstd -d)",
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        "the file is a 7z archive: unpack it first (7z x)",
    ),
];

const UTF_16: &str = "the file is UTF-16 text: export it as UTF-8, or convert it first (ldifde writes UTF-16 with -u; \
     iconv -f UTF-16 -t UTF-8 converts it)";

/// Says what a file that begins like this is, and what to do; `None` where it may be LDIF.
pub(super) fn what_it_is(beginning: &[u8]) -> Option<&'static str> {
    if beginning.is_empty() {
        return Some("the file is empty: see whether the export has failed");
    }
    let known = SIGNATURES
        .iter()
        .find(|(octets, _)| beginning.starts_with(octets));
    if let Some((_, what)) = known {
        return Some(what);
    }
    if is_utf_16(beginning) {
        return Some(UTF_16);
    }
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let text = text.trim_ascii_start();
    let begins_with = |start: &[u8]| {
        text.get(..start.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(start))
    };
    if begins_with(b"<!doctype html") || begins_with(b"<html") {
        return Some(
            "the file is an HTML page, such as an error or a login page: see what the download of the export says",
        );
    }
    match text.first()? {
        b'<' => Some("the file is XML: export the directory as LDIF (ldapsearch -LLL, slapcat)"),
        b'{' | b'[' => {
            Some("the file is JSON: export the directory as LDIF (ldapsearch -LLL, slapcat)")
        }
        _ => None,
    }
}

/// A byte order mark, or text of which every second octet is NUL.
fn is_utf_16(beginning: &[u8]) -> bool {
    if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") {
        return true;
    }
    let (pairs, _) = beginning.as_chunks::<2>();
    let pairs = &pairs[..pairs.len().min(8)];
    !pairs.is_empty()
        && (pairs.iter().all(|pair| pair[0] == 0 && pair[1] != 0)
            || pairs.iter().all(|pair| pair[0] != 0 && pair[1] == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ldif_is_named() {
        for (beginning, what) in [
            (b"" as &[u8], "empty"),
            (b"\x1f\x8b\x08\0", "gzip -d"),
            (b"PK\x03\x04\x14", "zip archive"),
            (b"\xff\xfed\0n\0:\0", "UTF-16"),
            (b"\xfe\xff\0d\0n", "UTF-16"),
            (b"d\0n\0:\0 \0", "UTF-16"),
            (b"\0d\0n\0:", "UTF-16"),
            (b"\n<!DOCTYPE html>", "HTML"),
            (b"\xef\xbb\xbf<HTML>", "HTML"),
            (b"<?xml version=\"1.0\"?>", "XML"),
            (b"  {\"users\": []}", "JSON"),
            (b"[1]", "JSON"),
        ] {
            let found = what_it_is(beginning).unwrap_or_default();
            assert!(found.contains(what), "{beginning:?}: {found}");
        }
    }

    #[test]
    fn beginnings_of_exports_are_not_taken_for_something_else() {
        for beginning in [
            "dn: cn=a\n",
            "\n\nversion: 1\n",
            "# extended LDIF\n",
            "\u{feff}dn:: Y249YQ==\n",
            "d",
        ] {
            assert_eq!(what_it_is(beginning.as_bytes()), None, "{beginning:?}");
        }
    }
}
