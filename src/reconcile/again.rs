//! A second look where a list of members is not to be believed.
//!
//! *Its one idea: an index may be late, and a list short.* Kaltura lists from a search index that lags behind its
//! database. What this program wrote a short time ago, and those of whom a person has said something, are looked at in
//! the database where the list shows them otherwise.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::look::{Actual, Unread};
use super::scope::Who;
use super::{Engine, RunError};
use crate::category::{CategoryId, Entitlement, Status, UpdateMethod, UserId};
use crate::clock;
use crate::kaltura::{Found, PAIRS_AT_ONCE};
use crate::plan::membership::Last;
use crate::store::dirty::Mark;

/// For so long a list may lack what was written.
const LONGEST_LAG: SignedDuration = SignedDuration::from_hours(1);
/// Where more than so many differ, the list as a whole is too old to be used.
const MOST_LOOKS: usize = 1_000;

/// Looks again at memberships that lists show otherwise than they should be; corrects the lists, and leaves out those
/// that cannot be corrected.
pub(super) async fn look_again(
    engine: &Engine,
    asked: &BTreeMap<CategoryId, BTreeSet<UserId>>,
    actual: &mut Vec<Actual>,
    unread: &mut Unread,
) -> Result<(), RunError> {
    let is_listed =
        |actual: &&Actual| actual.who == Who::Everybody && actual.category.inherits_from.is_none();
    let listed: Vec<CategoryId> = actual
        .iter()
        .filter(is_listed)
        .map(|one| one.category.id)
        .collect();
    if listed.is_empty() {
        return Ok(());
    }
    let recent = engine
        .store
        .run(move |store| {
            let since = clock::now().saturating_sub(LONGEST_LAG).unwrap_or_default();
            store.ledger_since(&listed, since)
        })
        .await?;
    let mut pairs: Vec<(CategoryId, UserId)> = Vec::new();
    let mut too_old = BTreeSet::new();
    for one in actual.iter().filter(is_listed) {
        let id = one.category.id;
        let users = differing(&one.members, recent.get(&id), asked.get(&id));
        if users.len() > MOST_LOOKS {
            too_old.insert(id);
        } else {
            pairs.extend(users.into_iter().map(|user| (id, user)));
        }
    }
    let mut seen: BTreeMap<CategoryId, Vec<(UserId, Found)>> = BTreeMap::new();
    for chunk in pairs.chunks(PAIRS_AT_ONCE) {
        let found = engine.kaltura.memberships(chunk).await?;
        for ((category, user), found) in chunk.iter().zip(found) {
            if matches!(found, Found::Failed(_)) {
                too_old.insert(*category);
            }
            seen.entry(*category)
                .or_default()
                .push((user.clone(), found));
        }
    }
    for one in actual.iter_mut() {
        for (user, found) in seen.remove(&one.category.id).into_iter().flatten() {
            correct(&mut one.members, &user, found);
        }
    }
    if !too_old.is_empty() {
        actual.retain(|one| !too_old.contains(&one.category.id));
        unread.categories.extend(&too_old);
        let marks: Vec<Mark> = too_old.into_iter().map(Mark::Category).collect();
        engine.store.run(move |store| store.mark(&marks)).await?;
    }
    Ok(())
}

/// Whom a list shows otherwise than they were left a short time ago; and who is not in it, of those of whom a person
/// has said something.
fn differing(
    members: &[Entitlement],
    recent: Option<&Vec<(UserId, Last)>>,
    asked: Option<&BTreeSet<UserId>>,
) -> BTreeSet<UserId> {
    let mut rows: BTreeMap<&UserId, Vec<&Entitlement>> = BTreeMap::new();
    for row in members {
        rows.entry(&row.user).or_default().push(row);
    }
    let recent = recent.into_iter().flatten().filter(|(user, last)| {
        let there = rows.get(user).map_or(&[][..], Vec::as_slice);
        !is_as_left(there, *last)
    });
    let missing = asked.into_iter().flatten();
    let missing = missing.filter(|user| !rows.contains_key(user));
    recent
        .map(|(user, _)| user)
        .chain(missing)
        .cloned()
        .collect()
}

/// Whether a list shows somebody as this program left them, or as a person has changed them since: by hand, or in
/// several rows.
fn is_as_left(there: &[&Entitlement], last: Last) -> bool {
    match (there, last) {
        ([], last) => !matches!(last, Last::Active(_)),
        ([row], _) if row.method == UpdateMethod::Manual => true,
        ([row], Last::Active(level)) => row.level == level && row.status == Status::Active,
        ([row], Last::Deactivated) => row.status == Status::NotActive,
        ([_], Last::Removed) => false,
        ([_, _, ..], _) => true,
    }
}

/// Puts into a list what is in the database.
fn correct(members: &mut Vec<Entitlement>, user: &UserId, found: Found) {
    match found {
        Found::Present(row) => {
            members.retain(|member| member.user != *user);
            members.push(row);
        }
        Found::Absent => members.retain(|member| member.user != *user),
        Found::NoSuchCategory | Found::Inherited { .. } | Found::Failed(_) => {}
    }
}
