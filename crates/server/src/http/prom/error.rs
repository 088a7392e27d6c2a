//! Errors in the form of the Prometheus API: `{"status":"error","errorType":…,"error":…}`.

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
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Self {
        Self { status, kind, text: text.into() }
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
        let kind = if matches!(error, BodyError::TooSlow) { "timeout" } else { "bad_data" };
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
        match &error {
            SourceError::Budget(BudgetError::Cancelled) => {
                Self::timeout("query timed out in expression evaluation")
            }
            SourceError::Budget(limit @ BudgetError::OutOfMemory { .. }) => {
                Self::unavailable(limit.to_string())
            }
            SourceError::Budget(limit) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", limit.to_string())
            }
            _ => {
                let cause =
                    std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                Self::internal(format!("{error}{cause}"))
            }
        }
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
