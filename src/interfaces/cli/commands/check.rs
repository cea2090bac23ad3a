//! `tos judge-change`: judges a change in any repository.

use clap::Args;
use serde_json::json;

use crate::{
    domain::validate::{Severity, ValidationFinding, ValidationRules, first_invalid_path, judge},
    interfaces::{
        cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        report::printer::TextStyle,
    },
};

/// Options of `tos judge-change`.
#[derive(Debug, Args)]
pub struct JudgeChangeArgs {
    /// The commit to compare with; everything since counts, committed, staged or not
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// A module that may be imported; may be repeated
    #[arg(long, value_name = "MODULE")]
    allow_import: Vec<String>,
    /// A text that no added line may contain; may be repeated
    #[arg(long, value_name = "TEXT")]
    ban: Vec<String>,
    /// Manifests and lock files may change
    #[arg(long)]
    allow_manifests: bool,
    /// A file, or a folder that ends in `/`, of what judges changes, which may change: a build file, settings of tests, what
    /// tests expect; may be repeated
    #[arg(long, value_name = "PATH")]
    may_change_check: Vec<String>,
    /// What a test no longer says is a finding, not a warning
    #[arg(long)]
    keep_expectations: bool,
    /// The author was confined: what a program may do to the machine is not a finding
    #[arg(long)]
    confined: bool,
    /// Files that may change
    #[arg(long, value_name = "N")]
    max_files: Option<u32>,
    /// Lines that may be added and removed
    #[arg(long, value_name = "N")]
    max_lines: Option<u32>,
    /// Files that may be created
    #[arg(long, value_name = "N")]
    max_created: Option<u32>,
    /// Bytes that all changed files may have together
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
}

/// Judges, and says what was found.
pub fn main(
    args: &JudgeChangeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let seen = services.collect_change(global, args.base.as_deref())?;
    let rules = rules(args, seen.rules.as_deref(), services)?;
    let findings = judge(&rules, &seen.project, &seen.changes);
    let failures = findings
        .iter()
        .filter(|finding| finding.weight == Severity::Failure)
        .count();
    for finding in &findings {
        printer.line(&shown(finding, printer));
    }
    let warnings = findings.len() - failures;
    let files = seen.changes.len();
    printer.note(&match (failures, warnings) {
        (0, 0) => format!("clean: {files} changed files"),
        _ => format!("{failures} findings, {warnings} warnings in {files} changed files"),
    });
    printer.document(&json!({
        "base": seen.base,
        "files": files,
        "clean": failures == 0,
        "findings": findings,
    }));
    Ok(if failures == 0 {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}

fn rules(
    args: &JudgeChangeArgs,
    text: Option<&str>,
    services: &dyn ServiceFactory,
) -> Result<ValidationRules, CliError> {
    let mut rules = match text {
        Some(text) => services.parse_change_rules(text)?,
        None => ValidationRules::default(),
    };
    rules.allowed_imports.extend(args.allow_import.clone());
    rules.banned_patterns.extend(args.ban.clone());
    rules.allow_manifests |= args.allow_manifests;
    rules
        .may_change_checks
        .extend(args.may_change_check.clone());
    rules.keep_expectations |= args.keep_expectations;
    rules.confined |= args.confined;
    let limits = &mut rules.limits;
    limits.files = args.max_files.unwrap_or(limits.files);
    limits.lines = args.max_lines.unwrap_or(limits.lines);
    limits.created = args.max_created.unwrap_or(limits.created);
    limits.bytes = args.max_bytes.unwrap_or(limits.bytes);
    if rules.banned_patterns.iter().any(String::is_empty) {
        return Err(CliError::usage("a banned text must not be empty"));
    }
    if let Some(path) = first_invalid_path(&rules.may_change_checks) {
        return Err(CliError::Usage(format!(
            "`{path}` must be a file, or a folder that ends in `/`, below the top of the repository"
        )));
    }
    Ok(rules)
}

fn shown(finding: &ValidationFinding, printer: &Printer) -> String {
    let (word, tone) = match finding.weight {
        Severity::Failure => ("fail", TextStyle::Bad),
        Severity::Warning => ("warn", TextStyle::Warn),
    };
    format!("{}  {}", printer.paint(tone, word), finding.text())
}
