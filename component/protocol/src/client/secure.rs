//! STARTTLS and the handshake (RFC 3207).

use super::{
    capabilities::Capabilities,
    outcome,
    session::{Session, State, send},
};
use crate::{
    contract::{
        Fault, Reply, TlsFacts,
        client::{Action, Progress, Stage, TlsPolicy},
    },
    environment::Environment,
};
use alloc::vec::Vec;

impl Session {
    /// The TLS handshake is done: before `open` with implicit TLS, else after `start-tls`.
    pub fn secured(
        &mut self,
        facts: TlsFacts,
        _env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        let mut actions = Vec::new();
        let good = facts.verified;
        match self.state {
            // RFC 8314 section 3.3: the greeting comes inside TLS.
            State::Start if self.settings.tls == TlsPolicy::Established && self.facts.is_none() => {
                self.facts = Some(facts);
            }
            State::Handshake => {
                self.facts = Some(facts);
                if self.settings.tls == TlsPolicy::Required && !good {
                    // R3207-6-a
                    let text = "the server's certificate is not good (4.7.10)";
                    self.failed(Stage::Tls, None, true, text, &mut actions);
                    self.send_quit(&mut actions);
                } else {
                    // RFC 3207 section 4.2 (R3207-4.2-c): what was said in clear is forgotten.
                    self.capabilities = Capabilities::default();
                    self.send_ehlo(&mut actions);
                }
            }
            _ => return Err(Fault::new("secured was called without a handshake")),
        }
        Ok(self.progress(0, actions))
    }

    /// Sends STARTTLS where policy and server want it, or fails; `false`: go on without.
    pub(super) fn begin_tls(&mut self, actions: &mut Vec<Action>) -> bool {
        let offered = self.capabilities.has("STARTTLS");
        match self.settings.tls {
            TlsPolicy::Opportunistic | TlsPolicy::Required if offered => {
                // R2920-3.1-a: alone.
                send(actions, "STARTTLS\r\n");
                self.state = State::StartTls;
                true
            }
            TlsPolicy::Required => {
                // R3207-6-a: no MAIL and no AUTH; deferred, 4.7.10.
                let text = "TLS is required, and the server does not offer STARTTLS (4.7.10)";
                self.failed(Stage::Tls, None, true, text, actions);
                self.send_quit(actions);
                true
            }
            TlsPolicy::Off | TlsPolicy::Opportunistic | TlsPolicy::Established => false,
        }
    }

    pub(super) fn starttls_replied(&mut self, reply: Reply, more: bool, actions: &mut Vec<Action>) {
        match reply.code {
            // RFC 3207 sections 4.2 and 6 (R3207-4.2-c): octets in clear after the 220 were put
            // there by somebody who hopes that they are read as if they came inside TLS.
            220 if more => {
                let text = "octets in clear after the reply to STARTTLS: an attack";
                self.failed(Stage::Tls, Some(reply), true, text, actions);
                self.close(actions);
            }
            220 => {
                actions.push(Action::StartTls);
                self.state = State::Handshake;
            }
            200..=399 => {
                self.state = State::StartTls;
                self.broken("STARTTLS needs 220", actions);
            }
            _ if self.settings.tls == TlsPolicy::Required => {
                // R3207-6-a
                let text = "TLS is required, and the server refuses STARTTLS (4.7.10)";
                self.failed(Stage::Tls, Some(reply), true, text, actions);
                self.send_quit(actions);
            }
            // RFC 3207 section 4: the client may go on without TLS (R3207-6-b).
            _ => {
                actions.push(outcome::report("STARTTLS", &reply));
                self.begin_authentication(actions);
            }
        }
    }
}
