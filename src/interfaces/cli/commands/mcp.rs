//! `tos mcp`: the MCP server, over standard input and output or over HTTP on loopback.

use std::{net::SocketAddr, sync::Arc};

use clap::{Args, ValueEnum};

use crate::{
    config::Settings,
    domain::agent::AgentKind,
    interfaces::{
        cli::{
            args::ApprovalMode,
            common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
            guard_services::GuardedProject,
            services,
        },
        mcp,
    },
};

/// The variable that holds the token of the HTTP server.
const TOKEN: &str = "TOS_MCP_TOKEN";
/// A token that is shorter can be guessed.
const SHORTEST: usize = 16;

/// Options of `tos mcp`.
#[derive(Debug, Args)]
pub struct McpArgs {
    /// Serve over HTTP at this address of loopback instead of standard input and output; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// What becomes of commands that need a yes: they are denied, or wait for `tos answer`
    #[arg(long, value_enum, default_value = "deny", value_name = "WHAT")]
    approvals: McpApprovals,
    /// The kind of agent that added tasks are for
    #[arg(long, default_value = "claude", value_name = "KIND")]
    task_agent: String,
}

/// Who decides; standard input belongs to the client, so nobody can be asked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum McpApprovals {
    /// Nobody
    Deny,
    /// `tos answer`
    Wait,
}

/// Serves until the client leaves or somebody stops it.
pub fn main(
    args: &McpArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let settings = services.settings(global)?;
    let kind = AgentKind::ALL
        .iter()
        .find(|(word, kind)| *word == args.task_agent && *kind != AgentKind::Command);
    if kind.is_none() {
        return Err(CliError::Usage(format!(
            "`--task-agent {}` is no kind of agent that tasks can be for; `tos agents` lists them",
            args.task_agent
        )));
    }
    let who = match args.approvals {
        McpApprovals::Deny => ApprovalMode::Deny,
        McpApprovals::Wait => ApprovalMode::Wait,
    };
    let terms = args
        .http
        .map(|address| terms(address, services))
        .transpose()?;
    let commands = services.command_services(&settings, who)?;
    if let Some(notice) = &commands.notice {
        printer.alert(notice);
    }
    let words = child_words(global, &settings);
    let place = GuardedProject {
        root: settings.root.clone(),
        folder: settings.root.clone(),
    };
    let rules = services
        .guard_settings(&place.root)
        .map_err(CliError::Setup)?;
    let guard = (
        rules.policy().map_err(CliError::Setup)?,
        services.guard_context(&place, &rules),
    );
    let waits = args.approvals == McpApprovals::Wait;
    let bench = mcp::McpState::new(
        settings,
        guard,
        commands,
        waits,
        (words, args.task_agent.clone()),
    )?;
    let bench = Arc::new(bench);
    let printer = printer.clone();
    let is_own = services.env_var(TOKEN).is_none();
    let served = services::block_on(services, move |mut stop| {
        Box::pin(async move {
            let Some(terms) = terms else {
                return tokio::select! {
                    served = mcp::serve_stdio(bench) => served,
                    _ = stop.wait_for(|requests| *requests > 0) => Ok(()),
                };
            };
            let token = terms.token.clone();
            let ready = move |address| {
                printer.alert(&format!("listening on http://{address}/mcp"));
                if is_own {
                    printer.alert(&format!("token {token}"));
                }
            };
            let stopped = async move {
                // A stop that nobody can send any more never comes.
                if stop.wait_for(|requests| *requests > 0).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            mcp::serve_http(bench, terms, ready, stopped).await
        })
    })?;
    served.map_err(CliError::NotDone)?;
    Ok(CliExit::Success)
}

/// Returns where to listen, with the token of the environment or a new one.
fn terms(
    address: SocketAddr,
    services: &dyn ServiceFactory,
) -> Result<mcp::McpHttpOptions, CliError> {
    if !address.ip().is_loopback() {
        return Err(CliError::Usage(format!(
            "`--http {address}` is not an address of loopback; other machines must not reach it"
        )));
    }
    let token = match services.env_var(TOKEN) {
        Some(token) if token.len() >= SHORTEST && token.is_ascii() => token,
        Some(_) => {
            return Err(CliError::Usage(format!(
                "{TOKEN} needs at least {SHORTEST} characters of ASCII"
            )));
        }
        None => services
            .fresh_secret()
            .map_err(|error| CliError::NotDone(format!("a token could not be made: {error}")))?,
    };
    Ok(mcp::McpHttpOptions { address, token })
}

/// Returns the options that children get: those of the person, with the root as it was understood.
fn child_words(global: &GlobalArgs, settings: &Settings) -> Vec<String> {
    let mut words = vec!["--root".to_owned(), settings.root.display().to_string()];
    if let Some(config) = &global.config {
        words.extend(["--config".to_owned(), config.display().to_string()]);
    }
    if let Some(otlp) = &global.otlp {
        words.extend(["--otlp".to_owned(), otlp.clone()]);
    }
    for pair in &global.set {
        words.extend(["--set".to_owned(), pair.clone()]);
    }
    words
}
