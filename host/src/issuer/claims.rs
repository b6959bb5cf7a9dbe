//! What a token says (RFC 7519 section 4, RFC 7662 section 2.2, RFC 9068 section 2.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::config::Issuer;

/// What a token says. Nothing of it is shown by `Debug`: it is somebody's.
#[derive(Clone)]
pub(super) struct Claims(Map<String, Value>);

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims")
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(claims: Map<String, Value>) -> Self {
        Self(claims)
    }
}

impl Claims {
    /// A claim that is a text and says something.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.0.get(name)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// NumericDate (RFC 7519 section 2); `None` inside: it is there and makes no sense.
    pub(super) fn date(&self, name: &str) -> Option<Option<u64>> {
        let value = self.0.get(name)?;
        // (A saturating cast: NaN and negative numbers are 0.)
        Some(value.as_f64().map(|seconds| seconds as u64))
    }

    /// The user: the first of these claims that there is. An address that the issuer knows to be
    /// unverified is nobody's (OpenID Connect Core 1.0 section 5.1).
    pub(super) fn user(&self, names: &[String]) -> Option<&str> {
        let unverified = self.0.get("email_verified").is_some_and(|verified| {
            // Some issuers write it as a text.
            *verified != Value::Bool(true) && verified.as_str() != Some("true")
        });
        names
            .iter()
            .filter(|name| !(unverified && *name == "email"))
            .find_map(|name| self.text(name))
    }

    /// What holds for every token of this issuer, however it was judged.
    pub(super) fn check(&self, rules: &Issuer) -> Result<(), Refusal> {
        if let Some(lacking) = rules.scope.iter().find(|word| !self.has(word)) {
            return Err(Refusal::Scope(lacking.clone()));
        }
        if !rules.clients.is_empty() {
            let client = self.client().unwrap_or_default();
            if !rules.clients.iter().any(|known| known == client) {
                return Err(Refusal::Client(client.to_owned()));
            }
        }
        // RFC 7800 section 3.1.
        if self.0.contains_key("cnf") {
            return Err(Refusal::Bound);
        }
        Ok(())
    }

    /// What a signature would have brought with it (RFC 7662 section 4): times, audience, issuer.
    pub(super) fn check_introspected(
        &self,
        rules: &Issuer,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let now = seconds(now);
        let leeway = rules.leeway.as_secs();
        match self.date("exp") {
            Some(None) => return Err(Refusal::Claim("exp")),
            Some(Some(end)) if end.saturating_add(leeway) <= now => return Err(Refusal::Expired),
            _ => {}
        }
        match self.date("nbf") {
            Some(None) => return Err(Refusal::Claim("nbf")),
            Some(Some(begin)) if begin > now.saturating_add(leeway) => return Err(Refusal::Early),
            _ => {}
        }
        if !rules.audiences.is_empty() && !rules.audiences.iter().any(|own| self.is_for(own)) {
            return Err(Refusal::Audience);
        }
        match (&rules.issuer, self.0.get("iss")) {
            // RFC 7662 section 2.2: optional.
            (Some(issuer), Some(own)) if own.as_str() != Some(issuer) => Err(Refusal::Issuer),
            _ => Ok(()),
        }
    }

    /// How long until it runs out; `None`: it does not say.
    pub(super) fn life(&self, now: SystemTime) -> Option<Duration> {
        let end = self.date("exp")??;
        Some(Duration::from_secs(end.saturating_sub(seconds(now))))
    }

    /// RFC 8693 section 4.2 (`scope`); `scp` and `roles` of Microsoft: a text of words, or a list.
    fn has(&self, word: &str) -> bool {
        ["scope", "scp", "roles"]
            .iter()
            .filter_map(|name| self.0.get(*name))
            .any(|value| match value {
                Value::String(text) => text.split_whitespace().any(|own| own == word),
                Value::Array(list) => list.iter().any(|own| own.as_str() == Some(word)),
                _ => false,
            })
    }

    /// `azp` (OpenID Connect Core 1.0 section 2), `appid` of Microsoft, `client_id` (RFC 8693
    /// section 4.3), `cid` of Okta.
    fn client(&self) -> Option<&str> {
        ["azp", "appid", "client_id", "cid"]
            .iter()
            .find_map(|name| self.text(name))
    }

    /// RFC 7519 section 4.1.3: a text, or a list of them.
    fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(own)) => own == audience,
            Some(Value::Array(list)) => list.iter().any(|own| own.as_str() == Some(audience)),
            _ => false,
        }
    }
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
