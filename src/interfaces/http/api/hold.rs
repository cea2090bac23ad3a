//! `/system/hold` and `/system/resume`: whether new things are started.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::board::Input,
    interfaces::http::{error::ApiError, extract::MaybeJson, state::HttpState},
};

use super::{
    answer::{DoneView, done},
    wire::time,
};

/// Who asks, for the events.
const BY: &str = "api";

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ReasonInput {
    /// In one line.
    reason: String,
}

/// Whether new things are started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HoldView {
    /// They are not.
    held: bool,
    /// Why not.
    detail: Option<String>,
    /// Who held them.
    by: Option<String>,
    /// Since when.
    since: Option<String>,
    /// Until when; none = until somebody says go on.
    until: Option<String>,
}

/// Says whether new things are started, and if not, why and until when.
#[utoipa::path(get, path = "/system/hold", tag = "system", responses((status = 200, body = HoldView)))]
pub(super) async fn held(State(service): State<HttpState>) -> Json<HoldView> {
    let board = service.snapshot();
    let hold = board.dispatch_hold();
    Json(HoldView {
        held: hold.is_some(),
        detail: hold.map(|hold| hold.detail.clone()),
        by: hold.map(|hold| hold.by.clone()),
        since: hold.map(|hold| time(hold.since)),
        until: hold.and_then(|hold| hold.until).map(time),
    })
}

/// Starts nothing new.
#[utoipa::path(post, path = "/system/hold", tag = "system", request_body(content = ReasonInput, description = "may be left out"),
    responses((status = 200, body = DoneView)))]
pub(super) async fn hold(
    State(service): State<HttpState>,
    MaybeJson(input): MaybeJson<ReasonInput>,
) -> Result<Json<DoneView>, ApiError> {
    let hold = Input::Hold {
        reason: input.reason,
        by: BY.to_owned(),
    };
    Ok(done(service.submit(hold).await?))
}

/// Starts new things again.
#[utoipa::path(post, path = "/system/resume", tag = "system", responses((status = 200, body = DoneView)))]
pub(super) async fn resume(State(service): State<HttpState>) -> Result<Json<DoneView>, ApiError> {
    let by = BY.to_owned();
    Ok(done(service.submit(Input::Resume { by }).await?))
}
