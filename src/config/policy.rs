//! `[policy]`: what to do where reasonable people differ.

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::duration::Period;

/// The choices that are the organisation's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Manual memberships. Default `respect`.
    pub manual: ManualPolicy,
    /// What happens to those who are no longer wanted. Default `delete`.
    pub departure: Departure,
    /// Which memberships are ours to take away. Default `automatic`.
    pub ownership: Ownership,
    /// Somebody removed a membership by hand that a group still grants. Default `add`.
    pub removed_by_hand: RemovedByHand,
    /// Groups that are no longer in the directory. Default `keep`.
    pub vanished_group: VanishedGroup,
    /// People whom a group still lists, and whose entry is gone or hidden. Default `keep`.
    #[serde(skip_serializing_if = "VanishedPerson::is_keep")]
    pub vanished_person: VanishedPerson,
    /// User IDs that are never touched, anywhere.
    pub protected: Vec<String>,
}

/// What to do with a manual membership. The earlier one is gentler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ManualPolicy {
    /// Leave it alone.
    #[default]
    Respect,
    /// Treat it like any other.
    Override,
}

/// What happens to those who are no longer wanted. The later one is gentler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Departure {
    /// The membership is deleted.
    #[default]
    Delete,
    /// The membership is deactivated, comes back as it was if they return, and is deleted when this
    /// time is over.
    Grace(Period),
    /// The membership is deactivated, and comes back as it was if they return.
    Deactivate,
}

/// A departure that is written as a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grace {
    deactivate_for: Period,
    #[serde(rename = "then")]
    _then: Option<Then>,
}

/// What comes after the time. There is nothing else yet, and it reads better when it is said.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    Delete,
}

impl<'de> Deserialize<'de> for Departure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrTable)
    }
}

struct WordOrTable;

impl<'de> Visitor<'de> for WordOrTable {
    type Value = Departure;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "\"delete\", \"deactivate\", or { deactivate_for = \"14d\", then = \"delete\" }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Departure, E> {
        match word {
            "delete" => Ok(Departure::Delete),
            "deactivate" => Ok(Departure::Deactivate),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Departure, A::Error> {
        let table = Grace::deserialize(MapAccessDeserializer::new(table))?;
        Ok(Departure::Grace(table.deactivate_for))
    }
}

/// Which memberships are ours to take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// Each automatic membership of a bound category, as Kaltura means the word.
    #[default]
    Automatic,
    /// Only what this program wrote or adopted.
    Ledger,
}

/// Somebody removed a membership by hand that a group still grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovedByHand {
    /// The group decides: add it again.
    #[default]
    Add,
    /// The person's decision stands.
    Skip,
}

/// A group that fed a category is no longer in the directory: deleted, or renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VanishedGroup {
    /// A missing group is not an empty group: its category loses nobody, and is reported.
    #[default]
    Keep,
    /// Its members leave like those of an emptied group, as far as the thresholds allow.
    Remove,
}

/// A group still lists a person whose entry is not found any more: deleted, moved elsewhere, or hidden from
/// the account. Nobody can tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VanishedPerson {
    /// They keep the membership for as long as a group lists them.
    #[default]
    Keep,
    /// They lose it at once, as far as the limits allow.
    Remove,
    /// They lose it when their entry has not been found for so long, as far as the limits allow.
    After(Period),
}

impl VanishedPerson {
    fn is_keep(&self) -> bool {
        *self == Self::Keep
    }

    /// Who has not been found since then or earlier loses the membership; `None`: nobody.
    pub fn over_since(self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        match self {
            Self::Keep => None,
            Self::Remove => Some(now),
            Self::After(period) => {
                let period = jiff::SignedDuration::try_from(period.0).ok()?;
                now.checked_sub(period).ok()
            }
        }
    }
}

/// A policy for vanished people that is written as a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after: Period,
}

impl<'de> Deserialize<'de> for VanishedPerson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VanishedPersonVisitor)
    }
}

struct VanishedPersonVisitor;

impl<'de> Visitor<'de> for VanishedPersonVisitor {
    type Value = VanishedPerson;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"keep\", \"remove\", or { after = \"30d\" }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<VanishedPerson, E> {
        match word {
            "keep" => Ok(VanishedPerson::Keep),
            "remove" => Ok(VanishedPerson::Remove),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<VanishedPerson, A::Error> {
        let table = After::deserialize(MapAccessDeserializer::new(table))?;
        Ok(VanishedPerson::After(table.after))
    }
}
