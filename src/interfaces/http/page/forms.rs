//! What the forms of the pages do; each leads back to a page that shows what became of it.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    domain::board::{
        AgentRole, Dependency, Input, OnDependencyCancelled, ProcessName, ProcessStatus, RunId,
        TaskId, TaskSpec,
    },
    interfaces::http::{
        api::{
            hatch::hatch_input,
            plans::submit_requirement,
            runs::cancel_run_input,
            system::{empty_board, restart_named, start_named, stop_everything},
            tasks::{cancel_task_input, read_word, requeue_task_input, submit_task},
        },
        error::ApiError,
        extract::{ApiForm, ApiPath, ApiPath2, parse_id},
        state::HttpState,
    },
};

use super::view::LANGUAGE_COOKIE;

/// Who asks, for the events.
const BY: &str = "page";

/// The form of a new task.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NewTask {
    title: String,
    goal: String,
    test_command: String,
    paths: String,
    dependencies: String,
    role: String,
    priority: String,
}

/// A note for the next attempt.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    note: String,
}

/// The answer to a question.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Allow {
    allow: String,
}

/// The answer to a proposal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Accept {
    accept: String,
}

/// The form of the requirement.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    content: String,
    then: String,
}

/// What was written to confirm.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Confirm {
    confirm: String,
}

/// The choice of a language.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Language {
    to: String,
    back: String,
}

/// Adds a task.
pub(super) async fn add_task(
    State(service): State<HttpState>,
    ApiForm(form): ApiForm<NewTask>,
) -> Result<Redirect, ApiError> {
    let dependency = |word: &str| {
        let task: TaskId = parse_id(word.trim_start_matches('#'))?;
        Ok::<_, ApiError>(Dependency {
            task,
            on_fail: OnDependencyCancelled::Block,
        })
    };
    let words = form.dependencies.split([' ', ',']);
    let dependencies = words.filter(|word| !word.is_empty()).map(dependency);
    let role: AgentRole = if form.role.is_empty() {
        AgentRole::Worker
    } else {
        read_word("role", &form.role, "worker, tester, docser")?
    };
    let priority = match form.priority.trim() {
        "" => 0,
        text => text
            .parse()
            .map_err(|_| ApiError::invalid(format!("`priority` is \"{text}\"; write a number")))?,
    };
    let lines = form.paths.lines().map(str::trim);
    let spec = TaskSpec {
        title: form.title.trim().to_owned(),
        // Browsers end lines with two characters.
        goal: form.goal.replace("\r\n", "\n"),
        test_command: form
            .test_command
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        paths: lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
        dependencies: dependencies.collect::<Result<_, _>>()?,
        role,
        priority,
        source: BY.to_owned(),
        ..TaskSpec::default()
    };
    let (id, _) = submit_task(&service, spec).await?;
    Ok(Redirect::to(&format!("/ui/tasks/{}", id.0)))
}

/// Brings a task back to the queue.
pub(super) async fn requeue(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiForm(form): ApiForm<Note>,
) -> Result<Redirect, ApiError> {
    let id: TaskId = parse_id(&id)?;
    service
        .submit(requeue_task_input(id, form.note.trim()))
        .await?;
    Ok(Redirect::to(&format!("/ui/tasks/{}", id.0)))
}

/// Gives a task up.
pub(super) async fn cancel(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
) -> Result<Redirect, ApiError> {
    let id: TaskId = parse_id(&id)?;
    service.submit(cancel_task_input(id, "")).await?;
    Ok(Redirect::to(&format!("/ui/tasks/{}", id.0)))
}

/// Ends a run.
pub(super) async fn cancel_run(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiForm(form): ApiForm<Note>,
) -> Result<Redirect, ApiError> {
    let id: RunId = parse_id(&id)?;
    let task = service.snapshot().run(id).map(|run| run.task);
    service
        .submit(cancel_run_input(id, form.note.trim(), BY))
        .await?;
    let task = task.ok_or_else(|| ApiError::unknown(id))?;
    Ok(Redirect::to(&format!("/ui/tasks/{}", task.0)))
}

/// Accepts or declines the tasks of a plan.
pub(super) async fn decide_plan(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiForm(form): ApiForm<Accept>,
) -> Result<Redirect, ApiError> {
    let accept = match form.accept.as_str() {
        "yes" => true,
        "no" => false,
        _ => return Err(ApiError::invalid("`accept` has to be yes or no")),
    };
    let decision = Input::DecidePlan {
        plan: parse_id(&id)?,
        accept,
        by: BY.to_owned(),
    };
    service.submit(decision).await?;
    Ok(Redirect::to("/ui/plans"))
}

/// Answers a question.
pub(super) async fn answer(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiForm(form): ApiForm<Allow>,
) -> Result<Redirect, ApiError> {
    let allow = match form.allow.as_str() {
        "yes" => true,
        "no" => false,
        _ => return Err(ApiError::invalid("`allow` has to be yes or no")),
    };
    let answer = Input::Answer {
        approval: parse_id(&id)?,
        allow,
        by: BY.to_owned(),
    };
    service.submit(answer).await?;
    Ok(Redirect::to("/ui/approvals"))
}

/// Starts, stops or restarts a process.
pub(super) async fn process(
    State(service): State<HttpState>,
    ApiPath2(name, what): ApiPath2,
) -> Result<Redirect, ApiError> {
    name.parse::<ProcessName>().map_err(ApiError::not_found)?;
    let stop = Input::StopProcess {
        name: name.clone(),
        by: BY.to_owned(),
    };
    match what.as_str() {
        "start" => drop(start_named(&service, &name, None).await?),
        "stop" => drop(service.submit(stop).await?),
        "restart" => drop(restart_named(&service, &name, BY).await?),
        _ => return Err(ApiError::not_found(format!("a process cannot {what}"))),
    }
    Ok(Redirect::to("/ui/processes"))
}

/// Stops everything.
pub(super) async fn stop_all(State(service): State<HttpState>) -> Result<Redirect, ApiError> {
    stop_everything(&service).await?;
    Ok(Redirect::to("/"))
}

/// Starts everything that should run: first what directs, then what works.
pub(super) async fn start_all(State(service): State<HttpState>) -> Result<Redirect, ApiError> {
    for name in service.snapshot().settings().expected_processes() {
        let board = service.snapshot();
        let status = board.process(name).map(|process| process.status);
        if !status.is_some_and(ProcessStatus::is_live) {
            start_named(&service, &name.to_string(), None).await?;
        }
    }
    Ok(Redirect::to("/"))
}

/// Starts nothing new.
pub(super) async fn hold(State(service): State<HttpState>) -> Result<Redirect, ApiError> {
    let hold = Input::Hold {
        reason: "held by a person".to_owned(),
        by: BY.to_owned(),
    };
    service.submit(hold).await?;
    Ok(Redirect::to("/"))
}

/// Starts new things again.
pub(super) async fn resume(State(service): State<HttpState>) -> Result<Redirect, ApiError> {
    let by = BY.to_owned();
    service.submit(Input::Resume { by }).await?;
    Ok(Redirect::to("/"))
}

/// Arms or disarms the hatch.
pub(super) async fn hatch(
    State(service): State<HttpState>,
    ApiPath(what): ApiPath,
) -> Result<Redirect, ApiError> {
    let arm = match what.as_str() {
        "arm" => true,
        "disarm" => false,
        _ => return Err(ApiError::not_found(format!("the hatch cannot {what}"))),
    };
    service.submit(hatch_input(arm)).await?;
    Ok(Redirect::to("/ui/processes"))
}

/// Removes everything from the board.
pub(super) async fn cleanup(
    State(service): State<HttpState>,
    ApiForm(form): ApiForm<Confirm>,
) -> Result<Redirect, ApiError> {
    if form.confirm != "remove" {
        return Err(ApiError::invalid(
            "nothing was removed: the word \"remove\" is missing",
        ));
    }
    empty_board(&service, false, BY).await?;
    Ok(Redirect::to("/"))
}

/// Clears the logs.
pub(super) async fn clear_logs(State(service): State<HttpState>) -> Result<Redirect, ApiError> {
    service.board().clear_logs().await?;
    Ok(Redirect::to("/ui/logs"))
}

/// Changes the settings that are not as they were.
pub(super) async fn settings(
    State(service): State<HttpState>,
    ApiForm(form): ApiForm<BTreeMap<String, String>>,
) -> Result<Redirect, ApiError> {
    let known = service.board().configuration().await?;
    let mut changes = Vec::new();
    for (name, value) in form {
        let Some(entry) = known.iter().find(|entry| entry.name == name) else {
            return Err(ApiError::invalid(format!("no setting is called {name}")));
        };
        let changed = if entry.is_secret {
            !value.is_empty()
        } else {
            entry.value.as_deref().unwrap_or("") != value
        };
        if changed {
            changes.push((name, value));
        }
    }
    if changes.is_empty() {
        return Ok(Redirect::to("/ui/settings"));
    }
    let restart = service.board().configure(changes).await?;
    if restart.is_empty() {
        return Ok(Redirect::to("/ui/settings"));
    }
    let names: Vec<String> = restart.iter().map(ToString::to_string).collect();
    Ok(Redirect::to(&format!(
        "/ui/settings?restart={}",
        names.join(",")
    )))
}

/// Keeps the requirement, and plans it when that is asked for.
pub(super) async fn requirement(
    State(service): State<HttpState>,
    ApiForm(form): ApiForm<Wanted>,
) -> Result<Redirect, ApiError> {
    let content = form.content.replace("\r\n", "\n");
    if content.trim().is_empty() {
        return Err(ApiError::invalid("the requirement is empty"));
    }
    service.board().write_requirement(content.clone()).await?;
    let preview = match form.then.as_str() {
        "plan" => false,
        "preview" => true,
        _ => return Ok(Redirect::to("/ui/requirement")),
    };
    submit_requirement(&service, content, preview, BY).await?;
    Ok(Redirect::to("/ui/plans"))
}

/// Keeps the choice of a language.
pub(super) async fn language(ApiForm(form): ApiForm<Language>) -> Result<Response, ApiError> {
    let to = match form.to.as_str() {
        "ja" => "ja",
        "en" => "en",
        _ => return Err(ApiError::invalid("`to` has to be en or ja")),
    };
    // Only back to a page of this service.
    let is_ours = form.back.starts_with('/')
        && !form.back.starts_with("//")
        && form.back.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let back = if is_ours { form.back.as_str() } else { "/" };
    let mut response = Redirect::to(back).into_response();
    let cookie =
        format!("{LANGUAGE_COOKIE}={to}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
