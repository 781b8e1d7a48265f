//! Names that others write, with line breaks and terminal escapes in them, in all that people read.

use std::fmt::Write as _;

use data_encoding::BASE64;
use rollbook::sandbox::NewCategory;

use super::site::{ROOT, Site, with};
use crate::slapd::{self, SUFFIX};

const FORGED: &str = "\nAll of this is forged.\n\u{1b}[2J\u{9b}2K\r";

/// A person with such a user ID, a group with such a name, entries with such DNs that cannot be used, and
/// a channel with such a name.
async fn forged() -> Site {
    let mut site = with(1, &[]).channel("bio").start().await;
    let path = site.path("export.ldif");
    let base64 = |text: String| BASE64.encode(text.as_bytes());
    let eve = base64(format!("cn=eve{FORGED},ou=people,{SUFFIX}"));
    let long = base64(format!("cn={},ou=people,{SUFFIX}", "x".repeat(50_000)));
    let mut ldif = slapd::BASE_LDIF.to_owned() + &slapd::people(2);
    for (dn, user) in [
        (&eve, format!("uid:: {}", base64(format!("eve{FORGED}")))),
        (&long, "uid: a\nuid: b".to_owned()),
        (
            &base64(format!("cn=two{FORGED},ou=people,{SUFFIX}")),
            "uid: a\nuid: b".to_owned(),
        ),
    ] {
        write!(
            ldif,
            "dn:: {dn}\nobjectClass: inetOrgPerson\n{user}\ncn: x\nsn: x\nmail: x@example.edu\n\n"
        )
        .unwrap();
    }
    for (name, members) in [
        ("bio".to_owned(), format!("member:: {eve}\n")),
        (format!("maths{FORGED}"), String::new()),
        ("art".to_owned(), String::new()),
    ] {
        write!(
            ldif,
            "dn:: {}\nobjectClass: groupOfNames\ncn:: {}\nmember: uid=p0,ou=people,{SUFFIX}\n{members}\n",
            base64(format!("cn={name},ou=groups,{SUFFIX}")),
            base64(name)
        )
        .unwrap();
    }
    std::fs::write(&path, ldif).unwrap();
    site.settings.source = Some(format!("kind = \"ldif\"\npath = \"{}\"", path.display()));
    site.account().add_category(&NewCategory {
        path: format!("{ROOT}>Art{FORGED}"),
        reference_id: Some("art".to_owned()),
        ..NewCategory::default()
    });
    site
}

#[tokio::test]
async fn names_with_line_breaks_and_escapes_forge_nothing() {
    let mut site = forged().await;
    site.settings.safety.clear();
    let digest = site.sync().await.is(4).digest();
    let mut told = Vec::new();
    for command in [
        &["sync", "--dry-run"][..],
        &["held"],
        &["show", &digest],
        &["show", &digest, "--category", "none"],
        &["status"],
        &["check"],
        &["approve", &digest],
        &["--log-level", "debug", "sync"],
        &["sync", "--full"],
        &["history"],
        &["history", "--on", "2026-01-01"],
        &["export", "users"],
        &["export", "categories", "--parent", ROOT],
        &["export", "entitlements"],
        &["status"],
    ] {
        let run = site.rollbook(command).await;
        told.push((command.join(" "), run.stdout + &run.stderr));
    }
    assert_eq!(site.members("bio"), ["p0"]);
    let mut escaped = 0;
    for (command, text) in &told {
        let raw = text.contains(['\u{1b}', '\u{9b}', '\r']);
        assert!(!raw, "{command}: {text:?}");
        let forged = text.lines().any(|line| line.starts_with("All of this"));
        assert!(!forged, "{command}: {text}");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest < Some(1000), "{command}: {text}");
        escaped += text.matches("\\nAll of this is forged.\\n\\e[2J").count();
    }
    assert!(escaped > 10, "{told:?}");
    let cut = told
        .iter()
        .any(|(_, text)| text.contains("more characters)"));
    assert!(cut, "{told:?}");
}
