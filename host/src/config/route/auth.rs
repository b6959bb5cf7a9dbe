//! `auth` of a route: who to be at the next server, and how to prove it.
//!
//! There is one source of secrets: a password (`password-file`, `password-command`) or access tokens
//! (`token-command`, or `token-url` with what belongs to it). It decides which mechanisms there are.

use std::path::{Path, PathBuf};

use crate::config::reader::{Section, Value, nearest, one_of};
use crate::oauth::Grant;

/// SASL mechanisms of the client role in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMechanism {
    /// XOAUTH2 of Google and Microsoft.
    Xoauth2,
    /// RFC 7628.
    Oauthbearer,
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 5802 with channel binding.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// [MS-SMTPNTLM].
    Ntlm,
    /// RFC 2195.
    CramMd5,
    /// RFC 4616.
    Plain,
    /// [MS-XLOGIN].
    Login,
}

impl ClientMechanism {
    /// All of them, in the order in which they are tried (CL-mech-order).
    pub const ALL: [Self; 10] = [
        Self::Xoauth2,
        Self::Oauthbearer,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Ntlm,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
    ];

    /// As the configuration file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xoauth2 => "xoauth2",
            Self::Oauthbearer => "oauthbearer",
            Self::ScramSha256Plus => "scram-sha-256-plus",
            Self::ScramSha1Plus => "scram-sha-1-plus",
            Self::ScramSha256 => "scram-sha-256",
            Self::ScramSha1 => "scram-sha-1",
            Self::Ntlm => "ntlm",
            Self::CramMd5 => "cram-md5",
            Self::Plain => "plain",
            Self::Login => "login",
        }
    }

    /// Whether it takes an access token, and no password.
    pub fn takes_token(self) -> bool {
        matches!(self, Self::Xoauth2 | Self::Oauthbearer)
    }

    /// Whether the server gets the secret itself (CL-mech-clear).
    pub fn shows_secret(self) -> bool {
        self.takes_token() || matches!(self, Self::Plain | Self::Login)
    }
}

/// Mechanisms of later versions: it needs a certificate of our own.
const LATER: [&str; 1] = ["external"];

/// Who to be at the next server, and how to prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteAuth {
    /// Name of the account, or the mailbox whose token it is. No default.
    pub user: String,
    /// NTLM domain. Default: empty; `DOMAIN\user` is understood too.
    pub domain: String,
    /// What to use, the first that the server offers. Default: all that the secret is good for, in
    /// the order of CL-mech-order. Never empty.
    pub mechanisms: Vec<ClientMechanism>,
    /// Whether the server may get the secret itself without TLS or under an unverified certificate.
    /// Default false (CL-mech-clear, CL-mech-verified).
    pub clear_text: bool,
    /// Where the secret comes from. No default.
    pub secret: Secret,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// A file with the password alone.
    PasswordFile(PathBuf),
    /// The standard output of a command.
    PasswordCommand(String),
    /// An access token.
    Token(Grant),
}

impl Secret {
    fn is_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

/// The keys that say where a secret comes from: one of them is needed.
const SOURCES: [&str; 4] = [
    "password-file",
    "password-command",
    "token-command",
    "token-url",
];

/// What belongs to `token-url`.
const WITH_URL: [&str; 4] = [
    "client-id",
    "client-secret-file",
    "refresh-token-file",
    "scope",
];

impl RouteAuth {
    /// `auth` of a route; `None`: it has none, or what it has is wrong.
    pub(super) fn read(section: &Section<'_>, base: &Path) -> Option<Self> {
        if !section.is_there() {
            return None;
        }
        let user = read_user(section);
        let wanted = read_mechanisms(section);
        let secret = read_secret(section, base, wanted.as_deref());
        let clear_text = section
            .value("clear-text")
            .and_then(|value| value.boolean())
            .unwrap_or(false);
        let domain = section
            .value("domain")
            .and_then(|value| value.words("an NTLM domain, such as \"EXAMPLE\""))
            .unwrap_or_default();
        let (user, secret) = (user?, secret?);
        let usable = |mechanism: &ClientMechanism| mechanism.takes_token() == secret.is_token();
        let mechanisms = match wanted {
            Some(wanted) => {
                let useless = wanted.iter().filter(|mechanism| !usable(mechanism));
                let useless: Vec<&str> = useless.map(|mechanism| mechanism.name()).collect();
                if !useless.is_empty() {
                    section.error(mechanism_key(section), mismatch(&useless, &secret));
                    return None;
                }
                wanted
            }
            None => ClientMechanism::ALL.into_iter().filter(usable).collect(),
        };
        if mechanisms.is_empty() {
            return None;
        }
        if !domain.is_empty() && !mechanisms.contains(&ClientMechanism::Ntlm) {
            section.warning("domain", "has no effect without \"ntlm\"");
        }
        Some(Self {
            user,
            domain: domain.to_owned(),
            mechanisms,
            clear_text,
            secret,
        })
    }
}

/// The key that says which mechanisms, or the table.
pub(super) fn mechanism_key(section: &Section<'_>) -> &'static str {
    ["mechanisms", "mechanism"]
        .into_iter()
        .find(|key| section.value(key).is_some())
        .unwrap_or("")
}

fn mismatch(useless: &[&str], secret: &Secret) -> String {
    let names = useless.join(" and ");
    if secret.is_token() {
        format!(
            "{names} takes a password, and there is a token: use \"xoauth2\" or \"oauthbearer\", or \
             password-file"
        )
    } else {
        format!(
            "{names} takes an access token, and there is a password: use token-command or \
             token-url, or another mechanism"
        )
    }
}

fn read_user(section: &Section<'_>) -> Option<String> {
    let Some(value) = section.value("user") else {
        section.error(
            "user",
            "is missing; name the account at that server, such as \"relay@example.net\"",
        );
        return None;
    };
    value
        .words("the name of the account at that server")
        .map(ToOwned::to_owned)
}

/// `None`: nobody wants any in particular. What is wrong is left out.
fn read_mechanisms(section: &Section<'_>) -> Option<Vec<ClientMechanism>> {
    let one = section.value("mechanism");
    let Some(value) = section.value("mechanisms") else {
        return one.map(|value| read_mechanism(&value).into_iter().collect());
    };
    if one.is_some() {
        section.error(
            "mechanism",
            "and mechanisms are both given; keep one of them",
        );
    }
    let elements = value.list().unwrap_or_default();
    if value.is_list() && elements.is_empty() {
        value.error("is empty; name one, or leave the key out for all that fit");
    }
    let mut mechanisms = Vec::new();
    for element in &elements {
        match read_mechanism(element) {
            Some(mechanism) if mechanisms.contains(&mechanism) => {
                element.warning("is listed twice");
            }
            Some(mechanism) => mechanisms.push(mechanism),
            None => {}
        }
    }
    Some(mechanisms)
}

fn read_mechanism(value: &Value<'_>) -> Option<ClientMechanism> {
    let text = value.text()?;
    let known = ClientMechanism::ALL
        .into_iter()
        .find(|mechanism| mechanism.name() == text);
    if known.is_none() {
        let names = ClientMechanism::ALL.map(ClientMechanism::name);
        if LATER.contains(&text) {
            value.error(format!(
                "\"{text}\": not in this version; use {}",
                one_of(&names)
            ));
        } else {
            let all: Vec<&str> = names.iter().chain(&LATER).copied().collect();
            let near = nearest(text, &all).map(|near| format!("; nearest: \"{near}\""));
            value.error(format!(
                "\"{text}\" is not known; use {}{}",
                one_of(&names),
                near.unwrap_or_default()
            ));
        }
    }
    known
}

fn read_secret(
    section: &Section<'_>,
    base: &Path,
    wanted: Option<&[ClientMechanism]>,
) -> Option<Secret> {
    let given = SOURCES.map(|key| section.value(key).map(|value| (key, value)));
    let mut given = given.into_iter().flatten();
    let (first, more) = (given.next(), given.next());
    if !matches!(&first, Some(("token-url", _))) && more.is_none() {
        for key in WITH_URL {
            if section.value(key).is_some() {
                section.error(
                    key,
                    "belongs to token-url, the address of the token server, which is missing",
                );
            }
        }
    }
    let Some((key, value)) = first else {
        let tokens = wanted.is_some_and(|wanted| {
            !wanted.is_empty() && wanted.iter().all(|mechanism| mechanism.takes_token())
        });
        section.error(
            "",
            if tokens {
                "has no token-command and no token-url, so there is no access token; add one"
            } else {
                "has no password: add password-file or password-command (or token-command or \
                 token-url for an access token)"
            },
        );
        return None;
    };
    if let Some((other, value)) = more {
        value.error(format!(
            "and {key} are both given: which is the secret? keep {key} or {other}"
        ));
        return None;
    }
    let command = |value: &Value<'_>| {
        let text = value.words("a command, such as \"/usr/local/bin/secret\"")?;
        Some(text.to_owned())
    };
    match key {
        "password-file" => value.file(base).map(Secret::PasswordFile),
        "password-command" => command(&value).map(Secret::PasswordCommand),
        "token-command" => command(&value).map(|command| Secret::Token(Grant::Command(command))),
        _ => read_grant(section, &value, base).map(Secret::Token),
    }
}

/// `token-url` and what belongs to it.
fn read_grant(section: &Section<'_>, url: &Value<'_>, base: &Path) -> Option<Grant> {
    let token_url = read_url(url);
    let client_id = match section.value("client-id") {
        Some(value) => value
            .words("the identifier that the token server gave to this client")
            .map(ToOwned::to_owned),
        None => {
            section.error(
                "client-id",
                "is missing: the identifier that the token server gave to this client",
            );
            None
        }
    };
    let file = |key| section.value(key).map(|value| value.file(base));
    let (secret, refresh) = (file("client-secret-file"), file("refresh-token-file"));
    let scope = section.value("scope").map(|value| {
        value
            .words("scopes with spaces between them")
            .map(ToOwned::to_owned)
    });
    if secret.is_none() && refresh.is_none() {
        section.error(
            "token-url",
            "needs refresh-token-file (the consent of a person, from `pillarbox oauth login`) or \
             client-secret-file (an application of its own right)",
        );
    }
    // Wrong is no better than missing: `Some(None)` ends it here.
    let (secret, refresh, scope) = (optional(secret)?, optional(refresh)?, optional(scope)?);
    let (token_url, client_id) = (token_url?, client_id?);
    match (refresh, secret) {
        (Some(refresh_token_file), client_secret_file) => Some(Grant::RefreshToken {
            token_url,
            client_id,
            client_secret_file,
            refresh_token_file,
            scope,
        }),
        (None, Some(client_secret_file)) => Some(Grant::ClientCredentials {
            token_url,
            client_id,
            client_secret_file,
            scope,
        }),
        (None, None) => None,
    }
}

/// Absent is good, wrong is not.
fn optional<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

/// `https`, or `http` to this machine.
fn read_url(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let split = text.split_once("://");
    let authority = split.map_or("", |(_, rest)| {
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    });
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bad = |c: char| c.is_whitespace() || c.is_control();
    // An address: what `localhost` is, is for somebody else to say.
    let here = bare
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    let why = match split {
        _ if authority.contains('@') => "has a user in it; use client-id and client-secret-file",
        _ if text.contains(bad) || text.contains('#') || host.is_empty() => {
            "is no address; use \"https://HOST/PATH\""
        }
        Some(("https", _)) => return Some(text.to_owned()),
        Some(("http", _)) if here => return Some(text.to_owned()),
        // RFC 6749 section 3.2
        Some(("http", _)) => {
            "would show secrets to everybody on the way; use https:// (or http://127.0.0.1)"
        }
        _ => "is no address; use \"https://HOST/PATH\"",
    };
    value.error(format!("the token server's address {why}"));
    None
}
