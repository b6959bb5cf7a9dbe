//! Arguments to exit status: 0 done, 1 it failed and standard error says why and what to do, 2
//! wrong usage. A file per verb.

mod cache;
pub mod check;
pub mod component;
pub mod demo;
pub mod doctor;
pub mod oauth;
pub mod queue;
pub mod send;
pub mod serve;
pub mod user;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A mail submission service with one WebAssembly sandbox per connection.
#[derive(Debug, Parser)]
#[command(name = "pillarbox", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the service.
    Serve(serve::Arguments),
    /// Read configuration, component, certificates, users and routes; report all that is wrong.
    Check(check::Arguments),
    /// Keep the users of the file backend.
    User(user::Arguments),
    /// Submit one message with the component's client session.
    Send(Box<send::Arguments>),
    /// Look at and steer the messages in the spool.
    Queue(queue::Arguments),
    /// Look whether mail can go, route by route, and say what to do if not.
    Doctor(doctor::Arguments),
    /// Access tokens for servers that want OAuth 2.0.
    Oauth(oauth::Arguments),
    /// Look at builds of the component.
    Component(component::Arguments),
    /// Show it all at work, without any configuration, in a scratch folder.
    Demo(demo::Arguments),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let called_as_sendmail = std::env::args_os()
        .next()
        .is_some_and(|name| std::path::Path::new(&name).file_stem() == Some("sendmail".as_ref()));
    if called_as_sendmail {
        return send::sendmail();
    }
    match Arguments::parse().verb {
        Verb::Serve(arguments) => serve::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments, component::finding),
        Verb::User(arguments) => user::run(&arguments, component::derive_nt),
        Verb::Send(arguments) => send::run(&arguments),
        Verb::Queue(arguments) => queue::run(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Oauth(arguments) => oauth::run(&arguments),
        Verb::Component(arguments) => component::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
    }
}

/// Says what failed and gives the exit status for it.
pub(crate) fn failed(text: impl std::fmt::Display) -> ExitCode {
    eprintln!("pillarbox: {text}");
    ExitCode::from(1)
}

/// A runtime for verbs that need little: one thread.
pub(crate) fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// An error and its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
