//! Which attribute of an entry never changes, and how its value is written.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use super::entry::Entry;
use crate::directory::{Dn, EntryProblem, StableId};

/// An attribute that identifies an entry for as long as it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdAttribute {
    /// One whose value is text.
    Text(String),
    /// Active Directory's sixteen octets (MS-ADTS, section 3.1.1.1.4).
    ObjectGuid,
    /// The entry's own name, for exports that have nothing better.
    Name,
}

impl IdAttribute {
    /// An attribute by its name.
    pub(super) fn named(name: &str) -> Self {
        if name.eq_ignore_ascii_case("objectGUID") {
            Self::ObjectGuid
        } else {
            Self::Text(name.to_ascii_lowercase())
        }
    }

    /// All that are looked for where nothing is configured, the best first.
    pub(super) fn known() -> Vec<Self> {
        let names = ["entryUUID", "nsUniqueId", "ipaUniqueID", "objectGUID"];
        names.into_iter().map(Self::named).collect()
    }

    /// The attribute to ask a server for; none for the name, which always comes.
    pub(super) fn attribute(&self) -> Option<&str> {
        match self {
            Self::Text(name) => Some(name),
            Self::ObjectGuid => Some("objectguid"),
            Self::Name => None,
        }
    }

    /// The id of an entry: by the first of these attributes that it has.
    pub(super) fn of(attributes: &[Self], entry: &Entry) -> Result<StableId, EntryProblem> {
        for attribute in attributes {
            if let Some(id) = attribute.read(entry)? {
                return Ok(id);
            }
        }
        Err(EntryProblem::Missing {
            attribute: attributes
                .iter()
                .filter_map(Self::attribute)
                .collect::<Vec<_>>()
                .join(" or "),
        })
    }

    fn read(&self, entry: &Entry) -> Result<Option<StableId>, EntryProblem> {
        match self {
            Self::Text(name) => {
                let text = entry.text(name)?;
                Ok(text.map(|text| {
                    if is_uuid(text) {
                        StableId::new(text.to_ascii_lowercase())
                    } else {
                        StableId::new(text)
                    }
                }))
            }
            Self::ObjectGuid => {
                if let Some(problem) = entry.incomplete("objectguid") {
                    return Err(problem);
                }
                let octets = entry.values("objectguid").iter().next();
                Ok(octets.map(|octets| StableId::new(written_guid(octets))))
            }
            Self::Name => {
                let dn = Dn::parse(&entry.dn).map_err(|_| EntryProblem::Undecodable)?;
                Ok(Some(StableId::new(dn.as_str())))
            }
        }
    }

    /// The filter that finds the entry with this id.
    pub(super) fn filter(attributes: &[Self], id: &StableId) -> String {
        let parts = attributes.iter().map(|attribute| match attribute {
            Self::Text(name) => format!("({name}={})", ldap3::ldap_escape(id.as_str())),
            Self::ObjectGuid => match guid_octets(id.as_str()) {
                Some(octets) => format!(
                    "(objectGUID={})",
                    octets.map(|o| format!("\\{o:02x}")).concat()
                ),
                None => String::new(),
            },
            Self::Name => String::new(),
        });
        parts.collect::<Vec<_>>().concat()
    }
}

/// Whether this is a UUID, or the shape that 389 DS gives one (`8-8-8-8`): hexadecimal, so that case
/// means nothing.
fn is_uuid(text: &str) -> bool {
    matches!(text.len(), 35 | 36)
        && text.contains('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Sixteen octets as Active Directory writes them: the first three fields have their lowest octet
/// first (MS-DTYP, section 2.3.4.2). Anything else as hexadecimal digits, or as the text that it is.
fn written_guid(octets: &[u8]) -> String {
    let Ok(octets) = <[u8; 16]>::try_from(octets) else {
        return match str::from_utf8(octets) {
            Ok(text) if is_uuid(text) => text.to_ascii_lowercase(),
            _ => HEXLOWER.encode(octets),
        };
    };
    let digits = HEXLOWER.encode(&GUID_ORDER.map(|index| octets[index]));
    [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ]
    .join("-")
}

fn guid_octets(text: &str) -> Option<[u8; 16]> {
    let digits = text.replace('-', "");
    let written = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    let written: [u8; 16] = written.try_into().ok()?;
    let mut octets = [0; 16];
    for (octet, index) in written.into_iter().zip(GUID_ORDER) {
        octets[index] = octet;
    }
    Some(octets)
}

const GUID_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

#[cfg(test)]
mod tests {
    use super::super::entry::{Attribute, entry};
    use super::*;

    #[test]
    fn a_guid_is_written_as_active_directory_writes_it() {
        let octets: Vec<u8> = (0..16).collect();
        let mut ada = entry("cn=ada", &[]);
        ada.attributes.push(Attribute {
            description: "objectGUID".to_owned(),
            values: vec![octets.clone()],
        });
        let id = IdAttribute::of(&IdAttribute::known(), &ada).unwrap();
        assert_eq!(id.as_str(), "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(guid_octets(id.as_str()).unwrap().as_slice(), octets);
        assert_eq!(
            IdAttribute::filter(&[IdAttribute::ObjectGuid], &id),
            r"(objectGUID=\00\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f)"
        );
    }

    #[test]
    fn a_uuid_is_lower_case_and_other_ids_keep_theirs() {
        let with = |name: &str, value: &str| {
            let entry = entry("cn=ada", &[(name, &[value])]);
            let ids = [
                IdAttribute::named("employeeNumber"),
                IdAttribute::named("entryUUID"),
            ];
            IdAttribute::of(&ids, &entry).map(|id| id.to_string())
        };
        let uuid = "0A0B0C0D-1234-1040-8ABC-000000000001";
        assert_eq!(with("entryuuid", uuid), Ok(uuid.to_lowercase()));
        assert_eq!(with("employeenumber", "A7"), Ok("A7".to_owned()));
        assert_eq!(
            with("cn", "x"),
            Err(EntryProblem::Missing {
                attribute: "employeenumber or entryuuid".to_owned()
            })
        );
    }
}
