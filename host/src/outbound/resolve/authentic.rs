//! Questions whose answers count only if a name server that checks DNSSEC says that they are authentic
//! (RFC 4035 section 3.2.3, RFC 6840 section 5.7). Whether its word counts, an administrator says.
//!
//! The AD bit must be asked for, which the resolver for ordinary lookups does not do.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server has for one try.
const TRY: Duration = Duration::from_secs(3);

/// Nobody gave an answer: all are away, or cannot say (SERVFAIL, forged answers too).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAnswer;

/// The records of a name, none if it is proven that there are none. `None`: there is an answer, and it
/// is not authentic.
pub(super) async fn records(
    servers: &[SocketAddr],
    name: &Name,
    kind: RecordType,
) -> Result<Option<Vec<Record>>, NoAnswer> {
    // One lost datagram is no verdict.
    for server in servers.iter().chain(servers) {
        let Ok(Ok(answer)) = timeout(TRY, ask(*server, name, kind)).await else {
            continue;
        };
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                return Ok(answer
                    .metadata
                    .authentic_data
                    .then(|| answer.answers.clone()));
            }
            // It cannot say, or finds the answer forged (SERVFAIL).
            _ => {}
        }
    }
    Err(NoAnswer)
}

async fn ask(server: SocketAddr, name: &Name, kind: RecordType) -> io::Result<Message> {
    let mut query = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.metadata.authentic_data = true;
    query.add_query(Query::query(name.clone(), kind));
    let octets = query.to_vec().map_err(io::Error::other)?;
    let answer = by_udp(server, &octets, &query).await?;
    // RFC 7766 section 5
    if answer.metadata.truncation {
        return by_tcp(server, &octets, &query).await;
    }
    Ok(answer)
}

async fn by_udp(server: SocketAddr, octets: &[u8], query: &Message) -> io::Result<Message> {
    // A port of its own for each question, against forged answers (RFC 5452 section 9.2).
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(server).await?;
    socket.send(octets).await?;
    let mut room = vec![0; 4096];
    loop {
        let length = socket.recv(&mut room).await?;
        let answer = room.get(..length).unwrap_or_default();
        // What is no answer to this question is somebody else's.
        if let Ok(answer) = Message::from_vec(answer)
            && is_answer(&answer, query)
        {
            return Ok(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, octets: &[u8], query: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    stream.write_u16(length).await?;
    stream.write_all(octets).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    let answer = Message::from_vec(&answer).map_err(io::Error::other)?;
    is_answer(&answer, query)
        .then_some(answer)
        .ok_or_else(|| io::Error::other("the answer is not to this question"))
}

fn is_answer(answer: &Message, query: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == query.metadata.id
        && answer.queries == query.queries
}
