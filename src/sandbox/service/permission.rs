//! `permission`: what the session may do, as one comma list.

use super::{Service, open};
use crate::sandbox::answer::Answer;

pub(super) const SERVICE: Service = Service {
    name: "permission",
    actions: &[open("getCurrentPermissions", &[], |call| {
        Ok(Answer::text(call.session.permissions.listed(call.state)))
    })],
};
