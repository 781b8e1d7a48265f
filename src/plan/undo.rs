//! The way back from what a run did.
//!
//! *Its one idea: only what still is as the run left it is undone.* Whatever anybody has changed since is
//! theirs; it is named, and left alone.

use super::membership::{Decision, Objection};
use crate::category::{Entitlement, PermissionLevel, Status, UpdateMethod};

/// What a run did to one membership.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// What it decided.
    pub decision: Decision,
    /// What was there before.
    pub before: Option<&'a Entitlement>,
}

/// Decides how a deed is undone, seeing what is there `now`.
pub fn undo(deed: Deed<'_>, now: Option<&Entitlement>) -> Decision {
    let Some(left) = left_by(deed) else {
        return Decision::Keep;
    };
    let is_as_left = match (left, now) {
        (Left::Nothing, None) => true,
        (Left::Row(level, status), Some(now)) => {
            let ours = now.method == UpdateMethod::Automatic;
            let restored = matches!(deed.decision, Decision::Restore { .. });
            (ours || restored) && (now.level, now.status) == (level, status)
        }
        _ => false,
    };
    if !is_as_left {
        return Decision::Skip(Objection::ChangedSince);
    }
    match (deed.before, deed.decision) {
        (_, Decision::Merge { .. } | Decision::Remove { copies: 2.. }) => {
            Decision::Skip(Objection::NoWayBack)
        }
        (None, _) => Decision::TakeBack,
        (Some(before), _) if before.status == Status::Pending => {
            Decision::Skip(Objection::NoWayBack)
        }
        (Some(before), _) => Decision::Restore {
            level: before.level,
            method: before.method,
            status: before.status,
        },
    }
}

/// What a deed leaves behind.
enum Left {
    Nothing,
    Row(PermissionLevel, Status),
}

/// Of decisions that change nothing there is nothing to undo.
fn left_by(deed: Deed<'_>) -> Option<Left> {
    let before = deed.before;
    Some(match deed.decision {
        Decision::Add { level } => Left::Row(level, Status::Active),
        Decision::SetLevel { to, .. } => {
            Left::Row(to, before.map_or(Status::Active, |before| before.status))
        }
        Decision::Replace { to, .. }
        | Decision::Activate { to, .. }
        | Decision::Merge { to, .. } => Left::Row(to, Status::Active),
        Decision::Remove { .. } | Decision::TakeBack => Left::Nothing,
        Decision::Deactivate => Left::Row(before?.level, Status::NotActive),
        Decision::Restore { level, status, .. } => Left::Row(level, status),
        Decision::Keep | Decision::Adopt { .. } | Decision::Forget | Decision::Skip(_) => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::UserId;

    const MEMBER: PermissionLevel = PermissionLevel::Member;
    const MANAGER: PermissionLevel = PermissionLevel::Manager;

    fn row(level: PermissionLevel, method: UpdateMethod, status: Status) -> Entitlement {
        Entitlement {
            user: UserId::new("ada"),
            level,
            method,
            status,
            extra_permissions: Vec::new(),
        }
    }

    fn ours(level: PermissionLevel, status: Status) -> Entitlement {
        row(level, UpdateMethod::Automatic, status)
    }

    fn undone(
        decision: Decision,
        before: Option<&Entitlement>,
        now: Option<&Entitlement>,
    ) -> Decision {
        undo(Deed { decision, before }, now)
    }

    const CHANGED: Decision = Decision::Skip(Objection::ChangedSince);

    #[test]
    fn who_was_added_is_removed() {
        let now = ours(MEMBER, Status::Active);
        let add = Decision::Add { level: MEMBER };
        assert_eq!(undone(add, None, Some(&now)), Decision::TakeBack);
        assert_eq!(
            undone(add, None, None),
            CHANGED,
            "somebody removed them already"
        );
    }

    #[test]
    fn who_was_removed_comes_back_with_level_method_and_status() {
        let remove = Decision::Remove { copies: 1 };
        for method in [UpdateMethod::Manual, UpdateMethod::Automatic] {
            for status in [Status::Active, Status::NotActive] {
                let before = row(MANAGER, method, status);
                let back = Decision::Restore {
                    level: MANAGER,
                    method,
                    status,
                };
                assert_eq!(undone(remove, Some(&before), None), back);
                assert_eq!(undone(remove, Some(&before), Some(&before)), CHANGED);
            }
        }
    }

    #[test]
    fn a_level_goes_back_unless_somebody_has_set_another() {
        let before = ours(MEMBER, Status::Active);
        let raise = Decision::SetLevel {
            from: MEMBER,
            to: MANAGER,
        };
        let back = Decision::Restore {
            level: MEMBER,
            method: UpdateMethod::Automatic,
            status: Status::Active,
        };
        let now = ours(MANAGER, Status::Active);
        assert_eq!(undone(raise, Some(&before), Some(&now)), back);
        let by_hand = row(MANAGER, UpdateMethod::Manual, Status::Active);
        assert_eq!(undone(raise, Some(&before), Some(&by_hand)), CHANGED);
        assert_eq!(undone(raise, Some(&before), Some(&before)), CHANGED);
        assert_eq!(undone(raise, Some(&before), None), CHANGED);
    }

    #[test]
    fn who_was_deactivated_is_activated() {
        let before = ours(MEMBER, Status::Active);
        let now = ours(MEMBER, Status::NotActive);
        let back = Decision::Restore {
            level: MEMBER,
            method: UpdateMethod::Automatic,
            status: Status::Active,
        };
        assert_eq!(
            undone(Decision::Deactivate, Some(&before), Some(&now)),
            back
        );
    }

    #[test]
    fn a_request_to_join_and_two_rows_have_no_way_back() {
        let request = row(MEMBER, UpdateMethod::Manual, Status::Pending);
        let now = ours(MEMBER, Status::Active);
        let granted = Decision::Activate {
            from: MEMBER,
            to: MEMBER,
        };
        let none = Decision::Skip(Objection::NoWayBack);
        assert_eq!(undone(granted, Some(&request), Some(&now)), none);
        let merged = Decision::Merge {
            surplus: 1,
            to: MEMBER,
        };
        assert_eq!(undone(merged, Some(&now), Some(&now)), none);
    }

    #[test]
    fn what_changed_nothing_needs_no_undoing() {
        let now = ours(MEMBER, Status::Active);
        for decision in [Decision::Adopt { level: MEMBER }, Decision::Forget, CHANGED] {
            assert_eq!(undone(decision, None, Some(&now)), Decision::Keep);
        }
    }
}
