//! Every transcript, played against the library: in one piece, by line, by octet, and with the
//! session parked and revived wherever it can be.

use pillarbox_tests::client::{self, Cutting};
use pillarbox_tests::driver::Driver;
use pillarbox_tests::native::Native;
use pillarbox_tests::server::{self, Feeding};
use pillarbox_tests::transcript::{Role, Transcript};
use pillarbox_tests::{files, settings};

#[test]
fn server_transcripts_hold_for_the_library() {
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
            let mut player = Driver::new(Native);
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
fn client_transcripts_hold_for_the_library() {
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
            if let Err(wrong) = client::play(&transcript, &mut Native, cutting) {
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

/// Every file names rows that `docs/profile.md` has, and settings that exist.
#[test]
fn no_transcript_is_an_orphan() {
    let profile = include_str!("../../docs/profile.md");
    let mut failures = Vec::new();
    for role in [Role::Server, Role::Client] {
        for (name, text) in files(role) {
            let transcript = match Transcript::parse(&text, role) {
                Ok(transcript) => transcript,
                Err(wrong) => {
                    failures.push(format!("{name}: {wrong}"));
                    continue;
                }
            };
            for id in &transcript.ids {
                if !profile.contains(&format!("| {id} |")) {
                    failures.push(format!("{name}: no row {id} in the profile"));
                }
            }
            if role == Role::Server
                && let Err(wrong) = settings::settings(&transcript)
            {
                failures.push(format!("{name}: {wrong}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
