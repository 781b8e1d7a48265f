//! What a write must not be, to be a row of a file.
//!
//! *Its one idea: whoever is told that something does not fit is told why, in full.* A file could say less
//! than a call can: it cannot override, it keeps no permission names, and it is read by a machine that guesses.

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::cell::{self, Damage};
use crate::category::{PermissionLevel, ReferenceId, UpdateMethod, UserId};
use crate::kaltura::Write;

/// Why a write cannot be made by file. None of the texts names a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    /// The engine takes "manual" for an addition, and for a change then refuses every later one.
    #[error("a membership that is kept by hand is not made or changed by a file")]
    Manual,
    /// The engine never overrides.
    #[error("a membership that is kept by hand cannot be overridden by a file")]
    OverManual,
    /// The engine sets the level's own permission names and nothing else.
    #[error(
        "the membership has permissions beyond those of its level, which a file would wipe out"
    )]
    ExtraPermissions,
    /// The engine refuses it.
    #[error("a file cannot give the level none")]
    LevelNone,
    /// The guide allows 3 to 100 characters; what is longer is cut by the server.
    #[error("the user ID has {characters} characters, and a file takes 3 to 100 (Kaltura's guide)")]
    UserIdLength {
        /// How many there are.
        characters: usize,
    },
    /// The guide allows letters, digits and `. _ @ -`.
    #[error(
        "the user ID has {character:?} in it, and a file takes letters of a to z, digits and . _ @ - only \
         (Kaltura's guide)"
    )]
    UserIdCharacter {
        /// The first other character.
        character: char,
    },
    /// There is none.
    #[error("the channel has no reference ID by which a file could name it")]
    NoReferenceId,
    /// The guide allows 512 characters.
    #[error("the channel's reference ID has {characters} characters, and a file takes 512 at most")]
    ReferenceIdLength {
        /// How many there are.
        characters: usize,
    },
    /// The search behind the engine takes it for a sign of its own.
    #[error(
        "the channel's reference ID has {character:?} in it, by which Kaltura's search would find other \
         channels or none"
    )]
    ReferenceIdCharacter {
        /// The first such character.
        character: char,
    },
    /// The engine would read another one.
    #[error("the channel's reference ID cannot stand in a file: {0}")]
    ReferenceId(#[from] Damage),
    /// The engine would read another one.
    #[error("the channel's name cannot stand in a file: {0}")]
    ChannelName(Damage),
    /// The guide's text, and what the server does with the signs of which paths and lists are made.
    #[error("the channel's name has {character:?} in it, for which Kaltura writes _")]
    ChannelNameCharacter {
        /// The first such character.
        character: char,
    },
    /// The server's own limits.
    #[error("the channel's name has {bytes} bytes, and Kaltura takes 1 to 200")]
    ChannelNameLength {
        /// How many there are.
        bytes: usize,
    },
    /// The engine would look for another one.
    #[error("the path of the channels cannot stand in a file: {0}")]
    ParentPath(Damage),
    /// The engine would read another one.
    #[error("the person's {what} cannot stand in a file: {damage}")]
    Personal {
        /// Which of their names, or what else.
        what: &'static str,
        /// What Kaltura would make of it.
        damage: Damage,
    },
    /// The server takes a name with an address in it for an attempt at fraud.
    #[error("the person's {what} has :// in it, which Kaltura refuses")]
    PersonalAddress {
        /// Which of their names.
        what: &'static str,
    },
    /// The server cuts it, or refuses it.
    #[error("the person's {what} is longer than the {most} {unit} that Kaltura keeps")]
    PersonalLength {
        /// Which of their names, or what else.
        what: &'static str,
        /// How long it may be.
        most: usize,
        /// In what that is counted.
        unit: &'static str,
    },
    /// Statuses are set when up to twenty rows have acted, so the removal would come first.
    #[error(
        "a membership is to be put in or out of force and then removed, which a file does in another order"
    )]
    StatusBeforeRemoval,
    /// Rows that stay together are of one category.
    #[error("rows that belong together must be of one channel, and there must be one at least")]
    NotOneCategory,
    /// One action would need a file larger than the limits.
    #[error("its {rows} rows of {bytes} bytes are more than one file takes")]
    TooLarge {
        /// The action's rows.
        rows: usize,
        /// Their length.
        bytes: usize,
    },
}

/// The bounds of the guide.
const USER_ID_CHARACTERS: std::ops::RangeInclusive<usize> = 3..=100;
const REFERENCE_ID_CHARACTERS: usize = 512;

/// Checks what the columns of a row can say of a write.
pub(super) fn check_write(write: &Write) -> Result<(), Unfit> {
    match write {
        Write::Add { level, method, .. } => check_grant(*level, *method),
        Write::SetLevel {
            level,
            method,
            over_manual,
            extra_permissions,
            ..
        } => {
            if *over_manual {
                return Err(Unfit::OverManual);
            }
            if !extra_permissions.is_empty() {
                return Err(Unfit::ExtraPermissions);
            }
            check_grant(*level, *method)
        }
        Write::Remove { .. } | Write::Activate { .. } | Write::Deactivate { .. } => Ok(()),
    }
}

fn check_grant(level: PermissionLevel, method: UpdateMethod) -> Result<(), Unfit> {
    match (level, method) {
        (_, UpdateMethod::Manual) => Err(Unfit::Manual),
        (PermissionLevel::None, _) => Err(Unfit::LevelNone),
        _ => Ok(()),
    }
}

/// Checks a user ID by the rule of Kaltura's guide to End-User Entitlements CSV.
///
/// The code of the recorded release takes far more, as calls do. But the guide is what is promised, and no one
/// has promised that the engine of another release reads a comma or a tilde as this one does. The rule keeps out
/// every text that would be damaged, too: what is left is plain ASCII without spaces, of at most 100 bytes.
pub(super) fn check_user_id(user: &UserId) -> Result<(), Unfit> {
    let text = user.as_str();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    if let Some(character) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(Unfit::UserIdCharacter { character });
    }
    let characters = text.len();
    if USER_ID_CHARACTERS.contains(&characters) {
        Ok(())
    } else {
        Err(Unfit::UserIdLength { characters })
    }
}

/// Checks that the engine finds a category by its reference ID, if it is alone with it.
pub(super) fn check_reference_id(reference_id: &ReferenceId) -> Result<(), Unfit> {
    check_reference_id_cell(reference_id)?;
    let text = reference_id.as_str();
    match text.chars().find(|c| is_sign_of_the_search(*c)) {
        Some(character) => Err(Unfit::ReferenceIdCharacter { character }),
        None => Ok(()),
    }
}

/// Checks that the engine gives a category this reference ID, and no other.
pub(super) fn check_reference_id_cell(reference_id: &ReferenceId) -> Result<(), Unfit> {
    let text = reference_id.as_str();
    if text.is_empty() {
        return Err(Unfit::NoReferenceId);
    }
    let characters = text.chars().count();
    if characters > REFERENCE_ID_CHARACTERS {
        return Err(Unfit::ReferenceIdLength { characters });
    }
    Ok(cell::check(text)?)
}

/// Whether `referenceIdEqual` takes a character for something else than itself: breaks between words, wildcards,
/// and a quotation mark, which breaks the query. All others were recorded to find themselves.
fn is_sign_of_the_search(c: char) -> bool {
    c.is_whitespace() || ",*?%\"".contains(c)
}

/// What two reference IDs have in common when a file could mean the one and the engine find the other: letters
/// without case and accents, whatever stands between them.
///
/// Who writes files by reference ID asks first whether a category is alone with its key.
pub fn search_key(reference_id: &ReferenceId) -> String {
    let mut key = String::new();
    for c in reference_id
        .as_str()
        .nfd()
        .filter(|c| !is_combining_mark(*c))
    {
        if c.is_alphanumeric() {
            key.extend(c.to_lowercase());
        } else if !key.ends_with(' ') {
            key.push(' ');
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::CategoryId;

    const CATEGORY: CategoryId = CategoryId(57);

    fn set_level(level: PermissionLevel, method: UpdateMethod, over_manual: bool) -> Write {
        Write::SetLevel {
            category: CATEGORY,
            user: UserId::new("ada"),
            level,
            method,
            over_manual,
            extra_permissions: Vec::new(),
        }
    }

    #[test]
    fn what_a_file_cannot_say_is_refused() {
        use PermissionLevel::{Member, None};
        use UpdateMethod::{Automatic, Manual};
        let add = |level, method| Write::Add {
            category: CATEGORY,
            user: UserId::new("ada"),
            level,
            method,
        };
        let extra = Write::SetLevel {
            category: CATEGORY,
            user: UserId::new("ada"),
            level: Member,
            method: Automatic,
            over_manual: false,
            extra_permissions: vec!["CATEGORY_SUBSCRIBE".to_owned()],
        };
        for (write, verdict) in [
            (add(Member, Automatic), Ok(())),
            (add(Member, Manual), Err(Unfit::Manual)),
            (add(None, Automatic), Err(Unfit::LevelNone)),
            (set_level(Member, Automatic, false), Ok(())),
            (set_level(Member, Manual, false), Err(Unfit::Manual)),
            (set_level(Member, Automatic, true), Err(Unfit::OverManual)),
            (set_level(None, Automatic, false), Err(Unfit::LevelNone)),
            (extra, Err(Unfit::ExtraPermissions)),
        ] {
            assert_eq!(check_write(&write), verdict, "{write:?}");
        }
    }

    #[test]
    fn user_ids_are_as_the_guide_says() {
        let check = |text: &str| check_user_id(&UserId::new(text));
        for text in ["ada", "000", "-ada", "@home", "A.d_a-l@example.edu"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        assert_eq!(check(&"a".repeat(100)), Ok(()));
        for characters in [0, 1, 2, 101, 320] {
            let found = check(&"a".repeat(characters));
            assert_eq!(found, Err(Unfit::UserIdLength { characters }));
        }
        for (text, character) in [
            ("o'brien", '\''),
            ("ada+x", '+'),
            ("a,b,c", ','),
            (" ada", ' '),
            ("ada\n", '\n'),
            ("zoë", 'ë'),
            ("*ada", '*'),
            ("{1:result}", '{'),
            ("EX\\ada", '\\'),
        ] {
            assert_eq!(check(text), Err(Unfit::UserIdCharacter { character }));
        }
    }

    #[test]
    fn reference_ids_are_found_or_refused() {
        let check = |text: &str| check_reference_id(&ReferenceId::new(text));
        for text in [
            "ABC-1/2024",
            "uni:course:ABC",
            "hy-opt-(123)",
            "ÄÖå",
            "a@b!c$d^e|f=g~h[i]j",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        assert_eq!(check(&"ä".repeat(512)), Ok(()));
        let characters = 513;
        assert_eq!(
            check(&"a".repeat(characters)),
            Err(Unfit::ReferenceIdLength { characters })
        );
        assert_eq!(check(""), Err(Unfit::NoReferenceId));
        assert_eq!(check("0"), Err(Unfit::ReferenceId(Damage::Zero)));
        assert_eq!(check("a\\b"), Err(Unfit::ReferenceId(Damage::Backslash)));
        for (text, character) in [
            ("a b", ' '),
            ("a,b", ','),
            ("a*b", '*'),
            ("a%b", '%'),
            ("a?b", '?'),
            ("x\"y", '"'),
            ("a\u{a0}b", '\u{a0}'),
        ] {
            assert_eq!(check(text), Err(Unfit::ReferenceIdCharacter { character }));
        }
    }

    #[test]
    fn reference_ids_that_the_search_may_confuse_have_one_key() {
        let key = |text: &str| search_key(&ReferenceId::new(text));
        assert_eq!(key("CASE"), key("case"));
        assert_eq!(key("ÄÖå"), key("aoa"));
        assert_eq!(key("a!b"), key("a, b"));
        assert_ne!(key("e-1"), key("e-11"));
    }
}
