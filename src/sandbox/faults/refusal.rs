//! Why a rule is refused.
//!
//! *Its one idea: a refusal teaches*: what was found, what is allowed, and what was probably meant.

use thiserror::Error;

use super::parse::{FAULTS, MODIFIERS};
use crate::sandbox::service;

/// Why a text is no fault rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// Nothing goes wrong in it.
    #[error("the rule names no fault; there are {}", FAULTS.join(", "))]
    NoFault,
    /// More than one thing goes wrong in it.
    #[error("the rule names two faults, `{0}` and `{1}`; write two rules")]
    TwoFaults(String, String),
    /// A word that means nothing here.
    #[error(
        "`{word}` is not known here{}; there are the faults {}, and after them {}",
        meant(.word, FAULTS.iter().chain(MODIFIERS).copied()),
        FAULTS.join(", "),
        MODIFIERS.join(", ")
    )]
    Unknown {
        /// The word.
        word: String,
    },
    /// A word whose value is missing or not of its kind.
    #[error("`{found}` cannot be read: {wanted}")]
    Value {
        /// What was found.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A word said twice.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// A word that does not go with the fault.
    #[error("`{word}` does not go with `{fault}`; it belongs to {owner}")]
    Misplaced {
        /// The word.
        word: &'static str,
        /// The fault.
        fault: String,
        /// The fault it belongs to.
        owner: &'static str,
    },
    /// A service that the sandbox does not have.
    #[error(
        "the sandbox has no service `{service}`{}; it has {}",
        meant(.service, services()),
        services().collect::<Vec<_>>().join(", ")
    )]
    NoService {
        /// The service.
        service: String,
    },
    /// An action that the service does not have.
    #[error(
        "`{service}` has no action `{action}`{}; it has {}",
        meant(.action, actions(.service)),
        actions(.service).collect::<Vec<_>>().join(", ")
    )]
    NoAction {
        /// The service.
        service: &'static str,
        /// The action.
        action: String,
    },
}

fn services() -> impl Iterator<Item = &'static str> {
    service::ALL.iter().map(|service| service.name)
}

fn actions(service: &str) -> impl Iterator<Item = &'static str> {
    let service = service::ALL.iter().find(move |known| known.name == service);
    let actions = service.map_or(&[][..], |service| service.actions);
    actions
        .iter()
        .map(|action| action.name)
        .chain(std::iter::once("*"))
}

/// The known word that is nearest to one that is not.
fn meant<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known
        .map(|known| {
            (
                strsim::jaro_winkler(&known.to_lowercase(), &word.to_lowercase()),
                known,
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    nearest.map_or_else(String::new, |(_, known)| {
        format!(" (did you mean `{known}`?)")
    })
}
