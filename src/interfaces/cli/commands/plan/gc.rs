//! `gc`: deletes old runs, and of the cache what no run uses any more.

use std::{collections::BTreeSet, path::Path};

use super::{PlanCliError, PlanCommands, args::GcArgs};
use crate::{
    interfaces::cli::exit::CliExit,
    ports::plan_store::{CacheCleanup, CacheCleanupResult},
};

const DAY: i64 = 24 * 3600 * 1000;

/// Deletes old runs and old cached successes.
pub(super) fn gc(args: &GcArgs, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let home = context.home(args.home.home.as_deref())?;
    let all = context.plan_store.runs(&home)?;
    let mut busy = BTreeSet::new();
    let mut empty = BTreeSet::new();
    for name in &all {
        if context.plan_store.open(&home, name)?.never_began() {
            empty.insert(name.clone());
        }
    }
    // What never began is no run that anybody keeps.
    let began = all.iter().filter(|name| !empty.contains(*name));
    let count = (all.len() - empty.len()).saturating_sub(args.keep);
    let old: BTreeSet<String> = began.take(count).cloned().collect();
    let mut runs: BTreeSet<String> = all.iter().cloned().collect();
    let (mut freed, mut deleted) = (0, Vec::new());
    for name in all {
        let mut run = context.plan_store.open(&home, &name)?;
        // Only what is certainly over goes: an interrupted run can still be resumed.
        let is_over =
            empty.contains(&name) || run.state().is_ok_and(|state| state.status.is_over());
        if !is_over || run.is_live() {
            if old.contains(&name) {
                context
                    .printer
                    .note(&format!("kept {name}: it is not over"));
            }
            busy.insert(name);
            continue;
        }
        if !old.contains(&name) && !empty.contains(&name) {
            continue;
        }
        deleted.push(name.clone());
        runs.remove(&name);
        if args.dry_run {
            context.printer.line(&format!("would delete {name}"));
            continue;
        }
        run.lock()?;
        freed += run.delete()?;
        context.printer.note(&format!("deleted {name}"));
    }
    let verb = verb(args.dry_run);
    context.printer.line(&format!(
        "{} runs {verb}, {} KiB freed, {} kept",
        deleted.len(),
        freed / 1024,
        runs.len()
    ));
    let swept = sweep(args, context, &home, &runs, &busy);
    context.printer.document(&serde_json::json!({
        "deleted": deleted, "freed_bytes": freed, "kept": runs.len(), "dry_run": args.dry_run,
        "cache": { "deleted": swept.deleted, "freed_bytes": swept.bytes, "kept": swept.kept },
    }));
    Ok(CliExit::Success)
}

const fn verb(is_rehearsal: bool) -> &'static str {
    if is_rehearsal {
        "would be deleted"
    } else {
        "deleted"
    }
}

fn sweep(
    args: &GcArgs,
    context: PlanCommands<'_>,
    home: &Path,
    runs: &BTreeSet<String>,
    busy: &BTreeSet<String>,
) -> CacheCleanupResult {
    let now = context.clock.now().timestamp_millis();
    let swept = context.plan_store.sweep_cache(
        home,
        &CacheCleanup {
            runs,
            busy,
            unused_since: now - i64::from(args.cache_days) * DAY,
            now,
            is_rehearsal: args.dry_run,
        },
    );
    if swept.deleted + swept.kept > 0 {
        context.printer.line(&format!(
            "{} cached successes {}, {} KiB freed, {} kept",
            swept.deleted,
            verb(args.dry_run),
            swept.bytes / 1024,
            swept.kept
        ));
    }
    swept
}
