//! `tos merge`: tries the merges that wait for a clean checkout, and says what came of each.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    board::all_tasks,
    service_client::{ServiceClient, print_answer},
};
use crate::interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory};

/// How often, and how many times, the outcome of merges is looked at.
const MERGE_LOOK: Duration = Duration::from_millis(100);
const MERGE_LOOKS: usize = 300;

/// Tries the merges that wait for a clean checkout.
pub fn main(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    let waiting = in_queue(&client)?;
    let answer = client.ask("POST", "/system/merges/retry", &Value::Null)?;
    if waiting.is_empty() {
        print_answer(&answer, "no merge waits", printer);
        return Ok(CliExit::Success);
    }
    let process = services.self_process();
    let mut outcomes = Vec::new();
    for _ in 0..MERGE_LOOKS {
        outcomes = waiting
            .iter()
            .map(|id| outcome(&client, *id))
            .collect::<Result<Vec<_>, _>>()?;
        if outcomes.iter().all(|outcome| outcome.is_over) {
            break;
        }
        process.sleep(MERGE_LOOK);
    }
    for outcome in &outcomes {
        printer.line(&format!("task-{}: {}", outcome.task, outcome.words));
    }
    printer.document(&json!({
        "tasks": outcomes.iter().map(|one| json!({
            "id": one.task, "merged": one.is_merged, "detail": one.words,
        })).collect::<Vec<_>>(),
    }));
    let all = outcomes.iter().all(|outcome| outcome.is_merged);
    Ok(if all {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}

/// What became of a merge.
struct MergeNews {
    task: u64,
    words: String,
    is_over: bool,
    is_merged: bool,
}

/// Returns the tasks that are approved and not merged here yet.
fn in_queue(client: &ServiceClient) -> Result<Vec<u64>, CliError> {
    let ask = |method: &str, path: &str, body: Value| client.ask(method, path, &body);
    let all = all_tasks(Some("blocked"), &ask)?;
    let tasks = all["tasks"].as_array().into_iter().flatten();
    let queued = tasks.filter(|task| task["resolver"] == "merge-queue");
    Ok(queued.filter_map(|task| task["id"].as_u64()).collect())
}

fn outcome(client: &ServiceClient, task: u64) -> Result<MergeNews, CliError> {
    let answer = client.ask("GET", &format!("/tasks/{task}"), &Value::Null)?;
    let task_view = &answer["task"];
    let detail = task_view["detail"].as_str().unwrap_or_default();
    let is_merged = task_view["status"] == "done";
    let is_tried = task_view["resolver"] != "merge-queue"
        || !detail.contains("tried again for") && !detail.starts_with("approved;");
    Ok(MergeNews {
        task,
        words: if is_merged {
            format!(
                "merged as {}",
                task_view["mergedCommit"].as_str().unwrap_or_default()
            )
        } else {
            detail.to_owned()
        },
        is_over: is_merged || is_tried,
        is_merged,
    })
}
