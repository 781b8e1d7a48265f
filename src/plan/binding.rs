//! Which group goes to which category, and at what level.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;

use crate::category::{Category, CategoryId, PermissionLevel, ReferenceId};
use crate::config::{self, CategorySelector, policy::Departure, policy::ManualPolicy};
use crate::directory::{GroupId, Role};

/// The bindings of the configuration, ready to be asked.
#[derive(Debug, Clone)]
pub struct Bindings {
    rules: Vec<Rule>,
    /// Whether they are written in the configuration.
    written: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    groups: Groups,
    directory: Option<String>,
    category: Option<CategorySelector>,
    levels: Arc<Levels>,
    manual: Option<ManualPolicy>,
    departure: Option<Departure>,
}

#[derive(Debug, Clone)]
enum Groups {
    All,
    Pattern(Regex),
    List(Vec<String>),
}

/// The levels that a binding grants, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    member: PermissionLevel,
    roles: BTreeMap<String, PermissionLevel>,
}

impl Levels {
    /// The level of those in this role; a role that the binding does not name grants nothing.
    pub fn of(&self, role: &Role) -> Option<PermissionLevel> {
        let named = self.roles.get(role.as_str()).copied();
        named.or_else(|| (role.as_str() == Role::MEMBER).then_some(self.member))
    }
}

/// Where a group leads, by one binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Which binding says so, from 0.
    pub rule: usize,
    /// The same as a person counts: from 1, and 0 where no binding is written at all.
    pub number: usize,
    /// The category.
    pub category: Selector,
    /// What it grants there.
    pub levels: Arc<Levels>,
    /// What the binding says about manual memberships, if anything.
    pub manual: Option<ManualPolicy>,
    /// What the binding says about those who leave, if anything.
    pub departure: Option<Departure>,
}

/// Which category is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The one with this reference ID.
    Reference(ReferenceId),
    /// The one with this number.
    Id(CategoryId),
}

impl Bindings {
    /// Compiles the bindings. None at all means: each group to the category whose reference ID is
    /// the group ID, as members.
    pub fn new(bindings: &[config::Binding]) -> Result<Self, regex::Error> {
        if bindings.is_empty() {
            return Ok(Self {
                written: false,
                rules: vec![Rule {
                    groups: Groups::All,
                    directory: None,
                    category: None,
                    levels: Arc::new(Levels {
                        member: PermissionLevel::Member,
                        roles: BTreeMap::new(),
                    }),
                    manual: None,
                    departure: None,
                }],
            });
        }
        let rules = bindings.iter().map(Rule::new).collect::<Result<_, _>>()?;
        Ok(Self {
            rules,
            written: true,
        })
    }

    /// Where a group leads: one target for each binding that it matches.
    pub fn targets<'a>(
        &'a self,
        directory: &'a str,
        group: &'a GroupId,
    ) -> impl Iterator<Item = Target> {
        self.rules
            .iter()
            .enumerate()
            .filter(move |(_, rule)| {
                rule.directory
                    .as_deref()
                    .is_none_or(|name| name == directory)
            })
            .filter_map(move |(index, rule)| {
                Some(Target {
                    rule: index,
                    number: if self.written { index + 1 } else { 0 },
                    category: rule.selector(group)?,
                    levels: Arc::clone(&rule.levels),
                    manual: rule.manual,
                    departure: rule.departure,
                })
            })
    }
}

impl Bindings {
    /// Whether some group of this directory, whatever its ID, could feed the category.
    pub fn may_feed(&self, directory: &str, category: &Category) -> bool {
        let named = |rule: &&Rule| {
            rule.directory
                .as_deref()
                .is_none_or(|name| name == directory)
        };
        self.rules
            .iter()
            .filter(named)
            .any(|rule| rule.may_feed(category))
    }
}

impl Rule {
    fn may_feed(&self, category: &Category) -> bool {
        let reference = category.reference_id.as_ref().map(ReferenceId::as_str);
        match (&self.category, &self.groups) {
            (Some(CategorySelector::Id(id)), _) => category.id == CategoryId(*id),
            (Some(CategorySelector::ReferenceId(template)), _) if !template.contains('{') => {
                reference == Some(template)
            }
            (Some(CategorySelector::ReferenceId(_)), Groups::All | Groups::Pattern(_)) => {
                reference.is_some()
            }
            (_, Groups::List(list)) => list.iter().any(|group| {
                let selector = self.selector(&GroupId::new(group.as_str()));
                matches!((selector, reference), (Some(Selector::Reference(found)), Some(reference)) if found.as_str() == reference)
            }),
            (None, Groups::All) => reference.is_some(),
            (None, Groups::Pattern(pattern)) => reference.is_some_and(|id| pattern.is_match(id)),
        }
    }

    fn new(binding: &config::Binding) -> Result<Self, regex::Error> {
        let groups = match (&binding.group, &binding.groups) {
            (Some(pattern), _) => Groups::Pattern(config::binding::whole(pattern)?),
            (None, Some(list)) => Groups::List(list.clone()),
            (None, None) => Groups::All,
        };
        Ok(Self {
            groups,
            directory: binding.directory.clone(),
            category: binding.category.clone(),
            levels: Arc::new(Levels {
                member: binding.level,
                roles: binding.roles.clone(),
            }),
            manual: binding.manual,
            departure: binding.departure,
        })
    }

    fn selector(&self, group: &GroupId) -> Option<Selector> {
        let captures = match &self.groups {
            Groups::All => None,
            Groups::List(list) => {
                list.iter().find(|listed| *listed == group.as_str())?;
                None
            }
            Groups::Pattern(pattern) => Some(pattern.captures(group.as_str())?),
        };
        Some(match &self.category {
            None => Selector::Reference(ReferenceId::new(group.as_str())),
            Some(CategorySelector::Id(id)) => Selector::Id(CategoryId(*id)),
            Some(CategorySelector::ReferenceId(template)) => {
                let value = |name: &str| match name {
                    "group" => Some(group.as_str()),
                    _ => captures.as_ref()?.name(name).map(|text| text.as_str()),
                };
                Selector::Reference(ReferenceId::new(fill(template, value)?))
            }
        })
    }
}

/// Replaces each `{name}` by its value, once: what a value contains is not looked at again. `None` where
/// a name has no value, because its part of the pattern did not take part in the match.
fn fill<'v>(template: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, (name, after))) = rest
        .split_once('{')
        .and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
    {
        filled.push_str(before);
        filled.push_str(value(name)?);
        rest = after;
    }
    Some(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(toml: &str) -> Bindings {
        #[derive(serde::Deserialize)]
        struct File {
            #[serde(default)]
            binding: Vec<config::Binding>,
        }
        let file: File = toml::from_str(toml).unwrap();
        Bindings::new(&file.binding).unwrap()
    }

    fn categories(bindings: &Bindings, group: &str) -> Vec<String> {
        bindings
            .targets("campus", &GroupId::new(group))
            .map(|target| match target.category {
                Selector::Reference(reference) => format!("{reference} {}", target.levels.member),
                Selector::Id(id) => format!("#{id} {}", target.levels.member),
            })
            .collect()
    }

    #[test]
    fn without_bindings_the_group_id_is_the_reference_id() {
        assert_eq!(categories(&bindings(""), "BIO-101"), ["BIO-101 member"]);
    }

    #[test]
    fn a_pattern_fills_the_template_and_must_match_the_whole_id() {
        let bindings = bindings(
            r#"
            [[binding]]
            group = "course-(?<course>[^-]+)"
            category = { reference_id = "C/{course}/{group}" }
            [[binding]]
            group = "course-(?<course>[^-]+)-staff"
            category = { reference_id = "C/{course}" }
            level = "manager""#,
        );
        assert_eq!(
            categories(&bindings, "course-bio"),
            ["C/bio/course-bio member"]
        );
        assert_eq!(categories(&bindings, "course-bio-staff"), ["C/bio manager"]);
        assert_eq!(categories(&bindings, "xcourse-bio"), [""; 0]);
    }

    #[test]
    fn a_part_that_did_not_match_leads_nowhere_rather_than_to_a_shortened_name() {
        let bindings = bindings(
            r#"
            [[binding]]
            group = "(?<course>[a-z]+)(-(?<term>[0-9]+))?"
            category = { reference_id = "{course}/{term}" }"#,
        );
        assert_eq!(categories(&bindings, "bio-7"), ["bio/7 member"]);
        assert_eq!(categories(&bindings, "bio"), [""; 0]);
    }

    #[test]
    fn braces_in_a_group_id_are_not_filled_again() {
        let bindings = bindings(
            r#"
            [[binding]]
            group = "(?<all>.*)"
            category = { reference_id = "{all}!" }"#,
        );
        assert_eq!(categories(&bindings, "{group}"), ["{group}! member"]);
    }

    #[test]
    fn a_list_names_groups_exactly_and_may_lead_to_a_number() {
        let bindings = bindings(
            r#"
            [[binding]]
            groups = ["staff", "guests"]
            category = { id = 42 }
            level = "contributor""#,
        );
        assert_eq!(categories(&bindings, "guests"), ["#42 contributor"]);
        assert_eq!(categories(&bindings, "Guests"), [""; 0]);
    }

    #[test]
    fn another_directory_is_not_meant() {
        let bindings = bindings(
            r#"
            [[binding]]
            group = ".*"
            directory = "hospital""#,
        );
        assert_eq!(categories(&bindings, "a"), [""; 0]);
    }

    #[test]
    fn a_role_without_a_level_grants_nothing() {
        let levels = Levels {
            member: PermissionLevel::Member,
            roles: [("manager".to_owned(), PermissionLevel::Manager)].into(),
        };
        assert_eq!(levels.of(&Role::member()), Some(PermissionLevel::Member));
        assert_eq!(
            levels.of(&Role::new("manager")),
            Some(PermissionLevel::Manager)
        );
        assert_eq!(levels.of(&Role::new("auditor")), None);
    }
}
