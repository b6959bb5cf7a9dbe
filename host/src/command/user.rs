//! `pillarbox user add|list|remove|password`: keeps the file backend.
//!
//! Only verifiers are stored, those that the mechanisms of the configured listeners need
//! ([`Kind`]). A running service sees a change within a second.

mod password;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::failed;
use crate::config::{Config, USUAL_PLACE};
use crate::users::names::folded;
use crate::users::record::check_name;
use crate::users::{Arithmetic, Kind, Record, UsersError, Verifiers, file, prepare};

/// Arguments of `user`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add a user; asks for the password.
    Add {
        #[command(flatten)]
        user: Named,
        /// The domain of the user's address: the name becomes NAME@DOMAIN.
        #[arg(long)]
        domain: Option<String>,
        /// Read the password from standard input, one line, instead of asking.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show all users and what they can log in with.
    List {
        #[command(flatten)]
        place: Place,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Remove a user.
    Remove {
        #[command(flatten)]
        user: Named,
    },
    /// Set a new password; asks for it.
    Password {
        #[command(flatten)]
        user: Named,
        /// Read the password from standard input, one line, instead of asking.
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = USUAL_PLACE)]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The user.
    name: String,
    #[command(flatten)]
    place: Place,
}

/// Where passwords come from: argument is the name to show.
type Ask<'a> = &'a dyn Fn(&str) -> Result<Zeroizing<String>, String>;

/// Runs the verb. `arithmetic` is the component's part of making verifiers.
pub fn run(arguments: &Arguments, arithmetic: &dyn Arithmetic) -> ExitCode {
    let stdin = matches!(
        arguments.verb,
        Verb::Add {
            password_stdin: true,
            ..
        } | Verb::Password {
            password_stdin: true,
            ..
        }
    );
    let ask: Ask<'_> = if stdin {
        &|_| password::from(std::io::stdin())
    } else {
        &password::ask
    };
    match execute(
        &arguments.verb,
        arithmetic,
        ask,
        &mut std::io::stdout().lock(),
    ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

/// Why a verb failed, for a person.
#[derive(Debug)]
struct Problem(String);

impl From<UsersError> for Problem {
    fn from(error: UsersError) -> Self {
        match std::error::Error::source(&error) {
            Some(cause) => Self(format!("{error}: {cause}")),
            None => Self(error.to_string()),
        }
    }
}

fn execute(
    verb: &Verb,
    arithmetic: &dyn Arithmetic,
    ask: Ask<'_>,
    out: &mut dyn Write,
) -> Result<(), String> {
    let said = match verb {
        Verb::Add { user, domain, .. } => {
            let config = load(&user.place.config)?;
            let name = full_name(&user.name, domain.as_deref())?;
            add(&config, &name, arithmetic, ask)?
        }
        Verb::List { place, json } => list(&load(&place.config)?, *json)?,
        Verb::Remove { user } => remove(&load(&user.place.config)?, &user.name)?,
        Verb::Password { user, .. } => {
            set_password(&load(&user.place.config)?, &user.name, arithmetic, ask)?
        }
    };
    out.write_all(said.as_bytes())
        .map_err(|error| format!("cannot write: {error}"))
}

fn load(path: &Path) -> Result<Config, String> {
    let loaded = Config::load(path);
    let errors: Vec<String> = loaded
        .errors()
        .map(|error| format!("\n  {error}"))
        .collect();
    loaded.config.ok_or_else(|| {
        format!(
            "the configuration cannot be used, nothing was done:{}",
            errors.concat()
        )
    })
}

fn full_name(name: &str, domain: Option<&str>) -> Result<String, String> {
    let full = match domain {
        Some(_) if name.contains('@') => {
            return Err(format!("{name} has a domain already; leave --domain out"));
        }
        Some(domain) => format!("{name}@{domain}"),
        None => name.to_owned(),
    };
    // R4954-4-o: as names are compared later.
    let prepared = prepare::name(&full);
    let checked = match &prepared {
        Some(prepared) => check_name(prepared),
        None => Err("has characters that no user name may have (RFC 4013)"),
    };
    match checked {
        Ok(()) => Ok(prepared.unwrap_or(full)),
        Err(why) => Err(format!(
            "\"{}\" {why}; use a name such as alice or alice@example.org",
            full.escape_debug()
        )),
    }
}

fn position(records: &[Record], name: &str) -> Option<usize> {
    records
        .iter()
        .position(|record| folded(&record.name) == folded(name))
}

fn add(
    config: &Config,
    name: &str,
    arithmetic: &dyn Arithmetic,
    ask: Ask<'_>,
) -> Result<String, String> {
    let path = &config.auth.path;
    let taken = |records: &[Record]| match position(records, name) {
        Some(at) => Err(Problem(format!(
            "there is a user {} already in {}; set a new password with `pillarbox user password {0}`",
            records[at].name,
            path.display()
        ))),
        None => Ok(()),
    };
    // Nobody should type a password twice to learn that. Asked again under the lock.
    taken(&file::read(path).map_err(|error| Problem::from(error).0)?)
        .map_err(|problem| problem.0)?;
    let mut record = Record::new(name);
    let (verifiers, stored) = verifiers(config, &ask(name)?, arithmetic)?;
    verifiers.replace(&mut record);
    let owner = owner(config)?;
    file::edit(path, owner, |records| {
        taken(records)?;
        records.push(record);
        Ok(())
    })
    .map_err(|problem: Problem| problem.0)?;
    Ok(format!("added {name} to {} ({stored})\n", path.display()))
}

fn set_password(
    config: &Config,
    name: &str,
    arithmetic: &dyn Arithmetic,
    ask: Ask<'_>,
) -> Result<String, String> {
    let path = &config.auth.path;
    let records = file::read(path).map_err(|error| Problem::from(error).0)?;
    let at = position(&records, name).ok_or_else(|| nobody(config, name))?;
    let shown = records[at].name.clone();
    let (verifiers, stored) = verifiers(config, &ask(&shown)?, arithmetic)?;
    file::edit(path, owner(config)?, |records| {
        // Only the verifiers: the rest may have been changed meanwhile.
        let at = position(records, name).ok_or_else(|| Problem(nobody(config, name)))?;
        verifiers.replace(&mut records[at]);
        Ok(())
    })
    .map_err(|problem: Problem| problem.0)?;
    Ok(format!(
        "{shown} has a new password in {} ({stored})\n",
        path.display()
    ))
}

fn remove(config: &Config, name: &str) -> Result<String, String> {
    let path = &config.auth.path;
    if !path.exists() {
        return Err(nobody(config, name));
    }
    let removed = file::edit(path, owner(config)?, |records| {
        let at = position(records, name).ok_or_else(|| Problem(nobody(config, name)))?;
        Ok(records.remove(at))
    })
    .map_err(|problem: Problem| problem.0)?;
    Ok(format!(
        "removed {} from {}\n",
        removed.name,
        path.display()
    ))
}

fn nobody(config: &Config, name: &str) -> String {
    format!(
        "there is no user {name} in {}; `pillarbox user list --config {}` shows all",
        config.auth.path.display(),
        config.file.display()
    )
}

/// What the mechanisms of the listeners need, and what that is for a person.
fn verifiers(
    config: &Config,
    password: &str,
    arithmetic: &dyn Arithmetic,
) -> Result<(Verifiers, String), String> {
    let mut kinds = config.kinds();
    // Where no listener asks for anybody, argon2id is what the next one will want.
    if kinds.is_empty() {
        kinds.push(Kind::Password);
    }
    let verifiers =
        Verifiers::derive(password, &kinds, arithmetic).map_err(|error| super::chain(&error))?;
    let made = verifiers.kinds();
    let mut stored: Vec<String> = made
        .iter()
        .map(|kind| format!("{} for {}", kind.what(), kind.mechanisms()))
        .collect();
    if let Some(kind) = kinds.iter().find(|kind| !made.contains(kind)) {
        stored.push(format!(
            "none for {}, which cannot carry a character of this password (RFC 4013)",
            kind.mechanisms()
        ));
    }
    Ok((verifiers, stored.join(", ")))
}

/// Whom a new file shall belong to: the service, if we are root and it will not be.
fn owner(config: &Config) -> Result<Option<(u32, u32)>, String> {
    let Some(name) = config
        .user
        .as_deref()
        .filter(|_| nix::unistd::geteuid().is_root())
    else {
        return Ok(None);
    };
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(Some((user.uid.as_raw(), user.gid.as_raw()))),
        Ok(None) => Err(format!(
            "there is no account {name} (`user` in {}); make it: useradd --system {name}",
            config.file.display()
        )),
        Err(error) => Err(format!("cannot look up the account {name}: {error}")),
    }
}

#[derive(Serialize)]
struct Shown<'r> {
    name: &'r str,
    /// Whether LOGIN and PLAIN work.
    password: bool,
    /// Whether NTLM works.
    nt: bool,
    /// Whether CRAM-MD5 works.
    cram_md5: bool,
    /// Whether SCRAM-SHA-1 works.
    scram_sha_1: bool,
    /// Whether SCRAM-SHA-256 works.
    scram_sha_256: bool,
    /// What the mechanisms of some listener need and this user lacks.
    lacks: Vec<&'static str>,
    disabled: bool,
    senders: &'r [String],
    certificates: &'r [String],
}

fn list(config: &Config, json: bool) -> Result<String, String> {
    let path = &config.auth.path;
    let records = file::read(path).map_err(|error| Problem::from(error).0)?;
    if records.is_empty() && !json {
        return Ok(format!(
            "no users in {}; `pillarbox user add NAME` adds one\n",
            path.display()
        ));
    }
    let width = records
        .iter()
        .map(|record| record.name.chars().count())
        .max()
        .unwrap_or(0);
    let mut lines = String::new();
    let needed = config.kinds();
    for record in &records {
        let words = |kinds: &[Kind]| kinds.iter().map(|kind| kind.keywords()).collect::<Vec<_>>();
        let lacks = words(&record.lacks(&needed));
        if json {
            let shown = Shown {
                name: &record.name,
                password: record.password.is_some(),
                nt: record.nt.is_some(),
                cram_md5: record.cram_md5.is_some(),
                scram_sha_1: record.scram_sha_1.is_some(),
                scram_sha_256: record.scram_sha_256.is_some(),
                lacks,
                disabled: record.disabled,
                senders: &record.senders,
                certificates: &record.certificates,
            };
            lines += &serde_json::to_string(&shown).map_err(|error| error.to_string())?;
        } else {
            let mut notes = Vec::new();
            let has = Kind::ALL.into_iter().filter(|kind| record.has(*kind));
            match words(&has.collect::<Vec<_>>()) {
                has if has.is_empty() => notes.push("no password".to_owned()),
                has => notes.push(has.join(" ")),
            }
            match record.certificates.len() {
                0 => {}
                1 => notes.push("1 certificate".to_owned()),
                count => notes.push(format!("{count} certificates")),
            }
            // Who has no password at all is not meant to log in with one.
            if !lacks.is_empty() && lacks.len() < needed.len() {
                notes.push(format!("lacks {}", lacks.join(" ")));
            }
            if record.disabled {
                notes.push("disabled".to_owned());
            }
            if !record.senders.is_empty() {
                notes.push(format!("also sends as {}", record.senders.join(" ")));
            }
            lines += &format!("{:width$}  {}", record.name, notes.join(", "));
        }
        lines.push('\n');
    }
    Ok(lines)
}

#[cfg(test)]
#[path = "user/tests.rs"]
mod tests;
