//! The job machine, told what happens and watched for what it decides: no runtime, no clock, no files.

mod asking;
mod counted;
mod loops;
mod records;
mod recovery;
mod running;
mod told;

use serde_json::{Value, json};

use super::*;
use crate::domain::{
    command::CommandKind,
    job::{
        record,
        rules::{AfterCrash, DoneCondition, JobSeriesConfig, PerRole, PolicyRules, RetryPolicy},
        state::CommandDisposition,
    },
    model::{FinishReason, ModelErrorKind, ModelRole, TokenUsage},
    policy::PolicyPreset,
    process::{CapturedOutput, ExitStatus},
};

fn rules() -> JobRules {
    JobRules {
        max_steps: 3,
        json_retry: 1,
        json_retry_prefix: "JSON only.".into(),
        retry: RetryPolicy {
            attempts: 1,
            base: Duration::ZERO,
            max_wait: Duration::from_secs(120),
        },
        command_timeout: Duration::from_secs(5),
        idle_timeout: None,
        grace: Duration::ZERO,
        require_approval: true,
        on_unknown: AfterCrash::Stop,
        templates: PerRole {
            draft: "D {step_num} {history_json} {job_payload_json}".into(),
            review: "R {draft_json}".into(),
            final_: "F {draft_json} {review_json}".into(),
        },
        deadlines: PerRole::default(),
        prices: PerRole::default(),
        budget: crate::domain::job::rules::JobBudget::default(),
        no_progress_limit: Some(3),
        job_loop: Some(JobSeriesConfig {
            max_jobs: 2,
            name: "sample".into(),
        }),
        experimental: false,
        sprint: None,
        done: DoneCondition {
            all: vec![DoneCheck::Contains {
                file: "out/report.txt".into(),
                texts: vec!["ok".into()],
            }],
            fresh: true,
        },
        policy: PolicyRules {
            default_allow: true,
            stop_on_deny: true,
            deny_if_contains: vec!["forbidden".into()],
            deny_patterns: vec![],
            allow_types: vec![CommandKind::Bash, CommandKind::Powershell],
            preset: PolicyPreset::Original,
            rules: vec![],
            on_opaque: crate::domain::policy::Decision::Allow,
        },
        job_result: "job_result.json".into(),
    }
}

/// A machine on a bench, and the log it has written.
struct Bench {
    job: JobMachine,
    log: Vec<RunLogEvent>,
    effect: Option<JobEffect>,
    second: i64,
}

impl Bench {
    fn new(rules: JobRules) -> Self {
        Self::with_state(JobLoopState::default(), rules)
    }

    fn with_state(state: JobLoopState, rules: JobRules) -> Self {
        let policy = Policy::new(&rules.policy).unwrap();
        let setup = JobSetup {
            rules,
            policy,
            world: PolicyContext::unattended("/root-of-the-job"),
            redactor: Redactor::new(["super-secret-value".to_owned()]),
            run: "r1".into(),
        };
        Self {
            job: JobMachine::new(state, setup, at(0)),
            log: Vec::new(),
            effect: None,
            second: 0,
        }
    }

    /// Begins a run.
    fn start(&mut self) -> &mut Self {
        let facts = RunSettingsRecord {
            max_jobs: self.job.rules().job_loop.as_ref().map(|jobs| jobs.max_jobs),
            ..RunSettingsRecord::default()
        };
        self.tell(JobInput::Started(Box::new(facts)))
    }

    fn tell(&mut self, input: JobInput) -> &mut Self {
        self.second += 1;
        let reaction = self.job.handle(input, &at(self.second));
        self.log.extend(reaction.events);
        self.effect = Some(reaction.effect);
        self
    }

    /// Answers the open question with this object.
    fn reply(&mut self, object: &Value) -> &mut Self {
        self.say(&object.to_string())
    }

    fn say(&mut self, text: &str) -> &mut Self {
        self.say_until(text, FinishReason::Complete)
    }

    fn say_until(&mut self, text: &str, finish: FinishReason) -> &mut Self {
        assert!(
            matches!(self.effect, Some(JobEffect::Ask(_))),
            "{:?}",
            self.effect
        );
        self.tell(JobInput::Answered(ModelReply {
            text: text.into(),
            finish,
            provider: "fake".into(),
            model: "m".into(),
            usage: TokenUsage {
                input: 10,
                output: 5,
                ..TokenUsage::default()
            },
            request_id: None,
            elapsed_ms: 60_000,
        }))
    }

    /// Moves the goal files away and answers all three roles, up to the first command or the end.
    fn step(&mut self, commands: &Value) -> &mut Self {
        if matches!(self.effect, Some(JobEffect::SetAside { .. })) {
            self.tell(JobInput::SetAside(vec![]));
        }
        self.reply(&json!({"thought": "t", "commands": commands}))
            .reply(&json!({"review": "fine", "improved_commands": [], "approval": true}))
            .reply(&json!({"final_commands": commands, "summary": "did it"}))
    }

    fn exit(&mut self, code: i32) -> &mut Self {
        self.tell(JobInput::Ended(Ok(ended(ExitStatus::Code { code }))))
    }

    fn observed(&mut self, met: bool) -> &mut Self {
        self.tell(JobInput::Observed(vec![ConditionEvidence {
            check: "out/report.txt contains ok".into(),
            met,
            seen: "seen".into(),
        }]))
    }

    fn outcome(&self) -> &JobRunOutcome {
        match &self.effect {
            Some(JobEffect::Finish(outcome)) => outcome,
            other => panic!("not finished: {other:?}"),
        }
    }

    fn query(&self) -> &ModelRequest {
        match &self.effect {
            Some(JobEffect::Ask(query)) => query,
            other => panic!("no query: {other:?}"),
        }
    }

    /// Comes back after a crash: only the log survives.
    fn crashed(&self, rules: JobRules) -> Self {
        let mut state = JobLoopState::default();
        for event in &self.log {
            let line = serde_json::to_string(event).unwrap();
            state.apply(&serde_json::from_str(&line).unwrap());
        }
        let mut bench = Self::with_state(state, rules);
        bench.log.clone_from(&self.log);
        bench.second = self.second;
        bench
    }

    /// Loses the log after the first event that `last` picks, and goes on from there.
    fn cut_after(&self, rules: JobRules, last: fn(&EventKind) -> bool) -> Self {
        let at = self.log.iter().position(|event| last(&event.event));
        let mut bench = Self::new(rules.clone());
        bench.log = self.log[..=at.unwrap()].to_vec();
        bench.second = self.second;
        let mut bench = bench.crashed(rules);
        bench.start();
        bench
    }

    fn phases(&self) -> Vec<(u32, &'static str)> {
        let steps = self.job.state().steps.iter();
        steps.map(|line| (line.step, line.phase.as_str())).collect()
    }

    fn log_of(&self, step: u32) -> Value {
        let mut state = JobLoopState::default();
        for event in &self.log {
            state.apply(event);
            if let (EventKind::StepEnded { .. }, Some(closed)) = (&event.event, &state.closed)
                && closed.number == step
            {
                return record::step_log(&state, closed);
            }
        }
        panic!("step {step} has not ended")
    }
}

fn at(second: i64) -> InputTime {
    let time = chrono::DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
    InputTime {
        at: time.fixed_offset(),
        chance: 0.5,
    }
}

fn ended(exit: ExitStatus) -> CommandResult {
    CommandResult {
        exit,
        stdout: CapturedOutput {
            head: "the output".into(),
            bytes: 10,
            ..CapturedOutput::default()
        },
        stderr: CapturedOutput::default(),
        elapsed_ms: 60_000,
        leftovers: 0,
    }
}

fn bash(codes: &[&str]) -> Value {
    codes
        .iter()
        .map(|code| json!({"type": "bash", "code": code}))
        .collect()
}

fn failure(trouble: ModelErrorKind, retry_after_ms: Option<u64>) -> JobInput {
    JobInput::Failed(ModelFailure {
        trouble,
        message: "the provider said no".into(),
        retry_after_ms,
        request_id: None,
    })
}
