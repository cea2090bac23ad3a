//! The HTTP API and the page of the service, over the port [`crate::ports::board`] alone.
//!
//! [`router`] puts together what guards, what answers programs and what answers people; [`serve`](serve::serve) keeps
//! connections within their limits. Secure by default: nothing is answered to another name than this machine's, to another
//! origin, or to somebody who is not signed in.

mod api;
mod error;
mod extract;
pub mod options;
mod page;
mod security;
pub mod serve;
mod state;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};

pub use options::HttpOptions;

use crate::ports::board::ServiceBackend;

use error::ApiError;
use state::HttpState;

/// Returns everything that the service answers.
pub fn router(board: Arc<dyn ServiceBackend>, options: HttpOptions) -> Router {
    let service = HttpState::new(board, options);
    let (api, description) = api::router();
    let routes = api
        .merge(page::router())
        .route(
            "/openapi.json",
            axum::routing::get(move || async move { axum::Json(description) }),
        )
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method);
    routes
        .layer(CatchPanicLayer::custom(|_| broken().into_response()))
        .layer(middleware::from_fn_with_state(
            service.clone(),
            security::guard::security_middleware,
        ))
        .layer(middleware::from_fn_with_state(service.clone(), for_people))
        .layer(CompressionLayer::new())
        .with_state(service)
}

/// Returns the description of the API, as `OpenAPI` 3.1.
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    api::router().1
}

async fn unknown(request: Request) -> ApiError {
    ApiError::not_found(format!(
        "{} does not exist",
        request.uri().path().escape_debug()
    ))
    .hint("`/openapi.json` names every route")
}

async fn wrong_method(method: Method) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        format!("{method} is not possible here"),
        "`/openapi.json` names every route",
    )
}

fn broken() -> ApiError {
    ApiError::new(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "a fault in tos: the request could not be answered",
        "the log of the service says more; please report it",
    )
}

/// Shows an error as a page to those who read pages.
async fn for_people(State(service): State<HttpState>, request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT);
    let reads_pages = accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let view = page::view::PageContext::of(&service, request.headers(), request.uri());
    let mut response = next.run(request).await;
    let error = response.extensions_mut().remove::<ApiError>();
    let Some(error) = error.filter(|_| reads_pages) else {
        return response;
    };
    let (parts, _) = response.into_parts();
    let page = page::sign_in::error_page(&view, &error);
    let mut shown = (parts.status, axum::response::Html(page)).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            shown.headers_mut().insert(name, value.clone());
        }
    }
    shown
}
