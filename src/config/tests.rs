//! The loader from outside: texts in, a configuration or the words for people out.

use super::*;
use crate::config::directory::ChangeDetection;

const EXAMPLE: &str = include_str!("../../config.example.toml");

const LEAST: &str = r#"
[state]
path = "/tmp/rollbook.db"
[kaltura]
url = "https://kaltura.example.edu"
partner_id = 101
admin_secret = { env = "SECRET" }
[[directory]]
name = "campus"
kind = "ldap"
urls = ["ldaps://ldap.example.edu"]
[directory.people]
base = "ou=people"
user_id = "uid"
[directory.groups]
base = "ou=groups"
"#;

fn config(text: &str) -> Config {
    Config::parse(text).unwrap().config
}

fn errors(text: &str) -> String {
    Config::parse(text).unwrap_err().to_string()
}

/// The least configuration with something else in place of a part of it.
fn with(part: &str, instead: &str) -> String {
    assert!(LEAST.contains(part), "{part}");
    LEAST.replace(part, instead)
}

fn uncomment(text: &str, mark: &str) -> String {
    let is_code = |line: &str| {
        line.starts_with('[')
            || line
                .split_once(" = ")
                .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    text.lines()
        .map(|line| {
            line.strip_prefix(mark)
                .filter(|rest| is_code(rest))
                .unwrap_or(line)
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_is_a_configuration() {
    let loaded = Config::parse(EXAMPLE).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[test]
fn every_key_that_the_example_comments_out_is_known() {
    let text = uncomment(EXAMPLE, "# ");
    // The bind is by name there, so no other way goes with it, and ldaps:// needs no StartTLS.
    let loaded = Config::parse(&text).unwrap();
    let other = uncomment(&text, "## ")
        .replace("app_token = ", "# ")
        .replace("group = \"course", "# ")
        .replace("category = { ref", "# ");
    let other = Config::parse(&other).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (loaded.config.directory.len(), other.config.directory.len()),
        (1, 2)
    );
}

#[test]
fn the_example_shows_the_defaults() {
    let (said, shown) = (config(EXAMPLE), config(&uncomment(EXAMPLE, "# ")));
    assert_eq!(said.policy, shown.policy);
    assert_eq!(said.safety, shown.safety);
    assert_eq!(said.schedule, shown.schedule);
    let numbers = |config: &Config| {
        let kaltura = &config.kaltura;
        (
            kaltura.batch,
            kaltura.concurrency,
            kaltura.requests_per_second,
            kaltura.timeout,
            kaltura.retries,
        )
    };
    assert_eq!(numbers(&said), numbers(&shown));
    let Directory::Ldap(said) = &said.directory[0] else {
        panic!("an LDAP directory")
    };
    let Directory::Ldap(shown) = &shown.directory[0] else {
        panic!("an LDAP directory")
    };
    assert_eq!(
        (
            said.page_size,
            said.overlap,
            said.search_timeout,
            said.groups.depth,
            &said.people.filter
        ),
        (
            shown.page_size,
            shown.overlap,
            shown.search_timeout,
            shown.groups.depth,
            &shown.people.filter
        )
    );
    assert_eq!(said.changes, ChangeDetection::Auto);
}

#[test]
fn the_example_has_every_key() {
    let shown = uncomment(&uncomment(EXAMPLE, "# "), "## ");
    let all = serde_json::to_value(config(LEAST)).unwrap();
    let mut keys = Vec::new();
    collect(&all, &mut keys);
    keys.retain(|key| key != "directory" && key != "binding");
    for key in keys {
        assert!(
            shown.contains(&key),
            "config.example.toml does not explain {key}"
        );
    }
}

fn collect(value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                keys.push(key.clone());
                collect(value, keys);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        _ => {}
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    insta::assert_snapshot!(errors(&with("user_id = \"uid\"", "user_idd = \"uid\"")), @r#"
the configuration has an error:
  line 14: `directory.people.user_idd`: there is no such key; did you mean `user_id`?
"#);
}

#[test]
fn several_errors_are_told_at_once() {
    let text = with("partner_id = 101", "partner_id = \"x\"\nbatsh = 3").replace(
        "base = \"ou=groups\"",
        "base = \"ou=groups\"\nnestd = true\ndepth = true",
    ) + "[policy]\nmanual = \"ignore\"\ndeparture = \"delete\"\n[sefety]\n[schedule]\nxyzzy = 1\n";
    insta::assert_snapshot!(errors(&text), @r#"
the configuration has 7 errors:
  line 6: `kaltura.partner_id`: found string "x"; expected is a whole number
  line 7: `kaltura.batsh`: there is no such key; did you mean `batch`?
  line 18: `directory.groups.nestd`: there is no such key; did you mean `nested`?
  line 19: `directory.groups.depth`: found boolean `true`; expected is a whole number
  line 21: `policy.manual`: found `ignore`; allowed is `respect` or `override`
  line 23: `sefety`: there is no such key; did you mean `safety`?
  line 25: `schedule.xyzzy`: there is no such key; known here are incremental, full, full_read_after, list_after
"#);
}

#[test]
fn a_missing_key_is_named_with_its_section() {
    insta::assert_snapshot!(errors(&with("url = \"https://kaltura.example.edu\"\n", "")), @r#"
the configuration has an error:
  line 4: `kaltura.url`: this key is missing
"#);
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    insta::assert_snapshot!(errors(&with("partner_id = 101", "partner_id 101")), @r#"
the configuration has an error:
  line 6: this is not TOML: key with no value, expected `=`
"#);
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    let text = errors(&with("{ env = \"SECRET\" }", "\"0123456789abcdef\""));
    assert!(!text.contains("0123456789abcdef"));
    insta::assert_snapshot!(text, @r#"
the configuration has an error:
  line 7: `kaltura.admin_secret`: say where the secret is, exactly one of: { file = "/path" }, { env = "VARIABLE" }, { credential = "name" }; the secret itself does not belong into this file
"#);
}

#[test]
fn the_kind_of_a_directory_is_needed() {
    insta::assert_snapshot!(errors(&with("kind = \"ldap\"\n", "")), @r#"
the configuration has an error:
  line 8: `directory`: the key `kind` is missing: "ldap" or "ldif"
"#);
    insta::assert_snapshot!(errors(&with("kind = \"ldap\"", "kind = \"ad\"")), @r#"
the configuration has an error:
  line 10: `directory.kind`: found "ad"; allowed are "ldap" and "ldif"
"#);
}

#[test]
fn values_that_do_not_go_together() {
    let text = with("admin_secret = { env = \"SECRET\" }", "url_is = 1").replace("url_is = 1\n", "batch = 0\nconcurrency = 33\nrequests_per_second = 0\n")
        .replace("https://kaltura.example.edu", "https://kaltura.example.edu/api_v3")
        .replace("partner_id = 101", "partner_id = 0")
        .replace("[\"ldaps://ldap.example.edu\"]", "[\"http://ldap\", \"ldap://\"]\nstarttls = true\nbind_dn = \"cn=x\"\npage_size = 0\nclient_key = \"/k\"")
        .replace("user_id = \"uid\"", "user_id = \"uid\"\nfilter = \"(uid=*\"\nuser_id_transform = { pattern = \"(\" }")
        + "[[binding]]\ngroup = \"course-(?<course>.+)\"\ngroups = [\"x\"]\ncategory = { reference_id = \"{corse}\" }\ndirectory = \"campsu\"\n\
           [[binding]]\ngroup = \"[\"\n\
           [[binding]]\ngroups = [\"x\"]\ncategory = { reference_id = \"{group\" }\n\
           [safety]\ntotal = { percent = 101, at_least = 1 }\n[schedule]\nfull = \"0 0 3 * * *\"\nincremental = \"99 * * * *\"\n";
    insta::assert_snapshot!(errors(&text), @r#"
the configuration has 22 errors:
  line 4: `kaltura`: either `admin_secret` or `app_token` is needed
  line 5: `kaltura.url`: expected is the server's address alone, without a user, a path or a query
  line 6: `kaltura.partner_id`: found 0; allowed is at least 1
  line 7: `kaltura.batch`: found 0; allowed is 1 to 100
  line 8: `kaltura.concurrency`: found 33; allowed is 1 to 32
  line 9: `kaltura.requests_per_second`: found 0; allowed is at least 1
  line 10: `directory.bind_password`: a bind without a password is an anonymous one; give the password, or say `bind = "anonymous"` and leave `bind_dn` out
  line 13: `directory.urls`: found "http://ldap"; an address begins with ldap://, ldaps:// or ldapi:// and names a server
  line 13: `directory.urls`: found "ldap://"; an address begins with ldap://, ldaps:// or ldapi:// and names a server
  line 14: `directory.starttls`: this goes with ldap:// addresses only; ldaps:// is encrypted from the start
  line 16: `directory.page_size`: found 0; allowed is 1 to 2147483647
  line 17: `directory.client_key`: `client_certificate` and `client_key` go together
  line 21: `directory.people.filter`: this is not an LDAP filter, such as "(objectClass=person)"
  line 22: `directory.people.user_id_transform.pattern`: this is not a regular expression: unclosed group
  line 26: `binding.group`: exactly one of `group` and `groups` is needed
  line 28: `binding.category`: found {corse}, which the pattern does not catch; known are {group}, {course}
  line 29: `binding.directory`: found "campsu"; the directories are campus
  line 31: `binding.group`: this is not a regular expression: unclosed character class
  line 34: `binding.category`: a brace is not closed
  line 36: `safety.total.percent`: found 101; allowed is 0 to 100
  line 38: `schedule.full`: found "0 0 3 * * *"; five fields are needed: minute, hour, day of month, month, day of week
  line 39: `schedule.incremental`: found "99 * * * *", which is no time, such as "*/5 * * * *" or "0 3 * * MON-FRI"
"#);
}

#[test]
fn ways_to_bind_that_cannot_work() {
    let bind = |more: &str| {
        errors(&with(
            "[\"ldaps://ldap.example.edu\"]",
            &format!("[\"ldaps://ldap.example.edu\"]\n{more}"),
        ))
    };
    insta::assert_snapshot!(bind("bind = \"external\""), @r#"
the configuration has an error:
  line 12: `directory.bind`: "external" needs `client_certificate`, or ldapi:// addresses
"#);
    insta::assert_snapshot!(bind("bind = \"anonymous\"\nbind_dn = \"cn=x\""), @r#"
the configuration has an error:
  line 12: `directory.bind`: an anonymous bind has no `bind_dn` and no `bind_password`
"#);
    insta::assert_snapshot!(bind("bind = \"simple\"\nbind_password = { env = \"P\" }"), @r#"
the configuration has an error:
  line 8: `directory.bind_dn`: a simple bind needs a name
"#);
}

#[test]
fn two_directories_of_one_name() {
    let directory = &LEAST[LEAST.find("[[directory]]").unwrap()..];
    insta::assert_snapshot!(errors(&format!("{LEAST}{directory}")), @r#"
the configuration has an error:
  line 18: `directory.name`: found "campus" a second time; each directory needs its own name
"#);
}

#[test]
fn no_directory_at_all() {
    insta::assert_snapshot!(errors(&LEAST[..LEAST.find("[[directory]]").unwrap()]), @r#"
the configuration has an error:
  `directory`: at least one section `[[directory]]` is needed
"#);
}

#[test]
fn open_connections_are_warned_of() {
    let refused = errors(&with(
        "https://kaltura.example.edu",
        "http://kaltura.example.edu",
    ));
    assert!(
        refused.contains("accept it with `insecure = true`"),
        "{refused}"
    );
    let accepted = "http://kaltura.example.edu\"\ninsecure = true #";
    let text = with("https://kaltura.example.edu", accepted).replace(
        "[\"ldaps://ldap.example.edu\"]",
        "[\"ldap://ldap.example.edu\"]\nbind_dn = \"cn=x\"\nbind_password = { env = \"P\" }",
    );
    let warnings: Vec<String> = Config::parse(&text)
        .unwrap()
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
line 5: `kaltura.url`: the session travels unencrypted: use https://
line 12: `directory.urls`: the password travels unencrypted: use ldaps://, or `starttls = true`
"#);
    for loopback in [
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:1",
    ] {
        let loaded = Config::parse(&with("https://kaltura.example.edu", loopback)).unwrap();
        assert_eq!(loaded.warnings, []);
    }
}

#[test]
fn a_file_that_everybody_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rollbook.toml");
    std::fs::write(&path, LEAST).unwrap();
    let mode =
        |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let text = Config::load(&path).unwrap_err().to_string();
    insta::assert_snapshot!(text.replace(directory.path().to_str().unwrap(), "/etc"), @r#"the configuration /etc/rollbook.toml is open to everybody on this machine (mode 644). Mend it with: chmod o-rwx /etc/rollbook.toml"#);
    mode(0o640);
    assert!(Config::load(&path).is_ok());
}

#[test]
fn the_fingerprint_is_about_who_is_wanted() {
    let before = config(LEAST).fingerprint();
    assert_eq!(before.len(), 64);
    let same = [
        with("ldaps://ldap.example.edu", "ldaps://other.example.edu"),
        with("user_id = \"uid\"", "user_id = \"uid\"\nmail = \"mail\""),
        with("{ env = \"SECRET\" }", "{ env = \"OTHER\" }\nbatch = 7"),
        format!("{LEAST}[policy]\nmanual = \"respect\"\n[schedule]\nfull = \"1 1 * * *\"\n"),
    ];
    for text in same {
        assert_eq!(config(&text).fingerprint(), before, "{text}");
    }
    let other = [
        with("partner_id = 101", "partner_id = 102"),
        with(
            "partner_id = 101",
            "partner_id = 101\nroot = \"MediaSpace\"",
        ),
        with("user_id = \"uid\"", "user_id = \"mail\""),
        with(
            "base = \"ou=groups\"",
            "base = \"ou=groups\"\nfilter = \"(cn=x)\"",
        ),
        format!("{LEAST}[policy]\nmanual = \"override\"\n"),
        format!("{LEAST}[[binding]]\ngroups = [\"x\"]\n"),
    ];
    for text in other {
        assert_ne!(config(&text).fingerprint(), before, "{text}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(std::path::Path::new("/nowhere/rollbook.toml")).unwrap_err();
    insta::assert_snapshot!(error, @"the configuration /nowhere/rollbook.toml cannot be read: No such file or directory (os error 2)");
}

#[test]
fn losses_must_not_be_forgotten_before_they_count_no_more() {
    let text = with("[kaltura]", "history = \"23h\"\n[kaltura]");
    let told = errors(&text);
    assert!(told.contains("shorter than `safety.window`"), "{told}");
    config(&with("[kaltura]", "history = \"24h\"\n[kaltura]"));
}

#[test]
fn a_proxy_is_named_or_there_is_none_for_this_machine() {
    let url = |url: &str, more: &str| {
        let text = with("https://kaltura.example.edu\"", &format!("{url}\"\n{more}"));
        config(&text).kaltura.proxy_used()
    };
    let named = url("https://k.example.edu", "proxy = \"http://proxy:3128\"");
    assert_eq!(
        named,
        Some(("http://proxy:3128".to_owned(), "kaltura.proxy"))
    );
    assert_eq!(url("https://k.example.edu", "proxy = \"none\""), None);
    assert_eq!(url("http://127.0.0.1:8080", ""), None);
    let told = errors(&with("partner_id", "proxy = \"somewhere\"\npartner_id"));
    assert!(told.contains("kaltura.proxy"), "{told}");
}
