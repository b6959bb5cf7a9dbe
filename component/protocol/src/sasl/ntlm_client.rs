//! NTLM, the client's side ([MS-SMTPNTLM] section 3.1, [MS-NLMP] section 3.1.5). NTLMv2 only.

use super::ClientContext;
use super::ClientStep;
use super::client::Turn;
use crate::contract::client::Credentials;
use crate::environment::Environment;
use crate::ntlm::{
    AuthenticateParts, AvFlags, AvId, Challenge, Flags, MIC, Negotiate, NtV2, TargetInfo,
    TargetInfoWriter, crypto, file_time, is_message, text,
};
use crate::smtp::base64;
use alloc::{format, string::String, vec::Vec};
use zeroize::Zeroizing;

/// NEGOTIATE was sent, or is to be sent again; of the password only its NT hash is kept.
pub(super) struct Client {
    user: String,
    domain: String,
    workstation: String,
    nt_hash: crypto::Key,
    /// NEGOTIATE has been repeated.
    repeated: bool,
}

/// Whether this is a CHALLENGE without TargetInfo.
pub(super) fn lacks_target_info(text: &[u8]) -> bool {
    base64::decode(text).is_some_and(|octets| {
        Challenge::parse(&octets).is_ok_and(|challenge| challenge.target_info.is_none())
    })
}

impl Client {
    /// SNTLM-3.1.4.1: NEGOTIATE as initial response.
    pub fn start(credentials: &Credentials) -> (Self, Vec<u8>) {
        let (domain, user) = names(credentials);
        let client = Self {
            user: user.into(),
            domain: domain.into(),
            workstation: credentials.workstation.clone(),
            nt_hash: Zeroizing::new(crypto::nt_hash(&credentials.secret)),
            repeated: false,
        };
        (client, Negotiate::OURS.write())
    }

    pub fn challenge(
        mut self,
        text: &[u8],
        context: &ClientContext<'_>,
        env: &mut dyn Environment,
    ) -> Turn<Self> {
        let octets = base64::decode(text).unwrap_or_default();
        if is_message(&octets, 2) {
            return (None, self.authenticate(&octets, context, env));
        }
        // SNTLM-2.2.1.2-c, SNTLM-3.1.4.1: whatever else it says, the server wants a NEGOTIATE;
        // told so twice, we do not understand each other.
        if self.repeated {
            return (None, ClientStep::Cancel("ntlm challenge was expected"));
        }
        self.repeated = true;
        (Some(self), ClientStep::Respond(Negotiate::OURS.write()))
    }

    /// [MS-NLMP] section 3.1.5.1.2.
    fn authenticate(
        &self,
        octets: &[u8],
        context: &ClientContext<'_>,
        env: &mut dyn Environment,
    ) -> ClientStep {
        // SNTLM-cancel.
        let Ok(challenge) = Challenge::parse(octets) else {
            return ClientStep::Cancel("ntlm challenge cannot be read");
        };
        let flags = Negotiate::OURS.flags.common(challenge.flags)
            | challenge
                .flags
                .common(Flags::TARGET_INFO | Flags::OEM | Flags::UNICODE);
        let unicode = flags.has(Flags::UNICODE);
        let ascii = self.user.is_ascii() && self.domain.is_ascii();
        if !unicode && !ascii {
            return ClientStep::Cancel("ntlm server takes ascii names only");
        }
        let name = |name: &str| {
            if unicode {
                text::utf16le(name)
            } else {
                text::oem(name)
            }
        };

        let timestamp = challenge
            .target_info
            .as_ref()
            .and_then(TargetInfo::timestamp);
        // SNTLM-cancel: without TargetInfo NTLMv2 over an empty list, never v1.
        let target_info = match &challenge.target_info {
            Some(offered) => answer(offered, context),
            None => TargetInfoWriter::new().finish(),
        };
        let mut client_challenge = [0; 8];
        env.random(&mut client_challenge);
        let time = timestamp.unwrap_or_else(|| file_time(env.now()));

        // NLMP-3.3.2-a, NLMP-3.3.2-b.
        let ntowf = crypto::ntowf_v2(&*self.nt_hash, &self.user, &self.domain);
        let proven = NtV2::proven(time, client_challenge, &target_info);
        let proof = crypto::nt_proof(&ntowf, &challenge.server_challenge, &proven);
        // NLMP-3.3.2-d.
        let lm_response = match timestamp {
            Some(_) => [0; 24],
            None => crypto::lm_v2(&ntowf, &challenge.server_challenge, &client_challenge),
        };
        let mut message = AuthenticateParts {
            flags,
            domain: &name(&self.domain),
            user: &name(&self.user),
            workstation: &name(&self.workstation),
            lm_response: &lm_response,
            nt_response: &[&proof, proven.as_slice()].concat(),
            mic: timestamp.is_some(),
        }
        .write();
        if timestamp.is_some() {
            // NLMP-3.3.2-c: we ask for no key exchange, so the base key it is.
            let key = crypto::session_base_key(&ntowf, &proof);
            let negotiate = Negotiate::OURS.write();
            if let Some(mic) = crypto::mic(&key, &negotiate, octets, &message) {
                message[MIC].copy_from_slice(&mic);
            }
        }
        ClientStep::Respond(message)
    }
}

/// The server's AV pairs with ours (NLMP-3.1.5-a): a MIC follows if it has a clock, the binding
/// under TLS, the service that we want.
fn answer(offered: &TargetInfo<'_>, context: &ClientContext<'_>) -> Vec<u8> {
    let mut list = TargetInfoWriter::new();
    for (id, value) in offered.pairs() {
        // These three are the client's to say.
        if ![AvId::FLAGS, AvId::CHANNEL_BINDINGS, AvId::TARGET_NAME].contains(&id) {
            list.pair(id, value);
        }
    }
    let mut flags = AvFlags(offered.flags().0 & !AvFlags::MIC.0);
    if offered.timestamp().is_some() {
        flags.0 |= AvFlags::MIC.0;
    }
    if flags != AvFlags::default() {
        list.pair(AvId::FLAGS, &flags.0.to_le_bytes());
    }
    let end_point = context
        .facts
        .and_then(|facts| facts.server_end_point.as_ref());
    if let Some(end_point) = end_point {
        list.pair(AvId::CHANNEL_BINDINGS, &crypto::channel_bindings(end_point));
    }
    let target = format!("smtp/{}", context.server);
    list.pair(AvId::TARGET_NAME, &text::utf16le(&target));
    list.finish()
}

/// Domain and user. `DOMAIN\user` is split if no domain is set; `user@domain` is a user whose
/// domain is empty ([MS-NLMP] section 3.3.2 hashes it as it is sent).
fn names(credentials: &Credentials) -> (&str, &str) {
    let (domain, user) = (credentials.domain.as_str(), credentials.user.as_str());
    match user.split_once('\\') {
        Some(split) if domain.is_empty() => split,
        _ => (domain, user),
    }
}
