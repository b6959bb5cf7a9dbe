//! What to do about a failure: where it happened, what the server said, and how the route is
//! configured, to a sentence. Pure.

use crate::outbound::resolve::ResolveError;

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The connection.
    Connect,
    /// The server's greeting.
    Greeting,
    /// STARTTLS, or the handshake.
    Tls,
    /// EHLO or LHLO.
    Ehlo,
    /// AUTH.
    Login,
}

/// How the route is configured, as far as advice depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Setting {
    /// TCP port; 0: a socket of this machine.
    pub(super) port: u16,
    /// The handshake comes first.
    pub(super) implicit: bool,
    /// Found by MX records, not named by an administrator.
    pub(super) mx: bool,
    /// Login is with a token, not with a password.
    pub(super) token: bool,
}

/// A failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case<'a> {
    /// How far it came.
    pub(super) stage: Stage,
    /// The server's reply code, if it said something.
    pub(super) code: Option<u16>,
    /// What went wrong, our words.
    pub(super) text: &'a str,
    /// The route.
    pub(super) setting: Setting,
}

/// What to do about it.
pub(super) fn advice(case: &Case<'_>) -> &'static str {
    match case.stage {
        Stage::Connect => connect(case),
        Stage::Greeting => greeting(case),
        Stage::Tls => tls(case),
        Stage::Ehlo => ehlo(case),
        Stage::Login => login(case),
    }
}

/// What to do about a name that leads nowhere; `mx`: a recipient's domain, not a configured server.
pub(super) fn lookup(error: &ResolveError, mx: bool) -> &'static str {
    match error {
        ResolveError::Unknown { .. } if mx => {
            "the domain does not exist: correct the recipient's address"
        }
        ResolveError::Unknown { .. } => {
            "correct the name in deliver; or, if it is right, ask who runs its DNS zone"
        }
        ResolveError::Nothing { .. } if mx => {
            "the domain takes no mail; its administrator must publish MX or address records"
        }
        ResolveError::Nothing { .. } => {
            "the name has no A or AAAA record: correct it in deliver, or ask who runs its DNS zone"
        }
        ResolveError::Unanswered { .. } => {
            "look at /etc/resolv.conf, or at servers in [dns], and whether port 53 is let out \
             over UDP and TCP"
        }
    }
}

fn says(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(word))
}

fn connect(case: &Case<'_>) -> &'static str {
    let silent = says(case.text, &["timed out", "timeout", "silent"]);
    if case.setting.port == 0 {
        return if says(case.text, &["permission"]) {
            "let the service's account use the socket: its group, or the mode of the server's \
             socket"
        } else {
            "the server does not run, or its socket is elsewhere: correct the path in deliver"
        };
    }
    if says(case.text, &["refused"]) {
        "nothing listens there: check that the server runs, and the port in deliver (587 with \
         STARTTLS, 465 with implicit TLS, 25 between servers, 24 for LMTP)"
    } else if silent && case.setting.port == 25 {
        "many networks let nothing out to port 25: ask your provider to open it, or send over a \
         smarthost on port 587"
    } else if silent {
        "a firewall here, on the way or there drops the packets: allow outgoing connections to \
         this address and port"
    } else if says(case.text, &["unreachable", "no route", "cannot assign"]) {
        "this host has no way to that address: check its network; if only addresses of IPv6 fail \
         the others are used"
    } else {
        "check the network, and host and port in deliver"
    }
}

fn greeting(case: &Case<'_>) -> &'static str {
    match case.code {
        Some(421 | 450..=454) => {
            "the server is busy, or has enough connections from here: lower connections of the \
             route; else it passes"
        }
        Some(400..=499) => "the server's own trouble of the moment: it passes, or ask who runs it",
        Some(_) => {
            "the server wants nothing from this address: it may be on a block list, or the server \
             serves only addresses that it knows; ask who runs it"
        }
        // RFC 8314 section 3.3: there the client's handshake comes first.
        None if case.setting.port == 465 && !case.setting.implicit => {
            "port 465 wants TLS from the first octet: write smtps:// in deliver"
        }
        None if says(case.text, &["silent", "timed out"]) => {
            "the server takes the connection and says nothing: if it wants TLS from the first \
             octet write smtps:// in deliver, else ask who runs it"
        }
        None => "what listens there may be no SMTP server: check host and port in deliver",
    }
}

fn ehlo(case: &Case<'_>) -> &'static str {
    match case.code {
        Some(400..=499) => "the server's own trouble of the moment: it passes, or ask who runs it",
        Some(500 | 502) => {
            "the server does not know EHLO; if it speaks LMTP write lmtp:// in deliver"
        }
        Some(_) => {
            "the server does not like our name: set hostname to this host's full name, and let it \
             have the address that the server sees"
        }
        None => "the server broke off: see with --trace what it said, and ask who runs it",
    }
}

fn tls(case: &Case<'_>) -> &'static str {
    let text = case.text;
    if says(text, &["not offer starttls", "refuses starttls"]) && case.code.is_none() {
        return if case.setting.port == 465 {
            "port 465 wants TLS from the first octet: write smtps:// in deliver"
        } else {
            "if the server has no TLS on this port use another (587, or smtps:// on 465); if it \
             should have, something between filters it out; tls = \"off\" sends all in clear"
        };
    }
    match case.code {
        Some(400..=499) => {
            return "the server has TLS, but not at the moment: it passes, or ask who runs it";
        }
        Some(_) => {
            return "the server refuses STARTTLS: ask who runs it, or use smtps:// on port 465";
        }
        None => {}
    }
    // An authority of the same name with another key, such as a pinned certificate that was renewed,
    // is a bad signature.
    if says(
        text,
        &[
            "unknownissuer",
            "unknown issuer",
            "unknown ca",
            "badsignature",
        ],
    ) {
        "its certificate is signed by nobody that this host trusts: name the authority's \
         certificate (PEM) in tls-authorities, or the server's own one if it signed itself"
    } else if says(text, &["not valid for name", "notvalidforname"]) {
        "its certificate is for other names: use one of those in deliver, or set tls-name to one"
    } else if says(text, &["not valid yet", "notvalidyet"]) {
        "set this host's clock; if it is right, the server's administrator must look"
    } else if says(text, &["expired"]) {
        "the server's administrator must renew it; if it is good elsewhere, set this host's clock"
    } else if says(text, &["revoked"]) {
        "the authority has revoked it: the server's administrator must get a new one"
    } else if says(text, &["no name that a certificate"]) {
        "set tls-name to a name in the server's certificate"
    } else if says(
        text,
        &[
            "protocolversion",
            "protocol version",
            "peer is incompatible",
        ],
    ) {
        "the server knows no TLS 1.2 or 1.3 (RFC 8996 forbids the older ones): it must be updated"
    } else if says(text, &["octets in clear", "attack"]) {
        "somebody between here and the server injects commands: send nothing before it is found"
    } else if says(
        text,
        &["corrupt message", "invalidcontenttype", "invalidmessage"],
    ) && case.setting.implicit
    {
        "what listens there does not begin with TLS: write smtp:// in deliver, which uses STARTTLS"
    } else if says(text, &["silent", "timed out", "timeout"]) {
        if case.setting.implicit {
            "the server does not take up the handshake: if the port is for STARTTLS write smtp:// \
             in deliver"
        } else {
            "the server does not go on with the handshake: a firewall may drop large packets"
        }
    } else {
        "the handshake failed: see more with --trace, and ask who runs the server"
    }
}

fn login(case: &Case<'_>) -> &'static str {
    match case.code {
        // RFC 4954 section 6
        Some(535) if case.setting.token => {
            "the token is not good for this user: check user, scope and client of the route's \
             auth, and that the account may send over SMTP; then pillarbox queue retry"
        }
        Some(535) => {
            "user or password are wrong: correct them in the route's auth; some providers want an \
             app password or OAuth 2.0 instead of the account's own; then pillarbox queue retry"
        }
        Some(534) => {
            "the server finds the mechanism too weak, or wants an app password: configure another \
             mechanism or password"
        }
        Some(538 | 523) => "the server wants TLS before this mechanism: set tls = \"required\"",
        Some(530) => "the server wants TLS before login: set tls = \"required\"",
        Some(525) => {
            "the account is disabled, or must not be used from here: ask who runs the server"
        }
        Some(432) => "the account's password must be changed first: ask who runs the server",
        Some(550 | 553 | 554 | 571) => "the account may not send: ask who runs the server",
        Some(400..=499) => {
            "the server cannot check it at the moment: it passes, or ask who runs it"
        }
        Some(500..=504) => {
            "the server does not know the mechanism after all: configure another one"
        }
        Some(_) => "see what the server says, and ask who runs it",
        None if says(case.text, &["does not offer auth"]) => {
            "use the port for submission (587 or 465); many servers offer AUTH only there and only \
             under TLS; if none is wanted, remove auth from the route"
        }
        None if says(case.text, &["need verified tls", "verified tls"]) => {
            "set tls = \"required\" so that the certificate is verified; clear-text = true in auth \
             gives the password to whoever is on the way"
        }
        None if says(case.text, &["no common mechanism"]) => {
            "configure a mechanism that the server offers"
        }
        None if says(case.text, &["refused"]) => {
            "the server refuses each mechanism: configure the one that it wants, or ask who runs it"
        }
        None => "see with --trace what happened, and ask who runs the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBMISSION: Setting = Setting {
        port: 587,
        implicit: false,
        mx: false,
        token: false,
    };
    const IMPLICIT: Setting = Setting {
        port: 465,
        implicit: true,
        ..SUBMISSION
    };
    const PORT_465: Setting = Setting {
        implicit: false,
        ..IMPLICIT
    };
    const MX: Setting = Setting {
        port: 25,
        mx: true,
        ..SUBMISSION
    };
    const SOCKET: Setting = Setting {
        port: 0,
        ..SUBMISSION
    };
    const TOKEN: Setting = Setting {
        token: true,
        ..SUBMISSION
    };

    /// Stage, setting, reply code, our words, and what the advice must have in it.
    #[rustfmt::skip]
    const TABLE: &[(Stage, Setting, Option<u16>, &str, &str)] = &[
        (Stage::Connect, SUBMISSION, None, "192.0.2.1:587: Connection refused (os error 111)", "nothing listens"),
        (Stage::Connect, MX, None, "192.0.2.1:25: timed out", "port 25"),
        (Stage::Connect, SUBMISSION, None, "192.0.2.1:587: connection timed out", "firewall"),
        (Stage::Connect, SUBMISSION, None, "Network is unreachable (os error 101)", "no way to that address"),
        (Stage::Connect, SOCKET, None, "/run/lmtp: No such file or directory", "path in deliver"),
        (Stage::Connect, SOCKET, None, "/run/lmtp: Permission denied (os error 13)", "service's account"),
        (Stage::Greeting, SUBMISSION, Some(421), "the server does not serve us", "lower connections"),
        (Stage::Greeting, MX, Some(554), "the server does not serve us", "block list"),
        (Stage::Greeting, PORT_465, None, "the server was silent too long", "smtps://"),
        (Stage::Greeting, SUBMISSION, None, "the server was silent too long", "says nothing"),
        (Stage::Greeting, SUBMISSION, None, "the server broke the protocol: a line that is no reply", "no SMTP server"),
        (Stage::Greeting, SUBMISSION, None, "the connection was lost", "no SMTP server"),
        (Stage::Ehlo, SUBMISSION, Some(550), "the server refuses EHLO", "set hostname"),
        (Stage::Ehlo, SUBMISSION, Some(501), "the server refuses EHLO and HELO", "set hostname"),
        (Stage::Ehlo, SUBMISSION, Some(500), "the server refuses EHLO", "lmtp://"),
        (Stage::Ehlo, SUBMISSION, Some(451), "the server refuses EHLO", "it passes"),
        (Stage::Ehlo, SUBMISSION, None, "the connection was lost", "--trace"),
        (Stage::Tls, SUBMISSION, None, "TLS is required, and the server does not offer STARTTLS (4.7.10)", "use another"),
        (Stage::Tls, PORT_465, None, "TLS is required, and the server does not offer STARTTLS (4.7.10)", "smtps://"),
        (Stage::Tls, SUBMISSION, Some(454), "TLS is required, and the server refuses STARTTLS (4.7.10)", "not at the moment"),
        (Stage::Tls, SUBMISSION, Some(501), "TLS is required, and the server refuses STARTTLS (4.7.10)", "refuses STARTTLS"),
        (Stage::Tls, SUBMISSION, None, "the TLS handshake failed: invalid peer certificate: UnknownIssuer", "tls-authorities"),
        (Stage::Tls, SUBMISSION, None, "the TLS handshake failed: invalid peer certificate: BadSignature", "tls-authorities"),
        (Stage::Tls, SUBMISSION, None, "the TLS handshake failed: invalid peer certificate: certificate not valid for name \"a\"; certificate is only valid for DnsName(\"b\")", "tls-name"),
        (Stage::Tls, SUBMISSION, None, "the TLS handshake failed: invalid peer certificate: certificate expired: verification time 1, but certificate is not valid after 0", "renew"),
        (Stage::Tls, SUBMISSION, None, "invalid peer certificate: certificate not valid yet: verification time 1", "clock"),
        (Stage::Tls, SUBMISSION, None, "invalid peer certificate: Revoked", "revoked"),
        (Stage::Tls, IMPLICIT, None, "the TLS handshake failed: received corrupt message of type InvalidContentType", "smtp://"),
        (Stage::Tls, SUBMISSION, None, "the TLS handshake failed: received fatal alert: ProtocolVersion", "RFC 8996"),
        (Stage::Tls, IMPLICIT, None, "the TLS handshake failed: the server was silent too long", "smtp://"),
        (Stage::Tls, SUBMISSION, None, "the TLS handshake failed: the server was silent too long", "large packets"),
        (Stage::Tls, SUBMISSION, None, "octets in clear after the reply to STARTTLS: an attack", "injects"),
        (Stage::Tls, SUBMISSION, None, "192.0.2.1 is no name that a certificate could have", "tls-name"),
        (Stage::Tls, SUBMISSION, None, "the TLS handshake failed: tls handshake eof", "--trace"),
        (Stage::Login, SUBMISSION, Some(535), "authentication was refused", "app password"),
        (Stage::Login, TOKEN, Some(535), "authentication was refused", "scope"),
        (Stage::Login, SUBMISSION, Some(534), "every common mechanism was refused", "too weak"),
        (Stage::Login, SUBMISSION, Some(538), "every common mechanism was refused", "tls = \"required\""),
        (Stage::Login, SUBMISSION, Some(530), "authentication was refused", "tls = \"required\""),
        (Stage::Login, SUBMISSION, Some(525), "authentication was refused", "disabled"),
        (Stage::Login, SUBMISSION, Some(432), "authentication was refused", "changed"),
        (Stage::Login, SUBMISSION, Some(454), "authentication was refused", "at the moment"),
        (Stage::Login, SUBMISSION, Some(504), "every common mechanism was refused", "another one"),
        (Stage::Login, SUBMISSION, Some(550), "authentication was refused", "may not send"),
        (Stage::Login, SUBMISSION, None, "the server does not offer AUTH", "587 or 465"),
        (Stage::Login, SUBMISSION, None, "no common mechanism: the server offers PLAIN; we have PLAIN, of which PLAIN and LOGIN need verified TLS", "clear-text"),
        (Stage::Login, SUBMISSION, None, "no common mechanism: the server offers PLAIN; we have NTLM", "that the server offers"),
        (Stage::Login, SUBMISSION, None, "the connection was lost", "--trace"),
    ];

    #[test]
    fn every_failure_has_advice() {
        for (stage, setting, code, text, expected) in TABLE {
            let advice = advice(&Case {
                stage: *stage,
                code: *code,
                text,
                setting: *setting,
            });
            assert!(
                advice.contains(expected),
                "{stage:?} {code:?} {text}: {advice}"
            );
        }
    }

    #[test]
    fn names_that_lead_nowhere_have_advice() {
        let name = || "relay.example.org".to_owned();
        for (error, mx, expected) in [
            (ResolveError::Unknown { name: name() }, false, "deliver"),
            (ResolveError::Unknown { name: name() }, true, "recipient"),
            (
                ResolveError::Nothing {
                    name: name(),
                    kind: "address",
                },
                false,
                "AAAA",
            ),
            (
                ResolveError::Nothing {
                    name: name(),
                    kind: "MX record",
                },
                true,
                "publish",
            ),
            (
                ResolveError::Unanswered {
                    name: name(),
                    reason: String::new(),
                },
                false,
                "[dns]",
            ),
        ] {
            assert!(lookup(&error, mx).contains(expected), "{error}");
        }
    }
}
