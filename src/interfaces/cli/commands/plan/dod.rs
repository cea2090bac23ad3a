//! `tos dod-check`: runs the release checklist of plans against this very program, as a user would.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use super::args::ReleaseChecklistArgs;
use crate::{
    interfaces::cli::common::{CliExit, GlobalArgs, Printer, ServiceFactory},
    ports::self_process::{ExitedChild, SelfProcess},
};

struct Check<'a> {
    tos: &'a dyn SelfProcess,
    printer: &'a Printer,
    home: PathBuf,
    seen: Vec<String>,
}

type Verdict<T> = Result<T, String>;

/// Runs the checklist.
pub fn main(
    args: &ReleaseChecklistArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> CliExit {
    let tos = services.self_process();
    let store = services.plan_store();
    let home = super::runs_folder(args.home.as_deref(), store.as_ref(), global, services);
    let home = match home {
        Ok(home) => home,
        Err(error) => {
            printer.error(&error.to_string(), &[], None);
            return CliExit::Invalid;
        }
    };
    let mut check = Check {
        tos: tos.as_ref(),
        printer,
        home: tos.absolute(&home),
        seen: Vec::new(),
    };
    let mut summary = json!({"result": "FAIL", "home": check.home.display().to_string()});
    let result = check.all(&mut summary);
    match &result {
        Ok(()) => summary["result"] = "PASS".into(),
        Err(why) => summary["error"] = why.as_str().into(),
    }
    if let Some(path) = &args.json_out
        && let Err(why) = tos.write(path, &format!("{summary:#}\n"))
    {
        printer.error(&why, &[], None);
        return CliExit::NotDone;
    }
    printer.document(&summary);
    match result {
        Ok(()) => {
            printer.line("dod-check: PASS");
            CliExit::Success
        }
        Err(why) => {
            printer.error(&why, &[], Some("run it where `examples/` is"));
            CliExit::NotDone
        }
    }
}

impl Check<'_> {
    fn all(&mut self, summary: &mut Value) -> Verdict<()> {
        let basic = self.basic()?;
        summary["basic_run_id"] = basic.as_str().into();
        summary["parallel_run_id"] = self.parallel()?.into();
        summary["fail_run_id"] = self.fail()?.into();
        self.resume(&basic)?;
        self.look(&basic)?;
        summary["cancel_run_id"] = self.cancel()?.into();
        Ok(())
    }

    fn plan(&self, words: &[&str]) -> Verdict<ExitedChild> {
        let mut all = vec!["plan".to_owned()];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all.extend(["--home".to_owned(), self.home.display().to_string()]);
        self.tos.run(&all)
    }

    fn wants(&self, what: &str, found: &ExitedChild, code: i32) -> Verdict<()> {
        if found.0 != code {
            return Err(format!("{what}: exit code {} instead of {code}", found.0));
        }
        self.printer.note(&format!("ok  {what} -> {code}"));
        Ok(())
    }

    fn run_id(&mut self, output: &str) -> Verdict<String> {
        let id = output
            .lines()
            .find_map(|line| line.strip_prefix("run_id: "))
            .ok_or("no `run_id:` line was printed")?;
        let parts: Vec<&str> = id.split('_').collect();
        let digits = |text: &str, count: usize| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let hex = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_good = matches!(parts.as_slice(), [day, time, rest] if digits(day, 8) && digits(time, 6) && hex(rest));
        if !is_good || self.seen.iter().any(|seen| seen == id) {
            return Err(format!("`{id}` is not a new run id"));
        }
        self.seen.push(id.to_owned());
        Ok(id.to_owned())
    }

    fn state(&self, id: &str) -> Verdict<Value> {
        let path = self.home.join("runs").join(id).join("state.json");
        let text = self
            .tos
            .read(&path)
            .ok_or_else(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn expect(&self, id: &str, wanted: &str) -> Verdict<Value> {
        let state = self.state(id)?;
        if state["status"] != wanted {
            return Err(format!(
                "run {id} is {} instead of {wanted}",
                state["status"]
            ));
        }
        let report = self
            .home
            .join("runs")
            .join(id)
            .join("report/final_report.md");
        self.tos
            .read(&report)
            .ok_or_else(|| format!("{} is missing", report.display()))?;
        Ok(state)
    }

    fn basic(&mut self) -> Verdict<String> {
        let found = self.plan(&["run", "examples/plan_basic.yaml"])?;
        self.wants("run examples/plan_basic.yaml", &found, 0)?;
        let id = self.run_id(&found.1)?;
        self.expect(&id, "SUCCESS")?;
        Ok(id)
    }

    fn parallel(&mut self) -> Verdict<String> {
        let found = self.plan(&["run", "examples/plan_parallel.yaml", "--max-parallel", "2"])?;
        self.wants(
            "run examples/plan_parallel.yaml --max-parallel 2",
            &found,
            0,
        )?;
        let id = self.run_id(&found.1)?;
        let state = self.expect(&id, "SUCCESS")?;
        let tasks: Vec<&Value> = state["tasks"]
            .as_object()
            .into_iter()
            .flat_map(|tasks| tasks.values())
            .collect();
        let roots: Vec<&Value> = tasks
            .into_iter()
            .filter(|task| task["depends_on"] == json!([]))
            .collect();
        let text = |task: &Value, key: &str| task[key].as_str().unwrap_or_default().to_owned();
        let overlaps = roots.iter().enumerate().any(|(index, one)| {
            let others = roots.iter().skip(index + 1);
            others.clone().any(|other| {
                text(one, "started_at") < text(other, "ended_at")
                    && text(other, "started_at") < text(one, "ended_at")
            })
        });
        if overlaps {
            Ok(id)
        } else {
            Err("no two tasks of the parallel plan ran at the same time".to_owned())
        }
    }

    fn fail(&mut self) -> Verdict<String> {
        let found = self.plan(&["run", "examples/plan_fail_retry.yaml"])?;
        self.wants("run examples/plan_fail_retry.yaml", &found, 3)?;
        let id = self.run_id(&found.1)?;
        let state = self.expect(&id, "FAILED")?;
        let downstream = &state["tasks"]["downstream"];
        if downstream["status"] != "SKIPPED"
            || downstream["skip_reason"] != "dependency_not_success"
        {
            return Err("the task `downstream` was not skipped for its dependency".to_owned());
        }
        Ok(id)
    }

    fn resume(&self, id: &str) -> Verdict<()> {
        let before = self.state(id)?;
        let found = self.plan(&["resume", id])?;
        self.wants("resume of a finished run", &found, 0)?;
        let after = self.expect(id, "SUCCESS")?;
        if before["tasks"] == after["tasks"] {
            Ok(())
        } else {
            Err("resume touched tasks that had succeeded".to_owned())
        }
    }

    fn look(&self, id: &str) -> Verdict<()> {
        self.wants("status", &self.plan(&["status", id])?, 0)?;
        self.wants(
            "logs --task inspect --tail 5",
            &self.plan(&["logs", id, "--task", "inspect", "--tail", "5"])?,
            0,
        )
    }

    fn cancel(&mut self) -> Verdict<String> {
        let before = self.runs()?;
        let home = self.home.display().to_string();
        let words = [
            "plan",
            "run",
            "examples/plan_cancel.yaml",
            "-q",
            "--home",
            &home,
        ]
        .map(str::to_owned);
        let child = self.tos.spawn(&words)?;
        let id = self.appeared(&before);
        let asked = id
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|id| self.plan(&["cancel", id]));
        let ended = child.wait(Duration::from_secs(30))?;
        let (id, asked) = (id?, asked?);
        self.wants("cancel", &asked, 0)?;
        if !asked.1.contains("cancel requested") {
            return Err("cancel did not say `cancel requested`".to_owned());
        }
        self.wants("the canceled run", &ended, 4)?;
        self.expect(&id, "CANCELED")?;
        self.seen.push(id.clone());
        Ok(id)
    }

    fn runs(&self) -> Verdict<Vec<String>> {
        let (_, text) = self.plan(&["list", "--json"])?;
        let list: Value =
            serde_json::from_str(&text).map_err(|error| format!("list --json: {error}"))?;
        let ids = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|run| run["run_id"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    /// Waits for a new run that is under way.
    fn appeared(&self, before: &[String]) -> Verdict<String> {
        for _ in 0..200 {
            let new = self.runs()?.into_iter().find(|id| !before.contains(id));
            if let Some(id) = new
                && self.state(&id).is_ok_and(|state| is_under_way(&state))
            {
                return Ok(id);
            }
            self.tos.sleep(Duration::from_millis(100));
        }
        Err(format!(
            "no run appeared in {}",
            Path::new(&self.home).display()
        ))
    }
}

fn is_under_way(state: &Value) -> bool {
    state["status"] == "RUNNING"
}
