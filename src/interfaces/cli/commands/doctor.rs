//! `tos doctor [--online] [--sandbox]`.

use clap::Args;

use crate::{
    domain::confinement::{Backend, Choice, Proof, Report},
    interfaces::{
        cli::{
            args::Global,
            exit::{Exit, Trouble},
            kit::Kit,
        },
        report::{Printer, printer::Tone},
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
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    if args.conclude.is_some() {
        return super::isolation::conclude(args.conclude.as_deref(), global, kit, printer);
    }
    let settings = kit.settings(global)?;
    if args.sandbox {
        return Ok(sandbox(&kit.examine_sandbox(&settings)?, printer));
    }
    let findings = kit.examine(&settings, args.online);
    for finding in &findings {
        let tone = match finding.verdict {
            "ok" => Tone::Good,
            "warning" => Tone::Warn,
            _ => Tone::Bad,
        };
        let verdict = printer.paint(tone, &format!("{:8}", finding.verdict));
        printer.line(&format!("{verdict} {}: {}", finding.what, finding.seen));
    }
    printer.document(&serde_json::json!({ "findings": findings }));
    let problem = findings.iter().any(|finding| finding.verdict == "problem");
    Ok(if problem {
        Exit::NotDone
    } else {
        Exit::Success
    })
}

/// Shows what every wall was proved to hold.
fn sandbox(report: &Report, printer: &Printer) -> Exit {
    for trial in &report.trials {
        printer.line(trial.backend.as_str());
        if let Some(why) = &trial.absent {
            let verdict = printer.paint(Tone::Warn, "absent  ");
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
    }
    let sentence = report.choice.sentence(report.level);
    let (tone, exit) = match &report.choice {
        Choice::Proved { backend } if *backend != Backend::None => (Tone::Good, Exit::Success),
        Choice::Proved { .. } | Choice::Degraded { .. } => (Tone::Warn, Exit::Success),
        Choice::Refused { .. } => (Tone::Bad, Exit::NotDone),
    };
    printer.line(&printer.paint(tone, &sentence));
    printer.document(&serde_json::json!({ "sandbox": report, "sentence": sentence }));
    exit
}

fn verdict(proof: &Proof, required: bool) -> (Tone, &'static str) {
    match (proof.holds, required) {
        (Some(true), _) => (Tone::Good, "proved"),
        (None, false) => (Tone::Warn, "untried"),
        (_, true) => (Tone::Bad, "missing"),
        (Some(false), false) => (Tone::Warn, "no"),
    }
}
