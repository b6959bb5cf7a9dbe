//! `pillarbox demo`: the main job without any configuration. A scratch folder, a self-signed
//! certificate, one user; real submissions over real sockets, each through a sandbox of its own,
//! made durable and delivered; then what was delivered is compared with what was sent.

use super::component::small_engine;
use super::{failed, serve};
use crate::config::Config;
use crate::embedded;
use crate::outbound::{
    CredentialsError, Dialogue, Login, Provider, Security, Side, Target, Timeouts, Trace, Trust,
    resolve,
};
use crate::sandbox::client::scan;
use crate::sandbox::v0_1::client::{Credentials, Verdict};
use crate::sandbox::v0_1::types::{
    BodyType, Envelope, ForwardPath, Mechanism, ReversePathParameters,
};
use crate::sandbox::verifier::Verifier;
use crate::sandbox::{Build, SandboxError};
use crate::users::{Record, UsersError, Verifiers, file};
use async_trait::async_trait;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const HOSTNAME: &str = "mail.demo.example";
const USER: &str = "alice@demo.example";
const PASSWORD: &str = "a demo needs no secret";
const RECIPIENT: &str = "bob@demo.example";
const MECHANISMS: [(Mechanism, &str); 3] = [
    (Mechanism::Ntlm, "NTLM"),
    (Mechanism::Login, "LOGIN"),
    // Bound to the TLS channel: a proof that is good on this connection alone.
    (Mechanism::ScramSha256Plus, "SCRAM-SHA-256-PLUS"),
];
/// How long a delivery may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Work in this folder, which must be empty or missing, and keep it. Default: a temporary one,
    /// removed at the end.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Runs the demo.
pub fn run(arguments: &Arguments) -> ExitCode {
    match scratch(arguments.folder.as_deref()).and_then(|folder| {
        let shown = show(&folder);
        if arguments.folder.is_none() {
            // A leftover in the system's temporary folder hurts nobody.
            let _ = fs::remove_dir_all(&folder);
        }
        shown
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

fn scratch(chosen: Option<&Path>) -> Result<PathBuf, String> {
    let folder = match chosen {
        Some(folder) => folder.to_owned(),
        None => std::env::temp_dir().join(format!("pillarbox-demo-{}", std::process::id())),
    };
    let failed = |error: std::io::Error| format!("cannot use {}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    if fs::read_dir(&folder).map_err(failed)?.next().is_some() {
        return Err(format!(
            "{} is not empty; name another folder",
            folder.display()
        ));
    }
    fs::canonicalize(&folder).map_err(failed)
}

fn show(folder: &Path) -> Result<(), String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?
        .block_on(tell(folder))
}

async fn tell(folder: &Path) -> Result<(), String> {
    say("1. The component", "all session logic; what it may touch:");
    let engine = small_engine()?;
    let build = embedded::load(&engine, None, None).map_err(|error| error.to_string())?;
    let inspection = Build::inspect(&engine, embedded::COMPONENT);
    println!("   sha256:{}", inspection.digest);
    for import in &inspection.imports {
        println!("   imports {import}");
    }

    say(
        "2. The service",
        "one user; verifiers are kept, never the password:",
    );
    let config = configuration(folder)?;
    add_user(&config, &build)?;
    println!("   {USER} in {}", shown(folder, &config.auth.path));
    let prepared = serve::prepare(config)?;
    let (told, ready) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let service = tokio::spawn(serve::serve(
        prepared,
        move |addresses| {
            // The demo waits at the other end, unless it has failed already.
            let _ = told.send(addresses.to_vec());
        },
        async move {
            let _ = ended.await;
        },
    ));
    let Ok(addresses) = ready.await else {
        return match service.await {
            Ok(Err(error)) => Err(error),
            _ => Err("the service did not start".into()),
        };
    };
    let submitted = submit_all(folder, &build, &addresses).await;
    // Dropping the other end would end the service as well.
    let _ = end.send(());
    let served = service.await.unwrap_or_else(|error| Err(error.to_string()));
    submitted?;
    served?;
    println!("\nThat is all: three sessions, three sandboxes, three messages. Next: README.md");
    Ok(())
}

fn say(title: &str, text: &str) {
    println!("\n{title}: {text}");
}

/// A path for people: from the scratch folder on.
fn shown(folder: &Path, path: &Path) -> String {
    let rest = path.strip_prefix(folder).unwrap_or(path);
    format!("./{}", rest.display())
}

fn configuration(folder: &Path) -> Result<Config, String> {
    let file = folder.join("pillarbox.toml");
    let text = format!(
        "hostname  = \"{HOSTNAME}\"\nstate-dir = \"state\"\n\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls     = \"starttls\"\n\n[log]\nlevel = \"error\"\n\n[[route]]\ndomains = [\"demo.example\"]\ndeliver = \"maildir:{}/mail/{{domain}}/{{local}}\"\n",
        folder.display()
    );
    fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let loaded = Config::load(&file);
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    loaded.config.ok_or_else(|| errors.join("\n"))
}

fn add_user(config: &Config, build: &Arc<Build>) -> Result<(), String> {
    let verifiers = Verifiers::derive(PASSWORD, &config.kinds(), &Verifier::new(Arc::clone(build)))
        .map_err(|error| super::chain(&error))?;
    let mut record = Record::new(USER);
    verifiers.replace(&mut record);
    file::edit(&config.auth.path, None, |records| {
        records.push(record);
        Ok::<_, UsersError>(())
    })
    .map_err(|error| super::chain(&error))
}

async fn submit_all(
    folder: &Path,
    build: &Arc<Build>,
    addresses: &[SocketAddr],
) -> Result<(), String> {
    let address = addresses.first().ok_or("the service has no listener")?;
    let certificate = folder.join(format!("state/tls/{HOSTNAME}.cert.pem"));
    let trust = Arc::new(Trust::file(&certificate).map_err(|error| super::chain(&error))?);
    let target = Target {
        host: address.ip().to_string(),
        port: address.port(),
        socket: None,
        security: Security::Required,
        tls_name: Some(HOSTNAME.into()),
        trust,
        hostname: Some("printer.demo.example".into()),
        lmtp: false,
        resolver: resolve::system().map_err(|error| super::chain(&error))?,
        timeouts: Timeouts::default(),
    };
    let mut sent = Vec::new();
    for (number, (mechanism, name)) in MECHANISMS.into_iter().enumerate() {
        say(
            &format!("{}. AUTH {name}", number + 3),
            "a submission over STARTTLS, as the client saw it:",
        );
        let message = message(name);
        submit(build, &target, mechanism, &message)
            .await
            .map_err(|error| format!("AUTH {name}: {error}"))?;
        sent.push(message);
    }
    say(
        "6. Delivered",
        "each message with a trace on top, and otherwise octet for octet as sent:",
    );
    let maildir = folder.join("mail/demo.example/bob/new");
    let delivered = delivered(&maildir, sent.len()).await?;
    for message in &sent {
        let found = delivered
            .iter()
            .find(|(_, content)| content.ends_with(message.as_bytes()))
            .ok_or("a message is not in the Maildir as it was sent")?;
        let trace = &found.1[..found.1.len() - message.len()];
        check_trace(&String::from_utf8_lossy(trace))?;
        println!("   {}", shown(folder, &found.0));
        for line in String::from_utf8_lossy(trace).lines() {
            println!("   | {line}");
        }
        if let Some(subject) = message.lines().find(|line| line.starts_with("Subject")) {
            println!("   | {subject}");
        }
    }
    Ok(())
}

fn message(mechanism: &str) -> String {
    format!(
        "From: Alice <{USER}>\r\nTo: Bob <{RECIPIENT}>\r\nSubject: submitted with AUTH {mechanism}\r\nDate: Wed, 01 Jan 2025 12:00:00 +0000\r\nMessage-ID: <{}@printer.demo.example>\r\n\r\nHello Bob,\r\n.a line that begins with a dot\r\n..and one with two\r\n",
        mechanism.to_lowercase()
    )
}

/// Return-Path and exactly one Received (RFC 5321 section 4.4).
fn check_trace(trace: &str) -> Result<(), String> {
    let good = trace.starts_with(&format!("Return-Path: <{USER}>\r\nReceived: from "))
        && trace.contains(&format!("by {HOSTNAME}"))
        && trace.contains("with ESMTPSA id ")
        && trace.matches("Received:").count() == 1;
    if good {
        Ok(())
    } else {
        Err(format!("a delivered message has another trace:\n{trace}"))
    }
}

struct Password;

#[async_trait]
impl Provider for Password {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        Ok(Credentials {
            user: USER.into(),
            domain: String::new(),
            workstation: "PRINTER".into(),
            secret: PASSWORD.into(),
        })
    }
}

struct Shown;

impl Trace for Shown {
    fn line(&mut self, side: Side, text: &str) {
        let mark = match side {
            Side::Client => "C:",
            Side::Server => "S:",
            Side::Note => "--",
        };
        let short: String = text.chars().take(100).collect();
        let rest = if short.len() < text.len() { "…" } else { "" };
        println!("   {mark} {short}{rest}");
    }
}

async fn submit(
    build: &Arc<Build>,
    target: &Target,
    mechanism: Mechanism,
    message: &str,
) -> Result<(), String> {
    let login = Login {
        mechanisms: vec![mechanism],
        clear_text: false,
        provider: Some(Arc::new(Password)),
    };
    let facts = scan(build, message.as_bytes())
        .await
        .map_err(|error: SandboxError| error.to_string())?;
    let envelope = Envelope {
        id: "demo".into(),
        reverse_path: USER.into(),
        parameters: ReversePathParameters {
            body: BodyType::SevenBit,
            size: None,
            smtputf8: false,
            ret: None,
            envid: None,
            auth: None,
            require_tls: false,
            hold_for: None,
            deliver_by: None,
            priority: None,
        },
        forward_paths: vec![ForwardPath {
            mailbox: RECIPIENT.into(),
            notify: None,
            orcpt: None,
        }],
        protocol: String::new(),
        greeted: String::new(),
    };
    let mut dialogue = Dialogue::open(build, target, &login, Some(Box::new(Shown)))
        .await
        .map_err(|error| super::chain(&error))?;
    let mut content = message.as_bytes();
    let outcomes = dialogue.submit(&envelope, &facts, &mut content).await;
    dialogue.quit().await;
    match outcomes.as_slice() {
        [outcome] if outcome.verdict == Verdict::Accepted => Ok(()),
        outcomes => Err(format!("not accepted: {outcomes:?}")),
    }
}

/// The messages of a Maildir, once there are so many.
async fn delivered(folder: &Path, count: usize) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let began = Instant::now();
    loop {
        let files: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect();
        if files.len() >= count {
            return files
                .into_iter()
                .map(|path| match fs::read(&path) {
                    Ok(content) => Ok((path, content)),
                    Err(error) => Err(format!("cannot read {}: {error}", path.display())),
                })
                .collect();
        }
        if began.elapsed() > PATIENCE {
            return Err(format!(
                "only {} of {count} messages were delivered",
                files.len()
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
