//! A plan that was saved, against the same plan made anew.
//!
//! *Its one idea: what was reviewed is what is done.* Where directory or Kaltura have moved for any of its
//! people, the saved plan is out of date, and the difference is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::show::symbol;
use super::{Action, CategoryPlan, Decision, Plan};
use crate::category::{CategoryId, UserId};
use crate::shown::Shown;

/// What is otherwise now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The channel's name.
    pub channel: String,
    /// Whose membership.
    pub user: UserId,
    /// What the saved plan would do.
    pub saved: Decision,
    /// What would be done today.
    pub now: Decision,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |decision: Decision| match symbol(decision) {
            Some(symbol) => format!("{symbol} {decision}"),
            None => "nothing is to be done".to_owned(),
        };
        let (saved, now) = (say(self.saved), say(self.now));
        write!(
            f,
            "{}, {}: saved is [{saved}], today it is [{now}]",
            Shown(&self.channel),
            self.user
        )
    }
}

/// Who is named twice in a saved plan: it was not written so, and would count for more than it does.
pub fn named_twice(saved: &Plan) -> Option<(&str, &UserId)> {
    let mut met = BTreeSet::new();
    let twice = |(part, action): &(&CategoryPlan, &Action)| {
        !met.insert((part.category.id, action.user.key()))
    };
    let found = saved.changes().find(twice)?;
    Some((&found.0.category.name, &found.1.user))
}

/// Answers the saved plan as it was made anew, or what is otherwise.
pub fn compare(saved: &Plan, now: &Plan) -> Result<Plan, Vec<Difference>> {
    let fresh: BTreeMap<CategoryId, &CategoryPlan> = now
        .categories
        .iter()
        .map(|part| (part.category.id, part.as_ref()))
        .collect();
    let (mut parts, mut differences) = (Vec::new(), Vec::new());
    for old in &saved.categories {
        let new = fresh.get(&old.category.id).copied();
        let mut actions = Vec::new();
        for action in old.changes() {
            let found = new.and_then(|new| of_user(new, &action.user));
            match found {
                Some(found) if found.decision == action.decision => actions.push(found.clone()),
                found => differences.push(Difference {
                    channel: old.category.name.clone(),
                    user: action.user.clone(),
                    saved: action.decision,
                    now: found.map_or(Decision::Keep, |found| found.decision),
                }),
            }
        }
        if let Some(new) = new {
            parts.push(CategoryPlan {
                actions,
                ..new.clone()
            });
        }
    }
    if differences.is_empty() {
        Ok(Plan::new(parts))
    } else {
        Err(differences)
    }
}

fn of_user<'p>(part: &'p CategoryPlan, user: &UserId) -> Option<&'p Action> {
    part.actions.iter().find(|action| action.user == *user)
}
