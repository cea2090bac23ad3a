//! Checkpoints and plans of a client: this program as its own child, with words that cannot become options.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    commands::{McpState, ToolOutcome},
    progress::CallProgress,
    tools::{Checkpoint, PlanRun, Undo},
};

use crate::domain::state_folder::TOS_FOLDER;

/// How long a child that said nothing may take to end.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How often a run that a client waits for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The words of runs and tasks that have not ended.
const OPEN: [&str; 3] = ["PENDING", "READY", "RUNNING"];

impl McpState {
    pub(super) async fn checkpoint(&self, call: Checkpoint) -> ToolOutcome {
        let name = named("name", &call.name)?;
        self.run_child(vec!["checkpoint".into(), format!("--name={name}")])
            .await
    }

    pub(super) async fn undo(&self, call: Undo) -> ToolOutcome {
        if let Some(number) = call.to.as_deref().and_then(|to| to.strip_prefix("safety/")) {
            let number: u32 = number.parse().map_err(|_| {
                format!("`safety/{number}` is no snapshot; `list_checkpoints` names them")
            })?;
            let words = ["checkpoint", "undo", &number.to_string()];
            return self.run_child(words.map(str::to_owned).to_vec()).await;
        }
        let mut words = ["rollback", "--discard", "--no-test"]
            .map(str::to_owned)
            .to_vec();
        if let Some(to) = &call.to {
            words.push(format!("--target-commit={}", named("to", to)?));
        }
        self.run_child(words).await
    }

    /// Starts a plan in a process of its own, which goes on when the client leaves; returns the id of its run, or how it ended
    /// within the time that the client wants to wait.
    pub(super) async fn plan_run(
        &self,
        call: PlanRun,
        progress: &Arc<CallProgress>,
    ) -> ToolOutcome {
        progress.say("the plan is checked");
        let file = self.resolve_path(&call.plan)?;
        let file = file.to_string_lossy().into_owned();
        let params = call.params.iter();
        let mut options: Vec<String> = params
            .map(|(name, value)| format!("--param={name}={value}"))
            .collect();
        let mut words = vec!["plan".to_owned(), "validate".to_owned()];
        words.extend(options.iter().cloned());
        words.push(file.clone());
        let valid: Value = serde_json::from_str(&self.run_child(words).await?).unwrap_or_default();
        if valid["agents"] == true {
            return Err(format!(
                "{} is a plan for agents, which a person starts: `tos task run {}`",
                call.plan, call.plan
            ));
        }
        for id in &call.only {
            options.push(format!("--only={}", named("only", id)?));
        }
        let root = self.settings.root.to_string_lossy().into_owned();
        let words = self.global.iter().cloned();
        let words = words.chain(["plan", "run", "--enforce", "-q"].map(str::to_owned));
        let words = words
            .chain([format!("--workdir={root}")])
            .chain([self.runs_dir()]);
        let words: Vec<String> = words.chain(options).chain([file]).collect();
        let tos = Arc::clone(&self.services.tos);
        let begun = tokio::task::spawn_blocking(move || begin(tos.as_ref(), &words)).await;
        let run = begun.map_err(|error| error.to_string())??;
        let wait = Duration::from_secs(call.wait_seconds.unwrap_or(0));
        let ended = tokio::time::timeout(wait, self.plan_end(&run, progress)).await;
        match ended {
            Ok(ended) => ended,
            Err(_) => Ok(format!("{:#}", json!({ "run": run, "status": "started" }))),
        }
    }

    /// Waits for the end of a run; a plan that did not succeed is an error.
    async fn plan_end(&self, run: &str, progress: &CallProgress) -> ToolOutcome {
        loop {
            let status: Value =
                serde_json::from_str(&self.plan_status(Some(run)).await?).unwrap_or_default();
            let counts = status["counts"].as_object().cloned().unwrap_or_default();
            let count = |wanted: &dyn Fn(&str) -> bool| -> u64 {
                let wanted = counts.iter().filter(|(word, _)| wanted(word));
                wanted.filter_map(|(_, count)| count.as_u64()).sum()
            };
            let is_open = |word: &str| OPEN.contains(&word);
            let (open, all) = (count(&is_open), count(&|_| true));
            progress.say(&format!("run {run}: {} of {all} tasks ended", all - open));
            let word = status["status"].as_str().unwrap_or_default();
            if !is_open(word) {
                let told = format!(
                    "{:#}",
                    json!({ "run": run, "status": word, "counts": counts })
                );
                return if word == "SUCCESS" {
                    Ok(told)
                } else {
                    Err(told)
                };
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn plan_status(&self, run: Option<&str>) -> ToolOutcome {
        let run = named("run", run.unwrap_or("latest"))?;
        let words = ["plan", "status", run].map(str::to_owned);
        self.run_child(words.into_iter().chain([self.runs_dir()]).collect())
            .await
    }

    /// Runs of the root lie below it, wherever the server was started.
    pub(super) fn runs_dir(&self) -> String {
        let home = self.settings.root.join(TOS_FOLDER);
        format!("--runs-dir={}", home.display())
    }
}

/// Starts a plan and returns its run; a child that ends before there is one has said why on standard error.
fn begin(
    tos: &dyn crate::ports::self_process::SelfProcess,
    words: &[String],
) -> Result<String, String> {
    let mut child = tos.spawn(words)?;
    while let Some(line) = child.next_line() {
        if let Some(id) = line.strip_prefix("run_id: ") {
            return Ok(id.trim().to_owned());
        }
    }
    let code = child.wait(LAST_WORDS)?.0;
    Err(format!(
        "the run could not be started (tos ended with {code}); `tos plan run --enforce` in a terminal says why"
    ))
}

/// Returns a word of a client that is going to stand on a command line.
pub(super) fn named<'a>(key: &str, word: &'a str) -> Result<&'a str, String> {
    let is_plain =
        !word.is_empty() && !word.starts_with('-') && !word.chars().any(char::is_control);
    if is_plain {
        Ok(word)
    } else {
        Err(format!(
            "`{key}` is {word:?}; it must be a name that does not begin with `-`"
        ))
    }
}
