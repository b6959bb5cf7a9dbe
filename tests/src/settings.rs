//! What a server transcript's `@` lines mean.

use crate::driver;
use crate::transcript::{Mismatch, Step, Transcript};
use pillarbox_protocol::contract::server::{
    Admission, BareLf, Extensions, Peer, Settings, TlsPolicy,
};
use pillarbox_protocol::contract::{Mechanism, TlsFacts};

/// The user, and the only one, whom the ordinary service knows.
pub const USER: (&str, &str) = ("alice", "secret");

/// Whether a service with [`USER`] and routes for all domains, where anyone may send as anyone,
/// answers as this transcript does, so that it can be played over a socket.
pub fn ordinary(transcript: &Transcript) -> bool {
    const KEYS: [&str; 23] = [
        "tls",
        "mechanisms",
        "clear-text",
        "auth-required",
        "bare-lf",
        "legacy-auth-line",
        "admission",
        "keep-bcc",
        "add-date",
        "add-message-id",
        "ask-sender",
        "ask-recipient",
        "max-size",
        "max-recipients",
        "smtputf8",
        "chunking",
        "binarymime",
        "requiretls",
        "futurerelease",
        "deliverby",
        "mt-priority",
        "max-hold",
        "min-deliver-by",
    ];
    const ORDINARY: [&str; 4] = ["LOGIN", "NTLM", "PLAIN", "none"];
    let grant = format!("password {} {}", USER.0, USER.1);
    let settings = transcript.settings.iter().all(|(_, key, value)| {
        KEYS.contains(&key.as_str())
            && match key.as_str() {
                "tls" => !value.starts_with("required"),
                // For more of them USER would need verifiers whose salts the transcript cannot know.
                "mechanisms" => value.split(' ').all(|name| ORDINARY.contains(&name)),
                // The configuration has no way to say "no limit".
                "max-size" => value != "0",
                // Nor one to hold mail for decades.
                "max-hold" => value.len() < 9,
                _ => true,
            }
    });
    let mut asked = "";
    settings
        && transcript.steps.iter().all(|(_, step)| match step {
            Step::Question(question) => {
                asked = question;
                true
            }
            Step::Answer(answer) => {
                let kind = asked.split(' ').next().unwrap_or_default();
                match (kind, answer.as_str()) {
                    ("password", "granted alice") => asked == grant,
                    ("password", "refused") => asked != grant,
                    ("sender" | "recipient", "accepted") | ("store", "stored") => true,
                    _ => false,
                }
            }
            Step::Dismiss(_) => false,
            _ => true,
        })
}

/// The settings of a transcript: the defaults, and what its `@` lines change.
///
/// # Errors
///
/// An unknown key, or a value that the key does not take.
pub fn settings(transcript: &Transcript) -> Result<(Settings, Peer), Mismatch> {
    let mut settings = Settings {
        hostname: "mail.example.org".into(),
        serial: "t1".into(),
        admission: Admission::Welcome,
        tls: TlsPolicy::Offered,
        mechanisms: vec![Mechanism::Ntlm, Mechanism::Login, Mechanism::Plain],
        clear_text: false,
        authentication_required: true,
        extensions: Extensions {
            chunking: true,
            smtputf8: true,
            ..Extensions::default()
        },
        max_message_size: 52_428_800,
        max_recipients: 1_000,
        max_hold: 0,
        min_deliver_by: 0,
        ntlm_domain: "EXAMPLE".into(),
        ntlm_computer: "MAIL".into(),
        ask_sender: false,
        ask_recipient: false,
        add_date: true,
        add_message_id: true,
        add_sender: true,
        check_header_domains: true,
        keep_bcc: false,
        bare_lf: BareLf::Reject,
        legacy_auth_line: false,
        local_domain: "".into(),
        certificate_required: false,
    };
    let mut peer = Peer {
        address: "192.0.2.7".into(),
        port: 50_000,
    };
    for (line, key, value) in &transcript.settings {
        set(&mut settings, &mut peer, key, value).map_err(|text| Mismatch::new(*line, text))?;
    }
    Ok((settings, peer))
}

/// What the handshakes of a transcript yield: the ordinary facts, and what its `@ facts` line
/// changes.
///
/// # Errors
///
/// A word that is none.
pub fn facts(transcript: &Transcript) -> Result<TlsFacts, Mismatch> {
    let mut facts = driver::facts();
    for (line, key, value) in &transcript.settings {
        for word in value.split(' ').filter(|_| key == "facts") {
            match word {
                "verified" => facts.verified = true,
                "TLSv1.2" => facts.version = word.into(),
                "no-exporter" => facts.exporter = None,
                _ => return Err(Mismatch::new(*line, format!("unknown fact {word}"))),
            }
        }
    }
    Ok(facts)
}

fn set(settings: &mut Settings, peer: &mut Peer, key: &str, value: &str) -> Result<(), String> {
    let wrong = || format!("{key} does not take {value}");
    let yes = || match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(wrong()),
    };
    match key {
        "hostname" => settings.hostname = value.into(),
        "tls" => {
            settings.tls = match value {
                "absent" => TlsPolicy::Absent,
                "offered" => TlsPolicy::Offered,
                "required-for-auth" => TlsPolicy::RequiredForAuth,
                "required" => TlsPolicy::Required,
                "established" => TlsPolicy::Established,
                _ => return Err(wrong()),
            }
        }
        "mechanisms" if value == "none" => settings.mechanisms.clear(),
        "mechanisms" => {
            settings.mechanisms = value
                .split(' ')
                .map(|name| Mechanism::from_name(name.as_bytes()).ok_or_else(wrong))
                .collect::<Result<_, _>>()?;
        }
        "admission" => {
            settings.admission = match value {
                "welcome" => Admission::Welcome,
                "unwanted" => Admission::Unwanted,
                _ => return Err(wrong()),
            }
        }
        "bare-lf" => {
            settings.bare_lf = match value {
                "reject" => BareLf::Reject,
                "convert" => BareLf::Convert,
                _ => return Err(wrong()),
            }
        }
        "smtputf8" => settings.extensions.smtputf8 = yes()?,
        "chunking" => settings.extensions.chunking = yes()?,
        "binarymime" => settings.extensions.binarymime = yes()?,
        "requiretls" => settings.extensions.requiretls = yes()?,
        "futurerelease" => settings.extensions.futurerelease = yes()?,
        "deliverby" => settings.extensions.deliverby = yes()?,
        "mt-priority" => settings.extensions.mt_priority = yes()?,
        "max-hold" => settings.max_hold = value.parse().map_err(|_| wrong())?,
        "min-deliver-by" => settings.min_deliver_by = value.parse().map_err(|_| wrong())?,
        "clear-text" => settings.clear_text = yes()?,
        "auth-required" => settings.authentication_required = yes()?,
        "ask-sender" => settings.ask_sender = yes()?,
        "ask-recipient" => settings.ask_recipient = yes()?,
        "add-date" => settings.add_date = yes()?,
        "add-message-id" => settings.add_message_id = yes()?,
        "add-sender" => settings.add_sender = yes()?,
        "check-header-domains" => settings.check_header_domains = yes()?,
        "keep-bcc" => settings.keep_bcc = yes()?,
        "legacy-auth-line" => settings.legacy_auth_line = yes()?,
        "local-domain" => settings.local_domain = value.into(),
        "certificate-required" => settings.certificate_required = yes()?,
        "max-size" => settings.max_message_size = value.parse().map_err(|_| wrong())?,
        "max-recipients" => settings.max_recipients = value.parse().map_err(|_| wrong())?,
        "peer" => peer.address = value.into(),
        // See `facts`.
        "facts" => {}
        _ => return Err(format!("unknown setting {key}")),
    }
    Ok(())
}
