//! Links by which somebody acknowledges without logging in: signed, for one incident and one name, and good until a time.
//!
//! The text of a link is short enough for an SMS: base 64 of a version, the minute in which it ends, the number of the
//! incident, who acknowledges, and the first half of an HMAC-SHA256 over what stands before it. Whoever has no key can make
//! none, and a link for one thing is good for no other.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

/// A longer text is no link of ours.
const TEXT_CHARS_MAX: usize = 300;
/// Bytes of a name; what is more is left out.
const NAME_BYTES_MAX: usize = 100;
const TAG_BYTES: usize = 16;
/// Version, minute and number.
const HEAD_BYTES: usize = 1 + 4 + 8;
const VERSION: u8 = 1;
/// What is signed begins with this, so that it stands for nothing else.
const PURPOSE: &[u8] = b"barograph acknowledge\n";
const MINUTE_MS: i64 = 60_000;

/// What signs links.
pub struct LinkKey(hmac::Key);

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The number in the id of the incident.
    number: u64,
    /// Who acknowledges by it.
    by: String,
    /// The first minute since the epoch in which it is good no more.
    ends: u32,
}

/// Why a link does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// It is none, or somebody changed it.
    #[error("this link is not one of ours, or was changed on the way")]
    Forged,
    /// Its time is up.
    #[error("this link is too old; acknowledge on the page of alerts")]
    Expired,
    /// There is no key.
    #[error("links cannot be checked for now; acknowledge on the page of alerts")]
    NoKey,
}

impl LinkKey {
    /// A key from bytes that nobody else knows.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    fn tag(&self, signed: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(PURPOSE);
        context.update(signed);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }

    /// Whether two tags are alike; how long that takes tells nothing of either.
    fn alike(&self, expected: &[u8], found: &[u8]) -> bool {
        hmac::verify(&self.0, found, hmac::sign(&self.0, expected).as_ref()).is_ok()
    }
}

impl Link {
    /// A link for an incident; `None` if that is no id of an incident. It is good until `expires_ms` and up to a minute more.
    pub fn new(incident: &str, by: &str, expires_ms: i64) -> Option<Self> {
        let digits = incident.strip_prefix("incident_")?;
        let is_number =
            digits.len() == 16 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(digits, 16).ok().filter(|_| is_number)?;
        let ends = u32::try_from(expires_ms.div_euclid(MINUTE_MS).saturating_add(1).max(0));
        let by = by[..by.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
        Some(Self { number, by, ends: ends.unwrap_or(u32::MAX) })
    }

    /// The id of the incident.
    pub fn incident(&self) -> String {
        format!("incident_{:016x}", self.number)
    }

    /// Who acknowledges by it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// As it stands in a URL.
    pub fn sign(&self, key: &LinkKey) -> String {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.by.len() + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.ends.to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(self.by.as_bytes());
        let tag = key.tag(&bytes);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a text is for, at a time.
    ///
    /// # Errors
    /// It is not what was signed by this key, or is too old.
    pub fn verify(text: &str, key: &LinkKey, now_ms: i64) -> Result<Self, BadLink> {
        if text.len() > TEXT_CHARS_MAX {
            return Err(BadLink::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadLink::Forged)?;
        let (signed, tag) = bytes.split_last_chunk::<TAG_BYTES>().ok_or(BadLink::Forged)?;
        if !key.alike(&key.tag(signed), tag) {
            return Err(BadLink::Forged);
        }
        let link = Self::of_bytes(signed).ok_or(BadLink::Forged)?;
        if i64::from(link.ends) <= now_ms.div_euclid(MINUTE_MS) { Err(BadLink::Expired) } else { Ok(link) }
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (ends, rest) = rest.split_first_chunk()?;
        let (number, by) = rest.split_first_chunk()?;
        let by = std::str::from_utf8(by).ok().filter(|_| *version == VERSION)?.to_owned();
        Some(Self { number: u64::from_be_bytes(*number), by, ends: u32::from_be_bytes(*ends) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "incident_9d1c5a7720be4f13";

    #[test]
    fn a_link_is_what_was_signed_until_it_is_too_old() {
        let key = LinkKey::new(&[1; 32]);
        let link = Link::new(ID, "ann\nb", 5 * MINUTE_MS).unwrap();
        let text = link.sign(&key);
        assert!(text.len() < 60, "{text}");
        assert_eq!(Link::verify(&text, &key, 5 * MINUTE_MS), Ok(link.clone()));
        assert_eq!((link.incident().as_str(), link.by()), (ID, "ann\nb"));
        assert_eq!(Link::verify(&text, &key, 6 * MINUTE_MS), Err(BadLink::Expired));
        assert_eq!(Link::verify(&text, &LinkKey::new(&[2; 32]), 0), Err(BadLink::Forged));
    }

    #[test]
    fn no_bit_of_a_link_may_change() {
        let key = LinkKey::new(&[1; 32]);
        let text = Link::new(ID, "ann", 5 * MINUTE_MS).unwrap().sign(&key);
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let other = URL_SAFE_NO_PAD.encode(other);
            assert_eq!(Link::verify(&other, &key, 0), Err(BadLink::Forged), "bit {bit}");
        }
        for other in ["", ".", "a.b", "é", &"a".repeat(5_000), &text[..text.len() - 2], &format!("{text}AA")]
        {
            assert_eq!(Link::verify(other, &key, 0), Err(BadLink::Forged), "{other}");
        }
    }

    #[test]
    fn a_link_is_for_an_incident() {
        for bad in [
            "",
            "incident_1",
            "alert_9d1c5a7720be4f13",
            "incident_+d1c5a7720be4f13",
            "incident_9D1C5A7720BE4F13",
        ] {
            assert_eq!(Link::new(bad, "ann", 0), None, "{bad}");
        }
        let long = Link::new(ID, &"ü".repeat(200), i64::MAX).unwrap();
        let text = long.sign(&LinkKey::new(&[1; 32]));
        assert!(text.len() <= TEXT_CHARS_MAX);
        assert_eq!(Link::verify(&text, &LinkKey::new(&[1; 32]), 0), Ok(long));
    }
}
