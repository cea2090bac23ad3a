//! `/webhooks/github`: what GitHub tells by itself. Who may tell something shows it by a signature, not by the token.

use axum::{
    Json,
    body::to_bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    interfaces::http::{
        error::ApiError, extract::too_large, security::guard::rate_limited, state::HttpState,
    },
    ports::board::{WebhookAnswer, WebhookDelivery},
};

/// What became of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryView {
    /// Its identifier.
    delivery: String,
    /// done, again (it came before) or underway.
    outcome: &'static str,
    /// In words.
    detail: String,
}

/// The form in which GitHub sends JSON unless it is told otherwise.
#[derive(Debug, Deserialize)]
struct Form {
    payload: String,
}

/// Takes a delivery of GitHub's webhook. `X-Hub-Signature-256` signs it with the secret of the settings; without a secret there is none.
#[utoipa::path(post, path = "/webhooks/github", tag = "github", security(()),
    request_body(content = Object, description = "as GitHub sends it"),
    responses((status = 200, body = DeliveryView), (status = 202, body = DeliveryView)))]
pub(super) async fn github(
    State(service): State<HttpState>,
    request: Request,
) -> Result<(StatusCode, Json<DeliveryView>), ApiError> {
    let headers = request.headers().clone();
    let limit = service.options.body_limit;
    let body = to_bytes(request.into_body(), limit).await;
    let body = body.map_err(|_| too_large(limit))?.to_vec();
    let id = word(&headers, "x-github-delivery");
    let event = word(&headers, "x-github-event");
    let delivery = WebhookDelivery {
        signature: word(&headers, "x-hub-signature-256"),
        payload: payload(&headers, &body).await,
        id: id.clone(),
        event,
        body,
    };
    let now = service.now();
    let answer = service.board().deliver(delivery).await?;
    let (outcome, detail) = match answer {
        WebhookAnswer::Off => {
            service.strangers.take(now).map_err(rate_limited)?;
            return Err(
                ApiError::not_found("the webhook is off, because it has no secret")
                    .hint("write GITHUB_WEBHOOK_SECRET on the page of settings"),
            );
        }
        WebhookAnswer::Unsigned => {
            service.strangers.take(now).map_err(rate_limited)?;
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the delivery is not signed with the secret",
                "the secret on GitHub and GITHUB_WEBHOOK_SECRET have to be the same",
            ));
        }
        WebhookAnswer::Again => ("again", "this delivery was taken before".to_owned()),
        WebhookAnswer::UnderWay => ("underway", "it is being dealt with".to_owned()),
        WebhookAnswer::Done(words) => ("done", words),
    };
    let status = if outcome == "underway" {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let view = DeliveryView {
        delivery: id,
        outcome,
        detail,
    };
    Ok((status, Json(view)))
}

fn word(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim().to_owned()
}

/// Returns the JSON of a delivery, which may be in a form.
async fn payload(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    const FORM: &str = "application/x-www-form-urlencoded";
    if !word(headers, header::CONTENT_TYPE.as_str()).starts_with(FORM) {
        return body.to_vec();
    }
    let form = Request::builder()
        .method(axum::http::Method::POST)
        .header(header::CONTENT_TYPE, FORM)
        .body(axum::body::Body::from(body.to_vec()));
    let Ok(form) = form else { return Vec::new() };
    // What cannot be read is no JSON either, and is refused as that.
    let read = axum::extract::Form::<Form>::from_request(form, &()).await;
    read.map(|form| form.0.payload.into_bytes())
        .unwrap_or_default()
}
