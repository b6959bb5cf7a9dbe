//! A whole service in this process, on a component of one's choice, with a listener for every
//! hostname that a test wants: so a test sees what a session did to its neighbours, to the spool
//! and to the counts of its build.

use pillarbox::config::Config;
use pillarbox::issuer::Issuers;
use pillarbox::listener::{self, Admission};
use pillarbox::sandbox::v0_1::server::Settings;
use pillarbox::sandbox::verifier::Verifier;
use pillarbox::sandbox::{Build, Engine, SandboxLimits};
use pillarbox::service::{Ending, ListenerState, Runtime, Service};
use pillarbox::spool::{Access, Detail, Entry, Filter, Sqlite};
use pillarbox::tls::{Certificates, self_signed};
use pillarbox::users::argon::Cost;
use pillarbox::users::{Authenticator, FileUsers, Names, Record, Users, UsersError, file};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

/// Name of the service, whatever its listeners call themselves.
pub const HOSTNAME: &str = "mail.example.org";
/// The only user: name, password, address.
pub const ALICE: (&str, &str, &str) = ("alice", "secret", "alice@mail.example.org");
/// How long anything may take: a session that is over must end well before.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Who may use a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Every peer of 127.0.0.0/8, without AUTH.
    Open,
    /// Who has authenticated: alice, by PLAIN in clear.
    Locked,
}

/// The service. Only mail for example.org has a route, and is held.
pub struct Hosted {
    config: Config,
    service: Arc<Service>,
    build: Arc<Build>,
    admission: Arc<Admission>,
    runtime: tokio::runtime::Runtime,
    _state: TempDir,
}

impl Hosted {
    /// A service with this component and no listener yet.
    ///
    /// # Errors
    ///
    /// What could not be set up.
    pub fn new(component: &Path, sandboxes: u32) -> Result<Self, String> {
        Self::on(&std::fs::read(component).map_err(text)?, sandboxes)
    }

    /// A service with the component that it comes with.
    ///
    /// # Errors
    ///
    /// What could not be set up.
    pub fn embedded(sandboxes: u32) -> Result<Self, String> {
        Self::on(pillarbox::embedded::COMPONENT, sandboxes)
    }

    fn on(component: &[u8], sandboxes: u32) -> Result<Self, String> {
        let state = tempfile::tempdir().map_err(text)?;
        let config = config(state.path())?;
        let limits = SandboxLimits {
            sandboxes,
            ..SandboxLimits::default()
        };
        let engine = Engine::new(limits).map_err(text)?;
        let build = Build::load(&engine, component, None).map_err(text)?;
        let password = Cost::default().hash(ALICE.1.as_bytes()).map_err(text)?;
        file::edit(&config.auth.path, None, |records| {
            records.push(Record {
                password: Some(password),
                ..Record::new(ALICE.0)
            });
            Ok::<_, UsersError>(())
        })
        .map_err(text)?;
        let users: Arc<dyn Users> = Arc::new(FileUsers::new(&config.auth.path));
        let authenticator =
            Authenticator::new(Arc::clone(&users), Names::of(&config)).map_err(text)?;
        let issuers = Issuers::new(&[], Arc::clone(&users), Names::of(&config))
            .map_err(|error| error.line())?;
        let spool = Sqlite::open(&config.state_dir, Access::Service).map_err(text)?;
        let (certificate, key) =
            self_signed(HOSTNAME, &config.state_dir.join("tls")).map_err(text)?;
        let tokens = Arc::default();
        let service = Service::new(
            Runtime::new(
                &config,
                users,
                Arc::new(authenticator),
                Arc::new(issuers),
                &tokens,
            )?,
            Arc::new(spool),
            Arc::new(Notify::new()),
            Arc::clone(&build),
            Arc::new(Verifier::new(Arc::clone(&build))),
            Arc::new(Certificates::load(&certificate, &key).map_err(text)?),
            tokens,
        );
        Ok(Self {
            admission: Admission::new(config.limits.connections, config.limits.connections),
            config,
            service: Arc::new(service),
            build,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(text)?,
            _state: state,
        })
    }

    /// Settings of sessions at a listener that calls itself `hostname`.
    pub fn settings(&self, hostname: &str, door: Door) -> Settings {
        self.state(hostname, door).template
    }

    fn state(&self, hostname: &str, door: Door) -> ListenerState {
        let mut state = ListenerState::new(&self.config, &self.config.listeners[door as usize]);
        state.template.hostname = hostname.into();
        state
    }

    /// Opens a listener that calls itself `hostname`.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub fn listen(&self, hostname: &str, door: Door) -> Result<SocketAddr, String> {
        self.listen_with(hostname, door, |_| ())
    }

    /// The same, with settings that no configuration has a key for.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub fn listen_with(
        &self,
        hostname: &str,
        door: Door,
        change: impl FnOnce(&mut Settings),
    ) -> Result<SocketAddr, String> {
        let mut state = self.state(hostname, door);
        change(&mut state.template);
        let _inside = self.runtime.enter();
        let socket = listener::bind(self.config.listeners[door as usize].address)?;
        let address = socket.local_addr().map_err(text)?;
        let socket = tokio::net::TcpListener::from_std(socket).map_err(text)?;
        self.runtime.spawn(listener::run(
            Arc::clone(&self.service),
            Arc::new(state),
            socket,
            Arc::clone(&self.admission),
        ));
        Ok(address)
    }

    /// The component that its sessions run on, with its counts.
    pub fn build(&self) -> &Arc<Build> {
        &self.build
    }

    /// Waits for something of the host's.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// All messages in the spool, in order of arrival.
    ///
    /// # Errors
    ///
    /// The spool cannot be read.
    pub fn spooled(&self) -> Result<Vec<Entry>, String> {
        self.wait(self.service.spool.list(&Filter::default(), None, 10_000))
            .map_err(text)
    }

    /// What is known of one message.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn detail(&self, id: &str) -> Result<Detail, String> {
        self.wait(self.service.spool.show(id)).map_err(text)
    }

    /// The service drains: transactions that have begun may end.
    pub fn drain(&self) {
        self.service.end(Ending::Draining);
    }

    /// Content of one message.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not what was stored.
    pub fn content(&self, id: &str) -> Result<Vec<u8>, String> {
        self.wait(async {
            let mut reader = self.service.spool.read_content(id).await.map_err(text)?;
            let mut content = Vec::new();
            while let Some(piece) = reader.next().await.map_err(text)? {
                content.extend_from_slice(&piece);
            }
            Ok(content)
        })
    }
}

fn config(state: &Path) -> Result<Config, String> {
    // In the order of `Door`.
    let text = format!(
        "hostname = \"{HOSTNAME}\"\nstate-dir = \"{}\"\n\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"none\"\nauth = \"off\"\n\
         networks = [\"127.0.0.0/8\"]\n\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"none\"\nauth = \"required\"\n\
         mechanisms = [\"plain\"]\nclear-text = true\n\n\
         [[route]]\ndomains = [\"example.org\"]\ndeliver = \"hold\"\n",
        state.display()
    );
    let loaded = Config::read(&state.join("pillarbox.toml"), &text);
    loaded
        .config
        .ok_or_else(|| format!("the configuration is wrong: {:?}", loaded.findings))
}

#[allow(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn text(error: impl ToString) -> String {
    error.to_string()
}

/// The client's end of a connection. What takes longer than [`PATIENCE`] is an error.
pub struct Talk(BufReader<TcpStream>);

impl Talk {
    /// Connects and takes the greeting.
    ///
    /// # Errors
    ///
    /// No greeting came.
    pub fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(text)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let mut talk = Self(BufReader::new(stream));
        talk.expect("220")?;
        Ok(talk)
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), String> {
        self.0.get_mut().write_all(octets).map_err(text)
    }

    /// Takes one reply, which must have this code.
    ///
    /// # Errors
    ///
    /// It has another, or none came.
    pub fn expect(&mut self, code: &str) -> Result<(), String> {
        loop {
            let mut line = String::new();
            self.0
                .read_line(&mut line)
                .map_err(|error| format!("no {code} came: {error}"))?;
            if !line.starts_with(code) {
                return Err(format!("not {code}, but {line:?}"));
            }
            if line.get(3..4) == Some(" ") {
                return Ok(());
            }
        }
    }

    /// Sends a command line and takes its reply.
    ///
    /// # Errors
    ///
    /// As [`Self::expect`].
    pub fn command(&mut self, line: &str, code: &str) -> Result<(), String> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.expect(code).map_err(|text| format!("{line}: {text}"))
    }

    /// MAIL, RCPT and DATA, up to the 354.
    ///
    /// # Errors
    ///
    /// As [`Self::expect`].
    pub fn envelope(&mut self, reverse_path: &str) -> Result<(), String> {
        self.command(&format!("MAIL FROM:<{reverse_path}>"), "250")?;
        self.command("RCPT TO:<bob@example.org>", "250")?;
        self.command("DATA", "354")
    }

    /// All that still comes, to the close.
    ///
    /// # Errors
    ///
    /// There was none in time, or a reset.
    pub fn rest(mut self) -> Result<String, String> {
        let mut rest = Vec::new();
        self.0
            .read_to_end(&mut rest)
            .map_err(|error| format!("no close came: {error}"))?;
        Ok(String::from_utf8_lossy(&rest).into_owned())
    }
}
