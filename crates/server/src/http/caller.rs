//! Who asks: by a header that names them, else by the address they call from; and from which panel of which dashboard.
//!
//! `X-Barograph-Caller` and `X-Scope-OrgID` are taken as they are where nobody is asked who they are: nothing is allowed or
//! hidden by them, they only keep callers from taking each other's turns. Who showed who they are goes by that name.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use barograph_auth::{Identity, Via};

use crate::tenants::{Working, scope};

/// A longer name is cut.
const NAME_BYTES_MAX: usize = 128;

/// The address at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name that turns are given by.
    pub(crate) name: Arc<str>,
    /// The dashboard that Grafana asks for, by its UID.
    pub(crate) dashboard: Option<Box<str>>,
    /// The panel of it.
    pub(crate) panel: Option<Box<str>>,
    /// Whose data are asked, where they are kept apart.
    pub(crate) working: Option<Working>,
}

impl Caller {
    /// A part of the server that asks by itself.
    pub(crate) fn own(name: &str) -> Self {
        Self { name: name.into(), dashboard: None, panel: None, working: scope::working() }
    }

    /// By which name turns are given: where there are tenants, each has as many as the others.
    pub(crate) fn turns(&self) -> &Arc<str> {
        self.working.as_ref().map_or(&self.name, |working| &working.0.name)
    }

    /// The same, under the name of who they showed to be: nobody takes the turns of somebody else.
    pub(crate) fn by(self, identity: &Identity) -> Self {
        match identity.via {
            Via::Local | Via::Anonymous => self,
            _ => Self { name: identity.user.as_str().into(), ..self },
        }
    }

    /// By its headers and where it calls from.
    pub(crate) fn of(headers: &HeaderMap, peer: Option<SocketAddr>) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            Some(&value[..value.floor_char_boundary(NAME_BYTES_MAX)]).filter(|value| !value.is_empty())
        };
        let named = text("x-barograph-caller").or_else(|| text("x-scope-orgid")).map(Arc::from);
        let address = || peer.map_or_else(|| "unknown".into(), |peer| peer.ip().to_string().into());
        Self {
            name: named.unwrap_or_else(address),
            dashboard: text("x-dashboard-uid").map(Box::from),
            panel: text("x-panel-id").map(Box::from),
            working: scope::working(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let caller = Self::of(&parts.headers, parts.extensions.get::<Peer>().map(|peer| peer.0));
        Ok(match parts.extensions.get::<Identity>() {
            Some(identity) => caller.by(identity),
            None => caller,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_before_the_address() {
        let check = |headers: &[(&'static str, &'static str)], name: &str| {
            let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let caller = Caller::of(&pairs.collect(), Some("127.0.0.1:9".parse().unwrap()));
            assert_eq!(&*caller.name, name);
        };
        check(&[], "127.0.0.1");
        check(&[("x-scope-orgid", "team")], "team");
        check(&[("x-scope-orgid", "team"), ("x-barograph-caller", " me ")], "me");
        check(&[("x-scope-orgid", " ")], "127.0.0.1");
    }
}
