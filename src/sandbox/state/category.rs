//! Categories: a tree of named places.
//!
//! *Its one idea: a category knows its place by heart.* Path, depth, privacy contexts and the ancestor
//! it inherits from are stored with it, which is why they go stale until a job comes by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Changes, UserKey};
use crate::sandbox::text::{collated, phrase_key};

/// `inheritanceType` of a category whose members are an ancestor's.
pub(in crate::sandbox) const INHERIT: i64 = 1;

/// A category.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Category {
    pub(in crate::sandbox) id: i64,
    /// 0 at the root.
    pub(in crate::sandbox) parent: i64,
    pub(in crate::sandbox) depth: i64,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) full_name: String,
    pub(in crate::sandbox) full_ids: Arc<str>,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) updated: i64,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) tags: Option<String>,
    pub(in crate::sandbox) admin_tags: Option<String>,
    pub(in crate::sandbox) appear_in_list: i64,
    pub(in crate::sandbox) privacy: i64,
    pub(in crate::sandbox) inheritance: i64,
    pub(in crate::sandbox) join_policy: i64,
    pub(in crate::sandbox) default_level: i64,
    /// The owner as it was written, in the case it was written in.
    pub(in crate::sandbox) owner: Option<String>,
    /// The owner as a user: a rename does not touch the text above.
    pub(in crate::sandbox) owner_key: Option<UserKey>,
    pub(in crate::sandbox) reference_id: Option<String>,
    pub(in crate::sandbox) contribution: i64,
    /// Its own contexts.
    pub(in crate::sandbox) context: String,
    /// Its own and its ancestors' contexts.
    pub(in crate::sandbox) contexts: String,
    /// The nearest ancestor that does not inherit, when this one does.
    pub(in crate::sandbox) inherits_from: Option<i64>,
    pub(in crate::sandbox) sort_value: i64,
    pub(in crate::sandbox) partner_data: Option<String>,
    pub(in crate::sandbox) default_order: Option<String>,
    pub(in crate::sandbox) moderation: Option<bool>,
    pub(in crate::sandbox) aggregation: String,
}

impl Category {
    /// A category as Kaltura makes one that is given nothing but a name, not yet in its place.
    pub(in crate::sandbox) fn new(parent: i64, name: &str, now: i64) -> Self {
        Self {
            id: 0,
            parent,
            depth: 0,
            name: name.to_owned(),
            full_name: String::new(),
            full_ids: "".into(),
            created: now,
            updated: now,
            description: None,
            tags: None,
            admin_tags: None,
            appear_in_list: 1,
            privacy: 1,
            inheritance: 2,
            join_policy: 3,
            default_level: 3,
            owner: None,
            owner_key: None,
            reference_id: None,
            contribution: 1,
            context: String::new(),
            contexts: String::new(),
            inherits_from: None,
            sort_value: 0,
            partner_data: None,
            default_order: None,
            moderation: None,
            aggregation: String::new(),
        }
    }

    /// The category whose members this one has: an ancestor, where it inherits.
    pub(in crate::sandbox) fn members_from(&self) -> i64 {
        match self.inheritance {
            INHERIT => self.inherits_from.unwrap_or(self.id),
            _ => self.id,
        }
    }
}

/// How many members a category has, and when that last changed.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sandbox) struct Tally {
    pub(in crate::sandbox) members: i64,
    pub(in crate::sandbox) pending: i64,
    pub(in crate::sandbox) updated: i64,
}

/// A category with what hangs on it.
#[derive(Debug)]
pub(in crate::sandbox) struct Entry {
    pub(in crate::sandbox) stored: Arc<Category>,
    indexed: Option<Arc<Category>>,
    pub(in crate::sandbox) tally: Tally,
    pub(in crate::sandbox) indexed_tally: Tally,
    /// Rows of memberships, in the order of their coming.
    pub(in crate::sandbox) rows: Vec<u32>,
    pub(in crate::sandbox) deleted: bool,
}

/// All categories of an account.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Categories {
    entries: BTreeMap<i64, Entry>,
    children: HashMap<i64, BTreeSet<i64>>,
    names: HashMap<(i64, String), i64>,
    /// Candidates for a search by reference ID, as the search engine knows them.
    references: HashMap<String, BTreeSet<i64>>,
    last_id: i64,
    /// Whether a privacy context was ever set.
    pub(in crate::sandbox) has_contexts: bool,
    /// Whether a tree is on the move.
    pub(in crate::sandbox) locked: bool,
    /// Categories that were written and not saved.
    pub(in crate::sandbox) changes: Changes<i64>,
}

impl Categories {
    /// The number the next category gets.
    pub(in crate::sandbox) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a category.
    pub(in crate::sandbox) fn insert(&mut self, category: Category) {
        self.changes.note(category.id);
        self.has_contexts |= !category.context.is_empty();
        self.children
            .entry(category.parent)
            .or_default()
            .insert(category.id);
        self.names
            .insert((category.parent, collated(&category.name)), category.id);
        self.entries.insert(
            category.id,
            Entry {
                tally: Tally {
                    updated: category.updated,
                    ..Tally::default()
                },
                stored: Arc::new(category),
                indexed: None,
                indexed_tally: Tally::default(),
                rows: Vec::new(),
                deleted: false,
            },
        );
    }

    /// A category that is not deleted.
    pub(in crate::sandbox) fn get(&self, id: i64) -> Option<&Arc<Category>> {
        let entry = self.entries.get(&id)?;
        (!entry.deleted).then_some(&entry.stored)
    }

    /// A category as the search engine knows it; nothing when it does not list it.
    pub(in crate::sandbox) fn indexed(&self, id: i64) -> Option<&Arc<Category>> {
        self.entries.get(&id)?.indexed.as_ref()
    }

    /// A category, deleted or not, with what hangs on it.
    pub(in crate::sandbox) fn entry(&self, id: i64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// Puts a category back as a file has it.
    pub(in crate::sandbox) fn restore(&mut self, category: Category, tally: Tally, deleted: bool) {
        let id = category.id;
        self.last_id = self.last_id.max(id);
        self.insert(category);
        if deleted {
            self.delete(id);
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.tally = tally;
        }
        self.index(id);
    }

    /// Hangs a row that is there already on its category.
    pub(super) fn hang(&mut self, id: i64, row: u32) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.rows.push(row);
        }
    }

    pub(super) fn entry_mut(&mut self, id: i64) -> Option<&mut Entry> {
        self.changes.note(id);
        self.entries.get_mut(&id)
    }

    /// The path of a category's numbers, deleted or not.
    pub(in crate::sandbox) fn full_ids(&self, id: i64) -> Option<Arc<str>> {
        Some(Arc::clone(&self.entries.get(&id)?.stored.full_ids))
    }

    /// All numbers, in order.
    pub(in crate::sandbox) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.entries.keys().copied()
    }

    /// How many there are.
    pub(in crate::sandbox) fn count(&self) -> usize {
        self.entries.values().filter(|entry| !entry.deleted).count()
    }

    /// Categories a search by this reference ID could find.
    pub(in crate::sandbox) fn with_reference(&self, value: &str) -> Vec<i64> {
        self.references
            .get(&phrase_key(value))
            .map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    /// The child of this name, in the database's eyes.
    pub(in crate::sandbox) fn child(&self, parent: i64, name: &str) -> Option<i64> {
        self.names.get(&(parent, collated(name))).copied()
    }

    /// How many children a category has.
    pub(in crate::sandbox) fn child_count(&self, id: i64) -> usize {
        self.children.get(&id).map_or(0, BTreeSet::len)
    }

    /// A category and everything below it, the nearer first.
    pub(in crate::sandbox) fn subtree(&self, root: i64) -> Vec<i64> {
        let mut found = vec![root];
        let mut at = 0;
        while let Some(id) = found.get(at) {
            if let Some(children) = self.children.get(id) {
                found.extend(children);
            }
            at += 1;
        }
        found
    }

    /// Changes a category. Its place in the tree follows; its descendants' paths do not.
    pub(in crate::sandbox) fn change(&mut self, id: i64, change: impl FnOnce(&mut Category)) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        self.changes.note(id);
        let (parent, name) = (entry.stored.parent, collated(&entry.stored.name));
        let category = Arc::make_mut(&mut entry.stored);
        change(category);
        self.has_contexts |= !category.context.is_empty();
        entry.tally.updated = entry.tally.updated.max(category.updated);
        let (new_parent, new_name) = (category.parent, collated(&category.name));
        if (parent, &name) != (new_parent, &new_name) {
            self.names.remove(&(parent, name));
            self.names.insert((new_parent, new_name), id);
        }
        if parent != new_parent {
            if let Some(children) = self.children.get_mut(&parent) {
                children.remove(&id);
            }
            self.children.entry(new_parent).or_default().insert(id);
        }
    }

    /// Deletes one category, not what is below it.
    pub(in crate::sandbox) fn delete(&mut self, id: i64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.deleted = true;
            self.changes.note(id);
            let (parent, name) = (entry.stored.parent, collated(&entry.stored.name));
            self.names.remove(&(parent, name));
            if let Some(children) = self.children.get_mut(&parent) {
                children.remove(&id);
            }
        }
    }

    /// Computes path, depth and contexts of a category from its parent's.
    pub(in crate::sandbox) fn place(&self, category: &mut Category) {
        let parent = self.get(category.parent);
        let (depth, full_name, full_ids, contexts) = match parent {
            Some(parent) => (
                parent.depth + 1,
                format!("{}>{}", parent.full_name, category.name),
                format!("{}>{}", parent.full_ids, category.id).into(),
                parent.contexts.as_str(),
            ),
            None => (0, category.name.clone(), category.id.to_string().into(), ""),
        };
        let mut all: Vec<&str> = Vec::new();
        for context in category.context.split(',').chain(contexts.split(',')) {
            if !context.is_empty() && !all.contains(&context) {
                all.push(context);
            }
        }
        category.contexts = all.join(",");
        category.depth = depth;
        category.full_name = full_name;
        category.full_ids = full_ids;
        category.inherits_from = (category.inheritance == INHERIT)
            .then(|| self.manual_ancestor(category.parent))
            .flatten();
    }

    /// The nearest category from here up that has members of its own.
    fn manual_ancestor(&self, id: i64) -> Option<i64> {
        let category = self.get(id)?;
        match category.inheritance {
            INHERIT => self.manual_ancestor(category.parent),
            _ => Some(id),
        }
    }

    /// Brings everything below a category up to date, and answers what that was.
    pub(super) fn refresh_below(&mut self, root: i64) -> Vec<i64> {
        let below = self.subtree(root);
        for id in &below {
            if let Some(category) = self.get(*id) {
                let mut fresh = Category::clone(category);
                self.place(&mut fresh);
                self.change(*id, |category| *category = fresh);
            }
        }
        below
    }

    pub(super) fn index(&mut self, id: i64) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let key = |category: &Arc<Category>| category.reference_id.as_deref().map(phrase_key);
        if let Some(old) = entry.indexed.as_ref().and_then(key)
            && let Some(ids) = self.references.get_mut(&old)
        {
            ids.remove(&id);
        }
        entry.indexed = (!entry.deleted).then(|| Arc::clone(&entry.stored));
        entry.indexed_tally = entry.tally;
        if let Some(new) = entry.indexed.as_ref().and_then(key) {
            self.references.entry(new).or_default().insert(id);
        }
    }
}
