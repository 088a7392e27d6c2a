//! Reading an answer: never more than its limit, whatever it would grow to.

use std::io::Read;

use bytes::Bytes;
use http::{HeaderValue, Response, header::CONTENT_ENCODING, header::CONTENT_LENGTH};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Answer, Error};
use crate::errors::chain;

/// Reads an answer. What is in a coding that is not known here stays in it, and says so.
pub(super) async fn read(response: Response<Incoming>, limit: u64) -> Result<Answer, Error> {
    let (mut head, body) = response.into_parts();
    let body = collect(body, limit).await?;
    let coding = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let body = match coding {
        Some(b"gzip" | b"x-gzip") => bounded(flate2::read::MultiGzDecoder::new(&body[..]), "gzip", limit)?,
        Some(b"zstd") => bounded(zstd(&body)?, "zstd", limit)?,
        Some(b"identity" | b"") => body,
        _ => return Ok(Answer { status: head.status, headers: head.headers, body }),
    };
    head.headers.remove(CONTENT_ENCODING);
    head.headers.remove(CONTENT_LENGTH);
    Ok(Answer { status: head.status, headers: head.headers, body })
}

async fn collect(mut body: Incoming, limit: u64) -> Result<Bytes, Error> {
    if body.size_hint().lower() > limit {
        return Err(Error::TooLarge(limit));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Error::Broken(format!("the answer broke off: {}", chain(&error))))?;
        if let Some(data) = frame.data_ref() {
            if (bytes.len() + data.len()) as u64 > limit {
                return Err(Error::TooLarge(limit));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes.into())
}

/// Windows larger than 8 MiB are refused, as RFC 9659 has it.
fn zstd(bytes: &[u8]) -> Result<impl Read, Error> {
    let broken = |error: std::io::Error| Error::Broken(format!("the answer is not zstd: {error}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(broken)?;
    decoder.window_log_max(23).map_err(broken)?;
    Ok(decoder)
}

/// Never holds more than the limit and one byte.
fn bounded(decoder: impl Read, name: &str, limit: u64) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    let mut decoder = decoder.take(limit.saturating_add(1));
    decoder
        .read_to_end(&mut bytes)
        .map_err(|error| Error::Broken(format!("the answer is not {name}: {error}")))?;
    if bytes.len() as u64 > limit { Err(Error::TooLarge(limit)) } else { Ok(bytes.into()) }
}
