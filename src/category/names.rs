//! How people name a category.
//!
//! *Its one idea: one rule, wherever a channel is named*: by its reference ID; where no category has
//! that, by its name; and where none is called so, by its number.

use super::{CategoryId, ReferenceId};

/// What a category can be named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// Kaltura's number.
    pub id: CategoryId,
    /// The reference ID, where one is set.
    pub reference: Option<&'a ReferenceId>,
    /// The last part of its path.
    pub name: &'a str,
}

/// The categories that are meant by a word: several may have one reference ID, or one name.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = Names<'a>>) -> Vec<CategoryId> {
    let rules: [fn(&Names<'_>, &str) -> bool; 3] = [
        |names, word| names.reference.is_some_and(|id| id.as_str() == word),
        |names, word| names.name == word,
        |names, word| names.id.to_string() == word,
    ];
    let known: Vec<Names<'a>> = known.into_iter().collect();
    let by_rule = rules.iter().map(|is_meant| -> Vec<CategoryId> {
        let meant = known.iter().filter(|names| is_meant(names, word));
        meant.map(|names| names.id).collect()
    });
    by_rule
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_id_comes_before_a_name_and_a_name_before_a_number() {
        let (bio, seven) = (ReferenceId::new("BIO-101"), ReferenceId::new("7"));
        let names = |id, reference, name| Names {
            id: CategoryId(id),
            reference,
            name,
        };
        let known = [
            names(7, Some(&bio), "Biology"),
            names(8, Some(&seven), "BIO-101"),
            names(9, None, "8"),
            names(10, None, "Biology"),
        ];
        let meant = |word| -> Vec<i64> {
            let found = meant(word, known);
            found.into_iter().map(|id| id.0).collect()
        };
        assert_eq!(meant("BIO-101"), [7]);
        assert_eq!(meant("7"), [8]);
        assert_eq!(meant("8"), [9]);
        assert_eq!(meant("Biology"), [7, 10]);
        assert_eq!(meant("10"), [10]);
        assert_eq!(meant("bio-101"), [0; 0]);
    }
}
