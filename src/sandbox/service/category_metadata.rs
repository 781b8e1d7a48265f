//! `category.list` by custom metadata (`advancedSearch`).
//!
//! *Its one idea: a value is found whole.* Case and accents do not count, a part of it does not do,
//! and an empty one finds whatever has the field at all.

use serde_json::Value;

use crate::sandbox::params::{int, plain};
use crate::sandbox::state::State;
use crate::sandbox::text::collated;

/// `type` of an operator any one of whose items will do.
const OR: i64 = 2;

/// A search, read.
#[derive(Debug)]
pub(super) enum Search {
    /// All of these, or any of them.
    Items(bool, Vec<Search>),
    /// A field of a profile compared with a value.
    Field {
        profile: i64,
        name: String,
        value: String,
        comparison: Comparison,
    },
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Search {
    /// Reads what was sent as `advancedSearch`; nothing where it asks for nothing.
    pub(super) fn of(sent: &Value) -> Option<Self> {
        Self::read(sent, 0)
    }

    fn read(sent: &Value, outer: i64) -> Option<Self> {
        let profile = sent.get("metadataProfileId").map_or(outer, int);
        if let Some(items) = sent.get("items") {
            let items: Vec<Self> = match items {
                Value::Array(items) => items
                    .iter()
                    .filter_map(|it| Self::read(it, profile))
                    .collect(),
                // A form has numbers for keys.
                Value::Object(items) => items
                    .values()
                    .filter_map(|it| Self::read(it, profile))
                    .collect(),
                _ => Vec::new(),
            };
            let any = sent.get("type").map(int) == Some(OR);
            return (!items.is_empty()).then_some(Self::Items(any, items));
        }
        let field = plain(sent.get("field")?);
        Some(Self::Field {
            profile,
            name: last_name(&field).to_owned(),
            value: plain(sent.get("value").unwrap_or(&Value::Null)),
            comparison: comparison(sent),
        })
    }

    /// Whether a category is found.
    pub(super) fn has(&self, state: &State, category: i64) -> bool {
        match self {
            Self::Items(true, items) => items.iter().any(|item| item.has(state, category)),
            Self::Items(false, items) => items.iter().all(|item| item.has(state, category)),
            Self::Field {
                profile,
                name,
                value,
                comparison,
            } => {
                let known = state.metadata.indexed(*profile, &category.to_string());
                let mut values = known.iter().filter(|(known, _)| known == name);
                match comparison {
                    Comparison::NotEqual => !values.any(|(_, known)| same(known, value)),
                    Comparison::Equal if value.is_empty() => values.next().is_some(),
                    Comparison::Equal => values.any(|(_, known)| same(known, value)),
                    order => values.any(|(_, known)| compare(known, value, *order)),
                }
            }
        }
    }
}

/// The element a path ends in.
fn last_name(path: &str) -> &str {
    let quoted = path.rsplit("local-name()='").next().unwrap_or(path);
    let name = quoted.split('\'').next().unwrap_or(quoted);
    name.rsplit('/').next().unwrap_or(name)
}

fn comparison(sent: &Value) -> Comparison {
    if sent
        .get("not")
        .is_some_and(|not| int(not) != 0 || *not == Value::Bool(true))
    {
        return Comparison::NotEqual;
    }
    match sent.get("comparison").map(int) {
        Some(2) => Comparison::Greater,
        Some(3) => Comparison::GreaterOrEqual,
        Some(4) => Comparison::Less,
        Some(5) => Comparison::LessOrEqual,
        Some(6) => Comparison::NotEqual,
        _ => Comparison::Equal,
    }
}

fn same(known: &str, wanted: &str) -> bool {
    collated(known.trim()) == collated(wanted.trim())
}

fn compare(known: &str, wanted: &str, order: Comparison) -> bool {
    let (Ok(known), Ok(wanted)) = (known.trim().parse::<f64>(), wanted.trim().parse::<f64>())
    else {
        return false;
    };
    match order {
        Comparison::Greater => known > wanted,
        Comparison::GreaterOrEqual => known >= wanted,
        Comparison::Less => known < wanted,
        _ => known <= wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_in_a_name() {
        let path = "/*[local-name()='metadata']/*[local-name()='GroupRule']";
        assert_eq!(last_name(path), "GroupRule");
        assert_eq!(last_name("/metadata/GroupRule"), "GroupRule");
    }

    #[test]
    fn values_are_whole_and_fold_case() {
        assert!(same("Grp-A:3", " grp-a:3 "));
        assert!(!same("grp-a:3", "grp-a"));
        assert!(compare("10", "9", Comparison::Greater));
    }
}
