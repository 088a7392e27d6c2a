//! A way through a proxy to a host (RFC 9110, 9.3.6).

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    Error,
    credentials::{basic, put_configured},
};
use crate::config::Proxy;

/// Bytes of what a proxy says before it lets us through.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Whether a host is asked over the proxy.
pub(super) fn covers(proxy: &Proxy, host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    !proxy.except.iter().any(|exception| exception.covers(host))
}

/// Makes of a connection to a proxy one to a host.
pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    proxy: &Proxy,
    (host, port): (&str, u16),
) -> Result<(), Error> {
    let mut headers = HeaderMap::new();
    put_configured(&mut headers, &proxy.connect_headers)?;
    if let Some(user) = &proxy.url.user {
        headers.insert(http::header::PROXY_AUTHORIZATION, basic(user)?);
    }
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n").into_bytes();
    for (name, value) in &headers {
        request.extend_from_slice(name.as_str().as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let place = || format!("the proxy {}:{}", proxy.url.host, proxy.url.port);
    let broken = |error: std::io::Error| Error::Unreachable(format!("{}: {error}", place()));
    stream.write_all(&request).await.map_err(broken)?;
    let mut head = Vec::new();
    // What follows the head belongs to the host, so nothing beyond it is taken; nobody speaks before we do.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(Error::Unreachable(format!("{} says too much", place())));
        }
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    let status = head.split(|byte| *byte == b' ').nth(1).and_then(|word| std::str::from_utf8(word).ok());
    match status.and_then(|word| word.get(..3)?.parse::<u16>().ok()) {
        Some(200..300) => Ok(()),
        Some(status) => Err(Error::Unreachable(format!("{} answered {status} to CONNECT", place()))),
        None => Err(Error::Unreachable(format!("{} speaks no HTTP", place()))),
    }
}
