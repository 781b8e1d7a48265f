//! The sandbox's page in a real browser: headless Chromium, driven over `WebDriver`.
//!
//! A target of its own: the `WebDriver` crate adds to what `String + …` may mean, wherever it is linked.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by failing, and one that is skipped says so, too"
)]

use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::process::{Child, Command};

use rollbook::sandbox::{NewCategory, Options, Sandbox};

/// A browser with its driver; both end with the test.
struct Browser {
    driver: WebDriver,
    process: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; none where Chromium or its driver is not installed.
    async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let profile = tempfile::tempdir().unwrap();
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1440,900",
        ] {
            capabilities.add_arg(argument).unwrap();
        }
        let folder = format!("--user-data-dir={}", profile.path().display());
        capabilities.add_arg(&folder).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        for _ in 0..100 {
            if let Ok(driver) = WebDriver::new(&url, capabilities.clone()).await {
                return Some(Self {
                    driver,
                    process,
                    _profile: profile,
                });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    async fn find(&self, selector: &str) -> WebElement {
        let found = self
            .driver
            .query(By::Css(selector))
            .wait(PATIENCE, STEP)
            .first()
            .await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Waits until an element says something.
    async fn sees(&self, selector: &str, text: &str) {
        let mut said = String::new();
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Ok(element) = self.driver.find(By::Css(selector)).await
                && let Ok(found) = element.text().await
            {
                if found.contains(text) {
                    return;
                }
                said = found;
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("{selector} says {said:?}, and not {text:?}");
    }

    /// Keeps a picture of the page, which must not be wider than the window.
    async fn looks_well(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/artefacts");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = folder.join(name);
        self.driver.screenshot(&picture).await.unwrap();
        assert!(std::fs::metadata(picture).unwrap().len() > 10_000);
        let width = "return document.documentElement.scrollWidth - window.innerWidth";
        let beyond = self.driver.execute(width, Vec::new()).await.unwrap();
        assert!(
            beyond.json().as_i64().unwrap() <= 0,
            "the page is wider than the window"
        );
    }

    async fn end(mut self) {
        _ = self.driver.quit().await;
        _ = self.process.kill().await;
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(100);

fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
    has("chromedriver") && has("chromium")
}

/// Calls an action of the sandbox's API.
async fn call(sandbox: &Sandbox, call: &str, mut params: Value) -> Value {
    let (service, action) = call.split_once('.').unwrap();
    let url = format!("{}/api_v3/service/{service}/action/{action}", sandbox.url());
    params["format"] = json!(1);
    let request = reqwest::Client::new()
        .post(url)
        .header("Content-Type", "application/json");
    let answer = request.body(params.to_string()).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// Hands in a file of memberships.
async fn hand_in(sandbox: &Sandbox, ks: &str, file: &str) {
    let url = format!(
        "{}/api_v3/service/categoryUser/action/addFromBulkUpload?format=1&ks={ks}",
        sandbox.url()
    );
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"fileData\"; filename=\"members.csv\"\r\n\r\n{file}\r\n--edge--\r\n"
    );
    let request = reqwest::Client::new()
        .post(url)
        .header("Content-Type", "multipart/form-data; boundary=edge");
    let answer = request.body(body).send().await.unwrap();
    let answer = answer.text().await.unwrap();
    assert!(answer.contains("KalturaBulkUpload"), "{answer}");
}

fn channels(sandbox: &Sandbox) -> i64 {
    let account = sandbox.account();
    let ids = [
        "BIO-101 Biology 101",
        "CHE-110 Chemistry 110",
        "STAFF Teaching Staff",
    ]
    .map(|channel| {
        let (reference, name) = channel.split_once(' ').unwrap();
        account.add_category(&NewCategory {
            path: format!("MediaSpace>site>channels>{name}"),
            reference_id: Some(reference.to_owned()),
            owner: Some("media-team".to_owned()),
            inherit: false,
        })
    });
    for user in ["ada", "alan", "grace", "linus"] {
        account.set_membership(ids[0], user, 3, 1, 1);
    }
    ids[0]
}

#[tokio::test]
async fn sandbox_page_a_person_finds_a_channel_acts_by_hand_and_watches_a_write_appear() {
    if !is_installed() {
        println!(
            "SKIPPED: chromium and chromedriver are not installed. `./test` installs them as root, or:\n  \
             apt-get install --no-install-recommends chromium chromium-driver"
        );
        return;
    }
    // The program's HTTP client leaves the choice to its user; the second test to choose finds it made.
    _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let ks = sandbox
        .account()
        .session("admin", 2, "disableentitlement", 3600);
    let id = channels(&sandbox);
    let browser = Browser::start()
        .await
        .expect("chromedriver is installed and does not start");
    // Also after a failure: a driver that is only killed leaves its browser behind.
    let told = AssertUnwindSafe(watches_and_acts(&browser, &sandbox, &ks, id));
    let outcome = told.catch_unwind().await;
    browser.end().await;
    if let Err(failure) = outcome {
        resume_unwind(failure);
    }
}

async fn watches_and_acts(browser: &Browser, sandbox: &Sandbox, ks: &str, id: i64) {
    browser.driver.goto(sandbox.url()).await.unwrap();
    browser.sees("#total", "3 channels").await;

    // Search, and open what was found.
    browser
        .find("#q")
        .await
        .send_keys("bio-101\u{e007}")
        .await
        .unwrap();
    browser.sees("#total", "1 channel with").await;
    browser
        .find(&format!("#open-{id}"))
        .await
        .click()
        .await
        .unwrap();
    browser.sees("h1", "Biology 101").await;
    browser.sees("#total", "5 memberships").await;

    // Act by hand, without leaving the page.
    browser.sees("#method-ada", "Make manual").await;
    browser.find("#method-ada").await.click().await.unwrap();
    browser
        .sees("#said", "ada is in Biology 101: member, manual, active.")
        .await;
    browser.sees("#method-ada", "Make automatic").await;
    let get = json!({"ks": ks, "categoryId": id, "userId": "ada"});
    let ada = call(sandbox, "categoryUser.get", get).await;
    assert_eq!(ada["updateMethod"], 0);

    // What somebody writes by the API is there without a reload.
    let emmy = json!({"categoryId": id, "userId": "emmy", "permissionLevel": 0, "updateMethod": 1});
    call(
        sandbox,
        "categoryUser.add",
        json!({"ks": ks, "categoryUser": emmy}),
    )
    .await;
    browser.sees("tr[data-key=emmy]", "automatic").await;
    browser
        .sees("#calls tr:first-child", "categoryUser.add")
        .await;
    browser.sees("#total", "6 memberships").await;

    // Another level, by keyboard, and somebody leaves.
    browser
        .find("#level-alan")
        .await
        .send_keys("mo")
        .await
        .unwrap();
    browser.find("#set-alan").await.click().await.unwrap();
    browser
        .sees("#said", "alan is in Biology 101: moderator")
        .await;
    browser.find("#status-grace").await.click().await.unwrap();
    browser.sees("tr[data-key=grace]", "deactivated").await;
    browser.find("#remove-linus").await.click().await.unwrap();
    browser.sees("#total", "5 memberships").await;
    assert_eq!(sandbox.account().member(id, "linus"), None);
    assert_eq!(
        sandbox
            .account()
            .member(id, "alan")
            .unwrap()
            .permission_level,
        1
    );

    browser.looks_well("sandbox-page.png").await;
    watches_bulk_uploads(browser, sandbox, ks, id).await;
}

async fn watches_bulk_uploads(browser: &Browser, sandbox: &Sandbox, ks: &str, id: i64) {
    let page = format!("{}/?view=bulk", sandbox.url());
    browser.driver.goto(&page).await.unwrap();
    browser.sees("#rows", "No file has been handed in").await;
    let file = format!("*action,categoryId,userId\n1,{id},hedy\n3,{id},nobody\n");
    hand_in(sandbox, ks, &file).await;
    browser
        .sees("tr[data-key=\"1\"]", "done, with errors")
        .await;
    sandbox
        .account()
        .faults()
        .next_bulk_job(rollbook::sandbox::BulkFault::Fail);
    hand_in(sandbox, ks, &file).await;
    browser.sees("tr[data-key=\"2\"]", "failed").await;
    browser.looks_well("sandbox-bulk-uploads.png").await;
    browser.find("#log-1").await.click().await.unwrap();
    browser.sees("pre", &format!("1,{id},hedy,2,,1")).await;

    browser
        .driver
        .goto(format!("{}/?view=trouble", sandbox.url()))
        .await
        .unwrap();
    browser.sees("h1", "Trouble").await;
    browser.looks_well("sandbox-trouble.png").await;
}
