use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::category::{PermissionLevel, UpdateMethod, UserId};
use crate::kaltura::Write;
use crate::kaltura::csv::{Address, Verb};

/// A piece of so many rows about people whose IDs are so long.
fn piece(style: &Style, tag: usize, category: i64, rows: usize, length: usize) -> Piece<usize> {
    let write = |_| Write::Add {
        category: CategoryId(category),
        user: UserId::new(format!("{tag:0>length$}")),
        level: PermissionLevel::Member,
        method: UpdateMethod::Automatic,
    };
    let writes: Vec<Write> = (0..rows).map(write).collect();
    style.piece(&writes, None, tag).unwrap()
}

fn style(rows: usize, bytes: usize) -> Style {
    Style {
        address: Address::Id,
        verb: Verb::Explicit,
        limits: Limits { rows, bytes },
    }
}

/// The longest heading there can be.
fn heading() -> Heading {
    Heading::new(["x".repeat(2 * Heading::MAX_BYTES)])
}

fn bytes(style: &Style, file: &[Piece<usize>]) -> usize {
    let mut out = Vec::new();
    let rows = file.iter().flat_map(|piece| &piece.rows);
    style.write(&mut out, &heading(), rows).unwrap();
    out.len()
}

/// The files that come of categories of so many one-row pieces: their categories and rows.
fn packed(rows: usize, categories: &[usize]) -> Vec<Vec<(i64, usize)>> {
    let style = style(rows, 1_000_000);
    let pieces = categories
        .iter()
        .zip(1..)
        .flat_map(|(size, category)| (0..*size).map(move |tag| piece(&style, tag, category, 1, 5)));
    let files = style.pack(pieces).map(|file| {
        file.chunk_by(|a, b| a.category == b.category)
            .map(|part| (part[0].category.0, part.len()))
            .collect()
    });
    files.collect()
}

#[test]
fn categories_share_a_file_as_long_as_they_fit() {
    assert_eq!(
        packed(10, &[4, 5, 1, 1]),
        [vec![(1, 4), (2, 5), (3, 1)], vec![(4, 1)]]
    );
}

#[test]
fn a_category_is_not_divided_to_fill_a_file() {
    assert_eq!(packed(10, &[4, 7, 3]), [vec![(1, 4)], vec![(2, 7), (3, 3)]]);
}

#[test]
fn a_category_that_fills_a_file_is_in_one() {
    assert_eq!(packed(10, &[10, 10]), [vec![(1, 10)], vec![(2, 10)]]);
}

#[test]
fn a_category_larger_than_a_file_has_files_of_its_own() {
    assert_eq!(
        packed(10, &[2, 21, 3]),
        [
            vec![(1, 2)],
            vec![(2, 10)],
            vec![(2, 10)],
            vec![(2, 1)],
            vec![(3, 3)]
        ]
    );
}

#[test]
fn nothing_is_no_file() {
    assert_eq!(packed(10, &[]), Vec::<Vec<(i64, usize)>>::new());
}

#[test]
fn a_piece_that_no_file_takes_is_unfit() {
    let write = |user: &str| Write::Remove {
        category: CategoryId(1),
        user: UserId::new(user),
    };
    let (ada, bob) = (write("ada"), write("bob"));
    let refused = style(1, 1_000_000).piece(&[ada.clone(), bob], None, ());
    let (rows, bytes) = (2, 22);
    assert_eq!(refused.unwrap_err(), Unfit::TooLarge { rows, bytes });
    let least = Heading::MAX_BYTES + header_bytes(&columns(Address::Id)) + 11;
    let one = |most| style(10, most).piece(std::slice::from_ref(&ada), None, ());
    assert!(one(least).is_ok());
    let (rows, bytes) = (1, 11);
    assert_eq!(one(least - 1).unwrap_err(), Unfit::TooLarge { rows, bytes });
}

#[test]
fn files_come_while_pieces_still_do() {
    let style = style(10, 1_000_000);
    let mut asked = 0;
    let endless = (0..).map(|tag| {
        asked += 1;
        piece(&style, tag, 1, 1, 5)
    });
    assert_eq!(style.pack(endless).take(3).count(), 3);
    assert_eq!(asked, 31);
}

/// How many rows the pieces of a category have, and how long their IDs are.
fn categories() -> impl Strategy<Value = Vec<Vec<(usize, usize)>>> {
    vec(vec((1..4_usize, 5..60_usize), 1..20), 0..12)
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_divided_or_too_large(
        categories in categories(),
        most_rows in 3..40_usize,
        more_bytes in 210..2000_usize,
    ) {
        let most_bytes = Heading::MAX_BYTES + header_bytes(&columns(Address::Id)) + more_bytes;
        let style = style(most_rows, most_bytes);
        let mut pieces = Vec::new();
        for (category, sizes) in (1..).zip(&categories) {
            for (rows, length) in sizes {
                pieces.push(piece(&style, pieces.len(), category, *rows, *length));
            }
        }
        let count = pieces.len();
        let whole: Vec<Size> = pieces
            .chunk_by(|a, b| a.category == b.category)
            .map(|part| part.iter().map(Size::of).fold(Size::default(), Size::and))
            .collect();
        let whole = |category: CategoryId| whole[usize::try_from(category.0).unwrap() - 1];
        let is_large = |category| !whole(category).fits(Size::room(&style));

        let files: Vec<Vec<Piece<usize>>> = style.pack(pieces).collect();

        let tags: Vec<usize> = files.iter().flatten().map(|piece| piece.tag).collect();
        prop_assert_eq!(tags, (0..count).collect::<Vec<_>>());
        for file in &files {
            let rows: usize = file.iter().map(|piece| piece.rows.len()).sum();
            prop_assert!(rows <= most_rows);
            prop_assert!(bytes(&style, file) <= most_bytes);
        }
        for pair in files.windows(2) {
            let (last, first) = (pair[0].last().unwrap(), &pair[1][0]);
            let all: Size = pair[0].iter().map(Size::of).fold(Size::default(), Size::and);
            if last.category == first.category {
                prop_assert!(is_large(first.category));
                prop_assert!(!all.and(Size::of(first)).fits(Size::room(&style)), "room was left");
            } else if !is_large(last.category) && !is_large(first.category) {
                let both = all.and(whole(first.category));
                prop_assert!(!both.fits(Size::room(&style)), "room was left");
            }
        }
        for file in &files {
            let large = file.iter().any(|piece| is_large(piece.category));
            let alone = file.iter().all(|piece| piece.category == file[0].category);
            prop_assert!(alone || !large, "a large category has files of its own");
        }
    }
}
