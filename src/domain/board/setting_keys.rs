//! The names of the settings: what each means, and which processes a change concerns. One table, so that `config`, the API
//! and the board cannot disagree.

use super::ids::Role;

/// Which processes have to be started again after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impact {
    /// The board reads it with its next decision.
    None,
    /// The dispatcher.
    Dispatcher,
    /// The cycle manager.
    CycleManager,
    /// The judges.
    Judges,
    /// The agents of one role.
    Agents(Role),
    /// All agents that carry out tasks.
    Execution,
    /// The dispatcher and all agents that carry out tasks.
    DispatcherAndExecution,
    /// The planner.
    Planner,
}

/// A setting: its name and what its change concerns.
#[derive(Debug, Clone, Copy)]
pub struct SettingKey {
    /// The name, as in the environment.
    pub name: &'static str,
    /// What it says, in one line.
    pub meaning: &'static str,
    /// Who has to be started again.
    pub impact: Impact,
}

const fn key(name: &'static str, impact: Impact, meaning: &'static str) -> SettingKey {
    SettingKey {
        name,
        meaning,
        impact,
    }
}

/// Every setting of the board.
pub const KEYS: &[SettingKey] = &[
    key(
        "SYSTEM_PROCESS_AUTO_RESTART",
        Impact::None,
        "processes that end by themselves are started again",
    ),
    key(
        "SYSTEM_PROCESS_AUTO_RESTART_DELAY_MS",
        Impact::None,
        "the first wait before that; it doubles up to 60 s",
    ),
    key(
        "SYSTEM_PROCESS_AUTO_RESTART_WINDOW_MS",
        Impact::None,
        "after how long the count of restarts begins anew",
    ),
    key(
        "SYSTEM_PROCESS_AUTO_RESTART_MAX_ATTEMPTS",
        Impact::None,
        "restarts in a window; -1 = any number",
    ),
    key(
        "SYSTEM_PROCESS_SELF_HEAL",
        Impact::None,
        "what should run and does not is started",
    ),
    key(
        "SYSTEM_PROCESS_SELF_HEAL_INTERVAL_MS",
        Impact::None,
        "how often that is looked at",
    ),
    key(
        "SYSTEM_PROCESS_SELF_HEAL_STARTUP_GRACE_MS",
        Impact::None,
        "how long a started process may be silent",
    ),
    key(
        "SYSTEM_AGENT_LIVENESS_WINDOW_MS",
        Impact::None,
        "how long an agent may be silent",
    ),
    key(
        "FAILED_TASK_RETRY_COOLDOWN_MS",
        Impact::CycleManager,
        "the wait before a failed task is tried again",
    ),
    key(
        "BLOCKED_TASK_RETRY_COOLDOWN_MS",
        Impact::CycleManager,
        "the wait before a blocked task comes back",
    ),
    key(
        "FAILED_TASK_MAX_RETRY_COUNT",
        Impact::CycleManager,
        "retries of a failed task; -1 = by the kind of failure",
    ),
    key(
        "DISPATCH_RETRY_DELAY_MS",
        Impact::Dispatcher,
        "the wait before a run that could not be started is tried again",
    ),
    key(
        "BLOCKED_POLICY_SUPPRESSION_MAX_RETRIES",
        Impact::CycleManager,
        "refusals by the validators before a person is asked",
    ),
    key(
        "AUTO_REWORK_MAX_DEPTH",
        Impact::CycleManager,
        "how often a task comes back from rework by itself",
    ),
    key(
        "MAX_CONCURRENT_WORKERS",
        Impact::Dispatcher,
        "tasks at once; -1 = as many as there are agents",
    ),
    key(
        "DISPATCH_CONFLICT_LANE_MAX_SLOTS",
        Impact::Dispatcher,
        "slots of the lane for conflicts",
    ),
    key(
        "DISPATCH_DOCSER_LANE_MAX_SLOTS",
        Impact::Dispatcher,
        "slots of the lane for documents",
    ),
    key(
        "DISPATCH_FEATURE_LANE_MIN_SLOTS",
        Impact::Dispatcher,
        "slots kept for features while one waits",
    ),
    key(
        "WORKER_COUNT",
        Impact::Agents(Role::Worker),
        "how many workers there are",
    ),
    key(
        "TESTER_COUNT",
        Impact::Agents(Role::Tester),
        "how many testers there are",
    ),
    key(
        "DOCSER_COUNT",
        Impact::Agents(Role::Docser),
        "how many docsers there are",
    ),
    key("JUDGE_COUNT", Impact::Judges, "how many judges there are"),
    key(
        "QUOTA_BACKOFF_BASE_MS",
        Impact::CycleManager,
        "the first wait for a quota; it doubles",
    ),
    key(
        "QUOTA_BACKOFF_MAX_MS",
        Impact::CycleManager,
        "the longest wait for a quota",
    ),
    key(
        "JUDGE_MERGE_QUEUE_MAX_ATTEMPTS",
        Impact::Judges,
        "how often a merge is tried",
    ),
    key(
        "JUDGE_MERGE_QUEUE_RETRY_DELAY_MS",
        Impact::Judges,
        "the wait before a merge is tried again",
    ),
    key(
        "JUDGE_MERGE_QUEUE_CLAIM_TTL_MS",
        Impact::Judges,
        "how long a publication may take",
    ),
    key(
        "CYCLE_MAX_DURATION_MS",
        Impact::CycleManager,
        "how long a cycle lasts",
    ),
    key(
        "CYCLE_MAX_TASKS",
        Impact::CycleManager,
        "after how many good runs a cycle ends",
    ),
    key(
        "CYCLE_MAX_FAILURE_PERCENT",
        Impact::CycleManager,
        "the failed share that holds new starts",
    ),
    key(
        "DAILY_TOKEN_LIMIT",
        Impact::None,
        "tokens a day; -1 = any number",
    ),
    key(
        "HOURLY_TOKEN_LIMIT",
        Impact::None,
        "tokens an hour; -1 = any number",
    ),
    key(
        "TASK_TOKEN_LIMIT",
        Impact::None,
        "tokens a task; -1 = any number",
    ),
    key(
        "TASK_CALL_LIMIT",
        Impact::None,
        "calls of an agent a task; -1 = any number",
    ),
    key(
        "APPROVAL_TIMEOUT_MS",
        Impact::None,
        "how long an agent waits for an answer before the answer is no",
    ),
    key(
        "PLANNER_PREVIEW",
        Impact::None,
        "the tasks of a planner wait for a person before they are made",
    ),
    key(
        "AUTO_REPLAN",
        Impact::CycleManager,
        "what is left of a requirement is planned again when nothing moves any more",
    ),
    key(
        "REPLAN_MAX_COUNT",
        Impact::CycleManager,
        "how often a requirement is planned again by itself",
    ),
    key(
        "REPLAN_INTERVAL_MS",
        Impact::CycleManager,
        "the wait after a plan before it is planned again",
    ),
    key(
        "LLM_EXECUTOR",
        Impact::Execution,
        "the agent of [agents] that works where a task names none; empty = [agent]",
    ),
    key(
        "JUDGE_MODE",
        Impact::Judges,
        "review = tests, then the model of [judge.review] where there is one; tests = tests alone",
    ),
    key(
        "BASE_BRANCH",
        Impact::Judges,
        "the branch that tasks are merged into",
    ),
    key(
        "REPO_MODE",
        Impact::None,
        "what becomes of an accepted attempt: local-git = merged here, github = a pull request, both",
    ),
    key(
        "REPO_URL",
        Impact::None,
        "the repository on GitHub, such as https://github.com/owner/name; empty = none",
    ),
    key(
        "GITHUB_API_URL",
        Impact::None,
        "where its API answers; empty = where REPO_URL says",
    ),
    key(
        "GITHUB_ISSUE_LABEL",
        Impact::None,
        "issues with this label become tasks; empty = none do",
    ),
    key(
        "ISSUE_SYNC_INTERVAL_MS",
        Impact::None,
        "how often issues and pull requests are looked at",
    ),
    key(
        "EXECUTION_ENVIRONMENT",
        Impact::DispatcherAndExecution,
        "where attempts run: host = behind walls on this machine, sandbox = each in a container",
    ),
    key(
        "SANDBOX_DOCKER_IMAGE",
        Impact::DispatcherAndExecution,
        "the image of those containers",
    ),
    key(
        "SANDBOX_DOCKER_NETWORK",
        Impact::DispatcherAndExecution,
        "the network of an agent in a container; tests have none",
    ),
];

/// Names outside the table whose change concerns processes, by their beginning.
const BEGINNINGS: &[(&str, Impact)] = &[
    ("DISPATCH_", Impact::Dispatcher),
    ("WORKER_", Impact::Agents(Role::Worker)),
    ("TESTER_", Impact::Agents(Role::Tester)),
    ("DOCSER_", Impact::Agents(Role::Docser)),
    ("JUDGE_", Impact::Judges),
    ("AUTO_REPLAN", Impact::CycleManager),
    ("REPLAN_", Impact::CycleManager),
    ("FAILED_TASK_", Impact::CycleManager),
    ("EXECUTION_ENVIRONMENT", Impact::DispatcherAndExecution),
    ("SANDBOX_DOCKER_", Impact::DispatcherAndExecution),
    ("PLANNER_", Impact::Planner),
];

/// Says whom the change of a setting concerns; `None` = no such setting is known.
pub fn impact_of(name: &str) -> Option<Impact> {
    let exact = KEYS
        .iter()
        .find(|key| key.name == name)
        .map(|key| key.impact);
    let begins =
        |(beginning, impact): &(&str, Impact)| name.starts_with(beginning).then_some(*impact);
    exact.or_else(|| BEGINNINGS.iter().find_map(begins))
}
