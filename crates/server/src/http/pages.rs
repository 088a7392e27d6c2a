//! The web pages under `/ui/`, as they were built into the binary. Their shell names `/ui/` and nothing else does, so behind a
//! prefix it alone is made anew.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use barograph_ui::Asset;

use super::{App, compress::takes_gzip, problem::Problem};

/// The shell, with the path of links in it; too small to be worth packing.
struct Shell {
    bytes: Vec<u8>,
    etag: String,
}

impl Shell {
    fn new(links: &str) -> Self {
        let built = barograph_ui::shell();
        let text = String::from_utf8_lossy(built.bytes).replace("=\"/ui/", &format!("=\"{links}/ui/"));
        let etag = format!("\"{}{}\"", built.etag.trim_matches('"'), links.replace('/', "-"));
        Self { bytes: text.into_bytes(), etag }
    }

    fn reply(&self, request: &HeaderMap) -> Response {
        reply(request, &barograph_ui::shell(), Some(self))
    }
}

/// The routes; `links` is what their paths begin with outside.
pub(crate) fn routes(links: &str) -> Router<App> {
    let shell = Arc::new(Shell::new(links));
    let of_path = shell.clone();
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/ui/") }))
        .route("/ui", get(|| async { Redirect::temporary("/ui/") }))
        .route("/ui/", get(move |headers: HeaderMap| async move { shell.reply(&headers) }))
        .route("/ui/{*path}", get(move |path, headers| async move { page(path, &headers, &of_path) }))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .fallback(unknown)
}

/// A built file, or the shell for every path that is a page's.
fn page(Path(path): Path<String>, headers: &HeaderMap, shell: &Shell) -> Response {
    match barograph_ui::asset(&path) {
        Some(_) if path == "index.html" => shell.reply(headers),
        Some(asset) => reply(headers, &asset, None),
        // A missing script must not arrive as a page.
        None if path.starts_with("assets/") => StatusCode::NOT_FOUND.into_response(),
        None => shell.reply(headers),
    }
}

async fn unknown(uri: Uri) -> Response {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path())).into_response()
}

fn reply(request: &HeaderMap, asset: &Asset, shell: Option<&Shell>) -> Response {
    let etag = shell.map_or(asset.etag, |shell| &shell.etag);
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());
    // Built files carry a hash of their content in their name; the shell is asked for each time.
    let cache = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, cache),
        (header::ETAG, etag),
        (header::VARY, "Accept-Encoding"),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    match (shell, asset.gzip.filter(|_| takes_gzip(request))) {
        (Some(shell), _) => (common, shell.bytes.clone()).into_response(),
        (None, Some(packed)) => (common, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        (None, None) => (common, asset.bytes).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_names_the_pages_where_they_are() {
        let text = |links| String::from_utf8(Shell::new(links).bytes).unwrap();
        let (root, below) = (text(""), text("/a/b"));
        assert_eq!(root.as_bytes(), barograph_ui::shell().bytes);
        assert_eq!(root.matches("\"/ui/").count(), below.matches("\"/a/b/ui/").count());
        assert!(!below.contains("\"/ui/"));
        assert_ne!(Shell::new("").etag, Shell::new("/a/b").etag);
    }
}
