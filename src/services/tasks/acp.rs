//! A call of an agent that speaks ACP: what it prints is answered while it runs, and a stop is a request to it first.
//!
//! What follows what is decided in [`crate::domain::agent::acp`]; here lines are carried between it and the program. Danger: a
//! program that does not listen any more must still be ended, so every wish to cancel has a time.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, watch},
    task::JoinSet,
};

use super::{
    SessionState,
    agent_call::{AgentListener, UNJUDGED},
};
use crate::{
    domain::{
        agent::{
            Agent,
            acp::{AcpApprovalRequest, AcpClient, AcpEvent, AcpReaction, AcpSessionConfig, decide},
        },
        night::RunEvent,
        notify::{Notification, NotificationEvent},
        policy::{Policy, PolicyContext},
        process::{CommandResult, ExitStatus, SpawnError},
        tasks::AgentTask,
    },
    ports::{
        BoxFuture,
        approvals::Approvals,
        clock::Clock,
        runner::{
            CommandRequest, CommandRunner, InputSource, LineObserver, OutputStream, StopSignal,
        },
        worktrees::Worktree,
    },
};

/// How long an agent may take to stop when it is asked in its own words.
const CANCEL: Duration = Duration::from_secs(5);
/// The file that becomes its standard input, in the folder of the task.
const INPUT: &str = "acp.in";
/// Added to the number of the log files of a conversation that goes on in a second process.
const RESUMED: u32 = 4;

/// Judges what an agent asks permission for.
#[derive(Debug, Clone)]
pub(crate) struct AcpJudge {
    /// The rules.
    pub(crate) policy: Arc<Policy>,
    /// Where, and behind what.
    pub(crate) world: PolicyContext,
}

/// Hears of a question, with its id.
type QuestionListener = Arc<dyn Fn(&str, &AcpApprovalRequest) + Send + Sync>;

/// Whoever decides what the policy leaves to a person, and how long that may take.
#[derive(Clone)]
pub(crate) struct AcpApprover {
    approvals: Arc<dyn Approvals>,
    limit: Duration,
    /// What the ids of its questions begin with.
    name: String,
    count: Arc<AtomicU32>,
    /// Hears of each question, with its id.
    told: QuestionListener,
}

impl AcpApprover {
    /// Asks, and waits for the answer no longer than that; the error is the reason of a refusal.
    async fn ask(
        self,
        question: AcpApprovalRequest,
        clock: Arc<dyn Clock>,
    ) -> (u64, Result<(), String>) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("{}-{number}", self.name);
        let reason = &question.reason;
        // Whoever is told of it can answer at once.
        let asked = self.approvals.ask(&id, &question.command, reason);
        (self.told)(&id, &question);
        let decided = tokio::select! {
            answer = asked => if answer.yes {
                Ok(())
            } else {
                Err(format!("{reason}; the answer was no ({})", answer.by))
            },
            () = clock.sleep(self.limit) => {
                let seconds = self.limit.as_secs();
                Err(format!("{reason}; nobody answered within {seconds} s (`approval_seconds`)"))
            }
        };
        (question.number, decided)
    }
}

/// Hears what happens in a conversation.
type EventReader = Box<dyn Fn(&AcpEvent) + Send + Sync>;

/// A conversation with one process.
struct Conversation {
    client: Mutex<AcpClient>,
    judge: AcpJudge,
    listener: Arc<AgentListener>,
    events: Arc<EventReader>,
    /// `None` closes the agent's standard input.
    send: mpsc::UnboundedSender<Option<Vec<u8>>>,
    waiting: AsyncMutex<mpsc::UnboundedReceiver<Option<Vec<u8>>>>,
    questions: mpsc::UnboundedSender<AcpApprovalRequest>,
}

impl Conversation {
    fn client(&self) -> MutexGuard<'_, AcpClient> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(&self, reaction: AcpReaction) {
        for event in &reaction.events {
            if let AcpEvent::Permission {
                title,
                refused: Some(why),
            } = event
            {
                self.listener.refused(title, why);
            }
            match event {
                AcpEvent::Trouble(text) => self.listener.trouble(text),
                AcpEvent::Session { asks: false, .. } => self.listener.set_unjudged(),
                _ => {}
            }
            (self.events)(event);
        }
        for question in reaction.questions {
            // Nobody puts it any more: the work is being ended.
            drop(self.questions.send(question));
        }
        for message in reaction.send {
            self.put(Some(format!("{message}\n").into_bytes()));
        }
        if reaction.is_over {
            self.put(None);
        }
    }

    fn put(&self, piece: Option<Vec<u8>>) {
        // Nobody reads any more: the process has ended.
        drop(self.send.send(piece));
    }
}

impl LineObserver for Conversation {
    fn line(&self, stream: OutputStream, line: &str) {
        self.listener.line(stream, line);
        if stream == OutputStream::Stdout {
            let judge = &self.judge;
            let reaction = self
                .client()
                .receive_line(line, |asked| decide(asked, &judge.policy, &judge.world));
            self.perform(reaction);
        }
    }
}

impl InputSource for Conversation {
    fn next(&self) -> BoxFuture<'_, Option<Vec<u8>>> {
        Box::pin(async { self.waiting.lock().await.recv().await.flatten() })
    }
}

/// Runs an agent that speaks ACP: one conversation, and one more process where the first one died in the middle of its turn
/// and the agent can load its session.
pub(crate) struct AcpRunner {
    inner: Arc<dyn CommandRunner>,
    /// The folder of the task, where the pipe for the agent's input is made.
    folder: PathBuf,
    terms: AcpSessionConfig,
    judge: AcpJudge,
    /// `None`: nobody is asked, so the judge must not leave anything to a person.
    person: Option<AcpApprover>,
    listener: Arc<AgentListener>,
    clock: Arc<dyn Clock>,
    events: Arc<EventReader>,
    stop: watch::Sender<bool>,
}

impl AcpRunner {
    pub(crate) fn new(
        (inner, place): (Arc<dyn CommandRunner>, &Worktree),
        terms: AcpSessionConfig,
        (judge, person): (AcpJudge, Option<AcpApprover>),
        listener: Arc<AgentListener>,
        clock: Arc<dyn Clock>,
        events: EventReader,
    ) -> Self {
        Self {
            inner,
            folder: place.task_folder.clone(),
            terms,
            judge,
            person,
            listener,
            clock,
            events: Arc::new(events),
            stop: watch::Sender::new(false),
        }
    }

    fn conversation(
        &self,
        resume: Option<String>,
    ) -> (
        Arc<Conversation>,
        mpsc::UnboundedReceiver<AcpApprovalRequest>,
    ) {
        let (send, waiting) = mpsc::unbounded_channel();
        let (questions, asked) = mpsc::unbounded_channel();
        let terms = AcpSessionConfig {
            resume,
            ..self.terms.clone()
        };
        let conversation = Conversation {
            client: Mutex::new(AcpClient::new(terms)),
            judge: self.judge.clone(),
            listener: Arc::clone(&self.listener),
            events: Arc::clone(&self.events),
            send,
            waiting: AsyncMutex::new(waiting),
            questions,
        };
        let first = conversation.client().start();
        conversation.perform(first);
        (Arc::new(conversation), asked)
    }

    async fn stay(&self, order: &CommandRequest) -> Result<CommandResult, SpawnError> {
        let (ended, resume) = self.talk(order, None).await?;
        let died = matches!(
            ended.exit,
            ExitStatus::Code { .. } | ExitStatus::Signal { .. }
        );
        let Some(session) = resume.filter(|_| died) else {
            return Ok(ended);
        };
        let spent = Duration::from_millis(ended.elapsed_ms);
        let again = CommandRequest {
            index: order.index + RESUMED,
            deadline: order.deadline.saturating_sub(spent),
            ..order.clone()
        };
        Ok(self.talk(&again, Some(session)).await?.0)
    }

    /// Talks with one process to its end; returns it, and the session that another process could go on with.
    async fn talk(
        &self,
        order: &CommandRequest,
        resume: Option<String>,
    ) -> Result<(CommandResult, Option<String>), SpawnError> {
        let (conversation, mut questions) = self.conversation(resume);
        let mut order = order.clone();
        order.streams.input_file = Some(self.folder.join(INPUT));
        order.streams.reader = Some(Arc::<Conversation>::clone(&conversation));
        order.streams.input = Some(Arc::<Conversation>::clone(&conversation));
        let mut stop = self.stop.subscribe();
        let mut running = self.inner.run(&order);
        // Whatever is open when this returns is asked no longer.
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                ended = &mut running => {
                    self.listener.set_waiting(false);
                    return Ok((ended?, conversation.client().resumable_session()));
                }
                () = asked(&mut stop) => break,
                Some(question) = questions.recv() => if let Some(person) = self.person.clone() {
                    drop(open.spawn(person.ask(question, Arc::clone(&self.clock))));
                } else {
                    let why = format!("{}; nobody can be asked", question.reason);
                    let reaction = conversation.client().answer_question(question.number, Err(why));
                    conversation.perform(reaction);
                },
                Some(Ok((number, decided))) = open.join_next(), if !open.is_empty() => {
                    let reaction = conversation.client().answer_question(number, decided);
                    conversation.perform(reaction);
                }
            }
            self.listener.set_waiting(!open.is_empty());
        }
        self.listener.set_waiting(false);
        open.abort_all();
        let reaction = conversation.client().cancel();
        conversation.perform(reaction);
        let ended = tokio::select! {
            ended = &mut running => ended?,
            () = self.clock.sleep(CANCEL) => {
                self.inner.interrupt(StopSignal::Terminate);
                running.await?
            }
        };
        // However politely it ended, its work is not done.
        let exit = match ended.exit {
            ExitStatus::Code { .. } | ExitStatus::Signal { .. } => ExitStatus::Cancelled,
            exit => exit,
        };
        Ok((CommandResult { exit, ..ended }, None))
    }
}

async fn asked(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|asked| *asked).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl CommandRunner for AcpRunner {
    fn run<'a>(
        &'a self,
        order: &'a CommandRequest,
    ) -> BoxFuture<'a, Result<CommandResult, SpawnError>> {
        Box::pin(self.stay(order))
    }

    fn interrupt(&self, how: StopSignal) {
        if how == StopSignal::Kill {
            return self.inner.interrupt(how);
        }
        self.stop.send_replace(true);
    }

    fn take_refused_hosts(&self) -> Vec<String> {
        self.inner.take_refused_hosts()
    }

    fn kill_survivors<'a>(&'a self, token_prefix: &'a str) -> BoxFuture<'a, u32> {
        self.inner.kill_survivors(token_prefix)
    }
}

impl SessionState<'_> {
    /// Returns what talks with the agent of a task; what happens becomes events of the run.
    pub(super) fn acp_runner(
        &self,
        task: &AgentTask,
        place: &Worktree,
        agent: &Agent,
        (prompt, home): (String, &str),
        listener: &Arc<AgentListener>,
        inner: Arc<dyn CommandRunner>,
    ) -> Arc<dyn CommandRunner> {
        let terms = AcpSessionConfig {
            directory: place.top.to_string_lossy().into_owned(),
            prompt,
            model: agent.model.clone(),
            is_walled: self.is_walled(),
            resume: None,
        };
        let judge = AcpJudge {
            policy: Arc::clone(&self.tools.policy),
            world: PolicyContext {
                root: place.top.clone(),
                home: Some(home.into()),
                sandbox_proved: self.is_walled(),
                attended: agent.approval_timeout_seconds() > 0,
                ..self.tools.world.clone()
            },
        };
        let person = (agent.approval_timeout_seconds() > 0).then(|| self.person(task, agent));
        let journal = Arc::clone(&self.tools.journal);
        let (run, session, id) = (
            self.terms.run.clone(),
            self.terms.session.clone(),
            task.id.clone(),
        );
        let events = Box::new(move |event: &AcpEvent| {
            let (name, data) = recorded(event, &id);
            journal.emit(&RunEvent {
                run: run.clone(),
                session: session.clone(),
                name,
                data,
            });
        });
        Arc::new(AcpRunner::new(
            (inner, place),
            terms,
            (judge, person),
            Arc::clone(listener),
            Arc::clone(&self.tools.clock),
            events,
        ))
    }

    /// Returns the way to whoever answers what the agent of a task asks permission for.
    fn person(&self, task: &AgentTask, agent: &Agent) -> AcpApprover {
        let (journal, notifications) = (
            Arc::clone(&self.tools.journal),
            Arc::clone(&self.tools.notifications),
        );
        let (run, session, name) = (
            self.terms.run.clone(),
            self.terms.session.clone(),
            task.id.clone(),
        );
        let limit = agent.approval_timeout_seconds();
        let told = move |id: &str, question: &AcpApprovalRequest| {
            let command = question.command.text();
            journal.emit(&RunEvent {
                run: run.clone(),
                session: session.clone(),
                name: "agent_question",
                data: json!({
                    "task": name, "id": id, "what": command, "reason": question.reason, "seconds": limit,
                }),
            });
            let title = format!("{name}: the agent asks whether it may run `{command}`");
            let asked = Notification::new(NotificationEvent::ApprovalWaiting, title, &run);
            notifications.send(
                asked
                    .text(format!("{} ({limit} s are left)", question.reason))
                    .next_command(format!("tos answer {id} yes|no")),
            );
        };
        AcpApprover {
            approvals: Arc::clone(&self.tools.approvals),
            limit: Duration::from_secs(limit),
            name: format!("{}-{}", self.terms.session, task.id),
            count: Arc::clone(&self.questions),
            told: Arc::new(told),
        }
    }
}

/// Returns an event of a conversation as the log of the run has it.
fn recorded(event: &AcpEvent, task: &str) -> (&'static str, Value) {
    match event {
        AcpEvent::Session {
            id,
            agent,
            is_resumed,
            asks,
        } => (
            "agent_session",
            json!({
                "task": task, "session": id, "agent": agent, "resumed": is_resumed, "asks": asks,
                "note": (!asks).then_some(UNJUDGED),
            }),
        ),
        AcpEvent::ToolCall {
            id,
            title,
            kind,
            status,
        } => (
            "agent_tool_call",
            json!({ "task": task, "call": id, "title": title, "kind": kind, "status": status }),
        ),
        AcpEvent::Permission { title, refused } => (
            "agent_permission",
            json!({ "task": task, "what": title, "allowed": refused.is_none(), "reason": refused }),
        ),
        AcpEvent::Trouble(text) => ("agent_trouble", json!({ "task": task, "reason": text })),
        AcpEvent::TurnEnded { stop_reason } => (
            "agent_turn_ended",
            json!({ "task": task, "stop_reason": stop_reason }),
        ),
    }
}
