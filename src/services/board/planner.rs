//! Planning: a requirement becomes tasks, by its own list, by a model, or by an agent.
//!
//! A list needs nobody: one task an item; numbered items wait for the one before them. A model or an agent is asked until an
//! answer counts. What they name is checked as a whole by [`crate::domain::board::parse_plan_reply`]; the board leaves out what it
//! has, and asks a person where a person is asked. Danger: a call that fails has to be told as one, never as an empty plan.

use std::sync::Arc;

use tokio::{runtime::Handle, sync::watch};

use super::{
    BoardHandle, ServicePorts,
    brain::{ModelQuestion, Payer, PlannerKind},
    plan_agent,
};
use crate::{
    domain::{
        board::{
            Dependency, Input, OnDependencyCancelled, PlanConstraints, PlanId, PlanProposal,
            PlanReply, PlanningFacts, ProcessExit, RequirementPlan, TaskId, TaskSpec, excerpt,
            parse_plan_reply, planning_prompt,
        },
        model::ModelRole,
    },
    ports::board::SubmitError,
};

/// Plans a requirement and hands the result in.
pub(super) async fn plan(
    handle: &BoardHandle,
    context: &Arc<ServicePorts>,
    plan: Option<PlanId>,
    generation: u64,
    stop: watch::Receiver<u8>,
) -> ProcessExit {
    let board = handle.snapshot();
    let Some(plan) = plan.and_then(|id| board.plan(id)) else {
        return ended(Err("there is no requirement to plan".to_owned()));
    };
    let facts = board.planning_facts(plan);
    let result = match &context.brain.maker {
        PlannerKind::Checklist => {
            let tasks = checklist(&plan.requirement);
            let words = tasks.as_ref().map(|tasks| format!("{} tasks", tasks.len()));
            let words = words.map_err(Clone::clone);
            let input = finished(plan.id, generation, tasks);
            told(handle.submit(input).await, words)
        }
        PlannerKind::Model(_) | PlannerKind::Agent { .. } => {
            let asked = asked(handle, context, (plan, &facts), generation, stop).await;
            hand_in(handle, plan.id, generation, asked).await
        }
    };
    ended(result)
}

fn finished(plan: PlanId, generation: u64, tasks: Result<Vec<TaskSpec>, String>) -> Input {
    Input::FinishPlan {
        plan,
        generation,
        tasks,
    }
}

async fn hand_in(
    handle: &BoardHandle,
    plan: PlanId,
    generation: u64,
    asked: Result<PlanProposal, String>,
) -> Result<String, String> {
    match asked {
        Ok(proposal) => {
            let words = if proposal.tasks.is_empty() {
                format!("nothing is left to do: {}", proposal.nothing_left)
            } else {
                format!("{} tasks", proposal.tasks.len())
            };
            let input = Input::Propose {
                plan,
                generation,
                proposal,
            };
            match handle.submit(input).await {
                // The board itself finds something wrong with the tasks.
                Err(SubmitError::Refused(refusal)) => {
                    let why = refusal.to_string();
                    let input = finished(plan, generation, Err(why.clone()));
                    told(handle.submit(input).await, Err(why))
                }
                other => told(other, Ok(words)),
            }
        }
        Err(why) => {
            let input = finished(plan, generation, Err(why.clone()));
            told(handle.submit(input).await, Err(why))
        }
    }
}

fn told<T>(
    submitted: Result<T, SubmitError>,
    words: Result<String, String>,
) -> Result<String, String> {
    submitted.map_err(|error| error.to_string())?;
    words
}

fn ended(result: Result<String, String>) -> ProcessExit {
    match result {
        Ok(detail) => ProcessExit { ok: true, detail },
        Err(detail) => ProcessExit { ok: false, detail },
    }
}

/// Asks the model or the agent.
async fn asked(
    handle: &BoardHandle,
    context: &Arc<ServicePorts>,
    (plan, facts): (&RequirementPlan, &PlanningFacts),
    generation: u64,
    stop: watch::Receiver<u8>,
) -> Result<PlanProposal, String> {
    let brain = &context.brain;
    let branch = context.branch(&handle.snapshot().settings().branch)?;
    let tip = context.merges.tip(&branch).map_err(|error| error.0)?;
    let files = context.merges.files(&tip).map_err(|error| error.0)?;
    let terms = PlanConstraints {
        areas: brain.areas.clone(),
        most: brain.most,
        files,
    };
    let prompt = |refused: Option<(&str, &[String])>| planning_prompt(facts, &terms, refused);
    let read = |text: &str| parse_plan_reply(text, facts, &terms);
    let payer = Payer::Plan(handle.clone(), plan.id, generation);
    let (maker, answer): (&str, PlanReply) = match &brain.maker {
        PlannerKind::Model(seat) => {
            let question = ModelQuestion {
                seat,
                role: ModelRole::Draft,
                job: plan.id.0,
                turn: 0,
                payer,
                redactor: &brain.redactor,
                runtime: Handle::current(),
                stop,
            };
            ("model", question.ask_until_valid(&prompt, &read).await?)
        }
        PlannerKind::Agent {
            agent,
            deadline,
            asks,
        } => {
            let order = plan_agent::PlanAgentRequest {
                agent: (**agent).clone(),
                deadline: *deadline,
                asks: *asks,
                name: format!("plan-{}", plan.id.0),
                base: tip,
                payer,
            };
            let (facts, terms) = (facts.clone(), terms.clone());
            let read = plan_agent::ask_agent(Arc::clone(context), order, facts, terms, stop);
            ("agent", read.await?)
        }
        PlannerKind::Checklist => return Err("a list needs nobody".to_owned()),
    };
    Ok(PlanProposal {
        maker: maker.to_owned(),
        tasks: answer.tasks,
        nothing_left: answer.nothing_left,
    })
}

/// Returns the tasks of a requirement, or says what is missing. Dependencies are places in the list, counted from 1.
fn checklist(requirement: &str) -> Result<Vec<TaskSpec>, String> {
    let mut tasks: Vec<TaskSpec> = Vec::new();
    for line in requirement.lines() {
        let Some((text, numbered)) = item(line) else {
            continue;
        };
        let place = tasks.len() as u64;
        let dependencies = (numbered && place > 0).then_some(Dependency {
            task: TaskId(place),
            on_fail: OnDependencyCancelled::Block,
        });
        tasks.push(TaskSpec {
            title: text.chars().take(200).collect(),
            goal: format!(
                "{text}\n\nIt is part of this requirement:\n{}",
                excerpt(requirement)
            ),
            dependencies: dependencies.into_iter().collect(),
            source: "planner".to_owned(),
            ..TaskSpec::default()
        });
    }
    if tasks.is_empty() {
        return Err(
            "the requirement has no list; write one line `- [ ] what to do` for each task"
                .to_owned(),
        );
    }
    Ok(tasks)
}

/// Returns the text of an item that is open, and whether it is numbered.
fn item(line: &str) -> Option<(&str, bool)> {
    let line = line.trim_start();
    let bullet = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
    let (rest, numbered) = if let Some(rest) = bullet {
        (rest, false)
    } else {
        let (number, rest) = line.split_once(". ")?;
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        is_number.then_some((rest, true))?
    };
    let rest = rest.trim();
    if rest.starts_with("[x]") || rest.starts_with("[X]") {
        return None;
    }
    let text = rest.strip_prefix("[ ]").unwrap_or(rest).trim();
    (!text.is_empty()).then_some((text, numbered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_items_become_tasks_and_numbered_ones_wait_for_each_other() {
        let tasks =
            checklist("# Goal\n- [x] old\n- [ ] one\n* two\n1. three\n2. four\nwords").unwrap();
        let titles: Vec<&str> = tasks.iter().map(|task| task.title.as_str()).collect();
        assert_eq!(titles, ["one", "two", "three", "four"]);
        assert!(tasks[1].dependencies.is_empty());
        assert_eq!(tasks[3].dependencies[0].task, TaskId(3));
        assert!(checklist("only words").is_err());
    }
}
