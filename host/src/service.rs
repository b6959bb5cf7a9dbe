//! What the connections of one service share.
//!
//! [`Runtime`] is what a reload replaces as a whole; a connection takes the one in force when it
//! needs it. Everything else lives as long as the service.

use crate::config::{
    ClientCertificates, Config, Listener, ListenerAuth, ListenerTls, Mechanism, Senders as Policy,
};
use crate::connection::Buffers;
use crate::connection::authority::Senders;
use crate::issuer::Issuers;
use crate::oauth::Registry;
use crate::route::{self, Routes};
use crate::sandbox::Build;
use crate::sandbox::v0_1::server::{Admission, BareLf, Extensions, Settings, TlsPolicy};
use crate::sandbox::v0_1::types::Mechanism as Wire;
use crate::sandbox::v0_1::verifier::NtlmPolicy;
use crate::sandbox::verifier::Verifier;
use crate::spool::Spool;
use crate::tls::Certificates;
use crate::users::{Authenticator, Completion, Holding, Kind, OwnAddresses, Users};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
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
    /// Who may send as whom.
    pub senders: Arc<dyn Senders + Send + Sync>,
    /// What NTLM clients must bring.
    pub ntlm_policy: NtlmPolicy,
    /// Where the users are kept.
    pub users: Arc<dyn Users>,
    /// Who is who.
    pub authenticator: Arc<Authenticator>,
    /// Whose tokens are good.
    pub issuers: Arc<Issuers>,
    /// Gives users the verifiers that they lack.
    pub completion: Arc<Completion>,
}

impl Runtime {
    /// The runtime of this configuration.
    ///
    /// # Errors
    ///
    /// A route that cannot be read; `check` finds it first.
    pub fn new(
        config: &Config,
        users: Arc<dyn Users>,
        authenticator: Arc<Authenticator>,
        issuers: Arc<Issuers>,
        tokens: &Registry,
    ) -> Result<Self, String> {
        let routes = Arc::new(route::build(config, tokens)?);
        let senders: Arc<dyn Senders + Send + Sync> = match config.submission.senders {
            Policy::Any => Arc::new(Anybody),
            Policy::Own => Arc::new(OwnAddresses::new(Arc::clone(&users), &config.hostname)),
        };
        Ok(Self {
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
            completion: Completion::new(Arc::clone(&users)),
            users,
            authenticator,
            issuers,
        })
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
    /// Whose client certificates are good; `None`: none is asked for.
    pub client_authorities: Option<PathBuf>,
    mechanisms_by_default: bool,
    relay_certificates: bool,
    /// There is no AUTH: `networks` may relay.
    open: bool,
    required: bool,
    networks: Option<Vec<IpNet>>,
    relay_networks: Vec<IpNet>,
}

impl ListenerState {
    /// The state of this listener.
    pub fn new(config: &Config, listener: &Listener) -> Self {
        // What cannot work here at all; what needs TLS first is the session's to know.
        let mechanisms = listener
            .mechanisms
            .iter()
            .filter(|mechanism| mechanism.shows_password() || listener.offers(**mechanism))
            .map(|own| wire(*own));
        let mechanisms = match listener.auth {
            ListenerAuth::Off => Vec::new(),
            _ => mechanisms.collect(),
        };
        let asks = listener.client_certificate != ClientCertificates::Off;
        Self {
            client_authorities: listener.client_authorities.clone().filter(|_| asks),
            mechanisms_by_default: listener.mechanisms_by_default,
            relay_certificates: listener.relay_certificates && asks,
            open: listener.auth == ListenerAuth::Off,
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
                extensions: Extensions::SMTPUTF8,
                max_message_size: config.limits.message_size,
                max_recipients: config.limits.recipients,
                max_hold: 0,
                min_deliver_by: 0,
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
                certificate_required: listener.client_certificate == ClientCertificates::Required,
            },
        }
    }

    /// Whether this peer may connect (R5321-3.1-b).
    pub fn admits(&self, peer: IpAddr) -> bool {
        self.networks
            .as_ref()
            .is_none_or(|networks| contains(networks, peer))
    }

    /// What AUTH may offer now (R4954-3-a, R2195-2-b): what some user has a verifier for. SCRAM where
    /// nobody asked for it by name: only once all users have one, because clients prefer it and do
    /// not all try another mechanism after it.
    pub fn mechanisms(&self, users: &dyn Users) -> Vec<Wire> {
        let offered = |wire: &Wire| {
            let own = Mechanism::ALL
                .into_iter()
                .find(|own| self::wire(*own) == *wire);
            let Some((own, kind)) = own.and_then(|own| Some((own, Kind::of(own)?))) else {
                return true;
            };
            match users.holding(kind) {
                Holding::All => true,
                Holding::Some => !(self.mechanisms_by_default && own.is_scram()),
                Holding::Nobody => false,
            }
        };
        self.template
            .mechanisms
            .iter()
            .copied()
            .filter(offered)
            .collect()
    }

    /// Whether this peer may relay without an identity (R6409-3.3): by its network, or by its verified
    /// certificate.
    pub fn trusts(&self, peer: IpAddr, verified: bool) -> bool {
        (self.relay_certificates && verified)
            || contains(&self.relay_networks, peer)
            || (self.open
                && self
                    .networks
                    .as_ref()
                    .is_some_and(|networks| contains(networks, peer)))
    }

    /// Whether this peer must say who it is (R6409-4.3): not if its network or its certificate may
    /// relay.
    pub fn requires_authentication(&self, peer: IpAddr, verified: bool) -> bool {
        self.required
            && !contains(&self.relay_networks, peer)
            && !(self.relay_certificates && verified)
    }
}

/// IPv4 peers of a dual-stack socket are compared as IPv4.
fn contains(networks: &[IpNet], peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    networks.iter().any(|network| network.contains(&peer))
}

fn wire(mechanism: Mechanism) -> Wire {
    match mechanism {
        Mechanism::External => Wire::External,
        Mechanism::ScramSha256Plus => Wire::ScramSha256Plus,
        Mechanism::ScramSha1Plus => Wire::ScramSha1Plus,
        Mechanism::ScramSha256 => Wire::ScramSha256,
        Mechanism::ScramSha1 => Wire::ScramSha1,
        Mechanism::CramMd5 => Wire::CramMd5,
        Mechanism::Ntlm => Wire::Ntlm,
        Mechanism::Login => Wire::Login,
        Mechanism::Plain => Wire::Plain,
        Mechanism::Oauthbearer => Wire::Oauthbearer,
        Mechanism::Xoauth2 => Wire::Xoauth2,
    }
}

/// What the connections of one service share.
pub struct Service {
    /// Where messages are kept.
    pub spool: Arc<dyn Spool>,
    /// Tells the relay that a message is due.
    pub wake: Arc<Notify>,
    /// Tells the relay to try lanes that are paused or down again, now.
    pub resume: Arc<Notify>,
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
            resume: Arc::new(Notify::new()),
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
    use crate::users::FileUsers;

    /// The first listener of a configuration with these lines.
    fn listener(lines: &str) -> ListenerState {
        let text = format!("hostname = \"mail.example.org\"\n[[listener]]\n{lines}\n");
        let loaded = Config::read(std::path::Path::new("/etc/pillarbox.toml"), &text);
        let config = loaded.config.unwrap();
        ListenerState::new(&config, &config.listeners[0])
    }

    const HASH: &str = "password = \"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";
    const KEYS: &str = "scram-sha-256 = \"SCRAM-SHA-256$15000:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";

    /// What is offered to these users, each given by the lines of his verifiers.
    fn offered(listener: &ListenerState, users: &[&[&str]]) -> Vec<Wire> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        let text: String = users
            .iter()
            .enumerate()
            .map(|(number, lines)| {
                format!("[[user]]\nname = \"u{number}\"\n{}\n", lines.join("\n"))
            })
            .collect();
        std::fs::write(&path, text).unwrap();
        listener.mechanisms(&FileUsers::new(&path))
    }

    #[test]
    fn r4954_3_a_what_no_user_can_use_is_not_offered() {
        let usual = listener("");
        let (plus, scram) = (Wire::ScramSha256Plus, Wire::ScramSha256);
        let (login, plain) = (Wire::Login, Wire::Plain);
        let all = [plus, scram, Wire::Ntlm, login, plain];
        assert_eq!(offered(&usual, &[]), all, "nobody to be shut out");
        // A file of an earlier version goes on as it was.
        let nt = "nt = \"00000000000000000000000000000000\"";
        assert_eq!(offered(&usual, &[&[HASH, nt], &[HASH]]), all[2..]);
        // By default SCRAM waits for all who can log in.
        assert_eq!(offered(&usual, &[&[HASH, KEYS], &[HASH]]), [login, plain]);
        let complete = [plus, scram, login, plain];
        assert_eq!(offered(&usual, &[&[HASH, KEYS], &[KEYS]]), complete);
        let others: [&[&str]; 3] = [
            &[HASH, KEYS],
            &[HASH, "disabled = true"],
            &["certificates = [\"subject:CN=a\"]"],
        ];
        assert_eq!(offered(&usual, &others), complete);
        // By name it is offered once somebody can use it.
        let named = listener("mechanisms = [\"scram-sha-256\", \"plain\"]");
        assert_eq!(offered(&named, &[&[HASH, KEYS], &[HASH]]), [scram, plain]);
        assert_eq!(offered(&named, &[&[HASH]]), [plain]);
    }

    #[test]
    fn r2195_2_b_cram_md5_is_offered_where_some_user_has_the_states() {
        let listener = listener("mechanisms = [\"cram-md5\", \"plain\"]");
        let states = format!("cram-md5 = \"{}\"", "0".repeat(64));
        let both = [Wire::CramMd5, Wire::Plain];
        assert_eq!(offered(&listener, &[&[HASH, &states], &[HASH]]), both);
        assert_eq!(offered(&listener, &[&[HASH, KEYS]]), [Wire::Plain]);
    }

    #[test]
    fn r6409_3_3_a_certificate_relays_only_where_it_may() {
        let peer = "192.0.2.7".parse().unwrap();
        let asked = "client-certificate = \"asked\"\nclient-authorities = \"ca.pem\"\n";
        let relays = listener(&format!("{asked}relay-certificates = true"));
        assert!(relays.trusts(peer, true) && !relays.trusts(peer, false));
        // R6409-4.3
        assert!(!relays.requires_authentication(peer, true));
        assert!(relays.requires_authentication(peer, false));
        let asks = listener(asked);
        assert!(!asks.trusts(peer, true) && asks.requires_authentication(peer, true));
        let without = listener("relay-certificates = true");
        assert!(!without.trusts(peer, true) && without.requires_authentication(peer, true));
    }

    #[test]
    fn r6409_3_3_networks_relay_only_without_auth() {
        let peer = "192.0.2.7".parse().unwrap();
        let lines = "networks = [\"192.0.2.0/24\"]\ntls = \"none\"\naddress = \"127.0.0.1:1\"\n";
        assert!(listener(&format!("{lines}auth = \"off\"")).trusts(peer, false));
        // No mechanism can be used here, which is not the same.
        let stuck = format!("{lines}auth = \"optional\"\nmechanisms = [\"scram-sha-256-plus\"]");
        assert!(!listener(&stuck).trusts(peer, false));
    }

    #[test]
    fn base36_is_short_and_ordered() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(35), "z");
        assert_eq!(base36(36), "10");
        assert_eq!(base36(36 * 36 * 36 - 1), "zzz");
    }

    #[test]
    fn a_mapped_ipv4_peer_is_in_its_ipv4_network() {
        let networks = vec!["192.0.2.0/24".parse().unwrap()];
        assert!(contains(&networks, "::ffff:192.0.2.7".parse().unwrap()));
        assert!(contains(&networks, "192.0.2.7".parse().unwrap()));
        assert!(!contains(&networks, "192.0.3.7".parse().unwrap()));
    }
}
