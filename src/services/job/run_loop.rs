//! Drives one run of a job: handle, publish, perform, until the machine says it is finished.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    domain::job::{
        InputTime, JobEffect, JobInput, JobMachine, JobReaction, event::RunSettingsRecord,
        outcome::JobRunOutcome,
    },
    ports::{clock::Clock, store},
    services::job::{
        effects::{EffectPerformer, JobPorts},
        event_bus::EventBus,
    },
};

pub use crate::services::job::effects::CommandSettings;

/// Returns the present moment.
pub fn input_time(clock: &dyn Clock) -> InputTime {
    InputTime {
        at: clock.now(),
        chance: clock.random(),
    }
}

/// Runs the machine to the end of this run.
///
/// An error means that the record could not be written; everything up to the last durable event stands,
/// and the next run goes on from there.
pub async fn run(
    job: &mut JobMachine,
    facts: RunSettingsRecord,
    ports: &JobPorts,
    workshop: CommandSettings,
    bus: &mut EventBus,
    stop: watch::Receiver<u8>,
) -> Result<JobRunOutcome, store::Error> {
    let clock = Arc::clone(&ports.clock);
    let mut performer = EffectPerformer {
        ports: ports.clone(),
        workshop,
        stop,
    };
    let mut input = JobInput::Started(Box::new(facts));
    loop {
        let JobReaction { events, effect } = job.handle(input, &input_time(clock.as_ref()));
        bus.record(&events, job.state())?;
        if let JobEffect::RequestApproval {
            id,
            command,
            reason,
        } = &effect
        {
            // Asked before anybody is told of it, so that whoever is told can answer at once.
            let answer = ports.approvals.ask(id, command, reason);
            bus.report(&events, job.state());
            input = performer.approve(answer).await;
            continue;
        }
        bus.report(&events, job.state());
        if let JobEffect::Finish(outcome) = effect {
            return Ok(outcome);
        }
        input = performer
            .perform(effect)
            .await
            .unwrap_or_else(|| JobInput::Broken("the machine stopped without an end".to_owned()));
    }
}
