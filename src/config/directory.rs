//! `[[directory]]`: where people and groups come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Period, SecretSource};

/// One directory.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Directory {
    /// An LDAP server.
    Ldap(LdapDirectory),
    /// An LDIF file, for sites that can only get a nightly export.
    Ldif(LdifDirectory),
}

impl Directory {
    /// The directory's name in messages and in the state file.
    pub fn name(&self) -> &str {
        match self {
            Self::Ldap(ldap) => &ldap.name,
            Self::Ldif(ldif) => &ldif.name,
        }
    }

    /// How long a departure must have been seen before it is applied.
    pub fn confirm_after(&self) -> Period {
        match self {
            Self::Ldap(ldap) => ldap.confirm_after,
            Self::Ldif(ldif) => ldif.confirm_after,
        }
    }

    /// What counts as a group there.
    pub fn groups(&self) -> &Groups {
        match self {
            Self::Ldap(ldap) => &ldap.groups,
            Self::Ldif(ldif) => &ldif.groups,
        }
    }
}

/// A directory with `kind = "ldap"`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LdapDirectory {
    /// The directory's name in messages and in the state file.
    pub name: String,
    /// The servers, tried in this order: `ldap://`, `ldaps://` or `ldapi://`.
    pub urls: Vec<String>,
    /// Turn a plain `ldap://` connection into an encrypted one before anything is sent. Default false.
    #[serde(default)]
    pub starttls: bool,
    /// A certificate authority of your own, as a PEM file. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// How to say who we are. Default `simple` when there is a `bind_dn`, else `anonymous`.
    pub bind: Option<BindMethod>,
    /// The name to bind as.
    pub bind_dn: Option<String>,
    /// Its password.
    pub bind_password: Option<SecretSource>,
    /// A client certificate, as a PEM file, for `bind = "external"`.
    pub client_certificate: Option<PathBuf>,
    /// The client certificate's key, as a PEM file.
    pub client_key: Option<PathBuf>,
    /// How long connecting, TLS included, may take. Default `"10s"`.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Period,
    /// How long the server may stay silent in an operation. Default `"60s"`.
    #[serde(default = "default_search_timeout")]
    pub search_timeout: Period,
    /// Entries in one page of a search. Default 1000.
    #[serde(default = "default_page_size")]
    pub page_size: i32,
    /// Places of which references to other servers are of no concern: the value of the first part of a DN,
    /// or a DN. Default: those of Active Directory that hold neither people nor groups.
    #[serde(default = "default_ignore_references")]
    pub ignore_references: Vec<String>,
    /// How changes are found between full reads. Default `auto`.
    #[serde(default)]
    pub changes: ChangeDetection,
    /// How far behind the newest stamp seen a search for changes begins, for servers that receive
    /// changes late from another. Default `"60s"`.
    #[serde(default = "default_overlap")]
    pub overlap: Period,
    /// How long after a departure was first seen the second look must find the same before it is applied.
    /// Default `"0s"`: the second look is made at once, in the same run. Additions never wait.
    #[serde(default)]
    pub confirm_after: Period,
    /// The attribute that never changes. Default: the first of `entryUUID`, `nsUniqueId`,
    /// `ipaUniqueID`, `objectGUID` that the entries have.
    pub stable_id: Option<String>,
    /// Who counts as a person, and what their attributes mean.
    pub people: People,
    /// What counts as a group, and what its attributes mean.
    pub groups: Groups,
}

/// A directory with `kind = "ldif"`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LdifDirectory {
    /// The directory's name in messages and in the state file.
    pub name: String,
    /// The file, replaced as a whole by each export.
    pub path: PathBuf,
    /// A line that the export writes last, such as `# end of export`. A file without it is taken for
    /// half a file, which may add and never removes. Default: none is expected.
    pub end_marker: Option<String>,
    /// How long after a departure was first seen another export must show the same before it is applied.
    /// Default `"0s"`: one export is enough. Additions never wait.
    #[serde(default)]
    pub confirm_after: Period,
    /// How old the file may be. An older one may add and never removes. Default: no limit.
    pub max_age: Option<Period>,
    /// The attribute that never changes. Default: as for LDAP; the DN where an entry has none of them.
    pub stable_id: Option<String>,
    /// Who counts as a person, and what their attributes mean.
    pub people: People,
    /// What counts as a group, and what its attributes mean.
    pub groups: Groups,
}

/// How to say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BindMethod {
    /// By name and password.
    Simple,
    /// By what the connection already proves: a client certificate, or the user of a Unix socket.
    External,
    /// Not at all.
    Anonymous,
}

/// How changes are found between full reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeDetection {
    /// The best way that the server offers.
    #[default]
    Auto,
    /// By `modifyTimestamp`.
    Timestamp,
    /// Not at all: each run reads everything.
    Full,
}

/// `[directory.people]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Where the search begins.
    pub base: String,
    /// Who counts. Default `(objectClass=person)`.
    #[serde(default = "default_people_filter")]
    pub filter: String,
    /// The attribute that becomes the user ID in Kaltura.
    pub user_id: String,
    /// What is done to it.
    #[serde(default)]
    pub user_id_transform: UserIdTransform,
    /// Default `givenName`.
    #[serde(default = "default_first_name")]
    pub first_name: String,
    /// Default `sn`.
    #[serde(default = "default_last_name")]
    pub last_name: String,
    /// Default `mail`.
    #[serde(default = "default_mail")]
    pub mail: String,
    /// A filter that an account in use matches, such as `(!(nsAccountLock=TRUE))`. Default: every
    /// account is in use.
    pub enabled: Option<String>,
    /// The attribute by which `memberUid` names people. Default `uid`.
    #[serde(default = "default_login")]
    pub login: String,
    /// The attribute by which entries of one person in several directories are known: where its values are
    /// the same, so is the person. Default: none; entries with one user ID are two people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
}

/// What is done to the user ID attribute, in this order.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UserIdTransform {
    /// A regular expression that the whole value must match; the group named `id`, or else the first
    /// group, is taken. Default none.
    pub pattern: Option<String>,
    /// Drop `@` and everything behind it. Default false.
    #[serde(default)]
    pub strip_domain: bool,
    /// Make it lower case. Default false.
    #[serde(default)]
    pub lowercase: bool,
}

/// `[directory.groups]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Where the search begins.
    pub base: String,
    /// What counts. Default `(objectClass=groupOfNames)`.
    #[serde(default = "default_groups_filter")]
    pub filter: String,
    /// The attribute that becomes the group ID. Default `cn`.
    #[serde(default = "default_group_id")]
    pub group_id: String,
    /// A name for people. Default `description`.
    #[serde(default = "default_group_name")]
    pub name: String,
    /// The attribute with the members: `member`, `uniqueMember` (names of entries), `memberUid`
    /// (logins), or `memberOf`, which is read from the people. Default `member`.
    #[serde(default = "default_members")]
    pub members: String,
    /// Whether people whose primary group it is are members, too: by `primaryGroupID` in Active Directory,
    /// by `gidNumber` where the group has one. Default true.
    #[serde(default = "default_primary", skip_serializing_if = "is_true")]
    pub primary: bool,
    /// Whether a group may be without a member although it belongs to a class that must have one, such as
    /// `groupOfNames` (RFC 4519, section 3.5). Otherwise one without a member counts as unreadable, where the
    /// server does not say that it is empty. Without it, a read in which no group at all has a member proves
    /// nothing. Default false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_be_empty: bool,
    /// Further attributes of the group, with the role of the people they name:
    /// `{ owner = "manager" }` reads the attribute `owner` as the role `manager`.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// Whether members of a group that is a member are members too. Default false.
    #[serde(default)]
    pub nested: bool,
    /// How deep groups in groups are followed. Default 16.
    #[serde(default = "default_depth")]
    pub depth: usize,
}

fn default_connect_timeout() -> Period {
    Period::seconds(10)
}
fn default_search_timeout() -> Period {
    Period::seconds(60)
}
fn default_page_size() -> i32 {
    1000
}
fn default_overlap() -> Period {
    Period::seconds(60)
}
fn default_people_filter() -> String {
    "(objectClass=person)".to_owned()
}
fn default_groups_filter() -> String {
    "(objectClass=groupOfNames)".to_owned()
}
fn default_first_name() -> String {
    "givenName".to_owned()
}
fn default_last_name() -> String {
    "sn".to_owned()
}
fn default_mail() -> String {
    "mail".to_owned()
}
fn default_login() -> String {
    "uid".to_owned()
}
fn default_group_id() -> String {
    "cn".to_owned()
}
fn default_group_name() -> String {
    "description".to_owned()
}
fn default_members() -> String {
    "member".to_owned()
}
fn default_ignore_references() -> Vec<String> {
    [
        "DomainDnsZones",
        "ForestDnsZones",
        "Configuration",
        "Schema",
    ]
    .map(str::to_owned)
    .to_vec()
}
// Keys that are left out where they have their default: a configuration of before stays the same.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_true(value: &bool) -> bool {
    *value
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_false(value: &bool) -> bool {
    !*value
}
fn default_primary() -> bool {
    true
}
fn default_depth() -> usize {
    16
}
