use tempfile::TempDir;

use super::{Store, StoreError};

/// A state file of its own, gone with the folder.
pub(crate) fn scratch() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("rollbook.db")).unwrap();
    (folder, store)
}

#[test]
fn migrations_are_valid() {
    super::migrations().validate().unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_named_with_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/rollbook.db");
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }));
    assert!(error.to_string().contains("state.path"), "{error}");
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let (folder, store) = scratch();
    store
        .lock()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    drop(store);
    let error = Store::open(&folder.path().join("rollbook.db")).unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "not a database, but long enough to have had a header".repeat(20);
    std::fs::write(&path, &text).unwrap();
    assert!(Store::open(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}
