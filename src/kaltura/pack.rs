//! Putting categories together, so that their members come in few pages.
//!
//! *Its one idea: the last page of a list should be full.* Categories differ by orders of magnitude;
//! small ones fill up what large ones leave of a page.

use std::collections::BTreeMap;

use super::wire::PAGE_SIZE;
use crate::category::{Category, CategoryId};

/// The server cuts a list of IDs at 150 values, silently.
const MOST_IDS: usize = 100;
/// Pages of one list: the ceiling is at twenty.
const MOST_PAGES: u64 = 19;
/// Rows counted on for a page. The counts are of active members only and drift a little; one row
/// too many would cost a whole page.
const ROWS_PER_PAGE: u64 = PAGE_SIZE as u64 - 5;

/// Categories whose members are listed together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) categories: Vec<CategoryId>,
    /// About how many members they have.
    pub(super) rows: u64,
}

/// What is left to be packed, by size. The number makes equal sizes differ.
type Left = BTreeMap<(u64, usize), CategoryId>;

/// Packs categories so that each chunk fills its pages.
pub(super) fn pack(categories: &[&Category]) -> Vec<Chunk> {
    let mut left: Left = categories
        .iter()
        .enumerate()
        .map(|(n, category)| ((category.members_count, n), category.id))
        .collect();
    let mut chunks = Vec::new();
    while let Some(((largest, _), _)) = left.last_key_value() {
        let floor = pages(*largest).max(1);
        let rows: u64 = left.keys().map(|(rows, _)| *rows).sum();
        let chunks_to_come = (left.len().div_ceil(MOST_IDS) as u64)
            .max(rows.div_ceil(MOST_PAGES * ROWS_PER_PAGE))
            .max(1);
        // The average of what is left; where that falls between two numbers of pages, the one
        // that is filled better.
        let mean = rows / chunks_to_come / ROWS_PER_PAGE;
        let bound = |pages: u64| pages.clamp(floor, MOST_PAGES.max(floor));
        let (fewer, more) = (bound(mean), bound(mean + 1));
        let mut best = fill(&mut left, fewer);
        if more != fewer {
            restore(&mut left, &best);
            let other = fill(&mut left, more);
            if filling(&other) > filling(&best) {
                best = other;
            } else {
                restore(&mut left, &other);
                best = fill(&mut left, fewer);
            }
        }
        chunks.push(Chunk {
            rows: rows_of(&best),
            categories: best.into_iter().map(|(_, id)| id).collect(),
        });
    }
    chunks
}

type Picked = Vec<((u64, usize), CategoryId)>;

/// Takes the largest categories that leave room for as many of the smallest as the list of IDs
/// can hold beside them.
fn fill(left: &mut Left, pages: u64) -> Picked {
    // What does not fit below the ceiling even alone stays alone.
    let room = pages.min(MOST_PAGES) * ROWS_PER_PAGE;
    let mut picked = Picked::new();
    let mut used = 0;
    while picked.len() < MOST_IDS && (used <= room || picked.is_empty()) {
        let Some(((smallest, _), _)) = left.first_key_value() else {
            break;
        };
        let free = if picked.is_empty() {
            u64::MAX
        } else {
            room.saturating_sub(used)
        };
        let others = (MOST_IDS - picked.len() - 1).min(left.len() - 1) as u64;
        let below = |limit: u64| left.range(..=(limit, usize::MAX)).next_back();
        let fitting = below(free.saturating_sub(smallest * others)).or_else(|| below(free));
        let Some((key, id)) = fitting.map(|(key, id)| (*key, *id)) else {
            break;
        };
        left.remove(&key);
        used += key.0;
        picked.push((key, id));
    }
    picked
}

fn restore(left: &mut Left, picked: &Picked) {
    left.extend(picked.iter().copied());
}

fn rows_of(picked: &Picked) -> u64 {
    picked.iter().map(|((rows, _), _)| rows).sum()
}

/// How full the pages are, in thousandths.
fn filling(picked: &Picked) -> u64 {
    let rows = rows_of(picked);
    rows * 1000 / (pages(rows).max(1) * ROWS_PER_PAGE)
}

fn pages(rows: u64) -> u64 {
    rows.div_ceil(ROWS_PER_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(sizes: &[u64]) -> (u64, u64) {
        let categories: Vec<Category> = (1..)
            .zip(sizes)
            .map(|(id, size)| Category {
                id: CategoryId(id),
                reference_id: None,
                full_name: String::new(),
                owner: None,
                inherits_from: None,
                members_count: *size,
                created_at: 1,
            })
            .collect();
        let chunks = pack(&categories.iter().collect::<Vec<_>>());
        let mut ids: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| chunk.categories.clone())
            .collect();
        ids.sort_unstable();
        assert_eq!(
            ids,
            categories.iter().map(|c| c.id).collect::<Vec<_>>(),
            "each exactly once"
        );
        for chunk in &chunks {
            assert!(chunk.categories.len() <= MOST_IDS);
            assert!(chunk.rows <= 9_500 || chunk.categories.len() == 1);
        }
        let asked = chunks
            .iter()
            .map(|chunk| chunk.rows.div_ceil(500).max(1))
            .sum();
        let rows: u64 = sizes.iter().sum();
        let least = rows
            .div_ceil(500)
            .max(sizes.len().div_ceil(MOST_IDS) as u64);
        (asked, least)
    }

    #[test]
    fn pages_are_within_five_percent_of_the_least() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut many = |n: usize, sizes: std::ops::Range<u64>| -> Vec<u64> {
            (0..n).map(|_| random.u64(sizes.clone())).collect()
        };
        let mut skewed = many(4000, 1..12);
        skewed.extend(many(900, 15..60));
        skewed.extend(many(100, 200..4000));
        let mut halves = vec![30; 5000];
        halves.extend(vec![1; 5000]);
        let cases = [
            ("a university", skewed),
            ("halves", halves),
            ("eights", vec![8; 3000]),
            ("thirties", vec![30; 2000]),
            ("seminars", many(3000, 5..40)),
            ("lectures", many(500, 100..900)),
            ("tiny", vec![2; 3000]),
        ];
        for (name, sizes) in cases {
            let (asked, least) = packed(&sizes);
            assert!(
                asked * 100 <= least * 105,
                "{name}: {asked} pages where {least} are the least"
            );
        }
    }

    #[test]
    fn a_huge_category_is_asked_alone() {
        let (asked, _) = packed(&[12_000, 3]);
        assert_eq!(asked, 24 + 1);
    }

    #[test]
    fn nothing_is_packed_into_nothing() {
        assert_eq!(packed(&[]).0, 0);
    }
}
