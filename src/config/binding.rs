//! `[[binding]]`: which group goes to which category, at what level.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::policy::{Departure, ManualPolicy};
use crate::category::PermissionLevel;

/// One rule from groups to categories. A group may match several bindings; the highest level wins.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// A regular expression that the whole group ID must match. Either this or `groups`.
    pub group: Option<String>,
    /// Group IDs, one by one.
    pub groups: Option<Vec<String>>,
    /// Only groups of this directory. Default: of any.
    pub directory: Option<String>,
    /// The category. Default: the one whose reference ID is the group ID.
    pub category: Option<CategorySelector>,
    /// The level of the plain members. Default `member`.
    #[serde(default = "default_level")]
    pub level: PermissionLevel,
    /// The level of the people in another role: `{ manager = "manager" }` makes those whom the
    /// directory's roles call `manager` managers. A role without a level grants nothing.
    #[serde(default)]
    pub roles: BTreeMap<String, PermissionLevel>,
    /// What to do with manual memberships here. Default: as `[policy]` says.
    pub manual: Option<ManualPolicy>,
    /// What happens to those who are no longer wanted here. Default: as `[policy]` says. Where several
    /// bindings feed one category, the gentlest of them counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
}

/// How a category is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CategorySelector {
    /// By reference ID; `{name}` stands for what the group of that name in the pattern caught, and
    /// `{group}` for the whole group ID.
    ReferenceId(String),
    /// By Kaltura's own number.
    Id(i64),
}

/// Compiles a pattern that a whole text must match.
pub fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    // Compiled alone first, so that a stray parenthesis is not completed by ours, and an error
    // quotes what was written.
    Regex::new(pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}

/// The names in the braces of a template, or `None` where a brace is not closed.
pub fn placeholders(template: &str) -> Option<Vec<&str>> {
    let mut parts = template.split('{');
    let before = parts.next()?;
    if before.contains('}') {
        return None;
    }
    parts
        .map(|part| match part.split_once('}') {
            Some((name, rest)) if !rest.contains('}') => Some(name),
            _ => None,
        })
        .collect()
}

fn default_level() -> PermissionLevel {
    PermissionLevel::Member
}
