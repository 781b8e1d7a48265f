//! The calls that an action takes, and how to see whether it is done.

use crate::category::{CategoryId, Entitlement, PermissionLevel, Status, UpdateMethod};
use crate::kaltura::{Found, Write};
use crate::plan::membership::Last;
use crate::plan::{Action, Decision};

/// The calls that an action takes, in order.
pub(super) fn writes(category: CategoryId, action: &Action) -> Vec<Write> {
    let user = &action.user;
    let before = action.before.as_ref();
    let is_manual = before.is_some_and(|before| before.method == UpdateMethod::Manual);
    let add = |level| Write::Add {
        category,
        user: user.clone(),
        level,
        method: UpdateMethod::Automatic,
    };
    let remove = || Write::Remove {
        category,
        user: user.clone(),
    };
    let activate = || Write::Activate {
        category,
        user: user.clone(),
    };
    let set_level = |level| Write::SetLevel {
        category,
        user: user.clone(),
        level,
        method: UpdateMethod::Automatic,
        over_manual: is_manual,
        extra_permissions: before
            .map(|before| before.extra_permissions.clone())
            .unwrap_or_default(),
    };
    match action.decision {
        Decision::Add { level } => vec![add(level)],
        Decision::SetLevel { to, .. } => vec![set_level(to)],
        Decision::Replace { to, .. } => vec![remove(), add(to)],
        // Kaltura cannot change a membership away from level none.
        Decision::Activate { to, .. } if is_made_again(action) => vec![remove(), add(to)],
        Decision::Activate { from, to } if from == to && !is_manual => vec![activate()],
        // A request to join is manual, and stays so when it is granted: nobody could leave any more.
        Decision::Activate { to, .. } => vec![set_level(to), activate()],
        // However many rows there really are, one is left; also when it is done twice.
        Decision::Merge { surplus, to } => {
            let all = (0..=surplus).map(|_| remove());
            all.chain([add(to)]).collect()
        }
        Decision::Remove { copies } => (0..copies.max(1)).map(|_| remove()).collect(),
        Decision::TakeBack => vec![remove()],
        Decision::Deactivate => vec![Write::Deactivate {
            category,
            user: user.clone(),
        }],
        Decision::Restore {
            level,
            method,
            status,
        } => restore(category, action, (level, method, status)),
        Decision::Keep | Decision::Adopt { .. } | Decision::Forget | Decision::Skip(_) => {
            Vec::new()
        }
    }
}

/// Whether an action takes a row away: where there are two, the other one is left.
pub(super) fn takes_a_row(action: &Action) -> bool {
    matches!(
        action.decision,
        Decision::Remove { .. } | Decision::TakeBack
    )
}

/// Whether a call of an action would do harm where the one before it has failed: a request that is granted and is
/// not ours stays for ever. The calls of one request are done whatever becomes of the others.
pub(super) fn in_steps(action: &Action) -> bool {
    matches!(
        action.decision,
        Decision::Activate { .. } | Decision::Restore { .. }
    )
}

/// Whether an action takes a membership away and makes it again, in two calls.
fn is_made_again(action: &Action) -> bool {
    match action.decision {
        Decision::Replace { .. } => true,
        Decision::Activate { from, to } => from == PermissionLevel::None && to != from,
        _ => false,
    }
}

/// The calls that put a membership back as it was.
fn restore(
    category: CategoryId,
    action: &Action,
    (level, method, status): (PermissionLevel, UpdateMethod, Status),
) -> Vec<Write> {
    let user = || action.user.clone();
    let extra = &action.extra_permissions;
    let add = Write::Add {
        category,
        user: user(),
        level,
        method,
    };
    let remove = Write::Remove {
        category,
        user: user(),
    };
    let set_level = |from: UpdateMethod, extra_permissions| Write::SetLevel {
        category,
        user: user(),
        level,
        method,
        over_manual: from == UpdateMethod::Manual,
        extra_permissions,
    };
    // What is made anew has the permissions of its level; any others come with a change after it.
    let more = (!extra.is_empty()).then(|| set_level(method, extra.clone()));
    let mut writes: Vec<Write> = match &action.before {
        None => [add].into_iter().chain(more).collect(),
        // Kaltura cannot change a membership away from level none.
        Some(now) if now.level == PermissionLevel::None && level != now.level => {
            [remove, add].into_iter().chain(more).collect()
        }
        Some(now) if (now.level, now.method) == (level, method) && has_all(now, extra) => {
            Vec::new()
        }
        Some(now) => {
            let given_since = &now.extra_permissions;
            let given_since = given_since.iter().filter(|name| !extra.contains(name));
            vec![set_level(
                now.method,
                extra.iter().chain(given_since).cloned().collect(),
            )]
        }
    };
    let is_added = writes
        .iter()
        .any(|write| matches!(write, Write::Add { .. }));
    let is_active = is_added
        || action
            .before
            .as_ref()
            .is_some_and(|now| now.status == Status::Active);
    if is_active && status == Status::NotActive {
        writes.push(Write::Deactivate {
            category,
            user: user(),
        });
    } else if !is_active && status == Status::Active {
        writes.push(Write::Activate {
            category,
            user: user(),
        });
    }
    writes
}

/// Whether the server itself would not notice that the membership has changed since the plan was made:
/// then it is looked at once more.
pub(super) fn needs_a_look(action: &Action) -> bool {
    let is_manual = action
        .before
        .as_ref()
        .is_some_and(|before| before.method == UpdateMethod::Manual);
    match action.decision {
        Decision::Remove { .. }
        | Decision::TakeBack
        | Decision::Deactivate
        | Decision::Activate { .. }
        | Decision::Replace { .. }
        | Decision::Restore { .. }
        | Decision::Merge { .. } => true,
        // The server refuses to change a membership that became manual, unless it is told to.
        Decision::SetLevel { .. } => is_manual,
        _ => false,
    }
}

/// Whether an action of several calls may go on, of which the first were done: nobody has made the membership theirs
/// meanwhile.
pub(super) fn goes_on(action: &Action, found: &Found) -> bool {
    let Found::Present(there) = found else {
        return !matches!(found, Found::Failed(_));
    };
    if let Decision::Restore { level, method, .. } = action.decision {
        return (there.level, there.method) == (level, method);
    }
    let before = action.before.as_ref();
    let was_manual = before.is_some_and(|before| before.method == UpdateMethod::Manual);
    was_manual || there.method == UpdateMethod::Automatic
}

/// How a membership stands, seen from an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// As it was when the plan was made.
    AsBefore,
    /// As the action would leave it.
    AsWanted,
    /// Otherwise.
    Otherwise,
}

/// Compares what is there with what the action found and what it is to leave.
pub(super) fn compare(action: &Action, found: &Found) -> Stands {
    let there = match found {
        Found::Present(there) => Some(there),
        Found::Absent => None,
        Found::NoSuchCategory | Found::Inherited { .. } | Found::Failed(_) => {
            return Stands::Otherwise;
        }
    };
    if is_as_wanted(action, there) {
        Stands::AsWanted
    } else if is_same(action, there) {
        Stands::AsBefore
    } else {
        Stands::Otherwise
    }
}

fn is_as_wanted(action: &Action, there: Option<&Entitlement>) -> bool {
    let active =
        |level| there.is_some_and(|there| there.level == level && there.status == Status::Active);
    match action.decision {
        Decision::Add { level } => active(level),
        Decision::SetLevel { to, .. } => there.is_some_and(|there| there.level == to),
        Decision::Replace { to, .. } => active(to),
        Decision::Activate { to, .. } => {
            active(to) && there.is_some_and(|there| there.method == UpdateMethod::Automatic)
        }
        Decision::Remove { .. } | Decision::TakeBack => there.is_none(),
        Decision::Deactivate => there.is_none_or(|there| there.status == Status::NotActive),
        Decision::Restore {
            level,
            method,
            status,
        } => there.is_some_and(|there| {
            (there.level, there.method, there.status) == (level, method, status)
                && has_all(there, &action.extra_permissions)
        }),
        // One look shows one row; how many there are only a list can tell.
        Decision::Merge { .. } => false,
        Decision::Keep | Decision::Adopt { .. } | Decision::Forget | Decision::Skip(_) => true,
    }
}

fn has_all(there: &Entitlement, extra_permissions: &[String]) -> bool {
    let mut extra = extra_permissions.iter();
    extra.all(|name| there.extra_permissions.contains(name))
}

fn is_same(action: &Action, there: Option<&Entitlement>) -> bool {
    let Some(before) = &action.before else {
        return there.is_none();
    };
    there.is_some_and(|there| match action.decision {
        // Of several rows a look shows any one; the plan knows the strictest of them.
        Decision::Merge { .. } | Decision::Remove { copies: 2.. } => {
            before.method == UpdateMethod::Manual || before.method == there.method
        }
        _ => {
            (before.level, before.method, before.status)
                == (there.level, there.method, there.status)
        }
    })
}

/// What the ledger says of an action that takes a membership away to make it anew, while nobody knows
/// how far it came.
pub(super) fn last_by_half(action: &Action) -> Option<Last> {
    let is_merged = matches!(action.decision, Decision::Merge { .. });
    (is_merged || is_made_again(action)).then_some(Last::Removed)
}

/// What the ledger says once an action is done.
pub(super) fn last(action: &Action) -> Option<Last> {
    match action.decision {
        Decision::Add { level }
        | Decision::Adopt { level }
        | Decision::Restore {
            level,
            method: UpdateMethod::Automatic,
            status: Status::Active,
        } => Some(Last::Active(level)),
        Decision::SetLevel { to, .. }
        | Decision::Replace { to, .. }
        | Decision::Activate { to, .. }
        | Decision::Merge { to, .. } => Some(Last::Active(to)),
        Decision::Remove { .. } | Decision::TakeBack => Some(Last::Removed),
        Decision::Deactivate => Some(Last::Deactivated),
        // What a person kept by hand, or had deactivated, is theirs again when it is restored.
        Decision::Restore { .. } | Decision::Keep | Decision::Forget | Decision::Skip(_) => None,
    }
}
