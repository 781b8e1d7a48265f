//! A write as a row, and the rows of an action as a piece.
//!
//! *Its one idea: a row says everything it means.* The update method always, the level where it changes; an
//! empty cell leaves what it is about as it is.
//!
//! | Write | action | permissionLevel | updateMethod | status |
//! |---|---|---|---|---|
//! | add | 1 (or 6) | its level | 1 | |
//! | set level | 2 (or 6) | its level | 1 | |
//! | activate | 2 | | 1 | 1 |
//! | deactivate | 2 | | 1 | 3 |
//! | remove | 3 | | | |

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::fit::{Unfit, check_user_id, check_write};
use super::{Address, Line, Verb};
use crate::category::{CategoryId, PermissionLevel, ReferenceId, Status, UpdateMethod, UserId};
use crate::kaltura::Write;
use crate::kaltura::wire::{RowAction, level_cell, method_cell, status_cell};

/// How many cells a row has.
pub(super) const CELLS: usize = 6;

/// The rows of one action: they stay together, in their order.
#[derive(Debug, Clone)]
pub struct Piece<T> {
    /// Their category.
    pub category: CategoryId,
    /// The rows.
    pub rows: Vec<Row>,
    /// What the caller knows the action by.
    pub tag: T,
}

impl<T> Piece<T> {
    /// The length of the rows in a file, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(Row::bytes).sum()
    }
}

/// One change of one membership, as a file says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    action: RowAction,
    category: Named,
    user: UserId,
    level: Option<PermissionLevel>,
    method: Option<UpdateMethod>,
    status: Option<Status>,
}

/// A category, by what a row names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    Id(CategoryId),
    ReferenceId(ReferenceId),
}

impl Row {
    /// Whose membership it is about.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Its cells, in the order of [`columns`].
    pub(super) fn cells(&self) -> [Cow<'_, str>; CELLS] {
        let category = match &self.category {
            Named::Id(id) => Cow::Owned(id.to_string()),
            Named::ReferenceId(reference_id) => Cow::Borrowed(reference_id.as_str()),
        };
        [
            self.action.cell().into(),
            category,
            self.user.as_str().into(),
            level_cell(self.level).into(),
            method_cell(self.method).into(),
            status_cell(self.status).into(),
        ]
    }

    /// Its length in a file, in bytes: no cell that fits needs quotation marks.
    pub(super) fn bytes(&self) -> usize {
        let cells: usize = self.cells().iter().map(|cell| cell.len()).sum();
        // A comma or the line's end behind each.
        cells + CELLS
    }
}

impl Line for Row {
    const CELLS: usize = CELLS;

    fn cells(&self) -> Vec<Cow<'_, str>> {
        Row::cells(self).into()
    }

    fn hidden(&self) -> Vec<&str> {
        vec![self.user.as_str()]
    }
}

/// The names of the columns. The action comes first: the engine takes a row that begins with `*` for a header
/// and one that begins with `#` for a comment, which no action does.
pub(super) fn columns(address: Address) -> [&'static str; CELLS] {
    let category = match address {
        Address::Id => "categoryId",
        Address::ReferenceId => "categoryReferenceId",
    };
    [
        "*action",
        category,
        "userId",
        "permissionLevel",
        "updateMethod",
        "status",
    ]
}

/// Turns the writes of one action into rows.
pub(super) fn rows(
    writes: &[Write],
    reference_id: Option<&ReferenceId>,
    verb: Verb,
) -> Result<(CategoryId, Vec<Row>), Unfit> {
    let Some((category, _)) = writes.first().map(Write::pair) else {
        return Err(Unfit::NotOneCategory);
    };
    let mut rows: Vec<Row> = Vec::with_capacity(writes.len());
    for write in writes {
        let (of, user) = write.pair();
        if of != category {
            return Err(Unfit::NotOneCategory);
        }
        check_write(write)?;
        check_user_id(user)?;
        let mut row = row(write, reference_id);
        let before = || rows.iter().filter(|before| before.user == *user);
        if row.action == RowAction::Delete && before().any(|before| before.status.is_some()) {
            return Err(Unfit::StatusBeforeRemoval);
        }
        // Whether "add or update" means the one or the other is settled before any row acts: behind a row about
        // the same person it could mean the wrong one.
        if verb == Verb::AddOrUpdate && row.level.is_some() && before().next().is_none() {
            row.action = RowAction::AddOrUpdate;
        }
        rows.push(row);
    }
    Ok((category, rows))
}

fn row(write: &Write, reference_id: Option<&ReferenceId>) -> Row {
    let (category, user) = write.pair();
    let (action, level, status) = match write {
        Write::Add { level, .. } => (RowAction::Add, Some(*level), None),
        Write::SetLevel { level, .. } => (RowAction::Update, Some(*level), None),
        Write::Remove { .. } => (RowAction::Delete, None, None),
        Write::Activate { .. } => (RowAction::Update, None, Some(Status::Active)),
        Write::Deactivate { .. } => (RowAction::Update, None, Some(Status::NotActive)),
    };
    Row {
        action,
        category: reference_id.map_or(Named::Id(category), |reference_id| {
            Named::ReferenceId(reference_id.clone())
        }),
        user: user.clone(),
        level,
        method: (action != RowAction::Delete).then_some(UpdateMethod::Automatic),
        status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kaltura::csv::Style;

    const CATEGORY: CategoryId = CategoryId(57);

    fn add(user: &str, level: PermissionLevel) -> Write {
        Write::Add {
            category: CATEGORY,
            user: UserId::new(user),
            level,
            method: UpdateMethod::Automatic,
        }
    }

    fn set_level(user: &str, level: PermissionLevel) -> Write {
        Write::SetLevel {
            category: CATEGORY,
            user: UserId::new(user),
            level,
            method: UpdateMethod::Automatic,
            over_manual: false,
            extra_permissions: Vec::new(),
        }
    }

    fn remove(user: &str) -> Write {
        Write::Remove {
            category: CATEGORY,
            user: UserId::new(user),
        }
    }

    fn activate(user: &str) -> Write {
        Write::Activate {
            category: CATEGORY,
            user: UserId::new(user),
        }
    }

    fn deactivate(user: &str) -> Write {
        Write::Deactivate {
            category: CATEGORY,
            user: UserId::new(user),
        }
    }

    fn lines(writes: &[Write], style: Style) -> Vec<String> {
        let reference_id = ReferenceId::new("bio-101");
        let piece = style.piece(writes, Some(&reference_id), ()).unwrap();
        assert_eq!(piece.category, CATEGORY);
        piece.rows.iter().map(|row| row.cells().join(",")).collect()
    }

    #[test]
    fn every_write_is_one_row() {
        let writes = [
            add("ada", PermissionLevel::Manager),
            set_level("bob", PermissionLevel::Member),
            remove("eve"),
            activate("joe"),
            deactivate("liz"),
        ];
        assert_eq!(
            lines(&writes, Style::default()),
            [
                "1,57,ada,0,1,",
                "2,57,bob,3,1,",
                "3,57,eve,,,",
                "2,57,joe,,1,1",
                "2,57,liz,,1,3"
            ]
        );
    }

    #[test]
    fn the_guides_way_is_add_or_update_and_the_reference_id() {
        let style = Style {
            address: Address::ReferenceId,
            verb: Verb::AddOrUpdate,
            ..Style::default()
        };
        let writes = [
            add("ada", PermissionLevel::Moderator),
            set_level("bob", PermissionLevel::Contributor),
            remove("eve"),
            activate("joe"),
        ];
        assert_eq!(
            lines(&writes, style),
            [
                "6,bio-101,ada,1,1,",
                "6,bio-101,bob,2,1,",
                "3,bio-101,eve,,,",
                "2,bio-101,joe,,1,1"
            ]
        );
    }

    #[test]
    fn add_or_update_is_not_asked_for_behind_a_row_about_the_same_person() {
        let style = Style {
            verb: Verb::AddOrUpdate,
            ..Style::default()
        };
        let writes = [remove("ada"), add("Ada", PermissionLevel::Member)];
        assert_eq!(lines(&writes, style), ["3,57,ada,,,", "1,57,Ada,3,1,"]);
        let writes = [set_level("bob", PermissionLevel::Member), activate("bob")];
        assert_eq!(lines(&writes, style), ["6,57,bob,3,1,", "2,57,bob,,1,1"]);
    }

    #[test]
    fn a_status_before_a_removal_would_be_set_behind_it() {
        let piece = |writes: &[Write]| Style::default().piece(writes, None, ()).map(|_| ());
        assert_eq!(
            piece(&[deactivate("ada"), remove("ADA")]),
            Err(Unfit::StatusBeforeRemoval)
        );
        assert_eq!(piece(&[deactivate("ada"), remove("bob")]), Ok(()));
        assert_eq!(piece(&[remove("ada"), deactivate("ada")]), Ok(()));
    }

    #[test]
    fn a_piece_is_of_one_category() {
        let elsewhere = Write::Remove {
            category: CategoryId(58),
            user: UserId::new("ada"),
        };
        let piece = |writes: &[Write]| Style::default().piece(writes, None, ()).map(|_| ());
        assert_eq!(
            piece(&[remove("ada"), elsewhere]),
            Err(Unfit::NotOneCategory)
        );
        assert_eq!(piece(&[]), Err(Unfit::NotOneCategory));
    }

    #[test]
    fn one_row_that_does_not_fit_keeps_the_others_of_its_piece_out() {
        let writes = [remove("ada"), add("a", PermissionLevel::Member)];
        assert_eq!(
            Style::default().piece(&writes, None, ()).map(|_| ()),
            Err(Unfit::UserIdLength { characters: 1 })
        );
    }

    #[test]
    fn a_category_without_reference_id_cannot_be_named_by_it() {
        let style = Style {
            address: Address::ReferenceId,
            ..Style::default()
        };
        let refused = style.piece(&[remove("ada")], None, ()).map(|_| ());
        assert_eq!(refused, Err(Unfit::NoReferenceId));
    }
}
