//! `[auth]`: where users are kept, whose tokens are good, what is asked of NTLM clients, and what
//! users are told who lack a verifier.

use std::path::{Path, PathBuf};

use super::issuer::Issuer;
use super::names::{is_netbios, netbios_of};
use super::reader::Section;

/// Where users are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In the users file.
    File,
    /// Nowhere here: issuers of tokens know them.
    Oauth,
}

/// Where users are kept, whose tokens are good, and what is asked of NTLM clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// Where users are kept. Default the users file.
    pub backend: Backend,
    /// `[[auth.issuer]]`. Default: empty, no tokens.
    pub issuers: Vec<Issuer>,
    /// The users file. Default `users.toml` in the state folder, which the service may write and
    /// nobody else may read.
    pub path: PathBuf,
    /// An NTLM message integrity code must be there. Default false: clients like curl and older
    /// copiers send none (profile NLMP-3.2.5-d).
    pub ntlm_mic_required: bool,
    /// NetBIOS domain name in NTLM challenges. Default: first label of the hostname, upper case, at
    /// most 15 octets; a lone server is its own domain.
    pub ntlm_domain: String,
    /// NetBIOS computer name in NTLM challenges. Default as for the domain.
    pub ntlm_computer: String,
    /// A user who lacks what a mechanism checks against is told to log in once with PLAIN (432).
    /// Default false: it tells that the user exists (profile R4954-6-d).
    pub transition: bool,
}

impl AuthSettings {
    pub(super) fn read(
        section: &Section<'_>,
        base: &Path,
        state_dir: &Path,
        hostname: &str,
    ) -> Self {
        let backend = Self::read_backend(section).unwrap_or(Backend::File);
        let issuers = Issuer::read_all(section, base, backend);
        if backend == Backend::Oauth {
            without_users(section);
        }
        let name = |key| {
            let value = section.value(key)?;
            let text = value.text()?;
            if !is_netbios(text) {
                value.error(format!(
                    "\"{text}\" is no NetBIOS name: 1 to 15 letters, digits or hyphens, no dots"
                ));
                return None;
            }
            Some(text.to_owned())
        };
        Self {
            backend,
            issuers,
            path: section
                .value("path")
                .and_then(|value| value.file(base))
                .unwrap_or_else(|| state_dir.join("users.toml")),
            ntlm_mic_required: section
                .value("ntlm-mic")
                .and_then(|value| value.choice(&[("accepted", false), ("required", true)]))
                .unwrap_or(false),
            ntlm_domain: name("ntlm-domain").unwrap_or_else(|| netbios_of(hostname)),
            ntlm_computer: name("ntlm-computer").unwrap_or_else(|| netbios_of(hostname)),
            transition: section
                .value("transition")
                .and_then(|value| value.boolean())
                .unwrap_or(false),
        }
    }

    fn read_backend(section: &Section<'_>) -> Option<Backend> {
        let value = section.value("backend")?;
        match value.text()? {
            "file" => Some(Backend::File),
            "oauth" => Some(Backend::Oauth),
            text @ ("sql" | "ldap" | "pam") => {
                value.error(format!(
                    "\"{text}\": not in this version; use \"file\" or \"oauth\""
                ));
                None
            }
            // Words of later versions too, so that a slip in one of them is recognized.
            _ => {
                value.choice(&["file", "sql", "ldap", "pam", "oauth"].map(|word| (word, ())));
                None
            }
        }
    }
}

/// Rules of `backend = "oauth"`: all that is known of users is in tokens.
fn without_users(section: &Section<'_>) {
    if section.value("issuer").is_none() {
        section.error(
            "backend",
            "\"oauth\" needs [[auth.issuer]], which says whose tokens are good",
        );
    }
    if section.value("path").is_some() {
        section.warning("path", "has no effect with backend = \"oauth\"");
    }
}
