//! Reading the body of a request: whole, within the limit, and from a client that keeps sending.
//!
//! A body gets [`GRACE`] and then as long as it comes with [`RATE_MIN`] on average, so that a connection that only
//! drips, or says nothing more, is not held for ever.

use std::{pin::pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use http_body_util::BodyExt;

use super::{App, admitted::Slot, write::refused};
use crate::admission::Refused;

/// A body may take this long, however little of it comes.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes a second that a body must bring once its grace is over.
const RATE_MIN: u64 = 1024;

/// The room for a body grows so many times at once, if that much is said to come.
const GROWTH: usize = 8;

/// A body, read whole.
pub(crate) struct Whole(pub(crate) Bytes);

/// The beginning of a body, of which the rest was read and thrown away.
pub(crate) struct Beginning(pub(crate) Bytes);

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than {limit} bytes; send it in several requests")]
    TooLarge { limit: usize },
    #[error("the body comes at less than {RATE_MIN} bytes a second; send it again")]
    TooSlow,
    #[error("the body broke off: {0}")]
    Broken(axum::Error),
    #[error("{0}")]
    Refused(Refused, StatusCode),
}

impl BodyError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            // Not 408: senders of samples drop what they get a 4xx for.
            Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
            Self::Refused(_, status) => *status,
        }
    }
}

impl FromRequest<App> for Whole {
    type Rejection = BodyError;

    async fn from_request(request: Request, app: &App) -> Result<Self, BodyError> {
        let slot = request.extensions().get::<Slot>().cloned();
        let limit = app.limits().body_bytes;
        let whole = Self::within(request.into_body(), limit).await?;
        enter(app, slot).await?;
        Ok(whole)
    }
}

impl Whole {
    /// A body of at most so many bytes.
    pub(super) async fn within(body: Body, limit: usize) -> Result<Self, BodyError> {
        read(body, limit, limit, GRACE).await.map(Self)
    }
}

impl Beginning {
    /// The first so many bytes of a body as large as one may be.
    pub(super) async fn of(request: Request, app: &App, kept: usize) -> Result<Self, BodyError> {
        let (slot, limit) = (request.extensions().get::<Slot>().cloned(), app.limits().body_bytes);
        let beginning = read(request.into_body(), limit, kept, GRACE).await?;
        enter(app, slot).await?;
        Ok(Self(beginning))
    }
}

/// Takes the place of a request once its body is there: who sends slowly takes none from others meanwhile.
async fn enter(app: &App, slot: Option<Slot>) -> Result<(), BodyError> {
    match slot {
        Some(slot) => slot.enter(app).await,
        None => Ok(()),
    }
}

/// In plain text, as what takes samples answers.
impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        refused(self.status(), &self.to_string())
    }
}

/// Reads a body of at most `limit` bytes, and keeps the first `kept` of them.
async fn read(mut body: Body, limit: usize, kept: usize, grace: Duration) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge { limit });
    }
    // Most bodies are one frame, which is passed on as it lies.
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    let mut deadline = pin!(tokio::time::sleep(grace));
    let began = deadline.deadline() - grace;
    let mut received = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut deadline => {
                let earned = began + grace + Duration::from_secs(received as u64 / RATE_MIN);
                if earned <= deadline.deadline() {
                    return Err(BodyError::TooSlow);
                }
                deadline.as_mut().reset(earned);
                continue;
            }
        };
        let Some(frame) = frame else { break };
        let Ok(mut data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        received += data.len();
        if received > limit {
            return Err(BodyError::TooLarge { limit });
        }
        let had = first.len() + whole.len();
        data.truncate(kept - had);
        if had == 0 {
            first = data;
        } else {
            let come = had + data.len();
            if whole.capacity() < come {
                // What is said to come is believed as far as some of it came, so that little is moved as it grows.
                let more = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
                whole.reserve((come - whole.len() + more.min(GROWTH * come)).min(kept - whole.len()));
            }
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};

    use super::*;

    async fn check(frames: &[&'static str], and_then_hangs: bool, expected: Result<&str, StatusCode>) {
        let frames = stream::iter(frames.to_vec()).map(Ok::<_, Infallible>);
        let body = match and_then_hangs {
            true => Body::from_stream(frames.chain(stream::pending())),
            false => Body::from_stream(frames),
        };
        let got = read(body, 8, 8, Duration::from_millis(20)).await.map_err(|e| e.status());
        assert_eq!(got, expected.map(|text| Bytes::copy_from_slice(text.as_bytes())));
    }

    #[tokio::test]
    async fn reads_what_comes_in_time_and_size() {
        check(&[], false, Ok("")).await;
        check(&["one"], false, Ok("one")).await;
        check(&["one", "", "two", "34"], false, Ok("onetwo34")).await;
        check(&["one", "two", "345"], false, Err(StatusCode::PAYLOAD_TOO_LARGE)).await;
        check(&["one"], true, Err(StatusCode::SERVICE_UNAVAILABLE)).await;
    }

    #[tokio::test]
    async fn a_declared_size_is_believed_before_a_byte_is_read() {
        let refused = read(Body::from("nine byte"), 8, 8, GRACE).await.map_err(|e| e.to_string());
        assert_eq!(refused, Err("the body is larger than 8 bytes; send it in several requests".to_owned()));
    }

    #[tokio::test]
    async fn of_a_body_only_the_beginning_may_be_kept() {
        let of = async |frames: &[&'static str], kept| {
            let frames = stream::iter(frames.to_vec()).map(Ok::<_, Infallible>);
            read(Body::from_stream(frames), 8, kept, GRACE).await.map_err(|e| e.status())
        };
        assert_eq!(of(&["one", "two", "34"], 4).await, Ok("onet".into()));
        assert_eq!(of(&["onetwo", "34"], 2).await, Ok("on".into()));
        assert_eq!(of(&["one"], 4).await, Ok("one".into()));
        assert_eq!(of(&["onetwo", "345"], 2).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
