//! One effect, one call to a port, one input: nothing is decided here.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    domain::{
        command::Command,
        job::{
            JobEffect, JobInput, done_condition,
            rules::{DoneCheck, PerRole},
        },
        model::{ModelRequest, ModelRole},
    },
    ports::{
        BoxFuture,
        approvals::{ApprovalAnswer, Approvals},
        clock::Clock,
        model::Model,
        probe::ConditionProbe,
        runner::{CommandRequest, CommandRunner, CommandStreams, StopSignal},
        store::Store,
    },
};

/// Everything a job loop may reach.
#[derive(Clone)]
pub struct JobPorts {
    /// The models of the three roles.
    pub models: PerRole<Arc<dyn Model>>,
    /// Runs commands.
    pub runner: Arc<dyn CommandRunner>,
    /// Looks at the world.
    pub probe: Arc<dyn ConditionProbe>,
    /// Keeps the records.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Asks a person.
    pub approvals: Arc<dyn Approvals>,
}

impl std::fmt::Debug for JobPorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobPorts").finish_non_exhaustive()
    }
}

/// What the performer has to know about commands beyond the effect itself.
#[derive(Debug, Clone)]
pub struct CommandSettings {
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
pub(in crate::services) struct EffectPerformer {
    pub(in crate::services) ports: JobPorts,
    pub(in crate::services) workshop: CommandSettings,
    pub(in crate::services) stop: watch::Receiver<u8>,
}

impl EffectPerformer {
    /// Performs one effect and says what came of it; `None` for [`JobEffect::Finish`] and for
    /// [`JobEffect::RequestApproval`], whose answer [`Self::approve`] waits for.
    pub(in crate::services) async fn perform(&mut self, effect: JobEffect) -> Option<JobInput> {
        Some(match effect {
            JobEffect::SetAside { job, files } => self.set_aside(job, &files),
            JobEffect::Ask(query) => self.ask(&query).await,
            JobEffect::Wait(duration) => self.wait(duration).await,
            JobEffect::Run {
                step,
                index,
                command,
            } => self.run(step, index, command).await,
            JobEffect::Observe(checks) => self.observe(&checks).await,
            JobEffect::RequestApproval { .. } | JobEffect::Finish(_) => return None,
        })
    }

    fn set_aside(&self, job: u32, files: &[PathBuf]) -> JobInput {
        match self.ports.store.set_aside_results(job, files) {
            Ok(moved) => JobInput::SetAside(moved),
            Err(error) => JobInput::Broken(error.to_string()),
        }
    }

    async fn ask(&mut self, query: &ModelRequest) -> JobInput {
        let model = Arc::clone(match query.role {
            ModelRole::Draft => &self.ports.models.draft,
            ModelRole::Review => &self.ports.models.review,
            ModelRole::Final => &self.ports.models.final_,
        });
        tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => cancelled("while a model was asked"),
            reply = model.ask(query) => match reply {
                Ok(reply) => JobInput::Answered(reply),
                Err(failure) => JobInput::Failed(failure),
            },
        }
    }

    async fn wait(&mut self, duration: Duration) -> JobInput {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => cancelled("while waiting to ask again"),
            () = self.ports.clock.sleep(duration) => JobInput::Waited,
        }
    }

    /// Waits for the answer to a question.
    pub(super) async fn approve(&mut self, answer: BoxFuture<'_, ApprovalAnswer>) -> JobInput {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => cancelled("while waiting for an answer"),
            answer = answer => JobInput::Approved {
                yes: answer.yes,
                by: answer.by,
            },
        }
    }

    async fn run(&mut self, step: u32, index: u32, command: Command) -> JobInput {
        let order = CommandRequest {
            command,
            directory: self.workshop.root.clone(),
            deadline: self.workshop.deadline,
            idle_deadline: self.workshop.idle_deadline,
            grace: None,
            environment: Vec::new(),
            output_directory: self.workshop.steps.join(format!("step_{step:03}")),
            index: index + 1,
            token: format!("{}/{step}/{index}", self.workshop.run),
            streams: CommandStreams::default(),
        };
        let runner = Arc::clone(&self.ports.runner);
        let mut end = runner.run(&order);
        // The command's own end is awaited whatever happens: a step must know what became of it.
        for (count, how) in [(1, StopSignal::Terminate), (2, StopSignal::Kill)] {
            tokio::select! {
                biased;
                end = &mut end => return JobInput::Ended(end),
                () = stopped(&mut self.stop, count) => runner.interrupt(how),
            }
        }
        JobInput::Ended(end.await)
    }

    async fn observe(&mut self, checks: &[DoneCheck]) -> JobInput {
        let probe = Arc::clone(&self.ports.probe);
        let sights = tokio::select! {
            biased;
            () = stopped(&mut self.stop, 1) => return cancelled("while the done condition was looked at"),
            sights = probe.observe(checks) => sights,
        };
        let evidence = checks
            .iter()
            .zip(&sights)
            .map(|(check, sight)| done_condition::judge(check, sight));
        JobInput::Observed(evidence.collect())
    }
}

fn cancelled(when: &str) -> JobInput {
    JobInput::Cancelled(format!("cancelled: a stop was requested {when}"))
}

/// Completes when at least `count` requests to stop have come; never, when nobody can send one.
async fn stopped(stop: &mut watch::Receiver<u8>, count: u8) {
    if stop.wait_for(|requests| *requests >= count).await.is_err() {
        std::future::pending::<()>().await;
    }
}
