//! `/system/hatch`: whether processes are kept running, since when, who said so, and what reverses it.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::board::{Board, Input},
    interfaces::http::{error::ApiError, state::HttpState},
};

use super::wire::time;

/// Who is named for what comes over the API.
const BY: &str = "api";

/// The runtime hatch: whether processes are kept running.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HatchView {
    /// They are.
    armed: bool,
    /// Since when; absent = nobody decided yet.
    since: Option<String>,
    /// Who said so, or why.
    source: String,
    /// A person said so, and nothing but a person reverses it.
    by_person: bool,
    /// Until when: what reverses it, as no time does.
    until: String,
}

/// Returns the hatch of a board.
pub(super) fn hatch_of(board: &Board) -> HatchView {
    let hatch = board.hatch();
    HatchView {
        armed: hatch.armed,
        since: hatch.since.map(time),
        source: hatch.source.clone(),
        by_person: hatch.by_person,
        until: hatch.reversal().to_owned(),
    }
}

/// Says whether processes are kept running.
#[utoipa::path(get, path = "/system/hatch", operation_id = "hatch", tag = "system", responses((status = 200, body = HatchView)))]
pub(super) async fn status(State(service): State<HttpState>) -> Json<HatchView> {
    Json(hatch_of(&service.snapshot()))
}

/// Arms or disarms the hatch.
pub(in crate::interfaces::http) fn hatch_input(arm: bool) -> Input {
    let source = BY.to_owned();
    let by_person = true;
    if arm {
        Input::ArmHatch { source, by_person }
    } else {
        Input::DisarmHatch { source, by_person }
    }
}

/// Keeps processes running.
#[utoipa::path(post, path = "/system/hatch/arm", tag = "system", responses((status = 200, body = HatchView)))]
pub(super) async fn arm(State(service): State<HttpState>) -> Result<Json<HatchView>, ApiError> {
    service.submit(hatch_input(true)).await?;
    Ok(Json(hatch_of(&service.snapshot())))
}

/// Does not keep processes running.
#[utoipa::path(post, path = "/system/hatch/disarm", tag = "system", responses((status = 200, body = HatchView)))]
pub(super) async fn disarm(State(service): State<HttpState>) -> Result<Json<HatchView>, ApiError> {
    service.submit(hatch_input(false)).await?;
    Ok(Json(hatch_of(&service.snapshot())))
}
