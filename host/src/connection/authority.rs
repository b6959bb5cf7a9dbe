//! Authority: what a session may do, whoever built its component.
//!
//! Pure. Who the peer is, the host knows from the grant it gave itself; sender rights and
//! recipients are decided here when the session asks, and once more when the envelope arrives, so
//! that a session that does not ask gains nothing.

use crate::alias::expand::Context;
use crate::route::Query;
use crate::sandbox::MOST_AUTHORS;
use crate::sandbox::v0_1::types::{Envelope, Mechanism, Reply, TlsFacts};

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

    /// Whether this identity may send to this mailbox (R6409-6.2).
    fn may_send_to(&self, _identity: &str, _mailbox: &str) -> bool {
        true
    }

    /// Whether this identity may write this mailbox into From (R6409-6.3-b).
    fn may_write_as(&self, _identity: &str, _author: &str) -> bool {
        true
    }
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
        context: &Context<'_>,
        envelope: &Envelope,
    ) -> Result<(), Reply> {
        self.sender(identity, senders, &envelope.reverse_path)?;
        for forward_path in &envelope.forward_paths {
            self.recipient(context, senders, &forward_path.mailbox)?;
        }
        Ok(())
    }

    /// Whether this peer's mail is signed as the author's domain's: who may relay. What strangers send
    /// to somebody here is not (R6409-3.3).
    pub fn is_signed(&self, identity: Option<&str>) -> bool {
        identity.is_some() || self.trusted
    }

    /// R6409-6.1: may the identity use this reverse-path? The null one is always allowed (R6409-3.2-a),
    /// and without an identity there is nothing to compare with (OX-S-4.3-b). But of whom neither MAIL
    /// nor the network nor an identity says who he is, nothing could be returned to (R6409-3.2-b).
    ///
    /// # Errors
    ///
    /// What to tell the peer.
    pub fn sender(
        &self,
        identity: Option<&str>,
        senders: &dyn Senders,
        reverse_path: &str,
    ) -> Result<(), Reply> {
        match identity {
            None if reverse_path.is_empty() && !self.trusted => Err(reply(
                550,
                (5, 7, 1),
                "no return path: authenticate, or name a sender",
            )),
            Some(identity)
                if !reverse_path.is_empty() && !senders.may_send_as(identity, reverse_path) =>
            {
                Err(not_permitted())
            }
            _ => Ok(()),
        }
    }

    /// R5321-4.1.1.3-e, R6409-6.2: does a route lead to this mailbox, and may this peer use it? Without an
    /// identity and outside the listed networks only what is delivered here is reached
    /// (R6409-3.3), and aliases, whose place is here wherever they lead: who wrote them decided that.
    ///
    /// # Errors
    ///
    /// What to tell the peer.
    pub fn recipient(
        &self,
        context: &Context<'_>,
        senders: &dyn Senders,
        mailbox: &str,
    ) -> Result<(), Reply> {
        // R6409-6.2
        if let Some(identity) = context.identity
            && !senders.may_send_to(identity, mailbox)
        {
            return Err(not_permitted());
        }
        let may_relay = context.identity.is_some() || self.trusted;
        let query = Query {
            reverse_path: context.reverse_path,
            identity: context.identity,
            mailbox,
        };
        let route = context.routes.find(&query);
        let may = route.is_some_and(|route| may_relay || route.delivery.is_local());
        (may || context.is_alias(mailbox))
            .then_some(())
            .ok_or_else(not_permitted)
    }
}

/// R6409-6.3-b: does From name nobody but the identity's own addresses? Without an identity there is
/// nothing to compare with.
///
/// # Errors
///
/// What to tell the peer instead of storing its message.
pub fn authors(
    identity: Option<&str>,
    senders: &dyn Senders,
    authors: &[String],
) -> Result<(), Reply> {
    let Some(identity) = identity else {
        return Ok(());
    };
    // A From that cannot be read names nobody, and of a very long one the end is not known: neither
    // hinders those who may write as anybody.
    let unknown = authors.is_empty() || authors.len() >= MOST_AUTHORS;
    let others = |author: &String| !senders.may_write_as(identity, author);
    if (unknown && !senders.may_write_as(identity, "")) || authors.iter().any(others) {
        return Err(reply(550, (5, 7, 1), "From is not an address of yours"));
    }
    Ok(())
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
    use crate::alias::{Aliases, file};
    use crate::relay::Retry;
    use crate::route::{Delivery, Route, Routes};

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
        let mut authority = authority();
        let here = routes(Delivery::Hold);
        let away = routes(Delivery::Discard);
        let aliases = Aliases::new(file::read("info: x@example.com").entries);
        let may = |authority: &Authority, routes: &Routes, identity, mailbox| {
            let context = Context {
                aliases: &aliases,
                routes,
                hostname: "mail.example.org",
                reverse_path: "s@example.net",
                identity,
            };
            authority.recipient(&context, &Own, mailbox).is_ok()
        };
        assert!(may(&authority, &here, None, "a@EXAMPLE.org"));
        assert!(!may(&authority, &away, None, "a@example.org"));
        assert!(may(&authority, &away, Some("b"), "a@example.org"));
        assert!(!may(&authority, &away, Some("b"), "a@example.com"));
        // R6409-8.7: an alias of a domain that is delivered here is, wherever it leads; what leads away
        // stays out of reach, and so does the alias of a domain that is elsewhere.
        assert!(may(&authority, &here, None, "info@example.org"));
        assert!(may(&authority, &here, None, "info@mail.example.org"));
        assert!(!may(&authority, &here, None, "x@example.com"));
        assert!(!may(&authority, &away, None, "info@example.org"));
        authority.trusted = true;
        assert!(may(&authority, &away, None, "a@example.org"));
    }

    #[test]
    fn r6409_3_2_a_the_null_reverse_path_is_always_allowed() {
        let authority = authority();
        let sender = |identity, path: &str| authority.sender(identity, &Own, path);
        assert!(sender(Some("a@b.example"), "").is_ok());
        assert!(sender(Some("a@b.example"), "c@b.example").is_err());
        assert!(sender(None, "c@b.example").is_ok());
    }

    #[test]
    fn r6409_3_2_b_without_any_return_path_mail_is_refused() {
        let mut authority = authority();
        let refused = authority.sender(None, &Own, "").unwrap_err();
        assert_eq!((refused.code, refused.status), (550, Some((5, 7, 1))));
        // A listed network says who it is.
        authority.trusted = true;
        assert!(authority.sender(None, &Own, "").is_ok());
    }

    /// Alice may write to those here, and sign as herself.
    struct Limited;
    impl Senders for Limited {
        fn may_send_as(&self, _: &str, _: &str) -> bool {
            true
        }
        fn may_send_to(&self, identity: &str, mailbox: &str) -> bool {
            identity != "alice@example.org" || mailbox.ends_with("@example.org")
        }
        fn may_write_as(&self, identity: &str, author: &str) -> bool {
            identity == "root" || identity == author
        }
    }

    #[test]
    fn r6409_6_2_an_identity_reaches_whom_it_may() {
        let routes = Routes::new(vec![Route {
            name: "one".into(),
            domains: vec!["*".parse().unwrap()],
            senders: Vec::new(),
            identities: Vec::new(),
            delivery: Delivery::Discard,
            retry: Retry::default(),
        }]);
        let reply = |identity, mailbox| {
            let context = Context {
                aliases: &Aliases::default(),
                routes: &routes,
                hostname: "mail.example.org",
                reverse_path: "s@example.net",
                identity,
            };
            authority().recipient(&context, &Limited, mailbox).err()
        };
        let refused = reply(Some("alice@example.org"), "bob@example.com").unwrap();
        assert_eq!((refused.code, refused.status), (550, Some((5, 7, 1))));
        assert!(reply(Some("alice@example.org"), "bob@example.org").is_none());
        assert!(reply(Some("bob@example.org"), "bob@example.com").is_none());
    }

    #[test]
    fn r6409_6_3_b_from_is_the_identity_and_nobody_else() {
        let reply = |identity, from: &[&str]| {
            let from: Vec<String> = from.iter().map(ToString::to_string).collect();
            authors(identity, &Limited, &from).err()
        };
        let alice = Some("alice@example.org");
        assert!(reply(alice, &["alice@example.org"]).is_none());
        let refused = reply(alice, &["ceo@example.org"]).unwrap();
        assert_eq!((refused.code, refused.status), (550, Some((5, 7, 1))));
        assert!(reply(alice, &["alice@example.org", "ceo@example.org"]).is_some());
        // Nobody can say who wrote it.
        assert!(reply(alice, &[]).is_some());
        assert!(reply(alice, &["alice@example.org"; MOST_AUTHORS]).is_some());
        assert!(reply(Some("root"), &[]).is_none());
        assert!(reply(None, &["ceo@example.org"]).is_none());
    }

    #[test]
    fn r6409_8_5_strangers_get_no_signature() {
        let mut authority = authority();
        assert!(authority.is_signed(Some("a")));
        assert!(!authority.is_signed(None));
        authority.trusted = true;
        assert!(authority.is_signed(None));
    }
}
