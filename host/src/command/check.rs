//! `pillarbox check`: reads the configuration and what it names, and reports all that is wrong at
//! once, as the account that the service will run as would find it.

pub(super) mod account;
mod alias;
mod certificate;
mod dkim;
mod route;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use super::failed;
use crate::config::{
    Backend, ClientCertificates, Config, Deliver, Finding, Level, Loaded, USUAL_PLACE,
};
use crate::tls;
use crate::users::{Kind, UsersError, file};
use account::Account;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = USUAL_PLACE)]
    config: PathBuf,
    /// One JSON object a finding and line, on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs the verb. `component` says what is wrong with a component file (`None`: the embedded one).
pub fn run(arguments: &Arguments, component: impl Fn(Option<&Path>) -> Option<String>) -> ExitCode {
    let examined = examine(&arguments.config, &component, SystemTime::now());
    let shown = show(
        &arguments.config,
        &examined,
        arguments.json,
        &mut io::stdout(),
        &mut io::stderr(),
    );
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => failed(format!("cannot write: {error}")),
    }
}

/// What was found, and how much was there.
struct Examined {
    findings: Vec<Finding>,
    counts: Option<Counts>,
}

/// How much there is.
struct Counts {
    listeners: usize,
    users: usize,
    routes: usize,
}

fn examine(
    path: &Path,
    component: &dyn Fn(Option<&Path>) -> Option<String>,
    now: SystemTime,
) -> Examined {
    let loaded = Config::load(path);
    let mut findings = loaded.findings.clone();
    let Some(config) = &loaded.config else {
        return Examined {
            findings,
            counts: None,
        };
    };
    let account = account(&loaded, config, &mut findings);
    let file = config.component.path.as_deref();
    if let Some(why) = component(file) {
        let key = if file.is_some() {
            "component.path"
        } else {
            "component"
        };
        findings.push(loaded.finding(Level::Error, key, why));
    } else if let (Some(file), Some(account)) = (file, &account) {
        readable(&loaded, account, "component.path", file, &mut findings);
    }
    if let Some(files) = &config.tls {
        certificate::examine(&loaded, files, &config.hostname, now, &mut findings);
        if let Some(account) = &account {
            readable(
                &loaded,
                account,
                "tls.certificate",
                &files.certificate,
                &mut findings,
            );
            readable(&loaded, account, "tls.key", &files.key, &mut findings);
        }
    }
    client_authorities(&loaded, config, account.as_ref(), &mut findings);
    let users = users(&loaded, config, account.as_ref(), &mut findings);
    dkim::examine(&loaded, config, account.as_ref(), &mut findings);
    alias::examine(&loaded, config, account.as_ref(), &mut findings);
    route::examine(&loaded, config, account.as_ref(), &mut findings);
    if let Some(account) = &account {
        folders(&loaded, config, account, &mut findings);
    }
    Examined {
        findings,
        counts: Some(Counts {
            listeners: config.listeners.len(),
            users,
            routes: config.routes_or_default().len(),
        }),
    }
}

/// Whether client certificates can be checked against what the listeners name.
fn client_authorities(
    loaded: &Loaded,
    config: &Config,
    account: Option<&Account>,
    findings: &mut Vec<Finding>,
) {
    for (index, listener) in config.listeners.iter().enumerate() {
        let asked = listener.client_certificate != ClientCertificates::Off;
        let Some(path) = listener.client_authorities.as_ref().filter(|_| asked) else {
            continue;
        };
        let key = format!("listener[{index}].client-authorities");
        if let Err(error) = tls::client_verifier(path) {
            findings.push(loaded.finding(Level::Error, &key, error.to_string()));
        } else if let Some(account) = account {
            readable(loaded, account, &key, path, findings);
        }
    }
}

/// The account that the service will run as.
fn account(loaded: &Loaded, config: &Config, findings: &mut Vec<Finding>) -> Option<Account> {
    match Account::of(config.user.as_deref()) {
        Ok(account) => {
            if account.is_root() && config.user.is_none() {
                let text = "is absent: started by root, the service stays root; name an account of its own";
                findings.push(loaded.finding(Level::Warning, "user", text));
            }
            Some(account)
        }
        Err(why) => {
            findings.push(loaded.finding(Level::Error, "user", why));
            None
        }
    }
}

/// Whether the service can read a file that this process may well be able to.
fn readable(
    loaded: &Loaded,
    account: &Account,
    key: &str,
    file: &Path,
    findings: &mut Vec<Finding>,
) {
    if file.exists()
        && let Err(why) = account.may_read(file)
    {
        findings.push(loaded.finding(Level::Error, key, why));
    }
}

fn folders(loaded: &Loaded, config: &Config, account: &Account, findings: &mut Vec<Finding>) {
    let mut writable = |key: &str, folder: &Path| {
        if let Err(why) = account.may_fill(folder) {
            findings.push(loaded.finding(Level::Error, key, why));
        }
    };
    // The service makes its state folder before it gives up being root.
    if config.state_dir.exists() || !nix::unistd::geteuid().is_root() {
        writable("state-dir", &config.state_dir);
    }
    for (index, route) in config.routes.iter().enumerate() {
        if let Deliver::Maildir(template) = &route.deliver {
            // The part that does not depend on the recipient.
            writable(&format!("route[{index}].deliver"), template.base());
        }
    }
}

/// Checks the users file; the number of users in it.
fn users(
    loaded: &Loaded,
    config: &Config,
    account: Option<&Account>,
    findings: &mut Vec<Finding>,
) -> usize {
    const KEY: &str = "auth.path";
    if config.auth.backend == Backend::Oauth {
        return 0;
    }
    let path = &config.auth.path;
    let mut found = |level, text: String| findings.push(loaded.finding(level, KEY, text));
    let records = match file::read(path) {
        Ok(records) => records,
        Err(UsersError::Malformed { findings: more, .. }) => {
            findings.extend(more);
            return 0;
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            found(
                Level::Error,
                format!("{error}: {}", cause.unwrap_or_default()),
            );
            return 0;
        }
    };
    if let Ok(metadata) = fs::metadata(path) {
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let text = format!(
                "{} has mode {mode:04o}: others can read what they could log in with; chmod 600 it",
                path.display()
            );
            found(Level::Warning, text);
        }
    }
    let needed = config.kinds();
    if records.is_empty() && !needed.is_empty() {
        let text = format!(
            "{} has no users, so nobody can log in; add one: pillarbox user add NAME --config {}",
            path.display(),
            config.file.display()
        );
        found(Level::Warning, text);
    }
    let mut incomplete = false;
    for kind in needed {
        let names: Vec<&str> = records
            .iter()
            .filter(|record| {
                // Who has certificates and no password is not meant to have one.
                let by_certificate = !record.certificates.is_empty()
                    && !Kind::ALL.iter().any(|kind| record.has(*kind));
                !record.disabled && !record.has(kind) && !by_certificate
            })
            .map(|record| record.name.as_str())
            .collect();
        if names.is_empty() {
            continue;
        }
        incomplete = true;
        // argon2id comes from nothing but a new password; the others from a login with it.
        let remedy = match kind {
            Kind::Password => "set the password again",
            _ => "one login with LOGIN or PLAIN makes it, or set the password again",
        };
        let (mechanisms, missing) = match kind {
            Kind::Password => ("LOGIN or PLAIN", "is no"),
            Kind::Nt => (kind.mechanisms(), "is no"),
            _ => (kind.mechanisms(), "are no"),
        };
        let text = format!(
            "{mechanisms} is offered, but there {missing} {} of {}; {remedy}: pillarbox user password NAME",
            kind.what(),
            listed(&names)
        );
        found(Level::Warning, text);
    }
    if let (true, Some(account), Some(folder)) = (incomplete, account, path.parent())
        && let Err(why) = account.may_fill(folder)
    {
        let text = format!("{why}; so who lacks something does not get it at the next login");
        findings.push(loaded.finding(Level::Warning, KEY, text));
    }
    if let Some(account) = account {
        readable(loaded, account, KEY, path, findings);
    }
    records.len()
}

/// All names, or the first of many.
fn listed(names: &[&str]) -> String {
    match names.split_at_checked(20) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} others", first.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

/// Shows the findings; whether there is no error.
fn show(
    file: &Path,
    examined: &Examined,
    json: bool,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<bool> {
    for finding in &examined.findings {
        if json {
            writeln!(out, "{}", serde_json::to_string(finding)?)?;
        } else {
            writeln!(errors, "{}: {finding}", finding.level)?;
        }
    }
    let wrong = examined
        .findings
        .iter()
        .filter(|finding| finding.is_error())
        .count();
    let warnings = examined.findings.len() - wrong;
    let many = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    if wrong > 0 {
        writeln!(
            errors,
            "pillarbox: {} cannot be used: {}, {}",
            file.display(),
            many(wrong, "error"),
            many(warnings, "warning")
        )?;
    } else if let (false, Some(counts)) = (json, &examined.counts) {
        writeln!(
            out,
            "{} can be used: {}, {}, {}, {}",
            file.display(),
            many(counts.listeners, "listener"),
            many(counts.users, "user"),
            many(counts.routes, "route"),
            many(warnings, "warning")
        )?;
    }
    Ok(wrong == 0)
}

#[cfg(test)]
#[path = "check/tests.rs"]
mod tests;
