//! `rollbook sandbox` as a program: what it prints is what one needs, and it ends when it is told to.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

const ROLLBOOK: &str = env!("CARGO_BIN_EXE_rollbook");

/// Starts it, and answers what it printed until the configuration was complete.
async fn serve(arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(ROLLBOOK)
        .args(["sandbox", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .env_remove("ROLLBOOK_CONFIG")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        printed += &line;
        printed += "\n";
        if line.starts_with("root = ") {
            break;
        }
    }
    child.stdout = Some(lines.into_inner().into_inner());
    (child, printed)
}

/// Ends it as systemd would, and answers what it said last.
async fn terminate(mut child: Child) -> (Option<i32>, String) {
    let id = child.id().unwrap().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(told.unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
    let code = ended.unwrap().unwrap().code();
    let mut said = String::new();
    child
        .stdout
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    (code, said)
}

fn told<'a>(printed: &'a str, what: &str) -> &'a str {
    let line = printed.lines().find(|line| line.contains(what)).unwrap();
    line.rsplit(' ').next().unwrap().trim_matches('"')
}

#[tokio::test]
async fn the_printed_section_is_a_configuration_that_works() {
    use std::os::unix::fs::PermissionsExt;
    let (child, printed) = serve(&["--seed", "small", "--fault", "latency=1ms"]).await;
    let folder = tempfile::tempdir().unwrap();
    let private = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    private("sandbox.secret", told(&printed, "admin secret"));
    private("university.ldif", rollbook::demo::BEFORE);
    let rest = r#"
[state]
path = "rollbook.db"
[[directory]]
name = "university"
kind = "ldif"
path = "university.ldif"
[directory.people]
base = "ou=people,dc=example,dc=edu"
user_id = "uid"
[directory.groups]
base = "ou=groups,dc=example,dc=edu"
"#;
    private("rollbook.toml", &format!("{printed}{rest}"));
    let checked = Command::new(ROLLBOOK)
        .args(["--config", "rollbook.toml", "check"])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    let failed = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{said}{failed}");

    let (code, said) = terminate(child).await;
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("# Served ") && said.contains(" × latency=1ms"),
        "{said}"
    );
}

#[tokio::test]
async fn the_same_random_seed_gives_the_same_secrets() {
    let (first, printed) = serve(&["--random-seed", "7"]).await;
    let (second, again) = serve(&["--random-seed", "7"]).await;
    let (third, other) = serve(&["--random-seed", "8"]).await;
    for what in ["admin secret", "user secret"] {
        assert_eq!(told(&printed, what), told(&again, what));
        assert_ne!(told(&printed, what), told(&other, what));
    }
    for child in [first, second, third] {
        assert_eq!(terminate(child).await.0, Some(0));
    }
}

#[tokio::test]
async fn an_export_of_a_directory_gives_a_channel_for_each_group() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rollbook::demo::BEFORE).unwrap();
    let (child, printed) = serve(&["--seed", file.path().to_str().unwrap()]).await;
    let groups = rollbook::demo::BEFORE
        .matches("objectClass: groupOfNames")
        .count();
    assert!(printed.contains(&format!("{groups} channels")), "{printed}");
    assert_eq!(terminate(child).await.0, Some(0));
}

#[tokio::test]
async fn a_wrong_rule_is_explained_and_nothing_is_served() {
    let output = Command::new(ROLLBOOK)
        .args([
            "sandbox",
            "--listen",
            "127.0.0.1:0",
            "--fault",
            "latenzy=5s",
        ])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("did you mean `latency`?"), "{said}");
}
