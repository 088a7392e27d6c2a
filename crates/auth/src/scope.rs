//! What may be done, one by one and as sets.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// One thing that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Ask for anything that is stored or measured.
    Read,
    /// Bring samples, events and what is told about them.
    Write,
    /// Take alerts, and silence them.
    AlertAck,
    /// Change the server, its users and what is stored.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::AlertAck, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::AlertAck => "alert-ack",
            Self::Admin => "admin",
        }
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(0b1111);

    /// Those given.
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | 1 << *scope as u8))
    }

    /// Whether one is in it.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }

    /// What is in either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of it is in the other.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is none in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::as_str)).finish()
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Scope::as_str))
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().try_fold(Self::NONE, |scopes, name| {
            let scope = Scope::parse(name).ok_or_else(|| {
                D::Error::custom(format!("{name:?} is none of read, write, alert-ack, admin"))
            })?;
            Ok(scopes.or(Self::of(&[scope])))
        })
    }
}

/// What somebody is, as an operator gives it; a set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks.
    Read,
    /// Sends, and does not look.
    Write,
    /// Looks, and takes alerts.
    AlertAck,
    /// Does everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::AlertAck, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::AlertAck => "alert-ack",
            Self::Admin => "admin",
        }
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What it may do.
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Read => Scopes::of(&[Scope::Read]),
            Self::Write => Scopes::of(&[Scope::Write]),
            Self::AlertAck => Scopes::of(&[Scope::Read, Scope::AlertAck]),
            Self::Admin => Scopes::ALL,
        }
    }

    /// What several may do together.
    pub fn scopes_of(roles: &[Self]) -> Scopes {
        roles.iter().fold(Scopes::NONE, |scopes, role| scopes.or(role.scopes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_no_more_than_it_needs() {
        let check = |roles: &[Role], expected: &[Scope]| {
            assert_eq!(Role::scopes_of(roles), Scopes::of(expected), "{roles:?}");
        };
        check(&[], &[]);
        check(&[Role::Read], &[Scope::Read]);
        check(&[Role::Write], &[Scope::Write]);
        check(&[Role::AlertAck], &[Scope::Read, Scope::AlertAck]);
        check(&[Role::Read, Role::Write], &[Scope::Read, Scope::Write]);
        check(&[Role::Admin], &Scope::ALL);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        let scopes = Scopes::of(&[Scope::AlertAck, Scope::Read]);
        let text = serde_json::to_string(&scopes).unwrap();
        assert_eq!(text, r#"["read","alert-ack"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(&text).unwrap(), scopes);
        assert!(serde_json::from_str::<Scopes>(r#"["root"]"#).is_err());
    }
}
