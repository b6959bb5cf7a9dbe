//! Logs on standard error: for people on a terminal, JSON elsewhere or by choice.
//!
//! One identifier follows a message from its content's end to its delivery (field `id`); a
//! session's serial (field `session`) is the beginning of it. Never a password, a token or message
//! content.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging. `PILLARBOX_LOG` overrides the level (`debug`, `pillarbox::relay=trace`).
pub fn start(log: &Log) {
    let filter = EnvFilter::try_from_env("PILLARBOX_LOG")
        .unwrap_or_else(|_| EnvFilter::new(log.level.to_string().to_lowercase()));
    let terminal = std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !terminal,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second start (in tests) keeps the first.
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(terminal).try_init()
    };
}
