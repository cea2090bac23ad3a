//! What a client may read: where things stand, the summary of the last run, and what commands and plans printed.

use rmcp::model::{Resource, ResourceTemplate};

use super::{commands::Workbench, plans::named};

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

impl Workbench {
    /// Reads a resource; `Ok(None)` = there is none of this name.
    pub(super) async fn resource(&self, uri: &str) -> Result<Option<String>, String> {
        let Some(path) = uri.strip_prefix("tos://") else {
            return Ok(None);
        };
        let parts: Vec<&str> = path.split('/').collect();
        let words: Vec<String> = match parts.as_slice() {
            ["status"] => vec!["status".into()],
            ["plans"] => ["plan", "list"]
                .map(str::to_owned)
                .into_iter()
                .chain([self.runs_dir()])
                .collect(),
            ["ledger"] => ["ledger", "show", "--last=50"].map(str::to_owned).to_vec(),
            ["summary"] => {
                return Ok(self.file(&self.settings.at(&self.settings.paths.run_summary)));
            }
            ["steps", number] if number.parse::<u32>().is_ok() => {
                ["steps", number].map(str::to_owned).to_vec()
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
        self.child(words).await.map(Some)
    }

    fn file(&self, path: &std::path::Path) -> Option<String> {
        let text = self.services.tos.read(path)?;
        let from = text.len().saturating_sub(MOST);
        let from = (from..=text.len()).find(|at| text.is_char_boundary(*at))?;
        Some(text.get(from..)?.to_owned())
    }
}
