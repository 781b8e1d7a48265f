//! What has changed since it was last saved.
//!
//! *Its one idea: who writes need not think of the file.* The collections note what is written to
//! them, and nothing is noted where no file is kept.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

/// The keys of what was written to a collection.
#[derive(Debug)]
pub(in crate::sandbox) struct Changes<K>(Option<BTreeSet<K>>);

impl<K> Default for Changes<K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Copy + Ord> Changes<K> {
    /// Begins to note, and takes everything there is for changed.
    pub(in crate::sandbox) fn follow(&mut self, present: impl IntoIterator<Item = K>) {
        self.0 = Some(present.into_iter().collect());
    }

    /// Notes a write.
    pub(super) fn note(&mut self, key: K) {
        if let Some(keys) = &mut self.0 {
            keys.insert(key);
        }
    }

    /// What was written, in order.
    pub(in crate::sandbox) fn iter(&self) -> impl Iterator<Item = K> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Whether nothing was written.
    pub(in crate::sandbox) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(BTreeSet::is_empty)
    }

    /// Forgets what was noted: it is saved.
    pub(in crate::sandbox) fn saved(&mut self) {
        if let Some(keys) = &mut self.0 {
            keys.clear();
        }
    }
}

/// A value that is saved as a whole, and knows whether it was written to.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Tracked<T> {
    value: T,
    changed: bool,
}

impl<T> Tracked<T> {
    /// A value that a file has already.
    pub(in crate::sandbox) fn saved_already(value: T) -> Self {
        Self {
            value,
            changed: false,
        }
    }

    /// Whether it was written to since it was last saved.
    pub(in crate::sandbox) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Says that it is saved.
    pub(in crate::sandbox) fn saved(&mut self) {
        self.changed = false;
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}
