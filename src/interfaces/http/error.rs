//! What a caller is told when something is not done: `{"error":{"code","message","hint"}}`, always.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::board::{Refusal, RefusalCode},
    ports::board::{BoardError, SubmitError},
};

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: String,
    /// After how many seconds it may be tried again.
    pub(super) retry_after: Option<u64>,
}

/// The body of every answer that is an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// The error.
    error: ErrorDetail,
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// A word for programs.
    code: &'static str,
    /// A sentence for people.
    message: String,
    /// What helps; may be empty.
    hint: String,
}

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: hint.into(),
            retry_after: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message, "")
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message, "")
    }

    /// Says that nothing has this number.
    pub(super) fn unknown(id: impl std::fmt::Display) -> Self {
        Self::not_found(format!("there is no {id}"))
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    #[must_use]
    pub(super) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            RefusalCode::NotFound => StatusCode::NOT_FOUND,
            RefusalCode::Invalid => StatusCode::BAD_REQUEST,
            RefusalCode::Conflict | RefusalCode::Stale | RefusalCode::NotRunning => {
                StatusCode::CONFLICT
            }
            RefusalCode::Closed => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.code.as_str(), refusal.reason, refusal.hint)
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            other @ (SubmitError::Store(_) | SubmitError::Ending) => unavailable(other.to_string()),
        }
    }
}

impl From<BoardError> for ApiError {
    fn from(error: BoardError) -> Self {
        match error {
            BoardError::NotFound(detail) => Self::not_found(detail),
            BoardError::Invalid(detail) => Self::invalid(detail),
            BoardError::Unavailable(detail) => unavailable(detail),
        }
    }
}

pub(super) fn unavailable(detail: String) -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        detail,
        "try again; `tos doctor` looks for the cause",
    )
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = axum::Json(ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message.clone(),
                hint: self.hint.clone(),
            },
        });
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            // Whoever has to come again later must not hold a connection that others could have until then.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"tos\""),
            );
        }
        // Who shows it to a person takes it from here.
        response.extensions_mut().insert(self);
        response
    }
}
