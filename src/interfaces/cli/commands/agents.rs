//! `tos agents`: which coding agents are installed, logged in, and able to work behind the wall.

use clap::{Args, builder::PossibleValuesParser};
use serde_json::{Value, json};

use crate::{
    domain::{
        agent::{Agent, AgentKind},
        night::health::AgentHealth,
    },
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        services,
        task_services::InstalledAgent,
    },
    services::night,
};

/// Options of `tos agents`.
#[derive(Debug, Args)]
pub struct AgentsArgs {
    /// The agents to look at; all that tos knows if absent
    #[arg(value_name = "AGENT", value_parser = PossibleValuesParser::new(AgentKind::PROGRAMS.map(AgentKind::as_str)))]
    agents: Vec<String>,
    /// Ask each installed agent to run a command and edit a file, behind the wall it works behind; this costs a question
    #[arg(long)]
    ask: bool,
}

/// Shows a table. Ends with 1 where an agent that was named, or asked, could not work, and with 4 where a person ended the asking.
pub fn main(
    args: &AgentsArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let wanted = |kind: &AgentKind| {
        args.agents.is_empty() || args.agents.iter().any(|name| name == kind.as_str())
    };
    let kinds: Vec<AgentKind> = AgentKind::PROGRAMS.into_iter().filter(wanted).collect();
    let found: Vec<InstalledAgent> = kinds
        .iter()
        .map(|kind| services.installed_agent(*kind))
        .collect();
    let installed = kinds.iter().zip(&found);
    let installed = installed.filter(|(_, found)| found.program.is_ok());
    let installed: Vec<AgentKind> = installed.map(|(kind, _)| *kind).collect();
    let asked = if args.ask && !installed.is_empty() {
        let Some(asked) = ask(&installed, global, services, printer)? else {
            printer.alert("ended before every agent was asked");
            return Ok(CliExit::Cancelled);
        };
        asked
    } else {
        Vec::new()
    };
    let mut asked = asked.into_iter();
    let rows: Vec<Row> = kinds
        .into_iter()
        .zip(found)
        .map(|(kind, found)| Row {
            kind,
            asked: found.program.is_ok().then(|| asked.next()).flatten(),
            found,
        })
        .collect();
    for row in &rows {
        printer.line(&row.text());
    }
    printer.document(&json!({ "agents": rows.iter().map(Row::json).collect::<Vec<_>>() }));
    // Who asks for all of them wants a list, not a verdict on those that were never installed.
    let counts = |row: &&Row| !args.agents.is_empty() || row.found.program.is_ok() && args.ask;
    let good = rows.iter().filter(counts).all(Row::works);
    Ok(if good {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}

/// Asks agents, each behind the wall it would work behind; `None` = a person did not want to wait.
fn ask(
    kinds: &[AgentKind],
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<Option<Vec<AgentHealth>>, CliError> {
    let task_services = services.agent_check_services(global)?;
    let (tools, run) = (&task_services.tools, &task_services.run);
    let place = &task_services.task_folder;
    services::block_on(services, move |mut stop| {
        Box::pin(async move {
            let mut asked = Vec::new();
            for kind in kinds {
                let seconds = night::health::PATIENCE.as_secs();
                let words = format!("asking {}, up to {seconds} s …", kind.as_str());
                if global.json {
                    printer.note(&words);
                } else {
                    printer.progress(&words);
                }
                let agent = Agent::of_kind(*kind);
                let looked = tokio::select! {
                    looked = night::health::ask_agent(&agent, tools, run, place) => looked,
                    // Dropping the look ends what it started.
                    Ok(()) = stop.changed() => {
                        night::health::clean_up_after_asking(tools);
                        return None;
                    }
                };
                asked.push(looked);
            }
            Some(asked)
        })
    })
}

/// One agent.
struct Row {
    kind: AgentKind,
    found: InstalledAgent,
    asked: Option<AgentHealth>,
}

impl Row {
    /// Returns what stands in the way of its work, with the remedy.
    fn trouble(&self) -> Option<String> {
        if let Err(why) = &self.found.program {
            return Some(format!("{why}: {}", self.kind.install_remedy()));
        }
        if self.found.login.is_empty() {
            return Some(format!("no login: {}", self.kind.login_remedy()));
        }
        match self.asked.as_ref().and_then(|seen| seen.reply.as_ref()) {
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(_)) | None => None,
        }
    }

    fn works(&self) -> bool {
        self.trouble().is_none()
    }

    fn text(&self) -> String {
        let name = format!("{:<10}", self.kind.as_str());
        let place = match &self.found.program {
            Ok(path) => format!("{}  {}", self.found.version, path.display()),
            Err(_) => String::new(),
        };
        let login = self.found.login.join(", ");
        let state = match (self.trouble(), &self.asked) {
            (Some(why), _) => why,
            (None, Some(_)) => "works behind the wall".to_owned(),
            (None, None) => "installed and logged in; `tos agents --ask` tries it".to_owned(),
        };
        let mut lines = vec![format!("{name}{state}")];
        lines.extend((!place.is_empty()).then(|| format!("{:10}{place}", "")));
        lines.extend((!login.is_empty()).then(|| format!("{:10}login: {login}", "")));
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let reply = self.asked.as_ref().and_then(|seen| seen.reply.as_ref());
        json!({
            "kind": self.kind.as_str(),
            "program": self.found.program.as_ref().ok(),
            "version": self.found.program.is_ok().then_some(&self.found.version),
            "login": self.found.login,
            "healthy": reply.map(Result::is_ok),
            "trouble": self.trouble(),
        })
    }
}
