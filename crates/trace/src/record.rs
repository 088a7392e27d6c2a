//! One batch as the payload of a record: whose it is, what it is found by, and its bytes, compressed.
//!
//! A record of kind [`BATCH`] is nobody's in particular; one of kind [`OWNED`] begins with the name of its owner.
//!
//! ```text
//! [owner length u8 | owner]
//! received i64 | earliest u64 | latest u64 | spans u32 | body length u32 | keys u32
//! key u64 × keys, sorted, each once | body, one zstd frame                            all little-endian
//! ```
//!
//! What was not written by [`write()`] is `None`, or an error of [`Payload::body`], whatever the bytes are.

use std::io::Read;

use crate::Error;

/// The bytes of a body, not compressed, are no more than this.
pub const BODY_BYTES_MAX: usize = 128 << 20;

/// Compression is quick rather than thorough: bytes wait for it while a request does.
const LEVEL: i32 = 1;

const HEAD_LEN: usize = 36;

/// The kind of a record that is a batch of no owner.
pub const BATCH: u8 = 1;
/// The kind of a record that is a batch of an owner.
pub const OWNED: u8 = 2;
/// The name of an owner is no longer.
pub const OWNER_BYTES_MAX: usize = u8::MAX as usize;

/// A trace's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

impl TraceId {
    /// What it is found by: its last eight bytes, which are random in all ways of making ids.
    pub fn key(self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// Spans that came together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Whose they are; empty for nobody in particular.
    pub owner: &'a str,
    /// Their bytes.
    pub body: &'a [u8],
    /// The traces they are of, in any order.
    pub traces: Vec<TraceId>,
    /// How many there are.
    pub spans: u32,
    /// The nanosecond since the epoch at which the first began.
    pub earliest: u64,
    /// The nanosecond at which the last ended.
    pub latest: u64,
}

/// What is known of a record without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The millisecond at which the batch was taken.
    pub received: i64,
    /// The nanosecond at which its first span began.
    pub earliest: u64,
    /// The nanosecond at which its last span ended.
    pub latest: u64,
    /// How many spans it has.
    pub spans: u32,
    body_len: u32,
}

/// A payload as it lies.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Whose it is; empty for nobody in particular.
    pub owner: &'a str,
    /// What is known without the body.
    pub head: Head,
    keys: &'a [u8],
    compressed: &'a [u8],
}

/// A payload of a batch, and the keys of its traces.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Compress`].
pub fn write(batch: &Batch<'_>, received: i64) -> Result<(Vec<u8>, Head, Vec<u64>), Error> {
    let too_large = || Error::TooLarge { bytes: batch.body.len(), limit: BODY_BYTES_MAX };
    let mut keys: Vec<u64> = batch.traces.iter().map(|trace| trace.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    let body_len = u32::try_from(batch.body.len()).ok().filter(|&len| len as usize <= BODY_BYTES_MAX);
    let body_len = body_len.ok_or_else(too_large)?;
    if keys.len() * 8 > BODY_BYTES_MAX / 2 {
        return Err(too_large());
    }
    let count = u32::try_from(keys.len()).map_err(|_| too_large())?;
    let compressed = zstd::bulk::compress(batch.body, LEVEL).map_err(Error::Compress)?;
    let (bytes, limit) = (batch.owner.len(), OWNER_BYTES_MAX);
    let owner_len = u8::try_from(bytes).map_err(|_| Error::TooLarge { bytes, limit })?;
    let (earliest, latest) = (batch.earliest, batch.latest.max(batch.earliest));
    let head = Head { received, earliest, latest, spans: batch.spans, body_len };
    let mut payload = Vec::with_capacity(1 + bytes + HEAD_LEN + keys.len() * 8 + compressed.len());
    if owner_len > 0 {
        payload.push(owner_len);
        payload.extend_from_slice(batch.owner.as_bytes());
    }
    payload.extend_from_slice(&received.to_le_bytes());
    payload.extend_from_slice(&earliest.to_le_bytes());
    payload.extend_from_slice(&latest.to_le_bytes());
    payload.extend_from_slice(&batch.spans.to_le_bytes());
    payload.extend_from_slice(&body_len.to_le_bytes());
    payload.extend_from_slice(&count.to_le_bytes());
    keys.iter().for_each(|key| payload.extend_from_slice(&key.to_le_bytes()));
    payload.extend_from_slice(&compressed);
    Ok((payload, head, keys))
}

/// The kind of the record that a batch becomes.
pub fn kind_of(batch: &Batch<'_>) -> u8 {
    if batch.owner.is_empty() { BATCH } else { OWNED }
}

/// A payload of a record of that kind, if the bytes begin as one does.
pub fn read(kind: u8, payload: &[u8]) -> Option<Payload<'_>> {
    let (owner, payload) = match kind {
        BATCH => ("", payload),
        OWNED => {
            let (len, rest) = payload.split_first()?;
            let (owner, rest) = rest.split_at_checked(usize::from(*len)).filter(|_| *len > 0)?;
            (std::str::from_utf8(owner).ok()?, rest)
        }
        _ => return None,
    };
    let mut at = 0;
    let received = i64::from_le_bytes(take(payload, &mut at)?);
    let earliest = u64::from_le_bytes(take(payload, &mut at)?);
    let latest = u64::from_le_bytes(take(payload, &mut at)?);
    let spans = u32::from_le_bytes(take(payload, &mut at)?);
    let body_len = u32::from_le_bytes(take(payload, &mut at)?);
    let keys = usize::try_from(u32::from_le_bytes(take(payload, &mut at)?)).ok()?;
    let (keys, compressed) = payload[at..].split_at_checked(keys.checked_mul(8)?)?;
    let sound = earliest <= latest && body_len as usize <= BODY_BYTES_MAX;
    let head = Head { received, earliest, latest, spans, body_len };
    sound.then_some(Payload { owner, head, keys, compressed })
}

impl Payload<'_> {
    /// The keys of its traces.
    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.keys.chunks_exact(8).map(|key| key.first_chunk().map_or(0, |key| u64::from_le_bytes(*key)))
    }

    /// The bytes as they came; `None` if they are not what was written.
    pub fn body(&self) -> Option<Vec<u8>> {
        let len = self.head.body_len as usize;
        let mut body = Vec::new();
        let mut decoder = zstd::stream::Decoder::new(self.compressed).ok()?.single_frame();
        // No frame of ours needs a wider window than the largest body.
        decoder.window_log_max(27).ok()?;
        decoder.take(len as u64 + 1).read_to_end(&mut body).ok()?;
        (body.len() == len).then_some(body)
    }
}

pub(crate) fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let found = bytes.get(*at..)?.first_chunk::<N>()?;
    *at += N;
    Some(*found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(body: &[u8]) -> Batch<'_> {
        let traces = vec![TraceId([9; 16]), TraceId([1; 16]), TraceId([9; 16])];
        Batch { owner: "", body, traces, spans: 3, earliest: 5, latest: 7 }
    }

    #[test]
    fn a_batch_comes_back() {
        let body = b"spans ".repeat(100);
        let (bytes, head, keys) = write(&batch(&body), -1).unwrap();
        assert!(bytes.len() < body.len());
        let payload = read(BATCH, &bytes).unwrap();
        assert_eq!((payload.owner, payload.head, payload.body().unwrap()), ("", head, body));
        assert_eq!(payload.keys().collect::<Vec<_>>(), keys);
        assert_eq!(keys, [0x0101_0101_0101_0101, 0x0909_0909_0909_0909]);
    }

    #[test]
    fn a_batch_may_have_no_bytes() {
        let (bytes, ..) = write(&batch(b""), 0).unwrap();
        assert_eq!(read(BATCH, &bytes).unwrap().body().unwrap(), b"");
    }

    #[test]
    fn a_batch_says_whose_it_is() {
        let of = |owner| Batch { owner, ..batch(b"spans") };
        let (bytes, head, _) = write(&of("shop"), 9).unwrap();
        let payload = read(kind_of(&of("shop")), &bytes).unwrap();
        assert_eq!((payload.owner, payload.head, payload.body().unwrap()), ("shop", head, b"spans".to_vec()));
        assert_eq!((kind_of(&of("")), kind_of(&of("shop"))), (BATCH, OWNED));
        // What says that it is of somebody and does not say of whom is of nobody, not of all.
        let (bytes, ..) = write(&of(""), 9).unwrap();
        assert!(read(OWNED, &[&[0], &bytes[..]].concat()).is_none());
        assert!(read(OWNED, &[&[1, 0xff], &bytes[..]].concat()).is_none());
        assert!(read(OWNED, b"").is_none() && read(3, &bytes).is_none());
        assert!(matches!(write(&of(&"a".repeat(256)), 0), Err(Error::TooLarge { limit: 255, .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            for kind in [BATCH, OWNED] {
                let _ = read(kind, &bytes).and_then(|payload| payload.body());
            }
            let (whole, ..) = write(&batch(&bytes), 0).unwrap();
            let cut = &whole[..cut.min(whole.len() - 1)];
            prop_assert!(read(BATCH, cut).is_none_or(|payload| payload.body().is_none()));
        }
    }
}
