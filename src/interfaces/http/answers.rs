//! What the API answers: JSON, and errors of one shape, `{"error":{"code","message","hint"}}`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    domain::board::{Answer, Refusal, RefusalCode, Task},
    services::board::{BoardHandle, SubmitError},
};

/// An answer that is no success.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: String,
    message: String,
    hint: String,
}

impl ApiError {
    /// Makes an error.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>, hint: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            hint: hint.to_owned(),
        }
    }

    /// Says that there is no such thing.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message, "")
    }

    /// Says that words make no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message, "")
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
        Self::new(status, refusal.code.as_str(), refusal.reason, &refusal.hint)
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Store(error) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", error.0, "")
            }
            SubmitError::Ending => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ending",
                "the service is ending",
                "",
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body =
            json!({ "error": { "code": self.code, "message": self.message, "hint": self.hint } });
        (self.status, Json(body)).into_response()
    }
}

/// Returns a task with its countdown, as lists show it.
pub(super) fn task(handle: &BoardHandle, task: &Task) -> Value {
    let board = handle.snapshot();
    let mut value = json!(task);
    value["retry"] = json!(board.countdown(task, handle.now()));
    value["blockReason"] = json!(task.block);
    value
}

/// Returns what the board answered.
pub(super) fn answer(answer: &Answer) -> Json<Value> {
    Json(json!(answer))
}
