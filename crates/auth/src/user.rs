//! Users, as they are stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Role;

/// Letters of a name.
const NAME_MAX: usize = 64;

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// By which they log in.
    pub name: String,
    /// A hash of the password: Argon2id or bcrypt.
    pub password: String,
    /// What they are.
    pub roles: Vec<Role>,
    /// Whose data they work with.
    #[serde(default)]
    pub tenant: Option<String>,
    /// When they were added.
    #[serde(default)]
    pub created_ms: i64,
    /// When the password was set last. Sessions from before it are over.
    #[serde(default)]
    pub password_ms: i64,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// A name that nobody can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to 64 of: letters and digits of ASCII, `.`, `_`, `-`, `@`; the first is a letter or a digit"
)]
pub struct NameError;

/// Checks the name of a user, a token or a tenant.
///
/// # Errors
/// It is none.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let fits = name.len() <= NAME_MAX
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
    if fits { Ok(()) } else { Err(NameError) }
}

/// So many tenants may be named together.
const TENANTS_MAX: usize = 16;

/// Checks whose data somebody works with: a tenant, or several with `|` between them.
///
/// # Errors
/// One of them has a name that none can have, or there are too many.
pub fn check_tenants(names: &str) -> Result<(), NameError> {
    if names.split('|').count() > TENANTS_MAX {
        return Err(NameError);
    }
    names.split('|').try_for_each(check_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["ann", "Ann.Lee", "a@example.com", "7up", &"a".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a b", "ä", "a:b", "a\n", &"a".repeat(65)] {
            assert_eq!(check_name(bad), Err(NameError), "{bad}");
        }
    }

    #[test]
    fn hashes_are_not_shown() {
        let user = User {
            name: "ann".to_owned(),
            password: "$2b$x".to_owned(),
            roles: vec![Role::Read],
            tenant: None,
            created_ms: 0,
            password_ms: 0,
        };
        assert!(!format!("{user:?}").contains("$2b"));
    }
}
