//! Measuring: each criterion becomes a number, a bound, and a remark about what is missing.

use chrono::NaiveDate;

use super::{
    DemotionRule, GateConfig, GateContext, Metric, Requirement,
    evidence::{LedgerEvidence, SessionEvidence, TaskEvidence, night_date},
    parse_duration_sec,
};
use crate::domain::{
    gates::duration_text,
    ledger::{LedgerEntry, TaskOutcome},
};

/// What a criterion came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CriterionResult {
    /// The criterion's name.
    pub id: String,
    /// Whether the bound is reached.
    pub met: bool,
    /// The value against the bound, as people read it.
    pub value: String,
    /// What counted, or what is missing.
    pub note: String,
    /// The records that counted.
    pub evidence: Vec<u64>,
    /// Every detail, one line each, for `--explain`.
    pub details: Vec<String>,
}

struct Count {
    have: usize,
    note: String,
    evidence: Vec<u64>,
    details: Vec<String>,
}

/// Measures one criterion.
pub(super) fn measure(
    gates: &GateConfig,
    require: &Requirement,
    evidence: &LedgerEvidence<'_>,
    here: &GateContext,
) -> CriterionResult {
    let count = match require.metric {
        Metric::TasksSuccessRate => return rate(require, evidence),
        Metric::TasksCount => tasks(evidence, false),
        Metric::TasksDistinctClass => tasks(evidence, true),
        Metric::DrillsPassed => drills(gates, require, evidence, here),
        Metric::SessionsStreak => sessions(require, evidence),
        Metric::NightsStreak => nights(gates, require, evidence),
        Metric::PocConcluded => concluded(require, evidence),
        Metric::EventsCount => events(require.kind.as_deref().unwrap_or_default(), evidence),
        Metric::Observed => named(require, evidence, false),
        Metric::Attested => named(require, evidence, true),
        // Refused by `Requirement::fault`; a file that got past it shows nothing.
        Metric::SessionsDirty => nothing(String::new()),
    };
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let met = count.have as f64 >= require.need;
    CriterionResult {
        id: require.id.clone(),
        met,
        value: format!("{}/{}", count.have, require.need),
        note: count.note,
        evidence: count.evidence,
        details: count.details,
    }
}

fn nothing(note: String) -> Count {
    Count {
        have: 0,
        note,
        evidence: Vec::new(),
        details: Vec::new(),
    }
}

fn task_line(task: &TaskEvidence<'_>) -> String {
    let verdict = match (task.end.outcome, task.success) {
        (TaskOutcome::Success, true) => "success",
        (TaskOutcome::Success, false) => "rejected by a person",
        _ => "failed",
    };
    format!(
        "record {}: {} ({}) {verdict}",
        task.record.seq, task.end.task, task.end.class
    )
}

fn tasks(evidence: &LedgerEvidence<'_>, by_class: bool) -> Count {
    let mut classes: Vec<&str> = Vec::new();
    let mut names = Vec::new();
    let mut count = nothing(String::new());
    for task in evidence.tasks() {
        count.details.push(task_line(&task));
        if !task.success {
            continue;
        }
        let class = task.end.class.as_str();
        if by_class && (class == "unclassified" || classes.contains(&class)) {
            continue;
        }
        classes.push(class);
        names.push(task.end.task.as_str());
        count.evidence.push(task.record.seq);
    }
    count.have = count.evidence.len();
    count.note = if by_class {
        classes.join(", ")
    } else {
        few(&names)
    };
    count
}

fn few(names: &[&str]) -> String {
    match names {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        _ => names.join(", "),
    }
}

fn rate(require: &Requirement, evidence: &LedgerEvidence<'_>) -> CriterionResult {
    let tasks = evidence.tasks();
    let (seen, good) = newest(&tasks, require.last);
    let newest = tasks.get(tasks.len() - seen..).unwrap_or_default();
    let enough = seen >= require.last as usize;
    let share = share(good, seen);
    CriterionResult {
        id: require.id.clone(),
        // Too little data is not met, whatever the share so far.
        met: enough && share >= require.need,
        value: if seen == 0 {
            format!("-/{}", percent(require.need))
        } else {
            format!("{}/{}", reached_percent(share), percent(require.need))
        },
        note: format!("{seen} of {} tasks seen", require.last),
        evidence: newest.iter().map(|task| task.record.seq).collect(),
        details: newest.iter().map(task_line).collect(),
    }
}

fn newest(tasks: &[TaskEvidence<'_>], last: u32) -> (usize, usize) {
    let last = last as usize;
    let newest = tasks.iter().rev().take(last);
    let good = newest.filter(|task| task.success).count();
    (tasks.len().min(last), good)
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn share(good: usize, all: usize) -> f64 {
    if all == 0 {
        0.0
    } else {
        good as f64 / all as f64
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// A share that was reached: never rounded up to a bound it did not reach.
fn reached_percent(share: f64) -> String {
    // The small addition undoes the error of binary fractions: 0.95 is 95 %, not 94 %.
    format!("{:.0}%", share.mul_add(100.0, 1e-9).floor())
}

fn drills(
    gates: &GateConfig,
    require: &Requirement,
    evidence: &LedgerEvidence<'_>,
    here: &GateContext,
) -> Count {
    let mut count = nothing(String::new());
    let (mut passed, mut open) = (Vec::new(), Vec::new());
    for name in &require.names {
        match passed_drill_record(gates, name, evidence, here) {
            Ok(seq) => {
                passed.push(name.as_str());
                count.evidence.push(seq);
                count.details.push(format!("record {seq}: {name} passed"));
            }
            Err(why) => {
                open.push(name.as_str());
                count.details.push(format!("{name}: {why}"));
            }
        }
    }
    count.have = passed.len();
    count.note = if open.is_empty() {
        passed.join(", ")
    } else {
        format!("run: tos drill {}", open.join(" "))
    };
    count
}

/// Returns the record in which a drill passed, or why it does not count.
pub(super) fn passed_drill_record(
    gates: &GateConfig,
    name: &str,
    evidence: &LedgerEvidence<'_>,
    here: &GateContext,
) -> Result<u64, &'static str> {
    let newest = evidence.records.iter().rev().find_map(|record| {
        if let LedgerEntry::Drill {
            name: of, passed, ..
        } = &record.entry
            && of == name
        {
            return Some((record, *passed));
        }
        None
    });
    let Some((record, passed)) = newest else {
        return Err("never run");
    };
    let must = |what: &str| {
        gates
            .promote
            .drills_must_match
            .iter()
            .any(|word| word == what)
    };
    match () {
        () if !passed => Err("failed when it was last run"),
        () if must("policy_hash") && record.stamp.policy != here.policy => {
            Err("passed under another policy")
        }
        () if must("tool_major_minor")
            && major_minor(&record.stamp.tool) != major_minor(&here.tool) =>
        {
            Err("passed with another version of tos")
        }
        () => Ok(record.seq),
    }
}

/// Returns `major.minor` of a version.
pub(super) fn major_minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn sessions(require: &Requirement, evidence: &LedgerEvidence<'_>) -> Count {
    let least = require
        .min_active
        .as_deref()
        .and_then(parse_duration_sec)
        .unwrap_or(u64::MAX);
    let mut count = nothing(String::new());
    for session in evidence.sessions() {
        let (id, seq) = (session.id(), session.record.seq);
        if let Some(dirt) = session.nonzero_counter(&require.clean) {
            count.evidence.clear();
            count.note = format!("{id} reset the streak ({dirt})");
            count.details.push(format!("record {seq}: {}", count.note));
        } else if let Some(why) = not_counted(&session, require, least) {
            count.note = format!("{id} not counted ({why})");
            count.details.push(format!("record {seq}: {}", count.note));
        } else {
            count.evidence.push(seq);
            count.details.push(format!("record {seq}: {id} counted"));
        }
    }
    count.have = count.evidence.len();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    if count.have as f64 >= require.need {
        let names: Vec<&str> = evidence
            .sessions()
            .iter()
            .filter(|session| count.evidence.contains(&session.record.seq))
            .map(|session| session.record.stamp.session.as_deref().unwrap_or("?"))
            .collect();
        count.note = few(&names);
    }
    count
}

fn not_counted(session: &SessionEvidence<'_>, require: &Requirement, least: u64) -> Option<String> {
    if let Some(why) = session.disqualified_reason(require.at_night) {
        return Some(why.to_owned());
    }
    let active = session.end.active_s;
    (active < least).then(|| {
        let shown = if active >= 60 {
            format!("{}m", active / 60)
        } else {
            format!("{active}s")
        };
        let bound = require
            .min_active
            .clone()
            .unwrap_or_else(|| duration_text(least));
        format!("{shown} active < {bound}")
    })
}

/// What is known of one night.
struct NightFacts<'a> {
    date: NaiveDate,
    tasks: usize,
    good: usize,
    dirt: Option<&'a str>,
    conditions: Vec<&'a str>,
    sessions: Vec<u64>,
    alone: bool,
}

fn nights(gates: &GateConfig, require: &Requirement, evidence: &LedgerEvidence<'_>) -> Count {
    let mut count = nothing("no night on record".to_owned());
    let mut last: Option<(NaiveDate, &str)> = None;
    for night in seen(gates, require, evidence) {
        let name = night.date.format("%Y-%m-%d");
        let score = format!(
            "{} tasks, {}",
            night.tasks,
            percent(share(night.good, night.tasks))
        );
        let Some(conditions) = qualifies(&night, require) else {
            count.have = 0;
            count.evidence.clear();
            last = None;
            count.note = match night.dirt {
                Some(dirt) => format!("{name} reset the streak ({dirt})"),
                None => format!("{name} reset the streak ({score})"),
            };
            count.details.push(count.note.clone());
            continue;
        };
        let gap = i64::from(gates.night.max_gap_nights) + 1;
        let goes_on = last.is_some_and(|(date, same)| {
            (night.date - date).num_days() <= gap
                && (!require.same_conditions || same == conditions)
        });
        if !goes_on {
            if count.have > 0 {
                count.note = format!("{name} began a new streak (a gap, or other conditions)");
            }
            count.have = 0;
            count.evidence.clear();
        }
        count.have += 1;
        count.evidence.extend(&night.sessions);
        count.details.push(format!("{name} counted ({score})"));
        last = Some((night.date, conditions));
        if count.note == "no night on record" {
            count.note = format!("last {name} ({score})");
        }
    }
    count
}

fn qualifies<'a>(night: &NightFacts<'a>, require: &Requirement) -> Option<&'a str> {
    let conditions = night.conditions.first().copied()?;
    let same =
        !require.same_conditions || night.conditions.iter().all(|other| *other == conditions);
    let enough = night.tasks >= require.min_tasks as usize;
    let good = share(night.good, night.tasks) >= require.min_rate;
    (same && enough && good && night.alone && night.dirt.is_none()).then_some(conditions)
}

fn seen<'a>(
    gates: &GateConfig,
    require: &'a Requirement,
    evidence: &LedgerEvidence<'a>,
) -> Vec<NightFacts<'a>> {
    let mut nights: Vec<NightFacts<'a>> = Vec::new();
    let tasks = evidence.tasks();
    for session in evidence.sessions() {
        // A session belongs to the night in which it ended last; its tasks carry its id.
        let Some(date) = night_date(gates, session.record.stamp.at)
            .or_else(|| started_in(gates, &session, &tasks))
        else {
            continue;
        };
        let id = &session.record.stamp.session;
        let own: Vec<&TaskEvidence<'_>> = tasks
            .iter()
            .filter(|task| &task.record.stamp.session == id)
            .collect();
        let at = nights.iter().position(|night| night.date == date);
        let at = at.unwrap_or_else(|| {
            nights.push(NightFacts {
                date,
                tasks: 0,
                good: 0,
                dirt: None,
                conditions: Vec::new(),
                sessions: Vec::new(),
                alone: true,
            });
            nights.len() - 1
        });
        let Some(night) = nights.get_mut(at) else {
            continue;
        };
        night.dirt = night
            .dirt
            .or_else(|| session.nonzero_counter(&require.clean));
        if session.disqualified_reason(true).is_some() {
            // Work under a person's eyes neither helps nor harms; work that proves nothing harms.
            night.alone &= session.start.is_some_and(|start| start.attended);
            continue;
        }
        night.tasks += own.len();
        night.good += own.iter().filter(|task| task.success).count();
        night
            .conditions
            .extend(session.start.map(|start| start.conditions.as_str()));
        night.sessions.push(session.record.seq);
    }
    nights.sort_by_key(|night| night.date);
    nights
}

fn started_in(
    gates: &GateConfig,
    session: &SessionEvidence<'_>,
    tasks: &[TaskEvidence<'_>],
) -> Option<NaiveDate> {
    let id = &session.record.stamp.session;
    let first = tasks.iter().find(|task| &task.record.stamp.session == id)?;
    night_date(gates, first.record.stamp.at)
}

fn concluded(require: &Requirement, evidence: &LedgerEvidence<'_>) -> Count {
    let wanted = require.subject.as_deref().unwrap_or_default();
    for record in evidence.records.iter().rev() {
        if let LedgerEntry::Poc {
            subject, verdict, ..
        } = &record.entry
            && subject == wanted
            && ["go", "no-go"].contains(&verdict.as_str())
        {
            return Count {
                have: 1,
                evidence: vec![record.seq],
                details: vec![format!("record {}: {subject} {verdict}", record.seq)],
                ..nothing(verdict.clone())
            };
        }
    }
    nothing(format!("run: tos doctor --sandbox --conclude {wanted}"))
}

fn events(kind: &str, evidence: &LedgerEvidence<'_>) -> Count {
    let found = evidence
        .records
        .iter()
        .filter(|record| record.entry.kind() == kind);
    let (mut names, mut seqs) = (Vec::new(), Vec::new());
    for record in found {
        let line = record.entry.display_line();
        if !names.contains(&line) {
            names.push(line);
        }
        seqs.push(record.seq);
    }
    let texts: Vec<&str> = names.iter().map(String::as_str).collect();
    Count {
        have: seqs.len(),
        note: few(&texts),
        details: seqs
            .iter()
            .zip(&names)
            .map(|(seq, name)| format!("record {seq}: {name}"))
            .collect(),
        evidence: seqs,
    }
}

fn named(require: &Requirement, evidence: &LedgerEvidence<'_>, by_person: bool) -> Count {
    let mut count = nothing(String::new());
    let mut open = Vec::new();
    for name in &require.names {
        let found = evidence
            .records
            .iter()
            .rev()
            .find(|record| match &record.entry {
                LedgerEntry::Attested { name: of, .. } if by_person => of == name,
                LedgerEntry::Observed { name: of, .. } if !by_person => of == name,
                _ => false,
            });
        if let Some(record) = found {
            count.evidence.push(record.seq);
            count.details.push(format!(
                "record {}: {}",
                record.seq,
                record.entry.display_line()
            ));
        } else {
            open.push(name.as_str());
            count.details.push(format!("{name}: not on record"));
        }
    }
    count.have = count.evidence.len();
    count.note = match (open.is_empty(), by_person) {
        (true, _) => String::new(),
        (false, true) => format!("run: tos autonomy confirm {}", open.join(" ")),
        (false, false) => format!("run: tos autonomy record (open: {})", open.join(", ")),
    };
    count
}

/// Returns why a demotion rule fires, if it does.
pub(super) fn demotion_reason(
    rule: &DemotionRule,
    evidence: &LedgerEvidence<'_>,
) -> Option<String> {
    let kind = rule.kind.as_deref().unwrap_or_default();
    match rule.metric {
        Metric::EventsCount => {
            let have = events(kind, evidence).have;
            reached(have, rule).then(|| format!("{have} x {kind}"))
        }
        Metric::SessionsDirty => {
            let sessions = evidence.sessions();
            let newest = sessions.iter().rev().take(rule.last_sessions as usize);
            let have = newest.filter(|session| session.counter(kind) > 0).count();
            reached(have, rule)
                .then(|| format!("{have} of the last {} sessions: {kind}", rule.last_sessions))
        }
        Metric::TasksSuccessRate => {
            let (seen, good) = newest(&evidence.tasks(), rule.last);
            let share = share(good, seen);
            let low = seen >= rule.last as usize && rule.below.is_some_and(|below| share < below);
            low.then(|| {
                format!(
                    "{} of the last {} tasks succeeded",
                    percent(share),
                    rule.last
                )
            })
        }
        Metric::TasksCount
        | Metric::TasksDistinctClass
        | Metric::DrillsPassed
        | Metric::SessionsStreak
        | Metric::NightsStreak
        | Metric::PocConcluded
        | Metric::Observed
        | Metric::Attested => None,
    }
}

fn reached(have: usize, rule: &DemotionRule) -> bool {
    rule.at_least.is_some_and(|least| have >= least as usize)
}
