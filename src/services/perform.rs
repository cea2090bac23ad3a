//! One effect, one call to a port, one input: nothing is decided here.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    domain::{
        command::Command,
        gate,
        job::{Effect, Input},
        model::{Query, Role},
        rules::{Check, PerRole},
    },
    ports::{
        approvals::Approvals,
        clock::Clock,
        model::Model,
        probe::Probe,
        runner::{Interrupt, Order, Runner, Streams},
        store::Store,
    },
};

/// Everything a job loop may reach.
#[derive(Clone)]
pub struct Ports {
    /// The models of the three roles.
    pub models: PerRole<Arc<dyn Model>>,
    /// Runs commands.
    pub runner: Arc<dyn Runner>,
    /// Looks at the world.
    pub probe: Arc<dyn Probe>,
    /// Keeps the records.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Asks a person.
    pub approvals: Arc<dyn Approvals>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// What the performer has to know about commands beyond the effect itself.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The root: where commands run.
    pub root: PathBuf,
    /// The folder of step logs, absolute: whole outputs go below it.
    pub steps: PathBuf,
    /// Deadline of one command.
    pub deadline: Duration,
    /// Silence after which a command counts as hanging.
    pub idle_deadline: Option<Duration>,
    /// The id of this run, the first part of every command's token.
    pub run: String,
}

/// Performs effects until told to stop.
#[derive(Debug)]
pub(super) struct Performer {
    pub(super) ports: Ports,
    pub(super) workshop: Workshop,
    pub(super) stop: watch::Receiver<u8>,
}

impl Performer {
    /// Performs one effect and says what came of it; `None` for [`Effect::Finish`].
    pub(super) async fn perform(&mut self, effect: Effect) -> Option<Input> {
        Some(match effect {
            Effect::SetAside { job, files } => self.set_aside(job, &files),
            Effect::Ask(query) => self.ask(&query).await,
            Effect::Wait(duration) => self.wait(duration).await,
            Effect::RequestApproval {
                id,
                command,
                reason,
            } => self.approve(&id, &command, &reason).await,
            Effect::Run {
                step,
                index,
                command,
            } => self.run(step, index, command).await,
            Effect::Observe(checks) => self.observe(&checks).await,
            Effect::Finish(_) => return None,
        })
    }

    fn set_aside(&self, job: u32, files: &[PathBuf]) -> Input {
        match self.ports.store.set_aside_results(job, files) {
            Ok(moved) => Input::SetAside(moved),
            Err(error) => Input::Broken(error.to_string()),
        }
    }

    async fn ask(&mut self, query: &Query) -> Input {
        let model = Arc::clone(match query.role {
            Role::Draft => &self.ports.models.draft,
            Role::Review => &self.ports.models.review,
            Role::Final => &self.ports.models.final_,
        });
        tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => cancelled("while a model was asked"),
            reply = model.ask(query) => match reply {
                Ok(reply) => Input::Answered(reply),
                Err(failure) => Input::Failed(failure),
            },
        }
    }

    async fn wait(&mut self, duration: Duration) -> Input {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => cancelled("while waiting to ask again"),
            () = self.ports.clock.sleep(duration) => Input::Waited,
        }
    }

    async fn approve(&mut self, id: &str, command: &Command, reason: &str) -> Input {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => cancelled("while waiting for an answer"),
            answer = self.ports.approvals.ask(id, command, reason) => Input::Approved {
                yes: answer.yes,
                by: answer.by,
            },
        }
    }

    async fn run(&mut self, step: u32, index: u32, command: Command) -> Input {
        let order = Order {
            command,
            directory: self.workshop.root.clone(),
            deadline: self.workshop.deadline,
            idle_deadline: self.workshop.idle_deadline,
            grace: None,
            environment: Vec::new(),
            output_directory: self.workshop.steps.join(format!("step_{step:03}")),
            index: index + 1,
            token: format!("{}/{step}/{index}", self.workshop.run),
            streams: Streams::default(),
        };
        let runner = Arc::clone(&self.ports.runner);
        let mut end = runner.run(&order);
        // The command's own end is awaited whatever happens: a step must know what became of it.
        for (count, how) in [(1, Interrupt::Terminate), (2, Interrupt::Kill)] {
            tokio::select! {
                biased;
                end = &mut end => return Input::Ended(end),
                () = stopped(&mut self.stop, count) => runner.interrupt(how),
            }
        }
        Input::Ended(end.await)
    }

    async fn observe(&mut self, checks: &[Check]) -> Input {
        let probe = Arc::clone(&self.ports.probe);
        let sights = tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => return cancelled("while the done condition was looked at"),
            sights = probe.look(checks) => sights,
        };
        let evidence = checks
            .iter()
            .zip(&sights)
            .map(|(check, sight)| gate::judge(check, sight));
        Input::Observed(evidence.collect())
    }
}

fn cancelled(when: &str) -> Input {
    Input::Cancelled(format!("cancelled: a stop was requested {when}"))
}

/// Completes when at least `count` requests to stop have come; never, when nobody can send one.
async fn stopped(stop: &mut watch::Receiver<u8>, count: u8) {
    if stop.wait_for(|requests| *requests >= count).await.is_err() {
        std::future::pending::<()>().await;
    }
}
