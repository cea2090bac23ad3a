//! `tos doctor [--online] [--sandbox]`.

use clap::Args;

use super::serve_checks;
use crate::{
    domain::sandbox::{BackendChoice, CapabilityProof, SandboxBackend, SandboxReport},
    interfaces::{
        cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        report::printer::TextStyle,
    },
};

/// Options of `tos doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Ask every configured model for one short answer too (this costs a few tokens)
    #[arg(long)]
    online: bool,
    /// Try every sandbox of this machine with real probes and show what held and how it was tried
    #[arg(long)]
    sandbox: bool,
    /// Try containers too and record the verdict; the autonomy levels know `container`
    #[arg(long, value_name = "SUBJECT", value_parser = ["container"], requires = "sandbox")]
    conclude: Option<String>,
}

/// Looks at everything a run needs and says what to do about what is missing.
pub fn main(
    args: &DoctorArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if args.conclude.is_some() {
        return super::isolation::probe_and_record(
            args.conclude.as_deref(),
            global,
            services,
            printer,
        );
    }
    let settings = services.settings(global)?;
    if args.sandbox {
        return Ok(sandbox(&services.test_sandbox(&settings)?, printer));
    }
    let mut findings = services.doctor_findings(&settings, args.online);
    findings.extend(serve_checks::finding(global, services));
    for finding in &findings {
        let tone = match finding.verdict {
            "ok" => TextStyle::Good,
            "warning" => TextStyle::Warn,
            _ => TextStyle::Bad,
        };
        let verdict = printer.paint(tone, &format!("{:8}", finding.verdict));
        printer.line(&format!("{verdict} {}: {}", finding.what, finding.seen));
    }
    printer.document(&serde_json::json!({ "findings": findings }));
    let problem = findings.iter().any(|finding| finding.verdict == "problem");
    Ok(if problem {
        CliExit::NotDone
    } else {
        CliExit::Success
    })
}

/// Shows what every wall was proved to hold.
fn sandbox(report: &SandboxReport, printer: &Printer) -> CliExit {
    for trial in &report.trials {
        printer.line(trial.backend.as_str());
        if let Some(why) = &trial.absent {
            let word = if trial.is_untried {
                "untried "
            } else {
                "absent  "
            };
            let verdict = printer.paint(TextStyle::Warn, word);
            printer.line(&format!("  {verdict} {why}"));
        }
        for proof in &trial.proofs {
            let required = proof.capability.is_required(report.level, report.network);
            let (tone, word) = verdict(proof, required);
            let verdict = printer.paint(tone, &format!("{word:8}"));
            printer.line(&format!(
                "  {verdict} {}: {}",
                proof.capability.as_str(),
                proof.how.trim()
            ));
        }
        let known_gap = trial.backend.known_gap();
        if let Some(what) = known_gap.filter(|_| trial.absent.is_none()) {
            let verdict = printer.paint(TextStyle::Warn, "open    ");
            printer.line(&format!("  {verdict} {what}"));
        }
    }
    let sentence = report.choice.describe(report.level);
    let (tone, exit) = match &report.choice {
        BackendChoice::Proved { backend } if *backend != SandboxBackend::None => {
            (TextStyle::Good, CliExit::Success)
        }
        BackendChoice::Proved { .. } | BackendChoice::Degraded { .. } => {
            (TextStyle::Warn, CliExit::Success)
        }
        BackendChoice::Refused { .. }
        | BackendChoice::Untried { .. }
        | BackendChoice::Lost { .. } => (TextStyle::Bad, CliExit::NotDone),
    };
    printer.line(&printer.paint(tone, &sentence));
    printer.document(&serde_json::json!({ "sandbox": report, "sentence": sentence }));
    exit
}

fn verdict(proof: &CapabilityProof, required: bool) -> (TextStyle, &'static str) {
    match (proof.holds, required) {
        (Some(true), _) => (TextStyle::Good, "proved"),
        (None, false) => (TextStyle::Warn, "untried"),
        (_, true) => (TextStyle::Bad, "missing"),
        (Some(false), false) => (TextStyle::Warn, "no"),
    }
}
