//! A DNS server that knows the addresses of the names that it was told, and says of all others that
//! there is no such name (RFC 1035 section 4.1).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UdpSocket;

/// Names that lead to 127.0.0.1.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<BTreeSet<String>>>);

impl Names {
    /// From now on this name is known.
    pub fn add(&self, name: &str) {
        self.known().insert(name.to_ascii_lowercase());
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers until the runtime ends; where.
    pub async fn serve(&self) -> std::io::Result<SocketAddr> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let names = self.clone();
        tokio::spawn(async move {
            let mut room = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut room).await {
                if let Some(answer) = names.answer(&room[..length]) {
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        Ok(address)
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let mut name = String::new();
        let mut at = 12;
        loop {
            let length = usize::from(*query.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = query.get(at..at + length)?;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
            at += length;
        }
        let question = query.get(12..at + 4)?;
        let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
        let known = self.known().contains(&name);
        let found = known && kind == 1;
        let mut answer = query.get(..2)?.to_vec();
        // QR, AA, RD, RA; RCODE 3 where there is no such name.
        answer.extend([0x85, if known { 0x80 } else { 0x83 }]);
        answer.extend([0, 1, 0, u8::from(found), 0, 0, 0, 0]);
        answer.extend(question);
        if found {
            // A pointer to the question's name; A, IN, a TTL of 0 seconds.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
        }
        Some(answer)
    }
}
