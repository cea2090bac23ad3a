//! The report of a run as one page: a timeline of every attempt, the graph, the tasks, the ends of what failed.
//!
//! The page needs nothing but itself: no script, no picture, no font from elsewhere. It follows the reader's choice of
//! light or dark.

use crate::{
    domain::plan::{
        Plan, TaskIndex,
        event::{Event, Millis},
        explain,
        graph::Graph,
        state::{RunState, Status},
        view::moment,
    },
    interfaces::report::{
        plan::{clean, code, duration, push, said, took},
        plan_svg::{drawing, escape},
    },
    ports::plan_store::{RunDir, Stream},
};

const STYLE: &str = include_str!("plan.css");
/// More than this are counted, not drawn.
const MOST_LANES: usize = 1000;
const MOST_BOXES: usize = 400;
const MOST_ROWS: usize = 5000;
const MOST_FAILURES: usize = 50;

struct Bar {
    task: TaskIndex,
    from: Millis,
    to: Millis,
    class: &'static str,
}

/// Returns the page.
pub fn page(plan: &Plan, state: &RunState, run: &dyn RunDir) -> String {
    let id = escape(&state.created.run_id);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
<title>Run {id}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    head(plan, state, &mut html);
    timeline(state, &bars(run), &mut html);
    picture(plan, state, &mut html);
    tasks(plan, state, &mut html);
    failures(state, run, &mut html);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn opened_confinement(state: &RunState) -> Option<String> {
    let sentence = state.opened.as_ref()?.confinement.as_deref()?;
    Some(escape(&clean(sentence)))
}

fn head(plan: &Plan, state: &RunState, html: &mut String) {
    let created = &state.created;
    let word = state.status.name();
    let goal = created
        .goal
        .as_deref()
        .map_or_else(|| "Run of a plan".to_owned(), |goal| escape(&clean(goal)));
    push(
        html,
        format_args!(
            "<h1>{goal}</h1>\n<p><span class=\"badge {word}\">{word}</span> <span class=\"faint\">{} · started {} · {}</span></p>\n",
            escape(&created.run_id),
            moment(created.at, created.offset_minutes),
            escape(&clean(&created.workdir))
        ),
    );
    if let Some(allowed) = explain::allowed(plan, state) {
        push(
            html,
            format_args!("<p class=\"faint\">{}</p>\n", escape(&clean(&allowed))),
        );
    }
    if let Some(sentence) = opened_confinement(state) {
        push(html, format_args!("<p class=\"faint\">{sentence}</p>\n"));
    }
    let cost = |task| state.task(task).and_then(|task| task.took_us).unwrap_or(0);
    let (path, critical) = Graph::of(plan).critical_path(cost);
    let elapsed = u64::try_from(state.updated_at - created.at)
        .unwrap_or(0)
        .saturating_mul(1000);
    let attempts: u32 = state.tasks.iter().map(|task| task.attempts).sum();
    let good = state.count(Status::Success);
    let facts = [
        (
            format!("{good} of {}", state.tasks.len()),
            "tasks succeeded",
        ),
        (state.count(Status::Failed).to_string(), "failed"),
        (state.count(Status::Skipped).to_string(), "skipped"),
        (attempts.to_string(), "attempts"),
        (duration(elapsed), "from start to end"),
        (
            duration(critical),
            if path.len() == 1 {
                "critical path of 1 task"
            } else {
                "critical path"
            },
        ),
    ];
    html.push_str("<div class=\"facts\">\n");
    for (value, name) in facts {
        push(
            html,
            format_args!("<div><b>{value}</b><span>{name}</span></div>\n"),
        );
    }
    html.push_str("</div>\n");
}

/// Returns every attempt with its time, from the run log.
fn bars(run: &dyn RunDir) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut open: std::collections::BTreeMap<TaskIndex, Millis> = std::collections::BTreeMap::new();
    let mut last = 0;
    for event in run
        .events_since(0)
        .map(|(events, _)| events)
        .unwrap_or_default()
    {
        match event {
            Event::Started(started) => {
                open.insert(started.task, started.at);
                last = started.at;
            }
            Event::Ended(ended) => {
                let class = if ended.cached {
                    "CACHED"
                } else if ended.status == Status::Ready {
                    "FAILED"
                } else {
                    ended.status.name()
                };
                if let Some(from) = open.remove(&ended.task) {
                    bars.push(Bar {
                        task: ended.task,
                        from,
                        to: ended.at,
                        class,
                    });
                }
                last = ended.at;
            }
            Event::Opened(opened) => {
                // What the passage before left open was interrupted.
                bars.extend(
                    std::mem::take(&mut open)
                        .into_iter()
                        .map(|(task, from)| Bar {
                            task,
                            from,
                            to: last,
                            class: "INTERRUPTED",
                        }),
                );
                last = opened.at;
            }
            Event::Created(_)
            | Event::Settled(_)
            | Event::CancelRequested { .. }
            | Event::Closed(_) => {}
        }
    }
    bars.extend(open.into_iter().map(|(task, from)| Bar {
        task,
        from,
        to: last.max(from),
        class: "RUNNING",
    }));
    bars.sort_by_key(|bar| (bar.from, bar.task));
    bars
}

fn timeline(state: &RunState, bars: &[Bar], html: &mut String) {
    html.push_str("<h2>Timeline</h2>\n");
    let Some(begin) = bars.iter().map(|bar| bar.from).min() else {
        html.push_str("<p class=\"faint\">No task was started.</p>\n");
        return;
    };
    let end = bars
        .iter()
        .map(|bar| bar.to)
        .max()
        .unwrap_or(begin)
        .max(begin + 1);
    let mut lanes: Vec<TaskIndex> = Vec::new();
    let mut of: std::collections::BTreeMap<TaskIndex, Vec<&Bar>> =
        std::collections::BTreeMap::new();
    for bar in bars {
        let own = of.entry(bar.task).or_default();
        if own.is_empty() {
            lanes.push(bar.task);
        }
        own.push(bar);
    }
    html.push_str("<div class=\"card scroll\">\n");
    for task in lanes.iter().take(MOST_LANES) {
        let id = escape(state.id(*task));
        push(
            html,
            format_args!(
                "<div class=\"lane\"><span title=\"{id}\">{id}</span><span class=\"track\">"
            ),
        );
        for bar in of.get(task).into_iter().flatten() {
            let (left, width) = (
                share(bar.from - begin, end - begin),
                share(bar.to - bar.from, end - begin),
            );
            let class = bar.class;
            push(
                html,
                format_args!(
                    "<span class=\"bar {class}\" style=\"left:{left}%;width:{width}%\" title=\"{id} {class}\"></span>"
                ),
            );
        }
        let took = state
            .task(*task)
            .and_then(|task| task.took_us)
            .map_or_else(String::new, duration);
        push(html, format_args!("</span><span>{took}</span></div>\n"));
    }
    html.push_str("</div>\n");
    if lanes.len() > MOST_LANES {
        push(
            html,
            format_args!(
                "<p class=\"faint\">and {} more tasks</p>\n",
                lanes.len() - MOST_LANES
            ),
        );
    }
}

/// Returns a part of a whole in percent, with two decimals.
fn share(part: Millis, whole: Millis) -> String {
    let hundredths = part.saturating_mul(10_000) / whole.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn picture(plan: &Plan, state: &RunState, html: &mut String) {
    html.push_str("<h2>Graph</h2>\n");
    if plan.tasks.len() > MOST_BOXES {
        push(
            html,
            format_args!(
                "<p class=\"faint\">{} tasks are too many to draw here; <code>tos plan graph --format svg</code> draws them.</p>\n",
                plan.tasks.len()
            ),
        );
        return;
    }
    push(
        html,
        format_args!(
            "<div class=\"card scroll\">{}</div>\n",
            drawing(plan, Some(state), "")
        ),
    );
}

fn tasks(plan: &Plan, state: &RunState, html: &mut String) {
    html.push_str("<h2>Tasks</h2>\n<div class=\"card scroll\"><table>\n<tr><th>task</th><th>status</th><th class=\"n\">attempts</th><th class=\"n\">seconds</th><th class=\"n\">exit</th><th>reason</th></tr>\n");
    for (index, id, task) in state.entries().take(MOST_ROWS) {
        let word = task.word();
        let reason = explain::why(plan, state, index).unwrap_or_default();
        let reason = escape(&clean(&reason));
        push(
            html,
            format_args!(
                "<tr><td>{}</td><td><span class=\"badge {word}\">{word}</span></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{reason}</td></tr>\n",
                escape(id),
                task.attempts,
                took(task),
                code(task)
            ),
        );
    }
    html.push_str("</table></div>\n");
    if state.tasks.len() > MOST_ROWS {
        push(
            html,
            format_args!(
                "<p class=\"faint\">and {} more tasks</p>\n",
                state.tasks.len() - MOST_ROWS
            ),
        );
    }
}

fn failures(state: &RunState, run: &dyn RunDir, html: &mut String) {
    let failed: Vec<_> = state
        .entries()
        .filter(|(_, _, task)| task.status == Status::Failed)
        .collect();
    if failed.is_empty() {
        return;
    }
    html.push_str("<h2>What failed</h2>\n");
    for (_, id, task) in failed.iter().take(MOST_FAILURES) {
        push(
            html,
            format_args!(
                "<details class=\"card\" open><summary><b>{}</b> <span class=\"faint\">exit {}{}</span></summary>\n",
                escape(id),
                code(task),
                if task.timed_out { ", timed out" } else { "" }
            ),
        );
        if let Some(message) = task.message() {
            push(html, format_args!("<p>{}</p>\n", escape(&clean(message))));
        }
        for (stream, name) in [(Stream::Err, "stderr"), (Stream::Out, "stdout")] {
            let (tail, _) = run.log_tail(id, stream, 50);
            let tail = said(&tail);
            if !tail.is_empty() {
                push(
                    html,
                    format_args!(
                        "<p class=\"faint\">{name}</p><pre>{}</pre>\n",
                        escape(&tail)
                    ),
                );
            }
        }
        html.push_str("</details>\n");
    }
}
