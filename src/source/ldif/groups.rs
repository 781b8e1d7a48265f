//! The groups of an LDIF file, whatever directory it is of.
//!
//! *Its one idea: who only wants to try something has no configuration yet*, so what is a group is
//! told by the object classes that directories use for groups.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::reader::{ReadError, Reader, RecordKind};
use crate::source::SourceError;

/// Object classes of groups: RFC 4519, RFC 2307, Active Directory, RFC 2307bis, 389 Directory Server.
const GROUP_CLASSES: [&str; 7] = [
    "groupOfNames",
    "groupOfUniqueNames",
    "posixGroup",
    "group",
    "groupOfMembers",
    "groupOfEntries",
    "groupOfURLs",
];

/// A group, as far as a name for a channel goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedGroup {
    /// Its `cn`, which is the group's ID unless a configuration says otherwise.
    pub id: String,
    /// Its `description`; the `cn` without one.
    pub name: String,
}

/// Reads the groups of a file, in its order. Entries without a readable `cn` are left out.
pub fn exported_groups(path: &Path) -> Result<Vec<ExportedGroup>, SourceError> {
    let file = |source| SourceError::File {
        path: path.to_owned(),
        source,
    };
    let input = File::open(path).map_err(file)?;
    let mut reader = Reader::new(BufReader::new(input));
    let mut groups = Vec::new();
    loop {
        let entry = match reader.next() {
            Ok(Some(record)) if record.kind == RecordKind::Additions => continue,
            Ok(Some(record)) => record.entry,
            Ok(None) => return Ok(groups),
            Err(ReadError::Io(source)) => return Err(file(source)),
            Err(ReadError::Syntax { line, reason }) => {
                return Err(SourceError::Ldif {
                    path: path.to_owned(),
                    line,
                    reason: reason.to_owned(),
                });
            }
        };
        let is_group = entry.values("objectClass").iter().any(|class| {
            let is = |known: &&str| class.eq_ignore_ascii_case(known.as_bytes());
            GROUP_CLASSES.iter().any(is)
        });
        if let Some(id) = entry.text("cn").ok().flatten().filter(|_| is_group) {
            let name = entry.text("description").ok().flatten().unwrap_or(id);
            groups.push(ExportedGroup {
                id: id.to_owned(),
                name: name.to_owned(),
            });
        }
    }
}
