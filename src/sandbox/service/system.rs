//! `system`: whether the server is there, what it is, what time it has.

use super::{Service, open};
use crate::sandbox::answer::Answer;

/// The release the sandbox imitates.
const VERSION: &str = "Venus-22.19.0";

pub(super) const SERVICE: Service = Service {
    name: "system",
    actions: &[
        open("ping", &[], |_| Ok(Answer::Bool(true))),
        open("getVersion", &[], |_| Ok(Answer::text(VERSION))),
        open("getTime", &[], |call| Ok(Answer::Int(call.now()))),
    ],
};
