//! Looking on while a dialogue runs: what the server said first, and what it was told who we are.

use crate::outbound::{CredentialsError, Login, Provider, Side, Trace};
use crate::sandbox::v0_1::client::Credentials;
use crate::sandbox::v0_1::types::Mechanism;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    greeting: Option<(String, SystemTime)>,
    mechanism: Option<Mechanism>,
}

/// Looks on at one dialogue.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    /// The first line that the server said, and when.
    pub(super) fn greeting(&self) -> Option<(String, SystemTime)> {
        self.with(|seen| seen.greeting.clone())
    }

    /// The mechanism that was last tried.
    pub(super) fn mechanism(&self) -> Option<Mechanism> {
        self.with(|seen| seen.mechanism)
    }

    /// For the dialogue; with a name its lines are also shown, on standard error.
    pub(super) fn trace(&self, name: Option<String>) -> Box<dyn Trace> {
        Box::new(Lines {
            watch: self.clone(),
            name,
        })
    }

    /// The same login, watched.
    pub(super) fn login(&self, login: &Login) -> Login {
        Login {
            provider: login.provider.as_ref().map(|inner| {
                Arc::new(Asked {
                    watch: self.clone(),
                    inner: Arc::clone(inner),
                }) as Arc<dyn Provider>
            }),
            ..login.clone()
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Lines {
    watch: Watch,
    name: Option<String>,
}

impl Trace for Lines {
    fn line(&mut self, side: Side, text: &str) {
        if side == Side::Server {
            self.watch.with(|seen| {
                seen.greeting
                    .get_or_insert_with(|| (text.to_owned(), SystemTime::now()));
            });
        }
        if let Some(name) = &self.name {
            let mark = match side {
                Side::Client => "C:",
                Side::Server => "S:",
                Side::Note => "* ",
            };
            eprintln!("{name} {mark} {text}");
        }
    }
}

struct Asked {
    watch: Watch,
    inner: Arc<dyn Provider>,
}

#[async_trait]
impl Provider for Asked {
    async fn credentials(&self, mechanism: Mechanism) -> Result<Credentials, CredentialsError> {
        self.watch.with(|seen| seen.mechanism = Some(mechanism));
        self.inner.credentials(mechanism).await
    }

    async fn refused(&self) -> bool {
        self.inner.refused().await
    }
}

/// The name that AUTH has for it (IANA's registry of SASL mechanisms).
pub(super) fn name(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Login => "LOGIN",
        Mechanism::Ntlm => "NTLM",
        Mechanism::Plain => "PLAIN",
        Mechanism::CramMd5 => "CRAM-MD5",
        Mechanism::ScramSha1 => "SCRAM-SHA-1",
        Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        Mechanism::Xoauth2 => "XOAUTH2",
        Mechanism::Oauthbearer => "OAUTHBEARER",
        Mechanism::External => "EXTERNAL",
    }
}

/// The time in a greeting: many servers end theirs with a date (RFC 5322 section 3.3).
pub(super) fn time(greeting: &str) -> Option<SystemTime> {
    let words: Vec<&str> = greeting.split_whitespace().collect();
    // Day, month, year, time, zone, and before them perhaps the day of the week.
    (0..words.len()).find_map(|from| {
        (5..=6).find_map(|length| {
            let date = words.get(from..from + length)?.join(" ");
            let parsed = jiff::fmt::rfc2822::parse(&date).ok()?;
            let since = u64::try_from(parsed.timestamp().as_second()).ok()?;
            UNIX_EPOCH.checked_add(Duration::from_secs(since))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_greeting_is_found() {
        for (greeting, expected) in [
            (
                "220 mail.example.org ESMTP Exim 4.97 Wed, 25 Nov 2026 04:19:16 +0000",
                Some(1_795_580_356),
            ),
            (
                "220 mx.example.net ESMTP Sendmail 8.17; Wed, 25 Nov 2026 05:19:16 +0100 (CET)",
                Some(1_795_580_356),
            ),
            ("220 mail.example.org ESMTP Postfix", None),
            ("220", None),
        ] {
            let expected = expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(time(greeting), expected, "{greeting}");
        }
    }

    #[test]
    fn only_what_the_server_says_first_is_its_greeting() {
        let watch = Watch::default();
        let mut trace = watch.trace(None);
        trace.line(Side::Note, "TLSv1.3");
        trace.line(Side::Server, "220 mail.example.org");
        trace.line(Side::Client, "EHLO x");
        trace.line(Side::Server, "250 x");
        let greeting = watch.greeting().map(|(text, _)| text);
        assert_eq!(greeting.as_deref(), Some("220 mail.example.org"));
    }
}
