//! The web pages under `/ui/`, as they were built into the binary.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use barograph_ui::Asset;

use super::{App, compress::takes_gzip, problem::Problem};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/ui/") }))
        .route("/ui", get(|| async { Redirect::temporary("/ui/") }))
        .route("/ui/", get(shell))
        .route("/ui/{*path}", get(page))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .fallback(unknown)
}

async fn shell(headers: HeaderMap) -> Response {
    reply(&headers, &barograph_ui::shell())
}

/// A built file, or the shell for every path that is a page's.
async fn page(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match barograph_ui::asset(&path) {
        Some(asset) => reply(&headers, &asset),
        // A missing script must not arrive as a page.
        None if path.starts_with("assets/") => StatusCode::NOT_FOUND.into_response(),
        None => shell(headers).await,
    }
}

async fn unknown(uri: Uri) -> Response {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path())).into_response()
}

fn reply(request: &HeaderMap, asset: &Asset) -> Response {
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes());
    // Built files carry a hash of their content in their name; the shell is asked for each time.
    let cache = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, cache),
        (header::ETAG, asset.etag),
        (header::VARY, "Accept-Encoding"),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    match asset.gzip.filter(|_| takes_gzip(request)) {
        Some(packed) => (common, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => (common, asset.bytes).into_response(),
    }
}
