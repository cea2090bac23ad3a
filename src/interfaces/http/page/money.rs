//! Costs: what was used up, by hour, day and task, and what may be.

use axum::{extract::State, response::Html};
use maud::{Markup, html};

use crate::{
    domain::board::{Board, Spend, SpendLimit, Task},
    interfaces::{http::state::HttpState, report::page::table},
};

use super::{
    frame::{link, page},
    view::PageContext,
};

/// Writes millionths of a dollar.
pub(super) fn dollars(micro: u64) -> String {
    format!("{}.{:02}", micro / 1_000_000, micro % 1_000_000 / 10_000)
}

/// Writes what was spent, or that nobody knows it.
pub(super) fn spent_dollars(view: &PageContext, spend: Spend) -> String {
    let known = spend.known_micro_usd();
    known.map_or_else(
        || view.t("cost unknown").to_owned(),
        |micro| format!("${}", dollars(micro)),
    )
}

/// The page of costs.
pub(super) async fn show(State(service): State<HttpState>, view: PageContext) -> Html<String> {
    let board = service.snapshot();
    Html(page(
        &view,
        Some(&board),
        view.t("Costs"),
        &body(&view, &board),
    ))
}

fn body(view: &PageContext, board: &Board) -> Markup {
    let (budget, settings) = (board.spend_totals(), board.settings());
    let none = SpendLimit::default();
    let none_spent = Spend::default();
    let rows = [
        (
            view.t("This hour"),
            budget.this_hour(view.now),
            settings.hour_limit,
        ),
        (
            view.t("Today"),
            budget.this_day(view.now),
            settings.day_limit,
        ),
        (view.t("In all"), budget.total, none),
    ];
    let spent = |task: &&Task| task.spent != Spend::default();
    let mut dearest: Vec<&Task> = board.tasks().filter(spent).collect();
    dearest.sort_by_key(|task| std::cmp::Reverse((task.spent.micro_usd, task.spent.tokens)));
    let columns = [
        ("", false),
        (view.t("Calls"), true),
        (view.t("Tokens"), true),
        (view.t("Dollars"), true),
    ];
    html! {
        section id="costs" data-live {
            (table(&columns, &html! {
                @for (name, spend, limit) in &rows { tr { th scope="row" { (name) } (cells(view, *spend, *limit)) } }
                tr { th scope="row" { (view.t("At most for one task")) } (limits(settings.task_limit)) }
            }))
            h2 { (view.t("The dearest tasks")) }
            (table(&columns, &html! {
                @for task in dearest.iter().take(50) { tr { td { (link(task)) } (cells(view, task.spent, none)) } }
            }))
            @if dearest.is_empty() { (super::frame::nothing(view)) }
            @if board.plans().any(|plan| plan.spent != none_spent) {
                h2 { (view.t("Planning")) }
                (table(&columns, &html! {
                    @for plan in board.plans().rev().filter(|plan| plan.spent != none_spent).take(50) {
                        tr { td { a href="/ui/plans" { (plan.id.to_string()) } } (cells(view, plan.spent, none)) }
                    }
                }))
            }
        }
    }
}

fn cells(view: &PageContext, spend: Spend, limit: SpendLimit) -> Markup {
    let of = |spent: String, limit: Option<String>| match limit {
        Some(limit) => format!("{spent} / {limit}"),
        None => spent,
    };
    let known = |number: Option<String>| number.unwrap_or_else(|| view.t("unknown").to_owned());
    let tokens = known(spend.known_tokens().map(|tokens| tokens.to_string()));
    let cost = known(spend.known_micro_usd().map(dollars));
    html! {
        td.n { (of(spend.calls.to_string(), limit.calls.map(|limit| limit.to_string()))) }
        td.n { (of(tokens, limit.tokens.map(|limit| limit.to_string()))) }
        td.n { (of(cost, limit.micro_usd.map(dollars))) }
    }
}

fn limits(limit: SpendLimit) -> Markup {
    let of = |limit: Option<String>| limit.unwrap_or_else(|| "–".to_owned());
    html! {
        td.n { (of(limit.calls.map(|limit| limit.to_string()))) }
        td.n { (of(limit.tokens.map(|limit| limit.to_string()))) }
        td.n { (of(limit.micro_usd.map(dollars))) }
    }
}
