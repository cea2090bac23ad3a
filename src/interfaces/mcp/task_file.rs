//! Tasks that clients propose: a list in the state folder that a person starts. Adding to it runs nothing.

use serde_json::{Value, json};

use super::{
    commands::{McpState, ToolOutcome},
    tools::{TaskAdd, TaskStatus},
};
use crate::{
    config::task_list,
    domain::{command::Command, policy::Decision, state_folder::tos_path, tasks::TaskList},
};

/// The list, relative to the root.
const FILE: &str = tos_path!("mcp/tasks.json");

impl McpState {
    pub(super) async fn task_add(&self, call: TaskAdd) -> ToolOutcome {
        let _turn = self.task_file.lock().await;
        let test = Command::exec(call.test_command.clone());
        let verdict = self.judge(&test, &self.services.world);
        if verdict.decision != Decision::Allow {
            return Err(format!(
                "`test_command` is refused by the policy: {}",
                verdict.reason
            ));
        }
        let mut list = self.task_list()?;
        let task = json!({
            "id": call.id, "goal": call.goal, "prompt": call.prompt,
            "class": call.class.as_deref().unwrap_or("fix"), "test_command": call.test_command,
            "context_files": call.context_files, "depends_on": call.depends_on,
        });
        if let Some(tasks) = list["task"].as_array_mut() {
            tasks.push(task);
        }
        let text = format!("{list:#}\n");
        let read: TaskList = task_list::parse(&text, FILE).map_err(|error| error.to_string())?;
        let file = self.settings.root.join(FILE);
        self.services.tos.write(&file, &text)?;
        Ok(format!(
            "{:#}",
            json!({ "id": call.id, "tasks": read.tasks.len(), "list": FILE, "next": format!("a person runs it: tos task run {FILE}") })
        ))
    }

    pub(super) async fn task_status(&self, call: TaskStatus) -> ToolOutcome {
        let is_meant = |id: &Value| call.id.as_deref().is_none_or(|wanted| id == wanted);
        let list = self.task_list()?;
        let waiting: Vec<Value> = list["task"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|task| is_meant(&task["id"]))
            .map(|task| json!({ "id": task["id"], "goal": task["goal"], "depends_on": task["depends_on"] }))
            .collect();
        let words = ["ledger", "show", "--kind=task", "--last=200"].map(str::to_owned);
        let record = self.run_child(words.to_vec()).await?;
        let record: Value = serde_json::from_str(&record).map_err(|error| error.to_string())?;
        let records = record["records"].as_array().into_iter().flatten();
        let ended: Vec<&Value> = records
            .filter(|record| is_meant(&record["task"]) || is_meant(&record["entry"]["task"]))
            .collect();
        if call.id.is_some() && waiting.is_empty() && ended.is_empty() {
            let id = call.id.unwrap_or_default();
            return Err(format!("no task `{id}` is on the list or in the record"));
        }
        Ok(format!(
            "{:#}",
            json!({ "list": FILE, "tasks": waiting, "ended": ended })
        ))
    }

    fn task_list(&self) -> Result<Value, String> {
        match self.services.tos.read(&self.settings.root.join(FILE)) {
            None => Ok(json!({
                "schema": 1, "id": "mcp", "agent": { "kind": self.agent }, "task": [],
            })),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| format!("{FILE} is not JSON: {error}; mend it or take it away")),
        }
    }
}
