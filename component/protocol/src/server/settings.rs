//! Whether the settings of a session make sense: the caller's misuse, found before the greeting.
//!
//! What is refused here never reaches the peer; the host sees a [`Fault`] that names the setting.

use crate::{
    contract::{
        Fault,
        server::{Peer, Settings},
    },
    sasl,
};
use alloc::format;

/// Octets of a hostname at most (RFC 5321 section 4.5.3.1.2).
const MOST_HOSTNAME: usize = 255;
/// Octets of a serial at most: message identifiers begin with it.
const MOST_SERIAL: usize = 64;
/// Seconds that nine digits can say: all that FUTURERELEASE and DELIVERBY have.
const MOST_SECONDS: u32 = 999_999_999;
/// Recipients that a server takes at least (RFC 5321 section 4.5.3.1.8).
const LEAST_RECIPIENTS: u32 = 100;

/// Checks everything that a session relies on.
pub(super) fn check(settings: &Settings, peer: &Peer) -> Result<(), Fault> {
    check_names(settings)?;
    check_mechanisms(settings)?;
    check_extensions(settings)?;
    // RFC 5321 section 4.5.3.1.8
    if settings.max_recipients < LEAST_RECIPIENTS {
        return Err(fault(&format!(
            "max-recipients is {}, less than {LEAST_RECIPIENTS}",
            settings.max_recipients
        )));
    }
    // It stands in the Received field (R5321-4.4-c).
    if peer.address.parse::<core::net::IpAddr>().is_err() {
        return Err(fault("peer address is not an IP address"));
    }
    Ok(())
}

fn fault(text: &str) -> Fault {
    Fault::new(text)
}

fn check_names(settings: &Settings) -> Result<(), Fault> {
    let hostname = settings.hostname.as_bytes();
    if hostname.is_empty() || hostname.len() > MOST_HOSTNAME {
        return Err(fault("hostname has not 1 to 255 octets"));
    }
    // RFC 6531 section 3.7.1: ASCII, A-labels.
    if !hostname.iter().all(u8::is_ascii_graphic) {
        return Err(fault("hostname is not printable ASCII without spaces"));
    }
    let serial = settings.serial.as_bytes();
    let is_fit = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    if serial.is_empty() || serial.len() > MOST_SERIAL || !serial.iter().all(is_fit) {
        return Err(fault("serial is not 1 to 64 letters, digits and hyphens"));
    }
    Ok(())
}

fn check_mechanisms(settings: &Settings) -> Result<(), Fault> {
    for (index, mechanism) in settings.mechanisms.iter().enumerate() {
        let name = mechanism.name();
        if !sasl::supports(*mechanism) {
            return Err(fault(&format!("mechanism {name} is not implemented")));
        }
        if settings.mechanisms[..index].contains(mechanism) {
            return Err(fault(&format!("mechanism {name} is listed twice")));
        }
    }
    Ok(())
}

/// R5321-4.1.1.1-g: nothing is listed that does not work.
fn check_extensions(settings: &Settings) -> Result<(), Fault> {
    let extensions = &settings.extensions;
    // RFC 3030 section 3
    if extensions.binarymime && !extensions.chunking {
        return Err(fault("BINARYMIME without CHUNKING"));
    }
    // RFC 4865 section 4
    if extensions.futurerelease && !(1..=MOST_SECONDS).contains(&settings.max_hold) {
        return Err(fault("max-hold has not 1 to 9 digits, or is 0"));
    }
    // RFC 2852 section 2
    if extensions.deliverby && settings.min_deliver_by > MOST_SECONDS {
        return Err(fault("min-deliver-by has more than 9 digits"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Mechanism;
    use crate::server::testing::{peer, settings};
    use std::string::String;

    fn refusal(change: impl FnOnce(&mut Settings)) -> Option<String> {
        let mut settings = settings();
        change(&mut settings);
        check(&settings, &peer()).err().map(|fault| fault.text)
    }

    #[test]
    fn sensible_settings_pass() {
        assert_eq!(refusal(|_| ()), None);
        assert_eq!(refusal(|settings| settings.serial = "a-9".repeat(21)), None);
    }

    #[test]
    fn names_that_cannot_be_said_are_refused() {
        for hostname in [
            "",
            "mail example",
            "mail\r\n",
            "m\u{e4}il.example",
            &"h".repeat(256),
        ] {
            assert!(refusal(|settings| settings.hostname = hostname.into()).is_some());
        }
        for serial in ["", "a_b", "a b", &"a".repeat(65)] {
            assert!(refusal(|settings| settings.serial = serial.into()).is_some());
        }
    }

    #[test]
    fn mechanisms_that_are_not_there_are_named() {
        let text = refusal(|settings| settings.mechanisms.push(Mechanism::CramMd5)).unwrap();
        assert!(text.contains("CRAM-MD5"), "{text}");
        let text = refusal(|settings| settings.mechanisms.push(Mechanism::Plain)).unwrap();
        assert!(text.contains("PLAIN"), "{text}");
    }

    #[test]
    fn extensions_have_what_they_need() {
        assert_eq!(
            refusal(|settings| settings.extensions.mt_priority = true),
            None
        );
        let text = refusal(|settings| {
            settings.extensions.chunking = false;
            settings.extensions.binarymime = true;
        });
        assert_eq!(text.as_deref(), Some("BINARYMIME without CHUNKING"));
        for (max_hold, good) in [
            (0, false),
            (1, true),
            (999_999_999, true),
            (1_000_000_000, false),
        ] {
            let refused = refusal(|settings| {
                settings.extensions.futurerelease = true;
                settings.max_hold = max_hold;
            });
            assert_eq!(refused.is_none(), good, "{max_hold}");
        }
        for (least, good) in [(0, true), (999_999_999, true), (1_000_000_000, false)] {
            let refused = refusal(|settings| {
                settings.extensions.deliverby = true;
                settings.min_deliver_by = least;
            });
            assert_eq!(refused.is_none(), good, "{least}");
        }
    }

    // R5321-4.5.3.1-e
    #[test]
    fn r5321_4_5_3_1_e_fewer_than_100_recipients_are_no_limit() {
        assert!(refusal(|settings| settings.max_recipients = 99).is_some());
        assert_eq!(refusal(|settings| settings.max_recipients = 100), None);
    }

    #[test]
    fn the_peer_is_an_address() {
        let peer = Peer {
            address: "printer".into(),
            port: 1,
        };
        assert!(check(&settings(), &peer).is_err());
    }
}
