//! Addresses: parts of them, and links to where an expression can be looked at.

use std::net::IpAddr;

/// A link to an expression, relative to the server: as a graph (`tab` 0) or as a table (1).
pub(super) fn expression(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

/// A text as it may stand in the query of an address.
pub(super) fn query_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => escaped.push(char::from(b)),
            b => escaped.push_str(&format!("%{b:02X}")),
        }
    }
    escaped
}

/// The path of an address, without what comes before and after.
pub(super) fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or_default()
}

/// Host and port of `host:port` and `[host]:port`.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(host) => Some((host.strip_suffix(']')?, port)),
        None if host.contains([':', ']']) => None,
        None => Some((host, port)),
    }
}

/// The host of an address with a port; another text as it is.
pub(super) fn strip_port(address: &str) -> &str {
    split_port(address).map_or(address, |(host, _)| host)
}

/// An address with the first part of its host alone. One that is a number stays.
pub(super) fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let first = host.split('.').next().unwrap_or_default();
    if port.is_empty() { first.to_owned() } else { format!("{first}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut() {
        let check = |address: &str, host: &str, short: &str| {
            assert_eq!((strip_port(address), strip_domain(address).as_str()), (host, short));
        };
        check("foo.example.com:80", "foo.example.com", "foo:80");
        check("foo.example.com", "foo.example.com", "foo");
        check("10.1.2.3:80", "10.1.2.3", "10.1.2.3:80");
        check("[::1]:80", "::1", "[::1]:80");
        check("::1", "::1", "::1");
        check("", "", "");
    }

    #[test]
    fn links_are_escaped() {
        assert_eq!(expression("up{a=\"b c\"}", 0), "/graph?g0.expr=up%7Ba%3D%22b+c%22%7D&g0.tab=0");
        assert_eq!(path("http://a.example/prom/x?y"), "/prom/x");
        assert_eq!(path("http://a.example"), "");
    }
}
