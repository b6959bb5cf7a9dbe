//! One user, as the file backend writes it:
//!
//! ```toml
//! [[user]]
//! name = "alice@example.org"
//! password = "$argon2id$v=19$m=19456,t=2,p=1$..."   # for LOGIN and PLAIN
//! nt = "0123456789abcdef0123456789abcdef"            # for NTLM
//! cram-md5 = "e02d374f...bee68d2cf6"                 # for CRAM-MD5, 64 digits
//! scram-sha-1 = "SCRAM-SHA-1$15000:SALT$KEY:KEY"     # for SCRAM-SHA-1, -PLUS too
//! scram-sha-256 = "SCRAM-SHA-256$15000:SALT$KEY:KEY" # for SCRAM-SHA-256, -PLUS too
//! disabled = false
//! senders = ["info@example.org", "*@example.net"]
//! certificates = ["sha256:9F86D0...", "subject:CN=printer,O=Example"]   # for EXTERNAL
//! ```

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use argon2::PasswordHash;
use serde::Serialize;

use super::certificate::CertificateName;
use super::kept::{HmacStates, Kept, NtHash};
use super::kind::Kind;
use super::names::folded;
use super::scram::{ScramDigest, ScramVerifier};
use crate::config::reader::{Report, Section, Shape, Value};
use crate::config::{Finding, names::check_domain};

static TOP: Shape = Shape {
    table: "",
    keys: &["user"],
    family: ALL,
};
static USER: Shape = Shape {
    table: "[[user]]",
    keys: &[
        "name",
        "password",
        "nt",
        "cram-md5",
        "scram-sha-1",
        "scram-sha-256",
        "disabled",
        "senders",
        "certificates",
    ],
    family: ALL,
};
static ALL: &[&Shape] = &[&TOP, &USER];

/// One user: verifiers, never a password.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// As the identity is logged and shown; compared without regard to ASCII case.
    pub name: String,
    /// argon2id in PHC form, for LOGIN and PLAIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// For NTLM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nt: Option<NtHash>,
    /// For CRAM-MD5.
    #[serde(rename = "cram-md5", skip_serializing_if = "Option::is_none")]
    pub cram_md5: Option<HmacStates>,
    /// For SCRAM-SHA-1 and SCRAM-SHA-1-PLUS.
    #[serde(rename = "scram-sha-1", skip_serializing_if = "Option::is_none")]
    pub scram_sha_1: Option<ScramVerifier>,
    /// For SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
    #[serde(rename = "scram-sha-256", skip_serializing_if = "Option::is_none")]
    pub scram_sha_256: Option<ScramVerifier>,
    /// Right credentials get 525 instead of a grant.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Further addresses to send as: `a@b` or `*@b`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<String>,
    /// Client certificates that are this user's, for EXTERNAL ([`CertificateName`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("name", &self.name)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("nt", &self.nt)
            .field("cram_md5", &self.cram_md5)
            .field("scram_sha_1", &self.scram_sha_1)
            .field("scram_sha_256", &self.scram_sha_256)
            .field("disabled", &self.disabled)
            .field("senders", &self.senders)
            .field("certificates", &self.certificates)
            .finish()
    }
}

impl Record {
    /// A user without verifiers.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: None,
            nt: None,
            cram_md5: None,
            scram_sha_1: None,
            scram_sha_256: None,
            disabled: false,
            senders: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// Whether it has a verifier of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Password => self.password.is_some(),
            Kind::Nt => self.nt.is_some(),
            Kind::CramMd5 => self.cram_md5.is_some(),
            Kind::ScramSha1 => self.scram_sha_1.is_some(),
            Kind::ScramSha256 => self.scram_sha_256.is_some(),
        }
    }

    /// Those of `kinds` that it has no verifier of.
    pub fn lacks(&self, kinds: &[Kind]) -> Vec<Kind> {
        kinds
            .iter()
            .copied()
            .filter(|kind| !self.has(*kind))
            .collect()
    }

    /// What a SCRAM proof of this user is checked against.
    pub fn scram(&self, digest: ScramDigest) -> Option<&ScramVerifier> {
        match digest {
            ScramDigest::Sha1 => self.scram_sha_1.as_ref(),
            ScramDigest::Sha256 => self.scram_sha_256.as_ref(),
        }
    }
}

/// Whether `name` may be a user's; else what is wrong with it.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 255 {
        return Err("must have 1 to 255 octets");
    }
    if name.contains('\\') || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must have no white space and no backslash");
    }
    match name.split_once('@') {
        Some(("", _)) => Err("has nothing before the @"),
        Some((_, domain)) if check_domain(domain).is_err() => Err("has no domain after the @"),
        _ => Ok(()),
    }
}

/// Reads the text of a users file.
///
/// # Errors
/// All that is wrong with it, each with its line.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Record>, Vec<Finding>> {
    let report = Report::new(file, text);
    let table = report.parse(text);
    if report.has_errors() {
        return Err(report.finish().0);
    }
    let top = Section::top(&report, table.get_ref(), &TOP);
    let sections = top.sections("user", &USER).unwrap_or_default();
    let mut seen = Seen::default();
    let records = sections
        .iter()
        .filter_map(|section| read(section, &mut seen))
        .collect();
    let unusable = report.has_errors();
    let (findings, _) = report.finish();
    if unusable { Err(findings) } else { Ok(records) }
}

/// The text of a users file.
pub fn render(records: &[Record]) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct File<'r> {
        user: &'r [Record],
    }
    let head = "# Written by `pillarbox user`, which keeps no comments but these. Who can read this file can log\n\
                # in over NTLM and CRAM-MD5. Set by hand: `disabled = true`,\n\
                # `senders = [\"a@example.org\", \"*@example.net\"]`, `certificates = [\"sha256:...\"]`.\n";
    Ok(format!(
        "{head}\n{}",
        toml::to_string(&File { user: records })?
    ))
}

/// What only one user may have, and the line where it stands.
#[derive(Default)]
struct Seen {
    names: HashMap<String, usize>,
    certificates: HashMap<CertificateName, usize>,
}

fn read(section: &Section<'_>, seen: &mut Seen) -> Option<Record> {
    let Some(name) = section.value("name") else {
        section.error("name", "is missing");
        return None;
    };
    let text = name.text()?;
    if let Err(why) = check_name(text) {
        name.error(format!("\"{}\" {why}", text.escape_debug()));
    } else if let Some(line) = seen.names.insert(folded(text), name.line()) {
        name.error(format!(
            "\"{text}\" is the user of line {line} already (case does not count)"
        ));
    }
    let list = |key| {
        section
            .value(key)
            .and_then(|value| value.list())
            .unwrap_or_default()
    };
    Some(Record {
        name: text.to_owned(),
        password: section
            .value("password")
            .and_then(|value| read_password(&value)),
        nt: section
            .value("nt")
            .and_then(|value| read_hex(&value, "NT hash")),
        cram_md5: section
            .value("cram-md5")
            .and_then(|value| read_hex(&value, "pair of HMAC-MD5 states")),
        scram_sha_1: section
            .value("scram-sha-1")
            .and_then(|value| read_scram(&value, ScramDigest::Sha1)),
        scram_sha_256: section
            .value("scram-sha-256")
            .and_then(|value| read_scram(&value, ScramDigest::Sha256)),
        disabled: section
            .value("disabled")
            .and_then(|value| value.boolean())
            .unwrap_or(false),
        senders: list("senders").iter().filter_map(read_sender).collect(),
        certificates: list("certificates")
            .iter()
            .filter_map(|value| read_certificate(value, &mut seen.certificates))
            .collect(),
    })
}

/// The value is not shown in findings: somebody may have put a password there.
fn read_password(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let good = PasswordHash::new(text).is_ok_and(|hash| {
        let cost = argon2::Params::try_from(&hash);
        // More than 1 GiB for one login is a mistake, or an attack on this service.
        hash.algorithm.as_str() == "argon2id"
            && hash.salt.is_some()
            && hash.hash.is_some()
            && cost.is_ok_and(|cost| cost.m_cost() <= 1024 * 1024 && cost.t_cost() <= 64)
    });
    if !good {
        value.error("is no argon2id hash in PHC form; set it with `pillarbox user password`");
        return None;
    }
    Some(text.to_owned())
}

fn read_hex<const N: usize>(value: &Value<'_>, what: &str) -> Option<Kept<N>> {
    let kept = Kept::from_hex(value.text()?);
    if kept.is_none() {
        value.error(format!(
            "is no {what} of {} hex digits; set it with `pillarbox user password`",
            2 * N
        ));
    }
    kept
}

fn read_scram(value: &Value<'_>, digest: ScramDigest) -> Option<ScramVerifier> {
    let verifier = ScramVerifier::parse(digest, value.text()?);
    if verifier.is_none() {
        value.error(format!(
            "is not \"{}$ITERATIONS:SALT$STOREDKEY:SERVERKEY\" (RFC 5803) with 4096 to 1000000 \
             iterations; set it with `pillarbox user password`",
            digest.name()
        ));
    }
    verifier
}

fn read_certificate(
    value: &Value<'_>,
    seen: &mut HashMap<CertificateName, usize>,
) -> Option<String> {
    let text = value.text()?;
    match CertificateName::parse(text) {
        Err(why) => value.error(format!("\"{}\" {why}", text.escape_debug())),
        Ok(name) => {
            if let Some(line) = seen.insert(name, value.line()) {
                value.error(format!(
                    "\"{}\" stands in line {line} already; a certificate has one user",
                    text.escape_debug()
                ));
            }
        }
    }
    Some(text.to_owned())
}

fn read_sender(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let good = text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && (local == "*" || !local.contains('*')) && check_domain(domain).is_ok()
    });
    if !good {
        value.error(format!(
            "\"{text}\" is no address; use \"a@example.org\" or \"*@example.org\""
        ));
        return None;
    }
    Some(text.to_owned())
}
