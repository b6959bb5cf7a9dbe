//! LOGIN ([MS-XLOGIN] section 2): user and password, one line each.

use super::ClientStep;
use super::client::Turn as ClientTurn;
use super::server::{SaslRefusal, ServerStep, Turn};
use crate::contract::{
    client::Credentials,
    server::{PasswordCheck, Question},
};
use crate::ntlm::text;
use crate::parked::{Reader, Writer};
use alloc::string::String;
use zeroize::Zeroizing;

/// What the server awaits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// The user.
    User,
    /// The password of this user.
    Password(String),
}

impl Server {
    /// XLOGIN-2-a: `Username:`, exactly. XLOGIN-2-b: an initial response is the user.
    pub fn start(initial: Option<&[u8]>) -> Turn<Self> {
        match initial {
            None => (
                Some(Self::User),
                ServerStep::Challenge(b"Username:".to_vec()),
            ),
            Some(user) => Self::User.respond(user),
        }
    }

    pub fn respond(self, response: &[u8]) -> Turn<Self> {
        match self {
            Self::User => {
                // XLOGIN-2-c: a name that is not UTF-8 is Latin-1.
                let user = match core::str::from_utf8(response) {
                    Ok(user) => user.into(),
                    Err(_) => text::from_oem(response),
                };
                // XLOGIN-2-a.
                let challenge = ServerStep::Challenge(b"Password:".to_vec());
                (Some(Self::Password(user)), challenge)
            }
            // XLOGIN-2-c: empty ones are wrong, and only now.
            Self::Password(user) if user.is_empty() || response.is_empty() => {
                (None, ServerStep::Refuse(SaslRefusal::Wrong))
            }
            Self::Password(user) => {
                let check = PasswordCheck {
                    authorization: String::new(),
                    user,
                    password: response.to_vec(),
                };
                (None, ServerStep::Ask(Question::Password(check)))
            }
        }
    }

    pub fn write(&self, writer: &mut Writer) {
        let user = match self {
            Self::User => None,
            Self::Password(user) => Some(user),
        };
        writer.option(user, |writer, user| writer.string(user));
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let user = reader.option(Reader::string)?;
        Some(user.map_or(Self::User, Self::Password))
    }
}

/// What the client says next. XLOGIN-2-d: no inline user, and the texts do not matter.
pub(super) enum Client {
    User {
        user: Zeroizing<String>,
        password: Zeroizing<String>,
    },
    Password(Zeroizing<String>),
}

impl Client {
    pub fn start(credentials: &Credentials) -> Self {
        Self::User {
            user: Zeroizing::new(credentials.user.clone()),
            password: Zeroizing::new(credentials.secret.clone()),
        }
    }

    pub fn challenge(self) -> ClientTurn<Self> {
        match self {
            Self::User { user, password } => (
                Some(Self::Password(password)),
                ClientStep::Respond(user.as_bytes().to_vec()),
            ),
            Self::Password(password) => (None, ClientStep::Respond(password.as_bytes().to_vec())),
        }
    }
}
