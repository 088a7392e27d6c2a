//! Users and tokens of a data directory that no server uses: how the first of them comes to be.

use std::{path::Path, sync::Arc};

use barograph_auth::{NameError, User, check_name, password, token::Token};
use barograph_disk::{Disk, Held, RealDisk};
use barograph_model::Timestamp;
use barograph_state::State;
use ring::rand::{SecureRandom, SystemRandom};

use super::accounts::{AccountError, Accounts};

pub use barograph_auth::{Role, Scope, Scopes};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// The directory cannot be used; a server may have it.
    #[error("cannot use the data directory; if a server runs on it, ask that one with --url")]
    DataDir(#[source] barograph_disk::Error),
    /// The name cannot be had.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The password cannot be taken.
    #[error(transparent)]
    Password(#[from] password::Unfit),
    /// The state database does not take it.
    #[error("cannot change who is stored")]
    State(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There are no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// There is somebody of that name already.
    #[error("there is a user of that name already")]
    Exists,
}

/// A directory that is held while somebody is added.
struct Directory {
    accounts: Accounts,
    _held: Box<dyn Held>,
}

fn open(data_dir: &Path) -> Result<Directory, OfflineError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(data_dir).map_err(OfflineError::DataDir)?);
    let held = disk.lock().map_err(OfflineError::DataDir)?;
    let state = State::open(disk).map_err(|error| OfflineError::State(Box::new(error)))?;
    let accounts = Accounts::new(Arc::new(state));
    accounts.load().map_err(|error| OfflineError::State(Box::new(error)))?;
    Ok(Directory { accounts, _held: held })
}

fn random<const N: usize>() -> Result<[u8; N], OfflineError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| OfflineError::Random)?;
    Ok(bytes)
}

fn refused(error: AccountError) -> OfflineError {
    OfflineError::State(Box::new(error))
}

/// The hash of a password, as the configuration takes it.
///
/// # Errors
/// The password cannot be taken, or there are no random numbers.
pub fn hash(name: &str, password: &str) -> Result<String, OfflineError> {
    password::check(password, name)?;
    Ok(password::hash(password, &random()?)?)
}

/// Adds a user.
///
/// # Errors
/// See [`OfflineError`].
pub fn create_user(
    data_dir: &Path,
    name: &str,
    password: &str,
    roles: &[Role],
    now: Timestamp,
) -> Result<(), OfflineError> {
    check_name(name)?;
    let hash = hash(name, password)?;
    let directory = open(data_dir)?;
    if directory.accounts.user(name).map_err(refused)?.is_some() {
        return Err(OfflineError::Exists);
    }
    let user = User {
        name: name.to_owned(),
        password: hash,
        roles: roles.to_vec(),
        tenant: None,
        created_ms: now.0,
        password_ms: now.0,
    };
    directory.accounts.put_user(user).map_err(refused)
}

/// Adds a token that belongs to no user: its text, which is told this once, and its id.
///
/// # Errors
/// See [`OfflineError`].
pub fn create_token(
    data_dir: &Path,
    name: &str,
    scopes: Scopes,
    expires_ms: Option<i64>,
    now: Timestamp,
) -> Result<(String, String), OfflineError> {
    check_name(name)?;
    let directory = open(data_dir)?;
    let (text, token) = Token::issue(&random()?, name, scopes, now.0);
    let id = token.id.clone();
    directory.accounts.put_token(Token { expires_ms, ..token }).map_err(refused)?;
    Ok((text, id))
}
