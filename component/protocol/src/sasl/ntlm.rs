//! NTLM, the server's side ([MS-SMTPNTLM] section 2.2.1, [MS-NLMP] section 3.2.5).
//!
//! The session makes the CHALLENGE and reads; whether the proof is right the verifier says.

use super::server::{SaslRefusal, ServerContext, ServerStep, Turn};
use crate::contract::{NtlmResponse, server::Question};
use crate::environment::Environment;
use crate::ntlm::{
    Authenticate, AvId, Challenge, ChallengeParts, Flags, Negotiate, TargetInfoWriter, Unfit,
    file_time, text,
};
use crate::parked::{Reader, Writer};
use alloc::vec::Vec;

/// What the server awaits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// NEGOTIATE.
    Negotiate,
    /// AUTHENTICATE, which answers these two.
    Authenticate {
        negotiate: Vec<u8>,
        challenge: Vec<u8>,
    },
}

impl Server {
    /// SNTLM-2.2.1.1, SNTLM-2.2.1.2.
    pub fn start(
        initial: Option<&[u8]>,
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> Turn<Self> {
        match initial {
            None => (Some(Self::Negotiate), ServerStep::Text("ntlm supported")),
            Some(negotiate) => Self::Negotiate.respond(negotiate, context, env),
        }
    }

    pub fn respond(
        self,
        response: &[u8],
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> Turn<Self> {
        match self {
            Self::Negotiate => {
                // SNTLM-2.2.1.5.
                let Ok(negotiate) = Negotiate::parse(response) else {
                    return (None, ServerStep::Refuse(SaslRefusal::Malformed));
                };
                let challenge = challenge(negotiate.flags, context, env);
                let step = ServerStep::Challenge(challenge.clone());
                let negotiate = response.to_vec();
                let next = Self::Authenticate {
                    negotiate,
                    challenge,
                };
                (Some(next), step)
            }
            Self::Authenticate {
                negotiate,
                challenge,
            } => (None, judge(negotiate, challenge, response)),
        }
    }

    pub fn write(&self, writer: &mut Writer) {
        let messages = match self {
            Self::Negotiate => None,
            Self::Authenticate {
                negotiate,
                challenge,
            } => Some((negotiate, challenge)),
        };
        writer.option(messages.as_ref(), |writer, (negotiate, challenge)| {
            writer.octets(negotiate);
            writer.octets(challenge);
        });
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let messages =
            reader.option(|reader| Some((reader.octets()?.to_vec(), reader.octets()?.to_vec())))?;
        let Some((negotiate, challenge)) = messages else {
            return Some(Self::Negotiate);
        };
        Negotiate::parse(&negotiate).ok()?;
        Challenge::parse(&challenge).ok()?;
        Some(Self::Authenticate {
            negotiate,
            challenge,
        })
    }
}

/// The CHALLENGE for a client that asked for these flags.
fn challenge(asked: Flags, context: &ServerContext<'_>, env: &mut dyn Environment) -> Vec<u8> {
    // NLMP-2.2.1.2: what is always said, and what is said to those who ask. Never LM_KEY.
    let unicode = asked.has(Flags::UNICODE);
    let always = Flags::NTLM
        | Flags::TARGET_INFO
        | Flags::TARGET_SERVER
        | Flags::EXTENDED_SESSION_SECURITY
        | Flags::ALWAYS_SIGN
        | if unicode { Flags::UNICODE } else { Flags::OEM };
    let on_demand = Flags::REQUEST_TARGET
        | Flags::KEY_128
        | Flags::KEY_56
        | Flags::KEY_EXCH
        | Flags::SIGN
        | Flags::VERSION;
    let flags = always | asked.common(on_demand);

    let mut server_challenge = [0; 8];
    env.random(&mut server_challenge);

    // [MS-NLMP] section 2.2.1.2: no name for those who do not ask. NLMP-2.2.2.5: ASCII without
    // UNICODE; the AV pairs stay UTF-16LE.
    let target_name = match (asked.has(Flags::REQUEST_TARGET), unicode) {
        (false, _) => Vec::new(),
        (true, true) => text::utf16le(context.ntlm_computer),
        (true, false) => text::oem(context.ntlm_computer),
    };
    ChallengeParts {
        flags,
        server_challenge,
        target_name: &target_name,
        target_info: &target_info(context, file_time(env.now())),
    }
    .write()
}

/// NLMP-2.2.2.1. The domain is what follows the host's own label; a name of one label is both.
fn target_info(context: &ServerContext<'_>, now: [u8; 8]) -> Vec<u8> {
    let (computer, domain) = (context.ntlm_computer, context.ntlm_domain);
    let dns_computer = context.hostname;
    let dns_domain = dns_computer
        .split_once('.')
        .map_or(dns_computer, |(_, domain)| domain);
    let mut list = TargetInfoWriter::new();
    list.pair(AvId::NETBIOS_DOMAIN, &text::utf16le(domain))
        .pair(AvId::NETBIOS_COMPUTER, &text::utf16le(computer))
        .pair(AvId::DNS_DOMAIN, &text::utf16le(dns_domain))
        .pair(AvId::DNS_COMPUTER, &text::utf16le(dns_computer))
        .pair(AvId::TIMESTAMP, &now);
    list.finish()
}

/// The question about an AUTHENTICATE, unless it is refused as it stands.
fn judge(negotiate: Vec<u8>, challenge: Vec<u8>, authenticate: &[u8]) -> ServerStep {
    let (agreed, server_challenge) = match Challenge::parse(&challenge) {
        Ok(challenge) => (challenge.flags, challenge.server_challenge.to_vec()),
        Err(_) => return ServerStep::Refuse(SaslRefusal::Malformed),
    };
    let Ok(message) = Authenticate::parse(authenticate, agreed) else {
        return ServerStep::Refuse(SaslRefusal::Malformed);
    };
    if let Err(unfit) = message.response() {
        return ServerStep::Refuse(match unfit {
            // SNTLM-2.2.1.5, NLMP-3.2.5-a, NLMP-3.2.5-b.
            Unfit::Malformed(_) => SaslRefusal::Malformed,
            Unfit::Downgraded => SaslRefusal::TooWeak,
            Unfit::Anonymous => SaslRefusal::NtlmWrong,
        });
    }
    let nt_response = message.nt_response.to_vec();
    ServerStep::Ask(Question::Ntlm(NtlmResponse {
        user: message.user,
        domain: message.domain,
        workstation: message.workstation,
        server_challenge,
        nt_response,
        negotiate,
        challenge,
        authenticate: authenticate.to_vec(),
    }))
}
