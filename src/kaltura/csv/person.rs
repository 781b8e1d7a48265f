//! A person, as a row of an end-users file.
//!
//! *Its one idea: what the directory does not know stays as Kaltura has it.* An empty cell changes nothing; a name
//! that Kaltura would damage is not written, and neither is half a person.

use std::borrow::Cow;

use super::cell::check;
use super::fit::{Unfit, check_user_id};
use super::{Line, Sheet};
use crate::category::UserId;
use crate::kaltura::FileKind;
use crate::kaltura::wire::RowAction;

/// Columns of the database: so much of a name is kept (`first_name`, `last_name`), in characters.
const NAME_CHARACTERS: usize = 40;
/// So much of a screen name is kept, in bytes (`kuser::setScreenName`).
const SCREEN_NAME_BYTES: usize = 127;
/// So much of an address is kept, in characters.
const EMAIL_CHARACTERS: usize = 100;

/// A person who is to be there, under these names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    user: UserId,
    first_name: String,
    last_name: String,
    screen_name: String,
    email: String,
}

impl PersonRow {
    /// Makes the row of a person from what is known. The screen name is first and last name together, as the guide
    /// has it.
    pub fn new(
        user: &UserId,
        first_name: Option<&str>,
        last_name: Option<&str>,
        email: Option<&str>,
    ) -> Result<Self, Unfit> {
        check_user_id(user)?;
        let known = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let (first_name, last_name, email) = (known(first_name), known(last_name), known(email));
        check_name("first name", &first_name)?;
        check_name("last name", &last_name)?;
        check_text("mail address", &email, EMAIL_CHARACTERS)?;
        let screen_name = [first_name.as_str(), last_name.as_str()];
        let screen_name = screen_name.join(" ").trim().to_owned();
        if screen_name.len() > SCREEN_NAME_BYTES {
            return Err(Unfit::PersonalLength {
                what: "first and last name together",
                most: SCREEN_NAME_BYTES,
                unit: "bytes",
            });
        }
        // Two halves may make what neither is.
        check_name_signs("first and last name together", &screen_name)?;
        Ok(Self {
            user: user.clone(),
            first_name,
            last_name,
            screen_name,
            email,
        })
    }

    /// Who it is.
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), Unfit> {
    check_text(what, name, NAME_CHARACTERS)?;
    check_name_signs(what, name)
}

fn check_name_signs(what: &'static str, name: &str) -> Result<(), Unfit> {
    check(name).map_err(|damage| Unfit::Personal { what, damage })?;
    if name.contains("://") {
        return Err(Unfit::PersonalAddress { what });
    }
    Ok(())
}

fn check_text(what: &'static str, text: &str, most: usize) -> Result<(), Unfit> {
    check(text).map_err(|damage| Unfit::Personal { what, damage })?;
    if text.chars().count() > most {
        return Err(Unfit::PersonalLength {
            what,
            most,
            unit: "characters",
        });
    }
    Ok(())
}

impl Line for PersonRow {
    const CELLS: usize = Self::COLUMNS.len();

    fn cells(&self) -> Vec<Cow<'_, str>> {
        vec![
            RowAction::AddOrUpdate.cell().into(),
            self.user.as_str().into(),
            self.first_name.as_str().into(),
            self.last_name.as_str().into(),
            self.screen_name.as_str().into(),
            self.email.as_str().into(),
        ]
    }

    /// The longer texts first, so that no rest of one is left.
    fn hidden(&self) -> Vec<&str> {
        vec![
            &self.email,
            &self.screen_name,
            self.user.as_str(),
            &self.first_name,
            &self.last_name,
        ]
    }
}

impl Sheet for PersonRow {
    const KIND: FileKind = FileKind::Users;
    const COLUMNS: &'static [&'static str] = &[
        "*action",
        "userId",
        "firstName",
        "lastName",
        "screenName",
        "email",
    ];

    fn subject(&self) -> &str {
        self.user.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kaltura::csv::{Damage, Log, RowVerdict};

    fn row(first: &str, last: &str) -> Result<PersonRow, Unfit> {
        let mail = Some("ada@example.edu");
        PersonRow::new(&UserId::new("ada"), Some(first), Some(last), mail)
    }

    #[test]
    fn a_person_is_added_or_updated_under_all_names() {
        assert_eq!(
            row("Ada", "Lovelace, Countess").unwrap().cells().join("|"),
            "6|ada|Ada|Lovelace, Countess|Ada Lovelace, Countess|ada@example.edu"
        );
    }

    #[test]
    fn what_is_not_known_is_an_empty_cell() {
        let ada = UserId::new("ada");
        let row = |first, last| PersonRow::new(&ada, first, last, None).unwrap();
        assert_eq!(row(None, None).cells().join("|"), "6|ada||||");
        assert_eq!(
            row(None, Some("Lovelace")).cells().join("|"),
            "6|ada||Lovelace|Lovelace|"
        );
    }

    #[test]
    fn names_that_kaltura_would_damage_cut_or_refuse_are_refused() {
        let (what, damage) = ("last name", Damage::Halved { character: 'à' });
        assert_eq!(
            row("Ada", "Cunillerà"),
            Err(Unfit::Personal { what, damage })
        );
        assert_eq!(
            row("http://x", "Y"),
            Err(Unfit::PersonalAddress { what: "first name" })
        );
        assert!(row(&"ä".repeat(40), "Y").is_ok());
        for (first, last) in [
            ("ä".repeat(41), "Y".to_owned()),
            ("日".repeat(40), "日本語".to_owned()),
        ] {
            assert!(matches!(
                row(&first, &last),
                Err(Unfit::PersonalLength { .. })
            ));
        }
        let character = ' ';
        let spaced = PersonRow::new(&UserId::new("a b"), None, None, None);
        assert_eq!(spaced, Err(Unfit::UserIdCharacter { character }));
    }

    #[test]
    fn a_log_of_people_is_read_like_any_other_and_names_nobody() {
        let rows = [row("Ada", "Lovelace").unwrap()];
        let log = "6,ada,Ada,Lovelace,Ada Lovelace,ada@example.edu,1,,0,\
                   \"ada (Ada Lovelace, ada@example.edu) is refused\"\n";
        assert_eq!(
            Log::read(log.as_bytes()).verdicts(&rows),
            [RowVerdict::Refused("… (…, …) is refused".to_owned())]
        );
    }
}
