//! Self-signed certificates that say they are an authority, as `openssl req -x509` makes them, in
//! `ca_file`.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};

use super::*;

/// Writes a certificate for this host (none: only for its name), valid until the end of a year, and its key.
fn certificate(dir: &Path, name: &str, host: &str, last_year: i32) -> PathBuf {
    let hosts = (!host.is_empty()).then(|| host.to_owned());
    let mut params = CertificateParams::new(hosts.into_iter().collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(last_year, 12, 31);
    let key = KeyPair::generate().unwrap();
    let file = dir.join(format!("{name}.pem"));
    std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    file
}

fn server(certificate: &Path) -> Slapd {
    Slapd::start(&SlapdOptions {
        ldif: slapd::people(3) + &slapd::group("g", [0]),
        tls: true,
        global: format!(
            "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            certificate.display(),
            certificate.with_extension("key").display()
        ),
        ..SlapdOptions::default()
    })
}

fn trusting(url: &str, ca_file: &Path, starttls: bool) -> Source {
    let toml = format!(
        "kind = \"ldap\"\nname = \"campus\"\nurls = [{url:?}]\nbind_dn = \"{ADMIN}\"\n\
         ca_file = {:?}\nstarttls = {starttls}\n{SECTIONS}",
        ca_file.display().to_string()
    );
    source_of(&toml).unwrap()
}

#[tokio::test]
async fn a_self_signed_certificate_in_ca_file_is_accepted_and_another_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let own = certificate(dir.path(), "own", "127.0.0.1", 2100);
    let other = certificate(dir.path(), "other", "127.0.0.1", 2100);
    let slapd = server(&own);
    for (url, starttls) in [(slapd.ldaps_url(), false), (slapd.url(), true)] {
        let (_, told) = read_complete(&trusting(&url, &own, starttls)).await;
        assert_eq!(told.people().len(), 3, "{url}");

        let (read, _) = read_all(&trusting(&url, &other, starttls)).await;
        let error = read.unwrap_err().to_string();
        assert!(error.contains("is not in ca_file"), "{error}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_without_other_names_is_for_its_common_name() {
    let dir = tempfile::tempdir().unwrap();
    let own = certificate(dir.path(), "localhost", "", 2100);
    let slapd = server(&own);
    let url = slapd.ldaps_url();
    let (_, told) = read_complete(&trusting(
        &url.replace("127.0.0.1", "localhost"),
        &own,
        false,
    ))
    .await;
    assert_eq!(told.people().len(), 3);
    let (read, _) = read_all(&trusting(&url, &own, false)).await;
    let error = read.unwrap_err().to_string();
    assert!(error.contains("for another name"), "{error}");
}

#[tokio::test]
async fn a_self_signed_certificate_for_another_name_or_out_of_date_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, host, last_year, reason) in [
        (
            "elsewhere",
            "elsewhere.example.edu",
            2100,
            "for another name",
        ),
        ("expired", "127.0.0.1", 2001, "has expired"),
    ] {
        let own = certificate(dir.path(), name, host, last_year);
        let slapd = server(&own);
        let (read, _) = read_all(&trusting(&slapd.ldaps_url(), &own, false)).await;
        let error = read.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
