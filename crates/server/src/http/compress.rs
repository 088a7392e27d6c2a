//! Replies are compressed with gzip when the client takes it and it pays.

use std::io::Write;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use flate2::{Compression, write::GzEncoder};
use http_body_util::BodyExt;

/// Below this size a reply is sent as it is.
const WORTH_IT_BYTES: u64 = 1024;

/// Whether the client takes gzip.
pub(crate) fn takes_gzip(request: &HeaderMap) -> bool {
    let accepted = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for coding in accepted.flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weights = parts.filter_map(|part| part.split_once('='));
        let mut weights = weights.filter(|(key, _)| key.trim().eq_ignore_ascii_case("q"));
        let takes = weights.all(|(_, weight)| weight.trim().parse::<f64>() != Ok(0.0));
        // What is said of gzip holds, whatever is said of all others.
        match name {
            "*" => any |= takes,
            name if name.eq_ignore_ascii_case("gzip") => return takes,
            _ => {}
        }
    }
    any
}

/// The response with its body compressed, where the client takes it and the body is whole and large enough.
pub(crate) fn compressed(request: &HeaderMap, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let size = body.size_hint().exact().unwrap_or(0);
    if size < WORTH_IT_BYTES || !takes_gzip(request) {
        return Response::from_parts(parts, body);
    }
    let Some(whole) = whole(body) else {
        return Response::from_parts(parts, Body::empty());
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(whole.len() / 4), Compression::fast());
    let packed = encoder.write_all(&whole).and_then(|()| encoder.finish());
    let Ok(packed) = packed else {
        return Response::from_parts(parts, Body::from(whole));
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}

/// The bytes of a body that is already in memory.
fn whole(body: Body) -> Option<bytes::Bytes> {
    use futures_util::FutureExt;
    Some(body.collect().now_or_never()?.ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obeys_accept_encoding() {
        let check = |value: &'static str, takes: bool| {
            let mut request = HeaderMap::new();
            request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&request), takes, "{value}");
        };
        check("gzip, deflate, br", true);
        check("br;q=1.0, gzip;q=0.8", true);
        check("gzip;q=0", false);
        check("identity", false);
        check("*", true);
        check("gzip ; Q=0.0, *", false);
        check("*;q=0, gzip;q=0.5", true);
        check("*;q=0", false);
    }
}
