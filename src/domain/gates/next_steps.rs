//! The shortest way from here to work without a person, in the order in which it is gone.

use super::{AutonomyReport, CriterionResult, GateTrackStatus};

/// Returns the steps, one sentence each; none where the phase allows such work already.
pub(super) fn next_steps(report: &AutonomyReport) -> Vec<String> {
    let Some(standing) = report
        .autonomy_track()
        .filter(|_| !report.permission.unattended)
    else {
        return Vec::new();
    };
    let mut steps = vec![
        "with you at the terminal, now: tos night start --attended LIST (you type `go` for each task)".to_owned(),
    ];
    steps.extend(earned(standing));
    steps.push(
        "or once without that, on your own word: tos autonomy override --reason TEXT --expires 4h, then tos night start LIST \
         (such a night is on record and proves nothing)"
            .to_owned(),
    );
    steps
}

/// Returns what has to be done before the next phase opens.
fn earned(standing: &GateTrackStatus) -> Vec<String> {
    let Some(gate) = &standing.gate else {
        return Vec::new();
    };
    let open = || gate.criteria.iter().filter(|one| !one.met);
    let count = |one: &CriterionResult| format!("{} {}", one.id, one.value);
    let work: Vec<String> = open()
        .filter(|one| command(&one.note).is_none())
        .map(count)
        .collect();
    let mut steps = Vec::new();
    if !work.is_empty() {
        let work = work.join(", ");
        steps.push(format!(
            "tos task run LIST with you at the terminal, until all are there ({work})"
        ));
    }
    steps
        .extend(open().filter_map(|one| Some(format!("{} ({})", command(&one.note)?, count(one)))));
    steps.push(format!(
        "tos autonomy promote {} (you type its name)",
        gate.to
    ));
    steps.push("tos night start LIST".to_owned());
    if let Some(first) = steps.first_mut() {
        first.insert_str(0, "to let it work alone, first: ");
    }
    steps
}

/// Returns the command that meets a criterion, where there is one.
fn command(note: &str) -> Option<&str> {
    note.strip_prefix("run: ")
}

/// Says the way in numbered lines; `None` where nothing is missing.
pub fn next_steps_text(report: &AutonomyReport) -> Option<String> {
    let steps = next_steps(report);
    let lines: Vec<String> = (1..)
        .zip(&steps)
        .map(|(number, step)| format!("  {number}. {step}"))
        .collect();
    (!steps.is_empty()).then(|| format!("the way to a night:\n{}", lines.join("\n")))
}
