//! The greeting, EHLO with its fallback, LHLO (RFC 5321 sections 3.1, 3.2 and 4.1.1.1, RFC 2033
//! section 4.1), and what follows from what the server can do.

use super::{
    capabilities::Capabilities,
    outcome,
    session::{Session, State, send},
};
use crate::contract::{
    Reply,
    client::{Action, Stage, TlsPolicy},
};
use alloc::{format, vec::Vec};

impl Session {
    /// CL-greeting.
    pub(super) fn greeted(&mut self, reply: Reply, actions: &mut Vec<Action>) {
        if outcome::is_completion(&reply) {
            self.send_ehlo(actions);
        } else if outcome::is_intermediate(&reply) {
            self.state = State::Greeting;
            self.broken("3yz as greeting", actions);
        } else {
            let failure = outcome::failure(Stage::Connect, reply, "the server does not serve us");
            self.give_up(failure, actions);
        }
    }

    /// CL-ehlo; after a handshake again (RFC 3207 section 4.2).
    pub(super) fn send_ehlo(&mut self, actions: &mut Vec<Action>) {
        // R2033-4: LHLO instead of EHLO.
        let verb = if self.settings.lmtp { "LHLO" } else { "EHLO" };
        send(actions, format!("{verb} {}\r\n", self.settings.hostname));
        self.state = State::Ehlo;
    }

    pub(super) fn ehlo_replied(&mut self, reply: Reply, actions: &mut Vec<Action>) {
        if outcome::is_completion(&reply) {
            self.capabilities = Capabilities::read(&reply);
            return self.acquainted(actions);
        }
        if outcome::is_intermediate(&reply) {
            self.state = State::Ehlo;
            return self.broken("3yz to EHLO", actions);
        }
        // RFC 5321 section 3.2: a server without extensions knows only HELO. What needs one
        // cannot be had there.
        let old = matches!(reply.code, 500 | 501 | 502 | 504 | 550) && !self.settings.lmtp;
        let tls_missing = self.settings.tls == TlsPolicy::Required && self.facts.is_none();
        if old && self.settings.mechanisms.is_empty() && self.settings.tls != TlsPolicy::Required {
            send(actions, format!("HELO {}\r\n", self.settings.hostname));
            self.state = State::Helo;
        } else if tls_missing {
            // R3207-6-a: deferred, 4.7.10.
            let text = "TLS is required, and the server refuses EHLO (4.7.10)";
            self.failed(Stage::Tls, Some(reply), true, text, actions);
            self.send_quit(actions);
        } else {
            let failure = outcome::failure(Stage::Envelope, reply, "the server refuses EHLO");
            self.give_up(failure, actions);
        }
    }

    pub(super) fn helo_replied(&mut self, reply: Reply, actions: &mut Vec<Action>) {
        if outcome::is_completion(&reply) {
            self.capabilities = Capabilities::default();
            self.acquainted(actions);
        } else if outcome::is_intermediate(&reply) {
            self.state = State::Helo;
            self.broken("3yz to HELO", actions);
        } else {
            let text = "the server refuses EHLO and HELO";
            let failure = outcome::failure(Stage::Envelope, reply, text);
            self.give_up(failure, actions);
        }
    }

    /// Capabilities are known: TLS first, then AUTH, then messages.
    fn acquainted(&mut self, actions: &mut Vec<Action>) {
        if self.facts.is_none() && self.begin_tls(actions) {
            return;
        }
        self.begin_authentication(actions);
    }
}
