//! What a client may read: where things stand, the summary of the last run, and what commands and plans printed.

use rmcp::model::{Resource, ResourceTemplate};

use super::{commands::McpState, plans::named};
use crate::domain::text::last_bytes;

/// How much of a file is handed out, in bytes; the end of it says most.
const MOST: usize = 256 * 1024;

/// Returns the resources that are always there.
pub(super) fn fixed() -> Vec<Resource> {
    let resource = |uri: &str, name: &str, about: &str| {
        Resource::new(uri, name)
            .with_description(about)
            .with_mime_type("application/json")
    };
    vec![
        resource(
            "tos://status",
            "status",
            "Where the job, the plans and the nights of the project stand",
        ),
        resource(
            "tos://summary",
            "summary",
            "The summary of the last run of the job",
        ),
        resource("tos://plans", "plans", "The runs of plans"),
        resource("tos://ledger", "ledger", "The newest records of evidence"),
    ]
}

/// Returns the resources that are found by a name.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = |uri: &str, name: &str, about: &str| {
        ResourceTemplate::new(uri, name)
            .with_description(about)
            .with_mime_type("text/plain")
    };
    vec![
        template(
            "tos://commands/{number}/{stream}",
            "command-output",
            "All that a command of run_command printed; stream is stdout or stderr",
        ),
        template(
            "tos://plans/{run}/report",
            "plan-report",
            "The report of a run of a plan",
        ),
        template(
            "tos://plans/{run}/logs",
            "plan-logs",
            "What the tasks of a run printed",
        ),
        template(
            "tos://steps/{number}",
            "step-log",
            "What happened in a step of the job",
        ),
    ]
}

/// Returns what a resource is.
pub(super) fn mime_type(uri: &str) -> &'static str {
    let is_fixed = ["status", "summary", "plans", "ledger"]
        .iter()
        .any(|name| uri.strip_prefix("tos://") == Some(name));
    if is_fixed {
        "application/json"
    } else {
        "text/plain"
    }
}

impl McpState {
    /// Reads a resource; `Ok(None)` = there is none of this name.
    pub(super) async fn resource(&self, uri: &str) -> Result<Option<String>, String> {
        let Some(path) = uri.strip_prefix("tos://") else {
            return Ok(None);
        };
        let parts: Vec<&str> = path.split('/').collect();
        let words: Vec<String> = match parts.as_slice() {
            ["status"] => return self.status().await.map(Some),
            ["plans"] => ["plan", "list"]
                .map(str::to_owned)
                .into_iter()
                .chain([self.runs_dir()])
                .collect(),
            ["ledger"] => ["ledger", "show", "--last=50"].map(str::to_owned).to_vec(),
            ["summary"] => {
                return Ok(self.file(&self.settings.absolute(&self.settings.paths.run_summary)));
            }
            ["steps", number] if number.parse::<u32>().is_ok() => {
                let log = self
                    .run_child(["steps", number].map(str::to_owned).to_vec())
                    .await;
                let is_missing =
                    |why: &String| why.starts_with(&format!("there is no step {number}"));
                return match log {
                    Err(why) if is_missing(&why) => Ok(None),
                    log => log.map(Some),
                };
            }
            ["plans", run, what @ ("report" | "logs")] => {
                let run = named("run", run)?;
                let words = ["plan", what, run].map(str::to_owned);
                words.into_iter().chain([self.runs_dir()]).collect()
            }
            ["commands", number, stream @ ("stdout" | "stderr")] => {
                let Ok(number) = number.parse::<u32>() else {
                    return Ok(None);
                };
                let file = self.services.outputs.join(format!("{number:02}.{stream}"));
                return Ok(self.file(&file));
            }
            _ => return Ok(None),
        };
        self.run_child(words).await.map(Some)
    }

    /// Returns where everything stands. A project without a configuration has no job, and that is all there is to say.
    async fn status(&self) -> Result<String, String> {
        let told = self.run_child(vec!["status".to_owned()]).await;
        let missing = self.settings.require_file().err();
        match (told, missing) {
            (Err(why), Some(missing)) if why == missing.to_string() => Ok(format!(
                "{:#}",
                serde_json::json!({
                    "phase": null, "root": self.settings.root, "plans": null, "night": null,
                    "note": "no job, plan or night was run here; no configuration is needed for the tools of this server",
                })
            )),
            (told, _) => told,
        }
    }

    fn file(&self, path: &std::path::Path) -> Option<String> {
        let text = self.services.tos.read(path)?;
        Some(last_bytes(&text, MOST).to_owned())
    }
}
