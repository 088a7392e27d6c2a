//! What an ID token claims, and which roles come of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Disbelief;
use crate::{Role, Scopes, check_name};

/// How roles are found in what an issuer claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The claim that names what somebody is, its keys joined by dots: `groups`, `realm_access.roles`.
    pub claim: String,
    /// What its values stand for. A value that is not in it stands for nothing.
    pub roles: BTreeMap<String, Vec<Role>>,
}

/// What a token claims, of which the signature was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Reads what was signed.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(bytes: &[u8]) -> Result<Self, Disbelief> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(claims)) => Ok(Self(claims)),
            _ => Err(Disbelief::Document("the claims of the ID token are no JSON object".to_owned())),
        }
    }

    /// One of them that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// One of them that is a number: seconds since the epoch.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        #[expect(clippy::cast_possible_truncation, reason = "what is beyond saturates")]
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }

    /// Whether a claim that is a text, or a list of them, has this one.
    pub fn has(&self, name: &str, wanted: &str) -> bool {
        texts(self.0.get(name)).any(|text| text == wanted)
    }

    /// How many texts a claim has.
    pub fn count(&self, name: &str) -> usize {
        texts(self.0.get(name)).count()
    }

    /// What they may do.
    pub fn scopes(&self, mapping: &Mapping) -> Scopes {
        let mut keys = mapping.claim.split('.');
        let first = keys.next().and_then(|key| self.0.get(key));
        let claimed = keys.fold(first, |value, key| value?.get(key));
        let roles = texts(claimed).filter_map(|text| mapping.roles.get(text));
        roles.fold(Scopes::NONE, |scopes, roles| scopes.or(Role::scopes_of(roles)))
    }

    /// What they are called: the name they chose, else their address, else what the issuer calls them. It carries the mark
    /// `oidc:`, so that nobody at the issuer is taken for a user of the same name here.
    pub fn user(&self) -> String {
        let email = self.text("email").filter(|_| self.0.get("email_verified") != Some(&Value::Bool(false)));
        let named = self.text("preferred_username").or(email).filter(|name| check_name(name).is_ok());
        match named {
            Some(name) => format!("oidc:{name}"),
            None => {
                let subject = self.text("sub").unwrap_or_default();
                format!("oidc:{}", crate::secret::hex(&crate::secret::sha256(subject.as_bytes())[..8]))
            }
        }
    }
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = match value {
        Some(Value::Array(items)) => &items[..],
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    list.iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    #[test]
    fn roles_are_found_where_they_are_said_to_be() {
        let mapping = |claim: &str| Mapping {
            claim: claim.to_owned(),
            roles: [("ops".to_owned(), vec![Role::Admin]), ("dev".to_owned(), vec![Role::Read])].into(),
        };
        let check = |claims: &str, claim: &str, expected| {
            let claims = Claims::read(claims.as_bytes()).unwrap();
            assert_eq!(claims.scopes(&mapping(claim)), expected, "{claims:?}");
        };
        check(r#"{"groups":["dev","other"]}"#, "groups", Scopes::of(&[Scope::Read]));
        check(r#"{"groups":"ops"}"#, "groups", Scopes::ALL);
        check(r#"{"realm":{"roles":["ops"]}}"#, "realm.roles", Scopes::ALL);
        check(r#"{"groups":[7]}"#, "groups", Scopes::NONE);
        check(r#"{"groups":["dev"]}"#, "realm.roles", Scopes::NONE);
        check("{}", "", Scopes::NONE);
    }

    #[test]
    fn nobody_is_taken_for_somebody_of_ours() {
        let user = |claims: &str| Claims::read(claims.as_bytes()).unwrap().user();
        assert_eq!(user(r#"{"sub":"1","preferred_username":"ann"}"#), "oidc:ann");
        assert_eq!(user(r#"{"sub":"1","email":"ann@example.com"}"#), "oidc:ann@example.com");
        let hashed = user(r#"{"sub":"1","email":"ann@example.com","email_verified":false}"#);
        assert!(hashed.starts_with("oidc:") && hashed.len() == 21, "{hashed}");
        assert!(user(r#"{"preferred_username":"a\nb"}"#).len() == 21);
    }
}
