//! Errors of our API as statuses of gRPC: a code by what the caller does next, the text that HTTP has, and where it helps
//! when to come again or which field is wrong.

use std::time::Duration;

use axum::http::StatusCode;
use prost::Message;
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt, pb::RetryInfo};

use crate::http::{ApiError, Problem};

/// Whoever is told to come again is told when.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The trailer that says when.
const RETRY_INFO: &str = "google.rpc.retryinfo-bin";

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let (status, kind) = error.kind();
        let code = match (status, kind) {
            (_, "timeout") => Code::DeadlineExceeded,
            (_, "canceled") => Code::Aborted,
            (StatusCode::UNPROCESSABLE_ENTITY, _) if error.limit().is_some() => Code::ResourceExhausted,
            (status, _) => code_of(status),
        };
        told(code, error.text(), status_may_pass(status, code), None)
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let code = code_of(problem.status());
        told(code, problem.detail(), status_may_pass(problem.status(), code), problem.path())
    }
}

/// A request that is wrong in one field.
pub(super) fn wrong(field: &str, why: impl Into<String>) -> Status {
    told(Code::InvalidArgument, &why.into(), false, Some(field))
}

/// What a server says that has too much to do; when to come again is told.
pub(super) fn busy(text: &str, after: Duration) -> Status {
    later(Code::ResourceExhausted, text, after)
}

/// A refusal that passes, with when to come again: in the details of the status, and once more in a trailer of its own, which
/// is where the exporters of OpenTelemetry for Python look for it.
pub(crate) fn later(code: Code, text: &str, after: Duration) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(after));
    let mut status = Status::with_error_details(code, text, details);
    let told = RetryInfo { retry_delay: after.try_into().ok() }.encode_to_vec();
    status.metadata_mut().insert_bin(RETRY_INFO, MetadataValue::from_bytes(&told));
    status
}

/// What a server says that stops.
pub(super) fn stopping() -> Status {
    told(Code::Unavailable, "the server is stopping", true, None)
}

fn told(code: Code, text: &str, again: bool, field: Option<&str>) -> Status {
    match field {
        _ if again => later(code, text, RETRY_AFTER),
        Some(field) => {
            let mut details = ErrorDetails::new();
            details.add_bad_request_violation(field, text);
            Status::with_error_details(code, text, details)
        }
        None => Status::new(code, text),
    }
}

/// Whether asking the same again may help. A request that is too large stays so.
fn status_may_pass(status: StatusCode, code: Code) -> bool {
    code == Code::Unavailable || status == StatusCode::TOO_MANY_REQUESTS
}

fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
        StatusCode::CONFLICT => Code::Aborted,
        StatusCode::UNPROCESSABLE_ENTITY => Code::FailedPrecondition,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => {
            Code::ResourceExhausted
        }
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        status if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_codes() {
        let check = |status: Status, code: Code, again: bool| {
            assert_eq!(status.code(), code, "{status:?}");
            assert_eq!(status.get_details_retry_info().is_some(), again, "{status:?}");
            assert_eq!(status.metadata().get_bin(RETRY_INFO).is_some(), again, "{status:?}");
        };
        check(ApiError::bad_data("x").into(), Code::InvalidArgument, false);
        check(ApiError::late(Duration::from_secs(1)).into(), Code::DeadlineExceeded, false);
        check(ApiError::stopped().into(), Code::Aborted, false);
        check(ApiError::crowded(1).into(), Code::ResourceExhausted, true);
        check(ApiError::unavailable("x").into(), Code::Unavailable, true);
        check(ApiError::internal("x").into(), Code::Internal, false);
        check(Problem::not_ready().into(), Code::Unavailable, true);
        check(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "x").into(), Code::ResourceExhausted, false);
        let wrong = Status::from(Problem::new(StatusCode::BAD_REQUEST, "x").at("query.limit".to_owned()));
        let violations = wrong.get_details_bad_request().unwrap().field_violations;
        assert_eq!((wrong.code(), violations[0].field.as_str()), (Code::InvalidArgument, "query.limit"));
    }
}
