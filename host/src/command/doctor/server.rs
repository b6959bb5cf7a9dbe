//! One server at one address: connection, TLS, login, what it offers, QUIT. No message is sent.

use super::advice::{self, Case, Setting, Stage};
use super::certificate::Facts;
use super::finding::Findings;
use super::watch::{self, Watch};
use crate::command::chain;
use crate::outbound::resolve::{Exchanger, Resolve, ResolveError};
use crate::outbound::{
    Dialogue, Login, OutboundError, Security, Target, Timeouts, Unopened, Witness, told,
};
use crate::route::NextHop;
use crate::sandbox::Build;
use crate::sandbox::v0_1::client::{self, Failure, Offer};
use crate::sandbox::v0_1::types::{Mechanism, TlsFacts};
use async_trait::async_trait;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Most time for one server at one address, whatever it does.
const MOST: Duration = Duration::from_secs(60);
/// A server's certificate that ends sooner deserves a word.
const SOON: i64 = 14;
/// Clocks that differ by more disturb: certificates, tokens, dates of messages.
const DIFFERENCE: Duration = Duration::from_secs(300);

/// What all checks have in common.
pub(super) struct Context {
    /// The component.
    pub(super) build: Arc<Build>,
    /// Name of this host.
    pub(super) hostname: String,
    /// Octets of the largest message that this service accepts; 0: no limit.
    pub(super) message_size: u64,
    /// Whether dialogues are shown.
    pub(super) trace: bool,
    /// Who knows names.
    pub(super) resolver: Arc<dyn Resolve>,
}

/// A server of a route.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Its name, or its address.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// Its socket on this machine, instead.
    pub(super) socket: Option<PathBuf>,
    /// RFC 2033.
    pub(super) lmtp: bool,
    /// The handshake comes first.
    pub(super) implicit: bool,
    /// Found by MX records.
    pub(super) mx: bool,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probed {
    /// It takes messages.
    Usable,
    /// It does not.
    Unusable,
    /// It does not, and refused the login: that should not be repeated (lock-outs).
    Refused,
}

/// Knows one address.
struct Only(IpAddr);

#[async_trait]
impl Resolve for Only {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(vec![self.0])
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        Err(ResolveError::Nothing {
            name: domain.to_owned(),
            kind: "MX record",
        })
    }
}

/// One probe, while it runs.
struct Probe<'a> {
    server: &'a Server,
    security: Security,
    setting: Setting,
    login: Login,
    watch: Watch,
    witness: Arc<Witness>,
    place: String,
    message_size: u64,
}

impl Server {
    /// Looks at it at this address (`None`: at its socket). Without `login` nobody is authenticated.
    pub(super) async fn probe(
        &self,
        context: &Context,
        hop: &NextHop,
        address: Option<IpAddr>,
        login: bool,
        findings: &mut Findings,
    ) -> Probed {
        let place = match (address, &self.socket) {
            (Some(address), _) => SocketAddr::new(address, self.port).to_string(),
            (None, Some(socket)) => socket.display().to_string(),
            (None, None) => self.host.clone(),
        };
        let configured = hop.session_login();
        let watch = Watch::default();
        let witness = Arc::new(Witness::default());
        let security = if self.implicit {
            Security::Implicit
        } else {
            hop.security
        };
        let tokens = [Mechanism::Xoauth2, Mechanism::Oauthbearer];
        let probe = Probe {
            server: self,
            security,
            setting: Setting {
                port: if self.socket.is_some() { 0 } else { self.port },
                implicit: self.implicit,
                mx: self.mx,
                token: hop.login.mechanisms.iter().any(|one| tokens.contains(one)),
            },
            login: if login {
                watch.login(&configured)
            } else {
                Login::default()
            },
            witness,
            place,
            message_size: context.message_size,
            watch,
        };
        let target = Target {
            host: self.host.clone(),
            port: self.port,
            socket: self.socket.clone(),
            security,
            tls_name: hop.tls_name.clone(),
            trust: Arc::new(hop.trust.witnessed(&probe.witness)),
            hostname: Some(context.hostname.clone()),
            lmtp: self.lmtp,
            transfer: hop.transfer,
            proven: !self.mx,
            resolver: match address {
                Some(address) => Arc::new(Only(address)),
                None => Arc::clone(&context.resolver),
            },
            timeouts: impatient(hop.timeouts),
        };
        let trace = context.trace.then(|| probe.place.clone());
        let trace = probe.watch.trace(trace);
        let opening = Dialogue::open(&context.build, &target, &probe.login, Some(trace));
        match tokio::time::timeout(MOST, opening).await {
            Ok(Ok(dialogue)) => {
                probe.opened(&dialogue, configured.provider.is_some() && !login, findings);
                dialogue.quit().await;
                Probed::Usable
            }
            Ok(Err(unopened)) => probe.unopened(&unopened, findings),
            Err(_) => {
                let text = format!("{} keeps us busy for {} s", probe.place, MOST.as_secs());
                findings.fail("connect", text, "see with --trace what it does");
                Probed::Unusable
            }
        }
    }
}

/// A person waits.
fn impatient(own: Timeouts) -> Timeouts {
    Timeouts {
        connect: own.connect.min(Duration::from_secs(10)),
        handshake: own.handshake.min(Duration::from_secs(15)),
        command: own.command.min(Duration::from_secs(30)),
        quit: own.quit.min(Duration::from_secs(5)),
        ..own
    }
}

impl Probe<'_> {
    fn opened(&self, dialogue: &Dialogue, again: bool, findings: &mut Findings) {
        let offer = dialogue.offer();
        self.connected(findings);
        let offered = offer.is_some_and(|offer| has(offer, "STARTTLS"));
        self.tls(dialogue.tls(), offered, findings);
        match self.watch.mechanism() {
            Some(mechanism) => findings.ok(
                "login",
                format!("{} takes it with {}", self.place, watch::name(mechanism)),
            ),
            None if again => findings.skip(
                "login",
                format!("not repeated at {} after it was refused", self.place),
            ),
            None if self.login.provider.is_some() => {
                findings.ok("login", format!("{} asks for none", self.place));
            }
            None => findings.ok("login", "none is configured"),
        }
        if let Some(offer) = offer {
            self.offer(offer, findings);
        }
    }

    fn unopened(&self, unopened: &Unopened, findings: &mut Findings) -> Probed {
        match &unopened.error {
            OutboundError::Connect { reasons, .. } => {
                let text = if reasons.contains(&self.place) {
                    reasons.clone()
                } else {
                    format!("{}: {reasons}", self.place)
                };
                let advice = self.advice(Stage::Connect, None, reasons);
                findings.fail("connect", text, advice);
            }
            OutboundError::Unknown { source, .. } => {
                let advice = advice::lookup(source, self.server.mx);
                findings.fail("address", chain(&unopened.error), advice);
            }
            OutboundError::Credentials(error) => {
                self.connected(findings);
                self.tls(unopened.tls.as_ref(), false, findings);
                findings.fail("login", error.text.clone(), "");
            }
            OutboundError::Failed(failure) => return self.failed(failure, unopened, findings),
            OutboundError::Sandbox(error) => findings.fail(
                "component",
                format!("{}: {error}", self.place),
                "this is a fault of the component: please report it, with --trace",
            ),
        }
        Probed::Unusable
    }

    fn failed(&self, failure: &Failure, unopened: &Unopened, findings: &mut Findings) -> Probed {
        let stage = match failure.stage {
            client::Stage::Connect => Stage::Greeting,
            client::Stage::Tls => Stage::Tls,
            client::Stage::Authentication => Stage::Login,
            client::Stage::Envelope | client::Stage::Content | client::Stage::Ended => Stage::Ehlo,
        };
        let code = failure.reply.as_ref().map(|reply| reply.code);
        let text = format!("{}: {}", self.place, told(failure));
        let advice = self.advice(stage, code, &failure.text);
        if stage == Stage::Greeting {
            findings.fail("connect", text, advice);
            return Probed::Unusable;
        }
        self.connected(findings);
        match stage {
            Stage::Tls => {
                let certificate = self.certificate();
                let certificate =
                    certificate.map_or_else(String::new, |facts| format!("; {}", facts.told()));
                findings.fail("tls", format!("{text}{certificate}"), advice);
            }
            Stage::Login => {
                self.tls(unopened.tls.as_ref(), false, findings);
                let with = self.watch.mechanism();
                let with =
                    with.map_or_else(String::new, |one| format!(" (with {})", watch::name(one)));
                findings.fail("login", format!("{text}{with}"), advice);
                if code.is_some() {
                    return Probed::Refused;
                }
            }
            Stage::Connect | Stage::Greeting | Stage::Ehlo => {
                findings.fail("hello", text, advice);
            }
        }
        Probed::Unusable
    }

    fn advice(&self, stage: Stage, code: Option<u16>, text: &str) -> &'static str {
        advice::advice(&Case {
            stage,
            code,
            text,
            setting: self.setting,
        })
    }

    fn connected(&self, findings: &mut Findings) {
        let Some((greeting, at)) = self.watch.greeting() else {
            findings.ok("connect", format!("{} takes connections", self.place));
            return;
        };
        findings.ok("connect", format!("{} says {greeting}", self.place));
        let Some(time) = watch::time(&greeting) else {
            return;
        };
        let apart = time
            .duration_since(at)
            .or_else(|_| at.duration_since(time))
            .unwrap_or_default();
        if apart > DIFFERENCE {
            findings.warn(
                "clock",
                format!(
                    "{} and this host are {} s apart",
                    self.place,
                    apart.as_secs()
                ),
                "set this host's clock, if it is that one which is wrong: certificates and tokens \
                 depend on it",
            );
        }
    }

    fn certificate(&self) -> Option<Facts> {
        let seen = self.witness.seen();
        Facts::read(&seen.certificate?, SystemTime::now())
    }

    fn tls(&self, facts: Option<&TlsFacts>, offered: bool, findings: &mut Findings) {
        let place = &self.place;
        let Some(facts) = facts else {
            match self.security {
                Security::Opportunistic if offered => findings.warn(
                    "tls",
                    format!("{place} offers STARTTLS, but the handshake fails: all goes in clear"),
                    "see with --trace why; set tls = \"required\" if mail must not go in clear",
                ),
                Security::Opportunistic => {
                    findings.ok("tls", format!("{place} has none: all goes in clear"));
                }
                _ => findings.ok("tls", "none, as configured"),
            }
            return;
        };
        let certificate = self.certificate();
        let shown = certificate
            .as_ref()
            .map_or_else(|| "certificate not readable".to_owned(), Facts::told);
        let text = format!("{}, {}, {shown}", facts.version, facts.cipher);
        if !facts.verified {
            let why = self.witness.seen().objection;
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let text = format!("{text}, not verified{why}");
            if self.security == Security::Opportunistic {
                findings.ok(
                    "tls",
                    format!("{text}, which tls = \"opportunistic\" allows"),
                );
            } else {
                findings.warn("tls", text, "whoever is on the way can read everything");
            }
            return;
        }
        match certificate {
            Some(facts) if facts.days < SOON => findings.warn(
                "tls",
                format!("{text}, verified"),
                "its administrator must renew it soon",
            ),
            _ => findings.ok("tls", format!("{text}, verified")),
        }
    }

    fn offer(&self, offer: &Offer, findings: &mut Findings) {
        let list = match offer.extensions.as_slice() {
            [] => "no extensions".to_owned(),
            extensions => extensions.join(" "),
        };
        // RFC 1870 section 4: 0 is no limit.
        let most = offer.max_size.filter(|most| *most > 0);
        let list = match most {
            Some(most) => format!("{list}; messages up to {most} octets"),
            None => list,
        };
        let own = self.message_size;
        match most {
            Some(most) if own == 0 || own > most => findings.warn(
                "offer",
                format!("{list}; this service accepts larger ones, which will come back"),
                format!("set message-size = {most} in [limits], or less"),
            ),
            // CL-8bit
            _ if !has(offer, "8BITMIME") => findings.warn(
                "offer",
                format!("{list}; without 8BITMIME"),
                "messages with 8-bit content will come back (5.6.3)",
            ),
            _ => findings.ok("offer", list),
        }
    }
}

fn has(offer: &Offer, keyword: &str) -> bool {
    offer
        .extensions
        .iter()
        .any(|own| own.split(' ').next() == Some(keyword))
}
