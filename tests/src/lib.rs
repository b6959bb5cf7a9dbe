//! Shared parts of the whole-system tests.
//!
//! ```text
//!   escape      what octets and patterns look like in a transcript
//!   transcript  the file format
//!   settings    what `@` lines mean
//!   question    what `Q:`, `A:` and `E:` lines mean
//!   server      plays a server transcript on any `Player`
//!   driver      a `Player` over a session: the library's own, or the one in the sandbox
//!   native      the library's sessions
//!   sandboxed   the built component's sessions, in the sandbox
//!   convert     the library's types to the bindings', and back
//!   client      plays a client transcript on any client session
//!   service     a `Player` over a socket: the built binary
//!   hosted      a service in this process, on any component
//!   hostile     builds the component that lies
//!   scripted    a server that misbehaves to order
//!   relaying    the relay of a whole service against many of those
//! ```

pub mod client;
mod convert;
pub mod driver;
pub mod escape;
pub mod hosted;
pub mod hostile;
pub mod native;
pub mod question;
pub mod relaying;
pub mod sandboxed;
pub mod scripted;
pub mod server;
pub mod service;
pub mod settings;
pub mod transcript;

use std::path::Path;
use transcript::Role;

/// Name and text of every transcript of a role, in the order of their names. A file that cannot
/// be read comes back as a text that no parser takes.
pub fn files(role: Role) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(match role {
        Role::Server => "transcripts/server",
        Role::Client => "transcripts/client",
    });
    let mut files: Vec<(String, String)> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path())
                .unwrap_or_else(|error| format!("cannot read this file: {error}"));
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}
