//! A channel that is to be made, as a row of a categories file.
//!
//! *Its one idea: a channel is made with an owner, in one place, for its own members.* Without an owner it would be
//! the session's; without a path it would be outside the site; and what it does not say of itself would be open to
//! everybody (`KalturaCategory.php`).

use std::borrow::Cow;
use std::sync::Arc;

use super::cell::check;
use super::fit::{Unfit, check_reference_id_cell, check_user_id};
use super::{Line, Sheet};
use crate::category::{ReferenceId, UserId};
use crate::kaltura::FileKind;
use crate::kaltura::wire::{
    OWN_MEMBERS_CELL, RowAction, contribution_cell, listing_cell, privacy_cell,
};

/// A name is at most this many bytes long (`KalturaCategory::name`).
const NAME_BYTES: usize = 200;

/// Who may see what is in a channel. A private one does not show in lists either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Everybody.
    All,
    /// Whoever has logged in.
    Authenticated,
    /// Its members.
    Members,
}

/// Who may add content to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contribution {
    /// Whoever may see it.
    All,
    /// Members whose level allows it.
    Members,
}

/// What channels that are made together have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    parent: String,
    owner: UserId,
    privacy: Privacy,
    contribution: Contribution,
}

impl Making {
    /// Says where channels are to be, names joined with `>`; whose; and who may do what there.
    pub fn new(
        parent: &str,
        owner: UserId,
        privacy: Privacy,
        contribution: Contribution,
    ) -> Result<Self, Unfit> {
        check(parent).map_err(Unfit::ParentPath)?;
        check_user_id(&owner)?;
        Ok(Self {
            parent: parent.to_owned(),
            owner,
            privacy,
            contribution,
        })
    }

    /// The path below which channels are made.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// Makes the row of one channel.
    pub fn row(
        self: &Arc<Self>,
        name: &str,
        reference_id: &ReferenceId,
    ) -> Result<ChannelRow, Unfit> {
        check_name(name)?;
        check_reference_id_cell(reference_id)?;
        Ok(ChannelRow {
            making: Arc::clone(self),
            name: name.to_owned(),
            reference_id: reference_id.clone(),
        })
    }
}

fn check_name(name: &str) -> Result<(), Unfit> {
    check(name).map_err(Unfit::ChannelName)?;
    if let Some(character) = name.chars().find(|c| "<>,".contains(*c)) {
        return Err(Unfit::ChannelNameCharacter { character });
    }
    match name.len() {
        1..=NAME_BYTES => Ok(()),
        bytes => Err(Unfit::ChannelNameLength { bytes }),
    }
}

/// A channel that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    making: Arc<Making>,
    name: String,
    reference_id: ReferenceId,
}

impl ChannelRow {
    /// What it is to be called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By what groups are to find it.
    pub fn reference_id(&self) -> &ReferenceId {
        &self.reference_id
    }
}

impl Line for ChannelRow {
    const CELLS: usize = Self::COLUMNS.len();

    fn cells(&self) -> Vec<Cow<'_, str>> {
        let making = &self.making;
        vec![
            RowAction::Add.cell().into(),
            making.parent.as_str().into(),
            self.name.as_str().into(),
            self.reference_id.as_str().into(),
            making.owner.as_str().into(),
            privacy_cell(making.privacy).into(),
            listing_cell(making.privacy).into(),
            contribution_cell(making.contribution).into(),
            OWN_MEMBERS_CELL.into(),
        ]
    }

    fn hidden(&self) -> Vec<&str> {
        vec![self.making.owner.as_str()]
    }
}

impl Sheet for ChannelRow {
    const KIND: FileKind = FileKind::Categories;
    const COLUMNS: &'static [&'static str] = &[
        "*action",
        "relativePath",
        "name",
        "referenceId",
        "owner",
        "privacy",
        "appearInList",
        "contributionPolicy",
        "inheritanceType",
    ];

    fn subject(&self) -> &str {
        self.reference_id.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kaltura::csv::Damage;

    fn making(privacy: Privacy, contribution: Contribution) -> Arc<Making> {
        let owner = UserId::new("rector");
        Arc::new(Making::new("MediaSpace>site>channels", owner, privacy, contribution).unwrap())
    }

    fn private() -> Arc<Making> {
        making(Privacy::Members, Contribution::Members)
    }

    fn refused(name: &str) -> Unfit {
        private()
            .row(name, &ReferenceId::new("bio-101"))
            .unwrap_err()
    }

    #[test]
    fn a_row_says_everything_that_kaltura_would_guess_otherwise() {
        let row = private().row("Biology \"101\"", &ReferenceId::new("bio, 101"));
        assert_eq!(
            row.unwrap().cells().join("|"),
            "1|MediaSpace>site>channels|Biology \"101\"|bio, 101|rector|3|3|2|2"
        );
        let open = making(Privacy::Authenticated, Contribution::All);
        let row = open.row("Biology", &ReferenceId::new("bio-101"));
        assert!(row.unwrap().cells().join("|").ends_with("|2|1|1|2"));
    }

    #[test]
    fn names_that_kaltura_would_change_are_refused() {
        for (name, character) in [("A>B", '>'), ("a < b", '<'), ("Ada, Bob", ',')] {
            assert_eq!(refused(name), Unfit::ChannelNameCharacter { character });
        }
        assert_eq!(refused("a\\b"), Unfit::ChannelName(Damage::Backslash));
        let character = 'à';
        assert_eq!(
            refused("Voilà"),
            Unfit::ChannelName(Damage::Halved { character })
        );
        for bytes in [0, 201] {
            let name = "a".repeat(bytes);
            assert_eq!(refused(&name), Unfit::ChannelNameLength { bytes });
        }
        let fits = private().row(&"ä".repeat(100), &ReferenceId::new("x"));
        assert!(fits.is_ok());
    }

    #[test]
    fn a_reference_id_may_have_signs_of_the_search_since_nothing_is_searched() {
        let row = |text: &str| private().row("Biology", &ReferenceId::new(text));
        assert!(row("bio 101*").is_ok());
        assert_eq!(row(""), Err(Unfit::NoReferenceId));
        assert_eq!(row("#1"), Err(Damage::Mark { character: '#' }.into()));
        let characters = 513;
        let long = row(&"a".repeat(characters));
        assert_eq!(long, Err(Unfit::ReferenceIdLength { characters }));
    }

    #[test]
    fn an_owner_that_kaltura_would_misread_is_refused() {
        let making = |owner: &str| {
            let owner = UserId::new(owner);
            Making::new("a>b", owner, Privacy::All, Contribution::All).map(|_| ())
        };
        assert_eq!(making("ada@example.edu"), Ok(()));
        assert_eq!(
            making("ada lovelace"),
            Err(Unfit::UserIdCharacter { character: ' ' })
        );
    }
}
