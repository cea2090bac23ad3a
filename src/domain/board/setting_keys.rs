//! The names of the settings: what each means, and which processes a change concerns. One table, so that `config`, the API
//! and the board cannot disagree.

use super::ids::AgentRole;

/// Which processes have to be started again after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartScope {
    /// The board reads it with its next decision.
    None,
    /// The dispatcher.
    Dispatcher,
    /// The cycle manager.
    CycleManager,
    /// The judges.
    Judges,
    /// The agents of one role.
    Agents(AgentRole),
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
    pub impact: RestartScope,
}

const fn key(name: &'static str, impact: RestartScope, meaning: &'static str) -> SettingKey {
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
        RestartScope::None,
        "processes that end by themselves are started again",
    ),
    key(
        "SYSTEM_PROCESS_AUTO_RESTART_DELAY_MS",
        RestartScope::None,
        "the first wait before that; it doubles up to 60 s",
    ),
    key(
        "SYSTEM_PROCESS_AUTO_RESTART_WINDOW_MS",
        RestartScope::None,
        "after how long the count of restarts begins anew",
    ),
    key(
        "SYSTEM_PROCESS_AUTO_RESTART_MAX_ATTEMPTS",
        RestartScope::None,
        "restarts in a window; -1 = any number",
    ),
    key(
        "SYSTEM_PROCESS_SELF_HEAL",
        RestartScope::None,
        "what should run and does not is started",
    ),
    key(
        "SYSTEM_PROCESS_SELF_HEAL_INTERVAL_MS",
        RestartScope::None,
        "how often that is looked at",
    ),
    key(
        "SYSTEM_PROCESS_SELF_HEAL_STARTUP_GRACE_MS",
        RestartScope::None,
        "how long a started process may be silent",
    ),
    key(
        "SYSTEM_AGENT_LIVENESS_WINDOW_MS",
        RestartScope::None,
        "how long an agent may be silent",
    ),
    key(
        "FAILED_TASK_RETRY_COOLDOWN_MS",
        RestartScope::CycleManager,
        "the wait before a failed task is tried again",
    ),
    key(
        "BLOCKED_TASK_RETRY_COOLDOWN_MS",
        RestartScope::CycleManager,
        "the wait before a blocked task comes back",
    ),
    key(
        "FAILED_TASK_MAX_RETRY_COUNT",
        RestartScope::CycleManager,
        "retries of a failed task until a person says go on, at most; -1 = by the kind of failure",
    ),
    key(
        "DISPATCH_RETRY_DELAY_MS",
        RestartScope::Dispatcher,
        "the wait before a run that could not be started is tried again",
    ),
    key(
        "BLOCKED_POLICY_SUPPRESSION_MAX_RETRIES",
        RestartScope::CycleManager,
        "retries after refusals by the validators in a row; then a person is asked",
    ),
    key(
        "AUTO_REWORK_MAX_DEPTH",
        RestartScope::CycleManager,
        "how often a task comes back from rework by itself",
    ),
    key(
        "MAX_CONCURRENT_WORKERS",
        RestartScope::Dispatcher,
        "tasks at once; -1 = as many as there are agents",
    ),
    key(
        "DISPATCH_CONFLICT_LANE_MAX_SLOTS",
        RestartScope::Dispatcher,
        "slots of the lane for conflicts",
    ),
    key(
        "DISPATCH_DOCSER_LANE_MAX_SLOTS",
        RestartScope::Dispatcher,
        "slots of the lane for documents",
    ),
    key(
        "DISPATCH_FEATURE_LANE_MIN_SLOTS",
        RestartScope::Dispatcher,
        "slots kept for features while one waits",
    ),
    key(
        "WORKER_COUNT",
        RestartScope::Agents(AgentRole::Worker),
        "how many workers there are",
    ),
    key(
        "TESTER_COUNT",
        RestartScope::Agents(AgentRole::Tester),
        "how many testers there are",
    ),
    key(
        "DOCSER_COUNT",
        RestartScope::Agents(AgentRole::Docser),
        "how many docsers there are",
    ),
    key(
        "JUDGE_COUNT",
        RestartScope::Judges,
        "how many judges there are",
    ),
    key(
        "QUOTA_BACKOFF_BASE_MS",
        RestartScope::CycleManager,
        "the first wait for a quota; it doubles",
    ),
    key(
        "QUOTA_BACKOFF_MAX_MS",
        RestartScope::CycleManager,
        "the longest wait for a quota",
    ),
    key(
        "JUDGE_MERGE_QUEUE_MAX_ATTEMPTS",
        RestartScope::Judges,
        "how often a merge is tried",
    ),
    key(
        "JUDGE_MERGE_QUEUE_RETRY_DELAY_MS",
        RestartScope::Judges,
        "the wait before a merge is tried again",
    ),
    key(
        "JUDGE_MERGE_QUEUE_CLAIM_TTL_MS",
        RestartScope::Judges,
        "how long a publication may take",
    ),
    key(
        "CYCLE_MAX_DURATION_MS",
        RestartScope::CycleManager,
        "how long a cycle lasts",
    ),
    key(
        "CYCLE_MAX_TASKS",
        RestartScope::CycleManager,
        "after how many good runs a cycle ends",
    ),
    key(
        "CYCLE_MAX_FAILURE_PERCENT",
        RestartScope::CycleManager,
        "the failed share that holds new starts",
    ),
    key(
        "DAILY_TOKEN_LIMIT",
        RestartScope::None,
        "tokens a day; -1 = any number",
    ),
    key(
        "HOURLY_TOKEN_LIMIT",
        RestartScope::None,
        "tokens an hour; -1 = any number",
    ),
    key(
        "TASK_TOKEN_LIMIT",
        RestartScope::None,
        "tokens a task; -1 = any number",
    ),
    key(
        "TASK_CALL_LIMIT",
        RestartScope::None,
        "calls of an agent a task; -1 = any number",
    ),
    key(
        "APPROVAL_TIMEOUT_MS",
        RestartScope::None,
        "how long an agent waits for an answer before the answer is no",
    ),
    key(
        "PLANNER_PREVIEW",
        RestartScope::None,
        "the tasks of a planner wait for a person before they are made",
    ),
    key(
        "AUTO_REPLAN",
        RestartScope::CycleManager,
        "what is left of a requirement is planned again when nothing moves any more",
    ),
    key(
        "REPLAN_MAX_COUNT",
        RestartScope::CycleManager,
        "how often a requirement is planned again by itself",
    ),
    key(
        "REPLAN_INTERVAL_MS",
        RestartScope::CycleManager,
        "the wait after a plan before it is planned again",
    ),
    key(
        "LLM_EXECUTOR",
        RestartScope::Execution,
        "the agent of [agents] that works where a task names none; empty = [agent]",
    ),
    key(
        "JUDGE_MODE",
        RestartScope::Judges,
        "review = tests, then the model of [judge.review] where there is one; tests = tests alone",
    ),
    key(
        "BASE_BRANCH",
        RestartScope::Judges,
        "the branch that tasks are merged into",
    ),
    key(
        "REPO_MODE",
        RestartScope::None,
        "what becomes of an accepted attempt: local-git = merged here, github = a pull request, both",
    ),
    key(
        "REPO_URL",
        RestartScope::None,
        "the repository on GitHub, such as https://github.com/owner/name; empty = none",
    ),
    key(
        "GITHUB_API_URL",
        RestartScope::None,
        "where its API answers; empty = where REPO_URL says",
    ),
    key(
        "GITHUB_ISSUE_LABEL",
        RestartScope::None,
        "issues with this label become tasks; empty = none do",
    ),
    key(
        "ISSUE_SYNC_INTERVAL_MS",
        RestartScope::None,
        "how often issues and pull requests are looked at",
    ),
    key(
        "EXECUTION_ENVIRONMENT",
        RestartScope::DispatcherAndExecution,
        "where attempts run: host = behind walls on this machine, sandbox = each in a container",
    ),
    key(
        "SANDBOX_DOCKER_IMAGE",
        RestartScope::DispatcherAndExecution,
        "the image of those containers",
    ),
    key(
        "SANDBOX_DOCKER_NETWORK",
        RestartScope::DispatcherAndExecution,
        "the network of an agent in a container; tests have none",
    ),
];

/// Names outside the table whose change concerns processes, by their beginning.
const BEGINNINGS: &[(&str, RestartScope)] = &[
    ("DISPATCH_", RestartScope::Dispatcher),
    ("WORKER_", RestartScope::Agents(AgentRole::Worker)),
    ("TESTER_", RestartScope::Agents(AgentRole::Tester)),
    ("DOCSER_", RestartScope::Agents(AgentRole::Docser)),
    ("JUDGE_", RestartScope::Judges),
    ("AUTO_REPLAN", RestartScope::CycleManager),
    ("REPLAN_", RestartScope::CycleManager),
    ("FAILED_TASK_", RestartScope::CycleManager),
    (
        "EXECUTION_ENVIRONMENT",
        RestartScope::DispatcherAndExecution,
    ),
    ("SANDBOX_DOCKER_", RestartScope::DispatcherAndExecution),
    ("PLANNER_", RestartScope::Planner),
];

/// Says whom the change of a setting concerns; `None` = no such setting is known.
pub fn restart_scope_of(name: &str) -> Option<RestartScope> {
    let exact = KEYS
        .iter()
        .find(|key| key.name == name)
        .map(|key| key.impact);
    let begins =
        |(beginning, impact): &(&str, RestartScope)| name.starts_with(beginning).then_some(*impact);
    exact.or_else(|| BEGINNINGS.iter().find_map(begins))
}
