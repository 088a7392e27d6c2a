//! Who calls, and what they may do: decided from what is known, without a clock, a network or entropy of its own.
//!
//! In the order one needs them:
//!
//! 1. [`Scope`]: one thing that may be done: `read`, `write`, `alert-ack`, `admin`. A [`Role`] is a set of them
//!    ([`Scopes`]), and an [`Identity`] is who calls, with the scopes they have.
//! 2. [`Credentials`]: what an `Authorization` header says. A [`password`] is checked against a hash of it, a
//!    [`token`] against its digest.
//! 3. [`User`] and [`token::Token`]: what is stored of those who may call. Neither holds anything that lets one in.
//! 4. [`Sessions`]: browsers that logged in, by a cookie that only they have. [`origin`] tells whose page sent a request.
//! 5. [`Throttle`]: how long one who guesses waits before the next guess is looked at.
//! 6. [`audit::Record`]: what was done, by whom, from where, and how it ended.
//! 7. [`oidc`]: logging in at an issuer of OpenID Connect, as documents and signatures that are checked.
//!
//! Secrets are compared in constant time and appear in no `Debug` text. Time comes as milliseconds since the epoch, and
//! what is random comes as bytes, so the same calls give the same.
//!
//! ```
//! use barograph_auth::{Role, Scope, Scopes, token};
//!
//! let (text, token) = token::Token::issue(&[7; 32], "ci", Scopes::of(&[Scope::Write]), 1_000);
//! assert!(text.starts_with("bgt_"));
//! assert!(token.scopes.has(Scope::Write) && !token.scopes.has(Scope::Read));
//! assert_eq!(token::digest(&text), token.digest);
//! assert!(Role::Admin.scopes().has(Scope::Read));
//! ```

pub mod audit;
mod credentials;
mod identity;
pub mod oidc;
pub mod origin;
pub mod password;
mod scope;
pub mod secret;
mod session;
mod throttle;
pub mod token;
mod user;

pub use credentials::{Credentials, Malformed};
pub use identity::{CertificateRule, Identity, Via};
pub use scope::{Role, Scope, Scopes};
pub use session::{Digest, Session, SessionLimits, Sessions, Shown};
pub use throttle::{Throttle, ThrottleLimits};
pub use user::{NameError, User, check_name, check_tenants};
