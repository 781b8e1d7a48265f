//! How far a server has come, so that one which is behind is not believed.
//!
//! | server | what it shows | by |
//! |---|---|---|
//! | OpenLDAP | `contextCSN` of the suffix | server id |
//! | 389 Directory Server | the replica update vector, `nsds50ruv` | replica number |
//! | Active Directory | `highestCommittedUSN`, `replUpToDateVector` (MS-DRSR, section 5.166) | invocation id |
//!
//! Where the account may not read it, servers cannot be compared, and only the entries themselves tell
//! ([`Version`](crate::directory::Version)).

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::super::Seen;
use super::super::entry::Entry;
use super::search::{Query, Search};
use super::server::{Kind, Server};
use super::session::Session;
use crate::directory::{Dn, Version};

/// The newest change of each server of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Replica {
    /// Change numbers, by server id or replica number: of one length each, ordered as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    csn: BTreeMap<String, String>,
    /// Update sequence numbers, by invocation id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    usn: BTreeMap<String, u64>,
    /// The server's own invocation id.
    #[serde(skip)]
    own: Option<String>,
}

impl Replica {
    /// Asks the server how far it has come. Where it does not tell, nothing is known.
    pub(super) async fn read(session: &mut Session, server: &Server, base: &str) -> Self {
        match server.kind {
            Kind::OpenLdap => Self::of_openldap(session, server, base).await,
            Kind::Ds389 => Self::of_389(session, server, base).await,
            Kind::ActiveDirectory => Self::of_active_directory(session, server).await,
            Kind::Other => Self::default(),
        }
    }

    async fn of_openldap(session: &mut Session, server: &Server, base: &str) -> Self {
        let Some(suffix) = server.suffix_of(base) else {
            return Self::default();
        };
        let query = Query::entry(suffix, vec!["contextCSN".to_owned()]);
        let entry = only(session, query).await;
        let csn = entry.values("contextcsn").iter();
        let csn = csn.filter_map(|value| str::from_utf8(value).ok());
        let csn = csn.filter_map(|value| {
            let server_id = value.split('#').nth(2)?;
            Some((server_id.to_owned(), value.to_owned()))
        });
        Self {
            csn: csn.collect(),
            ..Self::default()
        }
    }

    async fn of_389(session: &mut Session, server: &Server, base: &str) -> Self {
        let Some(suffix) = server.suffix_of(base) else {
            return Self::default();
        };
        // An account that may read it needs a right on this entry.
        let query = Query::subtree(
            "cn=mapping tree,cn=config",
            "(objectClass=nsds5Replica)".to_owned(),
            ["nsds50ruv", "nsds5ReplicaRoot"]
                .map(str::to_owned)
                .to_vec(),
        );
        let mut search = Search::new(session, query);
        let mut entry = Entry::default();
        while let Ok(Some(replica)) = search.next().await {
            let root = replica.text("nsds5replicaroot").ok().flatten();
            let root = root.map_or(Some(suffix), Some);
            let is_ours = root.is_some_and(|root| Dn::parse(root) == Dn::parse(suffix));
            if is_ours && !replica.values("nsds50ruv").is_empty() {
                entry = replica;
            }
        }
        let vector = entry.values("nsds50ruv").iter();
        let vector = vector.filter_map(|value| str::from_utf8(value).ok());
        Self {
            csn: vector.filter_map(update_vector).collect(),
            ..Self::default()
        }
    }

    async fn of_active_directory(session: &mut Session, server: &Server) -> Self {
        let (Some(settings), Some(highest)) = (&server.ds_service_name, server.highest_usn) else {
            return Self::default();
        };
        let query = Query::entry(settings, vec!["invocationId".to_owned()]);
        let entry = only(session, query).await;
        let Some(own) = entry.values("invocationid").iter().next() else {
            return Self::default();
        };
        let own = HEXLOWER.encode(own);
        let mut usn = BTreeMap::new();
        if let Some(root) = &server.default_naming_context {
            let query = Query::entry(root, vec!["replUpToDateVector".to_owned()]);
            let entry = only(session, query).await;
            if let Some(vector) = entry.values("repluptodatevector").iter().next() {
                usn = up_to_date_vector(vector).unwrap_or_default();
            }
        }
        usn.insert(own.clone(), highest);
        Self {
            usn,
            own: Some(own),
            ..Self::default()
        }
    }

    /// The state of an entry by this server's own numbers, where it has them.
    pub(super) fn version(&self, number: u64) -> Option<Version> {
        let own = self.own.as_ref()?;
        (number > 0).then(|| Version::of_server(own, number))
    }

    /// What was seen before, as it was stored.
    pub(super) fn seen(seen: Option<&Seen>) -> Self {
        seen.and_then(|seen| serde_json::from_str(&seen.0).ok())
            .unwrap_or_default()
    }

    /// What this server lacks of what was seen before; `None`: nothing, as far as it can be compared.
    pub(super) fn lacks(&self, seen: &Self) -> Option<String> {
        if !self.csn.is_empty() {
            for (id, newest) in &seen.csn {
                let have = self.csn.get(id);
                if have.is_none_or(|have| have < newest) {
                    let have = have.map_or("nothing", String::as_str);
                    return Some(format!(
                        "it has the changes of server {id} up to {have}, and {newest} was read before"
                    ));
                }
            }
        }
        if let Some(own) = &self.own
            && self.usn.len() == 1
            && !seen.usn.is_empty()
            && !seen.usn.contains_key(own)
        {
            return Some(
                "it is another domain controller than was read before, or a restored one, and does not show which changes it has: let the account read replUpToDateVector on the domain, or accept it with rollbook state accept".to_owned(),
            );
        }
        // Without the vector only the server's own changes are known.
        if self.usn.len() > 1
            || self
                .own
                .as_ref()
                .is_some_and(|own| seen.usn.contains_key(own))
        {
            for (id, newest) in &seen.usn {
                let have = self.usn.get(id).copied();
                let is_comparable = have.is_some() || self.usn.len() > 1;
                if is_comparable && have.unwrap_or(0) < *newest {
                    return Some(format!(
                        "it has the changes of domain controller {id} up to {}, and {newest} was read before",
                        have.unwrap_or(0)
                    ));
                }
            }
        }
        None
    }

    /// What has been seen after a read of this server: of its own numbers those of the entries read, for it
    /// counts others, too.
    pub(super) fn after(&self, seen: &Self, newest_usn: u64) -> Option<Seen> {
        let mut after = seen.clone();
        for (id, csn) in &self.csn {
            let newest = after.csn.entry(id.clone()).or_default();
            if *newest < *csn {
                newest.clone_from(csn);
            }
        }
        for (id, usn) in &self.usn {
            let usn = if Some(id) == self.own.as_ref() {
                newest_usn.min(*usn)
            } else {
                *usn
            };
            let newest = after.usn.entry(id.clone()).or_default();
            *newest = usn.max(*newest);
        }
        (after != Self::default())
            .then(|| serde_json::to_string(&after).ok().map(Seen))
            .flatten()
    }
}

/// The one entry that a query finds; an empty one where there is none, or it cannot be read.
async fn only(session: &mut Session, query: Query) -> Entry {
    let mut search = Search::new(session, query);
    let mut found = Entry::default();
    while let Ok(Some(entry)) = search.next().await {
        found = entry;
    }
    found
}

/// A value of `nsds50ruv`: `{replica 1 ldap://host:389} <oldest> <newest>`.
fn update_vector(value: &str) -> Option<(String, String)> {
    let rest = value.strip_prefix("{replica ")?;
    let (replica, changes) = rest.split_once('}')?;
    let number = replica.split(' ').next()?;
    let newest = changes.split_whitespace().nth(1)?;
    Some((number.to_owned(), newest.to_owned()))
}

/// The up-to-dateness vector of a naming context (MS-DRSR, section 5.166: versions 1 and 2).
fn up_to_date_vector(octets: &[u8]) -> Option<BTreeMap<String, u64>> {
    let number = |from: usize| -> Option<u32> {
        Some(u32::from_le_bytes(
            octets.get(from..from + 4)?.try_into().ok()?,
        ))
    };
    let size = match number(0)? {
        1 => 24,
        2 => 32,
        _ => return None,
    };
    let count = usize::try_from(number(8)?).ok()?;
    let cursors = octets.get(16..)?.chunks_exact(size).take(count);
    cursors
        .map(|cursor| {
            let usn = u64::from_le_bytes(cursor.get(16..24)?.try_into().ok()?);
            Some((HEXLOWER.encode(cursor.get(..16)?), usn))
        })
        .collect()
}

/// The suffix that holds a base, of those the server names.
pub(super) fn suffix_of<'s>(suffixes: &'s [String], base: &str) -> Option<&'s str> {
    let base = Dn::parse(base).ok()?;
    let holds = |suffix: &&String| Dn::parse(suffix).is_ok_and(|suffix| base.is_under(&suffix));
    suffixes
        .iter()
        .filter(holds)
        .max_by_key(|suffix| suffix.len())
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csn(values: &[(&str, &str)]) -> Replica {
        let csn = values.iter();
        Replica {
            csn: csn.map(|(id, csn)| ((*id).into(), (*csn).into())).collect(),
            ..Replica::default()
        }
    }

    #[test]
    fn a_server_that_lacks_a_change_of_any_server_is_behind() {
        let seen = csn(&[("001", "20261121#1"), ("002", "20261121#5")]);
        assert_eq!(seen.lacks(&seen), None);
        assert_eq!(
            csn(&[("001", "20261122#1"), ("002", "20261121#5")]).lacks(&seen),
            None
        );
        assert!(
            csn(&[("001", "20261122#1"), ("002", "20261121#4")])
                .lacks(&seen)
                .is_some()
        );
        assert!(csn(&[("001", "20261122#1")]).lacks(&seen).is_some());
    }

    #[test]
    fn a_server_that_does_not_tell_cannot_be_compared() {
        assert_eq!(
            Replica::default().lacks(&csn(&[("001", "20261121#1")])),
            None
        );
    }

    #[test]
    fn what_has_been_seen_only_grows() {
        let seen = csn(&[("001", "b"), ("002", "b")]);
        let after = csn(&[("001", "a"), ("002", "c")]).after(&seen, 0);
        assert_eq!(
            Replica::seen(after.as_ref()),
            csn(&[("001", "b"), ("002", "c")])
        );
    }

    fn controller(own: &str, usn: &[(&str, u64)]) -> Replica {
        let usn = usn.iter();
        Replica {
            usn: usn.map(|(id, usn)| ((*id).into(), *usn)).collect(),
            own: Some(own.into()),
            ..Replica::default()
        }
    }

    #[test]
    fn another_domain_controller_must_have_what_was_read_of_the_first() {
        let first = controller("aa", &[("aa", 900), ("bb", 70)]);
        let seen = Replica::seen(first.after(&Replica::default(), 850).as_ref());
        assert_eq!(
            controller("bb", &[("bb", 71), ("aa", 860)]).lacks(&seen),
            None
        );
        assert!(
            controller("bb", &[("bb", 71), ("aa", 849)])
                .lacks(&seen)
                .is_some()
        );
        // Restored: its own numbers have gone back.
        assert!(
            controller("aa", &[("aa", 840), ("bb", 70)])
                .lacks(&seen)
                .is_some()
        );
        // The vector may not be readable.
        assert_eq!(controller("bb", &[("bb", 71)]).lacks(&seen), None);
    }

    #[test]
    fn the_vectors_of_389_and_active_directory_are_read() {
        assert_eq!(
            update_vector("{replica 7 ldap://a:389} 665dc0aa000000070000 665dc0ab000100070000"),
            Some(("7".into(), "665dc0ab000100070000".into()))
        );
        assert_eq!(
            update_vector("{replicageneration} 665dc0aa000000070000"),
            None
        );
        let mut octets = vec![2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        octets.extend([0xab; 16]);
        octets.extend(4242_u64.to_le_bytes());
        octets.extend([0; 8]);
        let vector = up_to_date_vector(&octets).unwrap();
        assert_eq!(vector, BTreeMap::from([("ab".repeat(16), 4242)]));
        assert_eq!(up_to_date_vector(&octets[..20]), Some(BTreeMap::new()));
    }
}
