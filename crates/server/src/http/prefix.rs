//! The path under which the server lives, where it is not the root: taken off requests before anything looks at them, put back
//! on what answers name by path. Everything between knows no prefix.
//!
//! Health, readiness and `/metrics` are answered without it, too: probes and scrapers come past whatever is in front. All else
//! outside is not found, but the root, which leads inside.

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{LOCATION, SET_COOKIE},
        uri::PathAndQuery,
    },
    response::{IntoResponse, Redirect, Response},
};
use tower_service::Service;

use super::problem::Problem;
use crate::config::External;

/// Routes that are answered without the prefix, and what lies below them.
const EVERYWHERE: [&str; 7] =
    ["/-/healthy", "/-/ready", "/health", "/healthz", "/livez", "/readyz", "/metrics"];

/// Routes behind the prefix of requests, with the path of links in what they answer.
pub(super) fn behind(routes: Router, external: &External) -> Router {
    let (prefix, links) = (external.prefix().to_owned(), external.path().to_owned());
    if prefix.is_empty() && links.is_empty() {
        return routes;
    }
    Router::new().fallback(move |mut request: Request| {
        let (mut routes, prefix, links) = (routes.clone(), prefix.clone(), links.clone());
        async move {
            let Some(uri) = without(request.uri(), &prefix) else {
                return outside(request.uri().path(), &prefix);
            };
            *request.uri_mut() = uri;
            let Ok(mut response) = routes.call(request).await;
            name_inside(response.headers_mut(), &links);
            response
        }
    })
}

/// What a request asks for below the prefix, or at one of the routes that are everywhere.
fn without(uri: &Uri, prefix: &str) -> Option<Uri> {
    let path = uri.path();
    let is_below =
        |of: &str| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if prefix.is_empty() || (!is_below(prefix) && EVERYWHERE.into_iter().any(is_below)) {
        return Some(uri.clone());
    }
    if !is_below(prefix) {
        return None;
    }
    let rest = &path[prefix.len()..];
    let path = if rest.is_empty() { "/" } else { rest };
    let text = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

fn outside(path: &str, prefix: &str) -> Response {
    match path {
        "/" => Redirect::temporary(&format!("{prefix}/")).into_response(),
        _ => Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is nothing at {path}; this server answers below {prefix}/"),
        )
        .into_response(),
    }
}

/// Redirects to our own paths lead inside, and cookies come back to no other path. One of the prefix `__Host-` is for the whole
/// host, as browsers want it.
fn name_inside(headers: &mut HeaderMap, links: &str) {
    let own = |value: &HeaderValue| {
        let path = value.to_str().ok().filter(|path| path.starts_with('/') && !path.starts_with("//"))?;
        HeaderValue::try_from(format!("{links}{path}")).ok()
    };
    if let Some(place) = headers.get_mut(LOCATION)
        && let Some(inside) = own(place)
    {
        *place = inside;
    }
    let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        headers.append(SET_COOKIE, of_path(&cookie, links).unwrap_or(cookie));
    }
}

fn of_path(cookie: &HeaderValue, links: &str) -> Option<HeaderValue> {
    let text = cookie.to_str().ok().filter(|text| !text.starts_with("__Host-"))?;
    HeaderValue::try_from(text.replacen("; Path=/", &format!("; Path={links}/"), 1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_lose_the_prefix() {
        for (uri, inside) in [
            ("/a/b/ui/x?q=1", Some("/ui/x?q=1")),
            ("/a/b", Some("/")),
            ("/a/b/", Some("/")),
            ("/a/b?q=1", Some("/?q=1")),
            ("/a/bc", None),
            ("/a", None),
            ("/ui/", None),
            ("/metrics", Some("/metrics")),
            ("/metricsx", None),
            ("/health/server", Some("/health/server")),
            ("/a/b/metrics", Some("/metrics")),
            ("/a/b//x", Some("//x")),
        ] {
            let found = without(&uri.parse().unwrap(), "/a/b").map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), inside, "{uri}");
        }
        assert_eq!(without(&"/ui/".parse().unwrap(), "").unwrap(), "/ui/");
        assert_eq!(outside("/", "/a").headers()[LOCATION], "/a/");
        assert_eq!(outside("/x", "/a").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn answers_get_it_back() {
        let check = |name: http::HeaderName, before: &'static str, after: &str| {
            let mut headers: HeaderMap =
                [(name.clone(), HeaderValue::from_static(before))].into_iter().collect();
            name_inside(&mut headers, "/a");
            assert_eq!(headers[name], after);
        };
        check(LOCATION, "/ui/login?next=/ui/", "/a/ui/login?next=/ui/");
        check(LOCATION, "https://id.example/", "https://id.example/");
        check(LOCATION, "//id.example/", "//id.example/");
        check(SET_COOKIE, "s=1; Path=/; HttpOnly", "s=1; Path=/a/; HttpOnly");
        check(SET_COOKIE, "s=1; Path=/api/x/; HttpOnly", "s=1; Path=/a/api/x/; HttpOnly");
        check(SET_COOKIE, "__Host-s=1; Path=/; Secure", "__Host-s=1; Path=/; Secure");
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=1; Path=/"));
        headers.append(SET_COOKIE, HeaderValue::from_static("b=2; Path=/"));
        name_inside(&mut headers, "/a");
        let all: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(all, ["a=1; Path=/a/", "b=2; Path=/a/"]);
    }
}
