//! Channels as people name them: by reference ID, by name, or by number.

use anyhow::bail;

use crate::category::CategoryId;
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
        let before = found.len();
        let by_name = known.iter().filter(|category| {
            let reference = category.reference_id.as_ref();
            reference.is_some_and(|reference| reference.as_str() == name) || category.name() == name
        });
        found.extend(by_name.map(|category| category.id));
        if found.len() == before {
            match name.parse() {
                Ok(number) => found.push(CategoryId(number)),
                Err(_) => bail!(
                    "no channel has the reference ID or the name {name}. One that is gone can be named by its number"
                ),
            }
        }
    }
    Ok(found)
}
