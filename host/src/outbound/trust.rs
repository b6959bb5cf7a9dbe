//! Whose certificates are good (RFC 8314 section 5.4, RFC 7817).

use crate::tls::{self, TlsError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Why nobody's certificates can be judged.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The system's certificate authorities.
    #[error("cannot load the system's certificate authorities")]
    Platform(#[source] Error),
    /// A file of certificates.
    #[error(transparent)]
    File(#[from] TlsError),
}

/// Whose certificates are good. Made once, used for any number of connections.
#[derive(Debug)]
pub struct Trust {
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    witness: Option<Arc<Witness>>,
}

/// Sees what certificate a server shows, and what is wrong with it, however the handshake ends. For
/// whoever has to explain it to a person.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Seen>);

/// What a [`Witness`] saw of the last handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The server's own certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// What is wrong with it; `None` also where nobody asked.
    pub objection: Option<String>,
}

impl Witness {
    /// What it saw.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trust {
    /// The authorities that the system trusts.
    ///
    /// # Errors
    ///
    /// [`TrustError::Platform`] where the system has none.
    pub fn platform() -> Result<Self, TrustError> {
        let verifier =
            rustls_platform_verifier::Verifier::new(provider()).map_err(TrustError::Platform)?;
        Ok(Self {
            verifier: Some(Arc::new(verifier)),
            witness: None,
        })
    }

    /// The authorities in this PEM file and nobody else. A server's own certificate in it is good
    /// too, whoever signed it: that is how self-signed ones are pinned.
    ///
    /// # Errors
    ///
    /// [`TrustError::File`], naming the file.
    pub fn file(path: &Path) -> Result<Self, TrustError> {
        let certificates = tls::read_chain(path)?;
        let mut roots = RootCertStore::empty();
        // One that is no authority's may still be pinned.
        roots.add_parsable_certificates(certificates.iter().cloned());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .ok();
        Ok(Self {
            verifier: Some(Arc::new(Pinned {
                certificates,
                authorities,
                provider: provider(),
            })),
            witness: None,
        })
    }

    /// Anybody: the handshake hides the dialogue from who only listens, and says nothing about
    /// who is at the other end. Never counts as verified.
    pub fn anybody() -> Self {
        Self {
            verifier: None,
            witness: None,
        }
    }

    /// The same, with somebody who looks on. One handshake at a time.
    pub fn witnessed(&self, witness: &Arc<Witness>) -> Self {
        Self {
            verifier: self.verifier.clone(),
            witness: Some(Arc::clone(witness)),
        }
    }

    /// Whether it asks for a good certificate at all.
    pub fn verifies(&self) -> bool {
        self.verifier.is_some()
    }

    /// A judge for one handshake. `strict`: a bad certificate ends it.
    pub(super) fn judge(&self, strict: bool) -> Arc<Judge> {
        Arc::new(Judge {
            verifier: self.verifier.clone(),
            witness: self.witness.clone(),
            strict,
            provider: provider(),
            objection: Mutex::new(None),
        })
    }
}

/// The cryptography of all connections.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Listens to one handshake's verification, and remembers the objection.
#[derive(Debug)]
pub(super) struct Judge {
    verifier: Option<Arc<dyn ServerCertVerifier>>,
    witness: Option<Arc<Witness>>,
    strict: bool,
    provider: Arc<CryptoProvider>,
    objection: Mutex<Option<String>>,
}

impl Judge {
    /// After the handshake: the certificate is good.
    pub(super) fn verified(&self) -> bool {
        self.verifier.is_some() && self.objection().is_none()
    }

    /// What was wrong with the certificate.
    pub(super) fn objection(&self) -> Option<String> {
        self.objection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn rule<T>(&self, result: Result<T, Error>, assertion: T) -> Result<T, Error> {
        match result {
            Err(error) => {
                if let Some(witness) = &self.witness {
                    witness
                        .lock()
                        .objection
                        .get_or_insert_with(|| error.to_string());
                }
                self.objection
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error.to_string());
                // R3207-6-b: an unverified certificate is allowed. A signature that cannot be
                // checked (certificates of old devices) proves no less than no certificate.
                if self.strict {
                    Err(error)
                } else {
                    Ok(assertion)
                }
            }
            good => good,
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(witness) = &self.witness {
            *witness.lock() = Seen {
                certificate: Some(end_entity.to_vec()),
                objection: None,
            };
        }
        let Some(verifier) = &self.verifier else {
            return Ok(ServerCertVerified::assertion());
        };
        let result =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        self.rule(result, ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(verifier) = &self.verifier else {
            return Ok(HandshakeSignatureValid::assertion());
        };
        let result = verifier.verify_tls12_signature(message, certificate, signature);
        self.rule(result, HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(verifier) = &self.verifier else {
            return Ok(HandshakeSignatureValid::assertion());
        };
        let result = verifier.verify_tls13_signature(message, certificate, signature);
        self.rule(result, HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificates of a file: authorities, and servers' own.
#[derive(Debug)]
struct Pinned {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.iter().any(|pinned| pinned == end_entity) {
            check_dates(end_entity, now)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authorities) = &self.authorities else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// RFC 5280 section 4.1.2.5.
fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| Error::from(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}
