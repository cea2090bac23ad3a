//! The report of a run as one page: a timeline of every attempt, the graph, the tasks, the ends of what failed.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use crate::{
    domain::plan::{
        Plan, TaskIndex,
        event::{Millis, PlanEvent},
        explain,
        graph::PlanGraph,
        state::{RunState, TaskState, TaskStatus},
        view::format_timestamp,
    },
    interfaces::report::{
        page,
        page::{TimelineBar, badge, table, text, timeline_row},
        plan::{
            exit_code_text, format_duration, last_attempt_seconds, svg::graph_svg, task_output,
        },
    },
    ports::plan_store::{LogStream, RunDir},
};

/// More than this are counted, not drawn.
const MOST_LANES: usize = 1000;
const MOST_BOXES: usize = 400;
const MOST_ROWS: usize = 5000;
const MOST_FAILURES: usize = 50;

struct Attempt {
    task: TaskIndex,
    from: Millis,
    to: Millis,
    class: &'static str,
}

/// Returns the page.
pub fn page(plan: &Plan, state: &RunState, run: &dyn RunDir) -> String {
    let body = html! {
        (head(plan, state))
        h2 { "Timeline" }
        (timeline(state, &attempts(run)))
        h2 { "Graph" }
        (picture(plan, state))
        h2 { "Tasks" }
        (tasks(plan, state))
        (failures(state, run))
    };
    page::page(&format!("Run {}", state.created.run_id), &body)
}

fn head(plan: &Plan, state: &RunState) -> Markup {
    let created = &state.created;
    let word = state.status.name();
    let goal = created.goal.as_deref().unwrap_or("Run of a plan");
    let cost = |task| state.task(task).and_then(|task| task.took_us).unwrap_or(0);
    let (path, critical) = PlanGraph::of(plan).critical_path(cost);
    let elapsed = u64::try_from(state.updated_at - created.at)
        .unwrap_or(0)
        .saturating_mul(1000);
    let attempts: u32 = state.tasks.iter().map(|task| task.attempts).sum();
    let good = state.count(TaskStatus::Success);
    let figures = [
        (
            format!("{good} of {}", state.tasks.len()),
            "tasks succeeded",
        ),
        (state.count(TaskStatus::Failed).to_string(), "failed"),
        (state.count(TaskStatus::Skipped).to_string(), "skipped"),
        (attempts.to_string(), "attempts"),
        (format_duration(elapsed), "from start to end"),
        (
            format_duration(critical),
            if path.len() == 1 {
                "critical path of 1 task"
            } else {
                "critical path"
            },
        ),
    ];
    let opened = state.opened.as_ref();
    let confinement = opened.and_then(|opened| opened.confinement.as_deref());
    html! {
        h1 { (text(goal)) }
        p {
            (badge(word, word)) " "
            span.faint {
                (text(&created.run_id)) " · started " (format_timestamp(created.at, created.offset_minutes))
                " · " (text(&created.workdir))
            }
        }
        @if let Some(allowed) = explain::allowed_failures(plan, state) { p.faint { (text(&allowed)) } }
        @if let Some(sentence) = confinement { p.faint { (text(sentence)) } }
        (page::facts(&figures))
    }
}

/// Returns every attempt with its time, from the run log.
fn attempts(run: &dyn RunDir) -> Vec<Attempt> {
    let mut bars: Vec<Attempt> = Vec::new();
    let mut open: std::collections::BTreeMap<TaskIndex, Millis> = std::collections::BTreeMap::new();
    let mut last = 0;
    for event in run
        .events_since(0)
        .map(|(events, _)| events)
        .unwrap_or_default()
    {
        match event {
            PlanEvent::Started(started) => {
                open.insert(started.task, started.at);
                last = started.at;
            }
            PlanEvent::Ended(ended) => {
                let class = if ended.cached {
                    "CACHED"
                } else if ended.status == TaskStatus::Ready {
                    "FAILED"
                } else {
                    ended.status.name()
                };
                if let Some(from) = open.remove(&ended.task) {
                    bars.push(Attempt {
                        task: ended.task,
                        from,
                        to: ended.at,
                        class,
                    });
                }
                last = ended.at;
            }
            PlanEvent::Opened(opened) => {
                // What the execution before left open was interrupted.
                bars.extend(
                    std::mem::take(&mut open)
                        .into_iter()
                        .map(|(task, from)| Attempt {
                            task,
                            from,
                            to: last,
                            class: "INTERRUPTED",
                        }),
                );
                last = opened.at;
            }
            PlanEvent::Created(_)
            | PlanEvent::Settled(_)
            | PlanEvent::CancelRequested { .. }
            | PlanEvent::Closed(_) => {}
        }
    }
    bars.extend(open.into_iter().map(|(task, from)| Attempt {
        task,
        from,
        to: last.max(from),
        class: "RUNNING",
    }));
    bars.sort_by_key(|bar| (bar.from, bar.task));
    bars
}

fn timeline(state: &RunState, attempts: &[Attempt]) -> Markup {
    let Some(begin) = attempts.iter().map(|one| one.from).min() else {
        return html! { p.faint { "No task was started." } };
    };
    let end = attempts.iter().map(|one| one.to).max().unwrap_or(begin);
    // In the order in which they began.
    let mut order: Vec<TaskIndex> = Vec::new();
    let mut bars: BTreeMap<TaskIndex, Vec<TimelineBar>> = BTreeMap::new();
    for one in attempts {
        let own = bars.entry(one.task).or_default();
        if own.is_empty() {
            order.push(one.task);
        }
        own.push(TimelineBar {
            from: one.from,
            to: one.to,
            class: one.class,
            title: format!("{} {}", state.task_id(one.task), one.class),
        });
    }
    let took = |task| {
        state
            .task(task)
            .and_then(|task| task.took_us)
            .map_or_else(String::new, format_duration)
    };
    html! {
        div class="card scroll" {
            @for task in order.iter().take(MOST_LANES) {
                (timeline_row(state.task_id(*task), bars.get(task).map_or(&[], Vec::as_slice), begin, end - begin, &took(*task)))
            }
        }
        (more(order.len(), MOST_LANES))
    }
}

/// Says how many tasks are not shown.
fn more(all: usize, shown: usize) -> Markup {
    html! {
        @if all > shown { p.faint { "and " (all - shown) " more tasks" } }
    }
}

fn picture(plan: &Plan, state: &RunState) -> Markup {
    html! {
        @if plan.tasks.len() > MOST_BOXES {
            p.faint {
                (plan.tasks.len()) " tasks are too many to draw here; "
                code { "tos plan graph --format svg" } " draws them."
            }
        } @else {
            div class="card scroll" { (PreEscaped(graph_svg(plan, Some(state), ""))) }
        }
    }
}

fn tasks(plan: &Plan, state: &RunState) -> Markup {
    const COLUMNS: [(&str, bool); 6] = [
        ("task", false),
        ("status", false),
        ("attempts", true),
        ("seconds", true),
        ("exit", true),
        ("reason", false),
    ];
    let rows = html! {
        @for (index, id, task) in state.entries().take(MOST_ROWS) {
            tr {
                td { (text(id)) }
                td { (badge(task.word(), task.word())) }
                td.n { (task.attempts) }
                td.n { (last_attempt_seconds(task)) }
                td.n { (exit_code_text(task)) }
                td { (text(&explain::explain_status(plan, state, index).unwrap_or_default())) }
            }
        }
    };
    html! {
        (table(&COLUMNS, &rows))
        (more(state.tasks.len(), MOST_ROWS))
    }
}

fn failures(state: &RunState, run: &dyn RunDir) -> Markup {
    let failed: Vec<_> = state
        .entries()
        .filter(|(_, _, task)| task.status == TaskStatus::Failed)
        .take(MOST_FAILURES)
        .collect();
    html! {
        @if !failed.is_empty() {
            h2 { "What failed" }
            @for (_, id, task) in failed { (failure(id, task, run)) }
        }
    }
}

fn failure(id: &str, task: &TaskState, run: &dyn RunDir) -> Markup {
    let tails = [(LogStream::Err, "stderr"), (LogStream::Out, "stdout")].map(|(stream, name)| {
        let (tail, _) = run.log_tail(id, stream, 50);
        (name, task_output(&tail))
    });
    html! {
        details.card open {
            summary {
                b { (text(id)) } " "
                span.faint { "exit " (exit_code_text(task)) @if task.timed_out { ", timed out" } }
            }
            @if let Some(message) = task.message() { p { (text(message)) } }
            @for (name, tail) in tails.iter().filter(|(_, tail)| !tail.is_empty()) {
                p.faint { (name) }
                pre { (text(tail)) }
            }
        }
    }
}
