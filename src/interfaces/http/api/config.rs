//! `/config`: settings with where they come from and what has to be started again. Secrets go in and never come out.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    interfaces::http::{error::ApiError, extract::ApiJson, state::HttpState},
    ports::board::ConfigEntry,
};

use super::answer::DoneView;

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettingView {
    /// Its name.
    name: String,
    /// Its value; never that of a secret.
    value: Option<String>,
    /// It is a secret.
    is_secret: bool,
    /// It has a value.
    is_set: bool,
    /// Where the value comes from.
    origin: String,
    /// What it means.
    meaning: String,
    /// Processes that have to be started again for a change to count.
    restart: Vec<String>,
}

/// All settings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Configuration {
    /// The settings.
    config: Vec<SettingView>,
}

/// Settings to change: name and value, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(super) struct Changes(BTreeMap<String, serde_json::Value>);

impl From<ConfigEntry> for SettingView {
    fn from(entry: ConfigEntry) -> Self {
        Self {
            // Whatever the port says: a secret is not shown.
            value: entry.value.filter(|_| !entry.is_secret),
            name: entry.name,
            is_secret: entry.is_secret,
            is_set: entry.is_set,
            origin: entry.origin,
            meaning: entry.meaning,
            restart: entry.restart.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Shows the settings.
#[utoipa::path(get, path = "/config", tag = "config", responses((status = 200, body = Configuration)))]
pub(super) async fn read(
    State(service): State<HttpState>,
) -> Result<Json<Configuration>, ApiError> {
    let entries = service.board().configuration().await?;
    let config = entries.into_iter().map(SettingView::from).collect();
    Ok(Json(Configuration { config }))
}

/// Changes settings, all or none; says which processes have to be started again.
#[utoipa::path(patch, path = "/config", tag = "config", request_body = Changes, responses((status = 200, body = DoneView)))]
pub(super) async fn change(
    State(service): State<HttpState>,
    ApiJson(Changes(changes)): ApiJson<Changes>,
) -> Result<Json<DoneView>, ApiError> {
    if changes.is_empty() {
        return Err(ApiError::invalid("no setting is named")
            .hint("send an object of names and values, {\"WORKER_COUNT\":\"2\"}"));
    }
    let changes = changes
        .into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => Ok((name, text)),
            serde_json::Value::Number(_) | serde_json::Value::Bool(_) => {
                Ok((name, value.to_string()))
            }
            _ => Err(ApiError::invalid(format!(
                "`{name}` has to be a text, a number, true or false"
            ))),
        })
        .collect::<Result<_, _>>()?;
    let restart = service.board().configure(changes).await?;
    let restart = restart.iter().map(ToString::to_string).collect();
    Ok(Json(DoneView::restarting(restart)))
}
