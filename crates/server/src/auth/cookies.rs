//! The cookie of a session: read, set, taken back.
//!
//! No script can read it (`HttpOnly`), no page of another site sends it with a change (`SameSite=Lax`). Over TLS it carries
//! the prefix `__Host-`, so that no other host of the domain can set one, and is never sent without (`Secure`).

use std::time::Duration;

use axum::http::{HeaderMap, header::COOKIE};

const PLAIN: &str = "barograph_session";
const SECURE: &str = "__Host-barograph_session";
/// Cookies that are looked at in one request.
const COOKIES_MAX: usize = 100;

/// What a browser has of us. One that came over TLS counts where TLS is used, and no other.
pub(crate) fn session(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let name = if secure { SECURE } else { PLAIN };
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).take(COOKIES_MAX);
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// What sets it. It goes with the browser, or when its time is up.
pub(crate) fn set(value: &str, secure: bool, lifetime: Duration) -> String {
    let (name, flag) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{flag}", lifetime.as_secs())
}

/// What takes it back.
pub(crate) fn clear(secure: bool) -> String {
    set("", secure, Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_one_is_found() {
        let check = |text: &'static str, secure, expected| {
            let headers = [(COOKIE, text.parse().unwrap())].into_iter().collect();
            assert_eq!(session(&headers, secure), expected, "{text}");
        };
        check("a=1; barograph_session=x; b=2", false, Some("x"));
        check("barograph_session=x", true, None);
        check("__Host-barograph_session=y; barograph_session=x", true, Some("y"));
        check("xbarograph_session=x", false, None);
        check("", false, None);
    }

    #[test]
    fn it_is_kept_from_scripts_and_other_sites() {
        let text = set("x", true, Duration::from_secs(60));
        assert_eq!(text, "__Host-barograph_session=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        assert!(clear(false).contains("Max-Age=0") && !clear(false).contains("Secure"));
    }
}
