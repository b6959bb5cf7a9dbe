//! STARTTLS and implicit TLS (RFC 3207, RFC 8314 section 3.3), from the client's side.

use super::Security;
use super::dialogue::Dialogue;
use super::resolve::ascii;
use super::trust::provider;
use super::wire::Wire;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::Loss;
use crate::sandbox::v0_1::types::TlsFacts;
use crate::tls;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, Error, InvalidMessage};

/// Why there is no TLS.
enum Unsecured {
    /// The handshake failed.
    Failed(String),
    /// Octets in clear came instead of it.
    InClear,
}

impl From<String> for Unsecured {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl Dialogue {
    /// After STARTTLS.
    pub(super) async fn secure(&mut self) -> Result<(), SandboxError> {
        // RFC 3207 sections 4.2 and 6 (R3207-4.2-c): octets in clear after the 220 were put there
        // by somebody who hopes that they are read as if they came inside TLS.
        let secured = if self.buffer.is_empty() && !self.more_has_come().await {
            self.handshake().await
        } else {
            Err(Unsecured::InClear)
        };
        match secured {
            Ok(facts) => {
                let progress = self.session.secured(&facts)?;
                self.tls = Some(facts);
                self.carry_out(progress, &[]).await
            }
            Err(Unsecured::InClear) => {
                self.injected = true;
                self.detail = Some("octets in clear after the reply to STARTTLS, an attack".into());
                self.lose(Loss::Handshake).await
            }
            Err(Unsecured::Failed(reason)) => self.handshake_lost(reason).await,
        }
    }

    /// Whether the server said more than its 220 before our first word of TLS.
    async fn more_has_come(&mut self) -> bool {
        matches!(self.wire.take(&mut [0]).await, Ok(Some(1)))
    }

    /// Before the greeting; whether it succeeded.
    pub(super) async fn secure_first(&mut self) -> Result<bool, SandboxError> {
        match self.handshake().await {
            Ok(facts) => {
                // It has nothing to do before `open`.
                self.session.secured(&facts)?;
                self.tls = Some(facts);
                Ok(true)
            }
            Err(unsecured) => {
                // No word in clear went before: it is a server without TLS, as on a wrong port.
                let reason = match unsecured {
                    Unsecured::Failed(reason) => reason,
                    Unsecured::InClear => "the server speaks in clear".into(),
                };
                self.handshake_lost(reason).await?;
                Ok(false)
            }
        }
    }

    async fn handshake_lost(&mut self, reason: String) -> Result<(), SandboxError> {
        self.handshake_failed = true;
        self.detail = Some(reason);
        self.lose(Loss::Handshake).await
    }

    async fn handshake(&mut self) -> Result<TlsFacts, Unsecured> {
        let Wire::Clear(socket) = std::mem::replace(&mut self.wire, Wire::Gone) else {
            return Err(Unsecured::Failed("there is no connection in clear".into()));
        };
        let name = self.target.tls_name.as_ref().unwrap_or(&self.target.host);
        // RFC 6066 section 3: A-labels, without the final dot; addresses are not sent.
        let server_name = ServerName::try_from(ascii(name).unwrap_or_else(|| name.clone()))
            .map_err(|_| format!("{name} is no name that a certificate could have"))?;
        let strict = self.target.security != Security::Opportunistic;
        let judge = self.target.trust.judge(strict);
        // RFC 8314 section 4.1 (R8314-4.1): TLS 1.2 and later.
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&judge) as Arc<_>)
            .with_no_client_auth();
        // A resumed handshake would not show the certificate.
        config.resumption = Resumption::disabled();
        let connecting = TlsConnector::from(Arc::new(config)).connect(server_name, socket);
        let stream = match tokio::time::timeout(self.target.timeouts.handshake, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if is_no_record(&error) => return Err(Unsecured::InClear),
            Ok(Err(error)) => {
                self.interrupted = judge.objection().is_none();
                return Err(error.to_string().into());
            }
            Err(_) => {
                self.interrupted = true;
                return Err(String::from("the server was silent too long").into());
            }
        };
        let facts = tls::client_facts(stream.get_ref().1, judge.verified());
        let note = match judge.objection() {
            Some(objection) => format!("certificate not verified: {objection}"),
            None if facts.verified => format!("certificate of {name} verified"),
            None => "certificate not verified: nobody asked".into(),
        };
        self.scribe
            .note(&format!("{} {}, {note}", facts.version, facts.cipher));
        self.wire = Wire::Tls(Box::new(stream));
        Ok(facts)
    }
}

/// The first octet was none that a TLS record begins with (RFC 8446 section 5.1).
fn is_no_record(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(
        cause,
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType))
    )
}
