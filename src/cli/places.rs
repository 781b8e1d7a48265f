//! Channels as people name them: by reference ID, by name, or by number.

use anyhow::bail;

use crate::category::{self, Category, CategoryId};
use crate::store::Store;

/// The channels that are meant; every name must mean one. A number may be that of a channel that is
/// gone.
pub(super) fn named(store: &Store, names: &[String]) -> anyhow::Result<Vec<CategoryId>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let known = store.categories()?;
    let mut found = Vec::new();
    for name in names {
        let meant = category::meant(name, known.iter().map(Category::names));
        if meant.is_empty() {
            match name.parse() {
                Ok(number) => found.push(CategoryId(number)),
                Err(_) => bail!(
                    "no channel has the reference ID or the name {name}. One that is gone can be named by its number"
                ),
            }
        }
        found.extend(meant);
    }
    Ok(found)
}
