//! Fakes of every port: a clock that is told the time, a model and a runner that tell the story, a probe
//! that looks at real files, a person who answers as arranged.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use tos::{
    domain::{
        command::Command,
        job::{done_condition::Observation, rules::DoneCheck},
        model::{FinishReason, ModelError, ModelErrorKind, ModelReply, ModelRequest, TokenUsage},
        process::{CapturedOutput, CommandResult, ExitStatus, SpawnError as NotStarted},
        time::Timestamp,
    },
    ports::{
        BoxFuture,
        approvals::{ApprovalAnswer as Consent, Approvals},
        clock::Clock,
        model::Model,
        probe::ConditionProbe,
        runner::{CommandRequest, CommandRunner, StopSignal},
    },
};

use crate::server::Answer;

/// A clock that stands still until it is told otherwise; sleeping moves it on and takes no time.
#[derive(Debug, Default)]
pub(crate) struct FakeClock {
    seconds: AtomicI64,
}

impl FakeClock {
    /// Moves the clock, also backwards.
    pub(crate) fn move_by(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let seconds = 1_790_000_000 + self.seconds.load(Ordering::SeqCst);
        chrono::DateTime::from_timestamp(seconds, 0)
            .expect("the time exists")
            .fixed_offset()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn random(&self) -> f64 {
        0.5
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        let seconds = i64::try_from(duration.as_secs()).expect("tests sleep shortly");
        self.move_by(seconds);
        Box::pin(std::future::ready(()))
    }
}

type Script = dyn Fn(&str) -> Answer + Send + Sync;

/// A model that answers by a script and keeps what it was asked.
pub(crate) struct FakeModel {
    script: Box<Script>,
    prompts: Mutex<Vec<String>>,
}

impl FakeModel {
    /// Makes a model that answers by `script`.
    pub(crate) fn new(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            prompts: Mutex::default(),
        })
    }

    /// Returns how many calls have come.
    pub(crate) fn calls(&self) -> usize {
        self.prompts.lock().expect("no thread panics").len()
    }
}

impl Model for FakeModel {
    fn ask<'a>(&'a self, query: &'a ModelRequest) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        self.prompts
            .lock()
            .expect("no thread panics")
            .push(query.prompt.clone());
        match (self.script)(&query.prompt) {
            Answer::Text(text) => Box::pin(std::future::ready(Ok(reply(text)))),
            Answer::Status(status, headers, body) => Box::pin(std::future::ready(Err(failure(
                status,
                &headers,
                &body.to_string(),
            )))),
            Answer::Silence => Box::pin(std::future::pending()),
        }
    }

    fn provider(&self) -> &'static str {
        "fake"
    }

    fn model(&self) -> &'static str {
        "fake"
    }
}

fn reply(text: String) -> ModelReply {
    ModelReply {
        text,
        finish: FinishReason::Complete,
        provider: "fake".into(),
        model: "fake".into(),
        usage: TokenUsage {
            input: 10,
            output: 5,
            ..TokenUsage::default()
        },
        request_id: None,
        elapsed_ms: 1000,
    }
}

fn failure(status: u16, headers: &[(&str, String)], body: &str) -> ModelError {
    let wait = headers.iter().find(|(name, _)| *name == "retry-after");
    ModelError {
        trouble: match status {
            429 => ModelErrorKind::RateLimited,
            401 => ModelErrorKind::Unauthorised,
            500.. => ModelErrorKind::ServerError,
            _ => ModelErrorKind::Rejected,
        },
        message: format!("status {status}: {body}"),
        retry_after_ms: wait.map(|(_, value)| 1000 * value.parse::<u64>().expect("a number")),
        request_id: None,
    }
}

/// A runner that understands `echo WORDS >> FILE` and `echo WORDS > FILE`, one after the other, and
/// starts no process.
#[derive(Debug)]
pub(crate) struct FakeRunner {
    root: PathBuf,
    /// How many processes of an earlier run it pretends to find.
    pub(crate) left_over: AtomicU32,
}

impl FakeRunner {
    /// Makes a runner that works in `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            left_over: AtomicU32::new(0),
        }
    }

    fn perform(&self, line: &str) {
        let words = line.trim().strip_prefix("echo ").expect("commands echo");
        let (words, file, append) = match words.split_once(" >> ") {
            Some((words, file)) => (words, file, true),
            None => match words.split_once(" > ") {
                Some((words, file)) => (words, file, false),
                None => return,
            },
        };
        let path = self.root.join(file);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folders can be made");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .append(append)
            .truncate(!append)
            .open(path)
            .expect("the file can be opened");
        writeln!(file, "{words}").expect("the file can be written");
    }
}

impl CommandRunner for FakeRunner {
    fn run<'a>(
        &'a self,
        order: &'a CommandRequest,
    ) -> BoxFuture<'a, Result<CommandResult, NotStarted>> {
        order
            .command
            .text()
            .split(';')
            .for_each(|line| self.perform(line));
        Box::pin(std::future::ready(Ok(CommandResult {
            exit: ExitStatus::Code { code: 0 },
            stdout: CapturedOutput::default(),
            stderr: CapturedOutput::default(),
            elapsed_ms: 1,
            leftovers: 0,
        })))
    }

    fn interrupt(&self, _how: StopSignal) {}

    fn kill_survivors<'a>(&'a self, _token_prefix: &'a str) -> BoxFuture<'a, u32> {
        Box::pin(std::future::ready(self.left_over.swap(0, Ordering::SeqCst)))
    }
}

/// A probe that reads files below a root and runs nothing.
#[derive(Debug)]
pub(crate) struct FakeProbe(pub(crate) PathBuf);

impl ConditionProbe for FakeProbe {
    fn observe<'a>(&'a self, checks: &'a [DoneCheck]) -> BoxFuture<'a, Vec<Observation>> {
        let look = |check: &DoneCheck| match check {
            DoneCheck::Contains { file, .. }
            | DoneCheck::Matches { file, .. }
            | DoneCheck::Exists { file, .. } => {
                fs::read_to_string(self.0.join(file)).map_or(Observation::Absent, Observation::Text)
            }
            DoneCheck::Command { .. } => Observation::NotRun("no programs here".into()),
        };
        Box::pin(std::future::ready(checks.iter().map(look).collect()))
    }
}

/// A person who always gives the same answer.
#[derive(Debug)]
pub(crate) struct FakePerson(pub(crate) bool);

impl Approvals for FakePerson {
    fn ask<'a>(
        &'a self,
        _id: &'a str,
        _command: &'a Command,
        _reason: &'a str,
    ) -> BoxFuture<'a, Consent> {
        Box::pin(std::future::ready(Consent {
            yes: self.0,
            by: "a test".into(),
        }))
    }
}
