//! One user, as the file backend writes it:
//!
//! ```toml
//! [[user]]
//! name = "alice@example.org"
//! password = "$argon2id$v=19$m=19456,t=2,p=1$..."   # for LOGIN and PLAIN
//! nt = "0123456789abcdef0123456789abcdef"            # for NTLM
//! disabled = false
//! senders = ["info@example.org", "*@example.net"]
//! recipients = ["*@example.org"]
//! ```

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use argon2::PasswordHash;
use serde::Serialize;
use zeroize::Zeroize;

use super::names::folded;
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
        "disabled",
        "senders",
        "recipients",
    ],
    family: ALL,
};
static ALL: &[&Shape] = &[&TOP, &USER];

/// What NTLM checks against ([MS-NLMP] section 3.3.1): as good as the password itself, so `Debug`
/// hides it and it is wiped after use.
#[derive(Clone, PartialEq, Eq)]
pub struct NtHash([u8; 16]);

impl NtHash {
    /// The hash itself.
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut octets = [0; 16];
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *octet = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(octets))
    }

    fn to_hex(&self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

impl From<[u8; 16]> for NtHash {
    fn from(octets: [u8; 16]) -> Self {
        Self(octets)
    }
}

impl Drop for NtHash {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtHash(***)")
    }
}

impl Serialize for NtHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

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
    /// Right credentials get 525 instead of a grant.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Further addresses to send as: `a@b` or `*@b`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<String>,
    /// The only addresses that may be sent to, in the same form; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("name", &self.name)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("nt", &self.nt)
            .field("disabled", &self.disabled)
            .field("senders", &self.senders)
            .field("recipients", &self.recipients)
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
            disabled: false,
            senders: Vec::new(),
            recipients: Vec::new(),
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
    let mut lines = HashMap::new();
    let records = sections
        .iter()
        .filter_map(|section| read(section, &mut lines))
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
                # in over NTLM. `disabled = true` is set by hand.\n";
    Ok(format!(
        "{head}\n{}",
        toml::to_string(&File { user: records })?
    ))
}

fn read(section: &Section<'_>, lines: &mut HashMap<String, usize>) -> Option<Record> {
    let Some(name) = section.value("name") else {
        section.error("name", "is missing");
        return None;
    };
    let text = name.text()?;
    if let Err(why) = check_name(text) {
        name.error(format!("\"{}\" {why}", text.escape_debug()));
    } else if let Some(line) = lines.insert(folded(text), name.line()) {
        name.error(format!(
            "\"{text}\" is the user of line {line} already (case does not count)"
        ));
    }
    let patterns = |key| {
        let values = section
            .value(key)
            .and_then(|value| value.list())
            .unwrap_or_default();
        values.iter().filter_map(read_pattern).collect()
    };
    Some(Record {
        name: text.to_owned(),
        password: section
            .value("password")
            .and_then(|value| read_password(&value)),
        nt: section.value("nt").and_then(|value| read_nt(&value)),
        disabled: section
            .value("disabled")
            .and_then(|value| value.boolean())
            .unwrap_or(false),
        senders: patterns("senders"),
        recipients: patterns("recipients"),
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

fn read_nt(value: &Value<'_>) -> Option<NtHash> {
    let hash = NtHash::from_hex(value.text()?);
    if hash.is_none() {
        value.error("is no NT hash of 32 hex digits; set it with `pillarbox user password`");
    }
    hash
}

fn read_pattern(value: &Value<'_>) -> Option<String> {
    match pattern(value.text()?) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            value.error(why);
            None
        }
    }
}

/// An address, or `*@` and a domain for all of it, for which `@` and the domain may stand.
///
/// # Errors
/// What is wrong with it.
pub fn pattern(text: &str) -> Result<String, String> {
    let good = text.rsplit_once('@').is_some_and(|(local, domain)| {
        (local == "*" || !local.contains('*'))
            && !local.contains(char::is_control)
            && check_domain(domain).is_ok()
    });
    match good {
        false => Err(format!(
            "\"{}\" is no address; use \"a@example.org\" or \"*@example.org\"",
            text.escape_debug()
        )),
        true if text.starts_with('@') => Ok(format!("*{text}")),
        true => Ok(text.to_owned()),
    }
}
