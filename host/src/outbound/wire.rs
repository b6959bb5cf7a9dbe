//! The socket, in clear or under TLS.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// One connection's socket.
pub(super) enum Wire {
    /// In clear.
    Clear(TcpStream),
    /// A socket of this machine, in clear.
    Unix(UnixStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// Being changed from one to the other, or gone.
    Gone,
}

impl Wire {
    /// Waits for octets; 0: the end.
    pub(super) async fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.read(room).await,
            Self::Unix(socket) => socket.read(room).await,
            Self::Tls(stream) => stream.read(room).await,
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// What has arrived; `None`: nothing now; `Some(0)`: the end.
    pub(super) async fn take(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        let mut buffer = ReadBuf::new(room);
        poll_fn(|context| {
            let polled = match self {
                Self::Clear(socket) => Pin::new(socket).poll_read(context, &mut buffer),
                Self::Unix(socket) => Pin::new(socket).poll_read(context, &mut buffer),
                Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, &mut buffer),
                Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            };
            match polled {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(true)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Ready(Ok(false)),
            }
        })
        .await
        .map(|arrived| arrived.then(|| buffer.filled().len()))
    }

    /// Writes all of it.
    pub(super) async fn give(&mut self, octets: &[u8], within: Duration) -> io::Result<()> {
        let write = async {
            match self {
                Self::Clear(socket) => socket.write_all(octets).await,
                Self::Unix(socket) => socket.write_all(octets).await,
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

    /// Ends the connection in an orderly way.
    pub(super) async fn close(&mut self) {
        let close = async {
            // The server may be gone already; there is nothing left to lose.
            let _ = match self {
                Self::Clear(socket) => socket.shutdown().await,
                Self::Unix(socket) => socket.shutdown().await,
                Self::Tls(stream) => stream.shutdown().await,
                Self::Gone => Ok(()),
            };
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), close).await;
        *self = Self::Gone;
    }
}
