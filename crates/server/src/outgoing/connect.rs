//! Connections to hosts: plain or TLS, direct or over a proxy.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::{
        self,
        connect::{Connected, Connection},
    },
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{Error, credentials::basic, proxy, tls::Tls};
use crate::{
    config::{Proxy, TlsClientConfig},
    errors::chain,
};

/// Opens connections for a client of HTTP.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Ways>);

#[derive(Debug)]
struct Ways {
    tls: Tls,
    /// TLS with the proxy itself: the same authorities, no certificate of ours.
    proxy_tls: Tls,
    proxy: Option<Proxy>,
}

impl Connector {
    /// Straight to whoever is asked, over TLS where the URL says `https`; HTTP/1.1 is spoken.
    pub fn direct(tls: &TlsClientConfig) -> Self {
        Self::new(tls, None, false)
    }

    pub(super) fn new(tls: &TlsClientConfig, proxy: Option<&Proxy>, http2: bool) -> Self {
        let with_proxy = TlsClientConfig { server_name: None, identity: None, ..tls.clone() };
        Self(Arc::new(Ways {
            tls: Tls::new(tls.clone(), http2),
            proxy_tls: Tls::new(with_proxy, false),
            proxy: proxy.cloned(),
        }))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let ways = self.0.clone();
        Box::pin(async move { ways.open(&uri).await })
    }
}

impl Ways {
    async fn open(&self, uri: &Uri) -> Result<Stream, Error> {
        let host = uri.host().ok_or_else(|| Error::Unusable("the URL names no host".to_owned()))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Error::Unusable("the URL is neither `http` nor `https`".to_owned())),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let proxy = self.proxy.as_ref().filter(|proxy| proxy::covers(proxy, host));
        let mut stream: Box<dyn Io> = match proxy {
            None => Box::new(dial(host, port).await?),
            Some(Proxy { url, .. }) if url.secure => {
                let stream = dial(&url.host, url.port).await?;
                Box::new(secured(&self.proxy_tls, stream, (&url.host, url.port)).await?)
            }
            Some(Proxy { url, .. }) => Box::new(dial(&url.host, url.port).await?),
        };
        if !secure {
            return Ok(Stream { io: TokioIo::new(stream), is_proxied: proxy.is_some(), is_http2: false });
        }
        if let Some(proxy) = proxy {
            proxy::tunnel(&mut stream, proxy, (host, port)).await?;
        }
        let stream = secured(&self.tls, stream, (host, port)).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: TokioIo::new(Box::new(stream)), is_proxied: false, is_http2 })
    }
}

/// A connection to a host.
pub(crate) async fn dial(host: &str, port: u16) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    let stream = stream
        .map_err(|error| Error::Unreachable(format!("cannot connect to {host}:{port}: {}", chain(&error))))?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// TLS over a connection to a host.
pub(super) async fn secured<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &Tls,
    stream: S,
    (host, port): (&str, u16),
) -> Result<tokio_rustls::client::TlsStream<S>, Error> {
    let name = tls.server_name().unwrap_or(host).trim_matches(['[', ']']).to_owned();
    let name =
        ServerName::try_from(name).map_err(|_| Error::Unusable(format!("{host} is no name of a server")))?;
    let connected = TlsConnector::from(tls.config()?).connect(name, stream).await;
    connected.map_err(|error| Error::Unreachable(format!("no TLS with {host}:{port}: {}", chain(&error))))
}

/// Tells a proxy who asks, where the request itself goes to it.
pub(super) fn through_proxy<B>(request: &mut Request<B>, proxy: Option<&Proxy>) {
    let plain = request.uri().scheme_str() == Some("http");
    let host = request.uri().host().unwrap_or_default();
    let Some(proxy) = proxy.filter(|proxy| plain && proxy::covers(proxy, host)) else { return };
    if let Some(header) = proxy.url.user.as_deref().and_then(|user| basic(user).ok()) {
        request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, header);
    }
}

/// What is wrong with the configuration, if that is why there is no connection.
pub(super) fn unusable(error: &legacy::Error) -> Option<String> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(Error::Unusable(text)) = error.downcast_ref() {
            return Some(text.clone());
        }
        cause = error.source();
    }
    None
}

/// Something to read from and write to.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that is open.
pub struct Stream {
    io: TokioIo<Box<dyn Io>>,
    is_proxied: bool,
    is_http2: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied);
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
