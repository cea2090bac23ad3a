//! One run of tos over a job, from the lock to the summary: recover, clean, take over, end what an
//! earlier tos left running, run, and write down how it went.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    domain::job::{
        JobMachine, JobSetup,
        event::{EventKind, ImportedState, RunSettingsRecord},
        outcome::JobRunOutcome,
        record,
        record::{RecordFiles, RunSummaryFacts},
        rules::AfterCrash,
        state::{JobLoopState, StepStage},
    },
    ports::store,
    services::job::{
        effects::JobPorts,
        event_bus::{EventBus, EventReporter, pretty_json},
        recovery, run_loop,
        run_loop::{CommandSettings, input_time},
    },
};

/// What a run is asked to do.
#[derive(Debug)]
pub struct RunRequest {
    /// What drives the machine.
    pub setup: JobSetup,
    /// The facts of this run for the records.
    pub facts: RunSettingsRecord,
    /// Where and how commands run.
    pub workshop: CommandSettings,
    /// Whether the records of earlier runs are archived first.
    pub clean: bool,
    /// Whether a long wait is slept through instead of ending the run.
    pub wait: bool,
}

/// How a run went.
#[derive(Debug)]
pub struct RunReport {
    /// The state at its end.
    pub state: JobLoopState,
    /// How the run ended.
    pub outcome: JobRunOutcome,
    /// What lies on the disk now.
    pub disk: RecordFiles,
    /// What was repaired, and what else deserves a word, one sentence each.
    pub notes: Vec<String>,
}

/// Recovers the state without running anything, for verification and for looking.
pub fn recover_read_only(
    store: &dyn store::Store,
) -> Result<(JobLoopState, RecordFiles, Vec<String>), store::Error> {
    let recovered = recovery::recover(store)?;
    let mut state = recovered.state;
    if let Some(adopted) = recovered.adopted {
        state.job_index = adopted.job_index.unwrap_or(state.job_index);
        state.next_step = adopted.next_step;
        state.adopted_logs = state.adopted_logs.saturating_add(adopted.step_logs);
    }
    Ok((state, store.record_files(), recovered.repairs))
}

/// Works on a job. `tell` shows sentences at once; `reporters` follow the events.
pub async fn run(
    order: RunRequest,
    ports: &JobPorts,
    reporters: Vec<Box<dyn EventReporter>>,
    stop: watch::Receiver<u8>,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<RunReport, store::Error> {
    let recovered = recovery::recover(ports.store.as_ref())?;
    let mut notes = recovered.repairs.clone();
    notes.extend(recovered.adopted.as_ref().map(taken_over));
    notes.extend(leftovers(&recovered.state, ports).await);
    let events = recovery::recovery_events(&recovered);
    let wait = order.wait;
    let mut job = JobMachine::new(
        recovered.state,
        order.setup,
        input_time(ports.clock.as_ref()),
    );
    let mut bus = EventBus::new(Arc::clone(&ports.store), reporters);
    if order.clean {
        clean(&mut job, ports, &mut bus)?;
    } else {
        for kind in events {
            let events = job.note(kind, &input_time(ports.clock.as_ref()));
            bus.publish(&events, job.state())?;
        }
    }
    notes.extend(interrupted(&job));
    for note in &notes {
        tell(note);
    }
    let outcome = runs(
        &mut job,
        order.facts,
        ports,
        order.workshop,
        &mut bus,
        stop,
        wait,
        tell,
    )
    .await?;
    Ok(RunReport {
        state: job.state().clone(),
        outcome,
        disk: ports.store.record_files(),
        notes,
    })
}

/// Runs once, or again after every long wait where that is asked for.
#[expect(
    clippy::too_many_arguments,
    reason = "the loop around one call, split off for its size"
)]
async fn runs(
    job: &mut JobMachine,
    facts: RunSettingsRecord,
    ports: &JobPorts,
    workshop: CommandSettings,
    bus: &mut EventBus,
    mut stop: watch::Receiver<u8>,
    wait: bool,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<JobRunOutcome, store::Error> {
    loop {
        let outcome = run_loop::run(
            job,
            facts.clone(),
            ports,
            workshop.clone(),
            bus,
            stop.clone(),
        )
        .await?;
        let JobRunOutcome::Parked { until, reason } = &outcome else {
            return Ok(outcome);
        };
        if !wait {
            return Ok(outcome);
        }
        tell(&format!("{reason}; waiting"));
        let now = ports.clock.now();
        let left = until
            .signed_duration_since(now)
            .to_std()
            .unwrap_or(Duration::ZERO);
        let asked = tokio::select! {
            asked = stop.wait_for(|count| *count > 0) => asked.is_ok(),
            () = ports.clock.sleep(left + Duration::from_millis(1)) => false,
        };
        if asked {
            return Ok(outcome);
        }
    }
}

/// Archives the records; the machine begins with an empty state.
fn clean(job: &mut JobMachine, ports: &JobPorts, bus: &mut EventBus) -> Result<(), store::Error> {
    let disk = ports.store.record_files();
    let nothing = RecordFiles {
        payload_bytes: disk.payload_bytes,
        ..RecordFiles::default()
    };
    if job.state().seq == 0 && disk == nothing {
        return Ok(());
    }
    let archive = ports.store.archive_name();
    let kind = EventKind::CleanStarted {
        archive: archive.clone(),
    };
    let events = job.note(kind, &input_time(ports.clock.as_ref()));
    bus.publish(&events, job.state())?;
    ports.store.archive(&archive)?;
    job.reset();
    Ok(())
}

/// Says what was taken over from files that the run log does not know.
fn taken_over(adopted: &ImportedState) -> String {
    let next = adopted.next_step;
    match (adopted.from.as_str(), adopted.job_index) {
        ("", _) => {
            format!(
                "step logs that are not in the run log keep their numbers; steps go on with {next}"
            )
        }
        (from, Some(job)) => {
            format!("{from} was taken over: job {job} comes next, steps go on with {next}")
        }
        (from, None) => format!("{from} was taken over: steps go on with {next}"),
    }
}

/// Ends what an earlier tos that did not come to its end left running.
async fn leftovers(state: &JobLoopState, ports: &JobPorts) -> Option<String> {
    if !state.running || state.run.is_empty() {
        return None;
    }
    let count = ports
        .runner
        .kill_survivors(&format!("{}/", state.run))
        .await;
    (count > 0).then(|| {
        format!("run {} had ended without a word; {count} of its processes were still alive and are ended now", state.run)
    })
}

/// Says what an interrupted run was doing, before it goes on.
fn interrupted(job: &JobMachine) -> Option<String> {
    let state = job.state();
    if !state.running {
        return None;
    }
    let step = state.job.as_ref().and_then(|job| job.step.as_ref());
    Some(match step {
        None => "the last run was interrupted between two steps; going on".to_owned(),
        Some(step) => match (&step.stage, job.rules().on_unknown) {
            (StepStage::Open { index }, AfterCrash::Rerun) => {
                format!(
                    "the last run was interrupted in command {} of step {}; running it again",
                    index + 1,
                    step.number
                )
            }
            (StepStage::Open { index }, AfterCrash::Skip) => {
                format!(
                    "the last run was interrupted in command {} of step {}; leaving it",
                    index + 1,
                    step.number
                )
            }
            (StepStage::Open { .. }, AfterCrash::Stop) => return None,
            _ => format!(
                "the last run was interrupted in step {}; going on there",
                step.number
            ),
        },
    })
}

/// Writes the run summary; returns its name.
pub fn write_run_summary(
    store: &dyn store::Store,
    state: &JobLoopState,
    files: &RunSummaryFacts,
) -> Result<(String, serde_json::Value), store::Error> {
    let value = record::run_summary(state, files);
    let text = record::run_summary_text(state, files);
    let name = store.write_summary(&pretty_json(&value), &text)?;
    Ok((name, value))
}
