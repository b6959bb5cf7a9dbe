//! Messages into the service, as an old program would send them.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One message. `mail` and `rcpt` are parameters, or empty. The identifier.
pub(super) async fn submit(
    server: SocketAddr,
    reverse_path: &str,
    mail: &str,
    recipients: &[String],
    rcpt: &str,
    content: &[u8],
) -> Result<String, String> {
    let work = async {
        let stream = TcpStream::connect(server).await?;
        let mut stream = BufReader::new(stream);
        say(&mut stream, b"", "220").await?;
        say(&mut stream, b"EHLO client.test\r\n", "250").await?;
        let command = format!("MAIL FROM:<{reverse_path}>{}\r\n", spaced(mail));
        say(&mut stream, command.as_bytes(), "250").await?;
        for mailbox in recipients {
            let command = format!("RCPT TO:<{mailbox}>{}\r\n", spaced(rcpt));
            say(&mut stream, command.as_bytes(), "250").await?;
        }
        say(&mut stream, b"DATA\r\n", "354").await?;
        let mut stuffed = Vec::with_capacity(content.len() + 1024);
        for line in content.split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b".") {
                stuffed.push(b'.');
            }
            stuffed.extend_from_slice(line);
        }
        stuffed.extend_from_slice(b".\r\n");
        let reply = say(&mut stream, &stuffed, "250").await?;
        stream.write_all(b"QUIT\r\n").await?;
        let words = reply.split_whitespace().last().unwrap_or_default();
        Ok::<_, std::io::Error>(words.to_owned())
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(id)) => Ok(id),
        Ok(Err(error)) => Err(format!("cannot submit: {error}")),
        Err(_) => Err("cannot submit: the service takes too long".into()),
    }
}

fn spaced(parameters: &str) -> String {
    match parameters {
        "" => String::new(),
        some => format!(" {some}"),
    }
}

async fn say(
    stream: &mut BufReader<TcpStream>,
    octets: &[u8],
    code: &str,
) -> std::io::Result<String> {
    stream.write_all(octets).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::other("closed"));
        }
        if !line.starts_with(code) {
            return Err(std::io::Error::other(line));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(line);
        }
    }
}
