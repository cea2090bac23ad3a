//! Workers on other machines: who is there, what each has and does, and how much lies in the queue.

use maud::{Markup, html};

use crate::{
    domain::cluster::{ClusterView, WorkerInfo, WorkerState},
    interfaces::report::page::{badge, table, text},
    ports::board::BoardError,
};

use super::view::PageContext;

/// The section about workers.
pub(super) fn section(view: &PageContext, cluster: &Result<ClusterView, BoardError>) -> Markup {
    html! {
        section id="workers" data-live aria-labelledby="workers-title" {
            h2 id="workers-title" { (view.t("Workers")) }
            @match cluster {
                Ok(cluster) => {
                    (figures(view, cluster))
                    @if cluster.workers.is_empty() { p { (view.t("No worker is there; `tos worker --nats URL` starts one.")) } }
                    @else { (rows(view, cluster)) }
                }
                Err(error) => { p.bad { (text(&error.to_string())) } }
            }
        }
    }
}

fn figures(view: &PageContext, cluster: &ClusterView) -> Markup {
    let figures = [
        (
            "Slots in use",
            format!("{} / {}", cluster.running_attempts(), cluster.slots()),
        ),
        ("Orders that wait", cluster.queued.to_string()),
        ("Orders under way", cluster.under_way.to_string()),
        ("Given out again", cluster.redelivered.to_string()),
    ];
    html! {
        p { @for (name, value) in &figures { (view.t(name)) ": " strong { (value) } " \u{2002}" } }
    }
}

fn rows(view: &PageContext, cluster: &ClusterView) -> Markup {
    let columns = [
        (view.t("Worker"), false),
        (view.t("State"), false),
        (view.t("Roles"), false),
        (view.t("Labels"), false),
        (view.t("Slots"), true),
        (view.t("Version"), false),
        (view.t("Sandbox"), false),
    ];
    table(
        &columns,
        &html! { @for card in &cluster.workers { (row(view, card, &cluster.state_of(card))) } },
    )
}

fn row(view: &PageContext, card: &WorkerInfo, state: &WorkerState) -> Markup {
    let roles: Vec<&str> = card.roles.iter().map(|role| role.as_str()).collect();
    html! {
        tr {
            th scope="row" { (text(&card.name)) }
            td.wrap {
                @match state {
                    WorkerState::NoWork(why) => { (badge("SKIPPED", view.t("no work"))) " " span.faint { (text(why)) } }
                    WorkerState::Lost(since) => { (badge("FAILED", view.t("lost"))) " " span.faint { (since.format("%H:%M:%S")) } }
                    WorkerState::TakesWork => { (badge("SUCCESS", view.t("there"))) }
                }
            }
            td { (roles.join(", ")) }
            td.wrap { (text(&card.labels.join(", "))) }
            td.n {
                (card.busy.len()) " / " (card.slots)
                @if card.plan_slots > 0 { " + " (card.plan_slots) }
            }
            td { (text(&card.version)) }
            td { (text(&card.wall)) }
        }
    }
}
