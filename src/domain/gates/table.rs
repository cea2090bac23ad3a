//! The verdict as people read it.

use super::{AutonomyReport, GateTrackStatus, duration_text, eval::GateReport};

/// Writes where autonomy stands; the other tracks, the stages, only where they are asked for.
pub fn table(report: &AutonomyReport, stages: bool) -> String {
    let mut lines = Vec::new();
    let shown = if stages { report.tracks.len() } else { 1 };
    for (place, standing) in report.tracks.iter().take(shown).enumerate() {
        if place > 0 {
            lines.push(String::new());
        }
        lines.push(if place == 0 {
            head(report, standing)
        } else {
            short_head(standing)
        });
        if let Some(fall) = &standing.demotion {
            lines.push(format!("demoted from {}: {}", fall.from, fall.reason));
        }
        if let Some(reason) = &standing.locked {
            lines.push(format!(
                "LOCKED: {reason}; clear it with: tos autonomy unlock --reason TEXT"
            ));
        }
        if place == 0 {
            lines.extend(report.holds.iter().map(|hold| format!("HOLD: {hold}")));
            lines.extend(
                report
                    .overridden
                    .map(|until| format!("OVERRIDE by a person until {until}")),
            );
        }
        lines.push(String::new());
        lines.extend(gate(standing));
    }
    lines.join("\n")
}

fn head(report: &AutonomyReport, standing: &GateTrackStatus) -> String {
    let allowed = &report.permission;
    let unattended = if allowed.unattended {
        format!("yes, up to {}", duration_text(allowed.max_session_s))
    } else {
        "no".to_owned()
    };
    format!(
        "autonomy level {} ({})   unattended: {unattended}   skip: {}   ledger: ok, {} records",
        standing.phase,
        standing.title,
        if allowed.skip_dependents {
            "dag"
        } else {
            "never"
        },
        report.records
    )
}

fn short_head(standing: &GateTrackStatus) -> String {
    format!("{} {} ({})", standing.track, standing.phase, standing.title)
}

fn gate(standing: &GateTrackStatus) -> Vec<String> {
    let Some(gate) = &standing.gate else {
        return vec!["no level ahead".to_owned()];
    };
    let mut lines = vec![format!("required for {}", gate.to)];
    let width = gate
        .criteria
        .iter()
        .map(|one| one.id.len())
        .max()
        .unwrap_or(0);
    for one in &gate.criteria {
        let mark = if one.met { "ok" } else { "--" };
        let line = format!(
            "  {mark}  {:<width$}   {:>7}   {}",
            one.id, one.value, one.note
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.push(String::new());
    lines.push(conclusion(gate));
    lines
}

fn conclusion(gate: &GateReport) -> String {
    if gate.is_ready() {
        return format!("ready: tos autonomy promote {}", gate.to);
    }
    format!(
        "not ready: {} of {} requirements open",
        gate.unmet_count(),
        gate.criteria.len()
    )
}

/// Writes everything that is known about one criterion.
pub fn explain(report: &AutonomyReport, id: &str) -> Option<String> {
    let criteria = report.tracks.iter().filter_map(|track| track.gate.as_ref());
    let one = criteria
        .flat_map(|gate| &gate.criteria)
        .find(|one| one.id == id)?;
    let verdict = if one.met { "met" } else { "open" };
    let mut lines = vec![
        format!("{id}: {verdict}, {}   {}", one.value, one.note)
            .trim_end()
            .to_owned(),
    ];
    lines.extend(one.details.iter().map(|detail| format!("  {detail}")));
    if one.details.is_empty() {
        lines.push("  nothing on record".to_owned());
    }
    Some(lines.join("\n"))
}
