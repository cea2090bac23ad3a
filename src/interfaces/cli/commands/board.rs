//! `tos board`, `tos why`, `tos open`: the tasks of the service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    board_plans::{self, PlanVerb},
    board_upkeep,
    service_client::{RequestFn, ServiceClient, percent_encode, print_answer},
};
use crate::{
    domain::time::duration_words,
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
    ports::clock::Clock,
};

/// Options of `tos board`.
#[derive(Debug, Args)]
pub struct BoardArgs {
    #[command(subcommand)]
    verb: Verb,
}

/// Options of `tos why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The task
    task: String,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a task
    Add(AddArgs),
    /// Change what is asked for; not while an agent works on it
    Edit(EditArgs),
    /// List the tasks: where each is, and when something happens to it
    List {
        /// Only those with this status
        #[arg(long)]
        status: Option<String>,
    },
    /// Show a task as JSON, with its runs and judgements
    Show {
        /// The task
        task: String,
    },
    /// Show what a run changed, also where it failed
    Diff {
        /// The run
        run: String,
    },
    /// Show what a run and its programs printed, also while it works and after it was cancelled
    Log {
        /// The run
        run: String,
        /// How many lines from the end of each part
        #[arg(long, short = 'n', default_value_t = 200)]
        lines: u32,
    },
    /// Give a task up
    Cancel {
        /// The task
        task: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Bring a task back to the queue at once
    Requeue {
        /// The task
        task: String,
        /// What the next attempt is told
        #[arg(long, default_value = "")]
        note: String,
    },
    #[command(flatten)]
    Plans(PlanVerb),
    /// List the questions that wait for you
    Questions,
    /// Say yes to a question
    Allow {
        /// Its number
        question: String,
    },
    /// Say no to a question
    Deny {
        /// Its number
        question: String,
    },
    /// Start nothing new
    Hold {
        /// Why
        #[arg(default_value = "")]
        reason: String,
    },
    /// Start new things again
    Resume,
    /// Remove all tasks, runs and judgements, after a backup
    Cleanup {
        /// Really
        #[arg(long)]
        yes: bool,
        /// Stop everything first instead of refusing while something runs
        #[arg(long)]
        stop_first: bool,
    },
    /// Fold all events anew and put right what differs; while no service runs
    Rebuild,
    /// Print all events, one JSON document a line
    Export,
    /// Take exported events into a folder without a board
    Import {
        /// The file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// One line that says what is to be done
    title: String,
    /// What the agent is asked to do; the title if absent
    #[arg(long, default_value = "")]
    goal: String,
    /// What it may touch, as a pattern below the root; may be repeated
    #[arg(long = "path", value_name = "PATTERN")]
    paths: Vec<String>,
    /// A task that has to be merged first; may be repeated
    #[arg(long = "after", value_name = "TASK")]
    after: Vec<u64>,
    /// Who does it: worker, tester or docser
    #[arg(long, default_value = "worker")]
    role: String,
    /// The kind of change: fix, feature, test, deps or refactor
    #[arg(long, default_value = "")]
    class: String,
    /// Higher goes first
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    priority: i32,
    /// An agent of config/service.toml
    #[arg(long, default_value = "")]
    agent: String,
    /// A text that makes a second call find the first task
    #[arg(long, default_value = "")]
    key: String,
    /// A file of the repository, or an issue of the configured one, that has to be there before it may start
    #[arg(long, default_value = "")]
    link: String,
    /// A label that the worker has to have that does it, such as gpu or os=linux; may be repeated
    #[arg(long = "requires", value_name = "LABEL")]
    requires: Vec<String>,
    /// The command that tests it, in words
    #[arg(last = true)]
    test: Vec<String>,
}

#[derive(Debug, Args)]
struct EditArgs {
    /// The task
    task: String,
    /// One line that says what is to be done
    #[arg(long)]
    title: Option<String>,
    /// What the agent is asked to do
    #[arg(long)]
    goal: Option<String>,
    /// What it may touch, as a pattern below the root, instead of what it was; may be repeated
    #[arg(long = "path", value_name = "PATTERN")]
    paths: Vec<String>,
    /// A task that has to be merged first, instead of those it had; may be repeated
    #[arg(long = "after", value_name = "TASK")]
    after: Vec<u64>,
    /// A label that the worker has to have that does it, instead of those it had; may be repeated
    #[arg(long = "requires", value_name = "LABEL")]
    requires: Vec<String>,
    /// Any worker may do it
    #[arg(long, conflicts_with = "requires")]
    requires_none: bool,
    /// It has to wait for no other task
    #[arg(long, conflicts_with = "after")]
    after_none: bool,
    /// The kind of change
    #[arg(long)]
    class: Option<String>,
    /// Higher goes first
    #[arg(long, allow_hyphen_values = true)]
    priority: Option<i32>,
    /// An agent of config/service.toml
    #[arg(long)]
    agent: Option<String>,
    /// What has to be there before it may start; an empty one takes it away
    #[arg(long)]
    link: Option<String>,
}

impl EditArgs {
    /// Returns what changes.
    fn changes(&self) -> serde_json::Map<String, Value> {
        let texts = [
            ("title", &self.title),
            ("goal", &self.goal),
            ("class", &self.class),
            ("agent", &self.agent),
            ("link", &self.link),
        ];
        let mut changes = serde_json::Map::new();
        for (name, text) in texts {
            if let Some(text) = text {
                changes.insert(name.to_owned(), json!(text));
            }
        }
        if let Some(priority) = self.priority {
            changes.insert("priority".to_owned(), json!(priority));
        }
        if !self.paths.is_empty() {
            changes.insert("paths".to_owned(), json!(self.paths));
        }
        if !self.requires.is_empty() || self.requires_none {
            changes.insert("requires".to_owned(), json!(self.requires));
        }
        if !self.after.is_empty() || self.after_none {
            changes.insert("dependencies".to_owned(), needs(&self.after));
        }
        changes
    }
}

/// Does what the verb says.
pub fn main(
    args: &BoardArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let ask = |method: &str, path: &str, body: Value| {
        ServiceClient::find(global, services)?.ask(method, path, &body)
    };
    let by = services.env_var("USER").unwrap_or_else(|| "cli".to_owned());
    match &args.verb {
        Verb::Add(add) => {
            let answer = ask("POST", "/tasks", spec(add, &by))?;
            let (id, title) = (&answer["task"]["id"], &answer["task"]["title"]);
            let known = if answer["created"] == false {
                " (it was there already)"
            } else {
                ""
            };
            printer.line(&format!(
                "task-{id}: {}{known}",
                title.as_str().unwrap_or_default()
            ));
            printer.document(&answer);
        }
        Verb::Edit(edit) => change(edit, &ask, printer)?,
        Verb::List { status } => {
            let answer = all_tasks(status.as_deref(), &ask)?;
            tell_hold(&ask("GET", "/system/hold", Value::Null)?, services, printer);
            list(&answer, printer);
        }
        Verb::Show { task } => {
            let answer = ask(
                "GET",
                &format!("/tasks/{}", percent_encode(task)),
                Value::Null,
            )?;
            if !printer.is_json() {
                printer.line(&format!("{answer:#}"));
            }
            printer.document(&answer);
        }
        Verb::Log { run, lines } => log(run, *lines, &ask, printer)?,
        Verb::Diff { run } => diff(run, &ServiceClient::find(global, services)?, printer)?,
        Verb::Cancel { task, reason } => {
            let path = format!("/tasks/{}/cancel", percent_encode(task));
            print_answer(
                &ask("POST", &path, json!({ "note": reason }))?,
                "cancelled",
                printer,
            );
        }
        Verb::Requeue { task, note } => {
            let path = format!("/tasks/{}/requeue", percent_encode(task));
            print_answer(
                &ask("POST", &path, json!({ "note": note }))?,
                "back in the queue",
                printer,
            );
        }
        Verb::Plans(verb) => return board_plans::main(verb, &ask, services, printer),
        Verb::Questions
        | Verb::Allow { .. }
        | Verb::Deny { .. }
        | Verb::Hold { .. }
        | Verb::Resume => decide(&args.verb, &ask, printer)?,
        Verb::Cleanup { yes, stop_first } => {
            return board_upkeep::cleanup(*yes, *stop_first, global, services, printer);
        }
        Verb::Rebuild => return board_upkeep::rebuild(global, services, printer),
        Verb::Export => Printer::raw(&services.export_board(global)?),
        Verb::Import { file } => return board_upkeep::import(file, global, services, printer),
    }
    Ok(CliExit::Success)
}

fn log(run: &str, lines: u32, ask: RequestFn<'_>, printer: &Printer) -> Result<(), CliError> {
    let path = format!("/logs/runs/{}?lines={lines}", percent_encode(run));
    let answer = ask("GET", &path, Value::Null)?;
    for line in answer["log"].as_str().unwrap_or_default().lines() {
        printer.line(line);
    }
    match answer["state"].as_str().unwrap_or_default() {
        "comes_at_the_end" => printer.note(
            "it is made on another machine: what its programs print comes here when they have ended",
        ),
        "absent" => printer.note("it is over, and nothing that its programs printed is here"),
        _ => {}
    }
    printer.document(&answer);
    Ok(())
}

fn diff(run: &str, client: &ServiceClient, printer: &Printer) -> Result<(), CliError> {
    let path = format!("/runs/{}/artifacts/diff/content", percent_encode(run));
    let diff = client.text(&path)?;
    if printer.is_json() {
        printer.document(&json!({ "run": run, "diff": diff }));
    } else {
        Printer::raw(&diff);
    }
    Ok(())
}

fn change(edit: &EditArgs, ask: RequestFn<'_>, printer: &Printer) -> Result<(), CliError> {
    let changes = edit.changes();
    if changes.is_empty() {
        return Err(CliError::usage(
            "nothing changes; name what does, such as `--goal`",
        ));
    }
    let path = format!("/tasks/{}", percent_encode(&edit.task));
    let answer = ask("PATCH", &path, Value::Object(changes))?;
    print_answer(&answer, "changed", printer);
    Ok(())
}

/// What a person decides.
fn decide(verb: &Verb, ask: RequestFn<'_>, printer: &Printer) -> Result<(), CliError> {
    match verb {
        Verb::Questions => {
            let answer = ask("GET", "/approvals?open=true&limit=500", Value::Null)?;
            for one in answer["approvals"].as_array().into_iter().flatten() {
                let question = one["question"].as_str().unwrap_or_default();
                let until = one["until"].as_str();
                let until =
                    until.map_or_else(String::new, |at| format!("; denied by itself at {at}"));
                printer.line(&format!(
                    "{}: {question}  (tos board allow {}, or deny{until})",
                    one["id"], one["id"]
                ));
            }
            printer.document(&answer);
        }
        Verb::Allow { question } | Verb::Deny { question } => {
            let allow = matches!(verb, Verb::Allow { .. });
            let path = format!("/approvals/{}", percent_encode(question));
            let answer = ask("POST", &path, json!({ "allow": allow }))?;
            print_answer(&answer, if allow { "allowed" } else { "denied" }, printer);
        }
        Verb::Hold { reason } => {
            print_answer(
                &ask("POST", "/system/hold", json!({ "reason": reason }))?,
                "nothing new is started",
                printer,
            );
        }
        Verb::Resume => {
            print_answer(
                &ask("POST", "/system/resume", Value::Null)?,
                "new things are started again",
                printer,
            );
        }
        _ => {}
    }
    Ok(())
}

fn spec(add: &AddArgs, by: &str) -> Value {
    json!({
        "title": add.title,
        "goal": add.goal,
        "paths": add.paths,
        "role": add.role,
        "class": add.class,
        "priority": add.priority,
        "agent": add.agent,
        "key": add.key,
        "testCommand": add.test,
        "dependencies": needs(&add.after),
        "link": add.link,
        "requires": add.requires,
        "source": by,
    })
}

fn needs(tasks: &[u64]) -> Value {
    tasks.iter().map(|task| json!({ "task": task })).collect()
}

/// Asks for page after page; the oldest task comes first.
pub(super) fn all_tasks(status: Option<&str>, ask: RequestFn<'_>) -> Result<Value, CliError> {
    let status = status.map(|status| format!("&status={}", percent_encode(status)));
    let status = status.unwrap_or_default();
    let (mut tasks, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/tasks?limit=500{status}{cursor}");
        let page = ask("GET", &path, Value::Null)?;
        tasks.extend(page["tasks"].as_array().cloned().unwrap_or_default());
        let Some(next) = page["nextCursor"].as_str() else {
            tasks.reverse();
            return Ok(json!({ "tasks": tasks }));
        };
        cursor = format!("&cursor={}", percent_encode(next));
    }
}

/// Says that nothing new is started, which no line of a task would.
fn tell_hold(hold: &Value, services: &dyn ServiceFactory, printer: &Printer) {
    if hold["held"] != true {
        return;
    }
    let word = |name: &str| hold[name].as_str().unwrap_or_default();
    let left = left_until(word("until"), &*services.clock());
    let until = left.map_or_else(String::new, |left| format!(", for {left} more"));
    printer.note(&format!(
        "nothing new is started{until}: {} ({}); `tos board resume` starts new things again",
        word("detail"),
        word("by")
    ));
}

/// Returns how long it is until a moment, in words.
fn left_until(at: &str, clock: &dyn Clock) -> Option<String> {
    let at = chrono::DateTime::parse_from_rfc3339(at).ok()?;
    let left = (at - clock.now()).num_milliseconds().max(0);
    Some(duration_words(
        u64::try_from(left).unwrap_or_default().div_ceil(1000),
    ))
}

/// Returns a sentence of `tos why` with who or what changes that, and when.
pub(super) fn why_words(sentence: &Value, clock: &dyn Clock) -> String {
    let word = |name: &str| sentence[name].as_str().unwrap_or_default();
    let at = left_until(word("at"), clock).map(|left| format!(", in {left}"));
    let at = at.unwrap_or_default();
    format!("{} [{}{at}]", word("text"), word("resolver"))
}

fn list(answer: &Value, printer: &Printer) {
    if answer["tasks"].as_array().is_none_or(Vec::is_empty) {
        printer.note("no tasks; `tos board add \"what to do\"` makes one");
    }
    for task in answer["tasks"].as_array().into_iter().flatten() {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut status = word(&task["status"]);
        if let Some(reason) = task["blockReason"].as_str() {
            status = format!("{status} ({reason})");
        }
        if let Some(wait) = task["retry"]["retryInSeconds"].as_u64() {
            status = format!("{status}, in {}", duration_words(wait));
        }
        printer.line(&format!(
            "{:>4}  {status:<28}  {}",
            task["id"].to_string(),
            word(&task["title"])
        ));
    }
    printer.document(answer);
}

/// Explains where a task is and what changes that.
pub fn why_main(
    args: &WhyArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    let answer = client.ask(
        "GET",
        &format!("/tasks/{}", percent_encode(&args.task)),
        &Value::Null,
    )?;
    let task = &answer["task"];
    printer.line(&format!(
        "task-{} is {}",
        task["id"],
        task["status"].as_str().unwrap_or_default()
    ));
    for sentence in answer["why"].as_array().into_iter().flatten() {
        printer.line(&format!("  {}", why_words(sentence, &*services.clock())));
        if let Some(remedy) = sentence["remedy"].as_str().filter(|text| !text.is_empty()) {
            printer.line(&format!("    {remedy}"));
        }
    }
    printer.document(&json!({ "task": task, "why": answer["why"] }));
    Ok(CliExit::Success)
}

/// Options of `tos open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Only print the address
    #[arg(long)]
    print: bool,
}

/// Shows the page of the service, signed in by a code that works once.
pub fn open_main(
    args: &OpenArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    let answer = client.ask("POST", "/sign-in/codes", &Value::Null)?;
    let path = answer["path"].as_str().unwrap_or("/");
    let address = format!("http://{}{path}", client.address());
    if args.print {
        printer.line(&address);
    } else if !services.open_in_browser(&address) {
        printer.line(&address);
        printer.note("open it in a browser within two minutes; it signs one browser in, once");
    }
    printer.document(&json!({ "address": address }));
    Ok(CliExit::Success)
}
