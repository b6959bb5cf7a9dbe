//! `pillarbox oauth login`: says what a person has to do in a browser, waits for it, and writes the
//! refresh token.

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::request::{Arguments, Request};
use super::{Refusal, span};
use crate::oauth::{OauthError, code, device, secret_file};
use secrecy::SecretString;

/// What the file holds.
const WHAT: &str = "refresh token";

/// How long a person may take with a browser.
const MOST_WAIT: Duration = Duration::from_secs(15 * 60);

pub(super) fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let request = arguments.request()?;
    // Nobody should log in to learn that.
    secret_file::check_writable(WHAT, &request.refresh_token_file)?;
    let owner = owner(&request)?;
    let out = &mut io::stdout();
    let token = match request.login.vendor.device_url {
        Some(_) => by_device(&request, out, std::thread::sleep),
        None => by_browser(&request, out, arguments.port),
    }?;
    secret_file::replace_in_turn(WHAT, &request.refresh_token_file, &token, owner)?;
    writeln!(
        out,
        "The refresh token is in {}. A running service uses it at its next try, at most 5 minutes \
         from now; `pillarbox oauth token` tries it at once.",
        request.refresh_token_file.display()
    )
    .map_err(unwritten)
}

fn unwritten(error: io::Error) -> Refusal {
    Refusal::Failed(format!("cannot write: {error}"))
}

/// Whom a new file shall belong to: the service, if we are root and it will not be.
fn owner(request: &Request) -> Result<Option<(u32, u32)>, Refusal> {
    match &request.account {
        Some(name) if nix::unistd::geteuid().is_root() => {
            match nix::unistd::User::from_name(name) {
                Ok(Some(user)) => Ok(Some((user.uid.as_raw(), user.gid.as_raw()))),
                Ok(None) => Err(Refusal::Failed(format!(
                    "there is no account {name}; make it: useradd --system {name}"
                ))),
                Err(error) => Err(Refusal::Failed(format!(
                    "cannot look up the account {name}: {error}"
                ))),
            }
        }
        _ => Ok(None),
    }
}

/// As whom.
fn as_whom(request: &Request) -> &str {
    request
        .user
        .as_deref()
        .unwrap_or("the mailbox that is to send")
}

/// RFC 8628 section 3.3.
pub(super) fn by_device(
    request: &Request,
    out: &mut dyn Write,
    wait: impl FnMut(Duration),
) -> Result<SecretString, Refusal> {
    let authorization = device::begin(&request.login)?;
    let mut text = format!(
        "Open {} in a browser on any machine, type the code\n\n    {}\n\nand log in as {}. The code \
         is good for {}.\n",
        authorization.verification_uri,
        authorization.user_code,
        as_whom(request),
        span(authorization.expires_in)
    );
    if let Some(uri) = &authorization.verification_uri_complete {
        text.push_str(&format!("This address has the code in it already: {uri}\n"));
    }
    text.push_str("Waiting ...\n");
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(unwritten)?;
    Ok(device::finish(&request.login, &authorization, wait)?)
}

/// RFC 8252 section 7.3; where the browser is on another machine, its address line is pasted.
fn by_browser(request: &Request, out: &mut dyn Write, port: u16) -> Result<SecretString, Refusal> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        Refusal::Failed(format!(
            "cannot listen on 127.0.0.1 port {port} for the browser: {error}; choose another \
             --port"
        ))
    })?;
    let port = listener
        .local_addr()
        .map_err(|error| Refusal::Failed(format!("cannot tell our own port: {error}")))?
        .port();
    let pending = code::begin(&request.login, port)?;
    write!(
        out,
        "Open this address in a browser and log in as {}:\n\n{}\n\nThe browser then goes to \
         127.0.0.1. If it runs on another machine, it cannot connect there: paste the address that \
         it shows here, and press Enter.\nWaiting ...\n",
        as_whom(request),
        pending.url
    )
    .and_then(|()| out.flush())
    .map_err(unwritten)?;

    let (targets, heard) = mpsc::channel();
    let pasted = targets.clone();
    // Both end with the process.
    std::thread::spawn(move || code::answer(&listener, &targets));
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if pasted.send(line).is_err() {
                return;
            }
        }
    });
    let code = await_code(&pending, &heard, MOST_WAIT)?;
    Ok(pending.finish(&request.login, &code)?)
}

fn await_code(
    pending: &code::Pending,
    heard: &Receiver<String>,
    most: Duration,
) -> Result<SecretString, Refusal> {
    let end = Instant::now() + most;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match heard.recv_timeout(left) {
            Ok(address) => {
                if let Some(code) = pending.code(&address) {
                    return Ok(code?);
                }
                if address.trim_start().starts_with("http") {
                    eprintln!(
                        "pillarbox: that address has no code for this login; paste all of it"
                    );
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(
                    OauthError::Login("nobody logged in in time; run it again".into()).into(),
                );
            }
        }
    }
}
