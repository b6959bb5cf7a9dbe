//! Signed tokens: JWT (RFC 7519) in JWS compact serialization (RFC 7515), by the rules of RFC 8725.
//! Signatures, times, issuer and audience are the work of `jsonwebtoken`.

use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, dangerous, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::claims::{Claims, seconds};
use super::keys::KeySet;
use super::refusal::Refusal;

/// Most keys that are tried on one token: each costs CPU time.
const MOST_TRIED: usize = 8;

/// Types of access tokens (RFC 9068 section 2.1, RFC 7519 section 5.1), and of Microsoft's.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// What must hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud` must have one of these.
    pub audiences: &'a [String],
    /// RFC 8725 section 3.1: nothing else is taken, whatever a token says.
    pub algorithms: &'a [Algorithm],
    /// How far clocks may be apart.
    pub leeway: Duration,
}

/// The `iss` of what looks like a signed token. Nothing is verified: it only says whose keys to try.
pub(super) fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Peeked {
        iss: Option<String>,
    }
    dangerous::insecure_decode_claims::<Peeked>(token).ok()?.iss
}

/// What the token says, if a key of the issuer signed it and all rules hold.
pub(super) fn verify(token: &str, rules: &Rules<'_>, keys: &KeySet) -> Result<Claims, Refusal> {
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    if !rules.algorithms.contains(&header.alg) {
        return Err(Refusal::Algorithm(header.alg));
    }
    if header.crit.is_some() {
        return Err(Refusal::Critical);
    }
    if let Some(typ) = &header.typ {
        // RFC 7515 section 4.1.9: "application/" may be left out.
        let typ = typ.to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        if !TYPES.contains(&typ) {
            return Err(Refusal::Type);
        }
    }
    let mut validation = Validation::new(header.alg);
    validation.leeway = rules.leeway.as_secs();
    validation.validate_nbf = true;
    validation.set_issuer(&[rules.issuer]);
    validation.set_audience(rules.audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let mut refusal = Refusal::UnknownKey;
    for key in keys
        .fitting(header.kid.as_deref(), header.alg)
        .take(MOST_TRIED)
    {
        match decode::<Map<String, Value>>(token, key, &validation) {
            Ok(data) => return checked(data.claims.into(), rules),
            Err(error) => match refused(error.kind()) {
                // Without a key identifier the next one may be the right one.
                Refusal::Signature => refusal = Refusal::Signature,
                other => return Err(other),
            },
        }
    }
    Err(refusal)
}

/// What `jsonwebtoken` leaves to its caller.
fn checked(claims: Claims, rules: &Rules<'_>) -> Result<Claims, Refusal> {
    // RFC 7519 section 4.1.1: one text, no list.
    if claims.text("iss") != Some(rules.issuer) {
        return Err(Refusal::Issuer);
    }
    // RFC 7519 section 4.1.6: a token from the future has a wrong clock behind it.
    let latest = seconds(SystemTime::now()).saturating_add(rules.leeway.as_secs());
    match claims.date("iat") {
        Some(None) => Err(Refusal::Claim("iat")),
        Some(Some(issued)) if issued > latest => Err(Refusal::Early),
        _ => Ok(claims),
    }
}

/// Nothing of the token's text is taken over.
fn refused(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::InvalidSignature => Refusal::Signature,
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::Early,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
            Refusal::Claim(match name.as_str() {
                "exp" => "exp",
                "nbf" => "nbf",
                "iss" => "iss",
                "aud" => "aud",
                _ => "a claim",
            })
        }
        _ => Refusal::Malformed,
    }
}
