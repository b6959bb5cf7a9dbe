//! TLS for listeners: certificate and key from PEM files or self-signed, whose client certificates
//! are good, all reloaded without a restart; and what a session may know of a handshake.
//!
//! RFC 8314 section 4.1: TLS 1.2 and later. RFC 5929 section 4 and RFC 9266: channel binding.

use crate::sandbox::v0_1::types::TlsFacts;
use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};
use x509_parser::oid_registry as oid;
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// What can go wrong with certificates and keys.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no certificate or no key.
    #[error("no {what} in {}: {reason}", path.display())]
    Content {
        /// `certificate` or `private key`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificate and key do not fit each other, or are of a kind that cannot be used.
    #[error("certificate {} and key {} cannot be used together: {source}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// No client certificate can be checked against these.
    #[error("cannot use the client authorities in {}: {reason}", path.display())]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// What rustls says.
        reason: String,
    },
    /// A self-signed certificate cannot be made or kept.
    #[error("cannot make a self-signed certificate: {0}")]
    SelfSigned(String),
}

/// RFC 8314 section 4.1 (R8314-4.1): nothing before TLS 1.2, and no setting for it.
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// What listeners need for a handshake, and what goes with it.
pub struct Identity {
    /// For the acceptor of listeners that ask for no client certificate.
    pub config: Arc<ServerConfig>,
    /// For those that do, by the file of the authorities that they believe.
    asking: BTreeMap<PathBuf, Arc<ServerConfig>>,
    /// RFC 5929 section 4.1, where the certificate's signature names a hash.
    pub server_end_point: Option<Vec<u8>>,
}

impl Identity {
    /// For a listener that believes these authorities of client certificates, or asks for none;
    /// `None`: they were not named when the service was started.
    pub fn config(&self, authorities: Option<&Path>) -> Option<&Arc<ServerConfig>> {
        match authorities {
            None => Some(&self.config),
            Some(path) => self.asking.get(path),
        }
    }
}

/// The files that an [`Identity`] is made of.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    authorities: Vec<PathBuf>,
}

/// Certificate and key of the service, and the authorities of client certificates; replaced when
/// their files change.
pub struct Certificates {
    files: Files,
    current: ArcSwap<Identity>,
    seen: std::sync::Mutex<Vec<Option<SystemTime>>>,
}

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] naming the file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::load_with(certificate, key, Vec::new())
    }

    /// Reads both files, and those with authorities of client certificates.
    ///
    /// # Errors
    ///
    /// [`TlsError`] naming the file.
    pub fn load_with(
        certificate: &Path,
        key: &Path,
        authorities: Vec<PathBuf>,
    ) -> Result<Self, TlsError> {
        let files = Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            authorities,
        };
        let seen = files.modified();
        Ok(Self {
            current: ArcSwap::from_pointee(files.read()?),
            files,
            seen: std::sync::Mutex::new(seen),
        })
    }

    /// The pair in force now.
    pub fn current(&self) -> Arc<Identity> {
        self.current.load_full()
    }

    /// Reads the files again if they have changed; says whether new ones are in force. If one of
    /// them is unusable, the old ones stay in force.
    ///
    /// # Errors
    ///
    /// [`TlsError`] naming the file; told once for each change of the files.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let now = self.files.modified();
        {
            let mut seen = self
                .seen
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        self.current.store(Arc::new(self.files.read()?));
        Ok(true)
    }
}

impl Files {
    fn modified(&self) -> Vec<Option<SystemTime>> {
        [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.authorities)
            .map(|path| {
                fs::metadata(path)
                    .and_then(|metadata| metadata.modified())
                    .ok()
            })
            .collect()
    }

    fn read(&self) -> Result<Identity, TlsError> {
        let chain = read_chain(&self.certificate)?;
        let server_end_point = chain.first().and_then(|leaf| end_point(leaf));
        let asking = self.authorities.iter().map(|path| {
            let config = self.config(&chain, Some(client_verifier(path)?))?;
            Ok((path.clone(), config))
        });
        Ok(Identity {
            config: self.config(&chain, None)?,
            asking: asking.collect::<Result<_, TlsError>>()?,
            server_end_point,
        })
    }

    fn config(
        &self,
        chain: &[CertificateDer<'static>],
        verifier: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let private = read_key(&self.key)?;
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&VERSIONS)
            .and_then(|builder| {
                match verifier {
                    Some(verifier) => builder.with_client_cert_verifier(verifier),
                    None => builder.with_no_client_auth(),
                }
                .with_single_cert(chain.to_vec(), private)
            })
            .map(Arc::new)
            .map_err(|source| TlsError::Pair {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                source,
            })
    }
}

/// Asks for a client certificate. One that is not good ends the handshake; none is let through, and
/// where one is demanded the session says so (RFC 3207 section 4.1), which an alert would not.
///
/// # Errors
///
/// [`TlsError`] naming the file.
pub fn client_verifier(authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    let unusable = |reason: String| TlsError::Authorities {
        path: authorities.to_owned(),
        reason,
    };
    for certificate in read_chain(authorities)? {
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(error.to_string()))
}

/// The certificates of a PEM file, leaf first.
///
/// # Errors
///
/// [`TlsError::Read`] or [`TlsError::Content`].
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = slurp(path)?;
    let content = |reason: String| TlsError::Content {
        what: "certificate",
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(error.to_string()))?;
    if chain.is_empty() {
        return Err(content("it has no CERTIFICATE block".into()));
    }
    Ok(chain)
}

/// The private key of a PEM file: PKCS#1, SEC1 or PKCS#8.
///
/// # Errors
///
/// [`TlsError::Read`] or [`TlsError::Content`].
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&slurp(path)?).map_err(|error| TlsError::Content {
        what: "private key",
        path: path.to_owned(),
        reason: format!("{error} (PKCS#8, PKCS#1 and SEC1 are read, without a passphrase)"),
    })
}

fn slurp(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// RFC 5929 section 4.1 (R5929-4): the certificate's hash with its signature's hash; MD5 and SHA-1
/// become SHA-256; without a single hash (Ed25519) there is none.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let signature = &parsed.signature_algorithm;
    // RFC 4055 section 3.1: the hash of RSASSA-PSS is among its parameters.
    let parameters = SignatureAlgorithm::try_from(signature);
    let hash = match &parameters {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => parameters.hash_algorithm_oid(),
        _ => &signature.algorithm,
    };
    let is = |all: &[oid::Oid<'_>]| all.contains(hash);
    if is(&[
        oid::OID_PKCS1_MD5WITHRSAENC,
        oid::OID_PKCS1_SHA1WITHRSA,
        oid::OID_PKCS1_SHA256WITHRSA,
        // ecdsa-with-SHA1 (RFC 3279 section 2.2.3), which the registry does not have.
        x509_parser::der_parser::oid!(1.2.840.10045.4.1),
        oid::OID_SIG_ECDSA_WITH_SHA256,
        oid::OID_HASH_SHA1,
        oid::OID_NIST_HASH_SHA256,
    ]) {
        Some(Sha256::digest(certificate).to_vec())
    } else if is(&[oid::OID_PKCS1_SHA224WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA224]) {
        Some(Sha224::digest(certificate).to_vec())
    } else if is(&[
        oid::OID_PKCS1_SHA384WITHRSA,
        oid::OID_SIG_ECDSA_WITH_SHA384,
        oid::OID_NIST_HASH_SHA384,
    ]) {
        Some(Sha384::digest(certificate).to_vec())
    } else if is(&[
        oid::OID_PKCS1_SHA512WITHRSA,
        oid::OID_SIG_ECDSA_WITH_SHA512,
        oid::OID_NIST_HASH_SHA512,
    ]) {
        Some(Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}

/// Makes a self-signed certificate for this name, or uses the one that was made before, so that
/// clients that pinned it go on. Both files are readable by the owner alone.
///
/// # Errors
///
/// [`TlsError::SelfSigned`].
pub fn self_signed(hostname: &str, folder: &Path) -> Result<(PathBuf, PathBuf), TlsError> {
    let failed = |error: &dyn std::fmt::Display| TlsError::SelfSigned(error.to_string());
    let certificate = folder.join(format!("{hostname}.cert.pem"));
    let key = folder.join(format!("{hostname}.key.pem"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let made = rcgen::generate_simple_self_signed([hostname.to_owned()])
        .map_err(|error| failed(&error))?;
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    // The key first: a certificate without its key would be taken for a finished pair.
    for (path, pem) in [
        (&key, made.signing_key.serialize_pem()),
        (&certificate, made.cert.pem()),
    ] {
        // Whole or not at all: a part of one would keep every later start from beginning.
        let temporary = path.with_extension("tmp");
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(pem.as_bytes())?;
                file.sync_all()?;
                fs::rename(&temporary, path)
            })
            .map_err(|error| TlsError::SelfSigned(format!("{}: {error}", path.display())))?;
    }
    Ok((certificate, key))
}

/// What a session may know of this server-side connection.
pub fn server_facts(connection: &ServerConnection, identity: &Identity) -> TlsFacts {
    // RFC 9266 section 2 (R9266-2). Under TLS 1.2 it would need the extended master secret, and
    // rustls does not say whether that was negotiated; clients bind with tls-unique there, which we
    // lack (R5802-6-b).
    let exporter = connection
        .export_keying_material([0u8; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        .ok()
        .filter(|_| connection.protocol_version() == Some(ProtocolVersion::TLSv1_3));
    TlsFacts {
        version: version(connection.protocol_version()),
        cipher: cipher(connection.negotiated_cipher_suite()),
        // A certificate that is not good ends the handshake, so one that is there is.
        verified: connection.peer_certificates().is_some(),
        server_end_point: identity.server_end_point.clone(),
        exporter: exporter.map(|octets| octets.to_vec()),
    }
}

/// The same for a client-side connection; `verified` is what the verifier said.
pub fn client_facts(connection: &rustls::ClientConnection, verified: bool) -> TlsFacts {
    let exporter = connection
        .export_keying_material([0u8; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        .ok()
        .filter(|_| connection.protocol_version() == Some(ProtocolVersion::TLSv1_3));
    TlsFacts {
        version: version(connection.protocol_version()),
        cipher: cipher(connection.negotiated_cipher_suite()),
        verified,
        server_end_point: connection
            .peer_certificates()
            .and_then(|chain| chain.first())
            .and_then(|leaf| end_point(leaf)),
        exporter: exporter.map(|octets| octets.to_vec()),
    }
}

fn version(version: Option<ProtocolVersion>) -> String {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".into(),
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".into(),
        _ => String::new(),
    }
}

/// The registered name: rustls writes `TLS13_` where the registry has `TLS_`.
fn cipher(suite: Option<rustls::SupportedCipherSuite>) -> String {
    suite
        .and_then(|suite| {
            suite
                .suite()
                .as_str()
                .map(|name| name.replace("TLS13_", "TLS_"))
        })
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
