//! Drives one run of a job: handle, publish, perform, until the machine says it is finished.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    domain::{
        event::RunFacts,
        job::{Effect, Input, Job, Moment, Reaction},
        outcome::Outcome,
    },
    ports::{clock::Clock, store},
    services::{
        bus::Bus,
        perform::{Performer, Ports},
    },
};

pub use crate::services::perform::Workshop;

/// Returns the present moment.
pub fn moment(clock: &dyn Clock) -> Moment {
    Moment {
        at: clock.now(),
        chance: clock.chance(),
    }
}

/// Runs the machine to the end of this run.
///
/// An error means that the record could not be written; everything up to the last durable event stands,
/// and the next run goes on from there.
pub async fn run(
    job: &mut Job,
    facts: RunFacts,
    ports: &Ports,
    workshop: Workshop,
    bus: &mut Bus,
    stop: watch::Receiver<u8>,
) -> Result<Outcome, store::Error> {
    let clock = Arc::clone(&ports.clock);
    let mut performer = Performer {
        ports: ports.clone(),
        workshop,
        stop,
    };
    let mut input = Input::Started(Box::new(facts));
    loop {
        let Reaction { events, effect } = job.handle(input, &moment(clock.as_ref()));
        bus.publish(&events, job.state())?;
        if let Effect::Finish(outcome) = effect {
            return Ok(outcome);
        }
        match performer.perform(effect).await {
            Some(next) => input = next,
            None => input = Input::Broken("the machine stopped without an end".to_owned()),
        }
    }
}
