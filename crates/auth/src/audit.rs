//! What was done, by whom, from where, and how it ended: one line of JSON each.

use serde::{Deserialize, Serialize};

use crate::{Identity, Via};

/// Bytes of a text in it. What others chose may be of any length.
const TEXT_BYTES_MAX: usize = 256;

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Refused,
    /// It was allowed, and did not succeed.
    Failed,
}

/// One thing that was done or tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, milliseconds since the epoch.
    pub time_ms: i64,
    /// Who, as far as that is known.
    pub user: String,
    /// How they showed who they are.
    pub via: Via,
    /// The token, if one was used, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// From which address.
    pub address: String,
    /// What: `login`, `token.create`, `request`.
    pub action: String,
    /// Of what: a user, a token, a route with its method.
    pub object: String,
    /// How it ended.
    pub outcome: Outcome,
    /// More of it, for a person to read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Record {
    /// One thing that somebody did.
    pub fn new(
        identity: &Identity,
        address: &str,
        action: &str,
        object: &str,
        outcome: Outcome,
        time_ms: i64,
    ) -> Self {
        Self {
            time_ms,
            user: short(&identity.user),
            via: identity.via,
            token: identity.token.clone(),
            address: short(address),
            action: short(action),
            object: short(object),
            outcome,
            detail: String::new(),
        }
    }

    /// The same, with more of it.
    pub fn with_detail(self, detail: &str) -> Self {
        Self { detail: short(detail), ..self }
    }

    /// As a line, with its end. JSON has no line ends in texts, so nobody can write a line of their own.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Reads a line; `None` if it is none of ours.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scopes;

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let identity = Identity::new("eve\n{\"user\":\"ann\"}", Scopes::NONE, Via::Anonymous);
        let record = Record::new(&identity, "127.0.0.1", "login", &"x".repeat(1_000), Outcome::Refused, 5);
        let line = record.clone().with_detail("a\r\nb").line();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let read = Record::read(line.trim_end()).unwrap();
        assert_eq!((read.user, read.object.len()), (record.user, 256));
        assert_eq!(Record::read("{}"), None);
    }
}
