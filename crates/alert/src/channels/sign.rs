//! What tells receivers that a request is ours and whether they have seen it.

use ring::{digest, hmac};

use crate::notice::Notice;

/// The header of the signature: `t=SECONDS,v1=HEX`, over the seconds, a dot and the body.
pub const SIGNATURE: &str = "Barograph-Signature";
/// The header by which a receiver knows a notice that it has taken before.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The same for each try of a notice, and for no other notice.
pub fn idempotency_key(notice: &Notice) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    // Lengths first, so that nothing flows into its neighbour.
    for part in [notice.dedup_key.as_bytes(), &notice.seq.to_be_bytes()] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finish().as_ref()[..16])
}

/// A name of an incident at a receiver that is short and safe anywhere.
pub(super) fn short(dedup_key: &str) -> String {
    hex(&digest::digest(&digest::SHA256, dedup_key.as_bytes()).as_ref()[..16])
}

/// The signature of a body that is sent at a time (seconds since the epoch).
pub fn signature(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex(mac.sign().as_ref()))
}

/// Bytes in small hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::tests::notice;

    #[test]
    fn keys_tell_notices_apart() {
        let first = notice();
        let mut second = first.clone();
        assert_eq!(idempotency_key(&first), idempotency_key(&second));
        second.seq += 1;
        assert_ne!(idempotency_key(&first), idempotency_key(&second));
        assert_eq!(idempotency_key(&first).len(), 32);
    }

    #[test]
    fn a_signature_is_hmac_sha256() {
        // echo -n '1.{}' | openssl dgst -sha256 -hmac key
        assert_eq!(
            signature("key", 1, b"{}"),
            "t=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"
        );
    }
}
