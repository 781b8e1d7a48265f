//! Who may call what.
//!
//! *Its one idea: a session holds permission names, and an action is open to any one of its own.* An
//! administrator holds all of them, a role what it lists; roles of a user, `setrole` and the type
//! of the session decide which (`kPermissionManager.php`).

use std::collections::BTreeSet;

use super::error::{self, ApiError};
use super::ks::Ks;
use super::state::State;

pub(super) mod installed;

/// Held by everybody, even without a session.
const ALWAYS: &str = "ALWAYS_ALLOWED_ACTIONS,ALWAYS_ALLOWED_FROM_INTERNAL_IP_ACTIONS";

/// From about this many categories on the server raises a flag on the account by itself.
const MANY_CATEGORIES: usize = 1000;

/// The flag, which comes last.
const CHUNKED: &str = "DYNAMIC_FLAG_KMC_CHUNKED_CATEGORY_LOAD";

/// Held by administrators of an account that has ever used a privacy context.
const ENTITLEMENT_USED: &str = "FEATURE_ENTITLEMENT_USED";

/// The number of the administrator's role.
const ADMINISTRATOR_ROLE: i64 = 2;

/// What an administrator holds on a newly registered account, in the server's order.
const ADMINISTRATOR: &str = include_str!("access/administrator.txt");

/// The permissions of a session.
#[derive(Debug, Clone)]
pub(super) enum Permissions {
    /// Everything an administrator holds.
    Administrator,
    /// What some roles list.
    Roles(Vec<BTreeSet<String>>),
    /// What a kind of session holds by itself.
    Kind(&'static str),
    /// What is open to everybody.
    Nobody,
}

impl Permissions {
    /// The permissions of a session.
    pub(super) fn of(ks: Option<&Ks>, state: &State) -> Result<Self, ApiError> {
        let Some(ks) = ks else {
            return Ok(Self::Nobody);
        };
        if let Some(wanted) = ks.privilege("setrole").filter(|role| !role.is_empty()) {
            let mut roles = state.roles.iter().chain(installed::roles());
            let role = roles.find(|role| {
                // The administrator's is not a list of names.
                role.status == 1
                    && role.id != ADMINISTRATOR_ROLE
                    && (role.id.to_string() == wanted
                        || role.system_name.as_deref() == Some(wanted))
            });
            return match role {
                Some(role) => Ok(Self::Roles(vec![
                    role.permissions.iter().cloned().collect(),
                ])),
                None if wanted == "2" => Ok(Self::Administrator),
                None => Err(ApiError::new(error::INVALID_OBJECT_ID, &[])),
            };
        }
        let user = state
            .users
            .find(&ks.user_id)
            .map(|key| state.users.get(key));
        if let Some(user) = user
            && user.status == 1
            && !user.role_ids.is_empty()
        {
            let ids: Vec<&str> = user.role_ids.split(',').map(str::trim).collect();
            if ids.contains(&"2") {
                return Ok(Self::Administrator);
            }
            let roles = ids.iter().filter_map(|id| {
                let mut all = state.roles.iter();
                let role = all.find(|role| role.id.to_string() == *id)?;
                Some(role.permissions.iter().cloned().collect())
            });
            return Ok(Self::Roles(roles.collect()));
        }
        Ok(match ks.kind {
            0 if ks.privilege("widget").is_some() => Self::Kind("WIDGET_SESSION_PERMISSION"),
            0 => Self::Kind("BASE_USER_SESSION_PERMISSION"),
            _ => Self::Administrator,
        })
    }

    /// Whether any of these names is held.
    pub(super) fn allow(&self, names: &[&str]) -> bool {
        names.iter().any(|name| match self {
            Self::Administrator => is_known(name),
            Self::Roles(roles) => roles.iter().any(|role| role.contains(*name)),
            Self::Kind(kind) => kind == name,
            Self::Nobody => false,
        })
    }

    /// The names, as `permission.getCurrentPermissions` lists them.
    pub(super) fn listed(&self, state: &State) -> String {
        match self {
            Self::Administrator => {
                let mut all = ADMINISTRATOR.trim_end().to_owned();
                if !state.partner.entitlement {
                    all = all.replace(",FEATURE_ENTITLEMENT,", ",");
                }
                if state.categories.has_contexts {
                    all = format!("{all},{ENTITLEMENT_USED}");
                }
                if state.categories.count() >= MANY_CATEGORIES {
                    all = format!("{all},{CHUNKED}");
                }
                all
            }
            Self::Nobody => ALWAYS.to_owned(),
            Self::Kind(kind) => format!("{kind},{ALWAYS}"),
            Self::Roles(roles) => {
                let mut listed: Vec<&str> = Vec::new();
                for (at, role) in roles.iter().enumerate() {
                    for name in role {
                        if !listed.contains(&name.as_str()) {
                            listed.push(name);
                        }
                    }
                    if at == 0 {
                        // A role without permissions still leaves its place: one empty name.
                        if role.is_empty() {
                            listed.push("");
                        }
                        listed.extend(ALWAYS.split(','));
                        if state.categories.count() >= MANY_CATEGORIES {
                            listed.push(CHUNKED);
                        }
                    }
                }
                listed.join(",")
            }
        }
    }
}

/// Whether a permission exists on the account.
pub(super) fn is_known(name: &str) -> bool {
    ADMINISTRATOR
        .trim_end()
        .split(',')
        .any(|known| known == name)
}
