//! What lists have in common: pages, comma lists, orders.
//!
//! *Its one idea: each limit of the search engine is silent*, except one. Pages end at 500, comma
//! lists at 150 values, and only an offset of 10,000 is an error.

use super::Limits;
use super::error::{self, ApiError, Failure};
use super::params::{Record, leading_int};

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    start: usize,
    end: usize,
}

impl Page {
    /// Reads a pager. Without one a page has `unasked` rows; with one 30 by default and 500 at most,
    /// and a size of 0 or less means everything there is.
    pub(super) fn of(
        pager: Option<&Record>,
        unasked: usize,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let Some(pager) = pager else {
            return Ok(Self {
                start: 0,
                end: unasked,
            });
        };
        let default = i64::try_from(limits.default_page_size).unwrap_or(30);
        let size = pager.int("pageSize").unwrap_or(default);
        let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
            return Ok(Self {
                start: 0,
                end: limits.max_matches,
            });
        };
        let size = size.min(limits.max_page_size);
        let index = pager.int("pageIndex").unwrap_or(1).max(1);
        let start = usize::try_from(index - 1)
            .unwrap_or(usize::MAX)
            .saturating_mul(size);
        if start >= limits.max_matches {
            let error = ApiError::new(error::QUERY_EXCEEDED_MAX_MATCHES_ALLOWED, &[]);
            return Err(error.into());
        }
        Ok(Self {
            start,
            end: start.saturating_add(size).min(limits.max_matches),
        })
    }

    /// Reads the pager of a list that comes from the database, which has no last page to reach.
    pub(super) fn unbounded(pager: Option<&Record>, limits: &Limits) -> Self {
        let default = i64::try_from(limits.default_page_size).unwrap_or(30);
        let size = pager
            .and_then(|pager| pager.int("pageSize"))
            .unwrap_or(default);
        let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
            return Self {
                start: 0,
                end: usize::MAX,
            };
        };
        let size = size.min(limits.max_page_size);
        let index = pager.and_then(|pager| pager.int("pageIndex")).unwrap_or(1);
        let before = usize::try_from(index.max(1) - 1).unwrap_or(usize::MAX);
        let start = before.saturating_mul(size);
        Self {
            start,
            end: start.saturating_add(size),
        }
    }

    /// The wanted part.
    pub(super) fn cut<T>(self, rows: &[T]) -> &[T] {
        let end = self.end.min(rows.len());
        &rows[self.start.min(end)..end]
    }
}

/// The texts of a comma list, cut where the search engine cuts it. Spaces stay.
pub(super) fn texts<'a>(list: &'a str, limits: &Limits) -> Vec<&'a str> {
    list.split(',').take(limits.list_values).collect()
}

/// The numbers of a comma list, cut where the search engine cuts it.
pub(super) fn numbers(list: &str, limits: &Limits) -> Vec<i64> {
    list.split(',')
        .take(limits.list_values)
        .map(leading_int)
        .collect()
}

/// A filter by two bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    from: Option<i64>,
    to: Option<i64>,
}

impl Range {
    /// Reads `<name>GreaterThanOrEqual` and `<name>LessThanOrEqual`.
    pub(super) fn of(filter: &Record, name: &str) -> Self {
        Self {
            from: filter.int(&format!("{name}GreaterThanOrEqual")),
            to: filter.int(&format!("{name}LessThanOrEqual")),
        }
    }

    /// Whether a value lies within; both bounds do.
    pub(super) fn has(self, value: i64) -> bool {
        self.from.is_none_or(|from| from <= value) && self.to.is_none_or(|to| value <= to)
    }
}

/// A filter by one number or a list of them.
#[derive(Debug)]
pub(super) struct OneOf {
    equal: Option<i64>,
    list: Option<Vec<i64>>,
}

impl OneOf {
    /// Reads `<name>Equal` and `<name>In`. Values of a list that are no numbers are not found; an
    /// empty list is no list.
    pub(super) fn of(filter: &Record, name: &str, limits: &Limits) -> Self {
        let list = filter.filled(&format!("{name}In")).map(|list| {
            let values = list.split(',').take(limits.list_values);
            values
                .filter_map(|value| value.trim().parse().ok())
                .collect()
        });
        Self {
            equal: filter.int(&format!("{name}Equal")),
            list,
        }
    }

    /// Whether a value is wanted.
    pub(super) fn has(&self, value: i64) -> bool {
        self.equal.is_none_or(|equal| equal == value)
            && self.list.as_ref().is_none_or(|list| list.contains(&value))
    }
}

/// The order of a list: a column, and whether backwards. Anything else is no order.
pub(super) fn order<'a>(filter: Option<&'a Record>, columns: &[&str]) -> Option<(&'a str, bool)> {
    let text = filter?.text("orderBy")?;
    let (backwards, column) = match text.strip_prefix('-') {
        Some(column) => (true, column),
        None => (false, text.strip_prefix('+')?),
    };
    columns.contains(&column).then_some((column, backwards))
}

/// Sorts rows by a key. Rows of one key keep their order, forwards and backwards.
pub(super) fn sort_by<T, K: Ord>(rows: &mut [T], backwards: bool, key: impl Fn(&T) -> K) {
    if backwards {
        rows.sort_by_cached_key(|row| std::cmp::Reverse(key(row)));
    } else {
        rows.sort_by_cached_key(|row| key(row));
    }
}

#[cfg(test)]
mod tests {
    use super::super::classes;
    use super::super::params::{Class, Kind, Param};
    use super::*;
    use serde_json::{Value, json};

    fn record(class: &'static Class, value: Value) -> Record {
        let params: &'static [Param] = Box::leak(Box::new([Param {
            name: "it",
            kind: Kind::Object(class),
            required: true,
        }]));
        let mut sent = serde_json::Map::new();
        sent.insert("it".to_owned(), value);
        Record::of_action(params, &sent, 0)
            .unwrap()
            .record("it")
            .unwrap()
            .clone()
    }

    fn page(value: Value) -> Result<(usize, usize), Failure> {
        let pager = record(&classes::PAGER, value);
        Page::of(Some(&pager), 1500, &Limits::default()).map(|page| (page.start, page.end))
    }

    #[test]
    fn a_pager_without_a_size_has_thirty_rows() {
        assert_eq!(page(json!({"pageIndex": 2})).unwrap(), (30, 60));
    }

    #[test]
    fn a_page_ends_at_five_hundred_rows() {
        assert_eq!(page(json!({"pageSize": 1000})).unwrap(), (0, 500));
    }

    #[test]
    fn a_size_of_nothing_is_everything() {
        assert_eq!(page(json!({"pageSize": 0})).unwrap(), (0, 10_000));
        assert_eq!(page(json!({"pageSize": -1})).unwrap(), (0, 10_000));
    }

    #[test]
    fn a_page_before_the_first_is_the_first() {
        assert_eq!(
            page(json!({"pageSize": 2, "pageIndex": -1})).unwrap(),
            (0, 2)
        );
    }

    #[test]
    fn an_offset_of_ten_thousand_is_refused() {
        assert!(page(json!({"pageSize": 500, "pageIndex": 21})).is_err());
        assert_eq!(
            page(json!({"pageSize": 500, "pageIndex": 20})).unwrap(),
            (9500, 10_000)
        );
    }

    #[test]
    fn a_list_is_cut_after_150_values() {
        let list = vec!["1"; 200].join(",");
        assert_eq!(numbers(&list, &Limits::default()).len(), 150);
    }

    #[test]
    fn a_list_of_words_finds_no_number_and_an_empty_one_filters_nothing() {
        let filter = |list: &str| record(&classes::CATEGORY_USER_FILTER, json!({"statusIn": list}));
        let limits = Limits::default();
        assert!(!OneOf::of(&filter("abc"), "status", &limits).has(1));
        assert!(OneOf::of(&filter(""), "status", &limits).has(1));
    }

    #[test]
    fn an_order_needs_its_sign() {
        let filter = record(&classes::CATEGORY_FILTER, json!({"orderBy": "createdAt"}));
        assert_eq!(order(Some(&filter), &["createdAt"]), None);
        let filter = record(&classes::CATEGORY_FILTER, json!({"orderBy": "-createdAt"}));
        assert_eq!(
            order(Some(&filter), &["createdAt"]),
            Some(("createdAt", true))
        );
    }
}
