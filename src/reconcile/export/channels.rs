//! Channels for groups that have none, as rows of categories files.
//!
//! *Its one idea: no reference ID is given twice.* Kaltura would allow it, and then nobody would know which of two
//! channels a group means. So all categories of the account are listed anew, those outside our root included, and
//! what one of them has already is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Export, Left, nothing_known};
use crate::category::{Category, ReferenceId};
use crate::directory::GroupId;
use crate::kaltura::csv::channel::{ChannelRow, Making};
use crate::plan::binding::Selector;
use crate::plan::desired::{self, Finding, NamedGroup};
use crate::reconcile::{Engine, RunError, scope};
use crate::store::Store;
use crate::store::dirty::Mark;

/// Finds the channels that groups want and that are not there, by asking Kaltura what is.
pub async fn channels(
    engine: &Engine,
    making: &Arc<Making>,
) -> Result<Export<ChannelRow>, RunError> {
    let (mut groups, titles) = engine
        .store
        .run(|store| Ok((store.group_names()?, store.group_titles()?)))
        .await?;
    groups.vanished.clear();
    if groups.there.is_empty() {
        return Err(nothing_known());
    }
    let account = list(engine).await?;
    let root = engine.config.kaltura.root.as_deref();
    check_parent(making.parent(), root, &account)?;
    let ours = scope::below_root(account.clone(), root);
    let policy = engine.config.policy.vanished_group;
    let assignment = desired::assign(&groups, &engine.bindings, &ours, policy);
    let mut there = There::new(&account, making.parent());
    let (mut rows, mut left) = (Vec::new(), Vec::new());
    for (reference, (group, near)) in missing(assignment.findings) {
        let name = titles.get(&group).map_or(group.as_str(), String::as_str);
        match there.make(making, name, &reference, near) {
            Ok(row) => rows.push(row),
            Err(why) => left.push(Left::new(&group, &why)),
        }
    }
    Ok(Export::new(rows, left, &engine.config.apply.csv))
}

/// All categories of the account. Files may be large, and others write to the account as well: so this is asked
/// again before each.
async fn list(engine: &Engine) -> Result<Vec<Category>, RunError> {
    engine.progress.begin("listing channels", 0);
    let found = engine.kaltura.categories(None, None).await;
    engine.progress.end();
    Ok(found?)
}

/// The reference IDs of all categories of the account.
pub(super) async fn reference_ids(engine: &Engine) -> Result<BTreeSet<ReferenceId>, RunError> {
    let account = list(engine).await?;
    let ids = account
        .into_iter()
        .filter_map(|category| category.reference_id);
    Ok(ids.collect())
}

/// Has the next run look at the groups that want these channels: nothing about the groups themselves has changed.
pub(super) async fn look_there_next(
    engine: &Engine,
    channels: &[ChannelRow],
) -> Result<(), RunError> {
    let wanted: BTreeSet<&ReferenceId> = channels.iter().map(ChannelRow::reference_id).collect();
    let leads_there = |group: &NamedGroup| {
        let mut targets = engine.bindings.targets(&group.directory, &group.group_id);
        targets.any(|target| match target.category {
            Selector::Reference(reference) => wanted.contains(&reference),
            Selector::Id(_) => false,
        })
    };
    let groups = engine.store.run(Store::group_names).await?;
    let marks: Vec<Mark> = groups
        .there
        .into_iter()
        .filter(leads_there)
        .map(|group| Mark::Group(group.group_id))
        .collect();
    Ok(engine.store.run(move |store| store.mark(&marks)).await?)
}

/// Channels outside the root would never get their members; and a path that leads nowhere ends the worker that reads
/// the file (`BulkUploadCategoryEngineCsv.php`).
fn check_parent(parent: &str, root: Option<&str>, account: &[Category]) -> Result<(), RunError> {
    let folded = parent.to_lowercase();
    let below = root.map(str::to_lowercase);
    let is_ours =
        below.is_none_or(|root| folded == root || folded.starts_with(&format!("{root}>")));
    if !is_ours {
        return Err(RunError::Usage(
            "--parent must be kaltura.root or lie below it: elsewhere Rollbook looks for no channels",
        ));
    }
    let is_there = |category: &Category| category.full_name.to_lowercase() == folded;
    match account.iter().filter(|category| is_there(category)).count() {
        1 => Ok(()),
        0 => Err(RunError::NotFound(format!(
            "Kaltura has no category with the path {parent:?}, below which channels could be made"
        ))),
        _ => Err(RunError::NotFound(format!(
            "Kaltura has several categories with the path {parent:?}, and makes channels below none of them"
        ))),
    }
}

/// The reference IDs that no channel has, each with the first group that leads to it, and one that differs by case.
fn missing(findings: Vec<Finding>) -> BTreeMap<ReferenceId, (GroupId, Option<ReferenceId>)> {
    let mut missing = BTreeMap::new();
    for finding in findings {
        if let Finding::NoSuchCategory {
            group,
            reference,
            near,
        } = finding
        {
            missing
                .entry(ReferenceId::new(reference))
                .or_insert((group, near));
        }
    }
    missing
}

/// What is there, and will be.
struct There<'a> {
    references: BTreeMap<&'a ReferenceId, &'a Category>,
    /// The names below the parent: Kaltura compares them without case.
    names: BTreeSet<String>,
}

impl<'a> There<'a> {
    fn new(account: &'a [Category], parent: &str) -> Self {
        let parent = parent.to_lowercase();
        let references = account.iter();
        let references =
            references.filter_map(|category| Some((category.reference_id.as_ref()?, category)));
        let names = account.iter().filter_map(|category| {
            let path = category.full_name.to_lowercase();
            let name = path.strip_prefix(&parent)?.strip_prefix('>')?;
            (!name.contains('>')).then(|| name.to_owned())
        });
        Self {
            references: references.collect(),
            names: names.collect(),
        }
    }

    /// Makes the row of a channel, or says why there can be none.
    fn make(
        &mut self,
        making: &Arc<Making>,
        name: &str,
        reference: &ReferenceId,
        near: Option<ReferenceId>,
    ) -> Result<ChannelRow, String> {
        if reference.as_str().starts_with('#') {
            return Err(format!(
                "it leads to {reference}, and no file makes a channel of that"
            ));
        }
        if let Some(near) = near {
            return Err(format!(
                "it leads to {reference}, and there is a channel with the reference ID {near}, which differs by case: \
                 that may be the one"
            ));
        }
        if let Some(category) = self.references.get(reference) {
            return Err(format!(
                "category {} ({}) has the reference ID {reference} already, and is not below kaltura.root",
                category.id, category.full_name
            ));
        }
        let row = making.row(name, reference).map_err(|why| why.to_string())?;
        if !self.names.insert(name.to_lowercase()) {
            return Err(format!(
                "another channel in {} is called {name}",
                making.parent()
            ));
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::{CategoryId, UserId};
    use crate::kaltura::csv::channel::{Contribution, Privacy};

    const ROOT: &str = "MediaSpace>site>channels";

    fn category(id: i64, path: &str, reference: Option<&str>) -> Category {
        Category {
            id: CategoryId(id),
            reference_id: reference.map(ReferenceId::new),
            full_name: path.to_owned(),
            owner: None,
            inherits_from: None,
            members_count: 0,
            created_at: 0,
        }
    }

    fn make(account: &[Category], wanted: &[(&str, &str)]) -> Vec<Result<(), String>> {
        let owner = UserId::new("rector");
        let making = Making::new(ROOT, owner, Privacy::Members, Contribution::Members);
        let making = Arc::new(making.unwrap());
        let mut there = There::new(account, ROOT);
        let made = wanted.iter().map(|(name, reference)| {
            let row = there.make(&making, name, &ReferenceId::new(*reference), None);
            row.map(|_| ())
        });
        made.collect()
    }

    #[test]
    fn a_reference_id_that_somebody_has_elsewhere_is_not_given_again() {
        let account = [category(7, "Archive>Biology", Some("bio"))];
        let made = make(&account, &[("Biology", "bio"), ("Chemistry", "chem")]);
        assert!(
            made[0]
                .as_ref()
                .unwrap_err()
                .contains("category 7 (Archive>Biology)")
        );
        assert_eq!(made[1], Ok(()));
    }

    #[test]
    fn two_channels_in_one_place_do_not_get_one_name() {
        let account = [
            category(7, &format!("{ROOT}>biology"), None),
            category(8, &format!("{ROOT}>x>Physics"), None),
        ];
        let wanted = [
            ("Biology", "bio"),
            ("Physics", "phys"),
            ("Chemistry", "chem-1"),
            ("CHEMISTRY", "chem-2"),
        ];
        let made: Vec<bool> = make(&account, &wanted).iter().map(Result::is_ok).collect();
        assert_eq!(made, [false, true, true, false]);
    }

    #[test]
    fn channels_are_made_below_our_root_in_a_place_that_is_there() {
        let account = [category(1, ROOT, None), category(2, "Archive", None)];
        let check = |parent: &str| check_parent(parent, Some(ROOT), &account);
        assert!(check(ROOT).is_ok());
        assert!(matches!(check("Archive"), Err(RunError::Usage(_))));
        let gone = format!("{ROOT}>gone");
        assert!(matches!(check(&gone), Err(RunError::NotFound(_))));
        assert!(check_parent("archive", None, &account).is_ok());
    }
}
