//! The octets' way: a TCP connection, in clear or under TLS.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Reads of unwanted octets after our end of a connection.
const MOST_SCRAP: usize = 256;

/// One connection's socket.
pub enum Transport {
    /// In clear.
    Clear(TcpStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// Being changed from one to the other, or gone.
    Gone,
}

impl Transport {
    fn socket(&self) -> io::Result<&TcpStream> {
        match self {
            Self::Clear(socket) => Ok(socket),
            Self::Tls(stream) => Ok(stream.get_ref().0),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Waits until octets, or the end, may have arrived. Holds no buffer meanwhile.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket()?.readable().await
    }

    /// What has arrived; `None`: nothing now; `Some(0)`: the end.
    ///
    /// # Errors
    ///
    /// The socket's, or TLS's.
    pub async fn take(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let mut buffer = ReadBuf::new(room);
        poll_fn(|context| {
            let polled = match self {
                Self::Clear(socket) => Pin::new(socket).poll_read(context, &mut buffer),
                Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, &mut buffer),
                Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            };
            match polled {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(Some(()))),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Ready(Ok(None)),
            }
        })
        .await
        .map(|read| read.map(|()| buffer.filled().len()))
    }

    /// Writes what the socket takes at once: how many octets. The usual reply fits.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub fn give_at_once(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => match socket.try_write(octets) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                written => written,
            },
            Self::Tls(_) => Ok(0),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Writes some of it: how many octets. Nothing is written if it is cancelled.
    ///
    /// # Errors
    ///
    /// The socket's, or TLS's.
    pub async fn give_some(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Clear(socket) => socket.write(octets).await,
            Self::Tls(stream) => stream.write(octets).await,
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }?;
        if written == 0 && !octets.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(written)
    }

    /// Hands over what TLS still holds.
    ///
    /// # Errors
    ///
    /// TLS's.
    pub async fn push(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) => stream.flush().await,
            Self::Clear(_) | Self::Gone => Ok(()),
        }
    }

    /// Writes all of it; a peer that does not take it in time is gone.
    ///
    /// # Errors
    ///
    /// The socket's, TLS's, or `TimedOut`.
    pub async fn give(&mut self, octets: &[u8], limit: Duration) -> io::Result<()> {
        let write = async {
            let mut written = 0;
            while written < octets.len() {
                written += self.give_some(&octets[written..]).await?;
            }
            self.push().await
        };
        tokio::time::timeout(limit, write)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Ends the connection in an orderly way. Octets that the peer has sent and nobody read would
    /// turn the end into a reset, which can destroy a reply on its way: they are read and dropped,
    /// for a moment.
    pub async fn close(&mut self) {
        let close = async {
            // The peer may be gone already; there is nothing left to lose.
            let _ = match self {
                Self::Clear(socket) => socket.shutdown().await,
                Self::Tls(stream) => stream.shutdown().await,
                Self::Gone => return,
            };
            let mut scrap = [0; 4096];
            for _ in 0..MOST_SCRAP {
                match self.take(&mut scrap).await {
                    Ok(Some(length)) if length > 0 => {
                        if self.readable().await.is_err() {
                            break;
                        }
                    }
                    _ => break,
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), close).await;
        *self = Self::Gone;
    }
}
