//! Moments of a session, and what the server does at each.

use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ServerConfig;

/// A moment of a session. Every one but the last three stands in place of the server's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The greeting.
    Greeting,
    /// EHLO or LHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    Starttls,
    /// The handshake itself.
    Handshake,
    /// AUTH with this mechanism, empty for each.
    Auth(&'static str),
    /// An answer to a 334.
    Response,
    /// MAIL: the n-th of the connection, 0 for each.
    Mail(usize),
    /// RCPT of this local-part, empty for each.
    Rcpt(&'static str),
    /// DATA.
    Data,
    /// A chunk that is not the last.
    Chunk,
    /// The final dot, or the last chunk.
    End,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
    /// So many octets of content have come.
    Octets(usize),
}

/// What the server does.
#[derive(Debug, Clone)]
pub enum Act {
    /// What a good server would say.
    Usual,
    /// This reply; CRLF is added. Lines are separated by CRLF.
    Say(String),
    /// These octets, as they are.
    Raw(Vec<u8>),
    /// This reply with CRLF, an octet at a time.
    Drip(String, Duration),
    /// These octets without an end.
    Flood(&'static str),
    /// Nothing for so long.
    Pause(Duration),
    /// Nothing, for ever; what the client says is read.
    Silence,
    /// Nothing, for ever; nothing is read.
    Deafness,
    /// Throws away what has come but was not read.
    Forget,
    /// FIN.
    Close,
    /// RST.
    Reset,
}

/// A reply.
pub fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

/// What a server is like on one connection.
#[derive(Clone)]
pub struct Manners {
    /// EHLO keywords.
    pub offers: Vec<String>,
    /// Exceptions to good behaviour.
    pub exceptions: Vec<(At, Vec<Act>)>,
    /// Replies to MAIL from the first one on that is over this number; 0: never.
    pub most_messages: usize,
    /// What is said then.
    pub enough: String,
    /// Recipients of a transaction at most; 0: any number.
    pub most_recipients: usize,
    /// What is said to the next.
    pub crowded: String,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            offers: [
                "PIPELINING",
                "8BITMIME",
                "SIZE 100000000",
                "ENHANCEDSTATUSCODES",
            ]
            .map(String::from)
            .to_vec(),
            exceptions: Vec::new(),
            most_messages: 0,
            enough: String::new(),
            most_recipients: 0,
            crowded: String::new(),
        }
    }
}

/// What a server is like.
#[derive(Clone, Default)]
pub struct Script {
    /// Before it recovers.
    pub manners: Manners,
    /// It never does.
    pub incurable: bool,
    /// LHLO, and a reply for each recipient (RFC 2033).
    pub lmtp: bool,
    /// TLS before the greeting (RFC 8314 section 3.3).
    pub implicit: bool,
    /// What it shows; after the recovery the second.
    pub tls: Option<[Arc<ServerConfig>; 2]>,
    /// Connections at a time, the next are greeted with 421; 0: any number.
    pub most_connections: usize,
    /// It does not listen before it recovers.
    pub absent: bool,
}

impl Script {
    /// A good server.
    pub fn good() -> Self {
        Self::default()
    }

    /// At this moment, do this.
    #[must_use]
    pub fn at(mut self, at: At, acts: impl IntoIterator<Item = Act>) -> Self {
        let acts = acts.into_iter().collect();
        self.manners.exceptions.push((at, acts));
        self
    }

    /// At this moment, say this.
    #[must_use]
    pub fn says(self, at: At, reply: &str) -> Self {
        self.at(at, [say(reply)])
    }

    /// These EHLO keywords and no others.
    #[must_use]
    pub fn offers(mut self, keywords: &[&str]) -> Self {
        self.manners.offers = keywords.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// One more EHLO keyword.
    #[must_use]
    pub fn offers_too(mut self, keyword: &str) -> Self {
        self.manners.offers.push(keyword.to_owned());
        self
    }

    /// The server says this to MAIL after so many messages.
    #[must_use]
    pub fn most_messages(mut self, most: usize, reply: &str) -> Self {
        self.manners.most_messages = most;
        self.manners.enough = reply.to_owned();
        self
    }

    /// The server says this to RCPT after so many recipients.
    #[must_use]
    pub fn most_recipients(mut self, most: usize, reply: &str) -> Self {
        self.manners.most_recipients = most;
        self.manners.crowded = reply.to_owned();
        self
    }
}

impl Manners {
    /// What is to be done at this moment, if it is not the usual.
    pub fn acts(&self, at: At) -> Option<&[Act]> {
        let fits = |named: At| match (named, at) {
            (At::Mail(0), At::Mail(_)) => true,
            (named, at) => named == at,
        };
        self.find(fits)
    }

    /// The exception for RCPT of this local-part.
    pub fn acts_for_recipient(&self, local_part: &str) -> Option<&[Act]> {
        self.find(|named| matches!(named, At::Rcpt(own) if own.is_empty() || own == local_part))
    }

    /// The exception for AUTH with this mechanism.
    pub fn acts_for_mechanism(&self, mechanism: &str) -> Option<&[Act]> {
        self.find(|named| matches!(named, At::Auth(own) if own.is_empty() || own == mechanism))
    }

    fn find(&self, fits: impl Fn(At) -> bool) -> Option<&[Act]> {
        self.exceptions
            .iter()
            .find(|(named, _)| fits(*named))
            .map(|(_, acts)| acts.as_slice())
    }

    /// The exception within the content: after how many octets, and what.
    pub fn within_content(&self) -> Option<(usize, &[Act])> {
        self.exceptions
            .iter()
            .find_map(|(named, acts)| match named {
                At::Octets(octets) => Some((*octets, acts.as_slice())),
                _ => None,
            })
    }
}
