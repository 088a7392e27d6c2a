//! API tokens: what a program shows instead of a password.
//!
//! A token is 256 random bits, told once, when it is made. What is kept is its SHA-256, which is enough for something that
//! cannot be guessed. Its text begins with `bgt_`, so that scanners for secrets find one that was committed somewhere.

use serde::{Deserialize, Serialize};

use crate::{Scopes, secret};

/// How each begins.
pub const PREFIX: &str = "bgt_";

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// By which it is listed, noted and revoked; tells nothing of the token.
    pub id: String,
    /// What it is for, in its maker's words.
    pub name: String,
    /// SHA-256 of its text, as hexadecimal digits.
    pub digest: String,
    /// What it may do, as long as its owner may.
    pub scopes: Scopes,
    /// The user it belongs to and goes with; `None` for a service of its own.
    #[serde(default)]
    pub owner: Option<String>,
    /// Whose data it works with.
    #[serde(default)]
    pub tenant: Option<String>,
    /// When it was made.
    pub created_ms: i64,
    /// From when on it is good for nothing; `None` for never.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// When it was used last, to a minute.
    #[serde(default)]
    pub used_ms: Option<i64>,
}

impl Token {
    /// A token of these random bytes: its text, and what is kept of it.
    pub fn issue(random: &[u8; secret::BYTES], name: &str, scopes: Scopes, now_ms: i64) -> (String, Self) {
        let text = format!("{PREFIX}{}", secret::text(random));
        let digest = digest(&text);
        // Of the digest of the digest: an id is shown, a digest is not.
        let id = secret::hex(&secret::sha256(digest.as_bytes())[..6]);
        let token = Self {
            id,
            name: name.to_owned(),
            digest,
            scopes,
            owner: None,
            tenant: None,
            created_ms: now_ms,
            expires_ms: None,
            used_ms: None,
        };
        (text, token)
    }

    /// Whether it is past its time.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|expires| now_ms >= expires)
    }
}

/// Of a token's text, that by which it is looked up. As nobody can choose what it begins with, looking it up tells nothing.
pub fn digest(text: &str) -> String {
    secret::sha256_hex(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    #[test]
    fn a_token_is_known_by_its_digest_alone() {
        let (text, token) = Token::issue(&[1; 32], "ci", Scopes::of(&[Scope::Write]), 5);
        assert_eq!(text.len(), PREFIX.len() + 43);
        assert_eq!(digest(&text), token.digest);
        let kept = serde_json::to_string(&token).unwrap();
        assert!(!kept.contains(&text[PREFIX.len()..]), "{kept}");
        assert!(!token.digest.contains(&token.id));
        assert_ne!(Token::issue(&[2; 32], "ci", Scopes::ALL, 5).1.id, token.id);
    }

    #[test]
    fn it_is_good_until_its_time() {
        let (_, token) = Token::issue(&[1; 32], "ci", Scopes::ALL, 5);
        assert!(!token.is_expired(i64::MAX));
        let token = Token { expires_ms: Some(10), ..token };
        assert!(!token.is_expired(9) && token.is_expired(10));
    }
}
