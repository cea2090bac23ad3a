//! A plan by an agent: it looks at the branch in a work tree of its own, behind the wall that tasks have, and answers.
//!
//! Nothing is taken from that work tree; one that was changed is no plan. The agent's thread may block.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{oneshot, watch},
    time::sleep,
};

use super::{
    ServicePorts,
    brain::{ONE_CALL, Payer},
};
use crate::{
    domain::{
        agent::{
            Agent, AgentEnd, AgentKind, AgentOutput, SilenceCause, acp::AcpSessionConfig, classify,
        },
        board::{
            PlanConstraints, PlanReply, PlanningFacts, Spend, parse_plan_reply, planning_prompt,
        },
        command::Command,
        model::TokenUsage,
        policy::PolicyContext,
        process::CommandResult,
    },
    ports::{
        runner::{CommandRequest, CommandRunner, CommandStreams, StopSignal},
        worktrees::Worktree,
    },
    services::tasks::{AcpJudge, AcpRunner, AgentListener},
};

/// Who plans, and on what.
pub(super) struct PlanAgentRequest {
    pub(super) agent: Agent,
    pub(super) deadline: Duration,
    pub(super) asks: u32,
    /// What its work tree is called.
    pub(super) name: String,
    /// The commit it looks at.
    pub(super) base: String,
    pub(super) payer: Payer,
}

/// Asks the agent until an answer counts.
pub(super) async fn ask_agent(
    context: Arc<ServicePorts>,
    order: PlanAgentRequest,
    facts: PlanningFacts,
    terms: PlanConstraints,
    stop: watch::Receiver<u8>,
) -> Result<PlanReply, String> {
    let (sender, receiver) = oneshot::channel();
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let read = match runtime {
            Ok(runtime) => runtime.block_on(settle(&context, &order, &facts, &terms, &stop)),
            Err(error) => Err(format!("a runtime could not start: {error}")),
        };
        drop(sender.send(read));
    };
    std::thread::Builder::new()
        .name("planner".to_owned())
        .spawn(body)
        .map_err(|error| format!("a thread could not start: {error}"))?;
    receiver
        .await
        .unwrap_or_else(|_| Err("the planner's thread panicked".to_owned()))
}

async fn settle(
    context: &ServicePorts,
    order: &PlanAgentRequest,
    facts: &PlanningFacts,
    terms: &PlanConstraints,
    stop: &watch::Receiver<u8>,
) -> Result<PlanReply, String> {
    let mut refused: Option<(String, Vec<String>)> = None;
    for call in 1..=order.asks.max(1) {
        let last = refused
            .as_ref()
            .map(|(text, faults)| (text.as_str(), faults.as_slice()));
        let prompt = planning_prompt(facts, terms, last);
        let prompt = context.brain.redactor.clean(&prompt);
        order.payer.pay(ONE_CALL).await?;
        let answer = once(context, order, &prompt, call, stop).await?;
        match parse_plan_reply(&answer, facts, terms) {
            Ok(plan) => return Ok(plan),
            Err(faults) => refused = Some((answer, faults)),
        }
    }
    let faults = refused.map(|(_, faults)| faults.join("; "));
    Err(format!(
        "no answer counted, of {}; the last one: {}",
        order.asks.max(1),
        faults.unwrap_or_default()
    ))
}

async fn once(
    context: &ServicePorts,
    order: &PlanAgentRequest,
    prompt: &str,
    call: u32,
    stop: &watch::Receiver<u8>,
) -> Result<String, String> {
    let worktrees = &context.tools.worktrees;
    let run = format!("{}-{}", context.instance, order.name);
    let place = worktrees
        .make(&run, &format!("ask-{call}"), &order.base)
        .map_err(|error| error.0)?;
    let asked = ask_in(context, order, &place, (prompt, call), stop).await;
    context.tools.runners.remove_credentials(&place.task_folder);
    let seen = worktrees.changes(&place).map_err(|error| error.0);
    worktrees.remove(&place).map_err(|error| error.0)?;
    let answer = asked?;
    if !seen?.changes.is_empty() {
        return Err("the agent changed files although it was asked to plan only".to_owned());
    }
    Ok(answer)
}

async fn ask_in(
    context: &ServicePorts,
    order: &PlanAgentRequest,
    place: &Worktree,
    (prompt, call): (&str, u32),
    stop: &watch::Receiver<u8>,
) -> Result<String, String> {
    let tools = &context.tools;
    let agent = tools.runners.with_login(&order.agent);
    let (home, _) = tools.runners.prepare_home(&place.task_folder, &agent)?;
    let file = tools
        .runners
        .write_prompt(&place.task_folder, &agent.prompt_text(prompt))?;
    let mut proved = context.start.capabilities.iter();
    let walled = proved.any(|word| word == "fs_confined");
    let invocation = agent.invocation(prompt, &file.to_string_lossy(), walled);
    let listener = Arc::new(AgentListener::new(agent.kind, &tools.clock));
    let mut environment = vec![
        ("HOME".to_owned(), home.clone()),
        ("TMPDIR".to_owned(), "/tmp".to_owned()),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
        ("TOS_TASK".to_owned(), order.name.clone()),
    ];
    environment.extend(invocation.environment);
    let state = place
        .task_folder
        .ancestors()
        .nth(3)
        .unwrap_or(&place.task_folder);
    let request = CommandRequest {
        command: Command::exec(invocation.argv),
        directory: place.top.clone(),
        deadline: order.deadline,
        idle_deadline: None,
        grace: Some(Duration::from_secs(context.list.grace_seconds)),
        environment,
        output_directory: state.join("task-logs").join(&order.name),
        index: call,
        token: format!("{}/{}/{call}", context.instance, order.name),
        streams: CommandStreams {
            input_file: invocation.reads_prompt.then_some(file),
            reader: Some(Arc::<AgentListener>::clone(&listener)),
            ..CommandStreams::default()
        },
    };
    let inner = tools
        .runners
        .agent_runner(&place.task_folder, &agent, context.list.sandbox);
    let runner: Arc<dyn CommandRunner> = if agent.kind == AgentKind::Acp {
        conversation(
            context,
            &agent,
            place,
            (prompt, &home, walled),
            &listener,
            inner,
        )
    } else {
        inner
    };
    let end = stay(&*runner, &request, stop.clone()).await?;
    answered(context, order, &agent, &listener, &end).await
}

/// Returns what the agent said, where it ended well; it is paid for in any case.
async fn answered(
    context: &ServicePorts,
    order: &PlanAgentRequest,
    agent: &Agent,
    listener: &AgentListener,
    end: &CommandResult,
) -> Result<String, String> {
    let tools = &context.tools;
    let report = listener.report();
    drop(order.payer.pay(paid(agent, &report)).await);
    let now = tools.clock.now();
    let ended = classify(
        agent,
        &report,
        &end.exit,
        SilenceCause::No,
        &listener.stderr(),
        now,
    );
    if ended != AgentEnd::Done {
        return Err(format!("the agent gave no plan: {}", ended.describe(now)));
    }
    Ok(context.brain.redactor.clean(&report.reply))
}

fn conversation(
    context: &ServicePorts,
    agent: &Agent,
    place: &Worktree,
    (prompt, home, walled): (&str, &str, bool),
    listener: &Arc<AgentListener>,
    inner: Arc<dyn CommandRunner>,
) -> Arc<dyn CommandRunner> {
    let terms = AcpSessionConfig {
        directory: place.top.to_string_lossy().into_owned(),
        prompt: prompt.to_owned(),
        model: agent.model.clone(),
        is_walled: walled,
        resume: None,
    };
    let judge = AcpJudge {
        policy: Arc::clone(&context.tools.policy),
        world: PolicyContext {
            root: place.top.clone(),
            home: Some(home.into()),
            sandbox_proved: walled,
            ..context.tools.world.clone()
        },
    };
    Arc::new(AcpRunner::new(
        (inner, place),
        terms,
        // A plan changes nothing, so nobody has to be asked about it.
        (judge, None),
        Arc::clone(listener),
        Arc::clone(&context.tools.clock),
        Box::new(|_| {}),
    ))
}

/// Stays with the agent to its end; a stop ends it, and once more kills it.
async fn stay(
    runner: &dyn CommandRunner,
    request: &CommandRequest,
    mut stop: watch::Receiver<u8>,
) -> Result<CommandResult, String> {
    let mut running = runner.run(request);
    let mut heard = true;
    loop {
        if *stop.borrow() > 0 && heard {
            runner.interrupt(StopSignal::Terminate);
        }
        tokio::select! {
            ended = &mut running => {
                return ended.map_err(|error| format!("the agent could not be started: {}", error.message));
            }
            changed = stop.changed(), if heard => {
                heard = changed.is_ok();
                if *stop.borrow() > 1 {
                    runner.interrupt(StopSignal::Kill);
                }
            }
            () = sleep(Duration::from_secs(3600)) => {}
        }
    }
}

fn paid(agent: &Agent, report: &AgentOutput) -> Spend {
    Spend {
        calls: 0,
        tokens: report.usage.map_or(0, TokenUsage::total),
        micro_usd: agent.cost(report).unwrap_or_default(),
    }
}
