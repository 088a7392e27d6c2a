//! Links by which somebody acknowledges without logging in, and the key that signs them.
//!
//! The key is made once and kept in the state database. A link can do one thing: acknowledge one incident in one name. Whoever
//! only looks at it changes nothing, as scanners of mail do; a form on the page that it shows does.

use barograph_alert::incident::{BadLink, Link, LinkKey};
use barograph_state::Table;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};

use super::Incidents;

/// A link that somebody asks for is good for so long.
pub(crate) const LIFETIME_MS: i64 = 24 * 3_600_000;
/// Where links lead, below what the server is called.
pub(crate) const PATH: &str = "/api/barograph/v1/ack-links/";
const KEY_BYTES: usize = 32;

const KEYS: Table<String, String> = Table::new("incident_link_keys");

impl Incidents {
    /// The path of a link by which `by` acknowledges an incident until a time; `None` if that is no incident. Blocks on the
    /// disk where it is the first.
    pub(crate) fn link(&self, incident: &str, by: &str, expires: i64) -> Result<Option<String>, BadLink> {
        let Some(link) = Link::new(incident, by, expires) else { return Ok(None) };
        Ok(Some(format!("{PATH}{}", link.sign(self.key()?))))
    }

    /// The same for who asks for one now.
    pub(crate) fn link_from_now(&self, incident: &str, by: &str) -> Result<Option<String>, BadLink> {
        self.link(incident, by, self.now().saturating_add(LIFETIME_MS))
    }

    /// What a link is for. Blocks on the disk.
    pub(crate) fn read_link(&self, text: &str) -> Result<Link, BadLink> {
        Link::verify(text, self.key()?, self.now())
    }

    /// Counts what came of a link.
    pub(crate) fn link_used(&self, outcome: &'static str) {
        self.0.instruments.links.with([outcome]).inc();
    }

    /// The key; made if there is none. Blocks on the disk the first time.
    pub(crate) fn key(&self) -> Result<&LinkKey, BadLink> {
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
        let bytes: Option<[u8; KEY_BYTES]> =
            URL_SAFE_NO_PAD.decode(kept).ok().and_then(|bytes| bytes.try_into().ok());
        let key = LinkKey::new(&bytes.ok_or(BadLink::NoKey)?);
        Ok(self.0.key.get_or_init(|| key))
    }
}
