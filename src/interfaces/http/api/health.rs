//! `/health` and `/metrics`: whether the service lives, whether it can work, and its figures.

use std::fmt::Write as _;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{
        board::{
            AgentAvailability, BlockReason, Board, Millis, ProcessStatus, RunStatus, TaskStatus,
        },
        cluster::ClusterView,
    },
    interfaces::http::{security::guard::is_signed_in, state::HttpState},
};

/// That the service lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// ok.
    status: &'static str,
}

/// What has to be well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadyCheck {
    /// What.
    name: String,
    /// It is.
    ok: bool,
    /// What is wrong with it; only told to those who are signed in.
    detail: String,
}

/// Whether the service can work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// What was looked at.
    checks: Vec<ReadyCheck>,
}

/// Says that the service lives.
#[utoipa::path(get, path = "/health", tag = "health", security(()), responses((status = 200, body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Says whether the service can work.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses((status = 200, body = Ready), (status = 503, description = "it cannot", body = Ready)))]
pub(super) async fn ready(State(service): State<HttpState>, headers: HeaderMap) -> Response {
    let is_ours = is_signed_in(&service, &headers);
    let found = service.board().readiness().await;
    let all = found.iter().all(|one| one.ok);
    let check = |one: &crate::ports::board::ReadinessCheck| ReadyCheck {
        name: one.name.clone(),
        ok: one.ok,
        detail: if is_ours {
            one.detail.clone()
        } else {
            String::new()
        },
    };
    let body = Ready {
        status: if all { "ready" } else { "not_ready" },
        checks: found.iter().map(check).collect(),
    };
    let status = if all {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(service): State<HttpState>) -> Response {
    let mut text = figures(&service.snapshot(), service.now());
    let mut single = Metrics(&mut text);
    single.one(
        "tos_events_total",
        "counter",
        "durable events",
        service.board().last_event(),
    );
    if let Some(Ok(cluster)) = service.board().cluster().await {
        cluster_figures(&mut single, &cluster);
    }
    let free = service.followers.available_permits();
    let followers = service.options.followers.saturating_sub(free);
    single.one(
        "tos_followers",
        "gauge",
        "clients that follow events",
        followers as u64,
    );
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

struct Metrics<'a>(&'a mut String);

impl Metrics<'_> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn of(&mut self, name: &str, label: &str, value: &str, number: u64) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{value}\"}} {number}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, number: u64) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "{name} {number}");
    }
}

/// Workers on other machines and the queue between.
fn cluster_figures(out: &mut Metrics<'_>, cluster: &ClusterView) {
    let able = cluster.schedulable().count();
    let others = cluster.workers.len() - able;
    out.head("tos_workers", "gauge", "workers on other machines");
    out.of("tos_workers", "takes_work", "yes", able as u64);
    out.of("tos_workers", "takes_work", "no", others as u64);
    let mut versions = std::collections::BTreeMap::<&str, u64>::new();
    for card in &cluster.workers {
        *versions.entry(card.version.as_str()).or_default() += 1;
    }
    out.head("tos_workers_version", "gauge", "workers by version");
    for (version, count) in versions {
        // What a worker says of itself must not end the label.
        let plain = version.replace(['\\', '"', '\n'], "_");
        out.of("tos_workers_version", "version", &plain, count);
    }
    let single = [
        (
            "tos_worker_slots",
            "attempts that workers can make at a time",
            cluster.slots(),
        ),
        (
            "tos_worker_slots_busy",
            "attempts that workers make",
            cluster.running_attempts() as u64,
        ),
        (
            "tos_worker_plan_slots",
            "tasks of plans that workers can make at a time",
            cluster.plan_slots(),
        ),
        (
            "tos_orders_queued",
            "orders that nobody has",
            cluster.queued,
        ),
        (
            "tos_orders_under_way",
            "orders that a worker has",
            cluster.under_way,
        ),
        (
            "tos_orders_redelivered",
            "orders under way that were given out more than once",
            cluster.redelivered,
        ),
    ];
    for (name, help, number) in single {
        out.one(name, "gauge", help, number);
    }
}

fn figures(board: &Board, now: Millis) -> String {
    let mut text = String::new();
    let mut out = Metrics(&mut text);
    out.head("tos_tasks", "gauge", "tasks by status");
    for status in TaskStatus::ALL {
        out.of(
            "tos_tasks",
            "status",
            status.as_str(),
            board.count(status) as u64,
        );
    }
    out.head("tos_tasks_blocked", "gauge", "blocked tasks by reason");
    for reason in BlockReason::ALL {
        let count = board.count_blocked(reason) as u64;
        out.of("tos_tasks_blocked", "reason", reason.as_str(), count);
    }
    out.head("tos_runs", "gauge", "runs on the board by status");
    for status in [
        RunStatus::Running,
        RunStatus::Success,
        RunStatus::Failed,
        RunStatus::Cancelled,
    ] {
        let count = board.runs().filter(|run| run.status == status).count();
        out.of("tos_runs", "status", status.as_str(), count as u64);
    }
    out.head("tos_agents", "gauge", "agents by status");
    for status in [
        AgentAvailability::Idle,
        AgentAvailability::Busy,
        AgentAvailability::Offline,
    ] {
        let count = board
            .agents()
            .filter(|agent| agent.status == status)
            .count();
        out.of("tos_agents", "status", status.as_str(), count as u64);
    }
    out.head("tos_process_up", "gauge", "whether a process is up");
    for process in board.processes() {
        let up = u64::from(process.status == ProcessStatus::Running);
        out.of("tos_process_up", "process", &process.name.to_string(), up);
    }
    further(&mut out, board, now);
    text
}

fn further(out: &mut Metrics<'_>, board: &Board, now: Millis) {
    let count = board.open_approvals().count() as u64;
    out.one(
        "tos_approvals_open",
        "gauge",
        "questions that wait for a person",
        count,
    );
    let count = board.open_merges().count() as u64;
    out.one(
        "tos_merges_open",
        "gauge",
        "entries of the merge queue",
        count,
    );
    let armed = u64::from(board.hatch().armed);
    out.one(
        "tos_hatch_armed",
        "gauge",
        "whether processes are kept running",
        armed,
    );
    let held = u64::from(board.dispatch_hold().is_some());
    out.one("tos_held", "gauge", "whether nothing new is started", held);
    let oldest = board
        .tasks()
        .filter(|task| task.status == TaskStatus::Queued)
        .map(|task| now.saturating_sub(task.since) / 1000)
        .max()
        .unwrap_or(0);
    out.one(
        "tos_oldest_queued_seconds",
        "gauge",
        "age of the oldest queued task",
        oldest,
    );
    let spent = board.spend_totals().total;
    out.one(
        "tos_agent_calls_total",
        "counter",
        "calls of agents",
        spent.calls,
    );
    out.one(
        "tos_tokens_total",
        "counter",
        "tokens used up",
        spent.tokens,
    );
    out.one(
        "tos_cost_micro_usd_total",
        "counter",
        "millionths of a dollar used up",
        spent.micro_usd,
    );
}
