//! An answer over HTTP or HTTPS, looked at: its status, and a text that is in it.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{
    Request, Response, StatusCode, Uri,
    header::{HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};

use super::tls;
use crate::{config::Authorities, errors::chain, health::Finding};

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
pub(in super::super) async fn get(url: &str, authorities: &Authorities) -> Result<Answer, String> {
    let uri: Uri = url.parse().map_err(|error| chain(&error))?;
    let request = Request::get(&uri).header(USER_AGENT, concat!("Barograph/", env!("CARGO_PKG_VERSION")));
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let response = match uri.scheme_str() {
        Some("https") => over_tls(&uri, request, authorities).await?,
        _ => CLIENT.request(request).await.map_err(|error| chain(&error))?,
    };
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| chain(&*error))?.to_bytes();
    Ok(Answer { status, body })
}

async fn over_tls(
    uri: &Uri,
    mut request: Request<Empty<Bytes>>,
    authorities: &Authorities,
) -> Result<Response<Incoming>, String> {
    let (host, authority) = (uri.host().unwrap_or_default(), uri.authority().map_or("", |of| of.as_str()));
    let stream = tls::connect(host, uri.port_u16().unwrap_or(443), authorities).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    // It ends with the sender, or with the answer.
    tokio::spawn(connection);
    request.headers_mut().insert(HOST, authority.parse().map_err(|_| "the URL names no host".to_owned())?);
    *request.uri_mut() =
        uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.clone().into());
    sender.send_request(request).await.map_err(|error| chain(&error))
}

/// A page has to come, with one of these statuses (any of success if there are none) and with this text in it.
pub(super) async fn probe(
    url: &str,
    authorities: &Authorities,
    statuses: &[u16],
    text: Option<&str>,
) -> Finding {
    let answer = match get(url, authorities).await {
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
