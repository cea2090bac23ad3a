//! The same server over HTTP on loopback: every request needs the token, and no browser gets in.
//!
//! Dangers: other users of the machine can reach the port (so a token is never optional), and pages in a browser can be made
//! to send requests to it (so only hosts of loopback are answered, and any `Origin` is refused).

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};

use super::{McpServer, McpState};
use crate::domain::mcp;

/// Where to listen, and who may speak.
#[derive(Debug, Clone)]
pub struct McpHttpOptions {
    /// The address; loopback.
    pub address: SocketAddr,
    /// The token every request has to carry.
    pub token: String,
}

/// Serves until `stop` completes; `ready` hears the address once it listens.
pub async fn serve(
    bench: Arc<McpState>,
    terms: McpHttpOptions,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", terms.address);
    let listener = tokio::net::TcpListener::bind(terms.address)
        .await
        .map_err(told)?;
    ready(listener.local_addr().map_err(told)?);
    let config = StreamableHttpServerConfig::default().enforce_origin_validation();
    let sessions = config.cancellation_token.clone();
    let service = StreamableHttpService::new(
        move || Ok(McpServer::new(Arc::clone(&bench))),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let token: Arc<str> = terms.token.into();
    let app = Router::new()
        .route_service("/mcp", service)
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let token = Arc::clone(&token);
            async move { authorised(&token, request, next).await }
        }));
    let stopped = async move {
        stop.await;
        // Streams of clients that listen would never end by themselves.
        sessions.cancel();
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(stopped)
        .await
        .map_err(|error| error.to_string())
}

async fn authorised(token: &str, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    if mcp::bearer_token_matches(given.map(header::HeaderValue::as_bytes), token) {
        return next.run(request).await;
    }
    let mut refused = Response::new(Body::from(
        "a token is needed: Authorization: Bearer TOKEN\n",
    ));
    *refused.status_mut() = StatusCode::UNAUTHORIZED;
    let scheme = header::HeaderValue::from_static("Bearer");
    refused
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    refused
}
