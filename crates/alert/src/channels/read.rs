//! Keys of channels: addresses and templates.

use barograph_yaml::section::{Findings, Section, text};

use crate::template::{Dialect, Template};

/// An address of the web.
pub(super) fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    // The text may be a secret, so it is not repeated.
    match host {
        None => Err("expected a URL that begins with `http://` or `https://`".to_owned()),
        Some("") => Err("the URL names no host".to_owned()),
        Some(_) if text.contains(|c: char| c.is_control() || c.is_whitespace()) => {
            Err("the URL has spaces or control characters in it".to_owned())
        }
        Some(authority) if !port_is_number(authority) => Err("the port of the URL is no number".to_owned()),
        Some(_) => Ok(text.to_owned()),
    }
}

/// Whether what stands behind the host, if anything, is a number.
fn port_is_number(authority: &str) -> bool {
    let address = authority.rsplit('@').next().unwrap_or_default();
    let behind = address.rsplit(']').next().unwrap_or_default();
    behind.split_once(':').is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The host of an address, which is all of it that may be shown.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// A base address with a path behind it.
pub(super) fn below(base: &str, path: &str) -> String {
    format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
}

/// A text that is filled in.
pub(super) fn template(
    section: &mut Section<'_>,
    key: &'static str,
    findings: &mut Findings,
) -> Option<Template> {
    section.value(key, parsed, findings)
}

pub(super) fn parsed(text: &str) -> Result<Template, String> {
    Template::parse_as(text, Dialect::Notices).map_err(|error| format!("not a template: {error}"))
}

/// A text that has to be there.
pub(super) fn needed(
    section: &mut Section<'_>,
    key: &'static str,
    findings: &mut Findings,
) -> Option<String> {
    let found = section.value(key, text, findings).filter(|text| !text.is_empty());
    if found.is_none() {
        findings.add(section.place, format!("`{key}` is missing; add it"));
    }
    found
}

/// A text of at most so many characters; what is cut is told by three dots.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_not_repeated() {
        assert!(url("https://a.example/x?y").is_ok());
        assert!(url("https://user:word@[::1]:8080/x:y").is_ok());
        for bad in ["ftp://secret", "https://", "secret", "https://a b", "https://a:secret/"] {
            assert!(!url(bad).unwrap_err().contains("secret"));
        }
        assert_eq!(host("https://user:word@a.example:8080/token"), "a.example:8080");
        assert_eq!(below("http://a/", "/b"), "http://a/b");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("äbcd", 3), "äb…");
    }
}
