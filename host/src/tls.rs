//! TLS for listeners: certificate and key from PEM files or self-signed, reloaded without a
//! restart, and what a session may know of a handshake.
//!
//! RFC 8314 section 4.1: TLS 1.2 and later. RFC 5929 section 4 and RFC 9266: channel binding.

use crate::sandbox::v0_1::types::TlsFacts;
use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ProtocolVersion, ServerConfig, ServerConnection};

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
    /// A self-signed certificate cannot be made or kept.
    #[error("cannot make a self-signed certificate: {0}")]
    SelfSigned(String),
}

/// What a listener needs for a handshake, and what goes with it.
pub struct Identity {
    /// For the acceptor.
    pub config: Arc<ServerConfig>,
    /// RFC 5929 section 4.1, where the certificate's signature names a hash.
    pub server_end_point: Option<Vec<u8>>,
}

/// Certificate and key of the service, replaced when their files change.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<Identity>,
    seen: std::sync::Mutex<[Option<SystemTime>; 2]>,
}

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] naming the file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let seen = modified(certificate, key);
        Ok(Self {
            current: ArcSwap::from_pointee(read(certificate, key)?),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            seen: std::sync::Mutex::new(seen),
        })
    }

    /// The pair in force now.
    pub fn current(&self) -> Arc<Identity> {
        self.current.load_full()
    }

    /// Reads the files again if they have changed; says whether a new pair is in force. An
    /// unusable pair leaves the old one in force.
    ///
    /// # Errors
    ///
    /// [`TlsError`] naming the file; told once for each change of the files.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let now = modified(&self.certificate, &self.key);
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
        self.current
            .store(Arc::new(read(&self.certificate, &self.key)?));
        Ok(true)
    }
}

fn modified(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|path| {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    })
}

fn read(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain = read_chain(certificate)?;
    let private = read_key(key)?;
    let server_end_point = chain.first().and_then(|leaf| end_point(leaf));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(|source| TlsError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })?;
    Ok(Identity {
        config: Arc::new(config),
        server_end_point,
    })
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

/// RFC 5929 section 4.1: the certificate's hash with its signature's hash; MD5 and SHA-1 become
/// SHA-256; without a single hash (Ed25519) there is none.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let algorithm = parsed.signature_algorithm.algorithm.to_id_string();
    match algorithm.as_str() {
        // md5, sha1, sha224 and sha256 with RSA; ecdsa-with-SHA1 and -SHA256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => {
            Some(Sha384::digest(certificate).to_vec())
        }
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
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
    // RFC 9266 section 2. Under TLS 1.2 clients bind with tls-unique, which we lack (R5802-6-b).
    let exporter = connection
        .export_keying_material([0u8; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        .ok()
        .filter(|_| connection.protocol_version() == Some(ProtocolVersion::TLSv1_3));
    TlsFacts {
        version: version(connection.protocol_version()),
        cipher: cipher(connection.negotiated_cipher_suite()),
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
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_is_made_once_and_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = self_signed("mail.example.org", folder.path()).unwrap();
        let first = fs::read(&certificate).unwrap();
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        self_signed("mail.example.org", folder.path()).unwrap();
        assert_eq!(fs::read(&certificate).unwrap(), first);
        let certificates = Certificates::load(&certificate, &key).unwrap();
        // ecdsa-with-SHA256: 32 octets.
        assert_eq!(
            certificates
                .current()
                .server_end_point
                .as_ref()
                .map(Vec::len),
            Some(32)
        );
        assert!(!certificates.refresh().unwrap());
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.pem");
        let error = read_chain(&path).unwrap_err().to_string();
        assert!(error.contains("none.pem"), "{error}");
        fs::write(&path, "nothing").unwrap();
        for error in [
            read_chain(&path).unwrap_err().to_string(),
            read_key(&path).unwrap_err().to_string(),
        ] {
            assert!(error.contains("none.pem"), "{error}");
        }
    }
}
