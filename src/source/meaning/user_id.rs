//! The user ID in Kaltura: one value of an attribute, transformed as configured.

use regex::Regex;

use super::super::entry::Entry;
use super::PeopleMeaning;
use crate::category::UserId;
use crate::directory::EntryProblem;

impl PeopleMeaning {
    pub(super) fn user_id(&self, entry: &Entry) -> Result<UserId, EntryProblem> {
        let mut id = match &self.pattern {
            Some(pattern) => self.match_of(pattern, entry)?,
            None => entry.single(&self.user_id)?,
        };
        id = id.trim();
        if self.strip_domain {
            id = id.split('@').next().unwrap_or(id);
        }
        if id.is_empty() {
            return Err(EntryProblem::Missing {
                attribute: self.user_id.clone(),
            });
        }
        Ok(if self.lowercase {
            UserId::new(id.to_lowercase())
        } else {
            UserId::new(id)
        })
    }

    /// What the pattern takes of the one value that it matches, such as one of several mail addresses.
    fn match_of<'e>(&self, pattern: &Regex, entry: &'e Entry) -> Result<&'e str, EntryProblem> {
        let values = entry.texts(&self.user_id)?;
        let matches = values.iter().map(|value| value.trim());
        let matches: Vec<_> = matches
            .filter_map(|value| taken_by(pattern, value))
            .collect();
        match matches[..] {
            [id] => Ok(id),
            [] if values.is_empty() => Err(EntryProblem::Missing {
                attribute: self.user_id.clone(),
            }),
            [] => Err(EntryProblem::NoMatch {
                attribute: self.user_id.clone(),
                key: "people.user_id_transform.pattern".to_owned(),
            }),
            _ => Err(EntryProblem::Several {
                attribute: self.user_id.clone(),
                count: matches.len(),
            }),
        }
    }
}

/// What a pattern takes of a value: the group `id`, or the first group, or all of it.
fn taken_by<'v>(pattern: &Regex, value: &'v str) -> Option<&'v str> {
    let found = pattern.captures(value)?;
    let taken = found.name("id").or_else(|| found.get(1));
    taken.or_else(|| found.get(0)).map(|part| part.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::entry;
    use super::super::GroupMeaning;
    use super::*;

    fn user_id(keys: &str, values: &[&str]) -> Result<String, EntryProblem> {
        let groups = toml::from_str("base = \"dc=x\"").unwrap();
        let groups = GroupMeaning::new("campus", &groups).unwrap();
        let people = format!("base = \"dc=x\"\nuser_id = \"mail\"\n{keys}");
        let people = toml::from_str(&people).unwrap();
        let people = PeopleMeaning::new("campus", &people, &groups).unwrap();
        let id = people.user_id(&entry("uid=ada", &[("mail", values)]));
        id.map(|id| id.to_string())
    }

    fn several(count: usize) -> Result<String, EntryProblem> {
        Err(EntryProblem::Several {
            attribute: "mail".to_owned(),
            count,
        })
    }

    #[test]
    fn of_several_values_the_one_that_matches_the_pattern_is_taken() {
        let keys = "user_id_transform = { pattern = \"(.*)@example\\\\.edu\" }";
        let id = |values: &[&str]| user_id(keys, values);
        assert_eq!(
            id(&["ada@home.net", " ada@example.edu "]),
            Ok("ada".to_owned())
        );
        assert_eq!(
            id(&["ada@example.edu", "ada@example.edu"]),
            Ok("ada".to_owned())
        );
        assert_eq!(id(&["ada@example.edu", "countess@example.edu"]), several(2));
        assert!(matches!(
            id(&["a@x", "b@x"]),
            Err(EntryProblem::NoMatch { .. })
        ));
        assert!(matches!(id(&[]), Err(EntryProblem::Missing { .. })));
        assert_eq!(user_id("", &["a@x", "b@x"]), several(2));
    }

    #[test]
    fn spaces_around_a_user_id_are_no_part_of_it_and_nothing_is_not_one() {
        assert_eq!(user_id("", &[" ada  "]), Ok("ada".to_owned()));
        let stripped = "user_id_transform = { strip_domain = true }";
        for (keys, value) in [("", "  "), (stripped, "@example.edu")] {
            let id = user_id(keys, &[value]);
            assert!(matches!(id, Err(EntryProblem::Missing { .. })), "{id:?}");
        }
    }
}
