use super::*;

fn manifest() -> Manifest {
    Manifest {
        run: 12,
        made_at: "2026-11-22T05:00:00Z".parse().unwrap(),
        plan: "9f3c0a7d".to_owned(),
        rows: 1001,
        files: vec![
            Written {
                name: "rollbook-run12-0a1b2c3d-0001.csv".to_owned(),
                rows: 1000,
                bytes: 20_000,
                sha256: "ab".repeat(32),
                categories: Vec::new(),
            },
            Written {
                name: "rollbook-run12-0a1b2c3d-0002.csv".to_owned(),
                rows: 1,
                bytes: 200,
                sha256: "cd".repeat(32),
                categories: Vec::new(),
            },
        ],
    }
}

#[test]
fn the_page_says_what_to_do() {
    insta::assert_snapshot!(instructions(Path::new("/srv/upload"), &manifest()));
}

#[test]
fn a_file_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a.csv", b"one").unwrap();
    let refused = put(folder.path(), "a.csv", b"two").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(folder.path().join("a.csv")).unwrap(), b"one");
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "nothing is left to the side");
}

#[test]
fn manifests_are_found_among_other_files_the_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    for run in [12, 3] {
        let manifest = Manifest { run, ..manifest() };
        let text = serde_json::to_vec(&manifest).unwrap();
        let name = format!("rollbook-run{run}-0a1b2c3d.json");
        put(folder.path(), &name, &text).unwrap();
    }
    put(
        folder.path(),
        "rollbook-run9-0a1b2c3d.json",
        b"something else",
    )
    .unwrap();
    put(folder.path(), "package.json", b"{}").unwrap();
    let found = Manifest::find(folder.path()).unwrap();
    let runs: Vec<i64> = found.iter().map(|manifest| manifest.run).collect();
    assert_eq!(runs, [3, 12]);
}
