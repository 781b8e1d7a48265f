//! The official Python client, unchanged, as a foreign judge of the sandbox.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::client::start;

/// The interpreter of the environment that `./test` makes; none without one.
fn interpreter() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    path.exists().then_some(path)
}

#[tokio::test]
async fn the_official_python_client_finds_what_it_expects() {
    let Some(python) = interpreter() else {
        println!(
            "SKIPPED: the official Python client is not installed. `./test` installs it, or:\n  \
             python3 -m venv target/python && target/python/bin/pip install -r tests/python/requirements.txt"
        );
        return;
    };
    let (sandbox, _) = start().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/official_client.py");
    let output = Command::new(python)
        .arg(script)
        .args([
            sandbox.url(),
            &sandbox.partner_id().to_string(),
            sandbox.admin_secret(),
        ])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let steps = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{steps}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "after\n{steps}\n{said}");
    assert_eq!(steps.lines().count(), 10, "{steps}");
}
