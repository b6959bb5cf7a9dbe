//! A token server on a loopback address.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request that it heard.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) form: HashMap<String, String>,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.form.get(name).map(String::as_str)
    }
}

/// What it says.
pub(crate) enum Answer {
    Json(u16, String),
    /// These octets.
    Raw(Vec<u8>),
    /// JSON that never ends.
    Endless,
    /// Nothing for so long, then the end.
    Silence(Duration),
}

pub(crate) fn granted(token: &str) -> Answer {
    Answer::Json(
        200,
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#),
    )
}

pub(crate) fn error(status: u16, error: &str) -> Answer {
    Answer::Json(status, format!(r#"{{"error":"{error}"}}"#))
}

pub(crate) struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server whose answers this makes; it is told the number of the request, from 1.
    pub(crate) fn new(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
        };
        let heard = Arc::clone(&server.heard);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &heard, &*answer));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<Request> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

/// The requests of one connection, as long as the client has some.
fn serve(
    mut stream: TcpStream,
    heard: &Mutex<Vec<Request>>,
    answer: &dyn Fn(usize, &Request) -> Answer,
) {
    while let Some(request) = read(&mut stream) {
        let number = {
            let mut heard = heard.lock().unwrap();
            heard.push(request.clone());
            heard.len()
        };
        let sent = match answer(number, &request) {
            Answer::Json(status, body) => write!(
                stream,
                "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            Answer::Raw(octets) => {
                let _ = stream.write_all(&octets);
                return;
            }
            Answer::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"");
                while stream.write_all(&[b'a'; 4096]).is_ok() {}
                return;
            }
            Answer::Silence(time) => {
                std::thread::sleep(time);
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut octets = Vec::new();
    let end = loop {
        if let Some(end) = octets.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, &mut octets)?;
    };
    let head = String::from_utf8(octets[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    while octets.len() < end + length {
        more(stream, &mut octets)?;
    }
    let body = String::from_utf8(octets[end..].to_vec()).unwrap();
    let form = body
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (name.to_owned(), super::super::form::decode(value).unwrap()))
        .collect();
    Some(Request { head, form })
}

fn more(stream: &mut TcpStream, octets: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4096];
    match stream.read(&mut piece) {
        Ok(read) if read > 0 => {
            octets.extend_from_slice(&piece[..read]);
            Some(())
        }
        _ => None,
    }
}
