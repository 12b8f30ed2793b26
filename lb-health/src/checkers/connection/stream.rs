//! The byte stream that checkers talk over: TCP, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection to a target.
#[derive(Debug)]
pub(in crate::checkers) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// On the way from one of the above to the other, which then failed.
    #[cfg(feature = "tls")]
    Gone,
}

impl Stream {
    /// The connection under whatever is spoken over it.
    pub(in crate::checkers) fn tcp(&self) -> io::Result<&TcpStream> {
        match self {
            Self::Plain(stream) => Ok(stream),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Ok(stream.get_ref().0),
            #[cfg(feature = "tls")]
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Lets the next flush say that nothing more will be sent, if what is spoken has a word for that
    /// which the target can hear before the connection ends.
    pub(in crate::checkers) fn end_session(&mut self) {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self {
            stream.get_mut().1.send_close_notify();
        }
    }
}

/// Calls the method of whichever stream it is.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Plain($inner) => {
                let $inner = Pin::new($inner);
                $call
            }
            #[cfg(feature = "tls")]
            Stream::Tls($inner) => {
                let $inner = Pin::new($inner.as_mut());
                $call
            }
            #[cfg(feature = "tls")]
            Stream::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(context))
    }
}
