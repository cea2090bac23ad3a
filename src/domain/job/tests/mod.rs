//! The job machine, told what happens and watched for what it decides: no runtime, no clock, no files.

mod asking;
mod loops;
mod recovery;
mod running;

use serde_json::{Value, json};

use super::*;
use crate::domain::{
    command::Kind,
    model::{Finish, Role, Trouble, Usage},
    policy::Preset,
    process::{Captured, Exit},
    record,
    rules::{DoneCondition, JobLoop, OnUnknown, PerRole, PolicyRules, Retry},
    state::Fate,
};

fn rules() -> Rules {
    Rules {
        max_steps: 3,
        json_retry: 1,
        json_retry_prefix: "JSON only.".into(),
        retry: Retry {
            attempts: 1,
            base: Duration::ZERO,
            max_wait: Duration::from_secs(120),
        },
        command_timeout: Duration::from_secs(5),
        idle_timeout: None,
        grace: Duration::ZERO,
        require_approval: true,
        on_unknown: OnUnknown::Stop,
        templates: PerRole {
            draft: "D {step_num} {history_json} {job_payload_json}".into(),
            review: "R {draft_json}".into(),
            final_: "F {draft_json} {review_json}".into(),
        },
        deadlines: PerRole::default(),
        prices: PerRole::default(),
        budget: crate::domain::rules::Budget::default(),
        no_progress_limit: Some(3),
        job_loop: Some(JobLoop {
            max_jobs: 2,
            name: "sample".into(),
        }),
        experimental: false,
        sprint: None,
        done: DoneCondition {
            all: vec![Check::Contains {
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
            allow_types: vec![Kind::Bash, Kind::Powershell],
            preset: Preset::Original,
            rules: vec![],
            on_opaque: crate::domain::policy::Decision::Allow,
        },
        job_result: "job_result.json".into(),
    }
}

/// A machine on a bench, and the log it has written.
struct Bench {
    job: Job,
    log: Vec<Event>,
    effect: Option<Effect>,
    second: i64,
}

impl Bench {
    fn new(rules: Rules) -> Self {
        Self::with_state(State::default(), rules)
    }

    fn with_state(state: State, rules: Rules) -> Self {
        let policy = Policy::new(&rules.policy).unwrap();
        let setup = Setup {
            rules,
            policy,
            world: World::unattended("/root-of-the-job"),
            redactor: Redactor::new(["super-secret-value".to_owned()]),
            run: "r1".into(),
        };
        Self {
            job: Job::new(state, setup, at(0)),
            log: Vec::new(),
            effect: None,
            second: 0,
        }
    }

    /// Begins a run.
    fn start(&mut self) -> &mut Self {
        let facts = RunFacts {
            max_jobs: self.job.rules().job_loop.as_ref().map(|jobs| jobs.max_jobs),
            ..RunFacts::default()
        };
        self.tell(Input::Started(Box::new(facts)))
    }

    fn tell(&mut self, input: Input) -> &mut Self {
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
        self.say_until(text, Finish::Complete)
    }

    fn say_until(&mut self, text: &str, finish: Finish) -> &mut Self {
        assert!(
            matches!(self.effect, Some(Effect::Ask(_))),
            "{:?}",
            self.effect
        );
        self.tell(Input::Answered(Reply {
            text: text.into(),
            finish,
            provider: "fake".into(),
            model: "m".into(),
            usage: Usage {
                input: 10,
                output: 5,
                ..Usage::default()
            },
            request_id: None,
            elapsed_ms: 60_000,
        }))
    }

    /// Moves the goal files away and answers all three roles, up to the first command or the end.
    fn step(&mut self, commands: &Value) -> &mut Self {
        if matches!(self.effect, Some(Effect::SetAside { .. })) {
            self.tell(Input::SetAside(vec![]));
        }
        self.reply(&json!({"thought": "t", "commands": commands}))
            .reply(&json!({"review": "fine", "improved_commands": [], "approval": true}))
            .reply(&json!({"final_commands": commands, "summary": "did it"}))
    }

    fn exit(&mut self, code: i32) -> &mut Self {
        self.tell(Input::Ended(Ok(ended(Exit::Code { code }))))
    }

    fn observed(&mut self, met: bool) -> &mut Self {
        self.tell(Input::Observed(vec![Evidence {
            check: "out/report.txt contains ok".into(),
            met,
            seen: "seen".into(),
        }]))
    }

    fn outcome(&self) -> &Outcome {
        match &self.effect {
            Some(Effect::Finish(outcome)) => outcome,
            other => panic!("not finished: {other:?}"),
        }
    }

    fn query(&self) -> &Query {
        match &self.effect {
            Some(Effect::Ask(query)) => query,
            other => panic!("no query: {other:?}"),
        }
    }

    /// Comes back after a crash: only the log survives.
    fn crashed(&self, rules: Rules) -> Self {
        let mut state = State::default();
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
    fn cut_after(&self, rules: Rules, last: fn(&EventKind) -> bool) -> Self {
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
        let mut state = State::default();
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

fn at(second: i64) -> Moment {
    let time = chrono::DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
    Moment {
        at: time.fixed_offset(),
        chance: 0.5,
    }
}

fn ended(exit: Exit) -> End {
    End {
        exit,
        stdout: Captured {
            head: "the output".into(),
            bytes: 10,
            ..Captured::default()
        },
        stderr: Captured::default(),
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

fn failure(trouble: Trouble, retry_after_ms: Option<u64>) -> Input {
    Input::Failed(ModelFailure {
        trouble,
        message: "the provider said no".into(),
        retry_after_ms,
        request_id: None,
    })
}
