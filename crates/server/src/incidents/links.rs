//! Links by which somebody acknowledges without logging in: signed, for one incident and one person, and good for a while.
//!
//! A link holds what it is for and until when, and an HMAC over that by a key that is made once and kept in the state
//! database. It can do one thing: acknowledge that incident in that name. Whoever only looks at it changes nothing, as
//! scanners of mail do; a form on the page that it shows does.

use barograph_state::Table;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

use super::Incidents;

/// A link is good for so long.
pub(crate) const LIFETIME_MS: i64 = 24 * 3_600_000;
/// A longer text is no link of ours.
const TEXT_BYTES_MAX: usize = 1_024;
const KEY_BYTES: usize = 32;
/// What is signed begins with this, so that it stands for nothing else.
const PURPOSE: &str = "barograph acknowledge 1";

const KEYS: Table<String, String> = Table::new("incident_link_keys");

/// What signs links.
pub(super) struct Key(hmac::Key);

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The incident.
    pub(crate) incident: String,
    /// Who acknowledges by it.
    pub(crate) by: String,
    /// Until when, in milliseconds since the epoch.
    pub(crate) expires: i64,
}

/// Why a link does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadLink {
    #[error("this link is not one of ours, or was changed on the way")]
    Forged,
    #[error("this link is too old; acknowledge on the page of alerts")]
    Expired,
    #[error("links cannot be checked for now; acknowledge on the page of alerts")]
    NoKey,
}

impl Link {
    fn payload(&self) -> String {
        format!("{}\n{}\n{}", self.expires, self.incident, self.by)
    }

    fn of_payload(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '\n');
        let expires = parts.next()?.parse().ok()?;
        let (incident, by) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Self { incident, by, expires })
    }

    /// As it stands in a URL.
    fn sign(&self, key: &Key) -> String {
        let payload = self.payload();
        let tag = hmac::sign(&key.0, format!("{PURPOSE}\n{payload}").as_bytes());
        format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(tag))
    }

    fn verify(text: &str, key: &Key, now: i64) -> Result<Self, BadLink> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadLink::Forged);
        }
        let (payload, tag) = text.split_once('.').ok_or(BadLink::Forged)?;
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| BadLink::Forged);
        let payload = String::from_utf8(decoded(payload)?).map_err(|_| BadLink::Forged)?;
        let signed = format!("{PURPOSE}\n{payload}");
        hmac::verify(&key.0, signed.as_bytes(), &decoded(tag)?).map_err(|_| BadLink::Forged)?;
        let link = Self::of_payload(&payload).ok_or(BadLink::Forged)?;
        if link.expires <= now { Err(BadLink::Expired) } else { Ok(link) }
    }
}

impl Incidents {
    /// The end of a link by which `by` acknowledges an incident, behind `…/ack-links/`. Blocks on the disk.
    pub(crate) fn link(&self, incident: &str, by: &str) -> Result<String, BadLink> {
        let expires = self.now().saturating_add(LIFETIME_MS);
        Ok(Link { incident: incident.to_owned(), by: by.to_owned(), expires }.sign(self.key()?))
    }

    /// What a link is for. Blocks on the disk.
    pub(crate) fn read_link(&self, text: &str) -> Result<Link, BadLink> {
        Link::verify(text, self.key()?, self.now())
    }

    /// Counts what came of a link.
    pub(crate) fn link_used(&self, outcome: &'static str) {
        self.0.instruments.links.with([outcome]).inc();
    }

    fn key(&self) -> Result<&Key, BadLink> {
        if let Some(key) = self.0.key.get() {
            return Ok(key);
        }
        let mut fresh = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut fresh).map_err(|_| BadLink::NoKey)?;
        let name = "acknowledge".to_owned();
        let kept = self.0.state.write(|batch| match batch.get(&KEYS, &name)? {
            Some(kept) => Ok(kept),
            None => {
                let kept = URL_SAFE_NO_PAD.encode(fresh);
                batch.put(&KEYS, &name, &kept)?;
                Ok(kept)
            }
        });
        let kept = kept.map_err(|_| BadLink::NoKey)?;
        let bytes = URL_SAFE_NO_PAD.decode(kept).ok().filter(|bytes| bytes.len() == KEY_BYTES);
        let key = Key(hmac::Key::new(hmac::HMAC_SHA256, &bytes.ok_or(BadLink::NoKey)?));
        Ok(self.0.key.get_or_init(|| key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key(hmac::Key::new(hmac::HMAC_SHA256, &[byte; KEY_BYTES]))
    }

    #[test]
    fn a_link_is_what_was_signed_until_it_is_too_old() {
        let link = Link { incident: "incident_1".to_owned(), by: "ann\nb".to_owned(), expires: 1_000 };
        let text = link.sign(&key(1));
        assert_eq!(Link::verify(&text, &key(1), 999), Ok(link.clone()));
        assert_eq!(Link::verify(&text, &key(1), 1_000), Err(BadLink::Expired));
        assert_eq!(Link::verify(&text, &key(2), 0), Err(BadLink::Forged));
        let other = Link { expires: 9_000, ..link }.sign(&key(2));
        let mixed = format!("{}.{}", other.split_once('.').unwrap().0, text.split_once('.').unwrap().1);
        for text in [&mixed, "", ".", "a.b", "é.é", &"a".repeat(5_000), &text[..text.len() - 1]] {
            assert_eq!(Link::verify(text, &key(1), 0), Err(BadLink::Forged), "{text}");
        }
    }
}
