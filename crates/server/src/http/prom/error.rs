//! Errors in the form of the Prometheus API: `{"status":"error","errorType":…,"error":…}`.

use std::time::Duration;

use axum::{
    http::{
        HeaderValue, StatusCode, Uri,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use barograph_model::{BudgetError, SourceError};
use barograph_query::Error as QueryError;

use super::answer::write_string;
use crate::http::{body::BodyError, problem::Problem};

/// Why a request of the query API failed, with what the sender can do about it in the text.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    text: String,
    /// The limit of queries that is behind it, if one is.
    limit: Option<&'static str>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Self {
        Self { status, kind, text: text.into(), limit: None }
    }

    /// 503: the time of a query is up.
    pub(crate) fn late(limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        Self::timeout(format!(
            "query timed out in expression evaluation (limit {seconds} s; the settings are query.timeout and the \
             parameter timeout)"
        ))
    }

    /// 429: too many queries wait.
    pub(crate) fn crowded(limit: u64) -> Self {
        let text = format!(
            "too many queries wait for their turn (limit {limit}; the setting is query.max_queued); ask again in a moment"
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, "unavailable", text)
    }

    /// 429 or 503: too many requests are at work.
    pub(crate) fn busy(status: StatusCode, text: String) -> Self {
        Self::new(status, "unavailable", text)
    }

    /// 503: somebody stopped the query.
    pub(crate) fn stopped() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "canceled", "query was stopped by its number")
    }

    /// The same with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The status it has by HTTP, and the word for what kind of error it is.
    pub(crate) fn kind(&self) -> (StatusCode, &'static str) {
        (self.status, self.kind)
    }

    /// The limit of queries that is behind it, if one is: `samples`, `series`, `bytes`, `memory`.
    pub(crate) fn limit(&self) -> Option<&'static str> {
        self.limit
    }

    /// 400: the request is wrong and will be wrong again.
    pub(crate) fn bad_data(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", text)
    }

    /// 400 for one parameter, in the words clients parse.
    pub(crate) fn bad_parameter(name: &str, text: &dyn std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {text}"))
    }

    /// 405: the path is there, and takes other methods.
    pub(crate) fn wrong_method(text: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "bad_data", text)
    }

    /// 401, 403, 429 or 503: who asks may not, or not now.
    pub(crate) fn refused(status: StatusCode, text: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            _ => "unavailable",
        };
        Self::new(status, kind, text)
    }

    /// 404 for a thing that is not there.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", text)
    }

    /// 503: the answer took longer than it may.
    pub(crate) fn timeout(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", text)
    }

    /// 503: not now.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
    }

    /// 500: our fault.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
    }

    /// The text alone, for streams that carry errors beside answers.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The same in the form of our own API.
impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self::new(error.status, error.text)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::TooSlow => "timeout",
            BodyError::Refused(..) => return Self::busy(error.status(), error.to_string()),
            _ => "bad_data",
        };
        Self::new(error.status(), kind, format!("cannot read the form: {error}"))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Source(source) => source.into(),
            other => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", other.to_string()),
        }
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        let SourceError::Budget(refused) = &error else {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self::internal(format!("{error}{cause}"));
        };
        let (limit, setting) = match refused {
            BudgetError::Cancelled => return Self::timeout("query timed out in expression evaluation"),
            BudgetError::TooManySamples { .. } => ("samples", "query.max_samples"),
            BudgetError::TooManySeries { .. } => ("series", "query.max_series"),
            BudgetError::TooManyBytes { .. } => ("bytes", "query.max_bytes"),
            BudgetError::OutOfMemory { .. } => ("memory", "memory"),
        };
        let text = format!("{refused}; the setting is {setting}");
        let error = match refused {
            BudgetError::OutOfMemory { .. } => Self::unavailable(text),
            _ => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", text),
        };
        Self { limit: Some(limit), ..error }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = format!(r#"{{"status":"error","errorType":"{}","error":"#, self.kind);
        write_string(&mut body, &self.text);
        body.push('}');
        let mut response = (self.status, [(CONTENT_TYPE, "application/json")], body).into_response();
        if self.kind == "unavailable" {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A path under `/api/v1` that is not there.
pub(crate) async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("no such path: {}", uri.path()))
}
