//! How Kaltura compares texts: its database in one way, its search engine in others.
//!
//! *Its one idea: no two comparisons here are equality.* User ids fold ASCII case and end after 100
//! bytes; sibling names fold case and accents; a search for a reference ID is a phrase of words.

use std::borrow::Cow;

use unicode_normalization::char::decompose_canonical;
use unicode_normalization::char::is_combining_mark;

/// `puser_id` is a `varchar(100)`: `MySQL` cuts what is longer, silently.
pub(super) const USER_ID_BYTES: usize = 100;

/// The key two user ids share when Kaltura takes them for one: cut, folded, without the spaces at
/// its end that `MySQL`'s collation does not see.
pub(super) fn user_key(id: &str) -> String {
    cut(id, USER_ID_BYTES)
        .trim_end_matches(' ')
        .to_ascii_lowercase()
}

/// The first bytes of a text, never half a character.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether Kaltura creates a user of this id
/// (``/^[A-Za-z0-9,!#$%&'*+?^_`{|}~.@-]{1,320}$/``, which lets one trailing newline through).
pub(super) fn is_user_id(id: &str) -> bool {
    let id = id.strip_suffix('\n').unwrap_or(id);
    (1..=320).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b",!#$%&'*+?^_`{|}~.@-".contains(&b))
}

/// The key under which two names are the same to the database (`utf8_general_ci`): case and the
/// accents of composed letters folded; `ß` and `ss` stay two.
pub(super) fn collated(text: &str) -> String {
    text.chars().filter_map(base).collect()
}

/// A letter without case and accent; nothing changes for a lone combining mark.
fn base(c: char) -> Option<char> {
    let mut first = None;
    decompose_canonical(c, |part| {
        if first.is_none() {
            first = Some(part);
        }
    });
    let c = match first {
        Some(part) if !is_combining_mark(part) => part,
        _ => c,
    };
    c.to_lowercase().next()
}

/// A text as a `MySQL` `utf8` column gives it back: four question marks for what lies beyond the
/// Basic Multilingual Plane.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c.len_utf8() < 4) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.len_utf8() {
            4 => out.push_str("????"),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A character in the eyes of the search engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Part of a word.
    Word,
    /// Part of a word and a break between words at once (Sphinx calls it blended).
    Blended,
    /// A break between words.
    Break,
}

fn sort(c: char) -> Sort {
    match c {
        ' ' | ',' | '\t' | '\n' | '\r' => Sort::Break,
        '@' | '%' | '?' | '[' | ']' | '{' | '}' | '_' => Sort::Word,
        c if c.is_ascii_punctuation() => Sort::Blended,
        _ => Sort::Word,
    }
}

/// Where reference IDs that could match one another meet: words folded, all else one break.
pub(super) fn phrase_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '_' || (sort(c) == Sort::Word && !c.is_ascii_punctuation()) {
            key.extend(base(c));
        } else if !key.ends_with(' ') {
            key.push(' ');
        }
    }
    key
}

/// What a search by `referenceIdEqual` does with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phrase {
    /// An unpaired quotation mark breaks the query: `INTERNAL_SERVERL_ERROR`.
    Broken,
    /// It finds nothing, whatever there is (a backslash).
    Nothing,
    /// It finds what [`Phrase::finds`] says.
    Words(String),
}

impl Phrase {
    /// Reads a value as the search engine does.
    pub(super) fn new(value: &str) -> Self {
        if value.matches('"').count() % 2 == 1 {
            Self::Broken
        } else if value.contains('\\') {
            Self::Nothing
        } else {
            Self::Words(value.to_owned())
        }
    }

    /// Whether a stored value is found: each character stands for itself without case and accent,
    /// except that a break (space, comma) finds any break or blended character, `*` any blended
    /// one, and `%` and `?` any of `@ % ?`.
    pub(super) fn finds(&self, stored: &str) -> bool {
        let Self::Words(value) = self else {
            return false;
        };
        let mut wanted = value.chars().peekable();
        let mut found = stored.chars().peekable();
        loop {
            let (w, f) = match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some(w), Some(f)) => (w, f),
                _ => return false,
            };
            let fits = match w {
                '*' => sort(f) == Sort::Blended,
                '%' | '?' => matches!(f, '@' | '%' | '?'),
                _ if sort(w) == Sort::Break => sort(f) != Sort::Word,
                _ => base(w) == base(f),
            };
            if !fits {
                return false;
            }
            if sort(w) == Sort::Break {
                while wanted.next_if(|c| sort(*c) == Sort::Break).is_some() {}
                while found.next_if(|c| sort(*c) == Sort::Break).is_some() {}
            }
        }
    }
}

/// Whether every word of a free text is a word of one of the texts.
pub(super) fn has_words(free_text: &str, texts: &[&str]) -> bool {
    let words = |text: &str| -> Vec<String> {
        phrase_key(text)
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let known: Vec<String> = texts.iter().flat_map(|text| words(text)).collect();
    words(free_text).iter().all(|word| known.contains(word))
}

/// Whether a text starts with another, without case and accents.
pub(super) fn starts_with(text: &str, start: &str) -> bool {
    collated(text).starts_with(&collated(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(value: &str, stored: &str) -> bool {
        Phrase::new(value).finds(stored)
    }

    #[test]
    fn user_ids_fold_case_and_end_after_100_bytes() {
        assert_eq!(user_key("JDoe"), user_key("jdoe "));
        let long = "z".repeat(110);
        assert_eq!(user_key(&long), "z".repeat(100));
    }

    #[test]
    fn ids_kaltura_would_not_create() {
        for id in [
            "", "a b", "a/b", "a:b", "DOM\\u", "ä", "a(b)", "<b>", "a=b", "a\nb",
        ] {
            assert!(!is_user_id(id), "{id:?}");
        }
        for id in [
            "a",
            "a,b",
            "o'brien",
            "{1:result}"
                .trim_matches(['{', '}'])
                .trim_end_matches(":result"),
            "x\n",
        ] {
            assert!(is_user_id(id), "{id:?}");
        }
    }

    #[test]
    fn composed_accents_fold_and_decomposed_ones_stay() {
        assert_eq!(collated("Éte"), collated("ete"));
        assert_ne!(collated("e\u{301}te"), collated("ete"));
        assert_ne!(collated("Straße"), collated("strasse"));
    }

    #[test]
    fn a_comma_in_the_value_is_a_break_and_so_is_a_space() {
        for stored in [
            "a b", "a!b", "a$b", "a*b", "a|b", "a\\b", "a=b", "a;b", "a,b",
        ] {
            assert!(finds("a,b", stored), "{stored}");
        }
        assert!(finds("CRS 101 2024", "CRS-101/2024"));
        for stored in ["a@b", "a%b", "a?b", "a[b", "ab", "a_b"] {
            assert!(!finds("a,b", stored), "{stored}");
        }
    }

    #[test]
    fn punctuation_finds_itself_only() {
        assert!(finds("REF7-1", "ref7-1"));
        assert!(!finds("a|b", "a!b"));
        assert!(!finds("ref7", "ref7-1"));
    }

    #[test]
    fn wildcards_find_their_likes() {
        assert!(finds("a*b", "a!b") && !finds("a*b", "a b") && !finds("a*b", "a@b"));
        assert!(finds("a%b", "a@b") && finds("a?b", "a%b") && !finds("a@b", "a%b"));
    }

    #[test]
    fn unpaired_quotes_break_the_query_and_backslashes_find_nothing() {
        assert_eq!(Phrase::new("x\"y"), Phrase::Broken);
        assert!(finds("\"q\"_1", "\"q\"_1"));
        assert!(!finds("a\\b", "a\\b"));
    }

    #[test]
    fn what_could_match_shares_a_key() {
        assert_eq!(phrase_key("CRS 101 2024"), phrase_key("crs-101/2024"));
        assert_eq!(phrase_key("a?b"), phrase_key("a@b"));
    }
}
