//! What users of the server tell each other: any JSON, on topics of the bus `user`, within limits.

use std::sync::Arc;

use barograph::session::EventKind;
use barograph_model::Timestamp;
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::{BadTopic, Bus, Events, State, TooManyTopics, Topic, Unkept};

/// A larger document of a user is refused.
pub(crate) const EVENT_BYTES_MAX: usize = 64 << 10;
/// More events of all users in a second are refused.
pub(crate) const EVENTS_PER_SECOND_MAX: u64 = 10_000;
/// A longer name of an event is refused.
const NAME_BYTES_MAX: usize = 64;
/// The name of an event that has none of its own.
const UNNAMED: &str = "message";
/// What streams say of themselves.
const RESERVED: [&str; 3] = ["hello", "missed", "error"];

/// Why an event of a user was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unpublished {
    #[error(transparent)]
    BadTopic(#[from] BadTopic),
    #[error(
        "an event has a name of 1 to {NAME_BYTES_MAX} letters, digits and `_.:-`, and none of hello, missed, error"
    )]
    BadName,
    #[error("the event is no JSON: {0}")]
    BadJson(serde_json::Error),
    #[error("the event has {0} bytes; at most {EVENT_BYTES_MAX} are taken")]
    TooLarge(usize),
    #[error(transparent)]
    TooManyTopics(#[from] TooManyTopics),
    #[error("users published {EVENTS_PER_SECOND_MAX} events in this second already; try again in the next")]
    TooMany,
}

impl Events {
    /// Tells an event of a user, of a tenant or of the server's own, to all subscribers of a topic on the bus `user`; its id.
    ///
    /// # Errors
    /// See [`Unpublished`]; nobody was told.
    pub(crate) fn publish_user(
        &self,
        owner: Option<&Arc<str>>,
        topic: &str,
        name: Option<&str>,
        document: &[u8],
    ) -> Result<u64, Unpublished> {
        if document.len() > EVENT_BYTES_MAX {
            return Err(Unpublished::TooLarge(document.len()));
        }
        let topic = Topic::new(Bus::User, topic)?.of(owner)?.key().ok_or(BadTopic::BadName)?;
        let name = name.unwrap_or(UNNAMED);
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(fits);
        if !fits || RESERVED.contains(&name) {
            return Err(Unpublished::BadName);
        }
        serde_json::from_slice::<IgnoredAny>(document).map_err(Unpublished::BadJson)?;
        if !self.state().may_publish(self.0.clock.now()) {
            return Err(Unpublished::TooMany);
        }
        Ok(self.tell(EventKind::PIECE, (Bus::User, &topic), name, compact(document), Unkept::Refused)?)
    }
}

impl State {
    fn may_publish(&mut self, now: Timestamp) -> bool {
        let second = now.0.div_euclid(1_000);
        if self.published.0 != second {
            self.published = (second, 0);
        }
        self.published.1 += 1;
        let may = self.published.1 <= EVENTS_PER_SECOND_MAX;
        self.counts.refused += u64::from(!may);
        may
    }
}

/// JSON without the spaces and line breaks between its parts; numbers stay as they were written.
fn compact(json: &[u8]) -> Bytes {
    let (mut in_text, mut escaped) = (false, false);
    let mut keep = |byte: &u8| {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            return true;
        }
        in_text = *byte == b'"';
        !byte.is_ascii_whitespace()
    };
    json.iter().copied().filter(|byte| keep(byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compacted() {
        let check = |json: &str, expected: &str| assert_eq!(compact(json.as_bytes()), expected);
        check("{ \"a b\" : [1.10,\n 2 ] }\n", "{\"a b\":[1.10,2]}");
        check(r#"["\" x \\", "y z"]"#, r#"["\" x \\","y z"]"#);
    }
}
