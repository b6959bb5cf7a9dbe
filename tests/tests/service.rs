//! Every transcript that an ordinary service can play, over real sockets: in one piece, by line
//! and by octet.

use pillarbox_tests::files;
use pillarbox_tests::server::{self, Feeding};
use pillarbox_tests::service::{Services, SocketPlayer};
use pillarbox_tests::settings::ordinary;
use pillarbox_tests::transcript::{Role, Step, Transcript};

#[test]
fn server_transcripts_hold_for_the_service() {
    let mut services = Services::new();
    let mut failures = Vec::new();
    let mut played = 0;
    for (name, text) in files(Role::Server) {
        let transcript = match Transcript::parse(&text, Role::Server) {
            Ok(transcript) => transcript,
            Err(wrong) => {
                failures.push(format!("{name}: {wrong}"));
                continue;
            }
        };
        if !ordinary(&transcript) {
            continue;
        }
        for feeding in [Feeding::AtOnce, Feeding::ByLine, Feeding::ByOctet] {
            played += 1;
            let mut player = SocketPlayer::new(&mut services);
            if let Err(wrong) = server::play(&transcript, &mut player, feeding) {
                failures.push(format!("{name} ({feeding:?}): {wrong}"));
            }
            let guesses = |(_, step): &(usize, Step)| *step == Step::Answer("refused".into());
            if transcript.steps.iter().any(guesses) {
                services.end_all();
            }
        }
    }
    assert!(played >= 300, "only {played} were played");
    assert!(
        failures.is_empty(),
        "{} of {played} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
