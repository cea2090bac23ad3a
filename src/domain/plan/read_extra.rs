//! Reads what few tasks have: conditions, resources, caches, input, jobs.

use crate::domain::{
    board::check_labels,
    plan::{
        field::{PlanField, reject_unknown_fields},
        node::{PlanError, YamlNode, YamlValue},
        scope::VariableScope,
        task::{CacheInputs, EnvPolicy, JobTask, OptionalTaskSettings, PolicyMode, TaskStdin},
        when,
        when::WhenCondition,
        written::WrittenTask,
    },
};

/// Reads the rare fields of a task; a task that has none costs nothing.
pub(super) fn extra(
    written: &WrittenTask<'_>,
    owner: &str,
    scope: &VariableScope<'_>,
    resources: &[(String, u32)],
) -> Result<Option<Box<OptionalTaskSettings>>, PlanError> {
    let field = |name| {
        let node = written.get(name).filter(|node| !node.is_null());
        node.map(|node| PlanField {
            node,
            name,
            owner,
            scope,
        })
    };
    let extra = OptionalTaskSettings {
        env_file: field("env_file").map_or(Ok(Vec::new()), |field| field.one_or_more())?,
        stdin: field("stdin").map_or(Ok(TaskStdin::Empty), |field| stdin(&field))?,
        needs_files: field("needs_files").map_or(Ok(Vec::new()), |field| field.one_or_more())?,
        needs_labels: field("needs_labels").map_or(Ok(Vec::new()), |field| labels(&field))?,
        when: field("when").map(|field| condition(&field)).transpose()?,
        resources: field("resources").map_or(Ok(Vec::new()), |field| held(&field, resources))?,
        priority: field("priority").map_or(Ok(0), |field| field.integer())?,
        allow_failure: field("allow_failure").map_or(Ok(false), |field| field.flag())?,
        cache: field("cache").map_or(Ok(None), |field| cache(&field))?,
        env_policy: field("env_policy")
            .map_or(Ok(EnvPolicy::Inherit), |field| env_policy(&field))?,
        idle_timeout_sec: field("idle_timeout_sec")
            .map(|field| field.seconds(false))
            .transpose()?,
        grace_seconds: field("grace_seconds")
            .map(|field| field.seconds(true))
            .transpose()?,
    };
    Ok((extra != OptionalTaskSettings::default()).then(|| Box::new(extra)))
}

fn labels(field: &PlanField<'_>) -> Result<Vec<String>, PlanError> {
    let mut labels = field.one_or_more()?;
    labels.sort();
    labels.dedup();
    check_labels(&labels).map_err(|why| field.fault(&format!("cannot be read: {why}")))?;
    Ok(labels)
}

fn stdin(field: &PlanField<'_>) -> Result<TaskStdin, PlanError> {
    if let YamlValue::Scalar { .. } = field.node.value {
        return field.any_text().map(TaskStdin::Text);
    }
    reject_unknown_fields(
        field.map()?,
        &["file"],
        &format!("`stdin` of {}", field.owner),
    )?;
    match field.node.get("file") {
        Some(file) => field.at(file).text().map(TaskStdin::File),
        None => Err(field.fault("must be text or `{file: PATH}`")),
    }
}

fn condition(field: &PlanField<'_>) -> Result<WhenCondition, PlanError> {
    let text = field.text()?;
    WhenCondition::parse(&text).map_err(|error| {
        let fault = field.fault(&format!("cannot be read: {error}"));
        match error {
            when::Error::UnknownWord { word } => {
                fault.with_suggestions(&word, when::WORDS.iter().copied())
            }
            when::Error::Unexpected { .. } | when::Error::TooDeep => fault.with_remedy(
                "for example `any_failed` or `failed(\"build\") || exit_code(\"test\") == 3`",
            ),
        }
    })
}

fn held(field: &PlanField<'_>, resources: &[(String, u32)]) -> Result<Vec<(u32, u32)>, PlanError> {
    let mut held = Vec::new();
    if let YamlValue::Map(entries) = &field.node.value {
        for entry in entries {
            let amount = field.at(&entry.value).integer_at_least(1)?;
            held.push(resource(field, &entry.key, amount, resources)?);
        }
    } else {
        for name in field.one_or_more()? {
            held.push(resource(field, &name, 1, resources)?);
        }
    }
    held.sort_unstable();
    if held
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.0 == b.0))
    {
        return Err(field.fault("names a resource twice"));
    }
    Ok(held)
}

fn resource(
    field: &PlanField<'_>,
    name: &str,
    amount: u32,
    resources: &[(String, u32)],
) -> Result<(u32, u32), PlanError> {
    let Some(index) = resources.iter().position(|(known, _)| known == name) else {
        let message = format!(
            "{} holds the resource `{name}`, which the plan does not have",
            field.owner
        );
        return Err(PlanError::new(field.node.mark, message)
            .with_suggestions(name, resources.iter().map(|(name, _)| name.as_str())));
    };
    let there_is = resources.get(index).map_or(0, |(_, amount)| *amount);
    if amount > there_is {
        return Err(field.fault(&format!(
            "asks for {amount} of `{name}`, of which there is {there_is}"
        )));
    }
    Ok((u32::try_from(index).unwrap_or(u32::MAX), amount))
}

fn cache(field: &PlanField<'_>) -> Result<Option<CacheInputs>, PlanError> {
    if let YamlValue::Scalar { .. } = field.node.value {
        return Ok(field.flag()?.then(CacheInputs::default));
    }
    reject_unknown_fields(
        field.map()?,
        &["inputs", "env"],
        &format!("`cache` of {}", field.owner),
    )?;
    let texts = |name| {
        field
            .node
            .get(name)
            .map_or(Ok(Vec::new()), |node| field.at(node).texts())
    };
    Ok(Some(CacheInputs {
        inputs: texts("inputs")?,
        env: texts("env")?,
    }))
}

fn env_policy(field: &PlanField<'_>) -> Result<EnvPolicy, PlanError> {
    match field.text()?.as_str() {
        "inherit" => Ok(EnvPolicy::Inherit),
        "minimal" => Ok(EnvPolicy::Minimal),
        _ => Err(field.fault("must be `inherit` or `minimal`")),
    }
}

/// Reads whether the plan is enforced: because it says so, or because a model wrote it.
pub(super) fn policy(
    policy: Option<PlanField<'_>>,
    origin: Option<PlanField<'_>>,
) -> Result<PolicyMode, PlanError> {
    let is_model = origin.map_or(Ok(false), |field| is_model(&field))?;
    match policy {
        None if is_model => Ok(PolicyMode::Enforce),
        None => Ok(PolicyMode::Minimal),
        Some(field) => match policy_mode(&field)? {
            PolicyMode::Off | PolicyMode::Minimal if is_model => Err(field
                .fault("has to be `enforce` in a plan whose `origin` is a model")
                .with_remedy(
                    "remove it; once a person has read the plan, `origin: person` says so",
                )),
            mode @ (PolicyMode::Off | PolicyMode::Minimal | PolicyMode::Enforce) => Ok(mode),
        },
    }
}

/// Returns `policy`, or enforcement where the included `file` was written by a model.
pub(super) fn included_policy(
    file: &YamlNode,
    policy: PolicyMode,
) -> Result<PolicyMode, PlanError> {
    let Some(node) = file.get("origin") else {
        return Ok(policy);
    };
    let field = PlanField {
        node,
        name: "origin",
        owner: "an included file",
        scope: &VariableScope::default(),
    };
    Ok(if is_model(&field)? {
        PolicyMode::Enforce
    } else {
        policy
    })
}

fn is_model(field: &PlanField<'_>) -> Result<bool, PlanError> {
    match field.text()?.as_str() {
        "model" => Ok(true),
        "person" => Ok(false),
        _ => Err(field.fault("must be `person` or `model`")),
    }
}

fn policy_mode(field: &PlanField<'_>) -> Result<PolicyMode, PlanError> {
    // `off` without quotes is a boolean in YAML 1.1, and means what it says.
    if field.flag() == Ok(false) {
        return Ok(PolicyMode::Off);
    }
    match field.text()?.as_str() {
        "off" => Ok(PolicyMode::Off),
        "minimal" => Ok(PolicyMode::Minimal),
        "enforce" => Ok(PolicyMode::Enforce),
        _ => Err(field.fault("must be `off`, `minimal` or `enforce`")),
    }
}

/// Reads the job of a task.
pub(super) fn job(field: &PlanField<'_>) -> Result<JobTask, PlanError> {
    if let YamlValue::Scalar { .. } = field.node.value {
        return Ok(JobTask {
            root: field.text()?,
            ..JobTask::default()
        });
    }
    reject_unknown_fields(
        field.map()?,
        &["root", "config", "args"],
        &format!("`job` of {}", field.owner),
    )?;
    let text = |name| {
        field
            .node
            .get(name)
            .map_or(Ok(None), |node| field.at(node).optional_text())
    };
    Ok(JobTask {
        root: text("root")?.unwrap_or_else(|| ".".to_owned()),
        config: text("config")?,
        args: field
            .node
            .get("args")
            .map_or(Ok(Vec::new()), |node| field.at(node).texts())?,
    })
}
