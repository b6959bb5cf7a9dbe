//! Private keys (RFC 6376 section 3.3, RFC 8301, RFC 8463): read, made, and put to use.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// Most octets of a key file: an RSA key of 8192 bits has 6,400.
const MOST: u64 = 64 * 1024;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// rsa-sha256 (RFC 6376 section 3.3.1).
    Rsa,
    /// ed25519-sha256 (RFC 8463).
    Ed25519,
}

impl Algorithm {
    /// The word of the `a=` tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// The word of the record's `k=` tag.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// Why a key cannot be used, or not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system.
    #[error("cannot read the DKIM key {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in the file.
    #[error("the DKIM key {} {why}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// A new key.
    #[error("cannot make the DKIM key {}", path.display())]
    Make {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A private key. `Debug` shows what is public of it.
pub struct Key {
    private: Private,
}

enum Private {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm())
            .field("bits", &self.bits())
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Reads a PEM file: PKCS#8, or PKCS#1 for RSA.
    ///
    /// # Errors
    /// [`KeyError`]; one that everybody can read is refused too.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let unread = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        let content = |why: String| KeyError::Content {
            path: path.to_owned(),
            why,
        };
        let file = fs::File::open(path).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if metadata.is_file() && metadata.permissions().mode() & 0o007 != 0 {
            return Err(content(
                "can be read by everybody on this system; make a new one, and run chmod 600 on its file"
                    .into(),
            ));
        }
        let mut pem = Zeroizing::new(Vec::with_capacity(16 * 1024));
        file.take(MOST).read_to_end(&mut pem).map_err(unread)?;
        Self::from_pem(&pem).map_err(content)
    }

    /// From the text of a PEM file; else what is wrong with it.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let private = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
            format!("holds no private key: {error} (PEM of PKCS#8 or PKCS#1 is read, without a passphrase)")
        })?;
        let rsa = |rejected: aws_lc_rs::error::KeyRejected| match rejected.description_() {
            // RFC 8301 section 3.2: 1024 at least, 2048 should be; nothing signs with less here.
            "TooSmall" => "has less than 2048 bits, which verifiers distrust (RFC 8301); \
                           make one: pillarbox dkim key"
                .to_owned(),
            "TooLarge" => {
                "has more than 8192 bits; use 2048, which every verifier takes".to_owned()
            }
            other => format!("is no RSA or Ed25519 key that can be used ({other})"),
        };
        let private = match &private {
            PrivateKeyDer::Pkcs1(der) => Private::Rsa(Box::new(
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(rsa)?,
            )),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                // OpenSSL writes the private key alone.
                match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    Ok(pair) => Private::Ed25519(Box::new(pair)),
                    Err(_) => Private::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(rsa)?)),
                }
            }
            _ => {
                return Err("is an elliptic curve key; DKIM has RSA and Ed25519".to_owned());
            }
        };
        Ok(Self { private })
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match &self.private {
            Private::Rsa(_) => Algorithm::Rsa,
            Private::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Its length.
    pub fn bits(&self) -> usize {
        match &self.private {
            Private::Rsa(pair) => pair.public_modulus_len() * 8,
            Private::Ed25519(_) => 256,
        }
    }

    /// The public key as the record's `p=` has it: SubjectPublicKeyInfo of an RSA key (RFC 6376
    /// section 3.6.1 and its erratum 3017), the key itself with Ed25519 (RFC 8463 section 4).
    pub fn public(&self) -> String {
        match &self.private {
            Private::Rsa(pair) => {
                let der: Result<PublicKeyX509Der<'_>, _> = pair.public_key().as_der();
                // A pair that was read has a public key.
                der.map(|der| STANDARD.encode(der.as_ref()))
                    .unwrap_or_default()
            }
            Private::Ed25519(pair) => STANDARD.encode(pair.public_key().as_ref()),
        }
    }

    /// Signs these octets; `None` if the machine has no randomness or memory.
    pub(super) fn sign(&self, octets: &[u8]) -> Option<Vec<u8>> {
        match &self.private {
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    octets,
                    &mut signature,
                )
                .ok()?;
                Some(signature)
            }
            // RFC 8463 section 3: the hash is what Ed25519 signs.
            Private::Ed25519(pair) => {
                let signature = pair.try_sign(&Sha256::digest(octets)).ok()?;
                Some(signature.as_ref().to_vec())
            }
        }
    }
}

/// Makes a key in a new file that its owner alone can read: PKCS#8 in PEM. `bits` is for RSA: 2048,
/// 3072 or 4096.
///
/// # Errors
/// [`KeyError::Make`], also where the file is there already.
pub fn generate(path: &Path, algorithm: Algorithm, bits: u32) -> Result<Key, KeyError> {
    let failed = |source| KeyError::Make {
        path: path.to_owned(),
        source,
    };
    let der = secret(algorithm, bits)
        .ok_or_else(|| failed(std::io::Error::other("the key cannot be generated")))?;
    let mut pem = Zeroizing::new(String::with_capacity(der.len() * 2));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let text = Zeroizing::new(STANDARD.encode(&*der));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            let written = file
                .write_all(pem.as_bytes())
                .and_then(|()| file.sync_all());
            if written.is_err() {
                let _ = fs::remove_file(path);
            }
            written
        });
    written.map_err(failed)?;
    Key::load(path)
}

/// A new private key as PKCS#8.
fn secret(algorithm: Algorithm, bits: u32) -> Option<Zeroizing<Vec<u8>>> {
    match algorithm {
        Algorithm::Rsa => {
            let size = match bits {
                2048 => KeySize::Rsa2048,
                3072 => KeySize::Rsa3072,
                4096 => KeySize::Rsa4096,
                _ => return None,
            };
            let pair = RsaKeyPair::generate(size).ok()?;
            let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
            Some(Zeroizing::new(der.as_ref().to_vec()))
        }
        Algorithm::Ed25519 => {
            // The form of RFC 8410 section 7 without the public key, which OpenSSL reads too.
            let pair = Ed25519KeyPair::generate().ok()?;
            let der = pair.to_pkcs8v1().ok()?;
            Some(Zeroizing::new(der.as_ref().to_vec()))
        }
    }
}
