//! Looks at everything a night needs, in a few seconds; what it means is decided in [`crate::domain::night::health`].

use std::time::Duration;

use crate::{
    domain::{
        command::{Command, Kind},
        guarded::{Agent, AgentKind, TaskList, said},
        ledger::Record,
        night::health::{AgentSeen, Facts, Moment},
        process::{End, Exit},
        quota,
    },
    ports::{
        hands::Confined,
        notifier::Note,
        runner::Order,
        worktrees::{self, Place},
    },
    services::guarded::Tools,
};

/// How long an agent may take over a trivial question.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at everything. `run` names the work tree in which agents are asked; people get a note that says what it is.
pub async fn look(
    list: &TaskList,
    tools: &Tools,
    records: &[Record],
    confined: &Confined,
    run: &str,
) -> Facts {
    let mut agents = Vec::new();
    // Old work trees go first: one of them may stand where an agent is asked.
    let worktrees = tools.worktrees.clean().map_err(|error| error.to_string());
    for agent in list.agents() {
        agents.push(AgentSeen {
            program: agent.program().to_owned(),
            version: tools.machine.version(agent.program()),
            needs_version: agent.kind != AgentKind::Command,
            reply: ask(agent, list, tools, run).await,
        });
    }
    let boot = tools.machine.boot();
    Facts {
        agents,
        free: tools.machine.free_bytes(),
        git: tools.machine.git(),
        backend: confined.backend.clone(),
        capabilities: confined.capabilities.clone(),
        told: told(tools, list, run).await,
        now: Moment {
            at: tools.clock.now(),
            boottime_ms: boot.ms,
            boot_id: boot.id,
        },
        last: records.last().map(|record| Moment {
            at: record.stamp.at,
            boottime_ms: record.stamp.boottime_ms,
            boot_id: record.stamp.boot_id.clone(),
        }),
        worktrees,
        guard: tools.machine.sleep_guard(),
    }
}

async fn told(tools: &Tools, list: &TaskList, run: &str) -> Vec<(String, Result<(), String>)> {
    let note = Note {
        event: "health".to_owned(),
        title: format!("{}: can you be reached?", list.id),
        text: "A check before unattended work. Nothing has to be done.".to_owned(),
        run: run.to_owned(),
        ledger: String::new(),
    };
    let mut told = Vec::new();
    for notifier in &tools.notifiers {
        told.push((notifier.name().to_owned(), notifier.tell(&note).await));
    }
    told
}

/// Asks an agent a trivial question, where and how it will be asked for work.
async fn ask(agent: &Agent, list: &TaskList, tools: &Tools, run: &str) -> Result<String, String> {
    let plain = |error: worktrees::Error| error.to_string();
    let head = tools.worktrees.head().map_err(plain)?;
    let place = tools.worktrees.make(run, "health", &head).map_err(plain)?;
    let answer = asked(agent, list, tools, &place).await;
    tools.hands.strip(&place.room);
    // Whatever it did there was not asked for.
    tools.worktrees.remove(&place).map_err(plain)?;
    answer
}

async fn asked(
    agent: &Agent,
    list: &TaskList,
    tools: &Tools,
    place: &Place,
) -> Result<String, String> {
    let (home, _) = tools.hands.furnish(&place.room, agent)?;
    let runner = tools.hands.for_agent(&place.room, agent, list.sandbox);
    let token = format!("{}1", marker(tools));
    let end = runner.run(&order(agent, place, home, token)).await;
    let end = end.map_err(|failure| failure.message)?;
    answer(agent, &end, tools)
}

/// Returns what marks the processes of a check of this root, so that those a crash left can be found.
pub(crate) fn marker(tools: &Tools) -> String {
    format!("health:{}/", tools.ledger.place())
}

fn order(agent: &Agent, place: &Place, home: String, token: String) -> Order {
    let environment = [
        ("HOME", home),
        ("TMPDIR", "/tmp".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("TOS_TASK", "health".to_owned()),
    ];
    Order {
        command: Command {
            kind: Kind::Exec,
            code: String::new(),
            argv: agent.hello(),
        },
        directory: place.top.clone(),
        deadline: PATIENCE,
        idle_deadline: None,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        output_directory: place.room.join("log"),
        index: 1,
        token,
    }
}

fn answer(agent: &Agent, end: &End, tools: &Tools) -> Result<String, String> {
    // A program of somebody's own that stands in for the agent speaks plainly.
    let kind = if agent.check.is_empty() {
        agent.kind
    } else {
        AgentKind::Command
    };
    let said = said(kind, &end.stdout.text());
    match &end.exit {
        Exit::Code { code: 0 } if !said.is_error && !said.reply.is_empty() => return Ok(said.reply),
        Exit::Code { code: 0 } if said.reply.is_empty() => {
            return Err("it ended well and said nothing".to_owned());
        }
        Exit::TimedOut { .. } | Exit::Idle { .. } => {
            return Err(format!("no answer after {} s", PATIENCE.as_secs()));
        }
        Exit::Code { .. } | Exit::Signal { .. } | Exit::DiskTaken { .. } | Exit::Cancelled => {}
    }
    let streams = [end.stderr.text(), end.stdout.text()];
    let now = tools.clock.now();
    if let Some(limit) = streams.iter().find_map(|text| quota::used_up(text, now)) {
        let when = limit.seconds.map_or(String::new(), |seconds| {
            format!("; it is renewed in {} min", seconds.div_ceil(60))
        });
        return Err(format!("its quota is used up{when}"));
    }
    let words = streams.iter().find_map(|text| text.trim().lines().last());
    Err(words.unwrap_or("it failed without a word").to_owned())
}
