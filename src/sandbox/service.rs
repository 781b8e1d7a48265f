//! The services of the sandbox, one file each.
//!
//! *Its one idea: a service is a table of actions*: the parameters with their types, the permissions
//! that open it, and the function that does it.

use super::dispatch::{Call, Outcome};
use super::params::Param;

mod app_token;
mod base_user;
mod bulk;
mod category;
mod category_list;
mod category_metadata;
mod category_rules;
mod category_user;
mod category_user_list;
mod category_view;
mod group;
mod group_sync;
mod group_user;
mod group_user_list;
mod metadata;
mod metadata_list;
mod metadata_profile;
mod permission;
mod session;
mod system;
mod user;
mod user_list;
mod user_role;
mod user_role_list;

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    /// Its name; case does not count.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) actions: &'static [Action],
}

/// An action of a service.
#[derive(Debug)]
pub(super) struct Action {
    /// Its name; case does not count.
    pub(super) name: &'static str,
    /// Its parameters.
    pub(super) params: &'static [Param],
    /// The permissions any one of which opens it; open to everybody without.
    pub(super) open_to: Option<&'static [&'static str]>,
    /// The name under which the log of membership writes has it.
    pub(super) writes_membership: Option<&'static str>,
    /// The action it is another name of, where permissions are concerned (`service->action`).
    pub(super) alias_of: Option<&'static str>,
    /// What it does.
    pub(super) run: fn(&mut Call<'_>) -> Outcome,
}

/// All services.
pub(super) static ALL: &[Service] = &[
    app_token::SERVICE,
    bulk::SERVICE,
    bulk::LEGACY_SERVICE,
    category::SERVICE,
    category_user::SERVICE,
    group::SERVICE,
    group_user::SERVICE,
    metadata::SERVICE,
    metadata_profile::SERVICE,
    permission::SERVICE,
    session::SERVICE,
    system::SERVICE,
    user::SERVICE,
    user_role::SERVICE,
];

/// An action that only reads, or writes no membership.
const fn action(
    name: &'static str,
    params: &'static [Param],
    open_to: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Outcome,
) -> Action {
    Action {
        name,
        params,
        open_to: Some(open_to),
        writes_membership: None,
        alias_of: None,
        run,
    }
}

/// An action open to everybody, with or without a session.
const fn open(
    name: &'static str,
    params: &'static [Param],
    run: fn(&mut Call<'_>) -> Outcome,
) -> Action {
    Action {
        name,
        params,
        open_to: None,
        writes_membership: None,
        alias_of: None,
        run,
    }
}

/// An action that writes a membership.
const fn write(
    name: &'static str,
    params: &'static [Param],
    open_to: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Outcome,
) -> Action {
    Action {
        name,
        params,
        open_to: Some(open_to),
        writes_membership: Some(name),
        alias_of: None,
        run,
    }
}
