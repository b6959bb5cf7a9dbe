//! The configuration file: TOML, one file, every key with a default except `hostname`.
//!
//! [`Config::load`] reads it and finds all that is wrong at once, each finding with its file, line
//! and key. Keys whose feature does not exist in this version are refused with a sentence that says
//! so, never ignored. `docs/configuration.md` explains each key to administrators; here each
//! default has its reason beside its field.
//!
//! Beyond the documented contract a file may have: `keep-bcc` and
//! `check-header-domains` in `[[listener]]`, `ntlm-domain` and
//! `ntlm-computer` in `[auth]`, and `format` and `level` in `[log]`.
//!
//! One file a table: [`listener`], [`limits`], [`auth`], ... with its structure, its defaults and
//! its reading; `rules` has what concerns several keys. [`reader`] knows TOML and no key.
//! Elsewhere on purpose: whether files, users and folders that are named exist (`command::check`),
//! and how a route is made of its table (`route::build`).

pub mod alarm;
mod aliases;
pub mod auth;
pub mod component;
pub mod dkim;
pub mod dns;
pub mod extensions;
pub mod finding;
pub mod issuer;
pub mod keys;
mod later;
pub mod limits;
pub mod listener;
pub mod log;
pub mod names;
pub mod reader;
pub mod report;
pub mod retry;
pub mod route;
mod rules;
mod spool;
pub mod submission;
#[cfg(test)]
mod tests;
pub mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use alarm::Alarm;
pub use auth::{AuthSettings, Backend};
pub use component::Component;
pub use dkim::Dkim;
pub use dns::Dns;
pub use extensions::Extensions;
pub use finding::{Finding, Level};
pub use issuer::Issuer;
pub use limits::Limits;
pub use listener::{ClientCertificates, Listener, ListenerAuth, ListenerTls, Mechanism};
pub use log::{Log, LogFormat};
pub use report::ReportSettings;
pub use retry::Retry;
pub use route::{ClientMechanism, Deliver, Route, RouteAuth, RouteTls, Secret};
pub use submission::{Check, Senders, Submission};
pub use tls::TlsFiles;

use crate::alias;
use crate::users::Kind;
use reader::{Report, Section};

/// Where the configuration is looked for when nobody names a file.
pub const USUAL_PLACE: &str = "/etc/pillarbox/pillarbox.toml";

/// Everything that an administrator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Name of this host in greetings, trace fields and message identifiers: fully qualified
    /// (RFC 6409 section 4.2). No default: a wrong guess would be in every message.
    pub hostname: String,
    /// Folder for spool, keys and control socket. Absolute; a relative one in the file counts from
    /// the file's folder. Default `/var/lib/pillarbox`, the usual place for a service's state.
    pub state_dir: PathBuf,
    /// Account to become once the ports are bound. Default `None`: stay who started it, so that a
    /// service manager or a container may have chosen already.
    pub user: Option<String>,
    /// `[component]`
    pub component: Component,
    /// `[limits]`
    pub limits: Limits,
    /// `[tls]`. Default `None`: a self-signed certificate, with a warning.
    pub tls: Option<TlsFiles>,
    /// `[[listener]]`. Default: `[::]:587` with STARTTLS and `[::]:465` with implicit TLS, the two
    /// ports of submission (RFC 6409 section 3.1, RFC 8314 section 3.3). Never empty.
    pub listeners: Vec<Listener>,
    /// `aliases`. Default: none.
    pub aliases: alias::Source,
    /// `[auth]`
    pub auth: AuthSettings,
    /// `[submission]`
    pub submission: Submission,
    /// `[[dkim]]`. Default: empty, nothing is signed.
    pub dkim: Vec<Dkim>,
    /// `[spool] history`: how long it is known what became of a message. Default 7 days; `None`
    /// (`"0s"`): it is not kept.
    pub history: Option<Duration>,
    /// `[retry]`
    pub retry: Retry,
    /// `[[route]]`, the first match wins. Default: empty, which means Maildirs of every domain below
    /// the state folder ([`Config::routes_or_default`]), so that a first try loses no message.
    pub routes: Vec<Route>,
    /// `[report]`
    pub report: ReportSettings,
    /// `[alarm]`
    pub alarm: Alarm,
    /// `[dns]`
    pub dns: Dns,
    /// `[log]`
    pub log: Log,
}

/// What came of reading a configuration file.
#[derive(Debug)]
pub struct Loaded {
    /// `None` if there is an error among the findings.
    pub config: Option<Config>,
    /// All that is wrong, in the order of the lines.
    pub findings: Vec<Finding>,
    file: PathBuf,
    lines: BTreeMap<String, usize>,
}

impl Loaded {
    /// A finding about a key of this file that only shows outside it (a missing certificate, say).
    pub fn finding(&self, level: Level, key: &str, text: impl Into<String>) -> Finding {
        Finding {
            line: self.lines.get(key).copied(),
            ..Finding::new(level, &self.file, key, text)
        }
    }

    /// The findings that keep the configuration from being used.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_error())
    }

    fn unreadable(file: &Path, line: Option<usize>, text: String) -> Self {
        let finding = Finding {
            line,
            ..Finding::new(Level::Error, file, "", text)
        };
        Self {
            config: None,
            findings: vec![finding],
            file: file.to_path_buf(),
            lines: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Reads and checks `path`. Blocks on the file system; touches nothing but that file.
    pub fn load(path: &Path) -> Loaded {
        let octets = match fs::read(path) {
            Ok(octets) => octets,
            Err(error) => {
                let text = format!("cannot read the configuration: {error}; name it with --config");
                return Loaded::unreadable(path, None, text);
            }
        };
        match std::str::from_utf8(&octets) {
            Ok(text) => Self::read(path, text),
            Err(error) => {
                let good = &octets[..error.valid_up_to()];
                let line = 1 + good.iter().filter(|octet| **octet == b'\n').count();
                Loaded::unreadable(path, Some(line), "not TOML: must be UTF-8 text".to_owned())
            }
        }
    }

    /// Checks `text` as the content of `path`, which need not exist.
    pub fn read(path: &Path, text: &str) -> Loaded {
        let report = Report::new(path, text);
        let table = report.parse(text);
        let broken = report.has_errors();
        let config = Self::from_top(path, &Section::top(&report, table.get_ref(), &keys::TOP));
        let unusable = report.has_errors();
        let (mut findings, lines) = report.finish();
        if broken {
            findings = without_echoes(findings, text);
        }
        let config = config.filter(|_| !unusable);
        Loaded {
            config,
            findings,
            file: path.to_path_buf(),
            lines,
        }
    }

    fn from_top(file: &Path, top: &Section<'_>) -> Option<Self> {
        let here = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
        let base = here.parent().unwrap_or(Path::new("/"));
        let hostname = read_hostname(top);
        let state_dir = top.value("state-dir").and_then(|value| value.file(base));
        let state_dir = state_dir.unwrap_or_else(|| PathBuf::from("/var/lib/pillarbox"));
        // A placeholder lets the other tables be read and reported when the name is missing.
        let name = hostname.as_deref().unwrap_or("mail.invalid");
        let auth = AuthSettings::read(&top.section("auth", &keys::AUTH), base, &state_dir, name);
        let extensions = Extensions::read(
            &top.section("extensions", &keys::EXTENSIONS),
            &Extensions::default(),
        );
        let retry = Retry::read(&top.section("retry", &keys::RETRY), &Retry::default());
        let config = Self {
            file: file.to_path_buf(),
            hostname: name.to_owned(),
            user: read_user(top),
            component: Component::read(&top.section("component", &keys::COMPONENT), base),
            limits: Limits::read(&top.section("limits", &keys::LIMITS)),
            tls: TlsFiles::read(&top.section("tls", &keys::TLS), base),
            listeners: Listener::read_all(top, base, &auth, extensions),
            aliases: aliases::read(top, base),
            auth,
            submission: Submission::read(&top.section("submission", &keys::SUBMISSION)),
            dkim: Dkim::read_all(top, base),
            history: spool::read(&top.section("spool", &keys::SPOOL)),
            routes: Route::read_all(top, base, &retry),
            report: ReportSettings::read(&top.section("report", &keys::REPORT), name),
            alarm: Alarm::read(&top.section("alarm", &keys::ALARM)),
            dns: Dns::read(&top.section("dns", &keys::DNS)),
            retry,
            log: Log::read(&top.section("log", &keys::LOG)),
            state_dir,
        };
        later::refuse(top);
        rules::check(&config, top);
        hostname.map(|_| config)
    }

    /// The routes to use: those of the file, or the Maildirs below the state folder.
    pub fn routes_or_default(&self) -> Vec<Route> {
        if self.routes.is_empty() {
            vec![Route::below(&self.state_dir, &self.retry)]
        } else {
            self.routes.clone()
        }
    }

    /// Whether any listener can offer `mechanism`, and so users need a verifier for it.
    pub fn offers(&self, mechanism: Mechanism) -> bool {
        self.listeners
            .iter()
            .any(|listener| listener.offers(mechanism))
    }

    /// The verifiers that users need for what the listeners offer.
    pub fn kinds(&self) -> Vec<Kind> {
        let needed = |kind: &Kind| {
            Mechanism::ALL
                .into_iter()
                .any(|mechanism| Kind::of(mechanism) == Some(*kind) && self.offers(mechanism))
        };
        Kind::ALL.into_iter().filter(needed).collect()
    }
}

fn read_hostname(top: &Section<'_>) -> Option<String> {
    let Some(value) = top.value("hostname") else {
        top.error(
            "hostname",
            "is missing; give this host's full name: hostname = \"mail.example.org\"",
        );
        return None;
    };
    let text = value.text()?;
    match names::check_host(text) {
        Ok(()) => Some(text.to_ascii_lowercase()),
        Err(why) => {
            value.error(format!(
                "\"{text}\" {why}; use a full name such as \"mail.example.org\""
            ));
            None
        }
    }
}

fn read_user(top: &Section<'_>) -> Option<String> {
    let value = top.value("user")?;
    let text = value.text()?;
    if text.is_empty() || text.contains([':', '/', '\0']) || text.contains(char::is_whitespace) {
        value.error(format!(
            "\"{text}\" is no account name; name one, or leave the key out to stay"
        ));
        return None;
    }
    Some(text.to_owned())
}

/// After a syntax error a table may lack what stands in the file: findings that could be mere
/// echoes of it (on its line, about something absent, or after a bracket that did not close) would
/// send people the wrong way.
fn without_echoes(findings: Vec<Finding>, text: &str) -> Vec<Finding> {
    let syntax = |finding: &Finding| finding.key.is_empty();
    let broken: Vec<usize> = findings
        .iter()
        .filter(|f| syntax(f))
        .filter_map(|f| f.line)
        .collect();
    let brackets = |line: &usize| {
        let text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        text.contains(['[', ']', '{', '}']) || text.contains("\"\"\"") || text.contains("'''")
    };
    let trusted = broken.iter().copied().find(brackets).unwrap_or(usize::MAX);
    let keep = |finding: &Finding| {
        syntax(finding)
            || finding
                .line
                .is_some_and(|line| line < trusted && !broken.contains(&line))
    };
    findings.into_iter().filter(keep).collect()
}
