//! The section `web`: how the server is reached from outside, where something in front of it gives it another name or a path.
//!
//! Two paths follow. Requests come with `route_prefix`, which is that of the external URL unless it is said otherwise:
//! whatever is in front may take it away. Links go out with the path of the external URL, or with the prefix if there is none.

use super::{
    section::{Findings, Section},
    tree::Node,
};

/// Bytes of a path.
const PATH_BYTES_MAX: usize = 200;

/// How the server is reached from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// Scheme, authority and path, without a slash at the end.
    url: Option<String>,
    /// What the paths of requests begin with: nothing, or `/` and more, without one at the end.
    prefix: String,
}

impl External {
    /// The URL under which people reach the server, without a slash at the end; `None` if nobody said it.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// What the paths of requests begin with: nothing, or `/` and more, without one at the end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the paths of links begin with, in the same form.
    pub fn path(&self) -> &str {
        self.url.as_deref().map_or(&self.prefix, |url| split(url).2)
    }

    /// Name and port in the external URL, as `Host` has them.
    pub fn authority(&self) -> Option<&str> {
        self.url.as_deref().map(|url| split(url).1)
    }

    /// The origin of pages that came by the external URL.
    pub fn origin(&self) -> Option<String> {
        self.url.as_deref().map(|url| {
            let (scheme, authority, _) = split(url);
            format!("{scheme}://{authority}")
        })
    }

    /// Whether it is reached over TLS, wherever that ends.
    pub fn is_secure(&self) -> bool {
        self.url.as_deref().is_some_and(|url| url.starts_with("https:"))
    }

    /// A path of ours as a whole link: of the external URL, or at the place where the caller found us.
    pub fn link(&self, scheme: &str, host: &str, path: &str) -> String {
        match &self.url {
            Some(url) => format!("{url}{path}"),
            None => format!("{scheme}://{host}{}{path}", self.prefix),
        }
    }
}

pub(super) fn read_external(node: &Node, findings: &mut Findings) -> External {
    let mut section = Section::open(node, "`web`", findings);
    let url = section.value("external_url", external_url, findings);
    let prefix = section.value("route_prefix", path, findings);
    section.finish(&[], findings);
    let prefix = prefix.or_else(|| url.as_deref().map(|url| split(url).2.to_owned())).unwrap_or_default();
    External { url, prefix }
}

fn external_url(text: &str) -> Result<String, String> {
    let wrong = || "expected a URL such as https://example.org/barograph/, without user, query or fragment";
    let uri: http::Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let is_one = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && !authority.contains('@')
        && !text.contains(['?', '#']);
    if !is_one {
        return Err(wrong().to_owned());
    }
    let path = path(uri.path())?;
    // Compared with what browsers send, which write names small.
    Ok(format!("{}://{}{path}", uri.scheme_str().unwrap_or_default(), authority.to_ascii_lowercase()))
}

/// A path that is the same in HTML, headers and URLs, without a slash at the end.
fn path(text: &str) -> Result<String, String> {
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Ok(String::new());
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(fits);
    match text.len() <= PATH_BYTES_MAX && text.split('/').all(is_segment) {
        true => Ok(format!("/{text}")),
        false => Err(format!(
            "expected a path of letters, digits and `.`, `_`, `~`, `-` between slashes, of at most {PATH_BYTES_MAX} bytes"
        )),
    }
}

/// Scheme, authority and path of a URL that was checked.
fn split(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find('/').unwrap_or(rest.len());
    (scheme, &rest[..end], &rest[end..])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, "test.yml", Path::new(""), []).map_err(|error| error.to_string())
    }

    #[test]
    fn the_prefix_is_that_of_the_url_unless_it_is_told() {
        for (text, prefix, path, link) in [
            ("", "", "", "http://h/ui/"),
            ("external_url: 'https://Ex.org:8443/'", "", "", "https://ex.org:8443/ui/"),
            ("external_url: https://ex.org/a/b/", "/a/b", "/a/b", "https://ex.org/a/b/ui/"),
            ("{external_url: 'https://ex.org/a', route_prefix: /}", "", "/a", "https://ex.org/a/ui/"),
            ("route_prefix: a/", "/a", "/a", "http://h/a/ui/"),
            ("{external_url: 'http://ex.org', route_prefix: /a}", "/a", "", "http://ex.org/ui/"),
        ] {
            let web = match text.starts_with('{') {
                true => format!("web: {text}"),
                false => format!("web:\n  {text}"),
            };
            let external = parse(&web).unwrap().external;
            assert_eq!((external.prefix(), external.path()), (prefix, path), "{text}");
            assert_eq!(external.link("http", "h", "/ui/"), link, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_or_path_is_told() {
        for (text, why) in [
            ("external_url: ex.org/a", "expected a URL"),
            ("external_url: ftp://ex.org", "expected a URL"),
            ("external_url: 'https://ann:pw@ex.org'", "expected a URL"),
            ("external_url: 'https://ex.org/?a=b'", "expected a URL"),
            ("external_url: 'https://ex.org/a;b'", "expected a path"),
            ("route_prefix: '/a/../b'", "expected a path"),
            ("route_prefix: '/a\"b'", "expected a path"),
            ("prefix: /a", "prefix"),
        ] {
            let error = parse(&format!("web: {{{text}}}")).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("pw@"), "{error}");
        }
    }

    #[test]
    fn what_follows_of_the_url_is_taken_from_it() {
        let text = "web: {external_url: 'https://ex.org/a'}\nauth: {oidc: {issuer: 'https://i', client_id: b, role_map: {x: read}}}";
        let auth = parse(text).unwrap().auth.unwrap();
        assert!(auth.secure_cookies);
        assert_eq!(auth.origins, ["https://ex.org"]);
        assert_eq!(auth.oidc.unwrap().redirect_url, "https://ex.org/a/api/barograph/v1/auth/oidc/callback");
    }
}
