//! `sendmail`, for programs that know no other way to send mail. Exit statuses are those of
//! sysexits.h: 64 usage, 65 a message that cannot be sent, 66 no input, 67 no such user, 69 the
//! service does not do it, 75 try again later, 78 configuration.

use super::hand_over::{Envelope, Order, Wishes, hand_over};
use super::header::{self, Message};
use super::options::{self, Call};
use super::{Refusal, login, mailbox, message, server};
use secrecy::SecretString;
use serde::Deserialize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: u8 = 64;
const DATA: u8 = 65;
const NO_INPUT: u8 = 66;
const SOFTWARE: u8 = 70;
const CONFIGURATION: u8 = 78;

/// Names the configuration's file.
const VARIABLE: &str = "PILLARBOX_SENDMAIL";
/// Where it is without that.
const USUAL_PLACE: &str = "/etc/pillarbox/sendmail.toml";

/// The file: where mail goes, and as whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// `HOST:PORT`.
    server: String,
    tls: Option<server::Tls>,
    tls_ca: Option<PathBuf>,
    tls_name: Option<String>,
    #[serde(default)]
    tls_unverified: bool,
    #[serde(default)]
    eight_bit: server::EightBit,
    #[serde(default)]
    chunking: bool,
    auth: Option<login::Mechanism>,
    user: Option<String>,
    ntlm_domain: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    clear_text: bool,
    /// Envelope sender without `-f`. Default: the account's name at `domain`.
    from: Option<String>,
    /// What addresses without a domain get. Default: this system's full name.
    domain: Option<String>,
    hostname: Option<String>,
}

/// Why there is nothing to report, and the exit status for it.
struct Stop(u8, String);

/// Runs as `sendmail`.
pub fn sendmail() -> ExitCode {
    match deliver() {
        Ok(status) => ExitCode::from(status),
        Err(Stop(status, text)) => {
            eprintln!("sendmail: {text}");
            ExitCode::from(status)
        }
    }
}

fn deliver() -> Result<u8, Stop> {
    let words: Result<Vec<String>, _> = std::env::args_os()
        .skip(1)
        .map(std::ffi::OsString::into_string)
        .collect();
    let words =
        words.map_err(|word| Stop(USAGE, format!("{} is not UTF-8", word.to_string_lossy())))?;
    let call = options::parse(words).map_err(|text| Stop(USAGE, text))?;
    let path = std::env::var_os(VARIABLE).map_or_else(|| USUAL_PLACE.into(), PathBuf::from);
    let config = read(&path)?;
    let octets = message::read(None).map_err(|text| Stop(NO_INPUT, text))?;
    let (order, content) = prepare(&call, &config, &path, &octets)?;
    let report = hand_over(&order, &content).map_err(|text| Stop(SOFTWARE, text))?;
    report.explain(&order, "sendmail");
    Ok(report.sysexit())
}

fn read(path: &Path) -> Result<Config, Stop> {
    let wrong = |text: String| Stop(CONFIGURATION, format!("{}: {text}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| {
        wrong(format!(
            "{error}; write there: server = \"mail.example.org:587\" (or name another file with \
             {VARIABLE})"
        ))
    })?;
    let config: Config = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if config.password.is_some() {
        let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o007 != 0) {
            return Err(wrong(
                "it has a password and can be read by everybody on this system; change the \
                 password, then run chmod 640, or use password-file"
                    .into(),
            ));
        }
    }
    Ok(config)
}

impl Config {
    /// The domain for addresses without one.
    fn domain(&self) -> Result<String, String> {
        self.domain
            .clone()
            .or_else(mailbox::system_name)
            .ok_or_else(|| {
                "addresses without a domain need one: set domain = \"example.org\"".into()
            })
    }

    fn login(&self, path: &Path) -> Result<crate::outbound::Login, Refusal> {
        let options = login::Options {
            auth: self.auth,
            user: self.user.clone(),
            domain: self.ntlm_domain.clone(),
            // Beside the configuration, unless it says where.
            password_file: self.password_file.as_ref().map(|file| match path.parent() {
                Some(folder) => folder.join(file),
                None => file.clone(),
            }),
            token_file: None,
            clear_text: self.clear_text,
        };
        match (&self.user, &self.password) {
            (Some(user), Some(password)) if options.password_file.is_none() => {
                Ok(options.with(user, SecretString::from(password.as_str())))
            }
            (_, Some(_)) => Err(Refusal::Usage(
                "password needs user, and no password-file beside it".into(),
            )),
            (_, None) => options.login(),
        }
    }
}

fn prepare(
    call: &Call,
    config: &Config,
    path: &Path,
    octets: &[u8],
) -> Result<(Order, Vec<u8>), Stop> {
    let wrong = |text: String| Stop(CONFIGURATION, format!("{}: {text}", path.display()));
    // The options that complain are keys here.
    let refused = |refusal| match refusal {
        Refusal::Usage(text) | Refusal::Failed(text) => wrong(text.replace("--", "")),
    };
    let octets = if call.ignore_dots {
        octets
    } else {
        message::until_dot(octets)
    };
    let content = message::to_crlf(message::without_separator(octets))
        .map_err(|error| Stop(DATA, error.to_string()))?;
    let header = Message::split(&content);
    let sender = match (&call.sender, &config.from) {
        (Some(sender), _) | (None, Some(sender)) => sender.clone(),
        (None, None) => account(),
    };
    let sender = match sender.as_str() {
        "" | "<>" => String::new(),
        _ => qualify(&sender, config).map_err(wrong)?,
    };
    let reverse_path = mailbox::reverse_path(&sender)
        .map_err(|what| Stop(USAGE, format!("sender {sender}: {what}")))?;
    let mut words = call.recipients.clone();
    if call.extract {
        words.extend(header.recipients().map_err(|text| Stop(DATA, text))?);
    }
    let mut recipients = Vec::new();
    for word in words {
        // RFC 5321 section 4.1.1.3 knows one recipient without a domain; here it is ours.
        let recipient = qualify(&word, config).map_err(wrong)?;
        mailbox::check(&recipient)
            .map_err(|what| Stop(USAGE, format!("recipient {word}: {what}")))?;
        if !recipients.contains(&recipient) {
            recipients.push(recipient);
        }
    }
    if recipients.is_empty() {
        let text = "there is no recipient: name one, or give -t and a To, Cc or Bcc field";
        return Err(Stop(USAGE, text.into()));
    }
    let author = if reverse_path.is_empty() {
        qualify(&account(), config).map_err(wrong)?
    } else {
        reverse_path.clone()
    };
    let author = header::author(call.full_name.as_deref(), &author);
    let hostname = match &config.hostname {
        Some(name) => {
            Some(mailbox::greeting_name(name).map_err(|text| refused(Refusal::Usage(text)))?)
        }
        None => mailbox::system_name(),
    };
    let server = server::Options {
        server: config.server.clone(),
        tls: config.tls,
        tls_ca: config.tls_ca.clone(),
        tls_name: config.tls_name.clone(),
        tls_unverified: config.tls_unverified,
        eight_bit: config.eight_bit,
        chunking: config.chunking,
    };
    let order = Order {
        target: server.target(hostname).map_err(refused)?,
        login: config.login(path).map_err(refused)?,
        envelope: Envelope {
            reverse_path,
            recipients,
            dsn: call.dsn.clone(),
            wishes: Wishes::default(),
        },
        trace: call.trace,
    };
    let content = header.completed(&author, call.extract);
    Ok((order, content))
}

/// A word on the command line or in a header field, with a domain. The domain is only asked for
/// where it is needed.
fn qualify(word: &str, config: &Config) -> Result<String, String> {
    let word = word
        .strip_prefix('<')
        .and_then(|word| word.strip_suffix('>'))
        .unwrap_or(word);
    if mailbox::is_no_mailbox(word) || !word.contains('@') {
        return Ok(mailbox::qualified(word, &config.domain()?));
    }
    Ok(word.to_owned())
}

/// The account's name.
fn account() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| "root".into(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "server = \"mail.example.org\"\ntls = \"off\"\ndomain = \"example.org\"\n";

    fn prepared(words: &str, config: &str, octets: &str) -> Result<(Order, String), Stop> {
        let call = options::parse(words.split_whitespace().map(str::to_owned)).unwrap();
        let config: Config = toml::from_str(config).unwrap();
        prepare(&call, &config, Path::new("/etc/x.toml"), octets.as_bytes())
            .map(|(order, content)| (order, String::from_utf8(content).unwrap()))
    }

    fn good(words: &str, config: &str, octets: &str) -> (Order, String) {
        match prepared(words, config, octets) {
            Ok(prepared) => prepared,
            Err(Stop(status, text)) => panic!("{status}: {text}"),
        }
    }

    #[test]
    fn cl_bcc_with_t_recipients_come_from_the_header_and_bcc_goes() {
        let (order, content) = good(
            "-t -f alice",
            CONFIG,
            "To: bob\nBcc: Carol <carol@example.net>\n\ntext\n.\nno more\n",
        );
        assert_eq!(order.envelope.reverse_path, "alice@example.org");
        assert_eq!(
            order.envelope.recipients,
            ["bob@example.org", "carol@example.net"]
        );
        assert_eq!(
            content,
            "From: alice@example.org\r\nTo: bob\r\n\r\ntext\r\n"
        );
    }

    #[test]
    fn without_t_the_header_stays_as_it_is() {
        let (order, content) = good(
            "-i -f a@x.org root root",
            CONFIG,
            "From: b@x.org\nBcc: c@x.org\n\n.\nend\n",
        );
        assert_eq!(order.envelope.recipients, ["root@example.org"]);
        assert_eq!(content, "From: b@x.org\r\nBcc: c@x.org\r\n\r\n.\r\nend\r\n");
    }

    #[test]
    fn the_configured_sender_is_the_default_and_null_is_null() {
        let config = format!("{CONFIG}from = \"cron@example.net\"\n");
        let (order, content) = good("-F Cron b@x.org", &config, "Subject: s\n\n");
        assert_eq!(order.envelope.reverse_path, "cron@example.net");
        assert_eq!(
            content,
            "From: Cron <cron@example.net>\r\nSubject: s\r\n\r\n"
        );
        let (order, _) = good("-f <> b@x.org", &config, "Subject: s\n\n");
        assert_eq!(order.envelope.reverse_path, "");
    }

    #[test]
    fn each_mistake_has_its_exit_status() {
        for (words, config, octets, status) in [
            ("-t", CONFIG, "Subject: s\n\n", 64),
            ("a@b@c", CONFIG, "\n", 64),
            ("a@x.org", CONFIG, "a\rb\n", 65),
            ("-t", CONFIG, "To: \"a\n\n", 65),
            ("a@x.org", "server = \"a b\"\n", "\n", 78),
            (
                "-f a@x.org b@x.org",
                "server = \"h\"\npassword = \"x\"\n",
                "\n",
                78,
            ),
        ] {
            match prepared(words, config, octets) {
                Err(Stop(found, text)) => assert_eq!(found, status, "{words}: {text}"),
                Ok(_) => panic!("{words}"),
            }
        }
        assert!(toml::from_str::<Config>("server = \"h\"\nsever = 1\n").is_err());
    }
}
