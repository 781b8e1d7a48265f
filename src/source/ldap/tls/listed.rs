//! Self-signed certificates that are in `ca_file` themselves.
//!
//! `openssl req -x509` makes a self-signed certificate that says it is an authority (`CA:TRUE`).
//! Many servers use one, and their clients get it as `ca_file`. webpki never accepts the certificate
//! of an authority as a server's; ldapsearch does where it is trusted itself, and so does this.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// Accepts a server's certificate that an authority in `ca_file` has signed, or, where the certificate
/// is that of an authority, one that is in `ca_file` byte for byte.
#[derive(Debug)]
pub(super) struct ListedOrSigned {
    listed: Vec<CertificateDer<'static>>,
    signed: Arc<WebPkiServerVerifier>,
}

impl ListedOrSigned {
    /// `listed` are the certificates of `ca_file`, which `signed` takes for authorities.
    pub(super) fn new(
        listed: Vec<CertificateDer<'static>>,
        signed: Arc<WebPkiServerVerifier>,
    ) -> Self {
        Self { listed, signed }
    }
}

impl ServerCertVerifier for ListedOrSigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match self.signed.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(Error::InvalidCertificate(problem)) if is_authority(&problem) => problem,
            verdict => return verdict,
        };
        if !self.listed.contains(end_entity) {
            return Err(refused.into());
        }
        let (_, certificate) =
            X509Certificate::from_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        check_validity_and_use(&certificate, now)?;
        if !is_common_name(&certificate, server_name) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

/// Whether a certificate was refused because it is that of an authority.
pub(super) fn is_authority(problem: &CertificateError) -> bool {
    let CertificateError::Other(other) = problem else {
        return false;
    };
    matches!(
        other.0.downcast_ref::<webpki::Error>(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

/// Whether the certificate has no subjectAltName, and the server's name as its common name.
///
/// `openssl req -x509` makes such a certificate unless it is told otherwise, and ldapsearch takes it.
fn is_common_name(certificate: &X509Certificate<'_>, server_name: &ServerName<'_>) -> bool {
    let mut names = certificate.subject().iter_common_name();
    let (Ok(None), Some(name), None) = (
        certificate.subject_alternative_name(),
        names.next(),
        names.next(),
    ) else {
        return false;
    };
    name.as_str()
        .is_ok_and(|name| name.eq_ignore_ascii_case(&server_name.to_str()))
}

/// Checks what webpki checks of a certificate besides its signer and its name.
fn check_validity_and_use(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let seconds = i64::try_from(now.as_secs()).map_err(|_| CertificateError::BadEncoding)?;
    let now = ASN1Time::from_timestamp(seconds).map_err(|_| CertificateError::BadEncoding)?;
    let validity = certificate.validity();
    if now < validity.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after {
        return Err(CertificateError::Expired.into());
    }
    let usage = certificate
        .extended_key_usage()
        .map_err(|_| CertificateError::BadEncoding)?;
    if usage.is_some_and(|usage| !usage.value.any && !usage.value.server_auth) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    Ok(())
}
