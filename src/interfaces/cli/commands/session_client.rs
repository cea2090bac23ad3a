//! Where a list is carried out: here, or by the service that runs in the same root, which is followed until the end.
//!
//! A list is handed over by a file below the state folder, so that what comes over the network only names a run. Danger:
//! whoever follows may die; the session belongs to the service and goes on.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{board, service_client::ServiceClient, task_screen::TaskScreen};
use crate::{
    config::service as service_config,
    domain::{board::SessionRequest, tasks::TaskList},
    interfaces::cli::{
        common::{CliError, GlobalArgs, Printer, ServiceFactory},
        services,
        task_services::TaskServices,
    },
    ports::clock::Clock,
    services::tasks::{self, ListReport, SessionSettings},
};

/// How often a session is looked at.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a service may be away before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where sessions are laid down for the service, below the state folder.
const REQUESTS: &str = "session-requests";

/// Where a list is carried out.
pub(super) enum SessionHost {
    /// By this command.
    Here,
    /// By a service.
    Service(ServiceClient),
}

impl SessionHost {
    /// Finds the service of the root, if one runs.
    pub(super) fn find(global: &GlobalArgs, services: &dyn ServiceFactory) -> Self {
        at(&services.root(global)).map_or(Self::Here, Self::Service)
    }

    /// Returns the runs that the service carries out.
    pub(super) fn runs_under_way(&self) -> Result<Vec<String>, CliError> {
        let Self::Service(client) = self else {
            return Ok(Vec::new());
        };
        let open = open_sessions(client)?.into_iter();
        Ok(open
            .filter_map(|one| one["run"].as_str().map(str::to_owned))
            .collect())
    }

    /// Refuses what the service carries out already: a list, or a run.
    pub(super) fn require_not_running(&self, what: &str, name: &str) -> Result<(), CliError> {
        let Self::Service(client) = self else {
            return Ok(());
        };
        let open = open_sessions(client)?;
        let Some(same) = open.iter().find(|one| one[what] == name) else {
            return Ok(());
        };
        let (id, run) = (&same["id"], same["run"].as_str().unwrap_or_default());
        Err(CliError::NotDone(format!(
            "the service carries out session-{id} ({run}) of {name} already; `tos night follow {id}` shows it, \
             `tos night cancel {id}` ends it"
        )))
    }
}

/// Returns the service of the root, if it answers.
fn at(root: &Path) -> Option<ServiceClient> {
    let client = ServiceClient::read(&service_config::read_address_file(root)?)?;
    client
        .ask("GET", "/health", &Value::Null)
        .is_ok()
        .then_some(client)
}

fn open_sessions(client: &ServiceClient) -> Result<Vec<Value>, CliError> {
    let all = client.ask("GET", "/sessions", &Value::Null)?;
    let all = all["sessions"].as_array().cloned().unwrap_or_default();
    Ok(all.into_iter().filter(|one| one["open"] == true).collect())
}

/// A list and how it is to be carried out.
pub(super) struct ListRun<'a> {
    /// The list.
    pub(super) list: &'a TaskList,
    /// The terms.
    pub(super) terms: &'a SessionSettings,
    /// `night` or `tasks`.
    pub(super) kind: &'a str,
    /// A person at this terminal says go for each task.
    pub(super) asks: bool,
    /// Do not follow what a service carries out.
    pub(super) detach: bool,
}

/// Carries a list out; `None` = a service does, and nobody follows it.
pub(super) fn run_list(
    work: &ListRun<'_>,
    engine: &SessionHost,
    task_services: &TaskServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<Option<ListReport>, CliError> {
    let screen = TaskScreen {
        ask: task_services.ask,
        printer: printer.clone(),
        asks: work.asks,
    };
    let SessionHost::Service(client) = engine else {
        if work.detach {
            return Err(CliError::usage(
                "--detach needs a service that goes on with it; start one with `tos serve`",
            ));
        }
        let (list, terms) = (work.list, work.terms);
        let (tools, screen) = (&task_services.tools, &screen);
        let ended = services::block_on(services, move |stop| {
            Box::pin(tasks::run(list, tools, terms, screen, stop))
        })?;
        let report = ended.map_err(|error| CliError::NotDone(error.to_string()))?;
        return Ok(Some(report));
    };
    let id = hand_over(work, client, global, services)?;
    printer.note(&format!(
        "session-{id}: {} carries it out; its tasks are on the board",
        client.address()
    ));
    if work.detach {
        printer.line(&format!(
            "session-{id} goes on; `tos night follow` shows it, `tos night cancel` ends it"
        ));
        printer.document(&json!({ "session": id, "run": work.terms.run, "ended_by": Value::Null }));
        return Ok(None);
    }
    follow(id, &screen, global, services).map(Some)
}

/// Lays the session down and lets the service begin it; returns its number.
fn hand_over(
    work: &ListRun<'_>,
    client: &ServiceClient,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<u64, CliError> {
    let terms = work.terms;
    let request = SessionRequest {
        run: terms.run.clone(),
        session: terms.session.clone(),
        kind: work.kind.to_owned(),
        list: work.list.clone(),
        start: terms.start.clone(),
        seconds: terms.seconds,
        checkpoint_every: terms.checkpoint_every,
        asks: work.asks,
        by: services
            .env_var("USER")
            .unwrap_or_else(|| "a person".to_owned()),
    };
    let file = format!("{REQUESTS}/{}.json", terms.run);
    services.write_secret_file(global, &file, &json!(request).to_string())?;
    let begun = client.ask("POST", "/sessions", &json!({ "run": terms.run }));
    // The board has it now, or nobody will.
    services.remove_state_file(global, &file);
    let begun = begun?;
    begun["id"]
        .as_u64()
        .ok_or_else(|| CliError::NotDone("the service named no session".to_owned()))
}

/// Follows a session until its end: its lines, its questions; a request to stop ends it.
pub(super) fn follow(
    id: u64,
    screen: &TaskScreen,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<ListReport, CliError> {
    let follower = Follower {
        id,
        screen,
        root: services.root(global),
        clock: services.clock(),
        offset: 0,
        away: None,
        cancelled: 0,
        waits: String::new(),
        told: String::new(),
    };
    services::block_on(services, move |stop| Box::pin(follower.until_end(stop)))?
}

struct Follower<'a> {
    id: u64,
    screen: &'a TaskScreen,
    root: PathBuf,
    clock: Box<dyn Clock>,
    offset: u64,
    /// Since when the service does not answer, on the clock that only grows.
    away: Option<Duration>,
    cancelled: u8,
    /// What keeps its next task, as it was seen last.
    waits: String,
    /// What of that was told last.
    told: String,
}

impl Follower<'_> {
    async fn until_end(mut self, mut stop: watch::Receiver<u8>) -> Result<ListReport, CliError> {
        loop {
            let asked = *stop.borrow_and_update();
            if let Some(report) = self.step(asked)? {
                return Ok(report);
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                Ok(()) = stop.changed() => {}
            }
        }
    }

    /// Looks once; returns what came of the session when it is over.
    fn step(&mut self, asked: u8) -> Result<Option<ListReport>, CliError> {
        let Some(client) = self.client()? else {
            return Ok(None);
        };
        if asked > self.cancelled {
            self.stop(&client)?;
        }
        let Ok(session) = client.ask("GET", &format!("/sessions/{}", self.id), &Value::Null) else {
            return Ok(None);
        };
        // The state first, the lines after it: what a session said before its end is all there then.
        self.lines(&client);
        if session["open"] == true {
            self.question(&client, &session);
            self.wait(&client, &session);
            return Ok(None);
        }
        if session["status"] == "failed" {
            let detail = session["detail"].as_str().unwrap_or_default();
            return Err(CliError::NotDone(format!("session-{}: {detail}", self.id)));
        }
        let report = session["report"].as_str().unwrap_or_default();
        serde_json::from_str(report).map(Some).map_err(|error| {
            CliError::NotDone(format!(
                "what came of session-{} cannot be read: {error}",
                self.id
            ))
        })
    }

    /// Returns the service; a new one may have taken the place of the one that began.
    fn client(&mut self) -> Result<Option<ServiceClient>, CliError> {
        if let Some(client) = at(&self.root) {
            if self.away.take().is_some() {
                self.screen.printer.note("the service is back");
            }
            return Ok(Some(client));
        }
        if self.away.is_none() {
            self.screen.printer.alert(
                "the service does not answer; the session goes on as soon as `tos serve` runs again",
            );
        }
        let now = self.clock.boottime();
        let since = *self.away.get_or_insert(now);
        if now.saturating_sub(since) > PATIENCE {
            return Err(CliError::NotDone(format!(
                "no service for {} s; session-{} goes on with the next `tos serve`, and `tos night follow` shows it then",
                PATIENCE.as_secs(),
                self.id
            )));
        }
        Ok(None)
    }

    /// The first request to stop ends the session; a second one is not waited for.
    fn stop(&mut self, client: &ServiceClient) -> Result<(), CliError> {
        self.cancelled += 1;
        if self.cancelled > 1 {
            return Err(CliError::NotDone(format!(
                "session-{} is ending; `tos night follow` shows it",
                self.id
            )));
        }
        self.screen
            .printer
            .note("ending the session: the task at work is undone, accepted work stays");
        cancel(client, self.id, "Ctrl-C").map(drop)
    }

    fn lines(&mut self, client: &ServiceClient) {
        loop {
            let path = format!("/logs/sessions/{}?offset={}", self.id, self.offset);
            let Ok(piece) = client.ask("GET", &path, &Value::Null) else {
                return;
            };
            let text = piece["log"].as_str().unwrap_or_default();
            // A line that is being written comes whole the next time.
            let whole = text.rfind('\n').map_or(0, |at| at + 1);
            let name = format!(" session-{} ", self.id);
            for line in text.get(..whole).unwrap_or_default().lines() {
                let told = line.split_once(&name).map_or(line, |(_, told)| told);
                self.screen.printer.note(told);
            }
            self.offset += whole as u64;
            if whole == 0 {
                return;
            }
        }
    }

    /// Tells once what keeps the next task from starting; what is gone at the next look was no wait.
    fn wait(&mut self, client: &ServiceClient, session: &Value) {
        let why = next_task(session).and_then(|id| {
            client
                .ask("GET", &format!("/tasks/{id}"), &Value::Null)
                .ok()
        });
        let sentence = why.as_ref().and_then(waiting_sentence);
        let text = sentence.and_then(|sentence| sentence["text"].as_str());
        let text = text.unwrap_or_default().to_owned();
        let stays = text == self.waits;
        self.waits = text;
        if let Some(sentence) = sentence
            && stays
            && self.told != self.waits
        {
            let words = board::why_words(sentence, &*self.clock);
            let remedy = sentence["remedy"].as_str().filter(|text| !text.is_empty());
            let remedy = remedy.map_or_else(String::new, |text| format!("; {text}"));
            self.screen.printer.note(&format!("waits: {words}{remedy}"));
            self.told.clone_from(&self.waits);
        }
    }

    /// Asks the person at this terminal whether a task may start.
    fn question(&self, client: &ServiceClient, session: &Value) {
        let Some(question) = session["approval"].as_u64().filter(|_| self.screen.asks) else {
            return;
        };
        let tasks = session["tasks"].as_array();
        let next = tasks.and_then(|tasks| tasks.iter().find(|task| task["status"] == "waiting"));
        let words = |name: &str| {
            next.and_then(|task| task[name].as_str())
                .unwrap_or_default()
        };
        let go = self.screen.confirm_start(words("name"), words("goal"));
        let answer = json!({ "allow": go });
        // Somebody may have answered on the page meanwhile.
        if let Err(error) = client.ask("POST", &format!("/approvals/{question}"), &answer) {
            self.screen.printer.alert(&error.to_string());
        }
    }
}

/// Returns the task on the board whose turn it is, unless a person is asked about it.
fn next_task(session: &Value) -> Option<u64> {
    let is_asked = session["approval"].is_u64();
    let mut tasks = session["tasks"].as_array()?.iter();
    let next = tasks.find(|task| task["status"] == "waiting" || task["status"] == "running")?;
    next["taskId"].as_u64().filter(|_| !is_asked)
}

/// Returns why a task does not start, as `tos why` has it; `None` = it works, its turn comes by itself in a moment, or the lines of the
/// session say it.
fn waiting_sentence(answer: &Value) -> Option<&Value> {
    if answer.pointer("/task/status")? != "queued" {
        return None;
    }
    let first = answer["why"].as_array()?.first()?;
    let by_itself = first["resolver"] == "dispatcher" || first["resolver"] == "agent";
    let is_wait = first["at"].is_string() || !by_itself;
    let is_told = first["text"]
        .as_str()
        .is_some_and(|text| text.starts_with("session-"));
    (is_wait && !is_told).then_some(first)
}

/// Ends a session.
pub(super) fn cancel(client: &ServiceClient, id: u64, reason: &str) -> Result<Value, CliError> {
    let path = format!("/sessions/{id}/cancel");
    client.ask("POST", &path, &json!({ "reason": reason, "by": "cli" }))
}

/// Returns the number of the session that is meant: the one that was named, or the one under way.
pub(super) fn resolve_session(
    client: &ServiceClient,
    session: Option<&str>,
) -> Result<u64, CliError> {
    if let Some(text) = session {
        let number = text.strip_prefix("session-").unwrap_or(text);
        return number.parse().map_err(|_| {
            CliError::usage(&format!("\"{text}\" is no session; write session-1 or 1"))
        });
    }
    let open = open_sessions(client)?;
    let ids: Vec<u64> = open.iter().filter_map(|one| one["id"].as_u64()).collect();
    match ids.as_slice() {
        [] => Err(CliError::NotDone(
            "the service carries out no session".to_owned(),
        )),
        [only] => Ok(*only),
        _ => {
            let names = open.iter().map(|one| {
                let word = |name: &str| one[name].as_str().unwrap_or_default();
                format!("session-{} ({})", one["id"], word("list"))
            });
            let names: Vec<String> = names.collect();
            Err(CliError::usage(&format!(
                "the service carries out {}; name the one that is meant",
                names.join(", ")
            )))
        }
    }
}
