//! A program of this machine as model: the prompt on its stdin, the answer on its stdout.
//!
//! The program gets its own process group, no terminal, and exactly the environment it was handed. Whatever way an
//! attempt ends, also when its future is dropped, the whole group is killed. A child that left the group
//! and keeps the pipes open cannot hold the answer back for longer than a moment.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    task::JoinSet,
};

use crate::{
    adapters::{
        model::{
            error::BuildError, live::estimate_usage, messages, options::ModelOptions,
            shared::HttpClients, trouble::shorten,
        },
        process::{detach, encoding},
    },
    domain::{
        agent::quota,
        model::{FinishReason, ModelError, ModelErrorKind, ModelReply, ModelRequest, TokenUsage},
    },
    ports::{BoxFuture, model::Model},
};

const PROVIDER: &str = "command";
/// What is kept of stdout; a longer answer is none.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;
/// What is kept of stderr, from its end.
const MAX_COMPLAINT: usize = 4 * 1024;
/// A longer text is an answer that merely mentions limits.
const MAX_NOTICE: usize = 400;
/// How long pipes may stay open after the program and its group have ended.
const PIPE_GRACE: Duration = Duration::from_secs(1);

/// A program that answers.
#[derive(Debug)]
pub(super) struct ProgramModel {
    options: ModelOptions,
    shared: HttpClients,
}

/// What a program printed so far; shared with the tasks that read, so a deadline loses nothing.
#[derive(Debug, Clone, Default)]
struct PartialOutput(Arc<Mutex<Vec<u8>>>);

impl PartialOutput {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, bytes: &[u8], keep: KeptBytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match keep {
            // One byte more than allowed is kept, which is how an overflow is noticed.
            KeptBytes::Head(limit) => {
                let task_folder = (limit + 1).saturating_sub(kept.len());
                kept.extend_from_slice(&bytes[..bytes.len().min(task_folder)]);
            }
            KeptBytes::Tail(limit) => {
                kept.extend_from_slice(bytes);
                let surplus = kept.len().saturating_sub(limit);
                kept.drain(..surplus);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum KeptBytes {
    Head(usize),
    Tail(usize),
}

/// Kills the process group when dropped.
struct ProcessGroupGuard(Option<Pid>);

impl Drop for ProcessGroupGuard {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // The group may be gone already, which is the good case.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
    }
}

impl ProgramModel {
    pub(super) fn new(options: &ModelOptions, shared: &HttpClients) -> Result<Self, BuildError> {
        if options.argv.first().is_none_or(String::is_empty) {
            return Err(BuildError::ArgvMissing);
        }
        Ok(Self {
            options: options.clone(),
            shared: shared.clone(),
        })
    }

    fn name(&self) -> &str {
        self.options.argv.first().map_or("", String::as_str)
    }

    async fn attempt(&self, query: &ModelRequest) -> Result<ModelReply, ModelError> {
        let started = Instant::now();
        let mut child = self.start()?;
        let group = ProcessGroupGuard(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let (stdout, stderr) = (PartialOutput::default(), PartialOutput::default());
        let talk = converse(&mut child, group, &query.prompt, &stdout, &stderr);
        let Ok(status) = tokio::time::timeout(query.deadline, talk).await else {
            let seconds = query.deadline.as_secs_f64();
            let what = format!("gave no answer within {seconds} s");
            return Err(self.failure(ModelErrorKind::TimedOut, &what, &stderr.take()));
        };
        let status = status.map_err(|error| {
            let what = format!("could not be waited for: {error}");
            self.failure(ModelErrorKind::ProgramFailed, &what, &[])
        })?;
        let said = self.judge(status, &stdout.take(), &stderr.take())?;
        Ok(self.reply(query, &said, started.elapsed()))
    }

    fn start(&self) -> Result<Child, ModelError> {
        let mut command = std::process::Command::new(self.name());
        command
            .args(self.options.argv.iter().skip(1))
            .current_dir(&self.options.directory)
            .env_clear()
            .envs(self.options.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        detach(&mut command);
        Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                use std::io::ErrorKind;
                // A program that is not there will not be there in a second either.
                let trouble = match error.kind() {
                    ErrorKind::NotFound | ErrorKind::PermissionDenied => ModelErrorKind::Rejected,
                    _ => ModelErrorKind::ProgramFailed,
                };
                self.failure(trouble, &format!("could not be started: {error}"), &[])
            })
    }

    /// Decides whether what a program left behind is an answer.
    fn judge(
        &self,
        status: ExitStatus,
        stdout: &[u8],
        stderr: &[u8],
    ) -> Result<ProgramOutput, ModelError> {
        if !status.success() {
            // Some programs complain on stdout.
            let complaint = if stderr.is_empty() { stdout } else { stderr };
            return Err(self.complaint(&format!("ended with {status}"), tail(complaint)));
        }
        if stdout.len() > MAX_OUTPUT {
            return Err(self.failure(
                ModelErrorKind::Malformed,
                "printed more than 16 MiB",
                stderr,
            ));
        }
        let printout = ProgramOutput::read(stdout);
        if printout.is_error {
            return Err(self.complaint("reported an error", printout.text.as_bytes()));
        }
        if printout.is_notice() {
            return Err(self.complaint("gave no answer", printout.text.as_bytes()));
        }
        if printout.text.trim().is_empty() {
            return Err(self.failure(ModelErrorKind::Malformed, "printed no answer", stderr));
        }
        Ok(printout)
    }

    fn reply(&self, query: &ModelRequest, said: &ProgramOutput, elapsed: Duration) -> ModelReply {
        ModelReply {
            usage: said
                .usage
                .unwrap_or_else(|| estimate_usage(&query.prompt, &said.text)),
            text: self.shared.clean(&said.text),
            finish: FinishReason::Complete,
            provider: PROVIDER.to_owned(),
            model: self.model().to_owned(),
            request_id: None,
            elapsed_ms: elapsed.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }

    /// Types a failure by what the program says about it.
    fn complaint(&self, what: &str, words: &[u8]) -> ModelError {
        let text = String::from_utf8_lossy(words);
        if !quota::is_quota_exhausted(&text) {
            return self.failure(ModelErrorKind::ProgramFailed, what, words);
        }
        ModelError {
            retry_after_ms: quota::renewal_wait_ms(&text, chrono::Local::now().fixed_offset()),
            ..self.failure(ModelErrorKind::QuotaExhausted, what, words)
        }
    }

    fn failure(&self, trouble: ModelErrorKind, what: &str, complaint: &[u8]) -> ModelError {
        let complaint = shorten(&String::from_utf8_lossy(complaint));
        let says = if complaint.is_empty() {
            String::new()
        } else {
            format!("; it says: {complaint}")
        };
        let message = format!("the model program `{}` {what}{says}", self.name());
        ModelError {
            trouble,
            message: self.shared.clean(&message),
            retry_after_ms: None,
            request_id: None,
        }
    }
}

fn tail(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len().saturating_sub(MAX_COMPLAINT)..]
}

/// Hands over the prompt and collects everything printed until the program has ended.
async fn converse(
    child: &mut Child,
    group: ProcessGroupGuard,
    prompt: &str,
    stdout: &PartialOutput,
    stderr: &PartialOutput,
) -> std::io::Result<ExitStatus> {
    // Dropping the set ends the tasks, so an abandoned attempt leaves none behind.
    let mut tasks = JoinSet::new();
    if let Some(mut stdin) = child.stdin.take() {
        let prompt = prompt.as_bytes().to_vec();
        tasks.spawn(async move {
            // A program may answer without reading all of its prompt; that is its own business.
            drop(stdin.write_all(&prompt).await);
        });
    }
    if let Some(pipe) = child.stdout.take() {
        tasks.spawn(collect(pipe, stdout.clone(), KeptBytes::Head(MAX_OUTPUT)));
    }
    if let Some(pipe) = child.stderr.take() {
        tasks.spawn(collect(
            pipe,
            stderr.clone(),
            KeptBytes::Tail(MAX_COMPLAINT),
        ));
    }
    let status = child.wait().await;
    drop(group);
    let drained = async { while tasks.join_next().await.is_some() {} };
    drop(tokio::time::timeout(PIPE_GRACE, drained).await);
    status
}

async fn collect(mut pipe: impl AsyncRead + Unpin, printed: PartialOutput, keep: KeptBytes) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = pipe.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        printed.add(&buffer[..read], keep);
    }
}

/// What a program printed, taken out of the envelope that agent programs put around it on request.
#[derive(Debug, PartialEq, Eq)]
struct ProgramOutput {
    text: String,
    usage: Option<TokenUsage>,
    is_error: bool,
}

impl ProgramOutput {
    /// Reads stdout; the envelope is one object with `"type": "result"` and a `result` text.
    fn read(stdout: &[u8]) -> Self {
        let text = encoding::decode(stdout)
            .map_or_else(|| String::from_utf8_lossy(stdout), |(text, _)| text.into());
        let plain = || Self {
            text: text.clone().into_owned(),
            usage: None,
            is_error: false,
        };
        let Ok(envelope) = serde_json::from_str::<Value>(&text) else {
            return plain();
        };
        let is_envelope = envelope.get("type").is_some_and(|kind| kind == "result");
        match envelope.get("result").and_then(Value::as_str) {
            Some(result) if is_envelope => Self {
                text: result.to_owned(),
                usage: envelope.get("usage").and_then(messages::usage),
                is_error: envelope.get("is_error").is_some_and(|flag| flag == true),
            },
            _ => plain(),
        }
    }

    /// Returns whether this is the notice of a used-up limit, which some programs print as if it were an
    /// answer. Anything that could be a proposal is none.
    fn is_notice(&self) -> bool {
        self.text.len() <= MAX_NOTICE
            && !self.text.contains('{')
            && quota::is_quota_exhausted(&self.text)
    }
}

impl Model for ProgramModel {
    fn ask<'a>(&'a self, query: &'a ModelRequest) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(self.attempt(query))
    }

    fn provider(&self) -> &str {
        PROVIDER
    }

    fn model(&self) -> &str {
        if self.options.model.is_empty() {
            self.name()
        } else {
            &self.options.model
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_of_an_agent_program_is_opened() {
        let envelope = br#"{"type":"result","is_error":false,"result":"{\"a\":1}",
            "usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":5}}"#;
        let usage = TokenUsage {
            input: 7,
            cached_input: 4,
            output: 5,
            ..TokenUsage::default()
        };
        let expected = ProgramOutput {
            text: "{\"a\":1}".into(),
            usage: Some(usage),
            is_error: false,
        };
        assert_eq!(ProgramOutput::read(envelope), expected);
    }

    #[test]
    fn anything_else_is_the_answer_itself() {
        for text in [r#"{"final_commands":[],"result":"x"}"#, "prose", "[1]"] {
            assert_eq!(ProgramOutput::read(text.as_bytes()).text, text);
        }
    }

    #[test]
    fn the_head_of_stdout_and_the_tail_of_stderr_are_kept() {
        let (head, tail) = (PartialOutput::default(), PartialOutput::default());
        for chunk in ["abc", "def"] {
            head.add(chunk.as_bytes(), KeptBytes::Head(4));
            tail.add(chunk.as_bytes(), KeptBytes::Tail(4));
        }
        assert_eq!(
            (head.take(), tail.take()),
            (b"abcde".to_vec(), b"cdef".to_vec())
        );
    }
}
