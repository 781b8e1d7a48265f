//! One person in one category: what is to be done.
//!
//! *Its one idea: two questions, asked apart.* [`change`] says what the directory would change;
//! [`objection`] says who objects; [`decide`] puts the two together. The table:
//!
//! | wanted | there is | last by us | decision |
//! |---|---|---|---|
//! | level | nothing | nothing, or not active | [`Add`](Decision::Add) |
//! | level | nothing | active: a person removed it | `Add`, or [`RemovedByHand`](Objection::RemovedByHand): policy |
//! | level | active, same level | nothing, or another level | [`Adopt`](Decision::Adopt): the ledger only |
//! | level | active, same level | same level | [`Keep`](Decision::Keep) |
//! | level | active, other level | any | [`SetLevel`](Decision::SetLevel) |
//! | level | active, level none | any | [`Replace`](Decision::Replace): Kaltura cannot update away from none |
//! | level | not active | deactivated by us | [`Activate`](Decision::Activate) |
//! | level | not active | anything else: a person did it | [`DeactivatedByHand`](Objection::DeactivatedByHand) |
//! | level | pending request to join | any | `Activate`: the group grants it |
//! | level | several automatic rows | any | [`Merge`](Decision::Merge): the surplus goes |
//! | none | nothing | any | `Keep`, or [`Forget`](Decision::Forget): the ledger only |
//! | none | automatic | any | [`Remove`](Decision::Remove) or [`Deactivate`](Decision::Deactivate): policy |
//! | none | automatic, not active | deactivated by us, and its time is over | `Remove` |
//! | none | several automatic rows | any | `Remove` them all: Kaltura deactivates one of them only |
//!
//! What a person deactivated by hand is held back for as long as a group would grant it. Where none does any
//! more, nothing is held back, and the row goes as the policy says: under `delete` it is removed, like any
//! automatic one, which takes access from nobody; under `deactivate`, and under a time of grace that nobody
//! counts for it, it stays as it is. Whoever comes back after the removal is a new member: a person who is
//! to stay out for good belongs out of the group, or stays out as a manual membership at level none.
//!
//! Objections, strongest first: the person is protected, or owns the category; the user ID is one
//! that Kaltura would refuse, or that two people share; a file with it waits to be uploaded; the membership is manual (not asked when it
//! is a request to join, which a grant answers); it is not ours; and, of whatever takes access
//! away, that it is not proven.

use serde::{Deserialize, Serialize};

use crate::category::{Entitlement, PermissionLevel, Status, UpdateMethod, UserIdProblem};
use crate::config::policy::{Departure, ManualPolicy, Ownership, RemovedByHand};
use crate::directory::{Known, Reason};

/// Everything that is known about one person in one category.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The level the directory grants, if any.
    pub want: Option<PermissionLevel>,
    /// What Kaltura has. Where it has several rows, the strictest of them (manual if one is).
    pub have: Option<&'a Entitlement>,
    /// How many rows Kaltura has, where it has any: concurrent adds make several.
    pub copies: usize,
    /// What this program last did there.
    pub last: Option<Last>,
    /// What is known about the person beyond the row itself.
    pub person: Standing,
    /// Whether this program deactivated it so long ago that its time is over.
    pub is_over: bool,
    /// Whether it is known that no group grants more than `want`, or why it is not.
    pub known: Result<Known, Reason>,
}

/// What this program last did to a membership: the ledger's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Last {
    /// Left it active at this level, or adopted it so.
    Active(PermissionLevel),
    /// Deactivated it.
    Deactivated,
    /// Removed it.
    Removed,
}

/// What is known about a person that settles the matter in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing in particular.
    #[default]
    Ordinary,
    /// The configuration protects this user ID.
    Protected,
    /// The owner of the category.
    Owner,
    /// Kaltura would refuse this user ID.
    Invalid(UserIdProblem),
    /// Two people in the directory have this user ID: nobody knows which is meant.
    Shared,
    /// A file that waits for somebody to upload it is about this membership.
    HandedOver,
}

/// The choices that bear on one membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Manual memberships.
    pub manual: ManualPolicy,
    /// Those who are no longer wanted.
    pub departure: Departure,
    /// Which memberships are ours.
    pub ownership: Ownership,
    /// Those removed by hand.
    pub removed_by_hand: RemovedByHand,
}

/// What is to be done about one person in one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Decision {
    /// Nothing; all is as it should be.
    Keep,
    /// Nothing in Kaltura; the ledger learns that the membership is ours.
    Adopt {
        /// The level it has.
        level: PermissionLevel,
    },
    /// Nothing in Kaltura; the ledger forgets a membership that is gone.
    Forget,
    /// Make a membership.
    Add {
        /// Its level.
        level: PermissionLevel,
    },
    /// Change the level.
    SetLevel {
        /// The level it has.
        from: PermissionLevel,
        /// The level it gets.
        to: PermissionLevel,
    },
    /// Remove the membership and make it anew, where Kaltura cannot change it.
    Replace {
        /// The level it has.
        from: PermissionLevel,
        /// The level it gets.
        to: PermissionLevel,
    },
    /// Bring one that is not active, or a request to join, into force.
    Activate {
        /// The level it has.
        from: PermissionLevel,
        /// The level it gets.
        to: PermissionLevel,
    },
    /// Several rows for one person become one.
    Merge {
        /// How many are too many.
        surplus: usize,
        /// The level of the one that stays.
        to: PermissionLevel,
    },
    /// Take the membership away.
    Remove {
        /// How many rows there are, nearly always one.
        copies: usize,
    },
    /// Keep the membership, without access.
    Deactivate,
    /// Take away what a run that is undone had added.
    TakeBack,
    /// Put it back as it was before a run that is undone.
    Restore {
        /// The level it had.
        level: PermissionLevel,
        /// Whose it was.
        method: UpdateMethod,
        /// Whether it was in force, or deactivated.
        status: Status,
    },
    /// Leave it alone, although there would be something to do.
    Skip(Objection),
}

/// Who or what stands against a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Objection {
    /// The configuration protects this user ID.
    Protected,
    /// The owner of a category is never demoted or removed.
    OwnerProtected,
    /// Kaltura would refuse the user ID.
    InvalidUserId {
        /// Why.
        problem: UserIdProblem,
    },
    /// Two people in the directory have this user ID, or the login that groups name them by.
    SharedUserId,
    /// A file that waits for somebody to upload it has a row about it.
    HandedOver,
    /// A person keeps this membership by hand.
    ManualOverride,
    /// One member is no user of Kaltura any more, and another, whom no directory knows, is there at the same level:
    /// somebody may have been renamed in Kaltura.
    PerhapsRenamed,
    /// Not written by this program, and ownership goes by the ledger.
    NotOurs,
    /// A person removed it by hand, and the policy is to respect that.
    RemovedByHand,
    /// A person deactivated it by hand.
    DeactivatedByHand,
    /// It would take access away, and it is not known that no group grants it.
    Unproven {
        /// Why not.
        #[serde(default = "read_incomplete")]
        reason: Reason,
    },
    /// The category has no room left.
    CategoryFull,
    /// It is not as the run left it that is to be undone.
    ChangedSince,
    /// The category is not below `kaltura.root` any more.
    OutsideRoot,
    /// Kaltura offers no way back: to a request to join, or to two rows for one person.
    NoWayBack,
}

/// What a history of before the reasons meant.
fn read_incomplete() -> Reason {
    Reason::ReadIncomplete
}

impl Decision {
    /// Whether Kaltura is to be called.
    pub fn is_change(self) -> bool {
        !matches!(
            self,
            Self::Keep | Self::Adopt { .. } | Self::Forget | Self::Skip(_)
        )
    }

    /// Whether somebody ends with less than they had.
    pub fn is_loss(self) -> bool {
        match self {
            Self::Remove { .. } | Self::Deactivate | Self::TakeBack => true,
            Self::SetLevel { from, to } => to < from,
            _ => false,
        }
    }

    /// Whether somebody who has this ends with less.
    pub fn is_loss_of(self, have: Option<&Entitlement>) -> bool {
        match self {
            Self::Merge { to, .. } => have.is_some_and(|have| to < have.level),
            Self::Restore { level, status, .. } => have.is_some_and(|have| {
                let was_active = have.status == Status::Active;
                level < have.level || (was_active && status != Status::Active)
            }),
            _ => self.is_loss(),
        }
    }

    /// Whether access goes that somebody has: who has none any more loses none.
    pub fn takes_access(self, have: Option<&Entitlement>) -> bool {
        let had_none = have.is_some_and(|have| have.status == Status::NotActive);
        self.is_loss_of(have) && !(self.is_departure() && had_none)
    }

    /// Whether somebody leaves, so that there is room for another.
    pub fn is_departure(self) -> bool {
        matches!(
            self,
            Self::Remove { .. } | Self::Deactivate | Self::TakeBack
        )
    }

    /// Whether there is one active member more afterwards.
    pub fn is_arrival(self) -> bool {
        matches!(self, Self::Add { .. } | Self::Activate { .. })
    }
}

/// Decides about one person in one category. Pure: the same row and rules, the same decision.
pub fn decide(row: &Row<'_>, rules: Rules) -> Decision {
    match change(row, rules) {
        Err(objection) => Decision::Skip(objection_to_person(row).unwrap_or(objection)),
        Ok(change) => match objection(row, change, rules) {
            Some(objection) => Decision::Skip(objection),
            None => change,
        },
    }
}

/// What would the directory change? `Err` where a person's act in Kaltura stands against it.
fn change(row: &Row<'_>, rules: Rules) -> Result<Decision, Objection> {
    let (Some(to), have) = (row.want, row.have) else {
        return Ok(farewell(row, rules));
    };
    let Some(have) = have else {
        let by_hand = matches!(row.last, Some(Last::Active(_)));
        return match rules.removed_by_hand {
            RemovedByHand::Skip if by_hand => Err(Objection::RemovedByHand),
            _ => Ok(Decision::Add { level: to }),
        };
    };
    let from = have.level;
    if deactivated_by_hand(row) {
        return Err(Objection::DeactivatedByHand);
    }
    if row.copies > 1 {
        let surplus = row.copies - 1;
        return Ok(Decision::Merge { surplus, to });
    }
    Ok(match have.status {
        Status::Active | Status::NotActive if from == PermissionLevel::None && to != from => {
            Decision::Replace { from, to }
        }
        Status::Active if from != to => Decision::SetLevel { from, to },
        Status::Active if row.last == Some(Last::Active(to)) => Decision::Keep,
        Status::Active => Decision::Adopt { level: to },
        // A request to join is manual; once the group grants it, it is the group's, at its level.
        Status::NotActive | Status::Pending => Decision::Activate { from, to },
    })
}

/// Whether a person keeps the membership by hand, and the policy is to leave it so.
fn is_respected(have: &Entitlement, rules: Rules) -> bool {
    have.method == UpdateMethod::Manual && rules.manual == ManualPolicy::Respect
}

fn deactivated_by_hand(row: &Row<'_>) -> bool {
    let inactive = row
        .have
        .is_some_and(|have| have.status == Status::NotActive);
    inactive && row.last != Some(Last::Deactivated)
}

/// What happens to somebody whom no group grants the category.
fn farewell(row: &Row<'_>, rules: Rules) -> Decision {
    let Some(have) = row.have else {
        let known = matches!(row.last, Some(Last::Active(_) | Last::Deactivated));
        return if known {
            Decision::Forget
        } else {
            Decision::Keep
        };
    };
    match rules.departure {
        Departure::Delete => Decision::Remove { copies: row.copies },
        Departure::Grace(_) | Departure::Deactivate if have.status == Status::NotActive => {
            // What a person deactivated has no time that could be over.
            let ours = row.last == Some(Last::Deactivated);
            if rules.departure != Departure::Deactivate && ours && row.is_over {
                Decision::Remove { copies: row.copies }
            } else {
                Decision::Keep
            }
        }
        // Kaltura deactivates one of several rows, always the same one; the others would stay in force.
        Departure::Grace(_) | Departure::Deactivate if row.copies > 1 => {
            Decision::Remove { copies: row.copies }
        }
        Departure::Grace(_) | Departure::Deactivate => Decision::Deactivate,
    }
}

/// Who objects to this change? Asked in this order, so that the strongest reason is the one given.
fn objection(row: &Row<'_>, change: Decision, rules: Rules) -> Option<Objection> {
    if row.have.is_none() && !change.is_change() {
        return None;
    }
    if let Some(objection) = objection_to_person(row) {
        return Some(objection);
    }
    if let Some(have) = row.have {
        let is_request = have.status == Status::Pending && row.want.is_some();
        if is_respected(have, rules) && !is_request {
            return Some(Objection::ManualOverride);
        }
        if row.want.is_none() && row.last.is_none() && rules.ownership == Ownership::Ledger {
            return Some(Objection::NotOurs);
        }
    }
    lacks_evidence(row, change).map(|reason| Objection::Unproven { reason })
}

/// Access is taken away only with the proof that no group grants it.
fn lacks_evidence(row: &Row<'_>, change: Decision) -> Option<Reason> {
    match row.known {
        Ok(Known { .. }) => None,
        Err(reason) => change.is_loss_of(row.have).then_some(reason),
    }
}

fn objection_to_person(row: &Row<'_>) -> Option<Objection> {
    match row.person {
        Standing::Ordinary => None,
        Standing::Protected => Some(Objection::Protected),
        Standing::Owner => Some(Objection::OwnerProtected),
        Standing::Invalid(problem) => Some(Objection::InvalidUserId { problem }),
        Standing::Shared => Some(Objection::SharedUserId),
        Standing::HandedOver => Some(Objection::HandedOver),
    }
}

#[cfg(test)]
mod tests;
