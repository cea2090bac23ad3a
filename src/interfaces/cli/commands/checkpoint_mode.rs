//! `--mode checkpoint`.

use serde_json::json;

use crate::{
    domain::checkpoint::CheckpointRequest,
    interfaces::cli::{
        args::RunModeArgs,
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        services, words,
    },
};

/// Commits what is there under a name, and remembers the commit for `--mode rollback`.
pub fn main(
    args: &RunModeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let Some(name) = args.name.clone() else {
        return Err(CliError::Bare {
            what: "`--mode checkpoint` needs `--name NAME`",
            hint: words::HELP,
        });
    };
    let settings = services.settings(global)?;
    let lock = services.lock(&settings, "tos --mode checkpoint")?;
    let checkpoints = services.checkpoints(&settings);
    let order = CheckpointRequest {
        name,
        allow_secrets: args.allow_secrets,
    };
    let init = args.init;
    let taken = services::block_on(services, move |_stop| {
        Box::pin(async move {
            if init {
                checkpoints.init().await?;
            }
            checkpoints.take(&order).await
        })
    })??;
    services.write_root_file(
        &settings,
        &settings.paths.last_checkpoint,
        &format!("{}\n", taken.hash),
    )?;
    drop(lock);
    if !taken.skipped_hooks.is_empty() {
        printer.alert(&format!(
            "hooks were not run: {}",
            taken.skipped_hooks.join(", ")
        ));
    }
    for path in &taken.left_alone {
        printer.alert(&format!("nested repository not included: {path}"));
    }
    if taken.covers != settings.root {
        printer.note(&format!("covers {}", taken.covers.display()));
    }
    printer.note(&format!("changes {}", taken.changes.len()));
    printer.note(&format!(
        "last_checkpoint saved {}",
        settings.paths.last_checkpoint.display()
    ));
    printer.line(&format!("checkpoint {}", taken.hash));
    write_checkpoint_summary(
        args,
        services,
        &settings,
        &json!({
            "mode": "checkpoint", "checkpoint_hash": taken.hash, "checkpoint_name": taken.name,
            "checkpoint_number": taken.number,
        }),
    )?;
    printer.document(&serde_json::to_value(&taken).unwrap_or_default());
    Ok(CliExit::Success)
}

/// Writes the summary of a checkpoint or rollback, where one was asked for.
pub fn write_checkpoint_summary(
    args: &RunModeArgs,
    services: &dyn ServiceFactory,
    settings: &crate::config::Settings,
    facts: &serde_json::Value,
) -> Result<(), CliError> {
    let Some(file) = &args.summary_file else {
        return Ok(());
    };
    let mut facts = facts.clone();
    if let Some(map) = facts.as_object_mut() {
        map.insert("root".into(), settings.root.display().to_string().into());
    }
    let pairs: Vec<(&str, String)> = facts
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            (
                key.as_str(),
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        })
        .collect();
    services.write_root_file(
        settings,
        file,
        &crate::services::job::event_bus::pretty_json(&facts),
    )?;
    let twin = file.with_extension("txt");
    services.write_root_file(
        settings,
        &twin,
        &format!("{}\n", crate::domain::job::record::key_value_line(&pairs)),
    )
}
