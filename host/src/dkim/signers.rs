//! All keys that sign here, and which of them sign what.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::digest::Digest;
use super::key::{Key, KeyError};
use super::sign::sign;
use crate::config;

/// One key with the domain that it signs for.
#[derive(Debug)]
pub struct Signer {
    /// `d=`, in ASCII and lower case.
    pub(super) domain: String,
    /// Whether it signs for authors of domains below, too.
    subdomains: bool,
    /// `s=`
    pub(super) selector: String,
    /// `i=`
    pub(super) identity: Option<String>,
    /// How long a signature holds.
    pub(super) expire: Option<Duration>,
    key: Arc<KeyFile>,
}

/// A key and its file, which is looked at again.
#[derive(Debug)]
struct KeyFile {
    path: PathBuf,
    current: ArcSwap<Key>,
    seen: Mutex<Option<SystemTime>>,
}

impl KeyFile {
    fn load(path: &Path) -> Result<Self, KeyError> {
        let seen = modified(path);
        Ok(Self {
            current: ArcSwap::from_pointee(Key::load(path)?),
            path: path.to_owned(),
            seen: Mutex::new(seen),
        })
    }

    /// Whether there is a new key. Trouble is told once for each change of the file.
    fn refresh(&self) -> Result<bool, KeyError> {
        let now = modified(&self.path);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        self.current.store(Arc::new(Key::load(&self.path)?));
        Ok(true)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}

impl Signer {
    /// The key in force.
    pub(super) fn key(&self) -> Arc<Key> {
        self.key.current.load_full()
    }
}

/// All keys of a configuration.
#[derive(Debug, Default)]
pub struct Signers {
    signers: Vec<Signer>,
    files: Vec<Arc<KeyFile>>,
}

impl Signers {
    /// Reads all keys.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn new(settings: &[config::Dkim]) -> Result<Self, KeyError> {
        let mut all = Self::default();
        for one in settings {
            let key = Arc::new(KeyFile::load(&one.key)?);
            all.signers.extend(one.domains.iter().map(|domain| Signer {
                domain: ascii_domain(domain).unwrap_or_else(|| domain.to_ascii_lowercase()),
                subdomains: one.subdomains,
                selector: one.selector.clone(),
                identity: one.identity.clone(),
                expire: one.expire,
                key: Arc::clone(&key),
            }));
            all.files.push(key);
        }
        Ok(all)
    }

    /// Whether nothing is ever signed.
    pub fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    /// Reads the files again that have changed. A key that cannot be used leaves the old one in force.
    ///
    /// # Errors
    /// Each with its file.
    pub fn refresh(&self) -> Vec<Result<PathBuf, KeyError>> {
        self.files
            .iter()
            .filter_map(|file| match file.refresh() {
                Ok(true) => Some(Ok(file.path.clone())),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    /// The keys for a message of this author: those of his domain, else those of the nearest domain
    /// above that signs for what is below it. In the order of the configuration.
    pub fn of(&self, author: &str) -> Vec<&Signer> {
        let Some(domain) = domain_of(author).and_then(ascii_domain) else {
            return Vec::new();
        };
        let own: Vec<&Signer> = self
            .signers
            .iter()
            .filter(|signer| signer.domain == domain)
            .collect();
        if !own.is_empty() {
            return own;
        }
        let mut rest = domain.as_str();
        while let Some((_, above)) = rest.split_once('.') {
            let those: Vec<&Signer> = self
                .signers
                .iter()
                .filter(|signer| signer.subdomains && signer.domain == above)
                .collect();
            if !those.is_empty() {
                return those;
            }
            rest = above;
        }
        Vec::new()
    }

    /// The DKIM-Signature fields of a message of this author, which go before all of it; empty where
    /// no key is for him.
    ///
    /// Takes about 1 ms for an RSA key of 2048 bits, so not for a thread that others wait for.
    pub fn fields(&self, author: &str, digest: &Digest, now: SystemTime) -> String {
        self.of(author)
            .into_iter()
            .filter_map(|signer| {
                let field = sign(signer, digest, now);
                if field.is_none() {
                    tracing::error!(
                        domain = signer.domain,
                        selector = signer.selector,
                        "cannot sign: the machine gives no randomness or no memory"
                    );
                }
                field
            })
            .collect()
    }
}

/// The domain of a mailbox.
pub fn domain_of(mailbox: &str) -> Option<&str> {
    mailbox.rsplit_once('@').map(|(_, domain)| domain)
}

/// A domain with A-labels, in lower case (RFC 8616 section 4); `None` for an address literal.
pub fn ascii_domain(domain: &str) -> Option<String> {
    if domain.starts_with('[') {
        return None;
    }
    idna::domain_to_ascii(domain).ok()
}
