//! Compressed bodies, unpacked within a limit of bytes, and of how much a body may grow.
//!
//! A body that grows beyond [`GROWTH_MAX`] is given up as soon as that is seen, long before it is as large as a body may be:
//! telemetry packs twenty or fifty to one, and what packs better by far is made to hurt.

use std::io::{self, Read};

use axum::http::StatusCode;

use crate::intake::Refused;

/// Unpacked bytes for each packed one, at most.
pub(crate) const GROWTH_MAX: usize = 256;
/// So much may come out of any body.
const ALWAYS: usize = 1 << 20;
/// Unpacked at a time.
const STEP: usize = 64 << 10;
/// The most that a sender can make us hold of what was unpacked before: 8 MiB, as the format's specification recommends.
const WINDOW_LOG_MAX: u32 = 23;

/// Unpacks gzip, of one member or several.
///
/// # Errors
/// It is no gzip, or becomes too large.
pub(crate) fn gzip(body: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let decoder = flate2::bufread::MultiGzDecoder::new(body);
    whole("gzip", decoder, |decoder| decoder.get_ref().len(), body.len(), limit)
}

/// Unpacks zstd.
///
/// # Errors
/// It is no zstd, or becomes too large.
pub(crate) fn zstd(body: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let bounded = zstd::stream::read::Decoder::with_buffer(body).and_then(|mut decoder| {
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(decoder)
    });
    let decoder = bounded.map_err(|error| broken("zstd", &error))?;
    whole("zstd", decoder, |decoder| decoder.get_ref().len(), body.len(), limit)
}

fn broken(coding: &str, error: &io::Error) -> Refused {
    (StatusCode::BAD_REQUEST, format!("cannot unpack the body ({coding}): {error}"))
}

/// Reads to the end; `left` says how much of the body was not looked at yet.
fn whole<R: Read>(
    coding: &str,
    mut decoder: R,
    left: impl Fn(&R) -> usize,
    packed: usize,
    limit: usize,
) -> Result<Vec<u8>, Refused> {
    let too_large = |why: String| Err((StatusCode::PAYLOAD_TOO_LARGE, why));
    let mut unpacked = Vec::new();
    loop {
        let read = decoder.by_ref().take(STEP as u64).read_to_end(&mut unpacked);
        if read.map_err(|error| broken(coding, &error))? == 0 {
            return Ok(unpacked);
        }
        if unpacked.len() > limit {
            return too_large(format!("the body expands to more than {limit} bytes; send it in several"));
        }
        let seen = packed.saturating_sub(left(&decoder)).max(1);
        if unpacked.len() > ALWAYS && unpacked.len() / GROWTH_MAX > seen {
            return too_large(format!(
                "the body expands more than {GROWTH_MAX} times; send it in several, or less compressed"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(text: &[u8]) -> [Vec<u8>; 2] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(text).unwrap();
        [gzip.finish().unwrap(), zstd::stream::encode_all(text, 1).unwrap()]
    }

    type Unpack = fn(&[u8], usize) -> Result<Vec<u8>, Refused>;

    #[test]
    fn bodies_are_unpacked_within_the_limit() {
        let text: Vec<u8> = (0..10_000_u32).flat_map(|i| (i * i).to_le_bytes()).collect();
        for (body, unpack) in packed(&text).into_iter().zip([gzip as Unpack, zstd]) {
            assert_eq!(unpack(&body, 40_000).unwrap(), text);
            assert_eq!(unpack(&body, 39_999).unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(unpack(&body[..9], 40_000).unwrap_err().0, StatusCode::BAD_REQUEST);
            assert_eq!(unpack(b"hello", 40_000).unwrap_err().0, StatusCode::BAD_REQUEST);
        }
        let twice = [&*packed(b"a")[0], &*packed(b"b")[0]].concat();
        assert_eq!(gzip(&twice, 10).unwrap(), b"ab");
    }

    #[test]
    fn what_grows_too_much_is_given_up() {
        let check = |size: usize, taken: bool| {
            for (body, unpack) in packed(&vec![b'\n'; size]).into_iter().zip([gzip as Unpack, zstd]) {
                match unpack(&body, 1 << 30) {
                    Ok(text) => assert!(taken && text.len() == size, "{size}"),
                    Err((status, why)) => {
                        assert!(!taken && why.contains("256 times"), "{size}: {why}");
                        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
                    }
                }
            }
        };
        check(ALWAYS, true);
        check(8 << 20, false);
    }
}
