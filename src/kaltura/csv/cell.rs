//! What a text in a cell must not be, whatever the file is about.
//!
//! *Its one idea: a text comes back byte for byte, or it is not written.* Commas and quotation marks do, since
//! the writer quotes them; what follows here does not.

use thiserror::Error;

/// What Kaltura would make of a text: something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Damage {
    /// PHP takes a text of one zero for no text.
    #[error("it is \"0\", which Kaltura takes for an empty cell")]
    Zero,
    /// A line break, a tab or another control character.
    #[error("there is a line break or another control character in it")]
    Control,
    /// The engine trims every cell.
    #[error("it begins or ends with a space, which Kaltura cuts off")]
    Space,
    /// The engine trims the bytes of a no-break space one by one (C2, A0), also where they belong to a letter.
    #[error("it begins or ends with {character:?}, of which Kaltura cuts off a byte")]
    Halved {
        /// The first or the last character.
        character: char,
    },
    /// In the first column it would make the row a comment or a header. Refused in every column, so that their
    /// order does not matter.
    #[error("it begins with {character:?}, which may make Kaltura skip the row")]
    Mark {
        /// The asterisk or the hash.
        character: char,
    },
    /// PHP's CSV has it keep a quotation mark from closing the cell.
    #[error("there is a backslash in it, which Kaltura's CSV reads as a sign of its own")]
    Backslash,
    /// Rows are sent on as items of a multirequest, which replaces such texts by results of other items.
    #[error(
        "there is a text like {{1:result}} in it, which Kaltura replaces by the result of another row"
    )]
    ResultToken,
    /// The database keeps three bytes of a character at most, and question marks for longer ones.
    #[error("there is {character:?} in it, for which Kaltura keeps question marks")]
    BeyondDatabase {
        /// The character.
        character: char,
    },
}

/// Checks that a text in a cell is read as it stands. An empty text is fine: it says nothing.
///
/// How long a text may be depends on the field, and is not looked at.
pub fn check(text: &str) -> Result<(), Damage> {
    if text == "0" {
        return Err(Damage::Zero);
    }
    if text.contains(char::is_control) {
        return Err(Damage::Control);
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(Damage::Space);
    }
    // A text can begin with C2 only, and end in A0 only: neither has the other place in UTF-8.
    if text.as_bytes().first() == Some(&0xc2)
        && let Some(character) = text.chars().next()
    {
        return Err(Damage::Halved { character });
    }
    if text.as_bytes().last() == Some(&0xa0)
        && let Some(character) = text.chars().next_back()
    {
        return Err(Damage::Halved { character });
    }
    if let Some(character @ ('*' | '#')) = text.chars().next() {
        return Err(Damage::Mark { character });
    }
    if text.contains('\\') {
        return Err(Damage::Backslash);
    }
    if holds_result_token(text) {
        return Err(Damage::ResultToken);
    }
    match text.chars().find(|character| character.len_utf8() > 3) {
        Some(character) => Err(Damage::BeyondDatabase { character }),
        None => Ok(()),
    }
}

/// Whether there is a brace, a number and `:result`.
fn holds_result_token(text: &str) -> bool {
    text.split('{').skip(1).any(|rest| {
        let name = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        name.len() < rest.len() && name.starts_with(":result")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_called_is_fine() {
        for text in [
            "",
            "Ada",
            "Lovelace, Ada \"Countess\"",
            "Zoë Ångström",
            "李小龍",
            "00",
            "=1+1",
            "a*b#c",
            "{result} {1:name}",
            "\"quoted\"",
        ] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn a_single_zero_is_no_text_to_php() {
        assert_eq!(check("0"), Err(Damage::Zero));
    }

    #[test]
    fn control_characters_are_refused() {
        for text in ["a\nb", "a\rb", "a\tb", "a\0b", "a\u{7f}", "a\u{85}b"] {
            assert_eq!(check(text), Err(Damage::Control), "{text:?}");
        }
    }

    #[test]
    fn spaces_at_the_ends_are_cut_off() {
        for text in [" ", " a", "a "] {
            assert_eq!(check(text), Err(Damage::Space), "{text:?}");
        }
    }

    #[test]
    fn surprise_22_letters_that_end_or_begin_in_half_a_no_break_space_are_halved() {
        for (text, character) in [
            ("voilà", 'à'),
            ("ВЕКТОР", 'Р'),
            ("\u{a0}a", '\u{a0}'),
            ("a\u{a0}", '\u{a0}'),
            ("£5", '£'),
            ("«a»", '«'),
        ] {
            assert_eq!(check(text), Err(Damage::Halved { character }), "{text:?}");
        }
        // Inside, and of other bytes, they stay whole.
        for text in ["à la carte", "5 £", "École", "Âge"] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn what_begins_like_a_comment_or_a_header_is_refused() {
        for (text, character) in [("#1", '#'), ("*name", '*')] {
            assert_eq!(check(text), Err(Damage::Mark { character }));
        }
    }

    #[test]
    fn a_backslash_is_refused() {
        assert_eq!(check("EXAMPLE\\ada"), Err(Damage::Backslash));
    }

    #[test]
    fn surprise_21_a_result_token_is_refused() {
        for text in ["{1:result}", "a{12:result:id}", "{{1:result", "{1:results"] {
            assert_eq!(check(text), Err(Damage::ResultToken), "{text:?}");
        }
    }

    #[test]
    fn surprise_22_an_emoji_becomes_question_marks() {
        let character = '🎓';
        assert_eq!(
            check("Class of 2026 🎓!"),
            Err(Damage::BeyondDatabase { character })
        );
    }
}
