//! From gates and ledger to a verdict: which phase, what it permits, what is still missing, what is
//! suspended. The same function serves status, promotion, the start of a session, and tests.

use serde::Serialize;

use super::{
    AUTONOMY_TRACK, DemotionRule, Gate, GateConfig, HoldCause, PhaseTrack,
    drills::{failed_drills, outstanding_drills},
    evidence::LedgerEvidence,
    metric,
    metric::{CriterionResult, demotion_reason, major_minor},
    parse_duration_sec,
};
use crate::domain::{
    ledger::{LedgerEntry, LedgerRecord, PhaseTransition, SessionStart},
    time::Timestamp,
};

/// What is known of here and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateContext {
    /// The time.
    pub at: Timestamp,
    /// The version of tos.
    pub tool: String,
    /// Digest of the policy in force.
    pub policy: String,
    /// Digest of the gates in force.
    pub gates: String,
    /// The agent's version, where it was asked.
    pub agent_version: Option<String>,
    /// The confinement, where it was probed.
    pub backend: Option<String>,
}

/// What the present phase permits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PhasePermission {
    /// Sessions without a person.
    pub unattended: bool,
    /// How long they may take.
    pub max_session_s: u64,
    /// Whether dependents of a failed task may be skipped.
    pub skip_dependents: bool,
    /// Allowed values of `on_failure`.
    pub on_failure: Vec<String>,
    /// After how many tasks a stable point is made; 0 = never.
    pub checkpoint_every: u32,
    /// Capabilities the confinement must have.
    pub need_isolation: Vec<String>,
    /// What is checked before a session.
    pub need_before_start: Vec<String>,
}

/// The state of one gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateReport {
    /// The phase left.
    pub from: String,
    /// The phase entered.
    pub to: String,
    /// Every criterion.
    pub criteria: Vec<CriterionResult>,
}

impl GateReport {
    /// Returns how many criteria are open.
    pub fn unmet_count(&self) -> usize {
        self.criteria.iter().filter(|one| !one.met).count()
    }

    /// Returns whether every criterion is met; a gate without criteria never is.
    pub fn is_ready(&self) -> bool {
        !self.criteria.is_empty() && self.unmet_count() == 0
    }
}

/// Where one track stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateTrackStatus {
    /// The track.
    pub track: String,
    /// The phase.
    pub phase: String,
    /// A word for people.
    pub title: String,
    /// A rule that leads back and is not recorded yet: the phase above is already the lower one.
    pub demotion: Option<Demotion>,
    /// A person has to unlock first.
    pub locked: Option<String>,
    /// The gate ahead; `None` at the top.
    pub gate: Option<GateReport>,
}

/// A demotion that has to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demotion {
    /// The phase left.
    pub from: String,
    /// The phase entered.
    pub to: String,
    /// Lock until a person unlocks.
    pub lock: bool,
    /// What caused it.
    pub reason: String,
}

/// The whole verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AutonomyReport {
    /// Every track, autonomy first.
    pub tracks: Vec<GateTrackStatus>,
    /// What the phase of autonomy permits.
    pub permission: PhasePermission,
    /// Why unattended work is suspended, one sentence each.
    pub holds: Vec<String>,
    /// How many records the ledger has.
    pub records: usize,
    /// A person overrides the gate until then.
    pub overridden: Option<Timestamp>,
}

impl AutonomyReport {
    /// Returns where autonomy stands.
    pub fn autonomy_track(&self) -> Option<&GateTrackStatus> {
        self.tracks
            .iter()
            .find(|track| track.track == AUTONOMY_TRACK)
    }

    /// Returns how long a session without a person may take where nobody says: as long as the level allows, or, where it
    /// allows none and a person overrides it, as long as that holds.
    pub fn usual_session_s(&self, now: Timestamp) -> u64 {
        let allowed = self.permission.max_session_s;
        match self.overridden {
            Some(until) if allowed == 0 => {
                u64::try_from((until - now).num_seconds()).unwrap_or_default()
            }
            Some(_) | None => allowed,
        }
    }
}

/// Evaluates the gates over a verified ledger.
pub fn eval(gates: &GateConfig, ledger: &[LedgerRecord], here: &GateContext) -> AutonomyReport {
    let tracks: Vec<GateTrackStatus> = gates
        .tracks()
        .iter()
        .map(|track| standing(gates, track, ledger, here))
        .collect();
    let phase = tracks
        .first()
        .map(|one| one.phase.clone())
        .unwrap_or_default();
    let allowed = gates.phase(&phase);
    AutonomyReport {
        permission: PhasePermission {
            unattended: allowed.unattended,
            max_session_s: parse_duration_sec(&allowed.max_session).unwrap_or(0),
            skip_dependents: allowed.skip == "dag",
            on_failure: allowed.on_failure,
            checkpoint_every: allowed.checkpoint_every,
            need_isolation: allowed.need_isolation,
            need_before_start: allowed.need_before_start,
        },
        holds: if allowed.unattended {
            holds(gates, &phase, ledger, here)
        } else {
            Vec::new()
        },
        records: ledger.len(),
        overridden: overridden(ledger, here.at),
        tracks,
    }
}

fn standing(
    gates: &GateConfig,
    track: &PhaseTrack,
    ledger: &[LedgerRecord],
    here: &GateContext,
) -> GateTrackStatus {
    let first = track.phases.first().cloned().unwrap_or_default();
    let recorded = last_phase(ledger, &track.name).filter(|phase| track.phases.contains(phase));
    let recorded = recorded.unwrap_or(first);
    let since = evidence_cutoff(ledger, &track.name);
    let evidence = LedgerEvidence::new(gates, ledger, since, here.at);
    let own = track.name == AUTONOMY_TRACK;
    let demotion = own
        .then(|| worst(gates, track, &recorded, &evidence))
        .flatten();
    let phase = demotion.as_ref().map_or(recorded, |fall| fall.to.clone());
    // A fall that is not recorded yet leaves no evidence at all for the gate below.
    let gate = gates.gate.iter().find(|gate| gate.from == phase);
    let gate = gate.map(|gate| match &demotion {
        None => report(gates, gate, &evidence, here),
        Some(_) => report(
            gates,
            gate,
            &LedgerEvidence::new(gates, &[], None, here.at),
            here,
        ),
    });
    let fall_locks = demotion
        .as_ref()
        .filter(|fall| fall.lock)
        .map(|fall| fall.reason.clone());
    GateTrackStatus {
        track: track.name.clone(),
        title: gates.phase(&phase).title,
        phase,
        locked: fall_locks.or_else(|| locked(ledger, &track.name)),
        demotion,
        gate,
    }
}

fn report(
    gates: &GateConfig,
    gate: &Gate,
    evidence: &LedgerEvidence<'_>,
    here: &GateContext,
) -> GateReport {
    GateReport {
        from: gate.from.clone(),
        to: gate.to.clone(),
        criteria: gate
            .require
            .iter()
            .map(|require| metric::measure(gates, require, evidence, here))
            .collect(),
    }
}

fn last_phase(ledger: &[LedgerRecord], track: &str) -> Option<String> {
    ledger.iter().rev().find_map(|record| match &record.entry {
        LedgerEntry::Phase { track: of, to, .. } if of == track => Some(to.clone()),
        _ => None,
    })
}

/// Returns the newest record before which evidence does not count.
pub(super) fn evidence_cutoff(ledger: &[LedgerRecord], track: &str) -> Option<u64> {
    ledger
        .iter()
        .rev()
        .find(|record| match &record.entry {
            LedgerEntry::Phase {
                track: of, mode, ..
            } => of == track && *mode != PhaseTransition::Promote,
            LedgerEntry::Gap { .. } => true,
            _ => false,
        })
        .map(|record| record.seq)
}

fn locked(ledger: &[LedgerRecord], track: &str) -> Option<String> {
    let newest = ledger.iter().rev().find(|record| match &record.entry {
        LedgerEntry::Phase {
            track: of, lock, ..
        } => of == track && *lock,
        LedgerEntry::Unlock { .. } => true,
        _ => false,
    })?;
    match &newest.entry {
        LedgerEntry::Phase { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

/// Returns the deepest fall among the rules that fire.
fn worst(
    gates: &GateConfig,
    track: &PhaseTrack,
    phase: &str,
    evidence: &LedgerEvidence<'_>,
) -> Option<Demotion> {
    let place = |name: &str| track.phases.iter().position(|other| other == name);
    let now = place(phase)?;
    let falls = gates.demote.iter().filter_map(|rule: &DemotionRule| {
        let reason = demotion_reason(rule, evidence)?;
        let to = match rule.to.as_str() {
            "previous" => now.saturating_sub(1),
            name => place(name)?.min(now),
        };
        // At the bottom there is nowhere to fall, but a lock still closes the door.
        (to < now || rule.lock).then_some((to, rule.lock, reason))
    });
    let (to, _, _) = falls.clone().min_by_key(|(to, _, _)| *to)?;
    let reasons: Vec<String> = falls.clone().map(|(_, _, reason)| reason).collect();
    Some(Demotion {
        from: phase.to_owned(),
        to: track.phases.get(to)?.clone(),
        lock: falls.clone().any(|(_, lock, _)| lock),
        reason: reasons.join("; "),
    })
}

fn overridden(ledger: &[LedgerRecord], now: Timestamp) -> Option<Timestamp> {
    // The newest one decides, so that a person can also take it back.
    let newest = ledger.iter().rev().find_map(|record| match &record.entry {
        LedgerEntry::Override { expires, .. } => Some((record.stamp.at, *expires)),
        _ => None,
    });
    newest.and_then(|(at, expires)| (expires > now && at <= now).then_some(expires))
}

fn holds(
    gates: &GateConfig,
    phase: &str,
    ledger: &[LedgerRecord],
    here: &GateContext,
) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(reason) = held_by_person(ledger) {
        found.push(format!("held: {reason}"));
    }
    for (why, since, clear) in causes(gates, ledger, here) {
        let again = outstanding_drills(gates, phase, ledger, here, since);
        if !(clear == "drills" && again.is_some_and(|open| open.is_empty())) {
            found.push(format!("{why}; clear it with: tos drill --all"));
        }
    }
    for name in failed_drills(gates, phase, ledger) {
        found.push(format!(
            "the drill {name} failed when it was last run; clear it with: tos drill {name}"
        ));
    }
    found
}

/// Returns every cause that is seen: why, since which record, and what clears it.
fn causes<'a>(
    gates: &'a GateConfig,
    ledger: &[LedgerRecord],
    here: &GateContext,
) -> Vec<(String, u64, &'a str)> {
    let mut found = Vec::new();
    for hold in &gates.hold {
        for cause in &hold.on {
            if let Some((why, since)) = cause_seen(*cause, hold.days, ledger, here) {
                found.push((why, since, hold.clear.as_str()));
            }
        }
    }
    found
}

/// Returns the drills that would clear what suspends work.
pub(super) fn hold_clearing_drills(
    gates: &GateConfig,
    phase: &str,
    ledger: &[LedgerRecord],
    here: &GateContext,
) -> Vec<String> {
    if !gates.phase(phase).unattended {
        return Vec::new();
    }
    let mut names = failed_drills(gates, phase, ledger);
    for (_, since, clear) in causes(gates, ledger, here) {
        if clear == "drills" {
            names.extend(outstanding_drills(gates, phase, ledger, here, since).unwrap_or_default());
        }
    }
    names
}

fn held_by_person(ledger: &[LedgerRecord]) -> Option<String> {
    ledger.iter().rev().find_map(|record| match &record.entry {
        LedgerEntry::Hold { reason } => Some(Some(reason.clone())),
        LedgerEntry::Unhold { .. } => Some(None),
        _ => None,
    })?
}

/// Returns what changed, and the record after which drills have to be run again.
fn cause_seen(
    cause: HoldCause,
    days: u32,
    ledger: &[LedgerRecord],
    here: &GateContext,
) -> Option<(String, u64)> {
    let promoted = ledger.iter().rev().find(|record| {
        matches!(&record.entry, LedgerEntry::Phase { mode: PhaseTransition::Promote, track, .. } if track == AUTONOMY_TRACK)
    });
    match cause {
        HoldCause::AgentMajorChanged => changed(ledger, here.agent_version.as_deref(), |start| {
            major(&start.agent_version)
        })
        .map(|(from, to, seq)| {
            (
                format!("the agent changed from version {from} to {to}"),
                seq,
            )
        }),
        HoldCause::IsolationBackendChanged => changed(ledger, here.backend.as_deref(), |start| {
            start.backend.clone()
        })
        .map(|(from, to, seq)| (format!("the confinement changed from {from} to {to}"), seq)),
        HoldCause::GatesLoosened => promoted
            .filter(|record| record.stamp.gates != here.gates)
            .map(|record| {
                (
                    "the gates changed since the last promotion".to_owned(),
                    record.seq,
                )
            }),
        HoldCause::ToolMinorChanged => promoted
            .filter(|record| major_minor(&record.stamp.tool) != major_minor(&here.tool))
            .map(|record| {
                (
                    "tos changed its version since the last promotion".to_owned(),
                    record.seq,
                )
            }),
        // A broken chain never gets here: it is refused before anything is evaluated.
        HoldCause::LedgerChainBroken => None,
        HoldCause::IdleDays => {
            let last = ledger.iter().rev().find(|record| {
                matches!(
                    record.entry,
                    LedgerEntry::Task { .. }
                        | LedgerEntry::SessionEnd { .. }
                        | LedgerEntry::Phase { .. }
                )
            })?;
            let idle = (here.at - last.stamp.at).num_days();
            (idle >= i64::from(days))
                .then(|| (format!("nothing was run for {idle} days"), last.seq))
        }
    }
}

fn changed(
    ledger: &[LedgerRecord],
    now: Option<&str>,
    of: impl Fn(&SessionStart) -> String,
) -> Option<(String, String, u64)> {
    let mut seen: Vec<(String, u64)> = ledger
        .iter()
        .filter_map(|record| match &record.entry {
            LedgerEntry::SessionStart { start } if !start.attended => Some((of(start), record.seq)),
            _ => None,
        })
        .collect();
    if let (Some(now), Some((_, last))) = (now, seen.last()) {
        let start = SessionStart {
            agent_version: now.to_owned(),
            backend: now.to_owned(),
            ..SessionStart::default()
        };
        seen.push((of(&start), *last));
    }
    let mut pairs = seen.windows(2).rev();
    pairs.find_map(|pair| match pair {
        [(from, _), (to, seq)] if from != to => Some((from.clone(), to.clone(), *seq)),
        _ => None,
    })
}

/// Returns the first number in a version text.
fn major(version: &str) -> String {
    version
        .split(|c: char| !c.is_ascii_digit())
        .find(|part| !part.is_empty())
        .unwrap_or(version)
        .to_owned()
}

/// What somebody wants to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartRequest {
    /// Nobody will sit at the terminal.
    pub unattended: bool,
    /// How long it may take.
    pub seconds: u64,
    /// The plan's `on_failure`.
    pub on_failure: String,
    /// What the confinement proved.
    pub capabilities: Vec<String>,
}

/// Why the gate says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateRefusal {
    /// One sentence.
    pub why: String,
    /// What to do next.
    pub next: String,
}

/// Says whether a session may start.
pub fn is_startable_program(
    report: &AutonomyReport,
    ask: &StartRequest,
) -> Result<(), GateRefusal> {
    let Some(standing) = report.autonomy_track() else {
        return no("there is no track of autonomy", "see docs/gates.md");
    };
    if let Some(reason) = &standing.locked {
        return no(
            format!("locked: {reason}"),
            "tos autonomy unlock --reason TEXT",
        );
    }
    let allowed = &report.permission;
    let lacks = |need: &&String| !ask.capabilities.contains(need);
    let missing: Vec<&str> = allowed
        .need_isolation
        .iter()
        .filter(lacks)
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let why = format!(
            "autonomy level {} needs a confinement with {}",
            standing.phase,
            missing.join(", ")
        );
        return no(why, "tos doctor --sandbox");
    }
    if report.overridden.is_some() {
        return Ok(());
    }
    if !ask.on_failure.is_empty() && !allowed.on_failure.contains(&ask.on_failure) {
        let why = format!(
            "autonomy level {} does not allow `on_failure: {}`",
            standing.phase, ask.on_failure
        );
        return no(
            why,
            format!("use one of: {}", allowed.on_failure.join(", ")),
        );
    }
    if ask.unattended {
        may_be_alone(report, standing, ask)
    } else {
        Ok(())
    }
}

fn no(why: impl Into<String>, next: impl Into<String>) -> Result<(), GateRefusal> {
    Err(GateRefusal {
        why: why.into(),
        next: next.into(),
    })
}

fn may_be_alone(
    report: &AutonomyReport,
    standing: &GateTrackStatus,
    ask: &StartRequest,
) -> Result<(), GateRefusal> {
    let allowed = &report.permission;
    let phase = &standing.phase;
    if !allowed.unattended {
        let why = format!(
            "autonomy level {phase} allows no unattended run. Open: {}",
            open(standing)
        );
        return no(
            why,
            super::next_steps_text(report).unwrap_or_else(|| "tos autonomy status".to_owned()),
        );
    }
    if let Some(hold) = report.holds.first() {
        return no(
            format!("unattended work is on hold: {hold}"),
            "tos autonomy status",
        );
    }
    if ask.seconds > allowed.max_session_s {
        let (most, asked) = (
            super::duration_text(allowed.max_session_s),
            super::duration_text(ask.seconds),
        );
        let why = format!(
            "autonomy level {phase} allows unattended runs of up to {most}; {asked} were asked for"
        );
        return no(why, "choose an earlier end");
    }
    Ok(())
}

fn open(standing: &GateTrackStatus) -> String {
    let criteria = standing.gate.iter().flat_map(|gate| &gate.criteria);
    let open: Vec<String> = criteria
        .filter(|one| !one.met)
        .map(|one| format!("{} {}", one.id, one.value))
        .collect();
    open.join(", ")
}
