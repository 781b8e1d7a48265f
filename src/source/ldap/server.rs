//! Which server this is, and what that changes (rootDSE: RFC 4512, section 5.1).

use super::super::SourceError;
use super::super::entry::Entry;
use super::super::stable_id::IdAttribute;
use super::super::stamp;
use super::replica;
use super::search::{Cut, Query, Search};
use super::session::Session;

/// The capability that makes a server Active Directory (MS-ADTS, section 3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    OpenLdap,
    Ds389,
    ActiveDirectory,
    Other,
}

/// What the server says about itself.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) kind: Kind,
    /// Its own name, where its time stamps are worth something on this server only.
    pub(super) pinned_to: Option<String>,
    /// The trees that it holds.
    pub(super) naming_contexts: Vec<String>,
    /// Active Directory's tree of people and groups, and the entry that describes this controller.
    pub(super) default_naming_context: Option<String>,
    pub(super) ds_service_name: Option<String>,
    /// Active Directory's own number of the newest change.
    pub(super) highest_usn: Option<u64>,
}

impl Server {
    /// Asks the server. One that does not say is treated as a plain LDAP server.
    pub(super) async fn discover(session: &mut Session) -> Result<Self, SourceError> {
        let wanted = [
            "vendorName",
            "supportedCapabilities",
            "dnsHostName",
            "objectClass",
            "namingContexts",
            "defaultNamingContext",
            "dsServiceName",
            "highestCommittedUSN",
        ];
        let query = Query::entry("", wanted.map(str::to_owned).to_vec());
        let url = session.url.clone();
        let mut search = Search::new(session, query);
        let mut root = Entry::default();
        loop {
            match search.next().await {
                Ok(Some(entry)) => root = entry,
                Ok(None) | Err(Cut::NoBase { .. } | Cut::Refused { .. }) => break,
                Err(cut) => {
                    return Err(SourceError::Unreadable {
                        place: url,
                        reason: cut.to_string(),
                    });
                }
            }
        }
        Ok(Self::from_root(&root, &url))
    }

    fn from_root(root: &Entry, url: &str) -> Self {
        let has = |name: &str, value: &str| root.values(name).iter().any(|v| v == value.as_bytes());
        let vendor = root.text("vendorname").ok().flatten().unwrap_or_default();
        let kind = if has("supportedcapabilities", ACTIVE_DIRECTORY) {
            Kind::ActiveDirectory
        } else if vendor.starts_with("389 ") {
            Kind::Ds389
        } else if has("objectclass", "OpenLDAProotDSE") {
            Kind::OpenLdap
        } else {
            Kind::Other
        };
        // `whenChanged` is not replicated: each domain controller has its own.
        let pinned_to = (kind == Kind::ActiveDirectory).then(|| {
            let host = root.text("dnshostname").ok().flatten();
            host.unwrap_or(url).to_lowercase()
        });
        let text = |name: &str| root.text(name).ok().flatten().map(str::to_owned);
        let contexts = root.values("namingcontexts").iter();
        let contexts = contexts.filter_map(|value| String::from_utf8(value.clone()).ok());
        Self {
            kind,
            pinned_to,
            naming_contexts: contexts.collect(),
            default_naming_context: text("defaultnamingcontext"),
            ds_service_name: text("dsservicename"),
            highest_usn: text("highestcommittedusn").and_then(|usn| usn.parse().ok()),
        }
    }

    /// The tree that holds a base.
    pub(super) fn suffix_of(&self, base: &str) -> Option<&str> {
        replica::suffix_of(&self.naming_contexts, base)
    }

    /// A server of a kind, of which nothing else is known.
    #[cfg(test)]
    pub(super) fn plain(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::from_root(&Entry::default(), "")
        }
    }

    /// The attributes that identify an entry here, the best first.
    pub(super) fn ids(&self) -> Vec<IdAttribute> {
        let name = match self.kind {
            Kind::OpenLdap => "entryUUID",
            // Entries that were imported before the plugin was on have no entryUUID.
            Kind::Ds389 => "nsUniqueId",
            Kind::ActiveDirectory => "objectGUID",
            Kind::Other => return IdAttribute::known(),
        };
        vec![IdAttribute::named(name)]
    }

    /// The attribute with the time of the last change.
    pub(super) fn stamp_attribute(&self) -> &'static str {
        match self.kind {
            Kind::ActiveDirectory => "whenchanged",
            _ => "modifytimestamp",
        }
    }

    /// The filter for entries that changed at this time or later.
    pub(super) fn changed_since(&self, seconds: i64) -> String {
        let mut stamp = stamp::write(seconds);
        if self.kind == Kind::ActiveDirectory {
            // Without a fraction Samba lets every entry pass.
            stamp.insert_str(stamp.len() - 1, ".0");
        }
        format!("({}>={stamp})", self.stamp_attribute())
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::OpenLdap => "OpenLDAP",
            Self::Ds389 => "389 Directory Server",
            Self::ActiveDirectory => "Active Directory",
            Self::Other => "LDAP server",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::entry;
    use super::*;

    #[test]
    fn each_server_is_told_by_its_root() {
        for (root, kind, filter) in [
            (
                entry("", &[("objectClass", &["top", "OpenLDAProotDSE"])]),
                Kind::OpenLdap,
                "(modifytimestamp>=20261121205000Z)",
            ),
            (
                entry("", &[("vendorName", &["389 Project"])]),
                Kind::Ds389,
                "(modifytimestamp>=20261121205000Z)",
            ),
            (
                entry("", &[("supportedCapabilities", &[ACTIVE_DIRECTORY])]),
                Kind::ActiveDirectory,
                "(whenchanged>=20261121205000.0Z)",
            ),
            (
                entry("", &[]),
                Kind::Other,
                "(modifytimestamp>=20261121205000Z)",
            ),
        ] {
            let server = Server::from_root(&root, "ldap://dc1");
            assert_eq!(server.kind, kind);
            assert_eq!(server.changed_since(1_795_294_200), filter);
            assert_eq!(server.pinned_to.is_some(), kind == Kind::ActiveDirectory);
        }
    }
}
