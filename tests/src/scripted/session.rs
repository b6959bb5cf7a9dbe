//! One connection of a scripted server: commands in, state, and the usual replies. `acts` carries out
//! the script instead.

mod acts;

use super::script::{Act, At, Manners};
use super::seen::Content;
use super::server::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Why a connection is over.
type End = String;

enum Stream {
    Clear(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
    Gone,
}

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

impl Stream {
    fn both(&mut self) -> Result<&mut dyn Both, End> {
        match self {
            Self::Clear(stream) => Ok(stream),
            Self::Secure(stream) => Ok(stream),
            Self::Gone => Err("no stream".into()),
        }
    }
}

/// Replies that were said, by their codes.
type Codes = Vec<u16>;

struct Session<'a> {
    shared: &'a Shared,
    number: usize,
    stream: Stream,
    input: Vec<u8>,
    mail: String,
    accepted: Vec<String>,
    refused: usize,
    /// What came by BDAT (RFC 3030).
    chunks: Vec<u8>,
}

/// Until the connection is over; how it ended.
pub(super) async fn run(shared: &Shared, number: usize, stream: TcpStream) -> String {
    let mut session = Session {
        shared,
        number,
        stream: Stream::Clear(stream),
        input: Vec::new(),
        mail: String::new(),
        accepted: Vec::new(),
        refused: 0,
        chunks: Vec::new(),
    };
    match session.converse().await {
        Ok(()) => "closed".into(),
        Err(end) => end,
    }
}

impl Session<'_> {
    async fn converse(&mut self) -> Result<(), End> {
        let script = &self.shared.script;
        if script.implicit {
            self.secure().await?;
        }
        let most = script.most_connections;
        if most > 0 && self.shared.standing.load(Ordering::SeqCst) > most {
            return self.say("421 4.7.0 too many connections").await;
        }
        let codes = self.reply(At::Greeting, "220 peer.test ESMTP").await?;
        if codes.iter().any(|code| *code >= 400) {
            // RFC 5321 section 3.1: only QUIT is left.
            while !self.line().await?.eq_ignore_ascii_case("QUIT") {
                self.say("503 5.5.1 no service here").await?;
            }
            return self.say("221 2.0.0 peer.test bye").await;
        }
        loop {
            let line = self.line().await?;
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "LHLO" => {
                    let usual = self.capabilities();
                    self.reply(At::Ehlo, &usual).await?;
                }
                "HELO" => drop(self.reply(At::Helo, "250 peer.test").await?),
                "STARTTLS" => {
                    let usual = match self.shared.script.tls {
                        Some(_) => "220 2.0.0 go on",
                        None => "502 5.5.1 no TLS here",
                    };
                    if self.reply(At::Starttls, usual).await?.contains(&220) {
                        self.secure().await?;
                    }
                }
                "AUTH" => self.auth(argument).await?,
                "MAIL" => self.mail(&line).await?,
                "RCPT" => self.rcpt(&line).await?,
                "DATA" => self.data().await?,
                "BDAT" => self.bdat(argument).await?,
                "RSET" => {
                    self.reset();
                    self.reply(At::Rset, "250 2.0.0 ok").await?;
                }
                "QUIT" => {
                    self.reply(At::Quit, "221 2.0.0 peer.test bye").await?;
                    return Ok(());
                }
                _ => self.say("500 5.5.1 what?").await?,
            }
        }
    }

    fn reset(&mut self) {
        self.mail.clear();
        self.accepted.clear();
        self.refused = 0;
        self.chunks.clear();
    }

    fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Secure(_))
    }

    fn capabilities(&self) -> String {
        let mut keywords = if self.shared.is_ill() {
            self.shared.script.manners.offers.clone()
        } else {
            let mut good = Manners::default().offers;
            good.push("AUTH PLAIN LOGIN".into());
            if self.shared.script.tls.is_some() {
                good.push("STARTTLS".into());
            }
            good
        };
        keywords.retain(|keyword| keyword != "STARTTLS" || !self.is_secure());
        keywords.insert(0, "peer.test".into());
        let last = keywords.len() - 1;
        let lines = keywords.iter().enumerate().map(|(index, keyword)| {
            let mark = if index == last { ' ' } else { '-' };
            format!("250{mark}{keyword}")
        });
        lines.collect::<Vec<_>>().join("\r\n")
    }

    async fn mail(&mut self, line: &str) -> Result<(), End> {
        self.reset();
        let number = {
            let mut seen = self.shared.seen();
            let number = &mut seen.mails[self.number - 1];
            *number += 1;
            *number
        };
        let manners = &self.shared.script.manners;
        let enough =
            self.shared.is_ill() && manners.most_messages > 0 && number > manners.most_messages;
        let usual = if enough {
            manners.enough.as_str()
        } else {
            "250 2.1.0 ok"
        };
        let codes = self.reply(At::Mail(number), usual).await?;
        if is_completion(&codes) {
            self.mail = line.to_owned();
        }
        Ok(())
    }

    async fn rcpt(&mut self, line: &str) -> Result<(), End> {
        let manners = &self.shared.script.manners;
        let local_part = line
            .split_once('<')
            .and_then(|(_, path)| path.split_once('@'))
            .map_or("", |(local_part, _)| local_part);
        let acts = self
            .shared
            .is_ill()
            .then(|| manners.acts_for_recipient(local_part));
        let crowded = self.shared.is_ill()
            && manners.most_recipients > 0
            && self.accepted.len() >= manners.most_recipients;
        let usual = if self.mail.is_empty() {
            "503 5.5.1 MAIL first"
        } else if crowded {
            manners.crowded.as_str()
        } else {
            "250 2.1.5 ok"
        };
        let acts = acts
            .flatten()
            .map_or_else(|| vec![Act::Usual], <[Act]>::to_vec);
        let codes = self.perform(&acts, usual).await?;
        if is_completion(&codes) {
            self.accepted.push(line.to_owned());
        } else {
            self.refused += 1;
        }
        Ok(())
    }

    async fn data(&mut self) -> Result<(), End> {
        let usual = match (self.mail.is_empty(), self.accepted.is_empty()) {
            (true, _) => "503 5.5.1 MAIL first",
            (false, true) => "554 5.5.1 no valid recipients",
            (false, false) => "354 go on",
        };
        if !self.reply(At::Data, usual).await?.contains(&354) {
            return Ok(());
        }
        let octets = self.content().await?;
        self.take(octets).await
    }

    /// A chunk (RFC 3030 section 2): so many octets, whatever they are.
    async fn bdat(&mut self, argument: &str) -> Result<(), End> {
        let (size, last) = argument.split_once(' ').unwrap_or((argument, ""));
        let size: usize = size.parse().map_err(|_| format!("BDAT {argument}"))?;
        while self.input.len() < size {
            if let Err(end) = self.fill().await {
                let come = self.chunks.len() + self.input.len();
                self.shared.seen().cut_short.push(come);
                return Err(end);
            }
        }
        self.chunks.extend(self.input.drain(..size));
        if self.accepted.is_empty() {
            return self.say("554 5.5.1 no valid recipients").await;
        }
        if last.is_empty() {
            drop(self.reply(At::Chunk, "250 2.0.0 have it").await?);
            return Ok(());
        }
        let octets = std::mem::take(&mut self.chunks);
        self.take(octets).await
    }

    /// The content is complete.
    async fn take(&mut self, octets: Vec<u8>) -> Result<(), End> {
        let recipients = std::mem::take(&mut self.accepted);
        let place = {
            let mut seen = self.shared.seen();
            let note = format!("(content, {} octets, final dot)", octets.len());
            seen.note(self.number, "C", note.as_bytes());
            seen.contents.push(Content {
                connection: self.number,
                mail: self.mail.clone(),
                taken: vec![false; recipients.len()],
                recipients: recipients.clone(),
                octets,
            });
            seen.contents.len() - 1
        };
        let lmtp = self.shared.script.lmtp;
        let usual = vec!["250 2.6.0 kept"; if lmtp { recipients.len() } else { 1 }];
        let acts = match self.acts(At::End) {
            Some(acts) => acts,
            None => usual
                .iter()
                .map(|reply| Act::Say((*reply).to_owned()))
                .collect(),
        };
        let mut codes = Vec::new();
        let end = self.perform_into(&acts, "250 2.6.0 kept", &mut codes).await;
        {
            let mut seen = self.shared.seen();
            for (index, taken) in seen.contents[place].taken.iter_mut().enumerate() {
                let code = codes.get(if lmtp { index } else { 0 });
                *taken = code.is_some_and(|code| code / 100 == 2);
            }
        }
        self.reset();
        end
    }

    /// Up to the final dot (RFC 5321 section 4.5.2).
    async fn content(&mut self) -> Result<Vec<u8>, End> {
        let within = if self.shared.is_ill() {
            let within = self.shared.script.manners.within_content();
            within.map(|(octets, acts)| (octets, acts.to_vec()))
        } else {
            None
        };
        let mut within = within;
        let mut octets = Vec::new();
        loop {
            let read = match within {
                // Not by lines: the script may have no octet of them read.
                Some((at, _)) if octets.len() >= at => None,
                _ => Some(self.raw_line().await),
            };
            match read {
                None => {
                    if let Some((_, acts)) = within.take()
                        && let Err(end) = self.perform(&acts, "").await
                    {
                        self.shared.seen().cut_short.push(octets.len());
                        return Err(end);
                    }
                }
                Some(Err(end)) => {
                    self.shared.seen().cut_short.push(octets.len());
                    return Err(end);
                }
                Some(Ok(line)) if line == b".\r\n" => return Ok(octets),
                Some(Ok(line)) => {
                    let stuffed = line.starts_with(b".");
                    octets.extend_from_slice(&line[usize::from(stuffed)..]);
                }
            }
        }
    }

    async fn auth(&mut self, argument: &str) -> Result<(), End> {
        self.shared.seen().logins += 1;
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let mut challenges = match mechanism.to_ascii_uppercase().as_str() {
            "LOGIN" => vec!["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 ok"],
            "PLAIN" if initial.is_empty() => vec!["334 ", "235 2.7.0 ok"],
            "PLAIN" => vec!["235 2.7.0 ok"],
            _ => vec!["504 5.5.4 no such mechanism"],
        }
        .into_iter();
        let manners = &self.shared.script.manners;
        let mut acts = self
            .shared
            .is_ill()
            .then(|| manners.acts_for_mechanism(mechanism).map(<[Act]>::to_vec))
            .flatten();
        loop {
            let usual = challenges.next().unwrap_or("235 2.7.0 ok");
            let due = acts.take().unwrap_or_else(|| vec![Act::Usual]);
            let codes = self.perform(&due, usual).await?;
            if codes.last() != Some(&334) {
                return Ok(());
            }
            if self.line().await? == "*" {
                return self.say("501 5.7.0 cancelled").await;
            }
            acts = self.acts(At::Response);
        }
    }

    async fn secure(&mut self) -> Result<(), End> {
        if let Some(acts) = self.acts(At::Handshake) {
            self.perform(&acts, "").await?;
        }
        let Some([ill, well]) = &self.shared.script.tls else {
            return Err("no certificate".into());
        };
        let config = if self.shared.is_ill() { ill } else { well };
        let Stream::Clear(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err("TLS twice".into());
        };
        self.input.clear();
        let secure = TlsAcceptor::from(Arc::clone(config))
            .accept(stream)
            .await
            .map_err(|error| format!("handshake: {error}"))?;
        let name = secure.get_ref().1.server_name().map(String::from);
        let mut seen = self.shared.seen();
        seen.note(self.number, "-", b"(TLS)");
        seen.server_name = name;
        drop(seen);
        self.stream = Stream::Secure(Box::new(secure));
        Ok(())
    }

    async fn say(&mut self, reply: &str) -> Result<(), End> {
        self.write(format!("{reply}\r\n").as_bytes()).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), End> {
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            self.shared.seen().note(self.number, "S", line);
        }
        let stream = self.stream.both()?;
        stream.write_all(octets).await.map_err(gone)?;
        stream.flush().await.map_err(gone)
    }

    /// A command, without its end.
    async fn line(&mut self) -> Result<String, End> {
        let line = self.raw_line().await?;
        self.shared.seen().note(self.number, "C", &line);
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn raw_line(&mut self) -> Result<Vec<u8>, End> {
        let mut searched = 0;
        loop {
            let new = &self.input[searched..];
            if let Some(at) = new.iter().position(|octet| *octet == b'\n') {
                return Ok(self.input.drain(..=searched + at).collect());
            }
            searched = self.input.len();
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        let mut room = [0; 16 << 10];
        match self.stream.both()?.read(&mut room).await {
            Ok(0) => Err("the client closed".into()),
            Ok(length) => {
                self.input.extend_from_slice(&room[..length]);
                Ok(())
            }
            Err(error) => Err(gone(error)),
        }
    }
}

fn is_completion(codes: &[u16]) -> bool {
    codes.last().is_some_and(|code| code / 100 == 2)
}

fn gone(error: std::io::Error) -> End {
    format!("the client is gone: {error}")
}
