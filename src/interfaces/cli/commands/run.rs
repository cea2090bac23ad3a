//! `--mode run`, `test` and `cleanrun`.

use crate::{
    config::Settings,
    domain::job::{
        event::RunSettingsRecord,
        outcome::{JobRunOutcome, StepOutcome, shown_reason},
        record::{RecordFiles, RunSummaryFacts, VerifyReport, verify},
        rules::AfterCrash,
        state::JobLoopState,
    },
    interfaces::{
        cli::{
            args::{ApprovalMode, RunMode, RunModeArgs},
            common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
            services,
            telemetry::job_exporter,
        },
        report::job::{live::LiveJobView, plain},
    },
    ports::store::Store,
    services::{
        job::{
            event_bus::EventReporter,
            recovery,
            run::{self, RunReport, RunRequest},
        },
        notify::JobNotifier,
    },
};

/// What is said where a stop has to wait for a command.
const STOPPING: &str =
    "stopping: the command has 10 s to end by itself; a second Ctrl-C ends it at once";

/// Awaits a run, and says what a stop waits for.
async fn with_word_of_a_stop<T>(
    running: impl Future<Output = T>,
    asked_to_stop: impl Future<Output = ()>,
    voice: &Printer,
) -> T {
    tokio::pin!(running);
    tokio::select! {
        biased;
        ended = &mut running => ended,
        () = asked_to_stop => {
            voice.progress(STOPPING);
            running.await
        }
    }
}

/// Completes at the first request to stop; never, when nobody can send one.
async fn stop_requested(mut stop: tokio::sync::watch::Receiver<u8>) {
    if stop.wait_for(|requests| *requests > 0).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How long the end of a run waits for notifications that nobody has tried to deliver yet.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(5);

/// What surrounds a run: the automatic test after a rollback has its own facts.
#[derive(Debug, Clone, Default)]
pub struct RunOrigin {
    /// The facts of the rollback this run follows.
    pub rollback: Option<serde_json::Value>,
}

/// Runs a mode.
pub fn main(
    mode: RunMode,
    args: &RunModeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    run_mode_with_summary(mode, args, global, services, printer, &RunOrigin::default())
}

/// Runs a mode inside a frame; trouble before the run leaves a summary that says so.
pub fn run_mode_with_summary(
    mode: RunMode,
    args: &RunModeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
    frame: &RunOrigin,
) -> Result<CliExit, CliError> {
    let mut settings = match services.settings(global) {
        Ok(settings) => settings,
        Err(trouble) => {
            if let Some(store) = services.store_without_settings(global, args.summary_file.clone())
            {
                leave_summary(store.as_ref(), mode, &trouble, frame, None);
            }
            return Err(failed_test(mode, printer, trouble));
        }
    };
    settings
        .require_file()
        .map_err(|error| failed_test(mode, printer, error.into()))?;
    apply(args, &mut settings);
    let store = services.store(&settings, args.summary_file.clone());
    if let Some(notice) = services
        .replay_notice(&settings)
        .filter(|_| !args.verify_only)
    {
        printer.alert(&notice);
    }
    printer.note(&format!("Root {}", settings.root.display()));
    printer.note(&format!("Mode {}", mode.as_str()));
    for warning in &settings.warnings {
        printer.alert(&format!("warning: {warning}"));
    }
    let is_done =
        !args.verify_only && is_done(mode, args, &settings, services, store.as_ref(), frame);
    if is_done {
        printer.note(
            "this job is done: nothing is run and nothing is paid; `--again` runs it again, another goal is another job",
        );
    }
    let result = if is_done && mode == RunMode::Run {
        untouched(&settings, services, printer, store.as_ref(), frame)
    } else if args.verify_only || is_done {
        verify_only(&settings, services, printer, store.as_ref(), frame)
    } else {
        let services = (services, global);
        run(mode, args, &settings, services, printer, frame, &store)
    };
    // Who finds another tos at work leaves that one's summary alone.
    if let Err(trouble) = &result
        && !matches!(trouble, CliError::NotDone(_))
    {
        leave_summary(store.as_ref(), mode, trouble, frame, Some(&settings));
    }
    result.map_err(|trouble| failed_test(mode, printer, trouble))
}

/// A test that ends in trouble has failed, and says so in the word that scripts look for.
fn failed_test(mode: RunMode, printer: &Printer, trouble: CliError) -> CliError {
    if mode == RunMode::Test {
        printer.line("test failed");
    }
    trouble
}

fn apply(args: &RunModeArgs, settings: &mut Settings) {
    match args.on_unknown.as_deref() {
        Some("rerun") => settings.rules.on_unknown = AfterCrash::Rerun,
        Some("skip") => settings.rules.on_unknown = AfterCrash::Skip,
        Some("stop") => settings.rules.on_unknown = AfterCrash::Stop,
        _ => {}
    }
}

fn run(
    mode: RunMode,
    args: &RunModeArgs,
    settings: &Settings,
    (services, global): (&dyn ServiceFactory, &GlobalArgs),
    printer: &Printer,
    frame: &RunOrigin,
    store: &std::sync::Arc<dyn Store>,
) -> Result<CliExit, CliError> {
    let job = services.job_services(
        settings,
        mode.as_str(),
        args.approvals,
        std::sync::Arc::clone(store),
    )?;
    let tellers = services.event_notifiers(&settings.root)?;
    let telemetry = services.telemetry(global)?;
    services.make_folders(settings)?;
    let lock = services.lock(settings, &format!("tos --mode {}", mode.as_str()))?;
    let warnings = tellers.warnings.iter().map(|why| format!("warning: {why}"));
    for notice in job.notices.iter().cloned().chain(warnings) {
        printer.alert(&notice);
    }
    // A complete loop has nothing left but to begin it again.
    let again = args.again && is_over(settings, store.as_ref());
    let clean = args.clean || again || mode == RunMode::Cleanrun;
    if mode == RunMode::Test {
        printer.note(if !clean && is_over(settings, store.as_ref()) {
            "the loop is complete: test runs nothing and spends no job; `--clean` begins it again"
        } else {
            "test runs and spends a job; `--verify-only` checks the present state without one"
        });
    }
    if clean {
        printer.note("cleanup start");
        services.remove_temp_folder(settings);
    }
    let order = RunRequest {
        setup: job.setup,
        facts: job.facts,
        workshop: job.workshop,
        clean,
        wait: args.wait,
    };
    let ports = job.ports;
    let mut reporters = reporters(args, printer);
    let notifications = tellers.notifications;
    reporters.push(Box::new(JobNotifier(std::sync::Arc::clone(&notifications))));
    reporters.extend(job_exporter(telemetry));
    let voice = printer.clone();
    let (passage, told) = services::block_on(services, move |stop| {
        Box::pin(async move {
            let tell = |text: &str| voice.alert(text);
            let asked_to_stop = stop_requested(stop.clone());
            let running = run::run(order, &ports, reporters, stop, &tell);
            let passage = Box::pin(with_word_of_a_stop(running, asked_to_stop, &voice)).await;
            (passage, notifications.flush(SETTLE).await)
        })
    })?;
    for line in told.failed {
        printer.alert(&format!("warning: {line}"));
    }
    let passage = passage?;
    if clean {
        printer.note("cleanup done");
    }
    // A job that goes on another time finds what it left there.
    if matches!(
        passage.outcome,
        JobRunOutcome::Done { .. } | JobRunOutcome::LoopComplete { .. }
    ) {
        services.remove_temp_folder(settings);
    }
    drop(lock);
    conclude(mode, settings, printer, store.as_ref(), &passage, frame)
}

/// Returns whoever follows a run for a person: a moving line on a terminal, one line a thing elsewhere.
fn reporters(args: &RunModeArgs, printer: &Printer) -> Vec<Box<dyn EventReporter>> {
    if printer.is_terminal() {
        let asks_here = args.approvals != Some(ApprovalMode::Wait);
        vec![Box::new(LiveJobView::new(printer, asks_here))]
    } else {
        let mut lines: Vec<Box<dyn EventReporter>> =
            vec![Box::new(plain::ProgressReporter::new(printer.clone()))];
        if args.approvals == Some(ApprovalMode::Wait) {
            lines.push(Box::new(plain::PendingApprovalReporter(printer.clone())));
        }
        lines
    }
}

/// Whether this very job has reached its goal, and nobody wants it done again. A loop counts its jobs by itself.
fn is_done(
    mode: RunMode,
    args: &RunModeArgs,
    settings: &Settings,
    services: &dyn ServiceFactory,
    store: &dyn Store,
    frame: &RunOrigin,
) -> bool {
    let wants_it = args.again || args.clean || frame.rollback.is_some();
    if wants_it
        || !matches!(mode, RunMode::Run | RunMode::Test)
        || settings.rules.job_loop.is_some()
    {
        return false;
    }
    let state = on_record(store);
    let is_over = state.job.is_none() && !state.running && state.jobs_done > 0;
    let is_reached = state.last.phase == Some(StepOutcome::Done);
    let is_same =
        state.facts.goal.is_some() && state.facts.goal == services.goal_digest(settings).ok();
    is_over && is_reached && is_same && state.facts.max_jobs.is_none()
}

/// Writes the summary of a job that is done already.
fn untouched(
    settings: &Settings,
    services: &dyn ServiceFactory,
    printer: &Printer,
    store: &dyn Store,
    frame: &RunOrigin,
) -> Result<CliExit, CliError> {
    let lock = services.lock(settings, "tos run")?;
    let (state, disk, _) = run::recover_read_only(store)?;
    drop(lock);
    let reason = state.last.end_reason.clone().unwrap_or_default();
    printer.line(&format!("end_reason {}", shown_reason(&reason)));
    finish(
        RunMode::Run,
        printer,
        store,
        &state,
        &disk,
        None,
        None,
        frame,
    )
}

/// Returns the state that the run log tells; one that cannot be read is the business of the run that follows.
fn on_record(store: &dyn Store) -> JobLoopState {
    let history = store.history().unwrap_or_default();
    recovery::fold_events(JobLoopState::default(), &history)
}

/// Whether all jobs of the loop are done.
fn is_over(settings: &Settings, store: &dyn Store) -> bool {
    let jobs = settings.rules.job_loop.as_ref();
    let state = on_record(store);
    jobs.is_some_and(|jobs| state.job_index > jobs.max_jobs)
}

fn conclude(
    mode: RunMode,
    settings: &Settings,
    printer: &Printer,
    store: &dyn Store,
    passage: &RunReport,
    frame: &RunOrigin,
) -> Result<CliExit, CliError> {
    let RunReport {
        state,
        outcome,
        disk,
        ..
    } = passage;
    if matches!(outcome, JobRunOutcome::Done { .. }) {
        plain::print_result(printer, state);
    }
    plain::print_run_end(printer, state, disk, outcome);
    let report = (mode == RunMode::Test).then(|| checked(settings, state, disk, Some(outcome)));
    if let Some(report) = &report {
        plain::print_verification(printer, report);
    }
    finish(
        mode,
        printer,
        store,
        state,
        disk,
        Some(outcome),
        report.as_ref(),
        frame,
    )
}

fn verify_only(
    settings: &Settings,
    services: &dyn ServiceFactory,
    printer: &Printer,
    store: &dyn Store,
    frame: &RunOrigin,
) -> Result<CliExit, CliError> {
    let lock = services.lock(settings, "tos --mode test --verify-only")?;
    let (state, disk, repairs) = run::recover_read_only(store)?;
    drop(lock);
    for repair in &repairs {
        printer.alert(repair);
    }
    let report = checked(settings, &state, &disk, None);
    plain::print_verification(printer, &report);
    finish(
        RunMode::Test,
        printer,
        store,
        &state,
        &disk,
        None,
        Some(&report),
        frame,
    )
}

/// Verifies; whoever switched the experimental warning off does not get it.
fn checked(
    settings: &Settings,
    state: &JobLoopState,
    disk: &RecordFiles,
    outcome: Option<&JobRunOutcome>,
) -> VerifyReport {
    let mut report = verify(state, disk, outcome);
    if !settings.experimental_warning {
        report
            .warnings
            .retain(|warning| !warning.contains("experimental mode"));
    }
    report
}

#[expect(clippy::too_many_arguments, reason = "the common end of two roads")]
fn finish(
    mode: RunMode,
    printer: &Printer,
    store: &dyn Store,
    state: &JobLoopState,
    disk: &RecordFiles,
    outcome: Option<&JobRunOutcome>,
    report: Option<&VerifyReport>,
    frame: &RunOrigin,
) -> Result<CliExit, CliError> {
    let files = RunSummaryFacts {
        mode: mode.as_str().to_owned(),
        disk: disk.clone(),
        outcome: outcome.cloned(),
        error: None,
        rollback: frame.rollback.clone(),
        report: report.cloned(),
    };
    let (name, mut value) = run::write_run_summary(store, state, &files)?;
    printer.line(&format!("summary saved {name}"));
    let exit = match (outcome.map(CliExit::from), report) {
        (Some(exit @ (CliExit::Cancelled | CliExit::Refused)), _) => exit,
        (_, Some(report)) if !report.passed() => CliExit::NotDone,
        (Some(exit), _) => exit,
        (None, _) => CliExit::Success,
    };
    if let Some(map) = value.as_object_mut() {
        // After a rollback the rollback's own result is the exit code.
        let is_test_only = frame.rollback.is_none();
        let own = if is_test_only { exit } else { CliExit::Success };
        map.insert("exit_code".into(), own.code().into());
        if !is_test_only {
            map.insert("test_exit_code".into(), exit.code().into());
        }
    }
    printer.document(&value);
    Ok(exit)
}

/// Whatever kept a run from starting is in the summary too, so that a script that reads only this file
/// is not told the story of an older run.
fn leave_summary(
    store: &dyn Store,
    mode: RunMode,
    trouble: &CliError,
    frame: &RunOrigin,
    settings: Option<&Settings>,
) {
    let files = RunSummaryFacts {
        mode: mode.as_str().to_owned(),
        disk: store.record_files(),
        outcome: None,
        error: Some(trouble.to_string()),
        rollback: frame.rollback.clone(),
        report: None,
    };
    // The trouble itself is about to be shown; a second one about its record would only hide it.
    let mut state = recovery::fold_events(
        JobLoopState::default(),
        &store.history().unwrap_or_default(),
    );
    if let Some(settings) = settings {
        name_the_loop(&mut state.facts, settings);
    }
    drop(run::write_run_summary(store, &state, &files));
}

/// A run that never began has no facts of its own: what is configured holds.
fn name_the_loop(facts: &mut RunSettingsRecord, settings: &Settings) {
    facts.max_jobs = settings.rules.job_loop.as_ref().map(|jobs| jobs.max_jobs);
    facts.configured_jobs = Some(settings.configured_loop.max_jobs);
    if facts.job_name.is_empty() || facts.job_name == "default" {
        facts.job_name.clone_from(&settings.configured_loop.name);
    }
}
