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

    /// Writes all of it; a peer that does not take it in time is gone.
    ///
    /// # Errors
    ///
    /// The socket's, TLS's, or `TimedOut`.
    pub async fn give(&mut self, octets: &[u8], within: Duration) -> io::Result<()> {
        // The usual reply fits the socket's buffer: no timer for it.
        if let Self::Clear(socket) = self {
            match socket.try_write(octets) {
                Ok(written) if written == octets.len() => return Ok(()),
                Ok(written) => return self.give_rest(&octets[written..], within).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.give_rest(octets, within).await
    }

    async fn give_rest(&mut self, octets: &[u8], within: Duration) -> io::Result<()> {
        let write = async {
            match self {
                Self::Clear(socket) => socket.write_all(octets).await,
                Self::Tls(stream) => {
                    stream.write_all(octets).await?;
                    stream.flush().await
                }
                Self::Gone => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        tokio::time::timeout(within, write)
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
