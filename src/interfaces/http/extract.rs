//! Reading requests: whatever is wrong with one is said as every other error is, with the place.

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;

use super::{error::ApiError, state::HttpState};

/// A body of JSON.
pub(super) struct ApiJson<T>(pub(super) T);
/// A body of JSON that may be missing.
pub(super) struct MaybeJson<T>(pub(super) T);
/// The part behind `?`.
pub(super) struct ApiQuery<T>(pub(super) T);
/// The variable part of a path.
pub(super) struct ApiPath(pub(super) String);
/// Two variable parts of a path.
pub(super) struct ApiPath2(pub(super) String, pub(super) String);
/// A form of the page.
pub(super) struct ApiForm<T>(pub(super) T);

async fn body(request: Request, service: &HttpState) -> Result<Vec<u8>, ApiError> {
    let limit = service.options.body_limit;
    let read = to_bytes(request.into_body(), limit).await;
    read.map(|bytes| bytes.to_vec())
        .map_err(|_| too_large(limit))
}

pub(super) fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("the body is longer than {limit} bytes, or ended early"),
        "send less at once",
    )
}

fn content_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    text.split(';').next().unwrap_or("").trim().to_lowercase()
}

fn wants(request: &Request, wanted: &'static str) -> Result<(), ApiError> {
    if content_type(request) == wanted {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "wrong_content_type",
        format!("the body has to be {wanted}"),
        format!("send the header `Content-Type: {wanted}`"),
    ))
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            String::new()
        } else {
            format!("`{path}`: ")
        };
        ApiError::invalid(format!("{place}{}", error.inner()))
            .hint("`/openapi.json` describes every body")
    })?;
    reader.end().map_err(|error| {
        ApiError::invalid(format!("something stands behind the JSON value: {error}"))
    })?;
    Ok(value)
}

impl<T: DeserializeOwned> FromRequest<HttpState> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, service: &HttpState) -> Result<Self, ApiError> {
        wants(&request, "application/json")?;
        read_json(&body(request, service).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<HttpState> for MaybeJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, service: &HttpState) -> Result<Self, ApiError> {
        let kind = content_type(&request);
        let bytes = body(request, service).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(T::default()));
        }
        if kind != "application/json" {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "wrong_content_type",
                "the body has to be application/json",
                "send the header `Content-Type: application/json`",
            ));
        }
        read_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<HttpState> for ApiForm<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, service: &HttpState) -> Result<Self, ApiError> {
        wants(&request, "application/x-www-form-urlencoded")?;
        let bytes = body(request, service).await?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ApiError::invalid("the form is not written in UTF-8"))?;
        let form = Request::builder()
            .method(axum::http::Method::POST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(axum::body::Body::from(text))
            .map_err(|_| ApiError::invalid("the form cannot be read"))?;
        let read = axum::extract::Form::<T>::from_request(form, &()).await;
        read.map(|axum::extract::Form(value)| Self(value))
            .map_err(|error| ApiError::invalid(error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(value)| Self(value)).map_err(|error| {
            ApiError::invalid(error.body_text())
                .hint("`/openapi.json` names what may stand behind `?`")
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ApiPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        read.map(|Path(value)| Self(value))
            .map_err(|error| ApiError::invalid(error.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ApiPath2 {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = Path::<(String, String)>::from_request_parts(parts, state).await;
        read.map(|Path((first, second))| Self(first, second))
            .map_err(|error| ApiError::invalid(error.body_text()))
    }
}

/// Reads the number of a thing, with or without its prefix.
pub(super) fn parse_id<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(ApiError::invalid)
}

/// Reads a number that need not be given.
pub(super) fn parse_given<T: std::str::FromStr<Err = String>>(
    text: Option<&str>,
) -> Result<Option<T>, ApiError> {
    text.map(parse_id).transpose()
}
