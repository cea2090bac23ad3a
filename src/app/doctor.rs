//! What `tos doctor` looks at: models, input, machine.

use std::sync::Arc;

use super::{adapter_options, context::AppContext, service_models};
use crate::{
    adapters::{doctor, model},
    config::{Settings, payload, service, service_models::ServiceModel},
    domain::{job::rules::PerRole, model::ModelRole},
    interfaces::cli::services::{DoctorFinding, ServiceFactory},
};

impl AppContext {
    /// Looks at everything a run needs.
    pub(super) fn doctor_findings(&self, settings: &Settings, online: bool) -> Vec<DoctorFinding> {
        let has_job = settings.require_file().is_ok();
        let mut findings = Vec::new();
        if has_job {
            findings.push(self.examine_models(settings));
            findings.extend(self.examine_programs(settings));
            findings.extend(examine_goal(settings));
        } else {
            findings.push(DoctorFinding {
                what: "job".to_owned(),
                verdict: "ok",
                seen: "none here, so none of its models is looked at; `tos init` begins one"
                    .to_owned(),
            });
        }
        findings.extend(examine_input(settings));
        findings.extend(self.examine_service_models(settings));
        findings.extend(
            doctor::machine(settings.root.as_path(), &settings.rules.policy.allow_types)
                .into_iter()
                .map(|(what, verdict, seen)| DoctorFinding {
                    what,
                    verdict,
                    seen,
                }),
        );
        if online && has_job {
            findings.extend(self.examine_online(settings));
        }
        findings
    }

    /// Looks at what plans and reviews for the service, where there is one: a key that is not set is told at its start only.
    fn examine_service_models(&self, settings: &Settings) -> Vec<DoctorFinding> {
        let root = &settings.root;
        let config = service::load(root, |name| self.env_var(name));
        // A file with a fault is told by whoever looks at its programs.
        let Ok(config) = config else {
            return Vec::new();
        };
        let seats = [
            ("planner", config.planner.model.as_ref()),
            ("judge", config.judge.review.as_ref()),
        ];
        let seats = seats
            .into_iter()
            .filter_map(|(name, model)| Some((name, model?)));
        let finding = |(name, wanted): (&str, &ServiceModel)| {
            let built = service_models::build(&self.texts, self.redactor(), root, wanted);
            let (verdict, seen) = match built {
                Ok(_) => ("ok", format!("{}:{}", wanted.provider, wanted.model)),
                Err(trouble) => ("problem", trouble.to_string()),
            };
            DoctorFinding {
                what: format!("service {name}"),
                verdict,
                seen,
            }
        };
        seats.map(finding).collect()
    }

    /// Looks for the programs that serve as models.
    fn examine_programs(&self, settings: &Settings) -> Vec<DoctorFinding> {
        let options = self.options(settings, None);
        let missing = |role: ModelRole| {
            Some(DoctorFinding {
                what: format!("models.{}", role.as_str()),
                verdict: "problem",
                seen: model::missing_program(options.of(role))?,
            })
        };
        ModelRole::ALL.into_iter().filter_map(missing).collect()
    }

    fn examine_models(&self, settings: &Settings) -> DoctorFinding {
        let what = "models".to_owned();
        let missing = settings.missing_api_keys();
        match Self::replay(settings) {
            Ok(None) => {
                let names = adapter_options::model_names(&self.options(settings, None));
                DoctorFinding {
                    what,
                    verdict: "ok",
                    seen: names.join(", "),
                }
            }
            Ok(Some(_)) => DoctorFinding {
                what,
                verdict: "warning",
                seen: format!(
                    "{} not set: only the recorded sample can run",
                    missing.join(" and ")
                ),
            },
            Err(trouble) => DoctorFinding {
                what,
                verdict: "problem",
                seen: trouble.to_string(),
            },
        }
    }

    fn examine_online(&self, settings: &Settings) -> Vec<DoctorFinding> {
        let options = self.options(settings, None);
        ModelRole::ALL
            .map(|role| self.ask_for_a_sign(settings, role, &options))
            .into()
    }

    fn ask_for_a_sign(
        &self,
        settings: &Settings,
        role: ModelRole,
        options: &PerRole<model::ModelOptions>,
    ) -> DoctorFinding {
        let what = format!("models.{}", role.as_str());
        let problem = |seen: String| DoctorFinding {
            what: what.clone(),
            verdict: "problem",
            seen,
        };
        let model = match self.models(options) {
            Ok(models) => Arc::clone(models.of(role)),
            Err(trouble) => return problem(trouble.to_string()),
        };
        let query = crate::domain::model::ModelRequest {
            role,
            prompt: "Answer with this JSON object and nothing else: {\"commands\": [], \"thought\": \"ok\", \"approval\": true, \
                     \"review\": \"ok\", \"improved_commands\": [], \"final_commands\": [], \"summary\": \"ok\"}"
                .to_owned(),
            job: 1,
            turn: 0,
            deadline: *settings.rules.deadlines.of(role),
        };
        let own = options.of(role).clone();
        let shared = model::HttpClients::new(self.redactor().clone());
        let asked = crate::interfaces::cli::services::block_on(self, move |_stop| {
            Box::pin(async move {
                let asked = model.ask(&query).await;
                match asked {
                    Ok(reply) => Ok(reply),
                    Err(failure) => {
                        Err(adapter_options::explain_failure(failure, &own, &shared).await)
                    }
                }
            })
        });
        match asked {
            Ok(Ok(reply)) => DoctorFinding {
                what,
                verdict: "ok",
                seen: format!(
                    "{}:{} answered in {} ms",
                    reply.provider, reply.model, reply.elapsed_ms
                ),
            },
            Ok(Err(seen)) => problem(seen),
            Err(trouble) => problem(trouble.to_string()),
        }
    }
}

/// Looks for a goal that nobody has filled in: a run would be refused.
fn examine_goal(settings: &Settings) -> Option<DoctorFinding> {
    let (_, problem) = settings.goal_problem()?;
    Some(DoctorFinding {
        what: "goal".to_owned(),
        verdict: "problem",
        seen: format!("{problem}; say in `goal` what the job is for (or name a `goal_file`)"),
    })
}

/// Looks at the job input, where it stands in the way of a run.
fn examine_input(settings: &Settings) -> Option<DoctorFinding> {
    let trouble = payload::load(&settings.root, settings.payload.as_ref()).err()?;
    Some(DoctorFinding {
        what: "job input".to_owned(),
        verdict: "problem",
        seen: trouble.to_string(),
    })
}
