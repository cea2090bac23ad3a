//! What all pages share: head, navigation, badges of tasks, buttons that are forms.

use maud::{DOCTYPE, Markup, html};

use crate::{
    domain::board::{BlockResolver, Board, Task, TaskStatus},
    interfaces::{
        http::api::wire::word,
        report::page::{badge, text},
    },
};

use super::view::{Lang, PageContext};

/// Path and name of every page.
pub(super) const PAGES: &[(&str, &str)] = &[
    ("/", "Now"),
    ("/ui/board", "Board"),
    ("/ui/approvals", "Approvals"),
    ("/ui/processes", "Agents and processes"),
    ("/ui/plans", "Plans"),
    ("/ui/nights", "Nights"),
    ("/ui/gates", "Gates"),
    ("/ui/logs", "Logs"),
    ("/ui/costs", "Costs"),
    ("/ui/settings", "Settings"),
    ("/ui/requirement", "Requirement"),
];

/// Returns a whole page; the board, where there is one, gives the navigation its figures.
pub(super) fn page(
    view: &PageContext,
    board: Option<&Board>,
    title: &str,
    body: &Markup,
) -> String {
    let (lang, other, other_name) = match view.lang {
        Lang::En => ("en", "ja", "日本語"),
        Lang::Ja => ("ja", "en", "English"),
    };
    let page = html! {
        (DOCTYPE)
        html lang=(lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text(title)) " · tos" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/assets/page.css";
                @if board.is_some() { script type="module" src="/assets/page.js" {} }
            }
            body {
                a.skip href="#main" { (view.t("Skip to content")) }
                header {
                    @if let Some(board) = board { (navigation(view, board)) }
                    div.tools {
                        form method="post" action="/ui/language" {
                            input type="hidden" name="back" value=(text(&view.path));
                            button.plain name="to" value=(other) lang=(other) { (other_name) }
                        }
                        @if board.is_some() {
                            form method="post" action="/ui/sign-out" { button.plain { (view.t("Sign out")) } }
                        }
                    }
                }
                main id="main" tabindex="-1" {
                    h1 { (text(title)) }
                    (body)
                }
                @if board.is_some() {
                    p id="live" class="faint" role="status" {
                        noscript { (view.t("This page is as of now; reload it to see what changed.")) " " a href=(text(&view.path)) { (view.t("Reload")) } }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn navigation(view: &PageContext, board: &Board) -> Markup {
    let approvals = board.open_approvals().count();
    html! {
        nav id="nav" data-live aria-label=(view.t("Pages")) {
            @for (path, name) in PAGES {
                @let here = *path == view.path || (*path != "/" && view.path.starts_with(path));
                a href=(path) aria-current=[here.then_some("page")] {
                    (view.t(name))
                    @if *name == "Approvals" && approvals > 0 { " " span class="badge READY" { (approvals) } }
                }
            }
        }
    }
}

/// The class of what shows where a task stands.
pub(super) const fn status_class(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Queued => "PENDING",
        TaskStatus::Running => "RUNNING",
        TaskStatus::Done => "SUCCESS",
        TaskStatus::Failed => "FAILED",
        TaskStatus::Blocked => "READY",
        TaskStatus::Cancelled => "SKIPPED",
    }
}

/// Where a task stands, as a badge.
pub(super) fn status_badge(view: &PageContext, task: &Task) -> Markup {
    let word = view.word(task.status.as_str());
    let word = match task.block {
        Some(block) => format!("{word}: {}", view.word(block.as_str())),
        None => word,
    };
    badge(status_class(task.status), &word)
}

/// Who or what changes something about a task.
pub(super) fn resolver(view: &PageContext, resolver: BlockResolver) -> String {
    view.word(&word(&resolver).replace('-', "_"))
}

/// The title of a task that leads to its page.
pub(super) fn link(task: &Task) -> Markup {
    html! { a href={ "/ui/tasks/" (task.id.0) } { "#" (task.id.0) " " (text(&task.spec.title)) } }
}

/// A button that does one thing, without any script.
pub(super) fn button(action: &str, label: &str, class: &str) -> Markup {
    html! { form method="post" action=(action) { button class=(class) { (label) } } }
}

/// Says that there is nothing to show, and what brings something here.
pub(super) fn empty(view: &PageContext, what_helps: &'static str) -> Markup {
    html! { p.faint { (view.t("Nothing.")) " " (with_code(view.t(what_helps))) } }
}

/// A sentence in which words between backticks are typed in a terminal.
pub(super) fn with_code(sentence: &str) -> Markup {
    let parts = sentence.split('`').enumerate();
    html! {
        @for (place, part) in parts {
            @if place % 2 == 1 { code { (text(part)) } } @else { (text(part)) }
        }
    }
}

/// A sentence where there is nothing to show.
pub(super) fn nothing(view: &PageContext) -> Markup {
    html! { p.faint { (view.t("Nothing.")) } }
}
/// A log with its newest lines in sight, and further ones as they come; without a script as well.
pub(super) fn log_box(view: &PageContext, log: &str) -> Markup {
    html! {
        div.log id="log-text" tabindex="0" role="region" aria-label=(view.t("Log")) { pre { (text(log)) } }
    }
}
