//! Bodies as they were compressed, unpacked within a limit.

use axum::http::StatusCode;
use bytes::Bytes;

use crate::{intake::Refused, unpack};

/// How a body was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Gzip,
    Zstd,
}

impl Coding {
    /// That of a `Content-Encoding`.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let is = |other: &str| name.trim().eq_ignore_ascii_case(other);
        match () {
            () if is("") || is("identity") => Some(Self::Plain),
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("zstd") => Some(Self::Zstd),
            () => None,
        }
    }

    /// Unpacks a body that has at most `limit` bytes then.
    pub(super) fn unpack(self, body: Bytes, limit: usize) -> Result<Bytes, Refused> {
        match self {
            Self::Plain if body.len() > limit => Err((
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {limit} bytes; send it in several requests"),
            )),
            Self::Plain => Ok(body),
            Self::Gzip => unpack::gzip(&body, limit).map(Bytes::from),
            Self::Zstd => unpack::zstd(&body, limit).map(Bytes::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn bodies_are_unpacked_within_the_limit() {
        let text = vec![b'x'; 10_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::stream::encode_all(&text[..], 1).unwrap();
        for (coding, packed) in [("", text.clone()), ("gzip", gzip), ("zstd", zstd)] {
            let coding = Coding::of(coding).unwrap();
            let unpack = |body: &[u8], limit| coding.unpack(Bytes::copy_from_slice(body), limit);
            assert_eq!(unpack(&packed, 10_000).unwrap(), text);
            assert_eq!(unpack(&packed, 9_999).unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE, "{coding:?}");
            if coding != Coding::Plain {
                assert_eq!(unpack(&packed[..9], 10_000).unwrap_err().0, StatusCode::BAD_REQUEST);
                assert_eq!(unpack(b"hello", 10_000).unwrap_err().0, StatusCode::BAD_REQUEST);
            }
        }
        assert_eq!(Coding::of("br"), None);
    }
}
