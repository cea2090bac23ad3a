//! Writes the run's own copy of its plan: everything expanded, loadable again, and by older tools where nothing
//! newer is used.

use std::{io, io::Write};

use crate::domain::plan::{
    Plan, PlanTask,
    task::{EnvPolicy, OptionalTaskSettings, PolicyMode, TaskAction, TaskStdin},
};

/// Writes `plan` as YAML.
pub(crate) fn write(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    if plan.guarded.is_some() {
        // Its run has a ledger and no copy; what is written here would be another plan.
        let error = "the tasks of agents are not copied";
        return Err(io::Error::new(io::ErrorKind::Unsupported, error));
    }
    let (main, handlers) = plan.tasks.split_at(plan.main_task_count());
    writeln!(out, "tasks:")?;
    main.iter()
        .try_for_each(|task| write_task(plan, task, out))?;
    if !handlers.is_empty() {
        writeln!(out, "on_failure:")?;
        handlers
            .iter()
            .try_for_each(|task| write_task(plan, task, out))?;
    }
    for (key, value) in [("goal", &plan.goal), ("artifacts_dir", &plan.artifacts_dir)] {
        if let Some(value) = value {
            writeln!(out, "{key}: {}", quoted(value))?;
        }
    }
    if let Some(max_parallel) = plan.max_parallel {
        writeln!(out, "max_parallel: {max_parallel}")?;
    }
    if !plan.resources.is_empty() {
        let resources = plan
            .resources
            .iter()
            .map(|(name, amount)| format!("{}: {amount}", quoted(name)));
        writeln!(out, "resources: {{{}}}", joined(resources))?;
    }
    match plan.policy {
        PolicyMode::Off => writeln!(out, "policy: \"off\"")?,
        PolicyMode::Minimal => {}
        PolicyMode::Enforce => writeln!(out, "policy: \"enforce\"")?,
    }
    Ok(())
}

fn write_task(plan: &Plan, task: &PlanTask, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "- id: {}", quoted(&task.id))?;
    match &task.action {
        TaskAction::Argv(words) => writeln!(out, "  cmd: {}", list(words))?,
        TaskAction::Shell(text) => writeln!(out, "  shell: {}", quoted(text))?,
        TaskAction::Job(job) => {
            let config = job
                .config
                .iter()
                .map(|path| format!("config: {}", quoted(path)));
            let parts = [format!("root: {}", quoted(&job.root))]
                .into_iter()
                .chain(config);
            writeln!(
                out,
                "  job: {{{}, args: {}}}",
                joined(parts),
                list(&job.args)
            )?;
        }
    }
    let names: Vec<&str> = task
        .depends_on
        .iter()
        .filter_map(|up| plan.task(*up))
        .map(|up| &*up.id)
        .collect();
    writeln!(out, "  depends_on: {}", list(&names))?;
    if let Some(cwd) = &task.cwd {
        writeln!(out, "  cwd: {}", quoted(cwd))?;
    }
    if let Some(env) = &task.env {
        let pairs = env
            .iter()
            .map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
        writeln!(out, "  env: {{{}}}", joined(pairs))?;
    }
    if let Some(seconds) = task.timeout_sec {
        writeln!(out, "  timeout_sec: {}", number(seconds))?;
    }
    let waits = joined(
        task.retry_backoff_sec
            .iter()
            .map(|seconds| number(*seconds)),
    );
    writeln!(
        out,
        "  retries: {}\n  retry_backoff_sec: [{waits}]",
        task.retries
    )?;
    writeln!(out, "  outputs: {}", list(&task.outputs))?;
    match &task.extra {
        Some(extra) => write_extra(plan, extra, out),
        None => Ok(()),
    }
}

fn write_extra(plan: &Plan, extra: &OptionalTaskSettings, out: &mut impl Write) -> io::Result<()> {
    // All by name, so that a new one cannot be forgotten here.
    let OptionalTaskSettings {
        env_file,
        stdin,
        needs_files,
        needs_labels,
        when,
        resources,
        priority,
        allow_failure,
        cache,
        env_policy,
        idle_timeout_sec,
        grace_seconds,
    } = extra;
    for (key, texts) in [
        ("env_file", env_file),
        ("needs_files", needs_files),
        ("needs_labels", needs_labels),
    ] {
        if !texts.is_empty() {
            writeln!(out, "  {key}: {}", list(texts))?;
        }
    }
    match stdin {
        TaskStdin::Empty => {}
        TaskStdin::Text(text) => writeln!(out, "  stdin: {}", quoted(text))?,
        TaskStdin::File(path) => writeln!(out, "  stdin: {{file: {}}}", quoted(path))?,
    }
    if let Some(when) = when {
        writeln!(out, "  when: {}", quoted(&when.text))?;
    }
    if !resources.is_empty() {
        let held = resources.iter().filter_map(|(index, amount)| {
            let (name, _) = plan.resources.get(*index as usize)?;
            Some(format!("{}: {amount}", quoted(name)))
        });
        writeln!(out, "  resources: {{{}}}", joined(held))?;
    }
    if *priority != 0 {
        writeln!(out, "  priority: {priority}")?;
    }
    if *allow_failure {
        writeln!(out, "  allow_failure: true")?;
    }
    if let Some(cache) = cache {
        writeln!(
            out,
            "  cache: {{inputs: {}, env: {}}}",
            list(&cache.inputs),
            list(&cache.env)
        )?;
    }
    if *env_policy == EnvPolicy::Minimal {
        writeln!(out, "  env_policy: \"minimal\"")?;
    }
    for (key, seconds) in [
        ("idle_timeout_sec", *idle_timeout_sec),
        ("grace_seconds", *grace_seconds),
    ] {
        if let Some(seconds) = seconds {
            writeln!(out, "  {key}: {}", number(seconds))?;
        }
    }
    Ok(())
}

fn list(texts: &[impl AsRef<str>]) -> String {
    format!(
        "[{}]",
        joined(texts.iter().map(|text| quoted(text.as_ref())))
    )
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

/// Returns a number without an exponent: with one, YAML 1.1 takes it for text.
fn number(value: f64) -> String {
    let text = value.to_string();
    // A whole number of many digits would be an integer too large to read.
    if text.len() > 15 && !text.contains('.') {
        format!("{text}.0")
    } else {
        text
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // Writing to a string cannot fail.
                let _ = std::fmt::Write::write_fmt(
                    &mut quoted,
                    format_args!("\\u{:04x}", u32::from(c)),
                );
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
