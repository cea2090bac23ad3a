//! The page: rendered here, kept fresh by events, and whole without any script.

mod approvals;
mod assets;
mod board;
mod forms;
mod frame;
mod gates;
mod logs;
mod money;
mod now;
mod past;
mod plans;
mod processes;
mod proposal;
mod session;
mod settings;
pub(super) mod sign_in;
mod task;
pub(super) mod view;
mod words;
mod workers;

use axum::{
    Router,
    routing::{get, post},
};

use super::state::HttpState;

/// Returns the pages and what their forms do.
pub(super) fn router() -> Router<HttpState> {
    Router::new()
        .route("/", get(now::show))
        .route("/assets/page.css", get(assets::style))
        .route("/assets/page.js", get(assets::script))
        .route("/sign-in", get(sign_in::show).post(sign_in::enter))
        .route("/ui/sign-out", post(sign_in::sign_out))
        .route("/ui/language", post(forms::language))
        .route("/ui/board", get(board::show))
        .route("/ui/tasks", post(forms::add_task))
        .route("/ui/tasks/{id}", get(task::show))
        .route("/ui/tasks/{id}/requeue", post(forms::requeue))
        .route("/ui/tasks/{id}/cancel", post(forms::cancel))
        .route("/ui/approvals", get(approvals::show))
        .route("/ui/approvals/{id}", post(forms::answer))
        .route("/ui/processes", get(processes::show))
        .route("/ui/processes/{name}/{what}", post(forms::process))
        .route("/ui/stop-all", post(forms::stop_all))
        .route("/ui/start-all", post(forms::start_all))
        .route("/ui/hold", post(forms::hold))
        .route("/ui/resume", post(forms::resume))
        .route("/ui/hatch/{what}", post(forms::hatch))
        .route("/ui/cleanup", post(forms::cleanup))
        .route("/ui/plans", get(plans::show))
        .route(
            "/ui/plans/{id}",
            get(proposal::show).post(forms::decide_plan),
        )
        .route("/ui/plans/{id}/edit", post(proposal::edit))
        .route("/ui/runs/{id}/cancel", post(forms::cancel_run))
        .route("/ui/nights", get(past::nights))
        .route("/ui/sessions/{id}/cancel", post(session::cancel))
        .route("/ui/gates", get(gates::show))
        .route("/ui/logs", get(logs::show))
        .route("/ui/logs/clear", post(forms::clear_logs))
        .route("/ui/costs", get(money::show))
        .route("/ui/settings", get(settings::show).post(forms::settings))
        .route(
            "/ui/requirement",
            get(settings::requirement).post(forms::requirement),
        )
}
