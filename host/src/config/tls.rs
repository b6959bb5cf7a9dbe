//! `[tls]`: the certificate that listeners show.

use std::path::{Path, PathBuf};

use super::reader::Section;

/// Certificate and key, as PEM files. Whether they can be read and fit together is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by those that lead to a root.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

impl TlsFiles {
    pub(super) fn read(section: &Section<'_>, base: &Path) -> Option<Self> {
        let certificate = section.value("certificate");
        let key = section.value("key");
        match (&certificate, &key) {
            (Some(_), None) => {
                section.error("certificate", "has no key; add key = \"FILE\" to [tls]")
            }
            (None, Some(_)) => {
                section.error(
                    "key",
                    "has no certificate; add certificate = \"FILE\" to [tls]",
                );
            }
            (None, None) if section.is_there() => section.error(
                "",
                "names no certificate and no key; name both, or remove the table for a \
                 self-signed one",
            ),
            _ => {}
        }
        Some(Self {
            certificate: certificate?.file(base)?,
            key: key?.file(base)?,
        })
    }
}
