//! Authority: what a session may do, whoever built its component.
//!
//! Pure. Who the peer is, the host knows from the grant it gave itself; sender rights and
//! recipients are decided here when the session asks, and once more when the envelope arrives, so
//! that a session that does not ask gains nothing.

use crate::alias::expand::Context;
use crate::route::Query;
use crate::sandbox::v0_1::types::{Envelope, Mechanism, Reply};

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
}

/// Who may send as whom.
pub trait Senders {
    /// Whether this identity may use this reverse-path; never asked about the null reverse-path.
    fn may_send_as(&self, identity: &str, reverse_path: &str) -> bool;
}

impl Authority {
    /// May this mechanism be used now? (R4954-4-l)
    pub fn may_authenticate(
        &self,
        mechanism: Mechanism,
        tls: bool,
        identity: Option<&str>,
    ) -> bool {
        let clear_text = matches!(mechanism, Mechanism::Plain | Mechanism::Login);
        self.welcome
            && identity.is_none()
            && self.mechanisms.contains(&mechanism)
            && (tls || !clear_text || self.clear_text)
    }

    /// May mail be taken now? (R6409-3.3, R6409-4.3)
    pub fn may_submit(&self, identity: Option<&str>) -> bool {
        self.welcome && (identity.is_some() || !self.required)
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
            self.recipient(context, &forward_path.mailbox)?;
        }
        Ok(())
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

    /// R5321-4.1.1.3-e: does a route lead to this mailbox, and may this peer use it? Without an
    /// identity and outside the listed networks only what is delivered here is reached
    /// (R6409-3.3), and aliases, whose place is here wherever they lead: who wrote them decided that.
    ///
    /// # Errors
    ///
    /// What to tell the peer.
    pub fn recipient(&self, context: &Context<'_>, mailbox: &str) -> Result<(), Reply> {
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
        }
    }

    #[test]
    fn r4954_4_l_clear_text_needs_tls_unless_allowed() {
        let authority = authority();
        assert!(!authority.may_authenticate(Mechanism::Login, false, None));
        assert!(authority.may_authenticate(Mechanism::Login, true, None));
        assert!(authority.may_authenticate(Mechanism::Ntlm, false, None));
        assert!(!authority.may_authenticate(Mechanism::Plain, true, None));
        assert!(!authority.may_authenticate(Mechanism::Ntlm, true, Some("a")));
    }

    #[test]
    fn r6409_3_3_no_identity_no_submission_where_it_is_required() {
        let mut authority = authority();
        assert!(!authority.may_submit(None));
        assert!(authority.may_submit(Some("a")));
        authority.required = false;
        assert!(authority.may_submit(None));
        authority.welcome = false;
        assert!(!authority.may_submit(Some("a")));
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
            authority.recipient(&context, mailbox).is_ok()
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
}
