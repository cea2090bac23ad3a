//! Routes for programs, each with its description: what is served and what is described are one list.

pub(super) mod agents;
pub(super) mod answer;
pub(super) mod config;
pub(super) mod events;
pub(super) mod hatch;
pub(super) mod health;
mod hold;
mod limits;
pub(super) mod logs;
pub(super) mod people;
pub(super) mod plans;
pub(super) mod runs;
pub(super) mod sessions;
pub(super) mod sign_in;
pub(super) mod system;
pub(super) mod tasks;
mod webhooks;
pub(super) mod wire;

use axum::Router;
use utoipa::{
    OpenApi,
    openapi::{
        Content, OpenApi as Description, Ref, ResponseBuilder,
        path::Operation,
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{error::ErrorBody, state::HttpState};

/// The head of the description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "tos",
        description = "The board of tasks of `tos serve`. Times are RFC 3339 in UTC. Lists are in pages: `limit` and `cursor`, newest first.",
    ),
    components(schemas(ErrorBody))
)]
struct Head;

/// Returns the routes and their description.
pub(super) fn router() -> (Router<HttpState>, Description) {
    let (router, mut description) = OpenApiRouter::with_openapi(Head::openapi())
        .merge(work())
        .merge(operation())
        .split_for_parts();
    complete(&mut description);
    limits::add_constraints(&mut description);
    (router, description)
}

fn work() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(tasks::get, tasks::change, tasks::delete))
        .routes(routes!(tasks::cancel))
        .routes(routes!(tasks::requeue))
        .routes(routes!(runs::list))
        .routes(routes!(runs::stats))
        .routes(routes!(runs::get))
        .routes(routes!(runs::list_artifacts))
        .routes(routes!(runs::content))
        .routes(routes!(runs::cancel))
        .routes(routes!(agents::list))
        .routes(routes!(agents::get))
        .routes(routes!(plans::list, plans::create))
        .routes(routes!(plans::get, plans::decide, plans::edit))
        .routes(routes!(agents::judgements))
        .routes(routes!(agents::diff))
        .routes(routes!(sessions::list, sessions::start))
        .routes(routes!(sessions::get))
        .routes(routes!(sessions::cancel))
        .routes(routes!(people::list))
        .routes(routes!(people::answer))
        .routes(routes!(people::budget))
}

fn operation() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(logs::agent))
        .routes(routes!(logs::run))
        .routes(routes!(logs::cycle_manager))
        .routes(routes!(logs::process))
        .routes(routes!(sessions::log))
        .routes(routes!(logs::all))
        .routes(routes!(logs::clear))
        .routes(routes!(config::read, config::change))
        .routes(routes!(system::preflight))
        .routes(routes!(system::processes))
        .routes(routes!(system::stop_all))
        .routes(routes!(system::process))
        .routes(routes!(system::start))
        .routes(routes!(system::stop))
        .routes(routes!(system::restart))
        .routes(routes!(system::cleanup))
        .routes(routes!(hatch::status))
        .routes(routes!(hatch::arm))
        .routes(routes!(hatch::disarm))
        .routes(routes!(hold::held, hold::hold))
        .routes(routes!(hold::resume))
        .routes(routes!(system::retry_merges))
        .routes(routes!(people::requirement, people::write_requirement))
        .routes(routes!(events::follow))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(sign_in::new_code))
        .routes(routes!(webhooks::github))
}

/// Adds what holds for every route: how one signs in, and what an error looks like.
fn complete(description: &mut Description) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let key = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    components.add_security_scheme("key", SecurityScheme::ApiKey(key));
    let none: [&str; 0] = [];
    description.security = Some(vec![
        SecurityRequirement::new("token", none),
        SecurityRequirement::new("key", none),
    ]);
    for item in description.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            add_error(operation);
        }
    }
}

fn add_error(operation: &mut Operation) {
    let body = Content::new(Some(Ref::from_schema_name("ErrorBody")));
    let error = ResponseBuilder::new()
        .description("it was not done")
        .content("application/json", body)
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), error.into());
}
