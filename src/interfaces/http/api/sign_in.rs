//! One-time codes for browsers: `tos open` asks for one with the token and opens the page with it.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::interfaces::http::{
    error::ApiError, security::credentials::CODE_LIFE, state::HttpState,
};

/// A code that signs one browser in, once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewCode {
    /// The code; it can be typed, too.
    code: String,
    /// The path that signs in, for the address of the page.
    path: String,
    /// For how long.
    expires_in_seconds: u64,
}

/// Makes a code that signs one browser in, once, within two minutes.
#[utoipa::path(post, path = "/sign-in/codes", tag = "sign-in", responses((status = 200, body = NewCode)))]
pub(super) async fn new_code(State(service): State<HttpState>) -> Result<Json<NewCode>, ApiError> {
    let secret = fresh_secret(&service)?;
    let code = service.credentials.new_code(&secret, service.now());
    Ok(Json(NewCode {
        path: format!("/sign-in?code={code}"),
        code,
        expires_in_seconds: CODE_LIFE / 1000,
    }))
}

/// Makes a secret.
pub(in crate::interfaces::http) fn fresh_secret(service: &HttpState) -> Result<String, ApiError> {
    (service.options.fresh_secret)().map_err(|error| {
        ApiError::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            format!("the machine gives no random numbers: {error}"),
            "",
        )
    })
}
