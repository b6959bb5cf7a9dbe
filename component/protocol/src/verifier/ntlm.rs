//! Whether an NTLMv2 response proves the password ([MS-NLMP] section 3.2.5.1.2).

use crate::contract::{
    NtlmResponse, TlsFacts,
    verifier::{NtlmPolicy, Refusal},
};
use crate::ntlm::{
    Authenticate, AvFlags, AvId, Challenge, Malformed, Negotiate, NtV2, TargetInfo, Unfit,
    crypto::{self, Key},
    text,
};
use subtle::ConstantTimeEq as _;

/// The NT hash: MD4 of the UTF-16LE password ([MS-NLMP] section 3.3.1).
pub fn derive_nt(password: &str) -> [u8; 16] {
    crypto::nt_hash(password)
}

/// Checks proof, MIC and channel binding. `nt` is the NT hash of the account that
/// `response.user` names; `facts` are those of the connection, `None` without TLS.
///
/// All is taken from the three messages. What the session says of them has to agree, because the
/// host looked the account up by it.
pub fn ntlm(
    nt: &[u8],
    response: &NtlmResponse,
    facts: Option<&TlsFacts>,
    policy: NtlmPolicy,
) -> Result<(), Refusal> {
    Negotiate::parse(&response.negotiate)?;
    let challenge = Challenge::parse(&response.challenge)?;
    let message = Authenticate::parse(&response.authenticate, challenge.flags)?;
    let agrees = response.server_challenge == challenge.server_challenge
        && response.user == message.user
        && response.domain == message.domain
        && response.nt_response == message.nt_response;
    if !agrees {
        return Err(Refusal::Malformed);
    }
    // NLMP-3.2.5-a, NLMP-3.2.5-b.
    let v2 = message.response()?;

    let base = prove(nt, &message, &v2, &challenge.server_challenge).ok_or(Refusal::Wrong)?;
    let key = crypto::exported_session_key(&base, message.flags, message.session_key);
    check_integrity(&key, response, &message, &v2, policy)?;
    check_binding(&v2.target_info, facts, policy)
}

/// The session base key, if the proof is right for the domain as sent, or for none: some clients
/// name it and leave it out of the hash (NLMP-3.2.5-e).
fn prove(
    nt: &[u8],
    message: &Authenticate<'_>,
    v2: &NtV2<'_>,
    server_challenge: &[u8; 8],
) -> Option<Key> {
    if nt.len() != 16 {
        return None;
    }
    [message.domain.as_str(), ""]
        .into_iter()
        .find_map(|domain| {
            let ntowf = crypto::ntowf_v2(nt, &message.user, domain);
            let proof = crypto::nt_proof(&ntowf, server_challenge, v2.proven);
            // NLMP-3.3.2-b.
            bool::from(proof.ct_eq(&v2.proof)).then(|| crypto::session_base_key(&ntowf, &proof))
        })
}

/// NLMP-3.2.5-c, NLMP-3.2.5-d.
fn check_integrity(
    key: &Key,
    response: &NtlmResponse,
    message: &Authenticate<'_>,
    v2: &NtV2<'_>,
    policy: NtlmPolicy,
) -> Result<(), Refusal> {
    if !v2.target_info.flags().has(AvFlags::MIC) {
        return if policy.require_integrity {
            Err(Refusal::Integrity)
        } else {
            Ok(())
        };
    }
    let sent = message.mic.ok_or(Refusal::Integrity)?;
    let expected = crypto::mic(
        key,
        &response.negotiate,
        &response.challenge,
        &response.authenticate,
    )
    .ok_or(Refusal::Integrity)?;
    if bool::from(sent.ct_eq(&expected)) {
        Ok(())
    } else {
        Err(Refusal::Integrity)
    }
}

/// NLMP-3.2.5-f.
fn check_binding(
    target_info: &TargetInfo<'_>,
    facts: Option<&TlsFacts>,
    policy: NtlmPolicy,
) -> Result<(), Refusal> {
    // Without TLS there is nothing to be bound to.
    let Some(facts) = facts else {
        return Ok(());
    };
    let Some(bound) = target_info.channel_bindings() else {
        return if policy.require_binding {
            Err(Refusal::Binding)
        } else {
            Ok(())
        };
    };
    // A binding that cannot be checked is not the right one.
    let end_point = facts.server_end_point.as_deref().ok_or(Refusal::Binding)?;
    if bool::from(crypto::channel_bindings(end_point).ct_eq(&bound)) {
        Ok(())
    } else {
        Err(Refusal::Binding)
    }
}

/// Whether the client wanted this service (NLMP-3.2.5-g): an SPN of service `smtp` or
/// `SMTPSVC` and the host `hostname`, in any case, that the client did not take from an untrusted
/// source. `nt_response` is that of a response which [`ntlm`] found right.
pub fn target_name_is(nt_response: &[u8], hostname: &str) -> bool {
    let pairs = nt_response.get(44..).map(TargetInfo::parse);
    let Some(Ok(target_info)) = pairs else {
        return false;
    };
    let name = target_info.value(AvId::TARGET_NAME);
    let Some(name) = name.and_then(text::from_utf16le) else {
        return false;
    };
    let untrusted = target_info.flags().has(AvFlags::UNTRUSTED_TARGET_NAME);
    let Some((service, host)) = name.split_once('/') else {
        return false;
    };
    !untrusted
        && ["smtp", "smtpsvc"]
            .iter()
            .any(|ours| service.eq_ignore_ascii_case(ours))
        && host.eq_ignore_ascii_case(hostname)
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Malformed(_) => Self::Malformed,
            Unfit::Downgraded => Self::Downgraded,
            Unfit::Anonymous => Self::Anonymous,
        }
    }
}

#[cfg(test)]
mod tests;
