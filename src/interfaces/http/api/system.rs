//! `/system`: processes, stop-all, cleanup, and what should be started.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::board::{
        AgentRole, BlockReason, Board, BoardResponse, CleanupCounts, Input, Process, ProcessName,
        StopAllCounts, TaskStatus,
    },
    interfaces::http::{
        error::{ApiError, unavailable},
        extract::{ApiPath, MaybeJson},
        state::HttpState,
    },
    ports::board::OrphanCleanup,
};

use super::{
    answer::{DoneView, done},
    hatch::{HatchView, hatch_of},
    wire::time,
};

/// Who asks, for the events.
const BY: &str = "api";
/// How long the answer to a stop waits for the end of the process.
const PATIENCE: Duration = Duration::from_secs(5);

/// A supervised process.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessView {
    /// Its name.
    name: String,
    /// What it is for.
    description: &'static str,
    /// Planner, Core, Workers or Database.
    group: &'static str,
    /// planner, service, worker or command.
    kind: &'static str,
    /// It can be stopped.
    supports_stop: bool,
    /// It is started again when it ends by itself.
    auto_restart: bool,
    /// idle, starting, running, stopping, completed, failed or stopped.
    status: &'static str,
    /// A stop was asked for, and nothing but a start brings it back.
    stop_requested: bool,
    /// When it was last started.
    started_at: Option<String>,
    /// When it last ended.
    finished_at: Option<String>,
    /// When it is started again.
    restart_at: Option<String>,
    /// Restarts in the current window.
    restarts: u32,
    /// How it last ended: whether in order.
    last_exit_ok: Option<bool>,
    /// How it last ended, in words.
    message: String,
    /// It was started under other settings, and has to be started again for these to count.
    needs_restart: bool,
    /// The settings name it; what they do not name stays away once it is stopped.
    is_configured: bool,
}

/// All processes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessList {
    /// The processes.
    processes: Vec<ProcessView>,
    /// Whether processes are kept running.
    hatch: HatchView,
}

/// What is given along with a start.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct StartInput {
    /// For the planner: the requirement. Left out = the one that is kept.
    content: Option<String>,
    /// For the planner, in place of `content`: a file that holds it, from the root of the repository.
    requirement_path: Option<String>,
}

/// A process that was told to start or stop.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProcessTold {
    /// It was, or it was so already.
    ok: bool,
    /// That it was so already.
    message: Option<String>,
    /// The process.
    process: ProcessView,
}

/// What was done about processes that an earlier service left behind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OrphanView {
    /// Processes found.
    matched: usize,
    /// Processes told to end.
    signaled: usize,
    /// Processes killed.
    killed: usize,
    /// Their numbers.
    pids: Vec<u32>,
}

/// What stop-all did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StopAllView {
    /// Processes told to stop.
    stopped: usize,
    /// Processes that did not run, or cannot be stopped.
    skipped: usize,
    /// Processes that an earlier service left behind.
    orphan_cleanup: OrphanView,
    /// Runs cancelled.
    cancelled_runs: usize,
    /// Tasks back in the queue.
    requeued_tasks: usize,
    /// Of what was at work, how much is not gone yet; nothing, unless the machine is very slow.
    still_stopping: usize,
}

/// How a cleanup is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct CleanupInput {
    /// Stop everything first instead of refusing while something runs.
    stop_first: bool,
}

/// What a cleanup removed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CleanupView {
    /// Tasks that waited for an agent.
    queued: usize,
    /// Tasks.
    tasks: usize,
    /// Runs.
    runs: usize,
    /// What runs left: commits, diffs, logs. The references to the commits are removed, and the logs stay until they are cleared.
    artifacts: usize,
    /// Leases.
    leases: usize,
    /// Events that are shown no more.
    events: u64,
    /// Agents that are up and idle now.
    agents: usize,
    /// Processes that were told to stop before; they stay so.
    stopped: usize,
    /// Judgements.
    judgements: usize,
    /// Entries of the merge queue.
    merges: usize,
    /// Cycles.
    cycles: usize,
    /// The file that all events were written to before, from the root.
    archive: String,
}

/// What is to be started for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct PreflightInput {
    /// The requirement one would hand to the planner. Left out = the one that is kept.
    content: Option<String>,
}

/// What should be started, and why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Preflight {
    /// Tasks in the queue.
    queued: usize,
    /// Tasks at work.
    running: usize,
    /// Tasks that failed and are tried again.
    failed: usize,
    /// Tasks that wait for something.
    blocked: usize,
    /// Of these, attempts that wait for a judge.
    awaiting_judge: usize,
    /// There is a requirement.
    has_requirement: bool,
    /// Processes to start, in order.
    start: Vec<String>,
    /// Why, and why not, in sentences.
    reasons: Vec<String>,
}

impl ProcessView {
    fn of(process: &Process, board: &Board) -> Self {
        let name = process.name;
        let (group, kind) = match name {
            ProcessName::Planner => ("Planner", "planner"),
            ProcessName::Dispatcher | ProcessName::CycleManager => ("Core", "service"),
            ProcessName::DbUp | ProcessName::DbDown | ProcessName::DbPush => {
                ("Database", "command")
            }
            ProcessName::Agent(..) => ("Workers", "worker"),
        };
        let exit = process.last_exit.as_ref();
        Self {
            name: name.to_string(),
            description: name.description(),
            group,
            kind,
            supports_stop: name.is_stoppable(),
            auto_restart: name.is_restarted(),
            status: process.status.as_str(),
            stop_requested: process.stop_requested,
            started_at: process.started_at.map(time),
            finished_at: process.finished_at.map(time),
            restart_at: process.restart_at.map(time),
            restarts: process.restarts,
            last_exit_ok: exit.map(|exit| exit.ok),
            message: if process.message.is_empty() {
                exit.map(|exit| exit.detail.clone()).unwrap_or_default()
            } else {
                process.message.clone()
            },
            needs_restart: process.needs_restart,
            is_configured: name
                .role()
                .is_none_or(|_| board.settings().expected_processes().contains(&name)),
        }
    }
}

fn known(board: &Board, name: &str) -> Result<Process, ApiError> {
    let name: ProcessName = name.parse().map_err(ApiError::not_found)?;
    let all = board.processes();
    let known = all.into_iter().find(|process| process.name == name);
    known.ok_or_else(|| {
        ApiError::not_found(format!("{name} was never started, and no setting names it"))
    })
}

/// Lists processes.
#[utoipa::path(get, path = "/system/processes", tag = "system", responses((status = 200, body = ProcessList)))]
pub(super) async fn processes(State(service): State<HttpState>) -> Json<ProcessList> {
    let board = service.snapshot();
    Json(ProcessList {
        processes: board
            .processes()
            .iter()
            .map(|process| ProcessView::of(process, &board))
            .collect(),
        hatch: hatch_of(&board),
    })
}

/// Shows a process.
#[utoipa::path(get, path = "/system/processes/{name}", tag = "system", params(("name" = String, Path, description = "its name")),
    responses((status = 200, body = ProcessView)))]
pub(super) async fn process(
    State(service): State<HttpState>,
    ApiPath(name): ApiPath,
) -> Result<Json<ProcessView>, ApiError> {
    let board = service.snapshot();
    Ok(Json(ProcessView::of(&known(&board, &name)?, &board)))
}

fn told(
    service: &HttpState,
    name: &str,
    answer: BoardResponse,
) -> Result<Json<ProcessTold>, ApiError> {
    let message = match answer {
        BoardResponse::Already { detail } => Some(detail),
        _ => None,
    };
    let board = service.snapshot();
    Ok(Json(ProcessTold {
        ok: true,
        message,
        process: ProcessView::of(&known(&board, name)?, &board),
    }))
}

/// Starts a process. A process that runs already is no error; the planner starts on an empty board only.
#[utoipa::path(post, path = "/system/processes/{name}/start", tag = "system", request_body(content = StartInput, description = "may be left out"),
    params(("name" = String, Path, description = "its name")), responses((status = 200, body = ProcessTold)))]
pub(super) async fn start(
    State(service): State<HttpState>,
    ApiPath(name): ApiPath,
    MaybeJson(input): MaybeJson<StartInput>,
) -> Result<Json<ProcessTold>, ApiError> {
    let content = match (input.content, input.requirement_path) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "`content` and `requirementPath` both say what to plan; send one of them",
            ));
        }
        (None, Some(path)) => Some(service.board().requirement_in(path).await?),
        (content, None) => content,
    };
    let answer = start_named(&service, &name, content).await?;
    told(&service, &name, answer)
}

/// Starts a process; a planner without a requirement takes the one that is kept.
pub(in crate::interfaces::http) async fn start_named(
    service: &HttpState,
    name: &str,
    mut requirement: Option<String>,
) -> Result<BoardResponse, ApiError> {
    let parsed = name.parse::<ProcessName>().map_err(ApiError::not_found)?;
    if parsed == ProcessName::Planner && requirement.is_none() {
        requirement = Some(service.board().requirement().await?);
    }
    let start = Input::StartProcess {
        name: name.to_owned(),
        requirement,
        by: BY.to_owned(),
    };
    service.submit(start).await
}

/// Stops a process, and remembers that; a task it works on goes back to the queue.
#[utoipa::path(post, path = "/system/processes/{name}/stop", tag = "system", params(("name" = String, Path, description = "its name")),
    responses((status = 200, body = ProcessTold)))]
pub(super) async fn stop(
    State(service): State<HttpState>,
    ApiPath(name): ApiPath,
) -> Result<Json<ProcessTold>, ApiError> {
    let parsed = name.parse::<ProcessName>().map_err(ApiError::not_found)?;
    let stop = Input::StopProcess {
        name: name.clone(),
        by: BY.to_owned(),
    };
    let answer = service.submit(stop).await?;
    if matches!(answer, BoardResponse::Process { .. }) {
        // The answer shows where it stands.
        drop(tokio::time::timeout(PATIENCE, ended(&service, parsed)).await);
    }
    told(&service, &name, answer)
}

/// Stops a process, waits for its end, and starts it again. Once it was asked for it happens, whoever goes away.
pub(in crate::interfaces::http) async fn restart_named(
    service: &HttpState,
    name: &str,
    by: &str,
) -> Result<BoardResponse, ApiError> {
    let parsed = name.parse::<ProcessName>().map_err(ApiError::not_found)?;
    let stop = Input::StopProcess {
        name: name.to_owned(),
        by: by.to_owned(),
    };
    let (service, name) = (service.clone(), name.to_owned());
    let done = tokio::spawn(async move {
        service.submit(stop).await?;
        ended(&service, parsed).await;
        start_named(&service, &name, None).await
    });
    done.await
        .unwrap_or_else(|error| Err(unavailable(error.to_string())))
}

/// Waits until a process has ended; the board calls it ended when it does not end in time.
async fn ended(service: &HttpState, name: ProcessName) {
    let mut feed = service.board().subscribe();
    let is_live = |service: &HttpState| {
        let board = service.snapshot();
        board
            .process(name)
            .is_some_and(|process| process.status.is_live())
    };
    while is_live(service) && feed.next().await != crate::ports::board::FeedUpdate::End {}
}

/// Stops a process, waits for its end, and starts it again; a task it works on goes back to the queue.
#[utoipa::path(post, path = "/system/processes/{name}/restart", tag = "system", params(("name" = String, Path, description = "its name")),
    responses((status = 200, body = ProcessTold)))]
pub(super) async fn restart(
    State(service): State<HttpState>,
    ApiPath(name): ApiPath,
) -> Result<Json<ProcessTold>, ApiError> {
    let answer = restart_named(&service, &name, BY).await?;
    told(&service, &name, answer)
}

/// Stops everything and rolls running work back to the queue.
pub(in crate::interfaces::http) async fn stop_everything(
    service: &HttpState,
) -> Result<(StopAllCounts, OrphanCleanup), ApiError> {
    let by = BY.to_owned();
    let counts = match service.submit(Input::StopAll { by }).await? {
        BoardResponse::Stopped(counts) => counts,
        _ => StopAllCounts::default(),
    };
    Ok((counts, service.board().end_orphans().await?))
}

/// Stops everything and rolls running work back to the queue; history stays.
#[utoipa::path(post, path = "/system/processes/stop-all", tag = "system", responses((status = 200, body = StopAllView)))]
pub(super) async fn stop_all(
    State(service): State<HttpState>,
) -> Result<Json<StopAllView>, ApiError> {
    let (counts, orphans) = stop_everything(&service).await?;
    Ok(Json(StopAllView {
        stopped: counts.stopped,
        skipped: counts.skipped,
        orphan_cleanup: OrphanView {
            matched: orphans.matched,
            signaled: orphans.signaled,
            killed: orphans.killed,
            pids: orphans.pids,
        },
        cancelled_runs: counts.cancelled_runs,
        requeued_tasks: counts.requeued_tasks,
        still_stopping: service.board().stopping().len(),
    }))
}

/// Empties the board once its events are in a file.
pub(in crate::interfaces::http) async fn empty_board(
    service: &HttpState,
    stop_first: bool,
    by: &str,
) -> Result<(CleanupCounts, String), ApiError> {
    // What is refused leaves no file either.
    service.snapshot().check_cleanup(stop_first)?;
    let archive = service.board().archive().await?;
    let by = by.to_owned();
    // What begins afterwards is not part of it.
    let before = service.snapshot();
    let counts = match service.submit(Input::Cleanup { stop_first, by }).await? {
        BoardResponse::Cleaned(counts) => counts,
        _ => CleanupCounts::default(),
    };
    if let Err(error) = service.board().remove_attempts(before).await {
        tracing::warn!("references to what runs left stay: {error}");
    }
    Ok((counts, archive))
}

/// Removes all tasks, runs, judgements and cycles. It does not stop processes; while something runs it is refused.
#[utoipa::path(post, path = "/system/cleanup", tag = "system", request_body(content = CleanupInput, description = "may be left out"),
    responses((status = 200, body = CleanupView)))]
pub(super) async fn cleanup(
    State(service): State<HttpState>,
    MaybeJson(input): MaybeJson<CleanupInput>,
) -> Result<Json<CleanupView>, ApiError> {
    let (counts, archive) = empty_board(&service, input.stop_first, BY).await?;
    Ok(Json(CleanupView {
        queued: counts.queued,
        tasks: counts.tasks,
        runs: counts.runs,
        artifacts: counts.artifacts,
        leases: counts.leases,
        events: counts.events,
        agents: counts.agents,
        stopped: counts.stopped,
        judgements: counts.judgements,
        merges: counts.merges,
        cycles: counts.cycles,
        archive,
    }))
}

/// Tries again to publish what waits for a clean checkout.
#[utoipa::path(post, path = "/system/merges/retry", tag = "system", responses((status = 200, body = DoneView)))]
pub(super) async fn retry_merges(
    State(service): State<HttpState>,
) -> Result<Json<DoneView>, ApiError> {
    let by = BY.to_owned();
    Ok(done(service.submit(Input::RetryMerges { by }).await?))
}

/// Says what should be started: the planner only without backlog, the rest as far as there is work.
#[utoipa::path(post, path = "/system/preflight", tag = "system", request_body(content = PreflightInput, description = "may be left out"),
    responses((status = 200, body = Preflight)))]
pub(super) async fn preflight(
    State(service): State<HttpState>,
    MaybeJson(input): MaybeJson<PreflightInput>,
) -> Result<Json<Preflight>, ApiError> {
    let requirement = match input.content {
        Some(content) => content,
        None => service.board().requirement().await?,
    };
    Ok(Json(recommend(
        &service.snapshot(),
        !requirement.trim().is_empty(),
    )))
}

/// What should be started, by what is there to do.
fn recommend(board: &Board, has_requirement: bool) -> Preflight {
    let count = |status| board.count(status);
    let awaiting_judge = board.count_blocked(BlockReason::AwaitingJudge);
    let (queued, running) = (count(TaskStatus::Queued), count(TaskStatus::Running));
    let (failed, blocked) = (count(TaskStatus::Failed), count(TaskStatus::Blocked));
    let backlog = queued + running + failed + blocked;
    let planner = has_requirement && backlog == 0;
    let executes = planner || backlog > 0;
    let mut reasons = Vec::new();
    let mut start = Vec::new();
    if executes {
        start.extend([ProcessName::Dispatcher, ProcessName::CycleManager]);
        for role in AgentRole::ALL {
            let count = board.settings().agent_count(role);
            start.extend((1..=count).map(|number| ProcessName::Agent(role, number)));
        }
    }
    if planner {
        start.push(ProcessName::Planner);
        reasons.push("there is a requirement and no backlog: the planner can start".to_owned());
    } else if has_requirement {
        reasons.push(format!(
            "the planner does not start: {backlog} tasks are not done yet"
        ));
    }
    if backlog > 0 {
        reasons.push(format!(
            "{backlog} tasks are not done: {queued} queued, {running} running, {failed} failed, {blocked} blocked"
        ));
    }
    if !executes {
        reasons.push("nothing to do: write a requirement or add a task".to_owned());
    }
    Preflight {
        queued,
        running,
        failed,
        blocked,
        awaiting_judge,
        has_requirement,
        start: start.iter().map(ToString::to_string).collect(),
        reasons,
    }
}
