//! `[[auth.issuer]]`: whose access tokens are good for AUTH, and for whom.
//!
//! A token is judged by a signature (JWT, RFC 7519, by the rules of RFC 8725) or by its issuer, who is
//! asked (introspection, RFC 7662). The one key that says how decides which others have a meaning.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily};

use super::auth::Backend;
use super::names::check_domain;
use super::reader::{Section, Value, nearest, one_of};
use crate::oauth::endpoint;

/// Claims that may name the user, the first that a token has: what people call their account comes
/// before what only the issuer understands. RFC 7662 section 2.2 has `username`.
pub const USER_CLAIMS: [&str; 5] = ["username", "email", "preferred_username", "upn", "sub"];

/// Algorithms by name (RFC 7518 section 3.1, RFC 8037 section 3.1). `none` is not among them.
const ALGORITHMS: [(&str, Algorithm); 12] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
];

/// Somebody whose access tokens are good here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` of its tokens. `None` only with introspection: then it judges tokens that are no
    /// JWTs, and those of issuers that nobody else here is.
    pub issuer: Option<String>,
    /// `aud`: one of these must be among a token's. Empty only with introspection.
    pub audiences: Vec<String>,
    /// How its tokens are judged.
    pub judge: Judge,
    /// How far its clock may be from ours. Default 1 minute: machines without NTP.
    pub leeway: Duration,
    /// Each must be among a token's `scope`, `scp` or `roles`. Default: none.
    pub scope: Vec<String>,
    /// Clients whose tokens are good: `azp`, `appid` or `client_id`. Default: empty, all of them.
    pub clients: Vec<String>,
    /// The first of these claims that a token has names the user. Default [`USER_CLAIMS`].
    pub user_claims: Vec<String>,
    /// Domains whose users need no record: the claim is their mailbox. Default: empty, everybody
    /// needs one.
    pub domains: Vec<String>,
}

/// How tokens are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judge {
    /// By a signature.
    Signature {
        /// Whose.
        keys: KeySource,
        /// By which algorithms. Default: all that the kind of key has, never `none`.
        algorithms: Vec<Algorithm>,
        /// How often the keys are fetched or read again. Default 1 hour, as issuers announce a
        /// new key days before they use it; an unknown one is fetched at once.
        refresh: Duration,
    },
    /// By asking (RFC 7662).
    Introspection {
        /// Whom.
        url: String,
        /// Who asks.
        client_id: String,
        /// File of this client's secret.
        client_secret_file: PathBuf,
        /// How long an answer is believed. Default 1 minute: a revoked token is good no longer
        /// than that.
        cache: Duration,
    },
}

/// Where the keys of signatures are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `jwks_uri` of the issuer's `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0
    /// section 4).
    Discovery,
    /// A JWK Set (RFC 7517) at this address.
    Url(String),
    /// A JWK Set, or public keys or certificates in PEM.
    File(PathBuf),
    /// A secret that the issuer has too: HS256, HS384, HS512.
    Secret(PathBuf),
}

/// Keys that mean something with signatures alone.
const OF_SIGNATURES: [&str; 2] = ["algorithms", "refresh"];
/// Keys that mean something with introspection alone.
const OF_INTROSPECTION: [&str; 3] = ["client-id", "client-secret-file", "cache"];

impl Issuer {
    /// All of `[auth]`.
    pub(super) fn read_all(auth: &Section<'_>, base: &Path, backend: Backend) -> Vec<Self> {
        let sections = auth
            .sections("issuer", &super::keys::AUTH_ISSUER)
            .unwrap_or_default();
        let mut issuers: Vec<Self> = Vec::new();
        for section in &sections {
            if backend == Backend::Oauth && section.value("domains").is_none() {
                section.error(
                    "domains",
                    "is missing: without a users file it says whose users may send; add domains = \
                     [\"example.org\"]",
                );
            }
            let Some(issuer) = Self::read(section, base) else {
                continue;
            };
            if issuers.iter().any(|other| other.issuer == issuer.issuer) {
                section.error(
                    "issuer",
                    "is there twice: a token must have one judge; give one table several audiences \
                     or clients",
                );
            }
            issuers.push(issuer);
        }
        issuers
    }

    fn read(section: &Section<'_>, base: &Path) -> Option<Self> {
        let text = |key| section.value(key)?.words("a text").map(str::to_owned);
        let issuer = text("issuer");
        let judge = Judge::read(section, base, issuer.as_deref());
        let audiences = section.value("audience").map(|value| several(&value));
        let introspects = section.value("introspection-url").is_some();
        if !introspects {
            if section.value("issuer").is_none() {
                section.error(
                    "issuer",
                    "is missing; give the iss of the tokens: issuer = \"https://login.example.org\"",
                );
            }
            if section.value("audience").is_none() {
                // RFC 8725 section 3.9: a token for another service must not be good here.
                section.error(
                    "audience",
                    "is missing; give the aud of tokens for this service, so that those for others \
                     are not good here",
                );
            }
        }
        let list = |key| section.value(key).map(|value| several(&value));
        let words = |key| {
            let text = section
                .value(key)?
                .words("words with spaces between them")?;
            Some(text.split_whitespace().map(str::to_owned).collect())
        };
        Some(Self {
            issuer,
            audiences: audiences.unwrap_or_default(),
            judge: judge?,
            leeway: section
                .value("leeway")
                .and_then(|value| value.duration(Duration::ZERO..=Duration::from_mins(10)))
                .unwrap_or(Duration::from_mins(1)),
            scope: words("scope").unwrap_or_default(),
            clients: list("clients").unwrap_or_default(),
            user_claims: list("user-claims")
                .filter(|claims| !claims.is_empty())
                .unwrap_or_else(|| USER_CLAIMS.map(str::to_owned).to_vec()),
            domains: section
                .value("domains")
                .map(|value| domains(&value))
                .unwrap_or_default(),
        })
    }
}

impl Judge {
    fn read(section: &Section<'_>, base: &Path, issuer: Option<&str>) -> Option<Self> {
        const SOURCES: [&str; 4] = [
            "key-file",
            "jwks-url",
            "shared-secret-file",
            "introspection-url",
        ];
        let given: Vec<&'static str> = SOURCES
            .into_iter()
            .filter(|key| section.value(key).is_some())
            .collect();
        if let [first, second, ..] = given[..] {
            section.error(
                second,
                format!("cannot stand beside {first}: a token has one judge; remove one of them"),
            );
            return None;
        }
        let source = given.first().copied();
        let introspects = source == Some("introspection-url");
        let idle: &[&'static str] = if introspects {
            &OF_SIGNATURES
        } else {
            &OF_INTROSPECTION
        };
        for key in idle.iter().filter(|key| section.value(key).is_some()) {
            section.warning(
                key,
                if introspects {
                    "has no effect with introspection-url"
                } else {
                    "has no effect without introspection-url"
                },
            );
        }
        let file = |key| section.value(key).and_then(|value| value.file(base));
        match source {
            Some("introspection-url") => Self::introspection(section, &file),
            Some("key-file") => Self::signature(section, KeySource::File(file("key-file")?)),
            Some("shared-secret-file") => {
                Self::signature(section, KeySource::Secret(file("shared-secret-file")?))
            }
            Some(_) => {
                let url = address(&section.value("jwks-url")?)?;
                Self::signature(section, KeySource::Url(url))
            }
            None => {
                if let Some(issuer) = issuer
                    && let Err(why) = endpoint::check(issuer)
                {
                    section.error(
                        "issuer",
                        format!(
                            "is no address whose /.well-known/openid-configuration could be asked \
                             for keys ({why}); name the keys with jwks-url or key-file"
                        ),
                    );
                    return None;
                }
                Self::signature(section, KeySource::Discovery)
            }
        }
    }

    fn signature(section: &Section<'_>, keys: KeySource) -> Option<Self> {
        let shared = matches!(keys, KeySource::Secret(_));
        let fits = |algorithm: Algorithm| (algorithm.family() == AlgorithmFamily::Hmac) == shared;
        let possible: Vec<(&str, Algorithm)> = ALGORITHMS
            .into_iter()
            .filter(|(_, algorithm)| fits(*algorithm))
            .collect();
        let algorithms = match section.value("algorithms") {
            None => possible.iter().map(|(_, algorithm)| *algorithm).collect(),
            Some(value) => algorithms(&value, &possible)?,
        };
        Some(Self::Signature {
            keys,
            algorithms,
            refresh: section
                .value("refresh")
                .and_then(|value| {
                    value.duration(Duration::from_mins(1)..=Duration::from_hours(7 * 24))
                })
                .unwrap_or(Duration::from_hours(1)),
        })
    }

    fn introspection(
        section: &Section<'_>,
        file: &dyn Fn(&'static str) -> Option<PathBuf>,
    ) -> Option<Self> {
        // RFC 7662 section 2.1: whoever asks must say who it is.
        for key in ["client-id", "client-secret-file"] {
            if section.value(key).is_none() {
                section.error(
                    key,
                    "is missing; introspection-url is asked by a client that the issuer knows",
                );
            }
        }
        Some(Self::Introspection {
            url: address(&section.value("introspection-url")?)?,
            client_id: section.value("client-id")?.words("a text")?.to_owned(),
            client_secret_file: file("client-secret-file")?,
            cache: section
                .value("cache")
                .and_then(|value| value.duration(Duration::ZERO..=Duration::from_mins(10)))
                .unwrap_or(Duration::from_mins(1)),
        })
    }
}

/// One text, or a list of them.
fn several(value: &Value<'_>) -> Vec<String> {
    let texts = if value.is_list() {
        value.list().unwrap_or_default()
    } else {
        vec![value.clone()]
    };
    if texts.is_empty() {
        value.error("is empty; name one at least, or leave it out");
    }
    texts
        .iter()
        .filter_map(|text| text.words("a text"))
        .map(str::to_owned)
        .collect()
}

fn domains(value: &Value<'_>) -> Vec<String> {
    let mut domains = Vec::new();
    for element in value.list().unwrap_or_default() {
        let Some(text) = element.text() else { continue };
        match check_domain(text) {
            Ok(()) => domains.push(text.to_ascii_lowercase()),
            Err(why) => element.error(format!("\"{text}\" {why}; use \"example.org\"")),
        }
    }
    domains
}

/// An address that tokens may be sent to or keys come from.
fn address(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    match endpoint::check(text) {
        Ok(_) => Some(text.to_owned()),
        Err(why) => {
            value.error(format!("\"{text}\": {why}"));
            None
        }
    }
}

fn algorithms(value: &Value<'_>, possible: &[(&str, Algorithm)]) -> Option<Vec<Algorithm>> {
    let names: Vec<&str> = possible.iter().map(|(name, _)| *name).collect();
    let mut algorithms = Vec::new();
    let elements = value.list()?;
    if elements.is_empty() {
        value.error("is empty; name one at least, or leave it out");
    }
    for element in elements {
        let Some(text) = element.text() else { continue };
        match possible.iter().find(|(name, _)| *name == text) {
            Some((_, algorithm)) => algorithms.push(*algorithm),
            None if text.eq_ignore_ascii_case("none") => {
                // RFC 8725 section 3.2.
                element.error("\"none\" would let anybody in as everybody; remove it");
            }
            None if text.starts_with("HS") && ALGORITHMS.iter().any(|(name, _)| *name == text) => {
                // RFC 8725 section 2.1: else whoever has the public key could sign.
                element.error(format!(
                    "\"{text}\" works with shared-secret-file alone; use {}",
                    one_of(&names)
                ));
            }
            None => {
                let near = nearest(text, &names).map(|near| format!("; nearest: \"{near}\""));
                element.error(format!(
                    "\"{text}\" does not fit; use {}{}",
                    one_of(&names),
                    near.unwrap_or_default()
                ));
            }
        }
    }
    (!algorithms.is_empty()).then_some(algorithms)
}
