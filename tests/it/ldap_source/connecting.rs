//! Getting in: servers, certificates, names and passwords.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::*;

fn filled(options: SlapdOptions) -> Slapd {
    Slapd::start(&SlapdOptions {
        ldif: slapd::people(3) + &slapd::group("g", [0]),
        ..options
    })
}

fn with_tls() -> Slapd {
    filled(SlapdOptions {
        tls: true,
        ..SlapdOptions::default()
    })
}

fn toml(urls: &[String], lines: &str) -> String {
    format!("kind = \"ldap\"\nname = \"campus\"\nurls = {urls:?}\n{lines}\n{SECTIONS}")
}

fn bind() -> String {
    format!("bind_dn = \"{ADMIN}\"")
}

fn ca(slapd: &Slapd, name: &str) -> String {
    let file = slapd.ca_file().with_file_name(name);
    format!("ca_file = {:?}", file.display().to_string())
}

/// The error of a read that does not even begin.
async fn refused(source: &Source) -> SourceError {
    let (read, told) = read_all(source).await;
    assert_eq!(told.observations, []);
    read.unwrap_err()
}

/// A port on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("ldap://127.0.0.1:{}", listener.local_addr().unwrap().port())
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_and_not_tried_elsewhere() {
    let slapd = filled(SlapdOptions::default());
    let toml = toml(&[slapd.url(), nobody()], &bind());
    let source = source_with_password(&toml, "wrong horse").unwrap();

    let error = refused(&source).await;

    assert!(matches!(error, SourceError::BindRefused { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("invalidCredentials") && text.contains(&slapd.url()),
        "{text}"
    );
    assert!(!text.contains("wrong horse"));
}

/// Pitfall 13: a name without a password is an anonymous bind to a server.
#[test]
fn an_empty_password_is_refused_before_anything_is_sent() {
    let toml = toml(&[nobody()], &bind());
    for password in [Some(SecretString::from("")), None] {
        let config = toml::from_str(&toml).unwrap();
        let error = Source::new(&config, password).err().unwrap().to_string();
        assert!(error.contains("bind_password"), "{error}");
    }
}

#[tokio::test]
async fn the_next_server_is_tried_when_one_cannot_be_reached() {
    let slapd = filled(SlapdOptions::default());
    let source = source_of(&toml(&[nobody(), slapd.url()], &bind())).unwrap();
    let (_, told) = read_complete(&source).await;
    assert_eq!(told.people().len(), 3);

    let (first, second) = (nobody(), nobody());
    let source = source_of(&toml(&[first.clone(), second.clone()], &bind())).unwrap();
    let error = refused(&source).await.to_string();
    assert!(error.contains(&first) && error.contains(&second), "{error}");
}

/// Pitfall 5: the library waits for ever on a server that accepts and says nothing.
#[tokio::test]
async fn a_mute_server_is_left_for_the_next_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("ldap://{}", listener.local_addr().unwrap());
    let slapd = filled(SlapdOptions::default());
    let lines = bind() + "\nconnect_timeout = \"300ms\"";
    let began = Instant::now();
    let source = source_of(&toml(&[mute.clone(), slapd.url()], &lines)).unwrap();
    let (_, told) = read_complete(&source).await;
    assert_eq!(told.people().len(), 3);
    let source = source_of(&toml(&[mute], &lines)).unwrap();
    let error = refused(&source).await;
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Pitfalls 10 and 11: whom we trust is what the configuration says, and nobody else.
#[tokio::test]
async fn encrypted_connections_need_the_right_authority() {
    let slapd = with_tls();
    for (url, starttls) in [(slapd.ldaps_url(), false), (slapd.url(), true)] {
        let lines = |ca: &str| format!("{}\n{ca}\nstarttls = {starttls}", bind());
        let right = source_of(&toml(
            std::slice::from_ref(&url),
            &lines(&ca(&slapd, "ca.pem")),
        ))
        .unwrap();
        let (_, told) = read_complete(&right).await;
        assert_eq!(told.people().len(), 3, "{url}");
        assert!(right.check().await.unwrap().server.unwrap().private);

        let wrong = source_of(&toml(
            std::slice::from_ref(&url),
            &lines(&ca(&slapd, "other-ca.pem")),
        ))
        .unwrap();
        let error = refused(&wrong).await.to_string();
        assert!(error.contains("not signed by a known authority"), "{error}");
    }
    let other_name = slapd.ldaps_url().replace("127.0.0.1", "127.0.0.2");
    let source = source_of(&toml(&[other_name], &ca(&slapd, "ca.pem"))).unwrap();
    assert!(matches!(
        refused(&source).await,
        SourceError::Unreachable { .. }
    ));
}

#[test]
fn a_ca_file_without_certificates_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for file in [empty, dir.path().join("missing.pem")] {
        let lines = format!("ca_file = {:?}", file.display().to_string());
        let toml = toml(&["ldaps://localhost:1".to_owned()], &lines);
        let error = source_of(&toml).err().unwrap().to_string();
        assert!(
            error.contains("ca_file") && error.contains(".pem"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_unix_socket_and_a_client_certificate_say_who_we_are() {
    let slapd = with_tls();
    let external = "bind = \"external\"";
    let source = source_of(&toml(&[slapd.ldapi_url()], external)).unwrap();
    let (_, told) = read_complete(&source).await;
    assert_eq!(told.people().len(), 3);
    let report = source.check().await.unwrap();
    assert_eq!(report.server.unwrap().bound_as.as_deref(), Some(ADMIN));

    let (certificate, key) = slapd.client_certificate();
    let lines = format!(
        "{external}\n{}\nclient_certificate = {:?}\nclient_key = {:?}",
        ca(&slapd, "ca.pem"),
        certificate.display().to_string(),
        key.display().to_string()
    );
    let source = source_of(&toml(&[slapd.ldaps_url()], &lines)).unwrap();
    let report = source.check().await.unwrap();
    assert_eq!(report.server.unwrap().bound_as.as_deref(), Some(READER));
}

#[tokio::test]
async fn nobody_in_particular_may_read_what_everybody_may() {
    let slapd = filled(SlapdOptions::default());
    let source = source_of(&toml(&[slapd.url()], "")).unwrap();
    let (_, told) = read_complete(&source).await;
    assert_eq!(told.people().len(), 3);
    assert_eq!(source.check().await.unwrap().server.unwrap().bound_as, None);
}

#[tokio::test]
async fn a_base_that_is_not_there_is_named_with_its_key() {
    let slapd = filled(SlapdOptions::default());
    let sections = SECTIONS.replace("ou=groups", "ou=gruops");
    let (read, _) = read_all(&source_with(&slapd, "", &sections)).await;
    let error = read.unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::NoBase {
                key: "groups.base",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("ou=gruops"), "{error}");
}

#[test]
fn what_cannot_mean_anything_is_named_by_its_key() {
    let wrong = |from: &str, to: &str, key: &str| {
        let toml = toml(&["ldap://x".to_owned()], "").replace(from, to);
        let error = source_of(&toml).err().unwrap().to_string();
        assert!(error.contains(key), "{error}");
    };
    wrong("\"ldap://x\"", "", "urls");
    wrong("ldap://x", "http://x", "urls");
    wrong("ou=people,", "people,", "people.base");
    wrong("user_id =", "filter = \"(a=b\"\nuser_id =", "people.filter");
    wrong(
        "user_id =",
        "enabled = \"( a=b)\"\nuser_id =",
        "people.enabled",
    );
    wrong(
        "user_id =",
        "user_id_transform = { pattern = \"(\" }\nuser_id =",
        "people.user_id_transform.pattern",
    );
    wrong("[people]", "bind = \"simple\"\n[people]", "bind_dn");
}
