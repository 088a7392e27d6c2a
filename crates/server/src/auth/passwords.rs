//! Checking passwords without being kept busy by it.
//!
//! A check takes tens of milliseconds and megabytes, on purpose. Only two run at a time. What was right a moment ago is
//! remembered as a digest with a key that only this process has, so that a program that sends its password with each
//! request is checked once in a while; a new hash is another entry.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use barograph_auth::{password, secret};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::current;

/// Checks at a time.
const CHECKS_MAX: usize = 2;
/// How long it is remembered that a password was right.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many are remembered.
const REMEMBERED_MAX: usize = 1_000;

/// What checks them.
pub(crate) struct Passwords {
    turns: Semaphore,
    key: [u8; secret::BYTES],
    /// What a name is checked against that nobody has. Made with the first check.
    decoy: Arc<OnceLock<String>>,
    right: Mutex<HashMap<[u8; secret::BYTES], Duration>>,
}

impl Passwords {
    /// `key` is random.
    pub(crate) fn new(key: [u8; secret::BYTES]) -> Self {
        Self { turns: Semaphore::new(CHECKS_MAX), key, decoy: Default::default(), right: Mutex::default() }
    }

    /// Whether this was found to be the password of that hash a moment ago.
    pub(crate) fn is_known(&self, password: &str, hash: &str, now: Duration) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(&self.entry(password, hash)).is_some_and(|at| now.saturating_sub(*at) < REMEMBERED)
    }

    /// Waits for a turn to check one.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Whether this is the password of a hash, by whoever has a turn. Without a hash it takes as long, and is not.
    pub(crate) async fn check(&self, password: &str, hash: Option<&str>, now: Duration) -> bool {
        let (given, wanted, decoy) = (password.to_owned(), hash.map(str::to_owned), self.decoy.clone());
        let right = current::blocking(move || match &wanted {
            Some(hash) => password::verify(&given, hash),
            None => {
                let _ = password::verify(&given, decoy.get_or_init(password::decoy));
                false
            }
        });
        let right = right.await;
        let right = right.unwrap_or(false);
        if let (true, Some(hash)) = (right, hash) {
            let entry = self.entry(password, hash);
            let mut known = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED_MAX {
                known.retain(|_, at| now.saturating_sub(*at) < REMEMBERED);
            }
            if known.len() >= REMEMBERED_MAX {
                known.clear();
            }
            known.insert(entry, now);
        }
        right
    }

    /// The hash of a password.
    pub(crate) async fn hash(&self, password: &str, salt: [u8; 16]) -> Option<String> {
        let _turn = self.turns.acquire().await.ok()?;
        let given = password.to_owned();
        current::blocking(move || password::hash(&given, &salt).ok()).await.ok()?
    }

    fn entry(&self, password: &str, hash: &str) -> [u8; secret::BYTES] {
        let inner = secret::sha256(&[&self.key[..], hash.as_bytes(), &[0], password.as_bytes()].concat());
        secret::sha256(&[&self.key[..], &inner].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_right_is_known_for_a_while() {
        let passwords = Passwords::new([1; 32]);
        let hash = passwords.hash("correct horse battery", [2; 16]).await.unwrap();
        let at = Duration::from_secs;
        assert!(!passwords.is_known("correct horse battery", &hash, at(0)));
        assert!(passwords.check("correct horse battery", Some(&hash), at(0)).await);
        assert!(passwords.is_known("correct horse battery", &hash, at(299)));
        assert!(!passwords.is_known("correct horse battery", &hash, at(300)));
        assert!(!passwords.is_known("correct horse battery", "another hash", at(1)));
        assert!(!passwords.check("wrong", Some(&hash), at(0)).await);
        assert!(!passwords.check("nobody has this password", None, at(0)).await);
    }
}
