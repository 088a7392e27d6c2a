//! An answer over HTTP, looked at: its status, and a text that is in it.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Request, StatusCode, header::USER_AGENT};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{errors::chain, health::Finding};

/// Bytes of an answer that are read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What came back.
pub(in super::super) struct Answer {
    pub(in super::super) status: StatusCode,
    pub(in super::super) body: Bytes,
}

/// Each request has its own connection: whether one opens is part of what is asked.
static CLIENT: LazyLock<Client<HttpConnector, Empty<Bytes>>> =
    LazyLock::new(|| Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http());

/// Fetches a page.
pub(in super::super) async fn get(url: &str) -> Result<Answer, String> {
    let request = Request::get(url).header(USER_AGENT, concat!("Barograph/", env!("CARGO_PKG_VERSION")));
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let response = CLIENT.request(request).await.map_err(|error| chain(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| chain(&*error))?.to_bytes();
    Ok(Answer { status, body })
}

/// A page has to come, with one of these statuses (any of success if there are none) and with this text in it.
pub(super) async fn probe(url: &str, statuses: &[u16], text: Option<&str>) -> Finding {
    let answer = match get(url).await {
        Ok(answer) => answer,
        Err(error) => return Finding::fail(format!("no answer from {url}: {error}")),
    };
    let status = answer.status.as_u16();
    let expected = if statuses.is_empty() { answer.status.is_success() } else { statuses.contains(&status) };
    let has_text = text.is_none_or(|text| String::from_utf8_lossy(&answer.body).contains(text));
    let finding = match (expected, has_text) {
        (false, _) => Finding::fail(format!("{url} answered {}", answer.status)),
        (true, false) => Finding::fail(format!("the answer of {url} has not the text that is expected")),
        (true, true) => Finding::pass(),
    };
    finding.with("http_status", status).with("bytes", answer.body.len())
}
