//! `--otlp` against a collector on loopback that reads what is sent as the protocol has it.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod collector;
mod real_collector;

#[path = "../support/program.rs"]
mod program;
#[path = "../support/repository.rs"]
mod repository;

use std::{net::TcpListener, path::Path, process::Output};

use collector::{Collector, Span};
use tempfile::TempDir;

/// Runs `tos` in a folder with a home of its own; `more` = variables.
fn tos(root: &Path, words: &[&str], more: &[(&str, &str)]) -> Output {
    let home = root.parent().unwrap().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let mut command = program::program(root, &home, words);
    command.envs(more.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// A root with the sample job, whose models are recordings.
fn sample() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("work");
    std::fs::create_dir(&root).unwrap();
    repository::init(&root);
    let made = tos(&root, &["init", "--sample", "."], &[]);
    assert!(made.status.success(), "{}", said(&made));
    (folder, root)
}

fn parent<'a>(spans: &'a [Span], child: &Span) -> &'a Span {
    let found = spans.iter().find(|span| span.id == child.parent);
    found.unwrap_or_else(|| panic!("{child:?} has no parent"))
}

#[test]
fn a_job_is_a_trace_of_runs_steps_calls_and_commands_with_the_names_of_the_conventions() {
    let (_folder, root) = sample();
    let collector = Collector::start();
    let ran = tos(&root, &["run", "--otlp", &collector.url()], &[]);
    assert!(ran.status.success(), "{}", said(&ran));
    let spans = collector.spans();
    let run = spans.iter().find(|span| span.name == "run").unwrap();
    assert!(run.parent.is_empty());
    let calls: Vec<&Span> = spans
        .iter()
        .filter(|span| span.text("gen_ai.operation.name") == "chat")
        .collect();
    assert!(!calls.is_empty(), "{spans:#?}");
    for call in &calls {
        assert!(!call.text("gen_ai.provider.name").is_empty(), "{call:?}");
        assert!(call.number("gen_ai.usage.input_tokens") > 0, "{call:?}");
        assert!(parent(&spans, call).name.starts_with("step "));
        assert!(call.name.starts_with("chat"), "{call:?}");
    }
    let command = spans
        .iter()
        .find(|span| span.text("gen_ai.operation.name") == "execute_tool")
        .unwrap();
    assert_eq!(command.number("process.exit.code"), 0, "{command:?}");
    let step = parent(&spans, command);
    assert!(parent(&spans, step).name.starts_with("job "), "{spans:#?}");
    assert!(
        spans
            .iter()
            .all(|span| span.trace == run.trace && span.end >= span.start)
    );
    let metrics = collector.metrics();
    for name in [
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.duration",
        "tos.command.duration",
    ] {
        assert!(
            metrics.iter().any(|metric| metric == name),
            "{name}: {metrics:?}"
        );
    }
}

/// Returns what the points of a metric with this attribute add up to.
fn added_up(collector: &Collector, metric: &str, (name, text): (&str, &str)) -> (u64, f64) {
    let points = collector.points(metric).into_iter();
    let own = points.filter(|point| point.has(name, text));
    own.fold((0, 0.0), |(count, sum), point| {
        (count + point.count, sum + point.sum)
    })
}

#[test]
fn tokens_cost_denials_and_durations_of_a_job_are_what_its_run_log_says() {
    let (_folder, root) = sample();
    let collector = Collector::start();
    let prices = ["draft", "review", "final"].map(|role| {
        [
            format!("models.{role}.price.input_per_mtok=1000"),
            format!("models.{role}.price.output_per_mtok=2000"),
        ]
    });
    let url = collector.url();
    let mut words = vec!["run", "--otlp", &url];
    for price in prices.as_flattened() {
        words.extend(["--set", price]);
    }
    let ran = tos(&root, &words, &[]);
    assert!(ran.status.success(), "{}", said(&ran));
    let log = std::fs::read_to_string(root.join("logs/run.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let all = |kind: &str, pointer: &str| -> Vec<serde_json::Value> {
        let own = events.iter().map(|event| &event["event"]);
        let own = own.filter(|event| event["type"] == kind);
        own.filter_map(|event| event.pointer(pointer).cloned())
            .collect()
    };
    let total = |values: &[serde_json::Value]| -> f64 {
        values.iter().filter_map(serde_json::Value::as_f64).sum()
    };
    let is_near = |one: f64, other: f64| (one - other).abs() < 1e-6;
    let calls = all("query_answered", "/reply/usage").len() as u64;
    assert!(calls > 0, "{log}");
    for kind in ["input", "output"] {
        let of_kind = ("gen_ai.token.type", kind);
        let (count, sum) = added_up(&collector, "gen_ai.client.token.usage", of_kind);
        let used = total(&all("query_answered", &format!("/reply/usage/{kind}")));
        assert!(count == calls && is_near(sum, used), "{kind}: {sum} {used}");
    }
    let chat = ("gen_ai.operation.name", "chat");
    let (count, cost) = added_up(&collector, "tos.cost", chat);
    let paid = total(&all("query_answered", "/cost"));
    assert!(
        count == calls && paid > 0.0 && is_near(cost, paid),
        "{cost} {paid}"
    );
    let (count, seconds) = added_up(&collector, "gen_ai.client.operation.duration", chat);
    assert!(count == calls && seconds >= 0.0, "{count} {seconds}");
    let verdicts = all("judged", "/verdicts");
    let verdicts = verdicts.iter().filter_map(serde_json::Value::as_array);
    let denied = verdicts.flatten().filter(|one| one["decision"] == "deny");
    let denied = denied.count() as u64;
    let (count, _) = added_up(&collector, "tos.denials", ("tos.denial.source", "job"));
    assert!(denied > 0 && count == denied, "{count} {denied}");
    let ran_for = all("command_ended", "/end/elapsed_ms");
    let ended_well = ("process.exit.code", "0");
    let (count, seconds) = added_up(&collector, "tos.command.duration", ended_well);
    assert_eq!(count, ran_for.len() as u64, "{log}");
    assert!(is_near(seconds, total(&ran_for) / 1000.0), "{seconds}");
}

#[test]
fn a_command_of_exec_is_measured_and_a_refused_one_is_a_denial() {
    let (_folder, root) = sample();
    let collector = Collector::start();
    let url = collector.url();
    let front = ["exec", "--otlp", &url, "--set", "sandbox.level=off", "--"];
    let ran = tos(&root, &[&front[..], &["sh", "-c", "exit 3"]].concat(), &[]);
    assert_eq!(ran.status.code(), Some(3), "{}", said(&ran));
    let measured = collector.points("tos.command.duration");
    assert!(
        matches!(measured.as_slice(), [one] if one.count == 1 && one.sum >= 0.0 && one.has("process.exit.code", "3")),
        "{measured:?}"
    );
    assert!(collector.points("tos.denials").is_empty());
    let refused = tos(
        &root,
        &[&front[..], &["git", "push", "--force"]].concat(),
        &[],
    );
    assert_eq!(refused.status.code(), Some(126), "{}", said(&refused));
    let denied = added_up(&collector, "tos.denials", ("tos.denial.source", "exec"));
    assert_eq!(denied.0, 1);
    let spans = collector.spans();
    let codes: Vec<i64> = spans
        .iter()
        .map(|span| span.number("process.exit.code"))
        .collect();
    assert_eq!(codes, [3, 126]);
    assert_eq!(collector.points("tos.command.duration").len(), 1);
}

#[test]
fn prompts_and_secrets_are_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("work");
    std::fs::create_dir(&root).unwrap();
    repository::write(
        &root,
        "plan.yaml",
        "goal: a goal with sk-very-secret-value-42 in it\ntasks:\n  - id: one\n    shell: exit 3\n",
    );
    let collector = Collector::start();
    let words = ["plan", "run", "plan.yaml", "--otlp", &collector.url()];
    let secret = [("MY_API_KEY", "sk-very-secret-value-42")];
    let ran = tos(&root, &words, &secret);
    assert_eq!(ran.status.code(), Some(3), "{}", said(&ran));
    let spans = collector.spans();
    let task = spans.iter().find(|span| span.name == "task one").unwrap();
    assert!(
        task.is_error && task.number("process.exit.code") == 3,
        "{task:?}"
    );
    assert_eq!(parent(&spans, task).name, "plan run");
    let took = collector.points("tos.task.duration");
    assert!(
        matches!(took.as_slice(), [one] if one.count == 1 && one.sum >= 0.0),
        "{took:?}"
    );
    let all = format!("{spans:?}");
    assert!(
        all.contains("a goal with") && !all.contains("secret-value"),
        "{all}"
    );
    assert!(!collector.holds(b"secret-value"));
}

#[test]
fn nothing_is_sent_and_nothing_costs_unless_it_is_asked_for() {
    let (_folder, root) = sample();
    let collector = Collector::start();
    let named = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())];
    let named = named.each_ref().map(|(name, url)| (*name, url.as_str()));
    let ran = tos(&root, &["run"], &named);
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(collector.spans().is_empty());
    let ran = tos(&root, &["run", "--again", "--otlp", "env"], &named);
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(!collector.spans().is_empty());
    let ran = tos(&root, &["run", "--again", "--otlp", "env"], &[]);
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert!(said(&ran).contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
}

#[test]
fn the_configuration_can_ask_for_it_and_a_wrong_address_is_said_before_anything_runs() {
    let (_folder, root) = sample();
    let collector = Collector::start();
    let set = format!("telemetry.otlp={}", collector.url());
    let ran = tos(&root, &["run", "--set", &set], &[]);
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(!collector.spans().is_empty());
    let ran = tos(&root, &["run", "--again", "--otlp", "localhost:4317"], &[]);
    assert!(
        ran.status.code() == Some(2) && said(&ran).contains("4318"),
        "{}",
        said(&ran)
    );
}

#[test]
fn a_collector_that_is_away_or_refuses_or_never_answers_is_one_warning_and_no_failure() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    // One that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("http://{}", silent.local_addr().unwrap());
    let refusing = Collector::refusing();
    for url in [away, mute, refusing.url()] {
        let (_folder, root) = sample();
        let ran = tos(&root, &["run", "--otlp", &url], &[]);
        let text = said(&ran);
        assert!(ran.status.success(), "{text}");
        let warnings = text.matches("telemetry was not delivered").count();
        assert_eq!(warnings, 1, "{url}: {text}");
    }
}

#[test]
fn a_wrong_address_is_an_error_before_anything_runs_with_every_command() {
    let (_folder, root) = sample();
    for words in [
        &["exec", "--otlp", "nonsense", "--", "touch", "ran"][..],
        &["mcp", "--otlp", "ftp://127.0.0.1:1"],
        &["guard", "status", "--otlp", "127.0.0.1:4318"],
        &["guard", "explain", "ls", "--otlp", "nonsense"],
        &["status", "--otlp", "nonsense"],
    ] {
        let refused = tos(&root, words, &[]);
        assert_eq!(
            refused.status.code(),
            Some(2),
            "{words:?}: {}",
            said(&refused)
        );
        assert!(
            said(&refused).contains("is no address of a collector"),
            "{words:?}"
        );
    }
    let set = ["--set", "telemetry.otlp=nonsense"];
    let words = [&["exec"][..], &set, &["--", "touch", "ran"]].concat();
    let refused = tos(&root, &words, &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(!root.join("ran").exists());
}

#[test]
fn one_command_is_a_span_and_a_collector_that_is_away_is_a_warning() {
    let (_folder, root) = sample();
    let collector = Collector::start();
    let off = ["--set", "sandbox.level=off"];
    let exec = |url: &str| {
        let words = [
            &["exec", "--otlp", url][..],
            &off,
            &["--", "sh", "-c", "exit 3"],
        ]
        .concat();
        tos(&root, &words, &[])
    };
    let ran = exec(&collector.url());
    assert_eq!(ran.status.code(), Some(3), "{}", said(&ran));
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "exec"), "{spans:?}");
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let away = format!("http://{free}");
    let ran = exec(&away);
    assert_eq!(ran.status.code(), Some(3), "{}", said(&ran));
    let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(
        stderr.matches("telemetry was not delivered to").count(),
        1,
        "{stderr}"
    );
    let words = [&["mcp", "--otlp", &away][..], &off].concat();
    let served = tos(&root, &words, &[]);
    let stderr = String::from_utf8_lossy(&served.stderr).into_owned();
    assert!(
        stderr.contains("telemetry was not delivered to"),
        "{stderr}"
    );
    let status = tos(&root, &["guard", "status", "--otlp", &away], &[]);
    assert!(
        said(&status).contains("telemetry is not delivered"),
        "{}",
        said(&status)
    );
}
