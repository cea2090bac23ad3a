//! Watching a run on a terminal. The watcher only reads what the runner writes, so leaving it stops nothing: on a
//! terminal the runner is a process of its own from the beginning.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal,
    time::Duration,
};

use super::{PlanCliError, PlanCommands};
use crate::{
    domain::plan::{
        Plan, TaskIndex,
        event::PlanEvent,
        state::{RunState, TaskStatus},
    },
    interfaces::{
        cli::commands::plan::standing,
        report::plan::{
            live::{LiveFrameInput, frame_lines},
            replace_control_chars, task_output,
        },
    },
    ports::{
        plan_store::{LogStream, RunDir},
        self_process::{SelfProcess, StartedChild},
        terminal::Terminal,
    },
};

/// How often the picture is renewed while nothing happens.
const TICK: Duration = Duration::from_millis(200);
/// Last lines are looked up for at most this many running tasks.
const LINES: usize = 40;

/// What the watcher holds on to.
struct Watch<'a> {
    context: PlanCommands<'a>,
    run: &'a mut dyn RunDir,
    plan: Plan,
    state: RunState,
    read: u64,
    followed: Option<TaskIndex>,
    note: Option<String>,
    earlier: BTreeMap<TaskIndex, u64>,
}

/// Returns whether a person watches, who has not asked for anything else.
pub(super) fn can_watch(context: PlanCommands<'_>) -> bool {
    context.printer.is_terminal() && std::io::stdin().is_terminal()
}

/// Starts this program again with the same words, as a process that outlives the terminal; returns it and its run.
pub(super) fn spawn_runner(
    tos: &dyn SelfProcess,
    words: &[String],
) -> Result<(Box<dyn StartedChild>, String), PlanCliError> {
    let mut runner = tos.spawn(words).map_err(PlanCliError::Usage)?;
    loop {
        match runner.next_line() {
            Some(line) => {
                if let Some(id) = line.strip_prefix("run_id: ") {
                    return Ok((runner, id.trim().to_owned()));
                }
            }
            // It ended before there was a run; it has said why.
            None => {
                return Err(PlanCliError::Said(
                    runner
                        .wait(Duration::from_secs(10))
                        .map_or(2, |(code, _)| code),
                ));
            }
        }
    }
}

/// Shows the run until it is over, and returns how it ended; nothing where the person leaves before.
pub(super) fn watch(
    context: PlanCommands<'_>,
    run: &mut dyn RunDir,
    terminal: &mut dyn Terminal,
    runner: Option<&dyn StartedChild>,
) -> Result<Option<TaskStatus>, PlanCliError> {
    let plan = run.plan()?;
    let mut watch = Watch {
        context,
        run,
        plan,
        state: RunState::default(),
        read: 0,
        followed: None,
        note: None,
        earlier: BTreeMap::new(),
    };
    watch.catch_up()?;
    watch.remember();
    loop {
        let mut status = watch.catch_up()?;
        // A resumed run still reads as it ended before, until its new runner has written a line.
        let is_begun = runner.is_none_or(|runner| watch.opened_by() == Some(runner.id()));
        if !is_begun && watch.run.is_live() {
            status = TaskStatus::Pending;
        }
        let picture = watch.picture(terminal.size());
        terminal.draw(&picture);
        if status != TaskStatus::Running && status != TaskStatus::Pending {
            return Ok(Some(status));
        }
        match terminal.key(TICK) {
            Some('q') => return Ok(None),
            Some('c' | '\u{3}') => watch.cancel(runner)?,
            Some('0') => watch.followed = None,
            Some(digit @ '1'..='9') => watch.follow(digit),
            _ => {}
        }
    }
}

impl Watch<'_> {
    /// Reads what was recorded since the last time.
    fn catch_up(&mut self) -> Result<TaskStatus, PlanCliError> {
        let (events, next) = self.run.events_since(self.read)?;
        self.read = next;
        for event in &events {
            self.state.apply(event);
        }
        let is_new =
            matches!(events.first(), Some(PlanEvent::Created(_))) && self.state.opened.is_none();
        if is_new {
            return Ok(TaskStatus::Pending);
        }
        Ok(standing::settle_status(self.run, &self.state))
    }

    fn opened_by(&self) -> Option<u32> {
        self.state.opened.as_ref().map(|opened| opened.pid)
    }

    /// Looks for an earlier run of the same tasks, to know how long they take.
    fn remember(&mut self) {
        let home = self
            .run
            .path()
            .parent()
            .and_then(|runs| runs.parent())
            .map(std::path::Path::to_owned);
        let Some(home) = home else { return };
        for name in self
            .context
            .plan_store
            .runs(&home)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(20)
        {
            let Ok(other) = self.context.plan_store.open(&home, name) else {
                continue;
            };
            let state = other.state().unwrap_or_default();
            if name != self.run.id()
                && state.status == TaskStatus::Success
                && state.created.tasks == self.state.created.tasks
            {
                self.earlier = state
                    .entries()
                    .filter_map(|(index, _, task)| Some((index, task.took_us?)))
                    .collect();
                return;
            }
        }
    }

    fn running(&self) -> impl Iterator<Item = (TaskIndex, &str)> {
        let running = self
            .state
            .entries()
            .filter(|(_, _, task)| task.status == TaskStatus::Running);
        running.map(|(index, id, _)| (index, id))
    }

    fn follow(&mut self, digit: char) {
        let number = digit.to_digit(10).unwrap_or(1) as usize;
        let chosen = self.running().nth(number - 1).map(|(index, _)| index);
        self.followed = chosen;
    }

    fn cancel(&mut self, runner: Option<&dyn StartedChild>) -> Result<(), PlanCliError> {
        match runner {
            Some(runner) => runner.interrupt(),
            None => self.run.request_cancel()?,
        }
        self.note = Some("ending what runs; once more kills it".to_owned());
        Ok(())
    }

    fn picture(&self, size: (usize, usize)) -> Vec<String> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let last = |id: &str| {
            let (bytes, _) = self.run.log_tail(id, LogStream::Out, 1);
            replace_control_chars(&task_output(&bytes))
        };
        let shown: BTreeSet<TaskIndex> =
            self.running().take(LINES).map(|(index, _)| index).collect();
        let last_lines = shown
            .iter()
            .map(|index| (*index, last(self.state.task_id(*index))))
            .collect();
        let log = self.followed.map(|index| {
            let id = self.state.task_id(index);
            let mut end = text(self.run.log_tail(id, LogStream::Out, size.1).0);
            end.push_str(&text(self.run.log_tail(id, LogStream::Err, size.1 / 4).0));
            (index, end.lines().map(str::to_owned).collect())
        });
        let scene = LiveFrameInput {
            now: self.context.clock.now().timestamp_millis(),
            size,
            last_lines,
            earlier: self.earlier.clone(),
            log,
            note: self.note.clone(),
        };
        frame_lines(&self.plan, &self.state, &scene)
    }
}
