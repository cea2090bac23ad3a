//! The picture of a run under way: what runs, what waits, what failed, and how long it will take.
//!
//! Pure: a state and a moment in, lines out. Whoever draws them cares for the terminal.

use std::collections::BTreeMap;

use crate::{
    domain::plan::{
        Plan, TaskIndex,
        event::Millis,
        graph::PlanGraph,
        state::{RunState, TaskStatus},
    },
    interfaces::report::plan::{format_duration, push_fmt, replace_control_chars},
};

/// What the picture shows besides the state.
#[derive(Debug, Clone, Default)]
pub struct LiveFrameInput {
    /// Now.
    pub now: Millis,
    /// Columns and rows.
    pub size: (usize, usize),
    /// The newest line each running task printed.
    pub last_lines: BTreeMap<TaskIndex, String>,
    /// How long each task took in an earlier run of the same plan, in microseconds.
    pub earlier: BTreeMap<TaskIndex, u64>,
    /// The task whose log is shown, and the end of it.
    pub log: Option<(TaskIndex, Vec<String>)>,
    /// A sentence for the last line, instead of the keys.
    pub note: Option<String>,
}

/// Returns the lines of the picture, none wider than the terminal and not more than it has rows.
pub fn frame_lines(plan: &Plan, state: &RunState, scene: &LiveFrameInput) -> Vec<String> {
    let (columns, rows) = scene.size;
    let mut lines = vec![heading(plan, state, scene), bar(state, columns)];
    let task_folder = rows.saturating_sub(4);
    let log = scene.log.as_ref().map_or(0, |_| task_folder / 2);
    tasks(
        plan,
        state,
        scene,
        task_folder.saturating_sub(log),
        &mut lines,
    );
    if let Some((task, end)) = &scene.log {
        lines.push(format!("--- {} ---", state.task_id(*task)));
        let skip = end.len().saturating_sub(log.saturating_sub(1));
        lines.extend(
            end.iter()
                .skip(skip)
                .map(|line| format!("  {}", replace_control_chars(line))),
        );
    }
    let keys =
        "c cancel   q leave it running   1-9 follow the log of a running task   0 close the log";
    lines.push(scene.note.clone().unwrap_or_else(|| keys.to_owned()));
    lines.truncate(rows.saturating_sub(1).max(3));
    lines.iter().map(|line| fitted(line, columns)).collect()
}

fn fitted(line: &str, columns: usize) -> String {
    if line.chars().count() < columns {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(columns.saturating_sub(2)).collect();
    short.push('…');
    short
}

fn heading(plan: &Plan, state: &RunState, scene: &LiveFrameInput) -> String {
    let goal = state.created.goal.as_deref().unwrap_or("plan");
    let began = state
        .opened
        .as_ref()
        .map_or(state.created.at, |opened| opened.at);
    let end = if state.status == TaskStatus::Running {
        scene.now
    } else {
        state.updated_at
    };
    let mut line = format!(
        "{}  {}  {}",
        replace_control_chars(goal),
        state.status.name(),
        span(end - began)
    );
    if let Some(left) = left(plan, state, scene).filter(|_| state.status == TaskStatus::Running) {
        push_fmt(
            &mut line,
            format_args!("  about {} left", format_duration(left)),
        );
    }
    if state.cancel_requested {
        line.push_str("  canceling");
    }
    line
}

/// Returns how long the rest will take if every task takes what it took before.
fn left(plan: &Plan, state: &RunState, scene: &LiveFrameInput) -> Option<u64> {
    if scene.earlier.is_empty() {
        return None;
    }
    let cost = |index: TaskIndex| {
        let Some(task) = state.task(index).filter(|task| !task.status.is_over()) else {
            return 0;
        };
        let whole = scene.earlier.get(&index).copied().unwrap_or(0);
        let spent = task
            .started_at
            .filter(|_| task.status == TaskStatus::Running)
            .map_or(0, |at| scene.now - at);
        whole.saturating_sub(u64::try_from(spent).unwrap_or(0) * 1000)
    };
    let graph = PlanGraph::of(plan);
    let (_, longest) = graph.critical_path(cost);
    let work: u64 = graph.tasks().map(cost).sum();
    let runners = state
        .opened
        .as_ref()
        .map_or(1, |opened| u64::from(opened.max_parallel.max(1)));
    Some(longest.max(work / runners))
}

fn bar(state: &RunState, columns: usize) -> String {
    let total = state.tasks.len().max(1);
    let over = state
        .tasks
        .iter()
        .filter(|task| task.status.is_over())
        .count();
    let width = columns.saturating_sub(44).clamp(10, 40);
    let filled = width * over / total;
    let bar = format!("{}{}", "#".repeat(filled), "-".repeat(width - filled));
    let counts: Vec<String> = [
        (TaskStatus::Running, "running"),
        (TaskStatus::Ready, "waiting"),
        (TaskStatus::Failed, "failed"),
        (TaskStatus::Skipped, "skipped"),
        (TaskStatus::Pending, "pending"),
    ]
    .into_iter()
    .map(|(status, word)| (state.count(status), word))
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    format!(
        "[{bar}] {over}/{}  {}",
        state.tasks.len(),
        counts.join(", ")
    )
}

/// Says what a task that has not begun waits for.
fn awaited(plan: &Plan, state: &RunState, index: TaskIndex) -> String {
    let is_open = |up: &&TaskIndex| state.task(**up).is_some_and(|task| !task.status.is_over());
    let needs = plan.task(index).map_or(&[][..], |task| &task.depends_on);
    let open: Vec<&str> = needs
        .iter()
        .filter(is_open)
        .map(|up| state.task_id(*up))
        .collect();
    match open.as_slice() {
        [] => String::new(),
        [one] => format!("  waits for {one}"),
        [one, rest @ ..] => format!("  waits for {one} and {} more", rest.len()),
    }
}

fn tasks(
    plan: &Plan,
    state: &RunState,
    scene: &LiveFrameInput,
    task_folder: usize,
    lines: &mut Vec<String>,
) {
    let with = |status: TaskStatus| {
        state
            .entries()
            .filter(move |(_, _, task)| task.status == status)
    };
    let mut shown: Vec<String> = Vec::new();
    for (number, (index, id, task)) in (1..).zip(with(TaskStatus::Running)) {
        let spent = span(scene.now - task.started_at.unwrap_or(scene.now));
        let said = scene.last_lines.get(&index).map_or("", String::as_str);
        shown.push(format!(
            "{number:>2} > {id}  {spent}  {}",
            replace_control_chars(said)
        ));
    }
    for (_, id, task) in with(TaskStatus::Ready) {
        let wait = span(task.due_at.unwrap_or(scene.now) - scene.now);
        shown.push(format!(
            "   ~ {id}  attempt {} in {wait}",
            task.attempts + 1
        ));
    }
    for (_, id, task) in with(TaskStatus::Failed) {
        let code = task
            .exit_code
            .map_or_else(|| "timed out".to_owned(), |code| format!("exit {code}"));
        shown.push(format!("   x {id}  {code}"));
    }
    // What comes next stands above what is done, but leaves room for some of it.
    let free = task_folder.saturating_sub(shown.len());
    let pending = state.count(TaskStatus::Pending);
    let listed = pending.min((free / 2).max(free.saturating_sub(state.count(TaskStatus::Success))));
    for (index, id, _) in with(TaskStatus::Pending).take(listed) {
        shown.push(format!("   . {id}{}", awaited(plan, state, index)));
    }
    let mut over: Vec<_> = with(TaskStatus::Success)
        .map(|(_, id, task)| (task.ended_at, id, task))
        .collect();
    over.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    for (_, id, task) in over
        .into_iter()
        .take(task_folder.saturating_sub(shown.len()))
    {
        let took = if task.cached {
            "cached".to_owned()
        } else {
            task.took_us.map_or_else(String::new, format_duration)
        };
        shown.push(format!("   + {id}  {took}"));
    }
    let hidden = shown.len().saturating_sub(task_folder);
    if hidden > 0 {
        shown.truncate(task_folder.saturating_sub(1));
        shown.push(format!("   and {} more", hidden + 1));
    }
    lines.append(&mut shown);
}

fn span(millis: Millis) -> String {
    format_duration(u64::try_from(millis).unwrap_or(0).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::{
        PlanTask,
        event::{AttemptEnded, AttemptStarted, PlanEvent, RunCreated, RunSessionStarted},
        task::TaskAction,
    };

    fn state(ids: &[&str]) -> RunState {
        let tasks = ids.iter().map(|id| (*id).to_owned()).collect();
        let mut state = RunState::new(RunCreated {
            run_id: "r".to_owned(),
            goal: Some("g".to_owned()),
            at: 0,
            tasks,
            ..RunCreated::default()
        });
        state.apply(&PlanEvent::Opened(RunSessionStarted {
            at: 0,
            max_parallel: 2,
            ..RunSessionStarted::default()
        }));
        state
    }

    fn ended(task: TaskIndex, status: TaskStatus, wait_ms: Option<u64>) -> PlanEvent {
        let code = Some(i32::from(status != TaskStatus::Success));
        PlanEvent::Ended(AttemptEnded {
            task,
            at: 1500,
            us: 500_000,
            status,
            code,
            reason: None,
            message: None,
            timed_out: false,
            cached: false,
            wait_ms,
            artifacts: vec![],
        })
    }

    #[test]
    fn a_run_is_shown_with_what_runs_waits_failed_and_is_done() {
        let mut state = state(&["a", "b", "c", "d", "e"]);
        for task in 0..4 {
            state.apply(&PlanEvent::Started(AttemptStarted {
                task,
                at: 1000,
                attempt: 1,
                wall: None,
            }));
        }
        state.apply(&ended(0, TaskStatus::Success, None));
        state.apply(&ended(1, TaskStatus::Failed, None));
        state.apply(&ended(2, TaskStatus::Ready, Some(2000)));
        let scene = LiveFrameInput {
            now: 3000,
            size: (60, 20),
            last_lines: BTreeMap::from([(3, "half\u{1b}[2J way".to_owned())]),
            ..LiveFrameInput::default()
        };
        let lines = frame_lines(&Plan::default(), &state, &scene);
        assert_eq!(
            lines,
            [
                "g  RUNNING  3.00s",
                "[######----------] 2/5  1 running, 1 waiting, 1 failed, 1 …",
                " 1 > d  2.00s  half\u{fffd}[2J way",
                "   ~ c  attempt 2 in 0.50s",
                "   x b  exit 1",
                "   . e",
                "   + a  0.50s",
                "c cancel   q leave it running   1-9 follow the log of a ru…",
            ]
        );
    }

    #[test]
    fn what_has_not_begun_is_shown_with_what_it_waits_for() {
        let mut state = state(&["a", "b", "c"]);
        state.apply(&PlanEvent::Started(AttemptStarted {
            task: 0,
            at: 0,
            attempt: 1,
            wall: None,
        }));
        let task = |id: &str, needs: &[TaskIndex]| PlanTask {
            id: id.into(),
            action: TaskAction::Shell("true".to_owned()),
            depends_on: needs.to_vec(),
            cwd: None,
            env: None,
            timeout_sec: None,
            retries: 0,
            retry_backoff_sec: Vec::new(),
            outputs: Vec::new(),
            extra: None,
        };
        let plan = Plan {
            tasks: vec![task("a", &[]), task("b", &[0]), task("c", &[0, 1])],
            ..Plan::default()
        };
        let scene = LiveFrameInput {
            now: 1000,
            size: (80, 20),
            ..LiveFrameInput::default()
        };
        let lines = frame_lines(&plan, &state, &scene);
        assert_eq!(
            lines[1],
            "[------------------------------------] 0/3  1 running, 2 pending"
        );
        assert_eq!(lines[3], "   . b  waits for a");
        assert_eq!(lines[4], "   . c  waits for a and 1 more");
    }

    #[test]
    fn the_picture_never_outgrows_the_terminal() {
        let ids: Vec<String> = (0..500)
            .map(|id| format!("task-{id}-{}", "x".repeat(100)))
            .collect();
        let mut state = state(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        for task in 0..500 {
            state.apply(&PlanEvent::Started(AttemptStarted {
                task,
                at: 0,
                attempt: 1,
                wall: None,
            }));
        }
        let log = Some((3, vec!["line".to_owned(); 100]));
        let scene = LiveFrameInput {
            now: 10,
            size: (40, 12),
            log,
            ..LiveFrameInput::default()
        };
        let lines = frame_lines(&Plan::default(), &state, &scene);
        assert!(lines.len() < 12, "{lines:?}");
        assert!(
            lines.iter().all(|line| line.chars().count() < 40),
            "{lines:?}"
        );
    }
}
