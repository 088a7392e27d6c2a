//! Who asks, put into a request: credentials and configured headers.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use super::{Error, token::Token};
use crate::config::{Auth, HttpClientConfig, Secret};

/// Puts into a request what tells who asks. What it has already is left as it is.
pub(super) async fn add(
    headers: &mut HeaderMap,
    config: &HttpClientConfig,
    token: Option<&Token>,
) -> Result<(), Error> {
    put_configured(headers, &config.headers)?;
    if headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    if let Some(auth) = &config.auth {
        headers.insert(AUTHORIZATION, authorization(auth)?);
    } else if let Some(token) = token {
        headers.insert(AUTHORIZATION, token.header().await?);
    }
    Ok(())
}

/// The secrets are read anew each time, so a file may change under us.
fn authorization(auth: &Auth) -> Result<HeaderValue, Error> {
    match auth {
        Auth::Basic { username, password } => basic(&format!("{}:{}", reveal(username)?, reveal(password)?)),
        Auth::Header { scheme, credentials } => sensitive(&format!("{scheme} {}", reveal(credentials)?)),
    }
}

/// A user and a password, as `user:password`.
pub(super) fn basic(user: &str) -> Result<HeaderValue, Error> {
    sensitive(&format!("Basic {}", BASE64_STANDARD.encode(user)))
}

/// Headers as they are configured.
pub(super) fn put_configured(
    headers: &mut HeaderMap,
    configured: &[(String, Vec<Secret>)],
) -> Result<(), Error> {
    for (name, values) in configured {
        let name = HeaderName::try_from(name).map_err(|_| unsendable())?;
        headers.remove(&name);
        for value in values {
            headers.append(&name, sensitive(&reveal(value)?)?);
        }
    }
    Ok(())
}

pub(super) fn reveal(secret: &Secret) -> Result<String, Error> {
    secret.reveal().map_err(|error| Error::Unusable(format!("cannot read {secret:?}: {error}")))
}

/// A header that is not shown.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn unsendable() -> Error {
    Error::Unusable("credentials cannot be sent in a header".to_owned())
}
