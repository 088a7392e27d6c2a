//! Who calls.

use serde::{Deserialize, Serialize};

use crate::{Role, Scope, Scopes};

/// How somebody showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Not at all; that is enough for what the configuration lets everybody do.
    Anonymous,
    /// By calling from this machine, while no authentication is configured.
    Local,
    /// By a name and a password with each request.
    Password,
    /// By an API token.
    Token,
    /// By the cookie of a session.
    Session,
    /// By a certificate.
    Certificate,
}

impl Via {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Local => "local",
            Self::Password => "password",
            Self::Token => "token",
            Self::Session => "session",
            Self::Certificate => "certificate",
        }
    }

    /// Whether a browser sends it along by itself, whichever page makes it send a request.
    pub fn is_ambient(self) -> bool {
        !matches!(self, Self::Token)
    }
}

/// Who calls, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user, or what a token is called that belongs to none.
    pub user: String,
    /// What they may do.
    pub scopes: Scopes,
    /// Whose data they work with; `None` where data is not kept apart.
    pub tenant: Option<String>,
    /// How they showed who they are.
    pub via: Via,
    /// The token, if one was used.
    pub token: Option<String>,
}

impl Identity {
    /// Somebody who may do what their roles allow.
    pub fn new(user: impl Into<String>, scopes: Scopes, via: Via) -> Self {
        Self { user: user.into(), scopes, tenant: None, via, token: None }
    }

    /// Whoever calls while no authentication is configured.
    pub fn local() -> Self {
        Self::new("local", Scopes::ALL, Via::Local)
    }

    /// Somebody who showed nothing.
    pub fn anonymous(scopes: Scopes) -> Self {
        Self::new("anonymous", scopes, Via::Anonymous)
    }

    /// Whose certificate has these names: the first rule that matches one of them counts.
    pub fn of_certificate(names: &[impl AsRef<str>], rules: &[CertificateRule]) -> Option<Self> {
        let found = rules.iter().find_map(|rule| {
            let name = names.iter().map(AsRef::as_ref).find(|name| rule.takes(name))?;
            Some((name, rule))
        });
        found.map(|(name, rule)| Self {
            tenant: rule.tenant.clone(),
            ..Self::new(name, Role::scopes_of(&rule.roles), Via::Certificate)
        })
    }

    /// Whether they may.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// By which name turns and rates are counted: each token for itself.
    pub fn key(&self) -> String {
        match &self.token {
            Some(token) => format!("token:{token}"),
            None => format!("user:{}", self.user),
        }
    }
}

/// What whoever has a certificate of a name may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    /// A name of the certificate: all of it, or `*.` and the end of a DNS name, for one label.
    pub san: String,
    /// What they are.
    pub roles: Vec<Role>,
    /// Whose data they work with.
    pub tenant: Option<String>,
}

impl CertificateRule {
    fn takes(&self, name: &str) -> bool {
        match self.san.strip_prefix("*.") {
            None => self.san.eq_ignore_ascii_case(name),
            Some(end) => name
                .split_once('.')
                .is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_told_apart_by_name() {
        let rule = |san: &str, roles: &[Role]| CertificateRule {
            san: san.to_owned(),
            roles: roles.to_vec(),
            tenant: None,
        };
        let rules = [rule("agent.example", &[Role::Write]), rule("*.ops.example", &[Role::Admin])];
        let check = |names: &[&str], expected: Option<(&str, Scopes)>| {
            let found = Identity::of_certificate(names, &rules);
            let found = found.map(|identity| (identity.user, identity.scopes));
            assert_eq!(found, expected.map(|(user, scopes)| (user.to_owned(), scopes)), "{names:?}");
        };
        check(&["agent.example"], Some(("agent.example", Role::Write.scopes())));
        check(&["other", "ann.ops.example"], Some(("ann.ops.example", Scopes::ALL)));
        check(&["Agent.Example"], Some(("Agent.Example", Role::Write.scopes())));
        check(&["ops.example"], None);
        check(&[".ops.example"], None);
        check(&["a.b.ops.example"], None);
        check(&["agent.example.evil"], None);
        check(&[], None);
    }
}
