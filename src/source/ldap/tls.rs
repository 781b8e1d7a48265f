//! Whom we trust: the certificates behind `ldaps://` and StartTLS.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_native_certs::CertificateResult;

use self::listed::ListedOrSigned;

use crate::config::LdapDirectory;

mod listed;

/// The TLS settings of a directory, or which key is wrong and why.
pub(super) fn client_config(
    config: &LdapDirectory,
) -> Result<Arc<ClientConfig>, (&'static str, String)> {
    // The provider is named: two of them in one program make the default one panic.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ("urls", error.to_string()))?;
    let builder = match &config.ca_file {
        Some(path) => {
            let wrong = |reason| ("ca_file", reason);
            let listed = certificates(path).map_err(wrong)?;
            let roots = roots_from(path, &listed).map_err(wrong)?;
            let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| wrong(unreadable(path, &error.to_string())))?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(ListedOrSigned::new(listed, signed)))
        }
        None => builder.with_root_certificates(
            usable_roots(rustls_native_certs::load_native_certs())
                .map_err(|reason| ("ca_file", reason))?,
        ),
    };
    let tls = match (&config.client_certificate, &config.client_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate).map_err(|e| ("client_certificate", e))?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|e| ("client_key", unreadable(key, &e.to_string())))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| ("client_key", error.to_string()))?
        }
        (Some(_), None) => return Err(("client_key", "the certificate needs its key".to_owned())),
        (None, Some(_)) => {
            return Err((
                "client_certificate",
                "the key needs its certificate".to_owned(),
            ));
        }
    };
    Ok(Arc::new(tls))
}

fn roots_from(path: &Path, listed: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in listed {
        roots
            .add(certificate.clone())
            .map_err(|error| unreadable(path, &error.to_string()))?;
    }
    Ok(roots)
}

/// The system's authorities. One bad file among them is no reason to trust nobody; none at all is
/// an error here, where the LDAP library would go on with an empty list.
fn usable_roots(found: CertificateResult) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map(ToString::to_string);
    Err(format!(
        "this system has no usable certificate authorities ({}); install the package ca-certificates, or name a file",
        why.as_deref().unwrap_or("there are no files")
    ))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(unreadable(path, "it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn unreadable(path: &Path, reason: &str) -> String {
    format!("{}: {reason}", path.display())
}

/// What to do about a TLS error, for the cases that people meet.
pub(super) fn advice(error: &rustls::Error) -> Option<&'static str> {
    let rustls::Error::InvalidCertificate(problem) = error else {
        return None;
    };
    Some(match problem {
        CertificateError::UnknownIssuer => {
            "the server's certificate is not signed by a known authority: name your own authority's certificate in ca_file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name: write the host in urls as the certificate's subjectAltName has it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired"
        }
        problem if listed::is_authority(problem) => {
            "the server's certificate is that of an authority, such as a self-signed one, and is not in ca_file: if you trust it, write exactly this certificate to ca_file"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The LDAP library would go on with an empty list and call every certificate untrusted.
    #[test]
    fn a_system_without_authorities_is_an_error() {
        let error = usable_roots(CertificateResult::default()).unwrap_err();
        assert!(error.contains("ca-certificates"), "{error}");
    }
}
