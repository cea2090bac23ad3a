//! `tos doctor [--online]`.

use clap::Args;

use crate::interfaces::{
    cli::{
        args::Global,
        exit::{Exit, Trouble},
        kit::Kit,
    },
    report::{Printer, printer::Tone},
};

/// Options of `tos doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Ask every configured model for one short answer too (this costs a few tokens)
    #[arg(long)]
    online: bool,
}

/// Looks at everything a run needs and says what to do about what is missing.
pub fn main(
    args: &DoctorArgs,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let settings = kit.settings(global)?;
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
