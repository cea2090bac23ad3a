//! Whether a night may begin: what was seen of agents, machine and people becomes findings, and one red one is enough.

use serde::Serialize;

use crate::domain::{
    gates::PhasePermission,
    time::{Timestamp, duration_words},
};

/// Less room than this and no night begins.
const NO_ROOM: u64 = 512 << 20;
/// Less room than this deserves a warning.
const LITTLE_ROOM: u64 = 2 << 30;
/// How far the clock may run apart from the time since the start of the machine, in seconds.
const DRIFT: i64 = 300;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Nothing is wrong.
    Ok,
    /// It can be lived with.
    Warning,
    /// No night begins.
    Red,
}

impl HealthStatus {
    /// Returns the word of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Red => "red",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthFinding {
    /// What.
    pub what: String,
    /// How bad.
    pub colour: HealthStatus,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty where nothing has to be done.
    pub remedy: String,
}

/// What was seen of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentHealth {
    /// Its program.
    pub program: String,
    /// What it says its version is.
    pub version: Result<String, String>,
    /// Whether it must know its version: a program of somebody's own need not.
    pub needs_version: bool,
    /// What it answered to a question for which it has to use its tools; `None` = it was not asked.
    pub reply: Option<Result<String, String>>,
    /// How its program is installed.
    pub remedy: String,
}

/// A moment by two clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReading {
    /// By the clock on the wall.
    pub at: Timestamp,
    /// Time since the start of the machine.
    pub boottime_ms: u64,
    /// Which start.
    pub boot_id: String,
}

/// Everything that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthFacts {
    /// The agents of the list.
    pub agents: Vec<AgentHealth>,
    /// Free room in bytes.
    pub free: Result<u64, String>,
    /// git.
    pub git: Result<String, String>,
    /// What builds the wall.
    pub backend: String,
    /// What it proved.
    pub capabilities: Vec<String>,
    /// Ways to tell people, and whether a note arrived.
    pub told: Vec<(String, Result<(), String>)>,
    /// Now.
    pub now: ClockReading,
    /// The last record of the ledger.
    pub last: Option<ClockReading>,
    /// What the cleaning of old work trees kept.
    pub worktrees: Result<Vec<String>, String>,
    /// What keeps the machine awake.
    pub guard: Result<String, String>,
}

/// Judges what was seen, by what the phase asks for.
pub fn evaluate_health(facts: &HealthFacts, permission: &PhasePermission) -> Vec<HealthFinding> {
    let mut findings: Vec<HealthFinding> = facts.agents.iter().flat_map(agent).collect();
    findings.extend([
        disk_space(&facts.free),
        git(&facts.git),
        wall(facts, permission),
        notifiers(&facts.told),
        clock(&facts.now, facts.last.as_ref()),
        worktrees(&facts.worktrees),
        guard(&facts.guard),
    ]);
    let known = |word: &&String| !KNOWN.contains(&word.as_str());
    findings.extend(
        permission
            .need_before_start
            .iter()
            .filter(known)
            .map(|word| {
                let seen =
                    format!("the autonomy level asks for `{word}`, which this tos cannot check");
                red(
                    "gates",
                    seen,
                    "correct `need_before_start` in config/gates.toml",
                )
            }),
    );
    findings
}

/// What a phase can ask for; the ledger is verified whenever it is read, so whoever got here has a whole one.
const KNOWN: [&str; 5] = [
    "health",
    "sleep_guard",
    "worktree_clean",
    "ledger_ok",
    "isolation_selftest",
];

/// Returns the first finding that keeps a night from beginning.
pub fn first_blocking_finding(findings: &[HealthFinding]) -> Option<&HealthFinding> {
    findings.iter().find(|one| one.colour == HealthStatus::Red)
}

/// Returns the findings as a table for people.
pub fn table(findings: &[HealthFinding]) -> String {
    let line = |one: &HealthFinding| {
        let remedy = if one.remedy.is_empty() {
            String::new()
        } else {
            format!("\n{:22}{}", "", one.remedy)
        };
        format!(
            "{:<8} {:<12} {}{remedy}",
            one.colour.as_str(),
            one.what,
            one.seen
        )
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn finding(
    what: &str,
    colour: HealthStatus,
    seen: impl Into<String>,
    remedy: &str,
) -> HealthFinding {
    HealthFinding {
        what: what.to_owned(),
        colour,
        seen: seen.into(),
        remedy: remedy.to_owned(),
    }
}

fn ok(what: &str, seen: impl Into<String>) -> HealthFinding {
    finding(what, HealthStatus::Ok, seen, "")
}

fn warning(what: &str, seen: impl Into<String>, remedy: &str) -> HealthFinding {
    finding(what, HealthStatus::Warning, seen, remedy)
}

fn red(what: &str, seen: impl Into<String>, remedy: &str) -> HealthFinding {
    finding(what, HealthStatus::Red, seen, remedy)
}

fn agent(agent: &AgentHealth) -> [HealthFinding; 2] {
    let program = &agent.program;
    let version = match &agent.version {
        Ok(version) => ok("agent", format!("{program} {version}")),
        Err(why) if agent.needs_version => red(
            "agent",
            format!("{program} does not tell its version: {why}"),
            &agent.remedy,
        ),
        Err(_) => ok("agent", format!("{program}, version unknown")),
    };
    let reply = match &agent.reply {
        None => warning(
            "answer",
            format!("{program} is a program of the repository and was not asked"),
            "give the agent a `check` that shows whether it works",
        ),
        Some(Ok(reply)) => ok("answer", format!("{program}: {}", short(reply))),
        Some(Err(why)) => red(
            "answer",
            format!("{program} did not answer a question: {why}"),
            "log in, check its credentials in the list, or give the agent a `check`",
        ),
    };
    [version, reply]
}

fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(60).collect()
}

fn disk_space(free: &Result<u64, String>) -> HealthFinding {
    let remedy = "make room on the disk";
    match free {
        Ok(bytes) if *bytes < NO_ROOM => red("disk", mebibytes(*bytes), remedy),
        Ok(bytes) if *bytes < LITTLE_ROOM => warning("disk", mebibytes(*bytes), remedy),
        Ok(bytes) => ok("disk", mebibytes(*bytes)),
        Err(why) => red("disk", why.clone(), remedy),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB free", bytes >> 20)
}

fn git(git: &Result<String, String>) -> HealthFinding {
    match git {
        Ok(version) => ok("git", version.clone()),
        Err(why) => red(
            "git",
            why.clone(),
            if why == "it is not installed" {
                "install git"
            } else {
                "make `git status` work in this repository"
            },
        ),
    }
}

fn wall(facts: &HealthFacts, permission: &PhasePermission) -> HealthFinding {
    let missing: Vec<&str> = permission
        .need_isolation
        .iter()
        .filter(|need| !facts.capabilities.contains(need))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return ok("sandbox", facts.backend.clone());
    }
    let seen = format!("{} does not prove {}", facts.backend, missing.join(", "));
    red("sandbox", seen, "tos doctor --sandbox")
}

fn notifiers(told: &[(String, Result<(), String>)]) -> HealthFinding {
    let good: Vec<&str> = told
        .iter()
        .filter(|(_, result)| result.is_ok())
        .map(|(name, _)| name.as_str())
        .collect();
    let bad: Vec<String> = told
        .iter()
        .filter_map(|(name, result)| Some(format!("{name}: {}", result.as_ref().err()?)))
        .collect();
    let remedy = "config/notify.toml (docs/notifications.md), then: tos notify test";
    match (good.as_slice(), bad.is_empty()) {
        ([], true) => red("notifier", "there is nobody to tell", remedy),
        ([], false) => red("notifier", bad.join("; "), remedy),
        (["terminal"], true) => warning(
            "notifier",
            "only the terminal: nobody who is away is told",
            remedy,
        ),
        (_, true) => ok("notifier", good.join(", ")),
        (_, false) => warning("notifier", bad.join("; "), remedy),
    }
}

fn clock(now: &ClockReading, last: Option<&ClockReading>) -> HealthFinding {
    let remedy = "set the clock";
    let Some(last) = last else {
        return ok("clock", now.at.format("%Y-%m-%d %H:%M %:z").to_string());
    };
    let wall = (now.at - last.at).num_seconds();
    if wall < -60 {
        let seen = format!(
            "it says {}, but the ledger has a record from {}",
            now.at.format("%Y-%m-%d %H:%M:%S"),
            last.at.format("%Y-%m-%d %H:%M:%S")
        );
        return red("clock", seen, remedy);
    }
    if now.boot_id == last.boot_id && !now.boot_id.is_empty() {
        let Some(up) = now.boottime_ms.checked_sub(last.boottime_ms) else {
            return red("clock", "the time since the start ran backwards", remedy);
        };
        let apart = wall - i64::try_from(up / 1000).unwrap_or(i64::MAX);
        if apart.abs() > DRIFT {
            let seen = format!(
                "it was moved by {} since the last record",
                duration_words(apart.unsigned_abs())
            );
            return warning("clock", seen, remedy);
        }
    }
    ok("clock", now.at.format("%Y-%m-%d %H:%M %:z").to_string())
}

fn worktrees(kept: &Result<Vec<String>, String>) -> HealthFinding {
    match kept {
        Ok(lines) if lines.is_empty() => ok("worktrees", "none left over"),
        Ok(lines) => ok("worktrees", lines.join("; ")),
        Err(why) => red("worktrees", why.clone(), "look below .tos/worktrees"),
    }
}

fn guard(guard: &Result<String, String>) -> HealthFinding {
    match guard {
        Ok(name) => ok("sleep", format!("{name} keeps the machine awake")),
        // Whether it slept is measured all the same, and a session in which it did proves nothing.
        Err(why) => warning(
            "sleep",
            format!("nothing keeps the machine awake: {why}"),
            "switch sleep off for the night",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str, boottime_ms: u64, boot_id: &str) -> ClockReading {
        ClockReading {
            at: chrono::DateTime::parse_from_rfc3339(text).unwrap(),
            boottime_ms,
            boot_id: boot_id.into(),
        }
    }

    #[test]
    fn a_missing_git_is_to_be_installed_and_a_broken_repository_to_be_mended() {
        let remedy = |why: &str| git(&Err(why.to_owned())).remedy;
        assert_eq!(remedy("it is not installed"), "install git");
        assert!(remedy("fatal: not a git repository").contains("`git status`"));
    }

    fn facts() -> HealthFacts {
        HealthFacts {
            agents: vec![AgentHealth {
                program: "claude".into(),
                version: Ok("2.1.0".into()),
                needs_version: true,
                reply: Some(Ok("ready".into())),
                remedy: "install it".into(),
            }],
            free: Ok(LITTLE_ROOM),
            git: Ok("git version 2.47".into()),
            backend: "bubblewrap".into(),
            capabilities: vec!["fs_confined".into()],
            told: vec![("webhook".into(), Ok(()))],
            now: moment("2026-11-20T22:00:00+01:00", 10_000_000, "a"),
            last: Some(moment("2026-11-20T21:50:00+01:00", 9_400_000, "a")),
            worktrees: Ok(Vec::new()),
            guard: Ok("caffeinate".into()),
        }
    }

    fn colours(facts: &HealthFacts) -> Vec<(String, HealthStatus)> {
        let permission = PhasePermission {
            need_isolation: vec!["fs_confined".into()],
            need_before_start: vec!["health".into()],
            ..PhasePermission::default()
        };
        let all = evaluate_health(facts, &permission).into_iter();
        all.filter(|one| one.colour != HealthStatus::Ok)
            .map(|one| (one.what, one.colour))
            .collect()
    }

    #[test]
    fn a_healthy_machine_has_no_finding() {
        assert_eq!(colours(&facts()), []);
    }

    #[test]
    fn each_trouble_is_found() {
        type Spoil = fn(&mut HealthFacts);
        let cases: [(Spoil, &str, HealthStatus); 14] = [
            (
                |f| f.agents[0].reply = None,
                "answer",
                HealthStatus::Warning,
            ),
            (
                |f| f.agents[0].version = Err("no".into()),
                "agent",
                HealthStatus::Red,
            ),
            (
                |f| f.agents[0].reply = Some(Err("no".into())),
                "answer",
                HealthStatus::Red,
            ),
            (|f| f.free = Ok(NO_ROOM - 1), "disk", HealthStatus::Red),
            (|f| f.free = Ok(NO_ROOM), "disk", HealthStatus::Warning),
            (|f| f.git = Err("no".into()), "git", HealthStatus::Red),
            (|f| f.capabilities.clear(), "sandbox", HealthStatus::Red),
            (
                |f| f.told[0].1 = Err("no".into()),
                "notifier",
                HealthStatus::Red,
            ),
            (|f| f.told.clear(), "notifier", HealthStatus::Red),
            (
                |f| f.told[0].0 = "terminal".into(),
                "notifier",
                HealthStatus::Warning,
            ),
            (
                |f| f.last = Some(moment("2026-11-20T22:02:00+01:00", 1, "b")),
                "clock",
                HealthStatus::Red,
            ),
            (
                |f| f.last = Some(moment("2026-11-20T21:00:00+01:00", 9_400_000, "a")),
                "clock",
                HealthStatus::Warning,
            ),
            (
                |f| f.worktrees = Err("no".into()),
                "worktrees",
                HealthStatus::Red,
            ),
            (
                |f| f.guard = Err("no".into()),
                "sleep",
                HealthStatus::Warning,
            ),
        ];
        for (spoil, what, colour) in cases {
            let mut facts = facts();
            spoil(&mut facts);
            assert_eq!(colours(&facts), [(what.to_owned(), colour)]);
        }
    }

    #[test]
    fn a_condition_of_the_phase_that_nobody_can_check_is_red() {
        let permission = PhasePermission {
            need_before_start: vec!["moonlight".into()],
            ..PhasePermission::default()
        };
        let findings = evaluate_health(&facts(), &permission);
        assert_eq!(
            first_blocking_finding(&findings).map(|one| one.what.as_str()),
            Some("gates")
        );
    }
}
