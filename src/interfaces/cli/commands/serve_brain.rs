//! Who plans and who reviews for `tos serve`, from its file.

use std::time::Duration;

use crate::{
    config::{service::ServiceConfig, service_models::ServiceModel},
    interfaces::cli::{exit::CliError, task_services::BoardServices},
    services::board::{ConfiguredModel, PlannerAndReviewer, PlannerKind},
};

/// The most tasks of a plan where nothing is said.
const TASKS: usize = 20;
/// How long an agent may take for a plan where nothing is said, in seconds.
const AGENT_SECONDS: u64 = 1200;

/// Makes what plans and reviews.
pub(super) fn brain(
    config: &ServiceConfig,
    services: &BoardServices,
) -> Result<PlannerAndReviewer, CliError> {
    let seat = |wanted: &ServiceModel| -> Result<ConfiguredModel, CliError> {
        Ok(ConfiguredModel {
            model: (services.model)(wanted)?,
            price: wanted.price,
            deadline: Duration::from_secs(
                wanted
                    .seconds
                    .unwrap_or(ServiceModel::DEFAULT_TIMEOUT_SECONDS),
            ),
            asks: wanted.asks.unwrap_or(ServiceModel::DEFAULT_ATTEMPTS),
        })
    };
    let planner = &config.planner;
    let maker = match (&planner.model, planner.agent.as_deref()) {
        (Some(model), _) => PlannerKind::Model(seat(model)?),
        (None, Some(name)) => PlannerKind::Agent {
            agent: Box::new(
                config
                    .agents
                    .get(name)
                    .unwrap_or(&config.list.agent)
                    .clone(),
            ),
            deadline: Duration::from_secs(planner.seconds.unwrap_or(AGENT_SECONDS)),
            asks: planner.asks.unwrap_or(ServiceModel::DEFAULT_ATTEMPTS),
        },
        (None, None) => PlannerKind::Checklist,
    };
    Ok(PlannerAndReviewer {
        maker,
        areas: planner.areas.clone(),
        most: planner.max_tasks.unwrap_or(TASKS),
        review: config.judge.review.as_ref().map(seat).transpose()?,
        validates: config.judge.validators,
        redactor: services.redactor.clone(),
    })
}
