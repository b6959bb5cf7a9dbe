//! What the connections of one service share.
//!
//! [`Runtime`] is what a reload replaces as a whole; a connection takes the one in force when it
//! needs it. Everything else lives as long as the service.

use crate::alias::{Aliases, expand::Context};
use crate::config::{
    self, Config, Listener, ListenerAuth, ListenerTls, Mechanism, Senders as Policy,
};
use crate::connection::Buffers;
use crate::connection::authority::Senders;
use crate::oauth::Registry;
use crate::relay::Resume;
use crate::route::{self, Routes};
use crate::sandbox::Build;
use crate::sandbox::v0_1::server::{Admission, BareLf, Extensions, Settings, TlsPolicy};
use crate::sandbox::v0_1::types::Mechanism as Wire;
use crate::sandbox::v0_1::verifier::NtlmPolicy;
use crate::sandbox::verifier::Verifier;
use crate::spool::Spool;
use crate::tls::Certificates;
use crate::users::{Authenticator, OwnAddresses, Users};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};

/// What a reload replaces.
pub struct Runtime {
    /// Name of the service.
    pub hostname: String,
    /// Routes, first match wins.
    pub routes: Arc<Routes>,
    /// Whether sessions ask whether an identity may send as this or that.
    pub asks_sender: bool,
    /// Whether a route depends on the reverse-path, so that it must be known at RCPT.
    pub routes_by_sender: bool,
    /// Whether sessions ask about recipients: not if some route takes everybody.
    pub asks_recipient: bool,
    /// Addresses that stand for others.
    pub aliases: Arc<Aliases>,
    /// Who may send as whom.
    pub senders: Arc<dyn Senders + Send + Sync>,
    /// What NTLM clients must bring.
    pub ntlm_policy: NtlmPolicy,
    /// Where the users are kept.
    pub users: Arc<dyn Users>,
    /// Who is who.
    pub authenticator: Arc<Authenticator>,
}

impl Runtime {
    /// The runtime of this configuration.
    ///
    /// # Errors
    ///
    /// A route that cannot be used, aliases that cannot be read; `check` finds it first.
    pub fn new(
        config: &Config,
        users: Arc<dyn Users>,
        authenticator: Arc<Authenticator>,
        tokens: &Registry,
    ) -> Result<Self, String> {
        let routes = Arc::new(route::build(config, tokens)?);
        let senders: Arc<dyn Senders + Send + Sync> = match config.submission.senders {
            Policy::Any => Arc::new(Anybody),
            Policy::Own => Arc::new(OwnAddresses::new(Arc::clone(&users), &config.hostname)),
        };
        Ok(Self {
            aliases: Arc::new(Aliases::load(&config.aliases).map_err(|error| {
                let error = crate::command::chain(&error);
                format!("aliases: {error}")
            })?),
            hostname: config.hostname.clone(),
            asks_sender: config.submission.senders == Policy::Own,
            routes_by_sender: routes.all().iter().any(|route| !route.senders.is_empty()),
            asks_recipient: !routes.takes_everybody(),
            routes,
            senders,
            ntlm_policy: NtlmPolicy {
                require_integrity: config.auth.ntlm_mic_required,
                require_binding: false,
            },
            users,
            authenticator,
        })
    }
}

impl Runtime {
    /// What recipients of a message of this sender are looked at with.
    pub fn context<'a>(&'a self, reverse_path: &'a str, identity: Option<&'a str>) -> Context<'a> {
        Context {
            aliases: &self.aliases,
            routes: &self.routes,
            hostname: &self.hostname,
            reverse_path,
            identity,
        }
    }
}

/// `senders = "any"`.
struct Anybody;

impl Senders for OwnAddresses {
    fn may_send_as(&self, identity: &str, reverse_path: &str) -> bool {
        OwnAddresses::may_send_as(self, identity, reverse_path)
    }
}

impl Senders for Anybody {
    fn may_send_as(&self, _: &str, _: &str) -> bool {
        true
    }
}

/// One listener, as its connections need it.
pub struct ListenerState {
    /// The handshake comes first.
    pub implicit: bool,
    /// STARTTLS is offered.
    pub starttls: bool,
    /// Settings that all its sessions share.
    pub template: Settings,
    required: bool,
    networks: Option<Vec<IpNet>>,
    relay_networks: Vec<IpNet>,
}

impl ListenerState {
    /// The state of this listener.
    pub fn new(config: &Config, listener: &Listener) -> Self {
        let mechanisms = if listener.auth == ListenerAuth::Off {
            Vec::new()
        } else {
            listener.mechanisms.iter().map(|own| wire(*own)).collect()
        };
        Self {
            implicit: listener.tls == ListenerTls::Implicit,
            starttls: listener.tls == ListenerTls::Starttls,
            required: listener.auth == ListenerAuth::Required,
            networks: listener.networks.clone(),
            relay_networks: listener.relay_networks.clone(),
            template: Settings {
                hostname: config.hostname.clone(),
                serial: String::new(),
                admission: Admission::Welcome,
                tls: TlsPolicy::Absent,
                mechanisms,
                clear_text: listener.clear_text,
                authentication_required: true,
                extensions: extensions(&listener.extensions),
                max_message_size: config.limits.message_size,
                max_recipients: config.limits.recipients,
                max_hold: seconds(listener.extensions.futurerelease),
                min_deliver_by: seconds(listener.extensions.deliverby),
                ntlm_domain: config.auth.ntlm_domain.clone(),
                ntlm_computer: config.auth.ntlm_computer.clone(),
                ask_sender: true,
                ask_recipient: true,
                add_date: config.submission.add_date,
                add_message_id: config.submission.add_message_id,
                add_sender: false,
                check_header_domains: listener.check_header_domains,
                keep_bcc: listener.keep_bcc,
                bare_lf: if listener.bare_lf_convert {
                    BareLf::Convert
                } else {
                    BareLf::Reject
                },
                legacy_auth_line: listener.legacy_auth_line,
                local_domain: String::new(),
                certificate_required: false,
            },
        }
    }

    /// Whether this peer may connect (R5321-3.1-b).
    pub fn admits(&self, peer: IpAddr) -> bool {
        self.networks
            .as_ref()
            .is_none_or(|networks| contains(networks, peer))
    }

    /// Whether this peer may relay without an identity (R6409-3.3).
    pub fn trusts(&self, peer: IpAddr) -> bool {
        contains(&self.relay_networks, peer)
            || (self.template.mechanisms.is_empty()
                && self
                    .networks
                    .as_ref()
                    .is_some_and(|networks| contains(networks, peer)))
    }

    /// Whether this peer must say who it is (R6409-4.3): not if its network may relay.
    pub fn requires_authentication(&self, peer: IpAddr) -> bool {
        self.required && !contains(&self.relay_networks, peer)
    }
}

/// IPv4 peers of a dual-stack socket are compared as IPv4.
fn contains(networks: &[IpNet], peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    networks.iter().any(|network| network.contains(&peer))
}

/// What EHLO may offer beside what it always does.
fn extensions(own: &config::Extensions) -> Extensions {
    [
        (own.chunking, Extensions::CHUNKING),
        (own.binarymime, Extensions::BINARYMIME),
        (own.smtputf8, Extensions::SMTPUTF8),
        (own.requiretls, Extensions::REQUIRETLS),
        (own.futurerelease.is_some(), Extensions::FUTURERELEASE),
        (own.deliverby.is_some(), Extensions::DELIVERBY),
        (own.mt_priority, Extensions::MT_PRIORITY),
    ]
    .into_iter()
    .filter_map(|(on, flag)| on.then_some(flag))
    .fold(Extensions::empty(), |flags, flag| flags | flag)
}

fn seconds(span: Option<Duration>) -> u32 {
    u32::try_from(span.unwrap_or_default().as_secs()).unwrap_or(u32::MAX)
}

fn wire(mechanism: Mechanism) -> Wire {
    match mechanism {
        Mechanism::Ntlm => Wire::Ntlm,
        Mechanism::Login => Wire::Login,
        Mechanism::Plain => Wire::Plain,
    }
}

/// What the connections of one service share.
pub struct Service {
    /// Where messages are kept.
    pub spool: Arc<dyn Spool>,
    /// Tells the relay that a message is due.
    pub wake: Arc<Notify>,
    /// Tells the relay to try lanes that are paused or down again, now.
    pub resume: Arc<Resume>,
    /// Tells the relay that messages were held or removed, which may be on their way.
    pub changed: Arc<Notify>,
    /// Read buffers.
    pub buffers: Buffers,
    runtime: ArcSwap<Runtime>,
    build: ArcSwap<Build>,
    verifier: ArcSwap<Verifier>,
    certificates: Arc<Certificates>,
    /// Tokens for other servers.
    pub tokens: Arc<Registry>,
    ending: watch::Sender<Ending>,
    began: String,
    connections: AtomicU64,
}

impl Service {
    /// A service on these parts.
    pub fn new(
        runtime: Runtime,
        spool: Arc<dyn Spool>,
        wake: Arc<Notify>,
        build: Arc<Build>,
        verifier: Arc<Verifier>,
        certificates: Arc<Certificates>,
        tokens: Arc<Registry>,
    ) -> Self {
        let began = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros() as u64;
        Self {
            spool,
            wake,
            resume: Arc::default(),
            changed: Arc::new(Notify::new()),
            buffers: Buffers::default(),
            runtime: ArcSwap::from_pointee(runtime),
            build: ArcSwap::from(build),
            verifier: ArcSwap::from(verifier),
            certificates,
            tokens,
            ending: watch::channel(Ending::Running).0,
            began: base36(began),
            connections: AtomicU64::new(0),
        }
    }

    /// The runtime in force.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    /// Puts a new runtime in force.
    pub fn set_runtime(&self, runtime: Runtime) {
        self.runtime.store(Arc::new(runtime));
    }

    /// The build that new connections get.
    pub fn build(&self) -> Arc<Build> {
        self.build.load_full()
    }

    /// Gives new connections another build, which an operator chose; its verifier too.
    pub fn set_build(&self, build: Arc<Build>) {
        self.verifier
            .store(Arc::new(Verifier::new(Arc::clone(&build))));
        self.build.store(build);
    }

    /// The promoted build's verifier.
    pub fn verifier(&self) -> Arc<Verifier> {
        self.verifier.load_full()
    }

    /// Certificate and key.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A serial for one connection: unique among all connections of all runs of this service, so
    /// that message identifiers are.
    pub fn serial(&self) -> String {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}", self.began, base36(number))
    }

    /// Tells when the service ends.
    pub fn ending(&self) -> watch::Receiver<Ending> {
        self.ending.subscribe()
    }

    /// Whether the service ends.
    pub fn ends(&self) -> Ending {
        *self.ending.borrow()
    }

    /// The service ends: idle sessions get their 421, transactions may end; or it is over.
    pub fn end(&self, ending: Ending) {
        self.ending.send_replace(ending);
    }
}

/// How near the service's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// It goes on.
    Running,
    /// Transactions that have begun may end.
    Draining,
    /// Nothing may begin or go on.
    Over,
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(*digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base36_is_short_and_ordered() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(35), "z");
        assert_eq!(base36(36), "10");
        assert_eq!(base36(36 * 36 * 36 - 1), "zzz");
    }

    #[test]
    fn r6409_7_queue_sessions_offer_what_the_listener_says() {
        let text = "hostname = \"mail.example.org\"
            [extensions]
            chunking = false
            futurerelease = \"7d\"
            deliverby = \"5m\"
            mt-priority = true
            [[listener]]
            [[listener]]
            address = \"[::]:2525\"
            extensions = { chunking = true, binarymime = true, smtputf8 = false, requiretls = false, futurerelease = \"0s\", deliverby = false, mt-priority = false }
            [[listener]]
            address = \"[::]:2526\"
            extensions = { deliverby = true }";
        let config = Config::read(std::path::Path::new("p.toml"), text);
        let config = config.config.unwrap();
        let settings = |number: usize| {
            let state = ListenerState::new(&config, &config.listeners[number]);
            let template = state.template;
            (
                template.extensions,
                template.max_hold,
                template.min_deliver_by,
            )
        };
        let all = Extensions::SMTPUTF8
            | Extensions::REQUIRETLS
            | Extensions::FUTURERELEASE
            | Extensions::DELIVERBY
            | Extensions::MT_PRIORITY;
        assert_eq!(settings(0), (all, 604_800, 300));
        let few = Extensions::CHUNKING | Extensions::BINARYMIME;
        assert_eq!(settings(1), (few, 0, 0));
        assert_eq!(settings(2), (all, 604_800, 0));
    }

    #[test]
    fn a_mapped_ipv4_peer_is_in_its_ipv4_network() {
        let networks = vec!["192.0.2.0/24".parse().unwrap()];
        assert!(contains(&networks, "::ffff:192.0.2.7".parse().unwrap()));
        assert!(contains(&networks, "192.0.2.7".parse().unwrap()));
        assert!(!contains(&networks, "192.0.3.7".parse().unwrap()));
    }
}
