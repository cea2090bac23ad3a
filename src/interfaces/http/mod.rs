//! The HTTP API of the service: JSON over loopback, for whoever holds the token.
//!
//! Its only dependency is a [`BoardHandle`] and the logs. Dangers: a page of a foreign site must reach nothing, so each request
//! needs the token and a host name of this machine, and there is no CORS.

mod answers;
mod routes;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};

use crate::{ports::process_logs::ProcessLogs, services::board::BoardHandle};

pub use answers::ApiError;

/// The largest body that is read, in bytes.
const LARGEST: usize = 1024 * 1024;

/// What requests are answered from.
#[derive(Clone)]
pub struct ApiState {
    /// The board.
    pub handle: BoardHandle,
    /// The logs of processes.
    pub logs: Arc<dyn ProcessLogs>,
    /// What a caller has to know.
    pub token: Arc<str>,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

/// Returns the API.
pub fn router(state: ApiState) -> Router {
    routes::all()
        .layer(from_fn_with_state(state.clone(), guard))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(state)
}

/// Lets through whoever holds the token and asked for this machine by a name of its own.
async fn guard(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    admitted(request.headers(), &state.token)?;
    Ok(next.run(request).await)
}

fn admitted(headers: &HeaderMap, token: &str) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "the request is for another host",
            "use 127.0.0.1",
        ));
    }
    let given = text(header::AUTHORIZATION)
        .and_then(|text| text.strip_prefix("Bearer "))
        .unwrap_or_default();
    if !same(given.as_bytes(), token.as_bytes()) {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the token is missing or wrong",
            "it stands in .tos/serve.json, which only you can read",
        ));
    }
    Ok(())
}

/// Compares without telling by its time where the difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && differences == 0
}
