//! Whether what routes and alarms name is there: secrets, commands, authorities, sockets.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use super::account::Account;
use crate::command::chain;
use crate::config::{Config, Finding, Level, Loaded, Route, Secret};
use crate::oauth::{Grant, secret_file};
use crate::outbound::Trust;
use crate::route::{Endpoint, read_password};

/// Adds what is wrong.
pub(super) fn examine(
    loaded: &Loaded,
    config: &Config,
    account: Option<&Account>,
    findings: &mut Vec<Finding>,
) {
    let mut found = Found {
        loaded,
        account,
        findings,
    };
    let mut system = None;
    for (index, route) in config.routes.iter().enumerate() {
        let key = |key: &str| format!("route[{index}].{key}");
        credentials(&mut found, route, &key);
        authorities(&mut found, route, &key, &mut system);
        for server in route.deliver.servers() {
            if let Endpoint::Unix(path) = &server.endpoint {
                socket(&mut found, &key("deliver"), path);
            }
        }
    }
    if let Some(alarm) = &config.alarm.command {
        command(&mut found, "alarm.command", alarm);
    }
}

/// Where findings go, and whose eyes look.
struct Found<'a> {
    loaded: &'a Loaded,
    account: Option<&'a Account>,
    findings: &'a mut Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, level: Level, key: &str, text: String) {
        self.findings.push(self.loaded.finding(level, key, text));
    }

    /// Whether the service can read the file; if not, that is said.
    fn readable(&mut self, key: &str, file: &Path) -> bool {
        let why = match self.account {
            Some(account) => account.may_read(file).err(),
            None => None,
        };
        let readable = why.is_none();
        if let Some(why) = why {
            self.add(Level::Error, key, why);
        }
        readable
    }
}

fn credentials(found: &mut Found<'_>, route: &Route, key: &dyn Fn(&str) -> String) {
    let Some(auth) = &route.auth else { return };
    let token = |what: &'static str| {
        move |path: &Path| match secret_file::read(what, path) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.line()),
        }
    };
    let (client_secret, refresh) = match &auth.secret {
        Secret::PasswordFile(path) => {
            let read = |path: &Path| read_password(path).map(drop);
            secret(found, &key("auth.password-file"), path, read);
            return;
        }
        Secret::PasswordCommand(text) => {
            return command(found, &key("auth.password-command"), text);
        }
        Secret::Token(Grant::Command(text)) => {
            return command(found, &key("auth.token-command"), text);
        }
        Secret::Token(Grant::RefreshToken {
            client_secret_file,
            refresh_token_file,
            ..
        }) => (client_secret_file.as_ref(), Some(refresh_token_file)),
        Secret::Token(Grant::ClientCredentials {
            client_secret_file, ..
        }) => (Some(client_secret_file), None),
    };
    if let Some(path) = client_secret {
        let read = token("client secret");
        secret(found, &key("auth.client-secret-file"), path, read);
    }
    if let Some(path) = refresh {
        let key = key("auth.refresh-token-file");
        secret(found, &key, path, token("refresh token"));
        // The token server may replace it.
        if let (Some(account), Some(folder)) = (found.account, path.parent())
            && let Err(why) = account.may_fill(folder)
        {
            let text = format!("{why}; a new refresh token could not be kept");
            found.add(Level::Warning, &key, text);
        }
    }
}

/// A file with a secret: there, readable by the service and by nobody else, and a secret.
fn secret(
    found: &mut Found<'_>,
    key: &str,
    path: &Path,
    read: impl Fn(&Path) -> Result<(), String>,
) {
    if !found.readable(key, path) {
        return;
    }
    // Whoever runs this may see less than the service.
    let seen = File::open(path).is_ok() || !path.exists();
    if seen && let Err(why) = read(path) {
        found.add(Level::Error, key, why);
        return;
    }
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        let text = format!(
            "{} has mode {mode:04o}: others can read the secret; chmod 600 it",
            path.display()
        );
        found.add(Level::Warning, key, text);
    }
}

/// Whose certificates are good. `system`: what is known about the system's authorities.
fn authorities(
    found: &mut Found<'_>,
    route: &Route,
    key: &dyn Fn(&str) -> String,
    system: &mut Option<Result<(), String>>,
) {
    if !route.may_use_tls() {
        return;
    }
    if let Some(file) = &route.tls_authorities {
        let key = key("tls-authorities");
        let seen = found.readable(&key, file) && (File::open(file).is_ok() || !file.exists());
        if seen && let Err(error) = Trust::file(file) {
            found.add(Level::Error, &key, error.to_string());
        }
    } else if route.needs_verification() {
        let load = || Trust::platform().map(drop).map_err(|error| chain(&error));
        if let Err(why) = system.get_or_insert_with(load) {
            let text = format!(
                "{why}, so no server can be trusted; install them (ca-certificates), or name a \
                 file in tls-authorities"
            );
            found.add(Level::Error, &key("deliver"), text);
        }
    }
}

fn socket(found: &mut Found<'_>, key: &str, path: &Path) {
    let why = match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => match found.account {
            Some(account) => account.may_connect(path).err(),
            None => None,
        },
        Ok(_) => Some(format!(
            "{} is no socket; name the one of the LMTP server",
            path.display()
        )),
        Err(error) => Some(format!(
            "there is no socket {} ({error}); start the LMTP server that makes it",
            path.display()
        )),
    };
    if let Some(why) = why {
        found.add(Level::Warning, key, why);
    }
}

fn command(found: &mut Found<'_>, key: &str, text: &str) {
    let Some(program) = program(text) else { return };
    let path = Path::new(program);
    if path.is_absolute() {
        let why = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => "is no program",
            Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => {
                "may not be run; chmod a+x it"
            }
            Ok(_) => return,
            Err(_) => "does not exist",
        };
        found.add(Level::Error, key, format!("{program} {why}"));
    } else if program.contains('/') {
        let text =
            format!("{program} counts from where the service is started; write its whole path");
        found.add(Level::Warning, key, text);
    } else if !is_in_path(program) {
        let text = format!("there is no program {program} in PATH; write its whole path");
        found.add(Level::Warning, key, text);
    }
}

/// What the shell takes for something else than a letter of a word.
const SPECIAL: [char; 19] = [
    '\'', '"', '$', '`', '\\', '(', ')', '{', '}', '<', '>', '|', '&', ';', '*', '?', '[', '#', '!',
];

/// The program that a shell command runs first, as far as one can tell without being the shell.
fn program(command: &str) -> Option<&str> {
    const OF_THE_SHELL: [&str; 20] = [
        ".", ":", "[", "case", "cd", "command", "echo", "eval", "exec", "export", "for", "if",
        "printf", "read", "set", "test", "trap", "umask", "until", "while",
    ];
    let assignment = |word: &str| {
        word.split_once('=').is_some_and(|(name, value)| {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            // A value with a quote may go on after a space.
            !name.is_empty() && name.chars().all(good) && !value.contains(SPECIAL)
        })
    };
    let word = command.split_whitespace().find(|word| !assignment(word))?;
    (!OF_THE_SHELL.contains(&word) && !word.contains(SPECIAL) && !word.contains('='))
        .then_some(word)
}

fn is_in_path(program: &str) -> bool {
    let runs = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| runs(&folder.join(program))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_command_is_its_first_word() {
        for (command, expected) in [
            ("/usr/local/bin/token", Some("/usr/local/bin/token")),
            ("  pass show mail/relay", Some("pass")),
            ("LANG=C GNUPGHOME=/x gpg -d f", Some("gpg")),
            ("./token", Some("./token")),
            ("cat /x | head -1", Some("cat")),
            ("cd /x; token", None),
            ("exec token", None),
            ("echo secret", None),
            ("$HOME/token", None),
            ("'/my programs/token' now", None),
            ("A='x y' token", None),
            ("A=$(date) token", None),
            ("(token)", None),
            ("[ -e /x ] && token", None),
            ("A=b", None),
            ("", None),
        ] {
            assert_eq!(program(command), expected, "{command}");
        }
    }
}
