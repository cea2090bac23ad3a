//! What `tos doctor` looks at: models, input, machine.

use std::sync::Arc;

use super::{kit::House, parts};
use crate::{
    adapters::{doctor, llm},
    config::{Settings, payload},
    domain::{model::Role, rules::PerRole},
    interfaces::cli::kit::Finding,
};

impl House {
    /// Looks at everything a run needs.
    pub(super) fn examined(&self, settings: &Settings, online: bool) -> Vec<Finding> {
        let mut findings = vec![self.examine_models(settings)];
        findings.extend(self.examine_programs(settings));
        findings.extend(examine_goal(settings));
        findings.extend(examine_input(settings));
        findings.extend(
            doctor::machine(settings.root.as_path(), &settings.rules.policy.allow_types)
                .into_iter()
                .map(|(what, verdict, seen)| Finding {
                    what,
                    verdict,
                    seen,
                }),
        );
        if online {
            findings.extend(self.examine_online(settings));
        }
        findings
    }

    /// Looks for the programs that serve as models.
    fn examine_programs(&self, settings: &Settings) -> Vec<Finding> {
        let options = self.options(settings, None);
        let missing = |role: Role| {
            Some(Finding {
                what: format!("models.{}", role.as_str()),
                verdict: "problem",
                seen: llm::missing_program(options.of(role))?,
            })
        };
        Role::ALL.into_iter().filter_map(missing).collect()
    }

    fn examine_models(&self, settings: &Settings) -> Finding {
        let what = "models".to_owned();
        let missing = settings.missing_keys();
        match Self::replay(settings) {
            Ok(None) => {
                let names = parts::model_names(&self.options(settings, None));
                Finding {
                    what,
                    verdict: "ok",
                    seen: names.join(", "),
                }
            }
            Ok(Some(_)) => Finding {
                what,
                verdict: "warning",
                seen: format!(
                    "{} not set: only the recorded sample can run",
                    missing.join(" and ")
                ),
            },
            Err(trouble) => Finding {
                what,
                verdict: "problem",
                seen: trouble.to_string(),
            },
        }
    }

    fn examine_online(&self, settings: &Settings) -> Vec<Finding> {
        let options = self.options(settings, None);
        Role::ALL
            .map(|role| self.ask_for_a_sign(settings, role, &options))
            .into()
    }

    fn ask_for_a_sign(
        &self,
        settings: &Settings,
        role: Role,
        options: &PerRole<llm::ModelOptions>,
    ) -> Finding {
        let what = format!("models.{}", role.as_str());
        let problem = |seen: String| Finding {
            what: what.clone(),
            verdict: "problem",
            seen,
        };
        let model = match self.models(options) {
            Ok(models) => Arc::clone(models.of(role)),
            Err(trouble) => return problem(trouble.to_string()),
        };
        let query = crate::domain::model::Query {
            role,
            prompt: "Answer with this JSON object and nothing else: {\"commands\": [], \"thought\": \"ok\", \"approval\": true, \
                     \"review\": \"ok\", \"improved_commands\": [], \"final_commands\": [], \"summary\": \"ok\"}"
                .to_owned(),
            job: 1,
            turn: 0,
            deadline: *settings.rules.deadlines.of(role),
        };
        let own = options.of(role).clone();
        let shared = llm::Shared::new(self.redactor().clone());
        let asked = crate::interfaces::cli::kit::block_on(self, move |_stop| {
            Box::pin(async move {
                let asked = model.ask(&query).await;
                match asked {
                    Ok(reply) => Ok(reply),
                    Err(failure) => Err(parts::explained(failure, &own, &shared).await),
                }
            })
        });
        match asked {
            Ok(Ok(reply)) => Finding {
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

/// The words that `tos init` puts where the goal belongs.
const PLACEHOLDER: &str = "DESCRIBE THE GOAL HERE";

/// Looks for a goal that nobody has filled in: a run would be paid for nothing.
fn examine_goal(settings: &Settings) -> Option<Finding> {
    let templates = &settings.rules.templates;
    let says = |words: &str| {
        [&templates.draft, &templates.review, &templates.final_]
            .into_iter()
            .any(|text| text.contains(words))
    };
    let seen = if says(PLACEHOLDER) {
        format!(
            "still the placeholder `{PLACEHOLDER}`; say in `goal` what the job is for (or name a `goal_file`)"
        )
    } else if says("{goal}") {
        "a prompt says `{goal}` and there is none; set `goal` or `goal_file`".to_owned()
    } else {
        return None;
    };
    Some(Finding {
        what: "goal".to_owned(),
        verdict: "problem",
        seen,
    })
}

/// Looks at the job input, where it stands in the way of a run.
fn examine_input(settings: &Settings) -> Option<Finding> {
    let trouble = payload::load(&settings.root, settings.payload.as_ref()).err()?;
    Some(Finding {
        what: "job input".to_owned(),
        verdict: "problem",
        seen: trouble.to_string(),
    })
}
