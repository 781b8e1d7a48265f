//! What every installation brings along: permissions and roles.
//!
//! *Its one idea: these are data, recorded once*, a line each; an account differs from another only
//! by a few flags that come and go with what it is used for.

use std::sync::LazyLock;

use super::{CHUNKED, ENTITLEMENT_USED, MANY_CATEGORIES};
use crate::sandbox::state::{Role, State};

/// The feature whose absence makes an account without entitlement.
const ENTITLEMENT: &str = "FEATURE_ENTITLEMENT";

/// `status` of a permission that counts.
const ACTIVE: i64 = 1;

/// Stands for all of an account's permissions in a role of the installation.
const ALL: &str = "*";

/// A permission.
#[derive(Debug)]
pub(in crate::sandbox) struct Permission {
    pub(in crate::sandbox) id: i64,
    /// 1 normal, 2 special feature, 3 plugin.
    pub(in crate::sandbox) kind: i64,
    /// 1 active, 2 blocked.
    pub(in crate::sandbox) status: i64,
    /// Whether it is a row of the account; else of the installation.
    pub(in crate::sandbox) own: bool,
    pub(in crate::sandbox) name: &'static str,
    pub(in crate::sandbox) friendly_name: &'static str,
    pub(in crate::sandbox) description: Option<&'static str>,
    pub(in crate::sandbox) depends_on: Option<&'static str>,
    pub(in crate::sandbox) tags: Option<&'static str>,
    pub(in crate::sandbox) items: Option<&'static str>,
    pub(in crate::sandbox) partner_group: Option<&'static str>,
}

static PERMISSIONS: LazyLock<Vec<Permission>> = LazyLock::new(|| {
    let lines = include_str!("permissions.tsv").lines();
    lines
        .map(|line| {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let text = |at: usize| cells.get(at).copied().unwrap_or_default();
            let maybe = |at: usize| Some(text(at)).filter(|text| *text != "-");
            let number = |at: usize| text(at).parse().unwrap_or(0);
            Permission {
                id: number(0),
                kind: number(1),
                status: number(2),
                own: text(3) == "own",
                name: text(4),
                friendly_name: text(5),
                description: maybe(6),
                depends_on: maybe(7),
                tags: maybe(8),
                items: maybe(9),
                partner_group: maybe(10),
            }
        })
        .collect()
});

static ROLES: LazyLock<Vec<Role>> = LazyLock::new(|| {
    let lines = include_str!("roles.tsv").lines();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let text = |at: usize| cells.get(at).copied().unwrap_or_default();
            let maybe = |at: usize| Some(text(at).to_owned()).filter(|text| text != "-");
            Role {
                id: text(0).parse().unwrap_or(0),
                name: text(2).to_owned(),
                system_name: maybe(3),
                description: maybe(4),
                tags: maybe(5),
                status: text(1).parse().unwrap_or(0),
                permissions: text(6).split(',').map(str::to_owned).collect(),
                created: 0,
                updated: 0,
            }
        })
        .collect()
});

/// The permissions an account has, by number.
pub(in crate::sandbox) fn permissions(state: &State) -> impl Iterator<Item = &'static Permission> {
    let (entitlement, used) = (state.partner.entitlement, state.categories.has_contexts);
    let many = state.categories.count() >= MANY_CATEGORIES;
    PERMISSIONS
        .iter()
        .filter(move |permission| match permission.name {
            ENTITLEMENT => entitlement,
            ENTITLEMENT_USED => used,
            CHUNKED => many,
            _ => true,
        })
}

/// The roles of the installation.
pub(in crate::sandbox) fn roles() -> &'static [Role] {
    &ROLES
}

/// The permission names of a role, as an account shows them.
pub(in crate::sandbox) fn names_of(state: &State, role: &Role) -> String {
    if role.permissions.iter().any(|name| name == ALL) {
        let active = permissions(state).filter(|permission| permission.status == ACTIVE);
        let names: Vec<&str> = active.map(|permission| permission.name).collect();
        return names.join(",");
    }
    role.permissions.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_permission_or_a_role() {
        assert_eq!(PERMISSIONS.len(), 229);
        assert!(PERMISSIONS.is_sorted_by_key(|permission| permission.id));
        assert_eq!(ROLES.len(), 23);
        let administrator = ROLES.iter().find(|role| role.id == 2);
        assert_eq!(administrator.map(|role| role.permissions.len()), Some(1));
    }
}
