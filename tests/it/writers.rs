//! Where Kaltura is written to: nowhere but here, so that nothing goes past the gate unseen.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// The calls of the client that change something in Kaltura, and what gives the right to.
const WRITING: [&str; 5] = [
    ".writing(",
    ".submission(",
    ".abort_job(",
    "gate::review(",
    "gate::release_export(",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn only_what_applies_an_approved_plan_or_hands_in_an_export_writes_to_kaltura() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut writers: Vec<String> = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        // The client itself, and the double that it is tested with.
        if name.starts_with("kaltura") || name.starts_with("sandbox") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let calls = WRITING.iter().filter(|call| text.contains(**call));
        writers.extend(calls.map(|call| format!("{name}: {call}")));
    }
    writers.sort();
    insta::assert_snapshot!(writers.join("\n"), @r"
    apply/job.rs: .abort_job(
    apply/job.rs: .submission(
    apply/lane.rs: .writing(
    reconcile.rs: gate::review(
    reconcile/export/submit.rs: gate::release_export(
    reconcile/undo.rs: gate::review(
    ");
}
