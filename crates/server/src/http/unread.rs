//! What is still on its way of a request that was refused before it was read.
//!
//! A little is read and thrown away, so that the connection can be used again. Where more would come, the connection is closed
//! after the answer, which says so: a client that kept it would find out by its next request.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Version, header::CONNECTION},
    response::Response,
};
use http_body_util::BodyExt;

/// So much is read at most.
const BYTES_MAX: usize = 64 << 10;
/// For so long at most.
const WAIT: Duration = Duration::from_millis(500);

/// Takes care of the body of a request of which `response` is the refusal.
pub(crate) async fn settle(body: Body, version: Version, response: &mut Response) {
    let whole = tokio::time::timeout(WAIT, is_little(body)).await.unwrap_or(false);
    if !whole && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Reads on; whether that was all.
async fn is_little(mut body: Body) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, |data| data.len());
        if read > BYTES_MAX {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[tokio::test]
    async fn a_connection_stays_where_little_comes() {
        for (bytes, version, closed) in [
            (0, Version::HTTP_11, false),
            (BYTES_MAX, Version::HTTP_11, false),
            (BYTES_MAX + 1, Version::HTTP_11, true),
            (BYTES_MAX + 1, Version::HTTP_2, false),
        ] {
            let mut response = ().into_response();
            settle(Body::from(vec![0; bytes]), version, &mut response).await;
            assert_eq!(response.headers().contains_key(CONNECTION), closed, "{bytes} {version:?}");
        }
    }
}
