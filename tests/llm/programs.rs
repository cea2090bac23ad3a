//! Programs as models: real processes, real pipes.

use std::{path::Path, time::Duration};

use tokio::{io::AsyncReadExt, net::unix::pipe};
use tos::{
    adapters::model::{ModelCheck, ModelOptions, Provider, build},
    domain::model::{
        FinishReason, ModelError, ModelErrorKind, ModelReply, ModelRequest, TokenUsage,
    },
};

use crate::support::{impatient, look, query, shared};

fn program(script: &str) -> ModelOptions {
    let mut options = ModelOptions::new(Provider::Command, "");
    options.argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    options.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    options
}

async fn ask(script: &str, query: &ModelRequest) -> Result<ModelReply, ModelError> {
    let model = build(&program(script), &shared()).unwrap();
    model.ask(query).await
}

#[tokio::test]
async fn the_prompt_goes_to_stdin_and_the_answer_comes_from_stdout() {
    let mut reply = ask("cat; printf ' hunter2-hunter2'; echo noise >&2", &query())
        .await
        .unwrap();
    reply.elapsed_ms = 0;
    let expected = ModelReply {
        text: "PROMPT [redacted]".into(),
        finish: FinishReason::Complete,
        provider: "command".into(),
        model: "sh".into(),
        usage: TokenUsage {
            input: 2,
            output: 6,
            estimated: true,
            ..TokenUsage::default()
        },
        request_id: None,
        elapsed_ms: 0,
    };
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_handed_in() {
    let mut options = program("env");
    options.argv = vec!["/usr/bin/env".into()];
    options.environment = vec![("ONLY".into(), "this".into())];
    let reply = build(&options, &shared()).unwrap().ask(&query()).await;
    assert_eq!(reply.unwrap().text, "ONLY=this\n");
}

#[tokio::test]
async fn a_program_that_leaves_a_large_prompt_unread_still_answers() {
    let query = ModelRequest {
        prompt: "x".repeat(4 * 1024 * 1024),
        ..query()
    };
    assert_eq!(ask("echo done", &query).await.unwrap().text, "done\n");
}

#[tokio::test]
async fn a_large_prompt_and_a_large_answer_do_not_block_each_other() {
    let query = ModelRequest {
        prompt: "y".repeat(2 * 1024 * 1024),
        ..query()
    };
    let reply = ask("cat", &query).await.unwrap();
    assert_eq!(reply.text.len(), query.prompt.len());
}

#[tokio::test]
async fn a_bad_end_is_typed_with_the_last_words() {
    let failure = ask("echo it broke hunter2-hunter2 >&2; exit 3", &query())
        .await
        .unwrap_err();
    let expected = ModelError {
        trouble: ModelErrorKind::ProgramFailed,
        message: "the model program `sh` ended with exit status: 3; it says: it broke [redacted]"
            .into(),
        retry_after_ms: None,
        request_id: None,
    };
    assert_eq!(failure, expected);
    let on_stdout = ask("echo limit reached; exit 1", &query())
        .await
        .unwrap_err();
    assert!(on_stdout.message.ends_with("it says: limit reached"));
}

#[tokio::test]
async fn no_answer_is_malformed() {
    let failure = ask("cat > /dev/null", &query()).await.unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::Malformed);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_not_tried_again() {
    let mut options = program("");
    options.argv = vec!["/no/such/program".into()];
    let failure = build(&options, &shared()).unwrap().ask(&query()).await;
    let failure = failure.unwrap_err();
    assert!(!failure.trouble.is_transient());
    assert!(
        failure
            .message
            .contains("`/no/such/program` could not be started")
    );
}

#[tokio::test]
async fn the_envelope_of_an_agent_program_is_opened() {
    let script =
        r#"echo '{"type":"result","result":"{}","usage":{"input_tokens":3,"output_tokens":5}}'"#;
    let reply = ask(script, &query()).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.usage.total()), ("{}", 8));
    let script = r#"echo '{"type":"result","is_error":true,"result":"no credit"}'"#;
    let failure = ask(script, &query()).await.unwrap_err();
    assert_eq!(
        failure.message,
        "the model program `sh` reported an error; it says: no credit"
    );
}

/// A script that tells a pipe that it runs, starts a child that keeps the pipe open, and waits.
fn lingering(pipe: &Path) -> String {
    format!(
        "exec 3>'{}'; echo up >&3; sleep 1000 & wait",
        pipe.display()
    )
}

fn new_pipe(folder: &Path) -> (std::path::PathBuf, pipe::Receiver) {
    let path = folder.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
    (path, receiver)
}

/// Waits until every process that held the pipe is gone; fails instead of hanging.
async fn until_closed(mut receiver: pipe::Receiver) -> String {
    let mut said = String::new();
    let read = receiver.read_to_string(&mut said);
    let read = tokio::time::timeout(Duration::from_secs(60), read).await;
    read.expect("a process is still alive").unwrap();
    said
}

#[tokio::test]
async fn the_deadline_kills_the_program_and_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let (path, receiver) = new_pipe(folder.path());
    let query = ModelRequest {
        deadline: Duration::from_secs(2),
        ..query()
    };
    let failure = ask(&lingering(&path), &query).await.unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::TimedOut);
    assert_eq!(until_closed(receiver).await, "up\n");
}

#[tokio::test]
async fn an_abandoned_attempt_kills_the_program_and_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut receiver) = new_pipe(folder.path());
    let model = build(&program(&lingering(&path)), &shared()).unwrap();
    let query = query();
    let mut word = [0; 3];
    tokio::select! {
        answer = model.ask(&query) => panic!("no answer was expected: {answer:?}"),
        () = hear(&mut receiver, &mut word) => {}
    }
    assert_eq!(&word, b"up\n");
    assert_eq!(until_closed(receiver).await, "");
}

/// Reads until the word is whole; a pipe that nobody has opened yet reads as ended.
async fn hear(receiver: &mut pipe::Receiver, word: &mut [u8; 3]) {
    let mut have = 0;
    while have < word.len() {
        have += receiver.read(&mut word[have..]).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_child_in_the_background_does_not_hold_the_answer_back() {
    let reply = ask("sleep 1000 & echo here", &query()).await.unwrap();
    assert_eq!(reply.text, "here\n");
}

#[tokio::test]
async fn a_silent_program_is_timed_out() {
    let failure = ask("echo thinking >&2; sleep 1000", &impatient()).await;
    assert_eq!(failure.unwrap_err().trouble, ModelErrorKind::TimedOut);
}

#[test]
fn a_program_needs_a_name() {
    let options = ModelOptions::new(Provider::Command, "");
    let fault = build(&options, &shared()).err().unwrap().to_string();
    assert_eq!(
        fault,
        "the provider command needs an argv that begins with a program"
    );
}

#[tokio::test]
async fn a_look_finds_programs_on_the_path_that_was_handed_in() {
    let mut options = program("");
    options.argv = vec!["env".into()];
    assert_eq!(look(&options).await.unwrap(), ModelCheck::Ready);
    options.environment = vec![("PATH".into(), "/nowhere".into())];
    let fault = look(&options).await.unwrap_err().to_string();
    assert_eq!(
        fault,
        "the model program `env` is not there, or not executable (PATH /nowhere)"
    );
}

#[tokio::test]
async fn a_used_up_subscription_parks_until_it_is_renewed() {
    for script in [
        "echo \"You've hit your usage limit. Try again in 2 hours 5 minutes.\" >&2; exit 1",
        "echo \"You've hit your usage limit. Try again in 2 hours 5 minutes.\"",
        r#"echo '{"type":"result","is_error":true,"result":"usage limit reached, resets_in_seconds: 7560"}'"#,
    ] {
        let failure = ask(script, &query()).await.unwrap_err();
        let wait = Some(126 * 60_000);
        assert_eq!(
            (failure.trouble, failure.retry_after_ms),
            (ModelErrorKind::QuotaExhausted, wait)
        );
    }
}

#[tokio::test]
async fn an_answer_that_mentions_limits_is_an_answer() {
    let script = r#"echo '{"summary":"tells the user that the usage limit reached its end"}'"#;
    assert!(ask(script, &query()).await.is_ok());
}
