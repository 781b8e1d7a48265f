//! People who are wanted in some channel, as rows of end-users files.
//!
//! *Its one idea: Kaltura learns who somebody is before they come.* Of a person whom it knows by ID only, it shows
//! the ID; and those whom it does not know at all, no manager of a channel can find.

use std::collections::{BTreeMap, BTreeSet};

use super::{Export, Left, set_up_parts};
use crate::category::UserId;
use crate::kaltura::csv::person::PersonRow;
use crate::plan::Decision;
use crate::plan::membership::Objection;
use crate::reconcile::{Engine, RunError};

/// Finds everybody whom a group grants a channel that is there, with what the directory says of them.
pub async fn people(engine: &Engine) -> Result<Export<PersonRow>, RunError> {
    let parts = set_up_parts(engine).await?;
    let mut wanted: BTreeSet<UserId> = BTreeSet::new();
    let mut objections: BTreeMap<UserId, Objection> = BTreeMap::new();
    for action in parts.into_iter().flat_map(|part| part.actions) {
        match action.decision {
            // These are about the person; others are about the channel.
            Decision::Skip(
                objection @ (Objection::Protected
                | Objection::SharedUserId
                | Objection::InvalidUserId { .. }),
            ) => {
                objections.insert(action.user, objection);
            }
            _ => {
                wanted.insert(action.user);
            }
        }
    }
    let (profiles, wanted) = engine
        .store
        .run(move |store| Ok((store.profiles(&wanted)?, wanted)))
        .await?;
    let mut left: Vec<Left> = objections
        .iter()
        .map(|(user, objection)| Left::new(user, objection))
        .collect();
    let mut rows = Vec::new();
    for user in wanted.iter().filter(|user| !objections.contains_key(user)) {
        let profile = profiles.get(user).cloned().unwrap_or_default();
        let row = PersonRow::new(
            user,
            profile.first_name.as_deref(),
            profile.last_name.as_deref(),
            profile.mail.as_deref(),
        );
        match row {
            Ok(row) => rows.push(row),
            Err(why) => left.push(Left::new(user, &why)),
        }
    }
    Ok(Export::new(rows, left, &engine.config.apply.csv))
}
