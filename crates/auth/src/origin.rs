//! Whose page made a browser send a request.
//!
//! A browser tells the origin of the page with whatever that page sends elsewhere, and with everything that is no `GET`
//! (`Origin`); newer ones also say how page and server are related (`Sec-Fetch-Site`). A page cannot forge either. What is
//! no browser sends neither, and carries nothing along that it was not told to.

/// Whether a request comes from a page of ours, or from no page at all. `host` is what the request calls us, `origins`
/// what else we are called, as `https://name:port`.
pub fn is_ours(
    host: Option<&str>,
    origin: Option<&str>,
    fetch_site: Option<&str>,
    origins: &[String],
) -> bool {
    let Some(origin) = origin else {
        return matches!(fetch_site, None | Some("same-origin" | "none"));
    };
    if origins.iter().any(|ours| ours.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    // A browser leaves the port out of both, if it is that of the scheme.
    let named = |authority: &str| match authority.strip_suffix(port).and_then(|rest| rest.strip_suffix(':')) {
        Some(name) => name.to_ascii_lowercase(),
        None => authority.to_ascii_lowercase(),
    };
    host.is_some_and(|host| !host.is_empty() && named(host) == named(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_others_are_told() {
        let origins = ["https://graphs.example".to_owned()];
        let check = |host, origin, site, expected| {
            assert_eq!(is_ours(Some(host), origin, site, &origins), expected, "{host} {origin:?} {site:?}");
        };
        check("a:1", None, None, true);
        check("a:1", None, Some("same-origin"), true);
        check("a:1", None, Some("none"), true);
        check("a:1", None, Some("cross-site"), false);
        check("a:1", None, Some("same-site"), false);
        check("a:1", Some("http://a:1"), None, true);
        check("A:1", Some("http://a:1"), None, true);
        check("a", Some("https://a"), None, true);
        check("a:443", Some("https://a"), None, true);
        check("a:1", Some("http://a:2"), None, false);
        check("a:1", Some("http://b:1"), None, false);
        check("a:1", Some("null"), None, false);
        check("", Some("http://"), None, false);
        check("a:1", Some("file://a:1"), None, false);
        check("inside:1", Some("https://graphs.example"), None, true);
        assert!(!is_ours(None, Some("http://a"), None, &[]));
    }
}
