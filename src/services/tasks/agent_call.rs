//! One call of an agent: started with its prompt, listened to while it works, ended when it hangs, and understood when it
//! has ended.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::{
    Error, SessionState,
    outcome::{TaskAttemptOutcome, feedback},
};
use crate::{
    domain::{
        agent::{
            Agent, AgentEnd, AgentKind, AgentOutput, AgentOutputParser, Denial, SilenceCause,
            classify, quota_reset_day,
        },
        model::TokenUsage,
        process::{CommandResult, ExitStatus},
        tasks::{AgentTask, Feedback, prompt},
        text::{char_from, escape_control_chars, head},
    },
    ports::{
        clock::Clock,
        runner::{CommandRequest, CommandStreams, LineObserver, OutputStream},
        worktrees::Worktree,
    },
};

/// How often in a row a provider may refuse a login before the agent that tries again is ended.
const REFUSALS: u32 = 2;
/// What is said of an agent that asks for nothing.
pub(super) const UNJUDGED: &str = "in this mode it asks for nothing, so its commands are confined by the sandbox but not judged by the policy";
/// How many refused tool calls are shown, and how many characters of each.
const SHOWN: usize = 3;
const SHOWN_CHARACTERS: usize = 160;
/// How much of standard error is kept for the reason of a failure, in bytes.
const STDERR: usize = 64 * 1024;

/// Listens to an agent while it works.
pub(crate) struct AgentListener {
    transcript: Mutex<AgentOutputParser>,
    stderr: Mutex<String>,
    clock: Arc<dyn Clock>,
    /// When it last said something, in milliseconds of the clock that stands still while the machine sleeps.
    heard_ms: AtomicU64,
    has_envelope: bool,
    /// It waits for the answer of a person, so its silence is not its own.
    waits_for_person: AtomicBool,
    /// It asks for nothing before it acts.
    is_unjudged: AtomicBool,
}

impl AgentListener {
    pub(crate) fn new(kind: AgentKind, clock: &Arc<dyn Clock>) -> Self {
        Self {
            transcript: Mutex::new(AgentOutputParser::new(kind)),
            stderr: Mutex::default(),
            clock: Arc::clone(clock),
            heard_ms: AtomicU64::new(millis(clock.monotonic())),
            has_envelope: kind.emits_json_lines(),
            waits_for_person: AtomicBool::new(false),
            is_unjudged: AtomicBool::new(false),
        }
    }

    /// Takes note that the agent asks for nothing, so that no command of it comes before the policy.
    pub(crate) fn set_unjudged(&self) {
        self.is_unjudged.store(true, Ordering::Relaxed);
    }

    /// Takes note that it begins or ceases to wait for the answer of a person.
    pub(crate) fn set_waiting(&self, waits: bool) {
        if self.waits_for_person.swap(waits, Ordering::Relaxed) && !waits {
            self.heard();
        }
    }

    fn heard(&self) {
        let now = millis(self.clock.monotonic());
        self.heard_ms.store(now, Ordering::Relaxed);
    }

    /// Returns what was said so far.
    pub(crate) fn report(&self) -> AgentOutput {
        let transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        transcript.clone().finish()
    }

    /// Takes note of something that the policy refused the agent.
    pub(crate) fn refused(&self, what: &str, why: &str) {
        let mut transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        transcript.record_denial(what, why);
    }

    /// Takes note of what keeps the agent from its work.
    pub(crate) fn trouble(&self, text: &str) {
        let mut transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        transcript.record_problem(text);
    }

    /// Returns the end of standard error.
    pub(crate) fn stderr(&self) -> String {
        self.stderr
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says whether the agent hangs; `limit` = how long it may be silent, in seconds.
    pub(super) fn silence(&self, limit: Option<u64>) -> SilenceCause {
        let transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let report = transcript.report();
        if report.refusals >= REFUSALS {
            return SilenceCause::Unauthorised;
        }
        if self.waits_for_person.load(Ordering::Relaxed) {
            return SilenceCause::No;
        }
        let silent = millis(self.clock.monotonic())
            .saturating_sub(self.heard_ms.load(Ordering::Relaxed))
            / 1000;
        match limit {
            Some(limit) if silent >= limit && report.running.is_none() && self.has_envelope => {
                SilenceCause::ForProvider { seconds: silent }
            }
            _ => SilenceCause::No,
        }
    }
}

impl LineObserver for AgentListener {
    fn line(&self, stream: OutputStream, line: &str) {
        match stream {
            OutputStream::Stdout => {
                self.heard();
                let mut transcript = self
                    .transcript
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                transcript.read_line(line);
            }
            OutputStream::Stderr => {
                let mut text = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(line);
                text.push('\n');
                if text.len() > 2 * STDERR {
                    let from = char_from(&text, text.len() - STDERR);
                    text.drain(..from);
                }
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl SessionState<'_> {
    /// Lets the agent work on a task; `None` = its work can be looked at.
    pub(super) async fn call_agent(
        &mut self,
        task: &AgentTask,
        place: &Worktree,
        why: Option<&Feedback>,
        call: u32,
    ) -> Result<Option<TaskAttemptOutcome>, Error> {
        let own = self.list.agent_name_of_task(task);
        let agent = self
            .tools
            .runners
            .with_login(&own.with_budget(self.dollars_left()));
        let home = match self.tools.runners.prepare_home(&place.task_folder, &agent) {
            Ok((home, _)) => home,
            Err(why) => return Ok(Some(cannot_log_in(&agent, why))),
        };
        self.share(place)?;
        let listener = Arc::new(AgentListener::new(agent.kind, &self.tools.clock));
        let words = prompt(task, self.before.as_deref(), why);
        let order = self.agent_order(task, place, &agent, &words, &home, call, &listener)?;
        let runner = self
            .tools
            .runners
            .agent_runner(&place.task_folder, &agent, self.list.sandbox);
        let runner = if agent.kind == AgentKind::Acp {
            self.acp_runner(task, place, &agent, (words, &home), &listener, runner)
        } else {
            runner
        };
        let idle = agent.idle_timeout_seconds(task.max_time_seconds);
        self.emit_event(
            "agent_start",
            json!({ "task": task.id, "agent": agent.program() }),
        );
        let stayed = self
            .supervise(&*runner, &order, place, Some((&listener, idle)))
            .await;
        let report = listener.report();
        let refused = runner.take_refused_hosts();
        self.paid(&agent, own, &report);
        self.pace.called(report.usage.map_or(0, TokenUsage::total));
        let exit = stayed.ended.as_ref().ok().map(|end| &end.exit);
        self.emit_event(
            "task_exec_done",
            json!({
                "task": task.id, "exit": exit, "micro_usd": agent.cost(&report), "usage": report.usage,
                "denials": report.denials.len(), "agent": agent.program(), "provider": agent.provider(),
                "model": agent.model.as_ref().or(report.model.as_ref()),
            }),
        );
        self.show_denials(&report);
        self.show_unjudged(&agent, &listener);
        if let Some(broken) = self.check_protected()? {
            return Ok(Some(broken));
        }
        if let Some(heavy) = self.disk_quota_outcome(task, "the agent")? {
            return Ok(Some(heavy));
        }
        let end = match stayed.ended {
            Err(why) => return Ok(Some(not_started(&agent, &why))),
            Ok(_) if stayed.late => return Ok(Some(TaskAttemptOutcome::OutOfTime)),
            Ok(end) => end,
        };
        let failed = self.understand(
            task,
            &agent,
            &report,
            &end,
            stayed.quiet,
            (&listener.stderr(), &refused),
        );
        if failed.is_none() {
            self.said = Some(last_words(&report, &end));
        }
        Ok(failed)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the order")]
    fn agent_order(
        &self,
        task: &AgentTask,
        place: &Worktree,
        agent: &Agent,
        words: &str,
        home: &str,
        call: u32,
        listener: &Arc<AgentListener>,
    ) -> Result<CommandRequest, Error> {
        let file = self
            .tools
            .runners
            .write_prompt(&place.task_folder, &agent.prompt_text(words));
        let file = file.map_err(Error::Hands)?;
        let invocation = agent.invocation(words, &file.to_string_lossy(), self.is_walled());
        let limit = Duration::from_secs(task.max_time_seconds);
        let mut order =
            self.command_request(&task.id, place, invocation.argv, limit, home, call * 10);
        order.environment.extend(invocation.environment);
        // It does nothing while a person thinks.
        order.idle_deadline = agent
            .idle_timeout_seconds(task.max_time_seconds)
            .map(|limit| Duration::from_secs(limit + agent.approval_timeout_seconds()));
        order.streams = CommandStreams {
            input_file: invocation.reads_prompt.then_some(file),
            reader: Some(Arc::<AgentListener>::clone(listener)),
            ..CommandStreams::default()
        };
        Ok(order)
    }

    /// Says how an agent ended; `None` = it is done.
    fn understand(
        &self,
        task: &AgentTask,
        agent: &Agent,
        report: &AgentOutput,
        end: &CommandResult,
        quiet: SilenceCause,
        (stderr, refused): (&str, &[String]),
    ) -> Option<TaskAttemptOutcome> {
        let quiet = match (&end.exit, quiet) {
            (ExitStatus::Cancelled, SilenceCause::No) => return Some(TaskAttemptOutcome::Stopped),
            (ExitStatus::TimedOut { .. }, _) => {
                let reason = format!("the agent took longer than {} s", task.max_time_seconds);
                return Some(self.agent_failed(reason, report, end, false));
            }
            (ExitStatus::Idle { after_ms }, SilenceCause::No) => {
                let seconds = after_ms / 1000;
                if let Some(command) = &report.running {
                    let command = head(&escape_control_chars(command), SHOWN_CHARACTERS, "...");
                    let reason =
                        format!("a command of the agent did nothing for {seconds} s: {command}");
                    return Some(self.agent_failed(reason, report, end, true));
                }
                if !agent.kind.emits_json_lines() && agent.kind != AgentKind::Aider {
                    let reason = format!("the agent said and did nothing for {seconds} s");
                    return Some(self.agent_failed(reason, report, end, true));
                }
                SilenceCause::ForProvider { seconds }
            }
            (_, quiet) => quiet,
        };
        let now = self.tools.clock.now();
        let ended = classify(agent, report, &end.exit, quiet, stderr, now);
        Some(
            match ended.with_refused_hosts(refused, &agent.required_hosts()) {
                AgentEnd::Done => return None,
                AgentEnd::LimitReached { seconds, reason } => {
                    let when = quota_reset_day(seconds, now);
                    let reason =
                        when.map_or_else(|| reason.clone(), |when| format!("{when} ({reason})"));
                    TaskAttemptOutcome::NoProvider(AgentEnd::LimitReached { seconds, reason })
                }
                down @ AgentEnd::ProviderDown { .. } => TaskAttemptOutcome::NoProvider(down),
                needs @ AgentEnd::NeedsPerson { .. } => {
                    self.print_log_files("the agent", end);
                    TaskAttemptOutcome::NoProvider(needs)
                }
                AgentEnd::Failed { reason, again } => {
                    let how = super::failure::describe_exit(&end.exit);
                    self.agent_failed(format!("the agent {how}: {reason}"), report, end, again)
                }
            },
        )
    }

    fn agent_failed(
        &self,
        reason: String,
        report: &AgentOutput,
        end: &CommandResult,
        again: bool,
    ) -> TaskAttemptOutcome {
        self.print_log_files("the agent", end);
        let denials = report.denials.iter().take(SHOWN);
        TaskAttemptOutcome::Bad {
            told: Feedback {
                reason,
                last: None,
                findings: denials.map(refusal).collect(),
                output: String::new(),
            },
            again,
        }
    }

    /// Takes note of what a call cost; that nobody says it is told once.
    fn paid(&mut self, agent: &Agent, own: &Agent, report: &AgentOutput) {
        let first = self.pace.paid(agent.cost(report), own.max_cost_micro_usd());
        if first && let Some(most) = self.list.max_usd {
            let price = if report.usage.is_some() {
                "; give the agent a `price`, or name its `model`"
            } else {
                ""
            };
            self.watcher.line(&format!(
                "  note: nobody says what a call of `{}` costs, so `max_usd = {most}` counts without it{price}",
                agent.program()
            ));
        }
    }

    /// Says where no command of an agent came before the policy.
    fn show_unjudged(&self, agent: &Agent, listener: &AgentListener) {
        if listener.is_unjudged.load(Ordering::Relaxed) {
            let program = agent.program();
            self.watcher
                .line(&format!("  note: `{program}`: {UNJUDGED}"));
        }
    }

    fn show_denials(&self, report: &AgentOutput) {
        for denial in report.denials.iter().take(SHOWN) {
            self.watcher
                .line(&format!("  the agent: {}", refusal(denial)));
        }
        if let Some(more) = report
            .denials
            .len()
            .checked_sub(SHOWN)
            .filter(|more| *more > 0)
        {
            self.watcher.line(&format!("  and {more} more"));
        }
    }

    /// Says what an agent that changed nothing said instead.
    pub(super) fn no_change_outcome(&self) -> TaskAttemptOutcome {
        let said = self.said.clone().unwrap_or_default();
        if let Some(files) = &said.files {
            self.watcher
                .line(&format!("  all that the agent said: {files}"));
        }
        TaskAttemptOutcome::Bad {
            told: Feedback {
                reason: "the agent changed nothing".to_owned(),
                last: said.words,
                findings: said.denials,
                output: String::new(),
            },
            again: true,
        }
    }
}

/// What an agent left to be told where its work says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct LastMessage {
    words: Option<String>,
    denials: Vec<String>,
    files: Option<String>,
}

fn last_words(report: &AgentOutput, end: &CommandResult) -> LastMessage {
    let denials = report.denials.iter().take(SHOWN);
    LastMessage {
        words: crate::domain::tasks::last_line(&report.reply)
            .map(|line| format!("its last words: {line}")),
        denials: denials.map(refusal).collect(),
        files: super::failure::log_files(end),
    }
}

/// Says what the permissions of an agent's own program refused.
fn refusal(denial: &Denial) -> String {
    let line = denial.what.lines().next().unwrap_or_default();
    let what = head(&escape_control_chars(line), SHOWN_CHARACTERS, "...");
    if let Some(why) = &denial.why {
        return format!("the policy refused {what}: {}", escape_control_chars(why));
    }
    format!("its own permissions refused {}: {what}", denial.tool)
}

fn cannot_log_in(agent: &Agent, reason: String) -> TaskAttemptOutcome {
    TaskAttemptOutcome::NoProvider(AgentEnd::NeedsPerson {
        reason,
        remedy: format!(
            "{}; then run it again",
            agent.underlying_kind().login_remedy()
        ),
    })
}

/// A program that tos knows and that does not start fails every task alike; one of somebody's own may lack what this task
/// was to make.
fn not_started(agent: &Agent, why: &str) -> TaskAttemptOutcome {
    let reason = format!("the agent could not be started: {why}");
    if matches!(agent.kind, AgentKind::Command | AgentKind::Job) {
        let told = feedback(reason);
        return TaskAttemptOutcome::Bad { told, again: false };
    }
    let reason = if why.contains("not found") {
        format!("`{}` is not installed, or not on PATH", agent.program())
    } else {
        reason
    };
    TaskAttemptOutcome::NoProvider(AgentEnd::NeedsPerson {
        reason,
        remedy: format!("{}; then run it again", agent.install_remedy()),
    })
}
