//! Users and tokens that are stored, in the state database, and held in memory for each request to be judged by.
//!
//! What changes is durable before it counts. Those who may call are few; each kind has a limit.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use barograph_auth::{User, token::Token};
use barograph_state::{Error, State, Table};

/// Stored users.
const USERS_MAX: usize = 10_000;
/// Stored tokens.
const TOKENS_MAX: usize = 10_000;
/// How often it is written when a token was used last.
const USED_EVERY_MS: i64 = 600_000;

const USERS: Table<String, User> = Table::new("users");
/// By the id.
const TOKENS: Table<String, Token> = Table::new("tokens");

/// Who is stored.
pub(crate) struct Accounts {
    state: Arc<State>,
    loaded: RwLock<Option<Loaded>>,
}

#[derive(Default)]
struct Loaded {
    users: BTreeMap<String, User>,
    /// By the digest.
    tokens: BTreeMap<String, Token>,
    /// When each was used last that is stored.
    stored_used: BTreeMap<String, i64>,
}

/// Why something was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there are {0} already, and no more can be stored")]
    Full(usize),
    #[error("the state database does not take it")]
    State(#[from] Error),
    #[error("the state database is not read yet; try again in a moment")]
    NotLoaded,
}

impl Accounts {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state, loaded: RwLock::default() }
    }

    /// Reads who is stored. Blocks.
    pub(crate) fn load(&self) -> Result<(), Error> {
        let (users, tokens) = self.state.read(|view| Ok((view.all(&USERS)?, view.all(&TOKENS)?)))?;
        let mut loaded = Loaded { users: users.into_iter().collect(), ..Loaded::default() };
        for (id, token) in tokens {
            loaded.stored_used.insert(id, token.used_ms.unwrap_or(i64::MIN));
            loaded.tokens.insert(token.digest.clone(), token);
        }
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
        Ok(())
    }

    fn with<T>(&self, read: impl FnOnce(&Loaded) -> T) -> Result<T, AccountError> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.as_ref().map(read).ok_or(AccountError::NotLoaded)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Loaded) -> T) -> Result<T, AccountError> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.as_mut().map(change).ok_or(AccountError::NotLoaded)
    }

    pub(crate) fn user(&self, name: &str) -> Result<Option<User>, AccountError> {
        self.with(|loaded| loaded.users.get(name).cloned())
    }

    pub(crate) fn users(&self) -> Result<Vec<User>, AccountError> {
        self.with(|loaded| loaded.users.values().cloned().collect())
    }

    /// Stores a user, in place of one of that name. Blocks.
    pub(crate) fn put_user(&self, user: User) -> Result<(), AccountError> {
        let full = self.with(|l| l.users.len() >= USERS_MAX && !l.users.contains_key(&user.name))?;
        if full {
            return Err(AccountError::Full(USERS_MAX));
        }
        self.state.write(|batch| batch.put(&USERS, &user.name, &user))?;
        self.change(|loaded| loaded.users.insert(user.name.clone(), user)).map(drop)
    }

    /// Removes a user and the tokens that belong to them; whether they were there. Blocks.
    pub(crate) fn remove_user(&self, name: &str) -> Result<bool, AccountError> {
        let own = |token: &Token| token.owner.as_deref() == Some(name);
        let tokens: Vec<_> = self.tokens()?.into_iter().filter(own).map(|token| token.id).collect();
        let there = self.state.write(|batch| {
            for id in &tokens {
                batch.remove(&TOKENS, id)?;
            }
            batch.remove(&USERS, &name.to_owned())
        })?;
        self.change(|loaded| {
            loaded.users.remove(name);
            loaded.tokens.retain(|_, token| !own(token));
        })?;
        Ok(there)
    }

    pub(crate) fn tokens(&self) -> Result<Vec<Token>, AccountError> {
        self.with(|loaded| loaded.tokens.values().cloned().collect())
    }

    /// The token of a digest, used now. If that is to be stored, too, it is said.
    pub(crate) fn use_token(&self, digest: &str, now_ms: i64) -> Result<Option<(Token, bool)>, AccountError> {
        let stale =
            |used: Option<&i64>| used.is_none_or(|used| now_ms.saturating_sub(*used) >= USED_EVERY_MS);
        let found = self.with(|loaded| {
            let token = loaded.tokens.get(digest)?;
            Some((token.clone(), stale(loaded.stored_used.get(&token.id))))
        })?;
        let Some((token, is_stale)) = found else { return Ok(None) };
        if token.is_expired(now_ms) {
            return Ok(Some((token, false)));
        }
        // To a minute, so that most requests only read.
        if token.used_ms.is_none_or(|used| now_ms.saturating_sub(used) >= 60_000) {
            self.change(|loaded| {
                if let Some(token) = loaded.tokens.get_mut(digest) {
                    token.used_ms = Some(now_ms);
                }
                if is_stale {
                    loaded.stored_used.insert(token.id.clone(), now_ms);
                }
            })?;
            return Ok(Some((token, is_stale)));
        }
        Ok(Some((token, false)))
    }

    /// Stores when a token was used. Blocks.
    pub(crate) fn store_used(&self, digest: &str) -> Result<(), AccountError> {
        match self.with(|loaded| loaded.tokens.get(digest).cloned())? {
            None => Ok(()),
            Some(token) => Ok(self.state.write(|batch| {
                // One that was revoked meanwhile stays so.
                match batch.get(&TOKENS, &token.id)? {
                    Some(_) => batch.put(&TOKENS, &token.id, &token),
                    None => Ok(()),
                }
            })?),
        }
    }

    /// Stores a token. Blocks.
    pub(crate) fn put_token(&self, token: Token) -> Result<(), AccountError> {
        if self.with(|loaded| loaded.tokens.len())? >= TOKENS_MAX {
            return Err(AccountError::Full(TOKENS_MAX));
        }
        self.state.write(|batch| batch.put(&TOKENS, &token.id, &token))?;
        self.change(|loaded| loaded.tokens.insert(token.digest.clone(), token)).map(drop)
    }

    /// Revokes a token. Blocks.
    pub(crate) fn remove_token(&self, id: &str) -> Result<(), AccountError> {
        self.state.write(|batch| batch.remove(&TOKENS, &id.to_owned()))?;
        self.change(|loaded| loaded.tokens.retain(|_, token| token.id != id))
    }
}

#[cfg(test)]
mod tests {
    use barograph_auth::{Role, Scopes};
    use barograph_disk::MemoryDisk;

    use super::*;

    #[test]
    fn who_is_stored_comes_back_and_tokens_go_with_their_user() {
        let disk = Arc::new(MemoryDisk::new());
        let state = Arc::new(State::open(disk).unwrap());
        let accounts = Accounts::new(state.clone());
        assert!(matches!(accounts.users(), Err(AccountError::NotLoaded)));
        accounts.load().unwrap();
        let user = User {
            name: "ann".to_owned(),
            password: "hash".to_owned(),
            roles: vec![Role::Read],
            tenant: None,
            created_ms: 1,
            password_ms: 1,
        };
        accounts.put_user(user.clone()).unwrap();
        let (text, token) = Token::issue(&[1; 32], "ci", Scopes::ALL, 1);
        accounts.put_token(Token { owner: Some("ann".to_owned()), ..token.clone() }).unwrap();
        let digest = barograph_auth::token::digest(&text);
        let used =
            |accounts: &Accounts, now| accounts.use_token(&digest, now).unwrap().map(|(_, store)| store);
        assert_eq!(used(&accounts, 100_000), Some(true));
        accounts.store_used(&digest).unwrap();
        assert_eq!(used(&accounts, 100_001), Some(false));
        let again = Accounts::new(state);
        again.load().unwrap();
        assert_eq!(again.user("ann").unwrap(), Some(user));
        assert_eq!(again.tokens().unwrap()[0].used_ms, Some(100_000));
        assert_eq!(used(&again, 700_000), Some(true));
        assert!(again.remove_user("ann").unwrap());
        assert_eq!(used(&again, 700_000), None);
        assert!(!again.remove_user("ann").unwrap());
    }
}
