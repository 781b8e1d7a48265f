//! The official Python client, unchanged, as a foreign judge of the sandbox.

use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use tokio::process::Command;

use rollbook::sandbox::{Options, Sandbox};

use super::client::send;

/// Takes out of an answer what another moment or account has otherwise.
fn shape(text: &str) -> String {
    let text = Regex::new(
        r"<(executionTime|createdAt|updatedAt|id|fullIds|categoryId|categoryFullIds)>[^<]*<",
    )
    .unwrap()
    .replace_all(text, "<$1><");
    let text = Regex::new(r"djJ8[A-Za-z0-9_\-]+=*")
        .unwrap()
        .replace_all(&text, "KS");
    // The order of permission names is not kept by the index of the recorded server.
    text.replace(
        "CATEGORY_CONTRIBUTE,CATEGORY_EDIT,CATEGORY_MODERATE,CATEGORY_VIEW",
        "CATEGORY_EDIT,CATEGORY_MODERATE,CATEGORY_CONTRIBUTE,CATEGORY_VIEW",
    )
}

#[tokio::test]
async fn what_the_official_client_was_recorded_to_send_is_answered_in_the_recorded_shape() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/kaltura/15-python-client-wire.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let exchanges = file["exchanges"].as_array().unwrap();
    let started: Value = serde_json::from_str(exchanges[0]["body"].as_str().unwrap()).unwrap();
    let sandbox = Sandbox::start(Options {
        partner_id: 103,
        admin_secret: started["secret"].as_str().map(str::to_owned),
        ..Options::default()
    })
    .await
    .unwrap();
    let session = Regex::new(r"djJ8[A-Za-z0-9_\-]+=*").unwrap();
    let id = Regex::new(r"<id>(\d+)</id>").unwrap();
    let (mut ks, mut category) = (String::new(), String::new());
    for exchange in exchanges {
        let text = |name: &str| exchange[name].as_str().unwrap();
        let headers: Vec<(String, String)> = exchange["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let body = session.replace_all(text("body"), ks.as_str());
        let body = body.replace(
            "\"categoryId\": \"87\"",
            &format!("\"categoryId\": \"{category}\""),
        );
        let body = body.replace(
            "\"categoryIdEqual\": \"87\"",
            &format!("\"categoryIdEqual\": \"{category}\""),
        );
        let reply = send(&sandbox, text("method"), text("url"), &headers, &body)
            .await
            .unwrap();
        assert_eq!(exchange["status"], reply.status, "{}", exchange["n"]);
        assert_eq!(
            reply.header("content-type").map(str::to_lowercase),
            Some(text("type").to_lowercase())
        );
        // Only answers from the cache lack the first line.
        let recorded =
            text("response").trim_start_matches("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
        let answered = reply
            .body
            .trim_start_matches("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
        assert_eq!(shape(answered), shape(recorded), "{}", exchange["n"]);
        if let Some(found) = session.find(&reply.body) {
            ks = found.as_str().to_owned();
        }
        if let Some(found) = id.captures(&reply.body) {
            category = found[1].to_owned();
        }
    }
    assert_eq!(exchanges.len(), 9);
}

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
    // The script waits for workers: they come by themselves here.
    let sandbox = Sandbox::start(Options {
        job_delay: Some(Duration::from_millis(50)),
        ..Options::default()
    })
    .await
    .unwrap();
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
    assert_eq!(steps.lines().count(), 12, "{steps}");
}
