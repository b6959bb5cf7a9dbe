//! Who to be: the mechanisms to try and the password's file.

use super::Refusal;
use crate::outbound::{CredentialsError, Login, Provider};
use crate::sandbox::v0_1::client::Credentials;
use crate::sandbox::v0_1::types;
use async_trait::async_trait;
use clap::ValueEnum;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Octets of the first line of a password's file: a mistaken file is not read whole.
const MOST_PASSWORD: u64 = 4_096;

/// Mechanisms of the client session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mechanism {
    /// The password itself, in two lines.
    Login,
    /// A challenge and a response; the password stays here.
    Ntlm,
    /// The password itself.
    Plain,
}

impl From<Mechanism> for types::Mechanism {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Login => Self::Login,
            Mechanism::Ntlm => Self::Ntlm,
            Mechanism::Plain => Self::Plain,
        }
    }
}

/// Options that say who to be.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Options {
    /// The one mechanism to use. Default with --user: NTLM, PLAIN, LOGIN, as the server offers.
    #[arg(long, value_name = "MECH", ignore_case = true)]
    pub(super) auth: Option<Mechanism>,
    /// Who to authenticate as.
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    /// NTLM domain. Also DOMAIN\USER in --user.
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// File whose first line is the password; not readable by others.
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Allow PLAIN and LOGIN without TLS or without a verified certificate: the password goes to
    /// whoever is at the other end or on the way.
    #[arg(long)]
    pub(super) clear_text: bool,
}

impl Options {
    /// The checked login; without a user none.
    pub(super) fn login(&self) -> Result<Login, Refusal> {
        let usage = |text: &str| Err(Refusal::Usage(text.into()));
        match (&self.user, &self.password_file) {
            (Some(user), _) if user.is_empty() => usage("--user is empty"),
            (Some(user), Some(file)) => {
                let password = password(file).map_err(Refusal::Failed)?;
                Ok(self.with(user, password))
            }
            (Some(_), None) => usage("--user needs --password-file"),
            (None, Some(_)) => usage("--password-file needs --user"),
            (None, None) if self.auth.is_some() => usage("--auth needs --user and --password-file"),
            (None, None) if self.domain.is_some() => usage("--domain needs --user"),
            (None, None) => Ok(Login::default()),
        }
    }

    /// The login of this user.
    pub(super) fn with(&self, user: &str, password: SecretString) -> Login {
        Login {
            mechanisms: self.mechanisms(),
            clear_text: self.clear_text,
            provider: Some(Arc::new(Fixed {
                user: user.to_owned(),
                domain: self.domain.clone().unwrap_or_default(),
                password,
            })),
        }
    }

    /// CL-mech-order, as far as this version has mechanisms.
    fn mechanisms(&self) -> Vec<types::Mechanism> {
        match self.auth {
            Some(mechanism) => vec![mechanism.into()],
            None => vec![
                types::Mechanism::Ntlm,
                types::Mechanism::Plain,
                types::Mechanism::Login,
            ],
        }
    }
}

/// One user with a password.
struct Fixed {
    user: String,
    domain: String,
    password: SecretString,
}

#[async_trait]
impl Provider for Fixed {
    async fn credentials(
        &self,
        mechanism: types::Mechanism,
    ) -> Result<Credentials, CredentialsError> {
        // [MS-NLMP] has user and domain apart; people write them together.
        let (domain, user) = match self.user.split_once('\\') {
            Some((domain, user))
                if mechanism == types::Mechanism::Ntlm && self.domain.is_empty() =>
            {
                (domain, user)
            }
            _ => (self.domain.as_str(), self.user.as_str()),
        };
        Ok(Credentials {
            user: user.to_owned(),
            domain: domain.to_owned(),
            workstation: String::new(),
            secret: self.password.expose_secret().to_owned(),
        })
    }
}

/// The first line of a file that others cannot read.
pub(super) fn password(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("cannot read the password from {shown}: {error}");
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // A pipe (`<(pass show mail)`) has no readers to fear.
    if metadata.is_file() && metadata.permissions().mode() & 0o007 != 0 {
        return Err(format!(
            "{shown} can be read by everybody on this system, so its password is not used: \
             change it, then run chmod 600 {shown}"
        ));
    }
    let mut line = Zeroizing::new(String::with_capacity(256));
    BufReader::new(file.take(MOST_PASSWORD))
        .read_line(&mut line)
        .map_err(failed)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(format!(
            "the first line of {shown} is empty; it must be the password"
        ));
    }
    Ok(SecretString::from(password))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_password_is_the_first_line_of_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "s3 cret \r\nmore\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&path).unwrap().expose_secret(), "s3 cret ");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = password(&path).unwrap_err();
        assert!(error.contains("chmod 600"), "{error}");
        fs::write(&path, "\nsecret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(password(&path).unwrap_err().contains("empty"));
    }

    #[test]
    fn cl_mech_order_without_a_configured_mechanism() {
        let order = Options::default().mechanisms();
        use types::Mechanism::{Login, Ntlm, Plain};
        assert_eq!(order, [Ntlm, Plain, Login]);
        let one = Options {
            auth: Some(Mechanism::Login),
            ..Options::default()
        };
        assert_eq!(one.mechanisms(), [Login]);
    }

    #[tokio::test]
    async fn ntlm_gets_user_and_domain_apart() {
        let login = Options::default().with("CORP\\alice", SecretString::from("x"));
        let provider = login.provider.unwrap();
        let ntlm = provider.credentials(types::Mechanism::Ntlm).await.unwrap();
        assert_eq!(
            (ntlm.domain.as_str(), ntlm.user.as_str()),
            ("CORP", "alice")
        );
        let plain = provider.credentials(types::Mechanism::Plain).await.unwrap();
        assert_eq!(plain.user, "CORP\\alice");
    }
}
