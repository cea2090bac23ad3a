//! `run`, `resume`, `retry`: everything that makes tasks run.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{
    PlanCliError, PlanCommands, agents,
    args::{ConcurrencyArgs, ResumeArgs, RetryArgs, RunArgs},
    doubt, edited, enforce,
    enforce::EnforcedPolicy,
    event_lines, exit, floor, telling, watch,
};
use crate::{
    domain::plan::{
        Plan, PlanTask, TaskIndex,
        event::{RunCreated, VERSION},
        graph::PlanGraph,
        run_id,
        state::{RunState, TaskStatus},
        task::PolicyMode,
    },
    interfaces::{
        cli::{
            cluster_args::ClusterArgs, commands::plan::restrict::restricted, exit::CliExit,
            telemetry::PlanExporter,
        },
        report::{Printer, plan as report},
    },
    ports::{
        plan_store::{Error, RunDir},
        plan_work::PlanClusterClient,
    },
    services::{plan, plan::PlanRunRequest},
};

/// How many tasks are handed out at a time where neither the plan nor the command line says it.
const ELSEWHERE: u32 = 64;

/// Runs a plan.
pub(super) fn run(args: &RunArgs, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let home = context.home(args.home.home.as_deref())?;
    let params: BTreeMap<String, String> = args.params.params.iter().cloned().collect();
    let mut plan = context.plan_store.load(&args.plan, &params)?;
    if args.enforce {
        plan.policy = PolicyMode::Enforce;
    }
    if !args.only.is_empty() {
        plan = restricted(plan, &args.only)?;
    }
    if args.dry_run {
        // It may come to be before the plan runs.
        let workdir = context.plan_store.workdir(&args.workdir);
        floor::hold(context, &plan, workdir.as_ref().unwrap_or(&args.workdir))?;
        doubt(context, &plan);
        return dry_run(&plan, context);
    }
    if plan.guarded.is_some() && args.cluster.url.is_some() {
        return Err(PlanCliError::Usage(
            "`--nats` hands out commands, and this plan has tasks for agents; `tos serve --nats URL` hands those out".to_owned(),
        ));
    }
    if let Some(list) = plan.guarded {
        return agents::run(args, *list, context);
    }
    let workdir = context.plan_store.workdir(&args.workdir)?;
    // What was read from standard input cannot be read again by a second process.
    if watch::can_watch(context) && args.plan.as_os_str() != "-" {
        return watched(context, &home, run_words(args));
    }
    floor::hold(context, &plan, &workdir)?;
    doubt(context, &plan);
    let making = Making {
        enforced: enforce::prepare(context, &plan, &home, &workdir, &plan.sources)?,
        cluster: connected(context, &plan, &args.cluster)?,
    };
    let workdir = workdir.to_str().ok_or_else(|| {
        PlanCliError::Usage("the workdir has a name that is not UTF-8".to_owned())
    })?;
    let now = context.clock.now();
    let mut created = RunCreated {
        version: VERSION,
        run_id: String::new(),
        at: now.timestamp_millis(),
        offset_minutes: now.offset().local_minus_utc() / 60,
        goal: plan.goal.clone(),
        workdir: workdir.to_owned(),
        plan: args.plan.display().to_string(),
        tasks: plan.tasks.iter().map(|task| task.id.to_string()).collect(),
        handlers: plan.handlers,
        sources: plan
            .sources
            .iter()
            .filter_map(|path| context.plan_store.source(path))
            .collect(),
        params,
        only: args.only.clone(),
    };
    let mut run = loop {
        created.run_id = run_id::create(now, context.clock.random());
        match context.plan_store.create(&home, &plan, created.clone()) {
            Err(Error::Disk { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            other => break other?,
        }
    };
    let mut state = RunState::new(created);
    let passage = passage(&args.pace, &args.cluster, &plan);
    finish(context, &plan, run.as_mut(), &mut state, passage, making)
}

fn dry_run(plan: &Plan, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let order = PlanGraph::of(plan).topological_order();
    if context.printer.is_json() {
        let ids: Vec<&str> = order
            .iter()
            .filter_map(|index| plan.task(*index))
            .map(|task| &*task.id)
            .collect();
        context
            .printer
            .document(&serde_json::json!({ "order": ids }));
        return Ok(CliExit::Success);
    }
    let mut rows = vec![["#".to_owned(), "task_id".to_owned()]];
    for (number, index) in (1..).zip(order) {
        let id = plan.task(index).map_or("", |task| &*task.id);
        rows.push([format!("{number}"), id.to_owned()]);
    }
    super::table::print(&mut io::stdout().lock(), &rows)?;
    Ok(CliExit::Success)
}

fn passage(pace: &ConcurrencyArgs, cluster: &ClusterArgs, plan: &Plan) -> PlanRunRequest {
    // What is not bounded by this machine is bounded by the slots of the others.
    let usual = if cluster.url.is_some() { ELSEWHERE } else { 4 };
    PlanRunRequest {
        max_parallel: pace.max_parallel.or(plan.max_parallel).unwrap_or(usual),
        fail_fast: pace.fail_fast,
        again: Vec::new(),
        sources: Vec::new(),
        denied: BTreeMap::new(),
        confinement: None,
        pid: std::process::id(),
    }
}

/// Goes on with a run.
pub(super) fn resume(
    args: &ResumeArgs,
    context: PlanCommands<'_>,
) -> Result<CliExit, PlanCliError> {
    let began = context.clock.now().timestamp_millis();
    let home = context.home(args.name.home.home.as_deref())?;
    if watch::can_watch(context) {
        let mut words = vec!["resume".to_owned(), args.name.run.clone()];
        words.extend(args.failed_only.then(|| "--failed-only".to_owned()));
        words.extend(args.edited.then(|| "--edited".to_owned()));
        words.extend(option("--workdir", args.workdir.as_deref()));
        words.extend(pace_words(&args.pace));
        words.extend(cluster_words(&args.cluster));
        return watched(context, &home, words);
    }
    let mut run = context.plan_store.open(&home, &args.name.run)?;
    let workdir = args
        .workdir
        .as_deref()
        .map(|path| context.plan_store.workdir(path))
        .transpose()?;
    let (mut plan, mut state) = reopen(run.as_mut(), began)?;
    if let Some(workdir) = workdir {
        state.created.workdir = workdir.display().to_string();
    }
    let mut passage = passage(&args.pace, &args.cluster, &plan);
    passage.again = chosen(&plan, &state, args.failed_only);
    match edited::changed_sources(context, &state) {
        Some(now) if args.edited => {
            let (fresh, changed) = edited::load_edited_plan(context, run.as_mut(), &state, &plan)?;
            plan = fresh;
            passage.again.extend(changed);
            passage.again.sort_unstable();
            passage.again.dedup();
            passage.sources = now;
        }
        Some(now) => edited::announce(context, run.as_ref(), &state, &now),
        None => {}
    }
    let making = Making {
        enforced: again(context, &plan, &home, &state)?,
        cluster: connected(context, &plan, &args.cluster)?,
    };
    finish(context, &plan, run.as_mut(), &mut state, passage, making)
}

/// Locks a run, ends what a dead runner left, and reads what is known.
fn reopen(run: &mut dyn RunDir, began: i64) -> Result<(Plan, RunState), PlanCliError> {
    if run.never_began() {
        let run = run.id().to_owned();
        return Err(Error::NeverBegan { run }.into());
    }
    run.lock()?;
    run.end_orphans();
    run.clear_cancel(began);
    let plan = run.plan()?;
    let state = run.state()?;
    let ids = plan.tasks.iter().map(|task| &*task.id);
    if !ids.eq(state.created.tasks.iter().map(String::as_str)) {
        let why = "its plan and its log have different tasks".to_owned();
        return Err(Error::Damaged {
            run: run.id().to_owned(),
            why,
        }
        .into());
    }
    Ok((plan, state))
}

/// Returns the tasks that are over and run again all the same.
fn chosen(plan: &Plan, state: &RunState, failed_only: bool) -> Vec<TaskIndex> {
    let over = |wanted: &dyn Fn(TaskStatus) -> bool| -> Vec<TaskIndex> {
        let entries = state
            .entries()
            .filter(|(_, _, task)| task.status.is_over() && wanted(task.status));
        entries.map(|(index, _, _)| index).collect()
    };
    let unfinished = over(&|status| status != TaskStatus::Success);
    if !failed_only {
        return unfinished;
    }
    let failed: Vec<TaskIndex> = state
        .entries()
        .filter(|(_, _, task)| {
            matches!(
                task.status,
                TaskStatus::Failed | TaskStatus::Running | TaskStatus::Ready
            )
        })
        .map(|(index, _, _)| index)
        .collect();
    let behind: BTreeSet<TaskIndex> = PlanGraph::of(plan)
        .transitive_dependents(&failed)
        .into_iter()
        .collect();
    unfinished
        .into_iter()
        .filter(|task| behind.contains(task))
        .collect()
}

/// Runs one task again.
pub(super) fn retry(args: &RetryArgs, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let began = context.clock.now().timestamp_millis();
    let home = context.home(args.name.home.home.as_deref())?;
    if watch::can_watch(context) {
        let mut words = vec!["retry".to_owned(), args.name.run.clone()];
        words.extend(["--task".to_owned(), args.task.clone()]);
        words.extend(args.downstream.then(|| "--downstream".to_owned()));
        words.extend(pace_words(&args.pace));
        words.extend(cluster_words(&args.cluster));
        return watched(context, &home, words);
    }
    let mut run = context.plan_store.open(&home, &args.name.run)?;
    let (plan, mut state) = reopen(run.as_mut(), began)?;
    let tasks = super::named(&state.created.tasks, &args.task)?;
    if let Some(now) = edited::changed_sources(context, &state) {
        edited::announce(context, run.as_ref(), &state, &now);
    }
    let mut passage = passage(&args.pace, &args.cluster, &plan);
    passage.again = if args.downstream {
        PlanGraph::of(&plan).transitive_dependents(&tasks)
    } else {
        tasks
    };
    let making = Making {
        enforced: again(context, &plan, &home, &state)?,
        cluster: connected(context, &plan, &args.cluster)?,
    };
    finish(context, &plan, run.as_mut(), &mut state, passage, making)
}

/// Builds the guard of a run that exists. Its plan is read from the copy; the plan itself is looked for where it was.
fn again(
    context: PlanCommands<'_>,
    plan: &Plan,
    home: &Path,
    state: &RunState,
) -> Result<EnforcedPolicy, PlanCliError> {
    let workdir = Path::new(&state.created.workdir);
    let named = Path::new(&state.created.plan);
    let sources = [named.to_owned(), workdir.join(named)];
    floor::hold(context, plan, workdir)?;
    enforce::prepare(context, plan, home, workdir, &sources)
}

fn option(name: &str, value: Option<&Path>) -> Vec<String> {
    value
        .map(|value| vec![name.to_owned(), value.display().to_string()])
        .unwrap_or_default()
}

fn cluster_words(cluster: &ClusterArgs) -> impl Iterator<Item = String> {
    let options = cluster.options().into_iter();
    options.flat_map(|(name, value)| [name.to_owned(), value])
}

fn pace_words(pace: &ConcurrencyArgs) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(count) = pace.max_parallel {
        words.extend(["--max-parallel".to_owned(), count.to_string()]);
    }
    words.extend(pace.fail_fast.then(|| "--fail-fast".to_owned()));
    words
}

fn run_words(args: &RunArgs) -> Vec<String> {
    let mut words = vec!["run".to_owned(), args.plan.display().to_string()];
    words.extend(option("--workdir", Some(&args.workdir)));
    words.extend(pace_words(&args.pace));
    for (name, value) in &args.params.params {
        words.extend(["--param".to_owned(), format!("{name}={value}")]);
    }
    words.extend(cluster_words(&args.cluster));
    words.extend(args.enforce.then(|| "--enforce".to_owned()));
    for id in &args.only {
        words.extend(["--only".to_owned(), id.clone()]);
    }
    words
}

/// Lets another process do the work, and shows it.
fn watched(
    context: PlanCommands<'_>,
    home: &Path,
    words: Vec<String>,
) -> Result<CliExit, PlanCliError> {
    let mut all = vec!["plan".to_owned()];
    all.extend(words);
    all.push("-q".to_owned());
    all.extend(option("--runs-dir", Some(home)));
    all.extend(option("--root", context.global.root.as_deref()));
    all.extend(option("--config", context.global.config.as_deref()));
    all.extend(option(
        "--otlp",
        context.global.otlp.as_deref().map(Path::new),
    ));
    for pair in &context.global.set {
        all.extend(["--set".to_owned(), pair.clone()]);
    }
    let tos = context.services.self_process();
    let (runner, id) = watch::spawn_runner(tos.as_ref(), &all)?;
    let mut run = context.plan_store.open(home, &id)?;
    let status = {
        let terminal = context.services.terminal();
        let mut terminal = terminal
            .ok_or_else(|| PlanCliError::Usage("there is no terminal to draw on".to_owned()))?;
        watch::watch(
            context,
            run.as_mut(),
            terminal.as_mut(),
            Some(runner.as_ref()),
        )?
    };
    context.printer.line(&format!("run_id: {id}"));
    let Some(status) = status else {
        context.printer.line(&format!(
            "it goes on; `tos plan status {id} --watch` shows it again"
        ));
        return Ok(CliExit::Success);
    };
    // The report is written after the last event; its path is among the last words of the runner.
    let (_, last_words) = runner
        .wait(Duration::from_secs(60))
        .map_err(PlanCliError::Usage)?;
    event_lines::print_summary(&run.plan()?, &run.state()?, run.as_ref());
    Printer::raw(&last_words);
    Ok(exit(status))
}

/// Connects to the cluster whose workers make the tasks, where that is wanted.
fn connected(
    context: PlanCommands<'_>,
    plan: &Plan,
    cluster: &ClusterArgs,
) -> Result<Option<Arc<dyn PlanClusterClient>>, PlanCliError> {
    if cluster.url.is_none() {
        let needs = |task: &PlanTask| {
            task.extra
                .as_ref()
                .is_some_and(|extra| !extra.needs_labels.is_empty())
        };
        if plan.tasks.iter().any(needs) {
            context.printer.alert(
                "warning: `needs_labels` says nothing here; it counts where workers make the tasks (`--nats`)",
            );
        }
        return Ok(None);
    }
    let member = context
        .services
        .plan_cluster(context.global, cluster, "tos plan run");
    let member = member.map_err(|error| PlanCliError::Usage(error.to_string()))?;
    let slots = member.plan_slots();
    let slots = slots.map_err(|error| PlanCliError::Usage(error.0))?;
    if slots == 0 {
        context.printer.alert(
            "warning: no worker makes tasks of plans now; they wait for one: `tos worker --nats URL --plan-slots 4`",
        );
    }
    Ok(Some(member))
}

/// How the tasks of a run are made.
struct Making {
    enforced: EnforcedPolicy,
    /// The cluster whose workers make them; `None` = they are made here.
    cluster: Option<Arc<dyn PlanClusterClient>>,
}

fn finish(
    context: PlanCommands<'_>,
    plan: &Plan,
    run: &mut dyn RunDir,
    state: &mut RunState,
    passage: PlanRunRequest,
    making: Making,
) -> Result<CliExit, PlanCliError> {
    let is_json = context.printer.is_json();
    let tellers = telling::open_notifiers(context)?;
    let telemetry = context.services.telemetry(context.global);
    let telemetry = telemetry.map_err(|error| PlanCliError::Usage(error.to_string()))?;
    let passage = &PlanRunRequest {
        denied: making.enforced.denied,
        confinement: making.enforced.confinement,
        ..passage
    };
    if !is_json {
        context.printer.line(&format!("run_id: {}", run.id()));
    }
    let workdir = Path::new(&state.created.workdir);
    let remote = making
        .cluster
        .map(|member| member.plan_tasks(run.id(), workdir));
    let remote = remote.transpose();
    let remote = remote.map_err(|error| PlanCliError::Usage(error.0))?;
    let by_workers = remote.is_some();
    let mut host = run.host(plan, state, making.enforced.guard, remote)?;
    let mut watcher = event_lines::EventPrinter::new(context.printer, context.is_quiet, by_workers);
    let mut watcher = PlanExporter::new(telemetry, run.id(), plan, &mut watcher);
    let status = plan::run_to_completion(plan, run, host.as_mut(), &mut watcher, state, passage)?;
    drop(host);
    telling::notify_run_end(context, &tellers, state, run.id());
    let report = report::markdown(plan, state, &*run);
    let written = run.write_report("final_report.md", &report);
    run.unlock();
    let path = match &written {
        Ok(path) => path.display().to_string(),
        Err(error) => {
            context.printer.alert(&format!(
                "warning: the report could not be written: {error}"
            ));
            String::new()
        }
    };
    if is_json {
        let result = serde_json::json!({"event": "result", "run_id": run.id(), "state": status.name(), "report": path});
        Printer::raw(&format!("{result}\n"));
    } else {
        if !context.is_quiet {
            event_lines::print_summary(plan, state, &*run);
        }
        context.printer.line(&format!("state: {}", status.name()));
        context.printer.line(&format!("report: {path}"));
    }
    Ok(exit(status))
}
