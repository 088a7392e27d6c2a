//! The snappy block around a request.
//!
//! A block begins with the length it claims to decode to. That claim is checked against the limit and against what
//! a block of its size can hold at all, before a byte is allocated for it.

use std::fmt;

/// The most bytes a request may decode to, unless configured otherwise.
pub const DECODED_BYTES_MAX: usize = 128 << 20;

/// A copy of 64 bytes takes at least 3: no block decodes to more than this times its size.
const EXPANSION_MAX: usize = 22;

/// How a stream in the framed format begins.
const FRAMED_START: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Why a body is not a snappy block we take.
#[derive(Debug)]
#[non_exhaustive]
pub enum SnappyError {
    /// The sender used the other of snappy's two formats.
    Framed,
    /// It would decode to more than is allowed.
    TooLarge {
        /// What it claims.
        declared: usize,
        /// What is allowed.
        limit: usize,
    },
    /// It is not snappy.
    Malformed {
        /// What the decoder met.
        reason: String,
    },
}

impl fmt::Display for SnappyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framed => {
                f.write_str("body is in snappy's framed format; remote write sends the block format")
            }
            Self::TooLarge { declared, limit } => write!(
                f,
                "body declares {declared} bytes after decompression, more than the limit of {limit}"
            ),
            Self::Malformed { reason } => write!(f, "body is not a snappy block: {reason}"),
        }
    }
}

impl std::error::Error for SnappyError {}

/// Bytes that a body says it decodes to; zero if it says nothing.
pub fn declared_len(body: &[u8]) -> usize {
    snap::raw::decompress_len(body).unwrap_or(0)
}

/// Decodes a block into `scratch`, which grows as needed and is meant to be kept for the next body.
///
/// # Errors
/// See [`SnappyError`]; nothing is allocated for a body whose declared length is over `limit` or impossible.
pub fn decompress<'s>(body: &[u8], scratch: &'s mut Vec<u8>, limit: usize) -> Result<&'s [u8], SnappyError> {
    let declared = declared(body, limit)?;
    if scratch.len() < declared {
        scratch.resize(declared, 0);
    }
    let decoded = &mut scratch[..declared];
    let malformed = |error: snap::Error| SnappyError::Malformed { reason: error.to_string() };
    snap::raw::Decoder::new().decompress(body, decoded).map_err(malformed)?;
    Ok(decoded)
}

/// The length that a block declares, if it may be so and is allowed.
pub(super) fn declared(body: &[u8], limit: usize) -> Result<usize, SnappyError> {
    if body.starts_with(FRAMED_START) {
        return Err(SnappyError::Framed);
    }
    let malformed = |reason: String| SnappyError::Malformed { reason };
    if body.is_empty() {
        return Err(malformed("it is empty".to_owned()));
    }
    let declared = snap::raw::decompress_len(body).map_err(|error| malformed(error.to_string()))?;
    if declared > limit {
        return Err(SnappyError::TooLarge { declared, limit });
    }
    if declared / EXPANSION_MAX > body.len() {
        return Err(malformed(format!("{} bytes cannot hold the {declared} it declares", body.len())));
    }
    Ok(declared)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_refused(body: &[u8], limit: usize, message: &str) {
        let mut scratch = Vec::new();
        let error = decompress(body, &mut scratch, limit).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} should contain {message:?}");
        assert_eq!(scratch.capacity(), 0, "nothing is allocated for {message:?}");
    }

    #[test]
    fn decodes_into_the_scratch() {
        let mut encoder = snap::raw::Encoder::new();
        let mut scratch = Vec::new();
        for text in ["a".repeat(10_000), "b".to_owned(), String::new()] {
            let block = encoder.compress_vec(text.as_bytes()).unwrap();
            assert_eq!(decompress(&block, &mut scratch, 10_000).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn refuses_before_it_allocates() {
        check_refused(FRAMED_START, 1 << 20, "framed format");
        check_refused(b"", 1 << 20, "empty");
        check_refused(b"\xff\xff\xff\xff\xff\xff\xff", 1 << 20, "not a snappy block");
        check_refused(b"\xff\xff\xff\xff\x0f", 1 << 20, "more than the limit of 1048576");
        check_refused(b"\x80\x80\x40aaaa", 1 << 20, "7 bytes cannot hold the 1048576 it declares");
    }

    proptest! {
        #[test]
        fn any_bytes_are_fine(body: Vec<u8>) {
            let mut scratch = Vec::new();
            let _ = decompress(&body, &mut scratch, 1 << 16);
            prop_assert!(scratch.len() <= 1 << 16);
        }
    }
}
