//! Authority: what a session may do, whoever built its component.
//!
//! Pure. Who the peer is, the host knows from the grant it gave itself; sender rights and
//! recipients are decided here when the session asks, and once more when the envelope arrives, so
//! that a session that does not ask gains nothing.

use crate::route::{Query, Route, Routes};
use crate::sandbox::v0_1::types::{Envelope, Mechanism, Reply, TlsFacts};
use std::sync::Arc;

/// What is true of one connection.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Mechanisms of the listener.
    pub mechanisms: Vec<Mechanism>,
    /// PLAIN and LOGIN without TLS.
    pub clear_text: bool,
    /// No MAIL without an identity.
    pub required: bool,
    /// Whether the peer may submit at all.
    pub welcome: bool,
    /// The peer may relay without an identity (R6409-3.3).
    pub trusted: bool,
    /// Nothing without a verified client certificate (R3207-4.1-a).
    pub certificate_required: bool,
}

/// Who may send as whom.
pub trait Senders {
    /// Whether this identity may use this reverse-path; never asked about the null reverse-path.
    fn may_send_as(&self, identity: &str, reverse_path: &str) -> bool;
}

impl Authority {
    /// May this mechanism be used now? (R4954-4-l) Tokens are never shown without TLS, passwords only
    /// where the listener allows it; channel binding needs a channel, EXTERNAL a certificate.
    pub fn may_authenticate(
        &self,
        mechanism: Mechanism,
        facts: Option<&TlsFacts>,
        identity: Option<&str>,
    ) -> bool {
        let possible = match mechanism {
            Mechanism::Plain | Mechanism::Login => facts.is_some() || self.clear_text,
            Mechanism::Xoauth2
            | Mechanism::Oauthbearer
            | Mechanism::ScramSha1Plus
            | Mechanism::ScramSha256Plus => facts.is_some(),
            Mechanism::External => facts.is_some_and(|facts| facts.verified),
            Mechanism::Ntlm
            | Mechanism::CramMd5
            | Mechanism::ScramSha1
            | Mechanism::ScramSha256 => true,
        };
        self.is_admitted(facts)
            && identity.is_none()
            && self.mechanisms.contains(&mechanism)
            && possible
    }

    /// May mail be taken now? (R6409-3.3, R6409-4.3)
    pub fn may_submit(&self, facts: Option<&TlsFacts>, identity: Option<&str>) -> bool {
        self.is_admitted(facts) && (identity.is_some() || !self.required)
    }

    fn is_admitted(&self, facts: Option<&TlsFacts>) -> bool {
        self.welcome && (!self.certificate_required || facts.is_some_and(|facts| facts.verified))
    }

    /// Checks an envelope once more: a session that did not ask, or asked before the rules changed,
    /// gains nothing.
    ///
    /// # Errors
    ///
    /// What to tell the peer instead of storing its message.
    pub fn envelope(
        &self,
        identity: Option<&str>,
        senders: &dyn Senders,
        routes: &Routes,
        envelope: &Envelope,
    ) -> Result<(), Reply> {
        sender(identity, senders, &envelope.reverse_path)?;
        for forward_path in &envelope.forward_paths {
            let query = Query {
                reverse_path: &envelope.reverse_path,
                identity,
                mailbox: &forward_path.mailbox,
            };
            self.recipient(routes, &query)?;
        }
        Ok(())
    }

    /// R5321-4.1.1.3-e: does a route lead to this mailbox, and may this peer use it? Without an
    /// identity and outside the listed networks only what is delivered here is reached
    /// (R6409-3.3). The route.
    ///
    /// # Errors
    ///
    /// What to tell the peer.
    pub fn recipient<'a>(
        &self,
        routes: &'a Routes,
        query: &Query<'_>,
    ) -> Result<&'a Arc<Route>, Reply> {
        let may_relay = query.identity.is_some() || self.trusted;
        routes
            .find(query)
            .filter(|route| may_relay || route.delivery.is_local())
            .ok_or_else(not_permitted)
    }
}

/// R6409-6.1: may the identity use this reverse-path? The null one is always allowed (R6409-3.2-a),
/// and without an identity there is nothing to compare with (OX-S-4.3-b).
///
/// # Errors
///
/// What to tell the peer.
pub fn sender(
    identity: Option<&str>,
    senders: &dyn Senders,
    reverse_path: &str,
) -> Result<(), Reply> {
    match identity {
        Some(identity)
            if !reverse_path.is_empty() && !senders.may_send_as(identity, reverse_path) =>
        {
            Err(not_permitted())
        }
        _ => Ok(()),
    }
}

fn not_permitted() -> Reply {
    reply(550, (5, 7, 1), "not permitted")
}

/// A reply of one line.
pub fn reply(code: u16, status: (u8, u16, u16), text: &str) -> Reply {
    Reply {
        code,
        status: Some(status),
        lines: vec![text.into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Retry;
    use crate::route::Delivery;

    struct Own;
    impl Senders for Own {
        fn may_send_as(&self, identity: &str, reverse_path: &str) -> bool {
            identity == reverse_path
        }
    }

    fn authority() -> Authority {
        Authority {
            mechanisms: vec![Mechanism::Ntlm, Mechanism::Login],
            clear_text: false,
            required: true,
            welcome: true,
            trusted: false,
            certificate_required: false,
        }
    }

    fn tls(verified: bool) -> TlsFacts {
        TlsFacts {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            verified,
            server_end_point: None,
            exporter: None,
        }
    }

    #[test]
    fn r4954_4_l_clear_text_needs_tls_unless_allowed() {
        let mut authority = authority();
        let tls = tls(false);
        let may = |authority: &Authority, mechanism, facts, identity| {
            authority.may_authenticate(mechanism, facts, identity)
        };
        assert!(!may(&authority, Mechanism::Login, None, None));
        assert!(may(&authority, Mechanism::Login, Some(&tls), None));
        assert!(may(&authority, Mechanism::Ntlm, None, None));
        assert!(!may(&authority, Mechanism::Plain, Some(&tls), None));
        assert!(!may(&authority, Mechanism::Ntlm, Some(&tls), Some("a")));
        authority.clear_text = true;
        assert!(may(&authority, Mechanism::Login, None, None));
        // What clear-text does not allow.
        let secret = [
            Mechanism::Xoauth2,
            Mechanism::Oauthbearer,
            Mechanism::ScramSha1Plus,
            Mechanism::ScramSha256Plus,
        ];
        authority.mechanisms = secret.to_vec();
        for mechanism in secret {
            assert!(!may(&authority, mechanism, None, None), "{mechanism:?}");
            assert!(
                may(&authority, mechanism, Some(&tls), None),
                "{mechanism:?}"
            );
        }
        let proofs = [
            Mechanism::ScramSha1,
            Mechanism::ScramSha256,
            Mechanism::CramMd5,
        ];
        authority.mechanisms = proofs.to_vec();
        assert!(
            proofs
                .iter()
                .all(|proof| may(&authority, *proof, None, None))
        );
    }

    #[test]
    fn r4422_a_external_needs_a_verified_certificate() {
        let mut authority = authority();
        let external = Mechanism::External;
        assert!(!authority.may_authenticate(external, Some(&tls(true)), None));
        authority.mechanisms.push(external);
        assert!(authority.may_authenticate(external, Some(&tls(true)), None));
        assert!(!authority.may_authenticate(external, Some(&tls(false)), None));
        assert!(!authority.may_authenticate(external, None, None));
    }

    #[test]
    fn r3207_4_1_a_nothing_without_a_certificate_that_is_demanded() {
        let mut authority = authority();
        authority.certificate_required = true;
        authority.required = false;
        for facts in [None, Some(&tls(false))] {
            assert!(!authority.may_submit(facts, None));
            assert!(!authority.may_authenticate(Mechanism::Ntlm, facts, None));
        }
        assert!(authority.may_submit(Some(&tls(true)), None));
        assert!(authority.may_authenticate(Mechanism::Ntlm, Some(&tls(true)), None));
    }

    #[test]
    fn r6409_3_3_no_identity_no_submission_where_it_is_required() {
        let mut authority = authority();
        assert!(!authority.may_submit(None, None));
        assert!(authority.may_submit(None, Some("a")));
        authority.required = false;
        assert!(authority.may_submit(None, None));
        authority.welcome = false;
        assert!(!authority.may_submit(None, Some("a")));
    }

    #[test]
    fn r6409_3_3_strangers_reach_only_what_is_delivered_here() {
        let routes = |delivery: Delivery| {
            Routes::new(vec![Route {
                name: "one".into(),
                domains: vec!["example.org".parse().unwrap()],
                senders: Vec::new(),
                identities: Vec::new(),
                delivery,
                retry: Retry::default(),
            }])
        };
        let query = |identity, mailbox| Query {
            reverse_path: "s@example.net",
            identity,
            mailbox,
        };
        let mut authority = authority();
        let here = routes(Delivery::Hold);
        let away = routes(Delivery::Discard);
        let may = |authority: &Authority, routes, identity, mailbox| {
            authority
                .recipient(routes, &query(identity, mailbox))
                .is_ok()
        };
        assert!(may(&authority, &here, None, "a@EXAMPLE.org"));
        assert!(!may(&authority, &away, None, "a@example.org"));
        assert!(may(&authority, &away, Some("b"), "a@example.org"));
        assert!(!may(&authority, &away, Some("b"), "a@example.com"));
        authority.trusted = true;
        assert!(may(&authority, &away, None, "a@example.org"));
    }

    #[test]
    fn r6409_3_2_a_the_null_reverse_path_is_always_allowed() {
        assert!(sender(Some("a@b.example"), &Own, "").is_ok());
        assert!(sender(Some("a@b.example"), &Own, "c@b.example").is_err());
        assert!(sender(None, &Own, "c@b.example").is_ok());
    }
}
