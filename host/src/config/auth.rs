//! `[auth]`: where users are kept, what is asked of NTLM clients, and what users are told who lack
//! a verifier.

use std::path::{Path, PathBuf};

use super::names::{is_netbios, netbios_of};
use super::reader::Section;

/// Where users are kept, and what is asked of NTLM clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
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
        if let Some(value) = section.value("backend")
            && let Some(text) = value.text()
        {
            match text {
                "file" => {}
                "sql" | "ldap" | "pam" | "oauth" => {
                    value.error(format!("\"{text}\": not in this version; use \"file\""));
                }
                // Words of later versions too, so that a slip in one of them is recognized.
                _ => {
                    value.choice(&["file", "sql", "ldap", "pam", "oauth"].map(|word| (word, ())));
                }
            }
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
}
