//! Whose data a request works with: by who calls, and by what they say.
//!
//! A tenant of a user, token or certificate is theirs; where it names several (`a|b`), the header
//! [`HEADER`] says which, and without it the first is meant. Who has
//! none works in the default tenant; administrators among them, and everybody while nobody is asked who they are, say
//! with the header where.

use barograph_auth::{Identity, Scope, Via};
use http::HeaderMap;

use super::{Tenants, Working};

/// Says whose data is meant. The metadata of gRPC has the same.
pub(crate) const HEADER: &str = "x-scope-orgid";

/// Stands between several.
const OR: char = '|';

impl Tenants {
    /// Whose data a request works with; `None` if there are no tenants.
    ///
    /// # Errors
    /// It is not for them, in words.
    pub(crate) fn of_request(&self, who: &Identity, headers: &HeaderMap) -> Result<Option<Working>, String> {
        if !self.is_on() {
            return Ok(None);
        }
        let said = headers.get(HEADER).map(|value| value.to_str().unwrap_or("?").trim());
        let said = said.filter(|said| !said.is_empty());
        let default = self.default();
        let own: Vec<&str> = who.tenant.iter().flat_map(|names| names.split(OR)).collect();
        let free = who.via == Via::Local || (own.is_empty() && who.may(Scope::Admin));
        let name = match (said, own.as_slice()) {
            (None, []) => &default.name,
            (None, [first, ..]) => *first,
            (Some(said), []) if free || *said == *default.name => said,
            (Some(said), own) if own.contains(&said) => said,
            (Some(said), _) => return Err(format!("the tenant {said:?} is not yours")),
        };
        Ok(Some(Working(self.known(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use barograph_auth::Scopes;

    use super::*;
    use crate::config::TenancyConfig;

    #[test]
    fn nobody_works_with_what_is_not_theirs() {
        let tenants = Tenants::new(&TenancyConfig { enabled: true, ..TenancyConfig::default() });
        let check = |who: &Identity, said: Option<&'static str>, expected: Option<&str>| {
            let headers = said.map(|said| (http::HeaderName::from_static(HEADER), said.parse().unwrap()));
            let found = tenants.of_request(who, &headers.into_iter().collect());
            let found = found.map(|working| working.unwrap().0.name.to_string());
            assert_eq!(found.as_deref().ok(), expected, "{who:?} {said:?}");
        };
        let with = |scopes, tenant: Option<&str>| Identity {
            tenant: tenant.map(str::to_owned),
            ..Identity::new("ann", scopes, Via::Token)
        };
        let reads = Scopes::of(&[Scope::Read]);
        check(&Identity::local(), None, Some("default"));
        check(&Identity::local(), Some("a"), Some("a"));
        check(&Identity::local(), Some("a b"), None);
        check(&with(reads, None), None, Some("default"));
        check(&with(reads, None), Some("default"), Some("default"));
        check(&with(reads, None), Some("a"), None);
        check(&with(Scopes::ALL, None), Some("a"), Some("a"));
        check(&with(Scopes::ALL, Some("b")), None, Some("b"));
        check(&with(Scopes::ALL, Some("b")), Some("a"), None);
        check(&with(Scopes::ALL, Some("b")), Some("default"), None);
        check(&with(reads, Some("a|b")), None, Some("a"));
        check(&with(reads, Some("a|b")), Some("b"), Some("b"));
        check(&with(reads, Some("a|b")), Some("a|b"), None);
        check(&with(reads, Some("a|b")), Some("c"), None);
        let off = Tenants::new(&TenancyConfig::default());
        let header = [(http::HeaderName::from_static(HEADER), "a".parse().unwrap())];
        assert_eq!(off.of_request(&with(reads, Some("b")), &header.into_iter().collect()), Ok(None));
    }
}
