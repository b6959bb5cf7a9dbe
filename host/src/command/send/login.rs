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

/// Octets of the first line of a password's or token's file: a mistaken file is not read whole.
/// Tokens of some services have thousands; RFC 4954 section 4 has lines of 12,288 in base64.
const MOST_SECRET: u64 = 9_216;

/// Mechanisms of the client session. EXTERNAL needs a certificate of ours, which is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mechanism {
    /// A challenge and a response; the password stays here.
    #[value(name = "cram-md5")]
    #[serde(rename = "cram-md5")]
    CramMd5,
    /// The password itself, in two lines.
    Login,
    /// A challenge and a response; the password stays here.
    Ntlm,
    /// An access token, with the server's name.
    Oauthbearer,
    /// The password itself.
    Plain,
    /// Both sides prove that they know the password, which stays here.
    #[value(name = "scram-sha-1")]
    #[serde(rename = "scram-sha-1")]
    ScramSha1,
    /// The same, bound to the TLS connection.
    #[value(name = "scram-sha-1-plus")]
    #[serde(rename = "scram-sha-1-plus")]
    ScramSha1Plus,
    /// Both sides prove that they know the password, which stays here.
    #[value(name = "scram-sha-256")]
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// The same, bound to the TLS connection.
    #[value(name = "scram-sha-256-plus")]
    #[serde(rename = "scram-sha-256-plus")]
    ScramSha256Plus,
    /// An access token, as Google and Microsoft take it.
    Xoauth2,
}

impl Mechanism {
    fn takes_token(self) -> bool {
        matches!(self, Self::Oauthbearer | Self::Xoauth2)
    }
}

impl From<Mechanism> for types::Mechanism {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::CramMd5 => Self::CramMd5,
            Mechanism::Login => Self::Login,
            Mechanism::Ntlm => Self::Ntlm,
            Mechanism::Oauthbearer => Self::Oauthbearer,
            Mechanism::Plain => Self::Plain,
            Mechanism::ScramSha1 => Self::ScramSha1,
            Mechanism::ScramSha1Plus => Self::ScramSha1Plus,
            Mechanism::ScramSha256 => Self::ScramSha256,
            Mechanism::ScramSha256Plus => Self::ScramSha256Plus,
            Mechanism::Xoauth2 => Self::Xoauth2,
        }
    }
}

/// Options that say who to be.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Options {
    /// The one mechanism to use. Default: with a password the first that the server offers of
    /// SCRAM, NTLM, CRAM-MD5, PLAIN, LOGIN; with a token of XOAUTH2, OAUTHBEARER.
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
    /// File whose first line is an OAuth access token; not readable by others.
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    pub(super) token_file: Option<PathBuf>,
    /// Allow PLAIN, LOGIN and tokens without TLS or without a verified certificate: the password
    /// goes to whoever is at the other end or on the way.
    #[arg(long)]
    pub(super) clear_text: bool,
}

impl Options {
    /// The checked login; without a user none.
    pub(super) fn login(&self) -> Result<Login, Refusal> {
        let usage = |text: &str| Err(Refusal::Usage(text.into()));
        let file = match (&self.password_file, &self.token_file) {
            (Some(_), Some(_)) => return usage("--token-file and --password-file are two secrets"),
            (Some(file), None) => Some((file, "password")),
            (None, Some(file)) => Some((file, "token")),
            (None, None) => None,
        };
        match self.auth {
            Some(mechanism) if mechanism.takes_token() && self.password_file.is_some() => {
                return usage("--auth with a token needs --token-file, not --password-file");
            }
            Some(mechanism) if !mechanism.takes_token() && self.token_file.is_some() => {
                return usage("--auth with a password needs --password-file, not --token-file");
            }
            _ => {}
        }
        match (&self.user, file) {
            (Some(user), _) if user.is_empty() => usage("--user is empty"),
            (Some(user), Some((file, what))) => {
                let secret = secret(file, what).map_err(Refusal::Failed)?;
                Ok(self.with(user, secret))
            }
            (Some(_), None) => usage("--user needs --password-file or --token-file"),
            (None, Some((_, what))) => usage(&format!("--{what}-file needs --user")),
            (None, None) if self.auth.is_some() => {
                usage("--auth needs --user, and --password-file or --token-file")
            }
            (None, None) if self.domain.is_some() => usage("--domain needs --user"),
            (None, None) => Ok(Login::default()),
        }
    }

    /// The login of this user.
    pub(super) fn with(&self, user: &str, secret: SecretString) -> Login {
        Login {
            mechanisms: self.mechanisms(),
            clear_text: self.clear_text,
            provider: Some(Arc::new(Fixed {
                user: user.to_owned(),
                domain: self.domain.clone().unwrap_or_default(),
                secret,
            })),
        }
    }

    /// CL-mech-order.
    fn mechanisms(&self) -> Vec<types::Mechanism> {
        use types::Mechanism as Of;
        match self.auth {
            Some(mechanism) => vec![mechanism.into()],
            None if self.token_file.is_some() => vec![Of::Xoauth2, Of::Oauthbearer],
            None => vec![
                Of::ScramSha256Plus,
                Of::ScramSha1Plus,
                Of::ScramSha256,
                Of::ScramSha1,
                Of::Ntlm,
                Of::CramMd5,
                Of::Plain,
                Of::Login,
            ],
        }
    }
}

/// One user with a password or a token.
struct Fixed {
    user: String,
    domain: String,
    secret: SecretString,
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
            secret: self.secret.expose_secret().to_owned(),
        })
    }
}

/// The first line of a file that others cannot read; `what` it is, for a person.
fn secret(path: &Path, what: &str) -> Result<SecretString, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("cannot read the {what} from {shown}: {error}");
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // A pipe (`<(pass show mail)`) has no readers to fear.
    if metadata.is_file() && metadata.permissions().mode() & 0o007 != 0 {
        return Err(format!(
            "{shown} can be read by everybody on this system, so its {what} is not used: \
             change it, then run chmod 600 {shown}"
        ));
    }
    let mut line = Zeroizing::new(String::with_capacity(256));
    BufReader::new(file.take(MOST_SECRET))
        .read_line(&mut line)
        .map_err(failed)?;
    if line.len() as u64 == MOST_SECRET && !line.ends_with('\n') {
        return Err(format!(
            "the first line of {shown} is longer than any {what}; it must be the {what}"
        ));
    }
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!(
            "the first line of {shown} is empty; it must be the {what}"
        ));
    }
    Ok(SecretString::from(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_secret_is_the_first_line_of_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = || secret(&path, "password");
        fs::write(&path, "s3 cret \r\nmore\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read().unwrap().expose_secret(), "s3 cret ");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read().unwrap_err();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "\nsecret\n").unwrap();
        assert!(read().unwrap_err().contains("empty"));
        // Not a part of it.
        fs::write(&path, "x".repeat(20_000)).unwrap();
        assert!(read().unwrap_err().contains("longer"));
    }

    fn options(words: &str) -> Options {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            options: Options,
        }
        let words = ["send"].into_iter().chain(words.split_whitespace());
        <Command as clap::Parser>::try_parse_from(words)
            .unwrap()
            .options
    }

    #[test]
    fn cl_mech_order_without_a_configured_mechanism() {
        let names = |words: &str| -> Vec<String> {
            let mechanisms = options(words).mechanisms().into_iter();
            mechanisms
                .map(|mechanism| format!("{mechanism:?}"))
                .collect()
        };
        let order = names("--user u --password-file p").join(" ");
        assert_eq!(
            order,
            "Mechanism::ScramSha256Plus Mechanism::ScramSha1Plus Mechanism::ScramSha256 \
             Mechanism::ScramSha1 Mechanism::Ntlm Mechanism::CramMd5 Mechanism::Plain \
             Mechanism::Login"
        );
        let order = names("--user u --token-file t").join(" ");
        assert_eq!(order, "Mechanism::Xoauth2 Mechanism::Oauthbearer");
        for (name, one) in [
            ("login", "Login"),
            ("SCRAM-SHA-256-PLUS", "ScramSha256Plus"),
            ("scram-sha-1", "ScramSha1"),
            ("CRAM-MD5", "CramMd5"),
            ("OAuthBearer", "Oauthbearer"),
        ] {
            let one = format!("Mechanism::{one}");
            assert_eq!(names(&format!("--auth {name}")), [one]);
        }
    }

    #[test]
    fn names_are_those_of_the_contract() {
        for own in Mechanism::value_variants() {
            let value = own.to_possible_value().unwrap();
            let read: Mechanism =
                serde_json::from_str(&format!("\"{}\"", value.get_name())).unwrap();
            assert_eq!(read, *own);
        }
    }

    #[test]
    fn tokens_and_passwords_are_not_mixed_up() {
        for words in [
            "--user u --auth xoauth2 --password-file p",
            "--user u --auth plain --token-file t",
            "--token-file t",
            "--auth xoauth2",
        ] {
            let login = options(words).login();
            assert!(matches!(login, Err(Refusal::Usage(_))), "{words}");
        }
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
