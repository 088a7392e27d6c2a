//! The header `tracestate`: what each system that takes part in a trace wants to hand on.
//!
//! W3C Trace Context, section 3.3: up to 32 entries `key=value`, the newest first. One that does not follow the rules
//! is dropped whole.

use std::{fmt, sync::Arc};

/// The most entries.
const ENTRIES_MAX: usize = 32;
/// The most bytes that are handed on.
const BYTES_MAX: usize = 512;

/// The entries of a `tracestate`. Clones are cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<[(String, String)]>>);

impl TraceState {
    /// Reads a header; several headers are joined with a comma beforehand. What breaks the rules gives none.
    pub fn parse(header: &str) -> Self {
        let mut entries: Vec<(String, String)> = Vec::new();
        let list =
            header.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty());
        for entry in list {
            let Some((key, value)) = entry.split_once('=') else { return Self::default() };
            let twice = entries.iter().any(|(known, _)| known == key);
            if twice || entries.len() >= ENTRIES_MAX || !is_key(key) || !is_value(value) {
                return Self::default();
            }
            entries.push((key.to_owned(), value.to_owned()));
        }
        Self((!entries.is_empty()).then(|| entries.into()))
    }

    /// The value of an entry.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries().iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }

    /// The same with this entry, which then stands first; without it if the value is empty or breaks the rules.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let own = (is_key(key) && is_value(value)).then(|| (key.to_owned(), value.to_owned()));
        let others = self.entries().iter().filter(|(known, _)| known != key).cloned();
        let entries: Vec<_> = own.into_iter().chain(others).take(ENTRIES_MAX).collect();
        Self((!entries.is_empty()).then(|| entries.into()))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn entries(&self) -> &[(String, String)] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for TraceState {
    /// As a header; entries that would make it too long are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = 0;
        for (key, value) in self.entries() {
            let separator = if written == 0 { "" } else { "," };
            let bytes = separator.len() + key.len() + 1 + value.len();
            if written + bytes <= BYTES_MAX {
                write!(f, "{separator}{key}={value}")?;
                written += bytes;
            }
        }
        Ok(())
    }
}

/// A lowercase name, perhaps with the name of a tenant before an `@`.
fn is_key(key: &str) -> bool {
    let starts = key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let rest = key.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'));
    starts && rest && key.len() <= 256
}

fn is_value(value: &str) -> bool {
    let printable = value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b',' && b != b'=');
    printable && !value.is_empty() && value.len() <= 256 && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_reading() {
        let check =
            |header: &str, expected: &str| assert_eq!(TraceState::parse(header).to_string(), expected);
        check("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        check(" a=1 ,\t, b=2", "a=1,b=2");
        check("t@v=1", "t@v=1");
        check("", "");
        for broken in ["a", "A=1", "a=1,a=2", "a=", "a=1=2", "=1", "a=\u{e9}", "-a=1"] {
            check(broken, "");
        }
        let many = (0..33).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
        check(&many, "");
    }

    #[test]
    fn the_newest_stands_first() {
        let state = TraceState::parse("a=1,ot=th:8,b=2").with("ot", "th:c");
        assert_eq!((state.to_string().as_str(), state.get("ot")), ("ot=th:c,a=1,b=2", Some("th:c")));
        assert_eq!(state.with("ot", "").to_string(), "a=1,b=2");
        assert!(TraceState::default().with("a", "").is_empty());
        let long =
            (0..4).fold(TraceState::default(), |state, i| state.with(&format!("k{i}"), &"v".repeat(200)));
        assert!(long.to_string().len() <= BYTES_MAX);
    }
}
