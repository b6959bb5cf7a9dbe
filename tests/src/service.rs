//! A [`Player`] over a socket: `pillarbox serve` with a configuration that means what the
//! transcript's settings say.
//!
//! Each transcript comes from a loopback address of its own, so that back-off against one peer
//! does not touch the next.

use crate::server::{Event, Feeding, Player};
use crate::settings::USER;
use pillarbox_protocol::contract::server::{Admission, Answer, BareLf, Peer, Settings, TlsPolicy};
use pillarbox_protocol::contract::{Dismissal, TlsFacts};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_rustls::rustls;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The built binary: `$PILLARBOX`, else the one beside the running test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PILLARBOX") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap_or_default();
    // target/release/deps/test-1234
    let folder = test.ancestors().nth(2).unwrap_or(Path::new("."));
    folder.join("pillarbox")
}

/// A running service; ended when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    state: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing is kept that a gentle end would save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts services, one for each configuration that transcripts ask for, and keeps them.
#[derive(Default)]
pub struct Services {
    running: HashMap<String, Running>,
    sources: u16,
}

impl Services {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends all: after a transcript that left guesses of passwords behind.
    pub fn end_all(&mut self) {
        self.running.clear();
    }

    fn address(&mut self, settings: &Settings) -> Result<SocketAddr, String> {
        let configuration = configuration(settings)?;
        if let Some(running) = self.running.get(&configuration) {
            return Ok(running.address);
        }
        let running = run(&configuration)?;
        let address = running.address;
        self.running.insert(configuration, running);
        Ok(address)
    }

    /// A loopback address that no connection came from yet.
    fn source(&mut self) -> Ipv4Addr {
        self.sources += 1;
        let [high, low] = self.sources.to_be_bytes();
        Ipv4Addr::new(127, 1, high, low)
    }
}

/// The configuration but for state folder and address, which stand in for `@STATE@`, `@ADDRESS@`.
fn configuration(settings: &Settings) -> Result<String, String> {
    let listener = match settings.tls {
        TlsPolicy::Absent => "none",
        TlsPolicy::Offered => "starttls",
        TlsPolicy::Established => "implicit",
        other => return Err(format!("no listener has the TLS policy {other:?}")),
    };
    let mut text = format!(
        "hostname = \"{}\"\nstate-dir = \"@STATE@\"\n\n[limits]\nmessage-size = {}\n\
         recipients = {}\n\n[submission]\nsenders = \"any\"\nadd-date = {}\n\
         add-message-id = {}\n\n[[route]]\ndomains = [\"*\"]\ndeliver = \"hold\"\n\n\
         [[listener]]\naddress = \"@ADDRESS@\"\ntls = \"{listener}\"\n",
        settings.hostname,
        settings.max_message_size,
        settings.max_recipients,
        settings.add_date,
        settings.add_message_id,
    );
    if settings.admission == Admission::Unwanted {
        text.push_str("networks = [\"192.0.2.0/24\"]\n");
    }
    if settings.mechanisms.is_empty() {
        text.push_str("auth = \"off\"\n");
        if settings.admission == Admission::Welcome {
            text.push_str("networks = [\"127.0.0.0/8\"]\n");
        }
    } else {
        let names: Vec<String> = settings
            .mechanisms
            .iter()
            .map(|mechanism| format!("\"{}\"", mechanism.name().to_ascii_lowercase()))
            .collect();
        text.push_str(&format!("mechanisms = [{}]\n", names.join(", ")));
        text.push_str(if settings.authentication_required {
            "auth = \"required\"\n"
        } else {
            "auth = \"optional\"\nrelay-networks = [\"127.0.0.0/8\"]\n"
        });
    }
    let own = &settings.extensions;
    text.push_str(&format!(
        "extensions = {{ chunking = {}, binarymime = {}, smtputf8 = {}, requiretls = {}, \
         futurerelease = \"{}s\", deliverby = {}, mt-priority = {} }}\n",
        own.chunking,
        own.binarymime,
        own.smtputf8,
        own.requiretls,
        if own.futurerelease {
            settings.max_hold
        } else {
            0
        },
        match (own.deliverby, settings.min_deliver_by) {
            (true, least @ 1..) => format!("\"{least}s\""),
            (on, _) => on.to_string(),
        },
        own.mt_priority,
    ));
    for (set, line) in [
        (settings.clear_text, "clear-text = true\n"),
        (
            settings.bare_lf == BareLf::Convert,
            "bare-lf = \"convert\"\n",
        ),
        (settings.legacy_auth_line, "legacy-auth-line = true\n"),
        (settings.keep_bcc, "keep-bcc = true\n"),
    ] {
        if set {
            text.push_str(line);
        }
    }
    Ok(text)
}

fn run(configuration: &str) -> Result<Running, String> {
    let failed = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
    let state = TempDir::new().map_err(|error| failed("make a folder", error))?;
    let free = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .map_err(|error| failed("find a free port", error))?;
    let file = state.path().join("pillarbox.toml");
    let text = configuration
        .replace("@STATE@", &state.path().join("state").to_string_lossy())
        .replace("@ADDRESS@", &free.to_string());
    std::fs::write(&file, text).map_err(|error| failed("write the configuration", error))?;
    add_user(&file)?;
    let log = std::fs::File::create(state.path().join("log"))
        .map_err(|error| failed("make a log", error))?;
    let mut child = Command::new(binary())
        .args(["serve", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| failed(&format!("start {}", binary().display()), error))?;
    let output = child.stdout.take();
    let mut running = Running {
        child,
        address: free,
        state,
    };
    let mut line = String::new();
    if let Some(output) = output {
        BufReader::new(output)
            .read_line(&mut line)
            .map_err(|error| failed("read what the service says", error))?;
    }
    let address = line
        .strip_prefix("listening ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|address| address.parse().ok());
    match address {
        Some(address) => {
            running.address = address;
            Ok(running)
        }
        None => {
            let folder = running.state.path();
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            Err(format!("the service said {line:?}, and {log}"))
        }
    }
}

fn add_user(file: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot add a user: {error}");
    let mut child = Command::new(binary())
        .args(["user", "add", USER.0, "--password-stdin", "--config"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "{}", USER.1).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "cannot add a user: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

enum Stream {
    Clear(TcpStream),
    Secure(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Stream {
    fn both(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Clear(stream) => stream,
            Self::Secure(stream) => stream,
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// One connection to one of the services.
pub struct SocketPlayer<'a> {
    services: &'a mut Services,
    stream: Option<Stream>,
}

impl<'a> SocketPlayer<'a> {
    /// Not connected yet.
    pub fn new(services: &'a mut Services) -> Self {
        Self {
            services,
            stream: None,
        }
    }

    fn stream(&mut self) -> Result<&mut dyn ReadWrite, String> {
        self.stream
            .as_mut()
            .map(Stream::both)
            .ok_or_else(|| "not connected".into())
    }
}

impl Player for SocketPlayer<'_> {
    fn start(&mut self, settings: &Settings, _: &Peer, _: &TlsFacts) -> Result<(), String> {
        let address = self.services.address(settings)?;
        let source = self.services.source();
        let stream = connect(source, address).map_err(|error| error.to_string())?;
        self.stream = Some(Stream::Clear(stream));
        if settings.tls == TlsPolicy::Established {
            self.secure()?;
        }
        Ok(())
    }

    fn send(&mut self, octets: &[u8], feeding: Feeding) -> Result<(), String> {
        let size = match feeding {
            // What an attacker puts behind STARTTLS comes with it; octets that come after the
            // reply would be a broken handshake.
            Feeding::ByOctet if !octets.starts_with(b"STARTTLS\r\n") => 1,
            _ => octets.len().max(1),
        };
        let stream = self.stream()?;
        for piece in octets.chunks(size) {
            stream
                .write_all(piece)
                .and_then(|()| stream.flush())
                .map_err(|error| format!("cannot write: {error}"))?;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Event>, String> {
        let mut octets = [0; 4096];
        match self.stream()?.read(&mut octets) {
            Ok(0) => Ok(Some(Event::Closed)),
            Ok(length) => Ok(Some(Event::Octets(octets[..length].to_vec()))),
            Err(error) => Err(format!("no reply: {error}")),
        }
    }

    fn answer(&mut self, _: Answer) -> Result<(), String> {
        Err("the service answers its own questions".into())
    }

    fn secure(&mut self) -> Result<(), String> {
        let Some(Stream::Clear(stream)) = self.stream.take() else {
            return Err("not in clear".into());
        };
        let failed = |error: rustls::Error| format!("handshake: {error}");
        let name = rustls::pki_types::ServerName::try_from("mail.example.org")
            .map_err(|error| error.to_string())?;
        let connection = rustls::ClientConnection::new(client_config().map_err(failed)?, name)
            .map_err(failed)?;
        let mut secure = Box::new(rustls::StreamOwned::new(connection, stream));
        secure
            .conn
            .complete_io(&mut secure.sock)
            .map_err(|error| format!("handshake: {error}"))?;
        self.stream = Some(Stream::Secure(secure));
        Ok(())
    }

    fn dismiss(&mut self, _: Dismissal) -> Result<(), String> {
        Err("a socket has no way to dismiss".into())
    }

    fn sees_questions(&self) -> bool {
        false
    }
}

fn connect(source: Ipv4Addr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        socket.connect(address).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn client_config() -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The service shows a certificate that it signed itself.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
