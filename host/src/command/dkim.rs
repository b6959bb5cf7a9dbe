//! `pillarbox dkim key`: makes a key that signs, and prints the record that publishes it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::{chain, failed};
use crate::config::names::check_domain;
use crate::dkim::{Algorithm, Key, ascii_domain, generate, record};

/// Arguments of `dkim`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key unless its file is there, and print its DNS record.
    Key(KeyArguments),
}

#[derive(Debug, clap::Args)]
struct KeyArguments {
    /// The domain of the authors whose mail is signed.
    #[arg(long)]
    domain: String,
    /// The name of the key in the DNS: SELECTOR._domainkey.DOMAIN.
    #[arg(long)]
    selector: String,
    /// Kind of a new key. Every verifier takes RSA; Ed25519 is for a second key.
    #[arg(long, value_enum, default_value_t = Kind::Rsa)]
    algorithm: Kind,
    /// Bits of a new RSA key: 2048, 3072 or 4096.
    #[arg(long, default_value_t = 2048, value_parser = bits)]
    bits: u32,
    /// The file of the key; without it SELECTOR.DOMAIN.pem here.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Rsa,
    Ed25519,
}

fn bits(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(bits @ (2048 | 3072 | 4096)) => Ok(bits),
        _ => Err("use 2048 (which every verifier takes), 3072 or 4096".to_owned()),
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> ExitCode {
    let Verb::Key(arguments) = &arguments.verb;
    match key(arguments, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(why),
    }
}

/// What is printed with `--json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    file: &'a str,
    /// Whether the key is new.
    made: bool,
    algorithm: &'static str,
    bits: usize,
    domain: &'a str,
    selector: &'a str,
    /// Name of the record.
    name: String,
    /// Its text in one piece.
    text: &'a str,
    /// Its text in the pieces of a TXT record.
    strings: Vec<&'a str>,
    /// The line of a zone file.
    zone: String,
}

fn key(arguments: &KeyArguments, out: &mut dyn Write) -> Result<(), String> {
    let domain = ascii_domain(&arguments.domain)
        .filter(|domain| check_domain(domain).is_ok() && domain.contains('.'))
        .ok_or_else(|| {
            let domain = arguments.domain.escape_debug();
            format!("\"{domain}\" is no domain of mail; use one such as example.org")
        })?;
    let selector = arguments.selector.as_str();
    if check_domain(selector).is_err() || !selector.is_ascii() {
        let selector = selector.escape_debug();
        return Err(format!(
            "\"{selector}\" is no selector; use letters, digits and inner hyphens, as in mail2026"
        ));
    }
    let usual = PathBuf::from(format!("{selector}.{domain}.pem"));
    let path = arguments.out.as_deref().unwrap_or(&usual);
    let (key, made) = load_or_make(path, arguments)?;
    let text = record::text(&key);
    let file = path.display().to_string();
    let zone = record::zone(selector, &domain, &text);
    let written = if arguments.json {
        let shown = Shown {
            file: &file,
            made,
            algorithm: key.algorithm().name(),
            bits: key.bits(),
            domain: &domain,
            selector,
            name: record::name(selector, &domain),
            text: &text,
            strings: record::strings(&text),
            zone,
        };
        let shown = serde_json::to_string(&shown).map_err(|error| error.to_string())?;
        writeln!(out, "{shown}")
    } else {
        let state = if made { "made" } else { "was there already" };
        writeln!(
            out,
            "{file}: {state}, {} of {} bits\n\n\
             Publish this TXT record in the DNS. As a line of a zone file:\n\n{zone}\n\n\
             In a form of a web page: name {}, type TXT, text\n\n{text}\n\n\
             Then let it sign, in the configuration (the service must be able to read the file):\n\n\
             [[dkim]]\ndomain   = \"{domain}\"\nselector = \"{selector}\"\nkey      = \"{file}\"",
            key.algorithm().name(),
            key.bits(),
            record::name(selector, &domain),
        )
    };
    written.map_err(|error| format!("cannot write: {error}"))
}

/// The key of the file, or a new one in it, and whether it is new.
fn load_or_make(path: &Path, arguments: &KeyArguments) -> Result<(Key, bool), String> {
    if path.exists() {
        return Key::load(path)
            .map(|key| (key, false))
            .map_err(|error| chain(&error));
    }
    let algorithm = match arguments.algorithm {
        Kind::Rsa => Algorithm::Rsa,
        Kind::Ed25519 => Algorithm::Ed25519,
    };
    generate(path, algorithm, arguments.bits)
        .map(|key| (key, true))
        .map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use super::*;
    use clap::Parser;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn run(file: &Path, more: &str) -> Result<String, String> {
        let words = ["dkim", "key", "--out"].into_iter().map(str::to_owned);
        let words = words
            .chain([file.display().to_string()])
            .chain(more.split(' ').map(str::to_owned));
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let Verb::Key(arguments) = &line.arguments.verb;
        let mut out = Vec::new();
        key(arguments, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn r6409_8_5_a_key_is_made_once_and_its_record_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let usual = "--domain Example.ORG --selector mail";
        let first = run(&file, usual).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let pem = fs::read(&file).unwrap();
        assert!(first.contains("made, rsa of 2048 bits"), "{first}");
        let zone = "mail._domainkey.example.org. IN TXT ( \"v=DKIM1; k=rsa; p=MII";
        assert!(first.contains(zone), "{first}");
        let second = run(&file, usual).unwrap();
        assert!(second.contains("was there already"), "{second}");
        assert_eq!(fs::read(&file).unwrap(), pem);
        let json = run(&file, &format!("{usual} --json")).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(shown["made"], false);
        assert_eq!(shown["name"], "mail._domainkey.example.org");
        assert_eq!(shown["strings"].as_array().unwrap().len(), 2);
        assert!(first.contains(shown["text"].as_str().unwrap()));
    }

    #[test]
    fn r6409_8_5_ed25519_has_a_short_record() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let more = "--domain example.org --selector e1 --algorithm ed25519 --json";
        let shown: serde_json::Value = serde_json::from_str(&run(&file, more).unwrap()).unwrap();
        assert_eq!(shown["algorithm"], "ed25519");
        // 32 octets in base64.
        let text = shown["text"].as_str().unwrap();
        let public = text.strip_prefix("v=DKIM1; k=ed25519; p=").unwrap();
        assert_eq!(public.len(), 44);
    }

    #[test]
    fn what_cannot_be_published_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        for more in [
            "--domain localhost --selector s",
            "--domain [192.0.2.1] --selector s",
            "--domain example.org --selector a_b",
            "--domain example.org --selector s --bits 1024",
        ] {
            assert!(run(&file, more).is_err(), "{more}");
            assert!(!file.exists());
        }
        fs::write(&file, "something else").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let why = run(&file, "--domain example.org --selector s").unwrap_err();
        assert!(why.contains("no private key"), "{why}");
        assert_eq!(fs::read(&file).unwrap(), b"something else");
    }
}
