//! One connection: read, `receive`, carry out, write once. The loop that `wit/submission.wit`
//! describes on its first page.
//!
//! ```text
//!   transport   socket and TLS
//!   buffer      octets that were not consumed yet
//!   authority   what a session may do, whoever built it
//!   answer      the questions that a session asks
//!   credentials those about who the peer is
//!   message     the message on its way into the spool
//!   refused     what the log says of commands that were refused
//!   unseen      content that no session looks at
//!   wait        reading and writing, and what happens while neither goes on
//! ```
//!
//! A waiting connection holds neither a buffer nor, after half a second, a sandbox.

mod answer;
pub mod authority;
mod buffer;
mod credentials;
mod message;
mod refused;
mod transport;
mod unseen;
mod wait;

pub use buffer::Buffers;
pub use transport::Transport;

use crate::sandbox::server::ServerSession;
use crate::sandbox::v0_1::server::{Action, Admission, Peer, Progress, Settings, TlsPolicy};
use crate::sandbox::v0_1::types::{Dismissal, Phase, TlsFacts};
use crate::sandbox::{Build, SandboxError};
use crate::service::{Ending, ListenerState, Service};
use crate::users::{ClientCertificate, ScramExchange};
use crate::{timeout, tls};
use authority::Authority;
use buffer::Buffer;
use message::Message;
use refused::Tried;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout as within;
use wait::Arrival;

/// Why a connection ended other than by QUIT.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The component's fault: counted against its build.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The peer or the network.
    #[error("connection lost: {0}")]
    Lost(#[from] std::io::Error),
    /// The handshake.
    #[error("TLS handshake failed: {0}")]
    Handshake(std::io::Error),
}

/// What the loop does after a progress record has been carried out.
enum Next {
    /// Octets are left over from before an answer.
    Again,
    /// The handshake is done.
    Secured(TlsFacts),
    /// More octets are needed.
    Wait(Phase),
    /// The session is over.
    Closed,
}

/// One connection and all that belongs to it.
pub struct Connection {
    service: Arc<Service>,
    listener: Arc<ListenerState>,
    peer: SocketAddr,
    serial: String,
    transport: Transport,
    session: ServerSession,
    authority: Authority,
    /// TLS facts, once a handshake is done.
    facts: Option<TlsFacts>,
    /// The client certificate that the handshake verified.
    certificate: Option<ClientCertificate>,
    /// A SCRAM exchange that waits for its proof.
    scram: Option<ScramExchange>,
    /// Who the peer is: the grant that the host gave.
    identity: Option<String>,
    /// The grant was for a SCRAM proof: the peer may still refuse the server's signature.
    unconfirmed: bool,
    /// The reverse-path that the session asked about last.
    reverse_path: String,
    buffer: Buffer,
    /// Octets for the peer, written once.
    out: Vec<u8>,
    message: Option<Message>,
    /// Octets of its content that come next and go by unseen.
    unseen: u64,
    /// Identifier of a message that is durable while its peer has not been told so.
    untold: Option<String>,
    /// Who the peer says it is, and why that was not believed.
    tried: Tried,
    /// What the session knows of the service's end.
    dismissed: Ending,
    /// When the peer has to be somebody, if it has to.
    patience_ends: Instant,
}

/// Counts a session on its build while it runs.
struct Running(Arc<Build>);

impl Running {
    fn new(build: &Arc<Build>) -> Self {
        build.served.fetch_add(1, Ordering::Relaxed);
        build.sessions.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(build))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one accepted connection to its end, and logs how it ended.
pub async fn serve(
    service: Arc<Service>,
    listener: Arc<ListenerState>,
    socket: TcpStream,
    peer: SocketAddr,
) {
    let serial = service.serial();
    let build = service.build();
    let _running = Running::new(&build);
    match run(&service, listener, socket, peer, &serial, &build).await {
        Ok(()) => tracing::debug!(session = serial, %peer, "closed"),
        Err(ConnectionError::Sandbox(error)) if error.is_fault_of_build() => {
            build.faults.fetch_add(1, Ordering::Relaxed);
            tracing::error!(session = serial, %peer, build = build.digest, %error, "session ended by its component");
        }
        Err(error) => tracing::info!(session = serial, %peer, %error, "connection ended"),
    }
}

async fn run(
    service: &Arc<Service>,
    listener: Arc<ListenerState>,
    socket: TcpStream,
    peer: SocketAddr,
    serial: &str,
    build: &Arc<Build>,
) -> Result<(), ConnectionError> {
    // Replies are written whole; waiting for more would only delay them.
    socket.set_nodelay(true)?;
    let mut transport = Transport::Clear(socket);
    let (mut facts, mut certificate) = (None, None);
    if listener.implicit {
        // RFC 8314 section 3.3: the handshake first.
        (facts, certificate) = handshake(&mut transport, service, &listener).await?.both();
    }
    let verified = facts.as_ref().is_some_and(|facts| facts.verified);
    let (settings, authority) = settings(service, &listener, peer.ip(), serial, verified);
    let address = peer.ip().to_canonical().to_string();
    let session = ServerSession::start(
        build,
        settings,
        Peer {
            address,
            port: peer.port(),
        },
    )
    .await;
    let session = match session {
        Ok(session) => session,
        Err(error) => {
            last_words(&mut transport, service).await;
            return Err(error.into());
        }
    };
    let mut connection = Connection {
        service: Arc::clone(service),
        listener,
        peer,
        serial: serial.to_owned(),
        transport,
        session,
        authority,
        facts,
        certificate,
        scram: None,
        identity: None,
        unconfirmed: false,
        reverse_path: String::new(),
        buffer: Buffer::new(),
        out: Vec::new(),
        message: None,
        unseen: 0,
        untold: None,
        tried: Tried::default(),
        dismissed: Ending::Running,
        patience_ends: Instant::now() + timeout::ANONYMOUS,
    };
    let ended = connection.follow().await;
    if matches!(ended, Err(ConnectionError::Sandbox(_))) {
        if let Some(id) = &connection.untold {
            // R5321-4.1.1.4-c: what is stored is told so, whatever came of the session.
            let told = format!("250 2.6.0 queued as {id}\r\n");
            connection.out.extend_from_slice(told.as_bytes());
        }
        // Replies of commands that were carried out still count.
        let _ = connection.flush().await;
        last_words(&mut connection.transport, service).await;
    }
    connection.buffer.release(&service.buffers);
    ended
}

/// 421 4.3.0: a session ended by its component; the host's own words, so that they need none.
async fn last_words(transport: &mut Transport, service: &Service) {
    let words = format!(
        "421 4.3.0 {} internal error\r\n",
        service.runtime().hostname
    );
    let _ = transport
        .give(words.as_bytes(), Duration::from_secs(5))
        .await;
    transport.close().await;
}

impl Connection {
    /// The loop.
    async fn follow(&mut self) -> Result<(), ConnectionError> {
        let mut progress = match self.facts.clone() {
            Some(facts) => {
                let secured = self.session.secured(&facts)?;
                // With implicit TLS nothing is said before `open`.
                if !secured.actions.is_empty() {
                    return Err(SandboxError::violation("speaks before its greeting").into());
                }
                self.session.open()?
            }
            None => self.session.open()?,
        };
        loop {
            let next = self.carry_out(progress).await?;
            progress = match next {
                Next::Again => self.session.receive(self.buffer.octets())?,
                Next::Secured(facts) => {
                    let progress = self.session.secured(&facts)?;
                    self.facts = Some(facts);
                    progress
                }
                Next::Closed => {
                    // The last words may take a while; the sandbox need not wait for them.
                    self.session.release();
                    self.flush().await?;
                    self.transport.close().await;
                    return Ok(());
                }
                Next::Wait(phase) => {
                    self.flush().await?;
                    match self.wait_past_unseen(phase).await? {
                        Arrival::Octets => {
                            self.revive().await?;
                            self.session.receive(self.buffer.octets())?
                        }
                        Arrival::End => {
                            // R5321-3.8-e: a transaction without its 250 is nobody's.
                            self.message = None;
                            self.transport.close().await;
                            return Ok(());
                        }
                        Arrival::Silence => {
                            self.revive().await?;
                            self.session.dismiss(Dismissal::Timeout)?
                        }
                        Arrival::Shutdown(ending) => {
                            self.dismissed = ending;
                            self.revive().await?;
                            self.session.dismiss(Dismissal::Shutdown)?
                        }
                    }
                }
            };
        }
    }

    /// Carries out a progress record, and those that its questions lead to.
    async fn carry_out(&mut self, mut progress: Progress) -> Result<Next, ConnectionError> {
        loop {
            // An envelope beside an open message belongs to the content after its `abandon`.
            let mut envelope = progress.envelope.take();
            if self.message.is_none()
                && let Some(envelope) = envelope.take()
            {
                self.begin_message(envelope)?;
            }
            let mut end = None;
            for action in progress.actions {
                match action {
                    Action::Send(octets) => {
                        self.confirm(&octets);
                        self.send(octets);
                    }
                    Action::Content(span) => {
                        let octets = self.buffer.run(span.offset, span.length);
                        if let Some(message) = &mut self.message {
                            message.write(octets).await;
                        }
                    }
                    Action::Insert(octets) => {
                        if let Some(message) = &mut self.message {
                            message.write(&octets).await;
                        }
                    }
                    Action::Abandon => {
                        self.message = None;
                        self.unseen = 0;
                        if let Some(envelope) = envelope.take() {
                            self.begin_message(envelope)?;
                        }
                    }
                    Action::Report(text) => self.refused(&text),
                    Action::StartTls | Action::Close => end = Some(action),
                    // Those after `consumed`: the last action.
                    Action::Pass(length) => self.unseen = length,
                }
            }
            self.buffer.consume(progress.consumed as usize);
            match end {
                Some(Action::Close) => return Ok(Next::Closed),
                Some(_) => {
                    self.flush().await?;
                    // R3207-4.2-b: octets that came in clear are dropped.
                    self.buffer.clear();
                    let facts = self.start_tls().await?;
                    self.revive().await?;
                    return Ok(Next::Secured(facts));
                }
                None => {}
            }
            let Some(question) = progress.question else {
                return Ok(if self.resumed_with_rest(progress.waiting_for) {
                    Next::Again
                } else {
                    Next::Wait(progress.waiting_for)
                });
            };
            let answer = self.attend(question).await?;
            progress = self.session.resume(&answer)?;
            self.untold = None;
            self.buffer.answered();
            // Answers from memory never wait: others get their turn here.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// After an answer the octets that are left are offered again at once.
    fn resumed_with_rest(&mut self, waiting_for: Phase) -> bool {
        self.buffer.take_answered() && !self.buffer.is_empty() && waiting_for != Phase::Closed
    }

    /// A SCRAM grant counts once the peer has been told 235; any other reply to what it said to the
    /// server's signature is the end of that exchange (RFC 5802 section 5).
    fn confirm(&mut self, reply: &[u8]) {
        if !self.unconfirmed || reply.starts_with(b"334") {
            return;
        }
        self.unconfirmed = false;
        if !reply.starts_with(b"235") {
            tracing::debug!(session = self.serial, "the peer did not take the grant");
            self.identity = None;
        }
    }

    fn send(&mut self, octets: Vec<u8>) {
        if self.out.is_empty() {
            self.out = octets;
        } else {
            self.out.extend_from_slice(&octets);
        }
    }

    async fn revive(&mut self) -> Result<(), ConnectionError> {
        if self.session.is_parked() {
            self.session
                .revive(self.facts.as_ref(), self.identity.as_deref())
                .await?;
        }
        Ok(())
    }

    async fn start_tls(&mut self) -> Result<TlsFacts, ConnectionError> {
        if self.facts.is_some() || self.listener.implicit || !self.listener.starttls {
            return Err(SandboxError::violation("a handshake that was not offered").into());
        }
        // R3207-4.2-a: nothing from before the handshake may outlive it.
        if self.identity.is_some() || self.message.is_some() {
            return Err(SandboxError::violation("a handshake inside a session").into());
        }
        // A peer that falls silent here must not hold a sandbox.
        self.session.park()?;
        let shaken = handshake(&mut self.transport, &self.service, &self.listener).await?;
        self.certificate = shaken.certificate;
        if shaken.facts.verified {
            self.certified();
        }
        Ok(shaken.facts)
    }

    /// The handshake verified a certificate: with it the peer may need no AUTH (R6409-4.3).
    fn certified(&mut self) {
        let peer = self.peer.ip();
        let required = self.listener.requires_authentication(peer, true);
        // A build that cannot be parked here goes on asking for AUTH.
        if self
            .session
            .adapt(|settings| settings.authentication_required = required)
        {
            self.authority.required = required;
            self.authority.trusted = self.listener.trusts(peer, true);
        }
    }
}

/// What a handshake gave.
struct Shaken {
    facts: TlsFacts,
    certificate: Option<ClientCertificate>,
}

impl Shaken {
    fn both(self) -> (Option<TlsFacts>, Option<ClientCertificate>) {
        (Some(self.facts), self.certificate)
    }
}

async fn handshake(
    transport: &mut Transport,
    service: &Service,
    listener: &ListenerState,
) -> Result<Shaken, ConnectionError> {
    let Transport::Clear(socket) = std::mem::replace(transport, Transport::Gone) else {
        return Err(ConnectionError::Handshake(
            std::io::ErrorKind::NotConnected.into(),
        ));
    };
    let identity = service.certificates().current();
    let config = identity
        .config(listener.client_authorities.as_deref())
        .ok_or_else(|| {
            let text = "client authorities that were not read at the start";
            ConnectionError::Handshake(std::io::Error::other(text))
        })?;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(config));
    let mut ending = service.ending();
    let stream = tokio::select! {
        accepted = within(timeout::HANDSHAKE, acceptor.accept(socket)) => {
            accepted.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        }
        _ = ending.wait_for(|ending| *ending > Ending::Running) => {
            Err(std::io::Error::other("the service ends"))
        }
    }
    .map_err(ConnectionError::Handshake)?;
    let connection = stream.get_ref().1;
    let shaken = Shaken {
        facts: tls::server_facts(connection, &identity),
        certificate: connection
            .peer_certificates()
            .and_then(|chain| ClientCertificate::read(chain.first()?)),
    };
    *transport = Transport::Tls(Box::new(stream));
    Ok(shaken)
}

/// What this peer gets on this listener.
fn settings(
    service: &Service,
    listener: &ListenerState,
    peer: IpAddr,
    serial: &str,
    verified: bool,
) -> (Settings, Authority) {
    let runtime = service.runtime();
    let welcome = listener.admits(peer);
    let required = listener.requires_authentication(peer, verified);
    let tls = match (listener.implicit, listener.starttls) {
        (true, _) => TlsPolicy::Established,
        // A certificate can only be shown after it.
        (false, true) if listener.template.certificate_required => TlsPolicy::Required,
        (false, true) => TlsPolicy::Offered,
        (false, false) => TlsPolicy::Absent,
    };
    let settings = Settings {
        serial: serial.to_owned(),
        admission: if welcome {
            Admission::Welcome
        } else {
            Admission::Unwanted
        },
        tls,
        mechanisms: listener.mechanisms(&*runtime.users),
        authentication_required: required,
        // Without AUTH there is no identity to compare a sender with; but one who need not say who he is
        // must name a sender (R6409-3.2-b).
        ask_sender: runtime.routes_by_sender
            || !(required || listener.trusts(peer, verified))
            || (runtime.asks_sender && !listener.template.mechanisms.is_empty()),
        ask_recipient: runtime.asks_recipient || runtime.users.limits_recipients(),
        ..listener.template.clone()
    };
    let authority = Authority {
        mechanisms: settings.mechanisms.clone(),
        clear_text: settings.clear_text,
        required,
        welcome,
        trusted: listener.trusts(peer, verified),
        certificate_required: settings.certificate_required,
    };
    (settings, authority)
}
