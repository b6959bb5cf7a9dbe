//! The built component in the real sandbox: what it imports, and every transcript.

use pillarbox::embedded::COMPONENT;
use pillarbox::sandbox::{Build, Engine, SandboxLimits};
use pillarbox_tests::client::{self, Cutting};
use pillarbox_tests::driver::Driver;
use pillarbox_tests::files;
use pillarbox_tests::sandboxed::{self, Sandboxed};
use pillarbox_tests::server::{self, Feeding};
use pillarbox_tests::transcript::{Role, Transcript};

/// The sandbox's proof: nothing can be called but a clock and a source of random octets.
// OX-C-role: it cannot listen, nor do any other I/O
#[test]
fn the_component_imports_what_is_listed_and_nothing_else() {
    let listed: Vec<&str> = include_str!("../component-imports.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let limits = SandboxLimits {
        sandboxes: 1,
        ..SandboxLimits::default()
    };
    let engine = Engine::new(limits).unwrap();
    let inspection = Build::inspect(&engine, COMPONENT);
    let mut imports = inspection.imports;
    imports.sort();
    assert_eq!(imports, listed);
    assert!(inspection.accepted, "{:?}", inspection.reason);
}

#[test]
fn server_transcripts_hold_for_the_component() {
    let build = sandboxed::build().unwrap();
    let mut failures = Vec::new();
    let all = files(Role::Server);
    assert!(all.len() >= 120, "only {} transcripts", all.len());
    for (name, text) in &all {
        let transcript = match Transcript::parse(text, Role::Server) {
            Ok(transcript) => transcript,
            Err(wrong) => {
                failures.push(format!("{name}: {wrong}"));
                continue;
            }
        };
        for feeding in [
            Feeding::AtOnce,
            Feeding::ByLine,
            Feeding::ByOctet,
            Feeding::Parked,
        ] {
            let mut player = Driver::new(Sandboxed::new(&build).unwrap());
            if let Err(wrong) = server::play(&transcript, &mut player, feeding) {
                failures.push(format!("{name} ({feeding:?}): {wrong}"));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} failed:\n{}",
        failures.len(),
        4 * all.len(),
        failures.join("\n")
    );
}

#[test]
fn client_transcripts_hold_for_the_component() {
    let build = sandboxed::build().unwrap();
    let mut failures = Vec::new();
    let all = files(Role::Client);
    assert!(all.len() >= 30, "only {} transcripts", all.len());
    for (name, text) in &all {
        let transcript = match Transcript::parse(text, Role::Client) {
            Ok(transcript) => transcript,
            Err(wrong) => {
                failures.push(format!("{name}: {wrong}"));
                continue;
            }
        };
        for cutting in [Cutting::Together, Cutting::ByLine, Cutting::ByOctet] {
            let mut sessions = Sandboxed::new(&build).unwrap();
            if let Err(wrong) = client::play(&transcript, &mut sessions, cutting) {
                failures.push(format!("{name} ({cutting:?}): {wrong}"));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} failed:\n{}",
        failures.len(),
        3 * all.len(),
        failures.join("\n")
    );
}
