//! Logging in at an issuer of OpenID Connect: the authorization code flow with PKCE, state and nonce, as plain steps.
//!
//! 1. [`Provider::read`]: what the issuer says of itself (`/.well-known/openid-configuration`).
//! 2. [`Attempt::new`]: what is kept while the browser is away, and where it is sent.
//! 3. [`Keys::read`]: the issuer's public keys.
//! 4. [`Keys::verify`], then [`Attempt::check`]: the ID token that came back, its signature first, then what it claims.
//!
//! Only RS256, ES256 and EdDSA are known, so nothing that is not signed and no shared secret passes for a signature.

mod claims;
mod flow;
mod keys;

pub use claims::{Claims, Mapping};
pub use flow::{Attempt, Provider};
pub use keys::Keys;

/// An answer of an issuer that is not believed, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// A document is not what the standard says.
    #[error("{0}")]
    Document(String),
    /// A token is not signed by a key of the issuer.
    #[error("the ID token is not signed as it should be: {0}")]
    Signature(&'static str),
    /// What the token claims is not about this login.
    #[error("the ID token is not for this login: {0}")]
    Claim(&'static str),
}
