//! AUTHENTICATE_MESSAGE ([MS-NLMP] section 2.2.1.3) and the NTLMv2 response in it (2.2.2.8).

use super::{
    Flags, Malformed, TargetInfo,
    field::{Field, Message, array, expect, u32_at},
    text,
};
use alloc::{string::String, vec::Vec};
use core::ops::Range;

/// Where the MIC is, if there is one.
pub const MIC: Range<usize> = 72..88;

/// The client's second message, read. The LM response is not kept: it never grants anything
/// (NLMP-3.2.5-a).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticate<'a> {
    /// What the client says was agreed; the CHALLENGE's flags where an old client has none.
    pub flags: Flags,
    /// User as sent.
    pub user: String,
    /// Domain as sent; may be empty.
    pub domain: String,
    /// Workstation as sent, for the log; what is not UTF-16 is replaced.
    pub workstation: String,
    /// NtChallengeResponse.
    pub nt_response: &'a [u8],
    /// EncryptedRandomSessionKey.
    pub session_key: &'a [u8],
    /// The 16 octets at [`MIC`], where no payload begins before their end. They mean something only if the
    /// NTLMv2 response says so.
    pub mic: Option<[u8; 16]>,
}

/// Why an AUTHENTICATE proves nothing, whatever the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// NTLMv1, or LM alone.
    #[error("an ntlm response below version 2")]
    Downgraded,
    /// Nobody in particular.
    #[error("an anonymous ntlm user")]
    Anonymous,
}

impl<'a> Authenticate<'a> {
    const KIND: u32 = 3;
    /// The least header: five fields. Then come session key and flags (64), version (72), MIC (88).
    const HEADER: usize = 52;

    /// Reads one. `agreed`: the flags of the CHALLENGE that it answers.
    pub fn parse(octets: &'a [u8], agreed: Flags) -> Result<Self, Malformed> {
        expect(octets, Self::KIND)?;
        let cut = Malformed("the header is cut off");
        let field = |at| Field::read(octets, at).ok_or(cut);
        let fields = [field(12)?, field(20)?, field(28)?, field(36)?, field(44)?];
        let begin = |fields: &[Field]| fields.iter().filter_map(|field| field.start()).min();

        // NLMP-2.2-b: what lies behind the five fields is header only up to the first payload.
        let mut payload = begin(&fields).unwrap_or(octets.len()).min(octets.len());
        if payload < Self::HEADER {
            return Err(Malformed("a field lies in the header"));
        }
        let (mut session_key, mut flags) = (Field::default(), agreed);
        if payload >= 64 {
            session_key = field(52)?;
            flags = Flags(u32_at(octets, 60).ok_or(cut)?);
            payload = payload.min(session_key.start().unwrap_or(octets.len()));
            if payload < 64 {
                return Err(Malformed("a field lies in the header"));
            }
        }
        let mic = array(octets, MIC.start).filter(|_| payload >= MIC.end);

        let [lm, nt, domain, user, workstation] = fields;
        lm.of(octets)?;
        let (domain, user) = (domain.of(octets)?, user.of(octets)?);
        let workstation = workstation.of(octets)?;
        // NLMP-2.2.2.5: the flags of the message say how names are written.
        let charsets = Flags::UNICODE | Flags::OEM;
        let said = flags.common(charsets) != Flags::default();
        let unicode = (if said { flags } else { agreed }).has(Flags::UNICODE);
        let name = |octets: &[u8]| {
            if unicode {
                text::from_utf16le(octets).ok_or(Malformed("a name is not utf-16"))
            } else {
                Ok(text::from_oem(octets))
            }
        };
        Ok(Self {
            flags,
            user: name(user)?,
            domain: name(domain)?,
            workstation: name(workstation).unwrap_or_else(|_| String::from("?")),
            nt_response: nt.of(octets)?,
            session_key: session_key.of(octets)?,
            mic,
        })
    }

    /// The NTLMv2 response, or why there is none.
    pub fn response(&self) -> Result<NtV2<'a>, Unfit> {
        let empty = self.nt_response.is_empty();
        // NLMP-3.2.5-b.
        if self.flags.has(Flags::ANONYMOUS) || (empty && self.user.is_empty()) {
            return Err(Unfit::Anonymous);
        }
        // NLMP-3.2.5-a: 24 octets are NTLMv1, with or without extended security; none: LM alone.
        if empty || self.nt_response.len() == 24 {
            return Err(Unfit::Downgraded);
        }
        Ok(NtV2::parse(self.nt_response)?)
    }
}

/// An NTLMv2 response ([MS-NLMP] sections 2.2.2.7 and 2.2.2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NtV2<'a> {
    /// NTProofStr.
    pub proof: [u8; 16],
    /// What it proves, after the server challenge.
    pub proven: &'a [u8],
    /// AV pairs of the client.
    pub target_info: TargetInfo<'a>,
}

impl<'a> NtV2<'a> {
    fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let cut = Malformed("the ntlmv2 response is cut off");
        let (proof, proven) = octets.split_first_chunk().ok_or(cut)?;
        if !proven.starts_with(&[1, 1]) {
            return Err(Malformed("the ntlmv2 response is of another version"));
        }
        let pairs = proven.get(28..).ok_or(cut)?;
        Ok(Self {
            proof: *proof,
            proven,
            target_info: TargetInfo::parse(pairs)?,
        })
    }

    /// What is proven: time, client challenge and AV pairs ([MS-NLMP] section 3.3.2, "temp").
    pub fn proven(time: [u8; 8], client_challenge: [u8; 8], target_info: &[u8]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(target_info.len() + 32);
        octets.extend_from_slice(&[1, 1, 0, 0, 0, 0, 0, 0]);
        octets.extend_from_slice(&time);
        octets.extend_from_slice(&client_challenge);
        octets.extend_from_slice(&[0; 4]);
        octets.extend_from_slice(target_info);
        octets.extend_from_slice(&[0; 4]);
        octets
    }
}

/// What an AUTHENTICATE is written from; the MIC is put in afterwards.
#[derive(Debug, Clone, Copy)]
pub struct AuthenticateParts<'a> {
    /// What was agreed.
    pub flags: Flags,
    /// Domain, in the character set of the flags; as the others.
    pub domain: &'a [u8],
    /// User.
    pub user: &'a [u8],
    /// Workstation.
    pub workstation: &'a [u8],
    /// LmChallengeResponse.
    pub lm_response: &'a [u8],
    /// NtChallengeResponse.
    pub nt_response: &'a [u8],
    /// Whether room for a MIC is left at [`MIC`].
    pub mic: bool,
}

impl AuthenticateParts<'_> {
    /// The message. Without key exchange the session key field is empty.
    pub fn write(&self) -> Vec<u8> {
        let header = if self.mic { MIC.end } else { MIC.start };
        let mut message = Message::new(Authenticate::KIND, header);
        message.put(60, &self.flags.0.to_le_bytes());
        message.append(28, self.domain);
        message.append(36, self.user);
        message.append(44, self.workstation);
        message.append(12, self.lm_response);
        message.append(20, self.nt_response);
        message.append(52, &[]);
        message.finish()
    }
}

#[cfg(test)]
mod tests;
