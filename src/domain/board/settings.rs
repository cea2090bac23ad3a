//! The settings of a board, read and written under the names that operators know.

use serde::{Deserialize, Serialize};

use super::{
    budget::SpendLimit,
    code_repository::{GithubRepository, check_server_url},
    ids::{AgentRole, Millis, ProcessName},
    setting_field::SettingField::{self, Agents, Count, Limit, Number, Switch, Text, Time, Word},
    setting_keys::RestartScope,
};

/// What a judge does: its tests and a model's review, or its tests alone.
const REVIEW: &str = "review";
const TESTS: &str = "tests";

/// What becomes of an attempt that a judge accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepoMode {
    /// It is merged into the branch of this repository.
    #[default]
    LocalGit,
    /// A pull request is opened for it; it is merged when that is.
    Github,
    /// A pull request is opened for it, and it is merged here.
    Both,
}

impl RepoMode {
    const ALL: [Self; 3] = [Self::LocalGit, Self::Github, Self::Both];

    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LocalGit => "local-git",
            Self::Github => "github",
            Self::Both => "both",
        }
    }
}

/// How a board behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoardSettings {
    /// Processes that end by themselves are started again.
    pub auto_restart: bool,
    /// The first wait before that; it doubles, up to a minute.
    pub restart_delay_ms: Millis,
    /// After how long the count of restarts begins anew.
    pub restart_window_ms: Millis,
    /// How many restarts a window may see; -1 = any number.
    pub restart_max_attempts: i64,
    /// What should run and does not is started.
    pub self_heal: bool,
    /// How often that is looked at.
    pub self_heal_interval_ms: Millis,
    /// How long a started process may be silent.
    pub startup_grace_ms: Millis,
    /// How long an agent may be silent.
    pub liveness_window_ms: Millis,
    /// The wait before a failed task is tried again.
    pub failed_cooldown_ms: Millis,
    /// The wait before a blocked task comes back.
    pub blocked_cooldown_ms: Millis,
    /// The most retries of a failed task; -1 = as many as its kind of failure allows.
    pub failed_max_retries: i64,
    /// The wait before a run that could not be started is tried again.
    pub dispatch_retry_delay_ms: Millis,
    /// How often a task is tried again after refusals by the validators in a row; then only a person brings it back.
    pub policy_suppression_max: u32,
    /// How often a task comes back from rework by itself.
    pub rework_max_depth: u32,
    /// How many attempts a judge may refuse before the task needs rework.
    pub review_retries: u32,
    /// How often an examination without a verdict is repeated before a person is asked.
    pub judge_error_retries: u32,
    /// How often in a row an agent may vanish before the task needs rework.
    pub lost_max: u32,
    /// How often the same failure may come in a row before the task needs rework.
    pub same_signature_max: u32,
    /// How many tasks run at once; -1 = as many as there are agents.
    pub max_concurrent: i64,
    /// Slots of the lane for conflicts.
    pub conflict_lane_max: u32,
    /// Slots of the lane for documents.
    pub docser_lane_max: u32,
    /// Slots that are kept for features while one waits.
    pub feature_lane_min: u32,
    /// How many workers there are.
    pub workers: u16,
    /// The same for testers.
    pub testers: u16,
    /// The same for docsers.
    pub docsers: u16,
    /// The same for judges.
    pub judges: u16,
    /// How long a lease lasts.
    pub lease_ms: Millis,
    /// How long a busy process has to end.
    pub drain_ms: Millis,
    /// The first wait for a quota; it doubles.
    pub quota_base_ms: Millis,
    /// The longest wait for a quota.
    pub quota_max_ms: Millis,
    /// The wait before a merge is tried again.
    pub merge_retry_ms: Millis,
    /// How often a merge is tried.
    pub merge_max_attempts: u32,
    /// How long a publication may take.
    pub merge_claim_ms: Millis,
    /// How long a cycle lasts.
    pub cycle_ms: Millis,
    /// After how many good runs it ends.
    pub cycle_max_tasks: u32,
    /// The percentage of failed runs that ends it and holds new starts.
    pub cycle_max_failure_percent: u32,
    /// How long that hold lasts.
    pub cycle_hold_ms: Millis,
    /// A person is asked before a task starts.
    pub ask_before_start: bool,
    /// How long an agent waits for an answer before the answer is no.
    pub question_ms: Millis,
    /// A person sees the tasks of a planner before they are made.
    pub plan_preview: bool,
    /// What is left of a requirement is planned again when nothing moves any more.
    pub auto_replan: bool,
    /// How often.
    pub replan_max: u32,
    /// The wait after a plan before that.
    pub replan_interval_ms: Millis,
    /// What one task may use up.
    pub task_limit: SpendLimit,
    /// What an hour may use up.
    pub hour_limit: SpendLimit,
    /// What a day may use up.
    pub day_limit: SpendLimit,
    /// The agent of `[agents]` that works where a task names none; empty = `[agent]`.
    pub executor: String,
    /// A model reviews what passed its tests, where one is configured.
    pub reviews: bool,
    /// The branch that tasks are merged into.
    pub branch: String,
    /// What becomes of an accepted attempt.
    pub repo_mode: RepoMode,
    /// The repository on GitHub; empty = none.
    pub repo_url: String,
    /// Where its API answers; empty = where the repository says.
    pub github_api_url: String,
    /// Issues with this label become tasks; empty = none do.
    pub issue_label: String,
    /// How often issues and pull requests are looked at.
    pub issue_sync_ms: Millis,
    /// Attempts run in containers.
    pub in_containers: bool,
    /// The image of those containers.
    pub container_image: String,
    /// The network of an agent in a container.
    pub container_network: String,
}

impl Default for BoardSettings {
    fn default() -> Self {
        Self {
            auto_restart: true,
            restart_delay_ms: 2000,
            restart_window_ms: 300_000,
            restart_max_attempts: -1,
            self_heal: true,
            self_heal_interval_ms: 30_000,
            startup_grace_ms: 120_000,
            liveness_window_ms: 120_000,
            failed_cooldown_ms: 30_000,
            blocked_cooldown_ms: 120_000,
            failed_max_retries: -1,
            dispatch_retry_delay_ms: 300_000,
            policy_suppression_max: 2,
            rework_max_depth: 2,
            review_retries: 2,
            judge_error_retries: 3,
            lost_max: 5,
            same_signature_max: 4,
            max_concurrent: -1,
            conflict_lane_max: 2,
            docser_lane_max: 1,
            feature_lane_min: 1,
            workers: 1,
            testers: 1,
            docsers: 1,
            judges: 1,
            lease_ms: 60_000,
            drain_ms: 10_000,
            quota_base_ms: 120_000,
            quota_max_ms: 1_800_000,
            merge_retry_ms: 30_000,
            merge_max_attempts: 3,
            merge_claim_ms: 120_000,
            cycle_ms: 4 * super::budget::HOUR,
            cycle_max_tasks: 100,
            cycle_max_failure_percent: 30,
            cycle_hold_ms: 1_800_000,
            ask_before_start: false,
            question_ms: 300_000,
            plan_preview: false,
            auto_replan: true,
            replan_max: 3,
            replan_interval_ms: 300_000,
            task_limit: SpendLimit {
                calls: Some(12),
                ..SpendLimit::default()
            },
            hour_limit: SpendLimit::default(),
            day_limit: SpendLimit::default(),
            executor: String::new(),
            reviews: true,
            branch: String::new(),
            repo_mode: RepoMode::LocalGit,
            repo_url: String::new(),
            github_api_url: String::new(),
            issue_label: "tos".to_owned(),
            issue_sync_ms: 30_000,
            in_containers: false,
            container_image: String::new(),
            container_network: "bridge".to_owned(),
        }
    }
}

impl BoardSettings {
    /// Returns how many agents of a role are configured.
    pub const fn agent_count(&self, role: AgentRole) -> u16 {
        match role {
            AgentRole::Judge => self.judges,
            AgentRole::Worker => self.workers,
            AgentRole::Tester => self.testers,
            AgentRole::Docser => self.docsers,
        }
    }

    /// Returns the processes that run while the hatch is armed, in the order in which they start.
    pub fn expected_processes(&self) -> Vec<ProcessName> {
        let mut names = vec![ProcessName::CycleManager, ProcessName::Dispatcher];
        for role in AgentRole::ALL {
            names.extend(
                (1..=self.agent_count(role)).map(|number| ProcessName::Agent(role, number)),
            );
        }
        names
    }

    /// Returns the processes that a change concerns, in the order in which they are started again.
    pub fn processes_to_restart(&self, impact: RestartScope) -> Vec<ProcessName> {
        let concerned = |name: &ProcessName| match impact {
            RestartScope::None => false,
            RestartScope::Dispatcher => *name == ProcessName::Dispatcher,
            RestartScope::CycleManager => *name == ProcessName::CycleManager,
            RestartScope::Judges => name.role() == Some(AgentRole::Judge),
            RestartScope::Agents(role) => name.role() == Some(role),
            RestartScope::Execution => name.role().is_some_and(AgentRole::executes),
            RestartScope::DispatcherAndExecution => {
                *name == ProcessName::Dispatcher || name.role().is_some_and(AgentRole::executes)
            }
            RestartScope::Planner => *name == ProcessName::Planner,
        };
        let mut names = self.expected_processes();
        names.push(ProcessName::Planner);
        names.retain(concerned);
        names
    }

    /// Returns a setting as it is written.
    pub fn get(&self, name: &str) -> Option<String> {
        Some(match name {
            "JUDGE_MODE" if self.reviews => REVIEW.to_owned(),
            "JUDGE_MODE" => TESTS.to_owned(),
            "REPO_MODE" => self.repo_mode.as_str().to_owned(),
            "REPO_URL" => self.repo_url.clone(),
            "GITHUB_API_URL" => self.github_api_url.clone(),
            "EXECUTION_ENVIRONMENT" if self.in_containers => "sandbox".to_owned(),
            "EXECUTION_ENVIRONMENT" => "host".to_owned(),
            _ => return self.clone().field(name).map(|field| field.written()),
        })
    }

    /// Returns the place of a setting that needs no other one.
    fn field(&mut self, name: &str) -> Option<SettingField<'_>> {
        Some(match name {
            "SYSTEM_PROCESS_AUTO_RESTART" => Switch(&mut self.auto_restart),
            "SYSTEM_PROCESS_AUTO_RESTART_DELAY_MS" => Time(&mut self.restart_delay_ms, 0),
            "SYSTEM_PROCESS_AUTO_RESTART_WINDOW_MS" => Time(&mut self.restart_window_ms, 0),
            "SYSTEM_PROCESS_AUTO_RESTART_MAX_ATTEMPTS" => {
                Number(&mut self.restart_max_attempts, 1_000_000)
            }
            "SYSTEM_PROCESS_SELF_HEAL" => Switch(&mut self.self_heal),
            "SYSTEM_PROCESS_SELF_HEAL_INTERVAL_MS" => Time(&mut self.self_heal_interval_ms, 100),
            "SYSTEM_PROCESS_SELF_HEAL_STARTUP_GRACE_MS" => Time(&mut self.startup_grace_ms, 0),
            "SYSTEM_AGENT_LIVENESS_WINDOW_MS" => Time(&mut self.liveness_window_ms, 1000),
            "FAILED_TASK_RETRY_COOLDOWN_MS" => Time(&mut self.failed_cooldown_ms, 0),
            "BLOCKED_TASK_RETRY_COOLDOWN_MS" => Time(&mut self.blocked_cooldown_ms, 0),
            "FAILED_TASK_MAX_RETRY_COUNT" => Number(&mut self.failed_max_retries, 1_000_000),
            "DISPATCH_RETRY_DELAY_MS" => Time(&mut self.dispatch_retry_delay_ms, 0),
            "BLOCKED_POLICY_SUPPRESSION_MAX_RETRIES" => any(&mut self.policy_suppression_max),
            "AUTO_REWORK_MAX_DEPTH" => any(&mut self.rework_max_depth),
            "MAX_CONCURRENT_WORKERS" => Number(&mut self.max_concurrent, 10_000),
            "DISPATCH_CONFLICT_LANE_MAX_SLOTS" => any(&mut self.conflict_lane_max),
            "DISPATCH_DOCSER_LANE_MAX_SLOTS" => any(&mut self.docser_lane_max),
            "DISPATCH_FEATURE_LANE_MIN_SLOTS" => any(&mut self.feature_lane_min),
            "WORKER_COUNT" => Agents(&mut self.workers),
            "TESTER_COUNT" => Agents(&mut self.testers),
            "DOCSER_COUNT" => Agents(&mut self.docsers),
            "JUDGE_COUNT" => Agents(&mut self.judges),
            "QUOTA_BACKOFF_BASE_MS" => Time(&mut self.quota_base_ms, 1000),
            "QUOTA_BACKOFF_MAX_MS" => Time(&mut self.quota_max_ms, 1000),
            "JUDGE_MERGE_QUEUE_MAX_ATTEMPTS" => Count(&mut self.merge_max_attempts, 1, u32::MAX),
            "JUDGE_MERGE_QUEUE_RETRY_DELAY_MS" => Time(&mut self.merge_retry_ms, 100),
            "JUDGE_MERGE_QUEUE_CLAIM_TTL_MS" => Time(&mut self.merge_claim_ms, 1000),
            "CYCLE_MAX_DURATION_MS" => Time(&mut self.cycle_ms, 1000),
            "CYCLE_MAX_TASKS" => Count(&mut self.cycle_max_tasks, 1, u32::MAX),
            "CYCLE_MAX_FAILURE_PERCENT" => Count(&mut self.cycle_max_failure_percent, 1, 101),
            "DAILY_TOKEN_LIMIT" => Limit(&mut self.day_limit.tokens),
            "HOURLY_TOKEN_LIMIT" => Limit(&mut self.hour_limit.tokens),
            "TASK_TOKEN_LIMIT" => Limit(&mut self.task_limit.tokens),
            "TASK_CALL_LIMIT" => Limit(&mut self.task_limit.calls),
            "APPROVAL_TIMEOUT_MS" => Time(&mut self.question_ms, 1000),
            "PLANNER_PREVIEW" => Switch(&mut self.plan_preview),
            "AUTO_REPLAN" => Switch(&mut self.auto_replan),
            "REPLAN_MAX_COUNT" => any(&mut self.replan_max),
            "REPLAN_INTERVAL_MS" => Time(&mut self.replan_interval_ms, 0),
            "LLM_EXECUTOR" => Word(&mut self.executor, 100),
            "BASE_BRANCH" => Text(&mut self.branch),
            "GITHUB_ISSUE_LABEL" => Word(&mut self.issue_label, 50),
            "ISSUE_SYNC_INTERVAL_MS" => Time(&mut self.issue_sync_ms, 100),
            "SANDBOX_DOCKER_IMAGE" => Word(&mut self.container_image, 500),
            "SANDBOX_DOCKER_NETWORK" => Word(&mut self.container_network, 200),
            _ => return None,
        })
    }

    /// Returns image and network of the containers that attempts run in; `None` = they run on the machine itself.
    pub fn container(&self) -> Option<(String, String)> {
        let both = (self.container_image.clone(), self.container_network.clone());
        self.in_containers.then_some(both)
    }

    /// Says that the agent that is to work is none of the service's.
    pub fn unknown_executor<'a>(
        &self,
        known: impl IntoIterator<Item = &'a String>,
    ) -> Option<String> {
        let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
        let name = self.executor.as_str();
        (!name.is_empty() && !known.contains(&name)).then(|| {
            let others = match known.as_slice() {
                [] => String::new(),
                known => format!(", or name one of: {}", known.join(", ")),
            };
            format!(
                "LLM_EXECUTOR is \"{name}\", and config/service.toml has no [agents.{name}]; write that, leave it empty for \
                 [agent]{others}"
            )
        })
    }

    /// Says which settings need each other; each of them may be good for itself.
    pub fn contradiction(&self) -> Option<String> {
        if self.repo_mode != RepoMode::LocalGit && self.repo_url.is_empty() {
            return Some(format!(
                "REPO_MODE is {} and REPO_URL is empty; write the repository there, such as https://github.com/owner/name",
                self.repo_mode.as_str()
            ));
        }
        (self.in_containers && self.container_image.is_empty()).then(|| {
            "EXECUTION_ENVIRONMENT is sandbox and SANDBOX_DOCKER_IMAGE is empty; name an image with git, the agent and what the tests need".to_owned()
        })
    }

    /// Returns the repository on GitHub, where one is named.
    pub fn github_repository(&self) -> Option<GithubRepository> {
        GithubRepository::read(&self.repo_url, &self.github_api_url).ok()
    }

    /// Sets a setting, or says why not.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let value = value.trim();
        match name {
            "JUDGE_MODE" => {
                self.reviews = match value {
                    REVIEW => true,
                    TESTS => false,
                    _ => return Err(format!("{name} is \"{value}\"; write {REVIEW} or {TESTS}")),
                }
            }
            "REPO_MODE" => {
                let known = RepoMode::ALL
                    .into_iter()
                    .find(|mode| mode.as_str() == value);
                self.repo_mode = known.ok_or_else(|| {
                    format!("{name} is \"{value}\"; write local-git, github or both")
                })?;
            }
            "REPO_URL" => {
                if !value.is_empty() {
                    GithubRepository::read(value, &self.github_api_url)
                        .map_err(|why| format!("{name}: {why}"))?;
                }
                value.clone_into(&mut self.repo_url);
            }
            "GITHUB_API_URL" => {
                if !value.is_empty() {
                    check_server_url(value).map_err(|why| format!("{name}: {why}"))?;
                }
                value.clone_into(&mut self.github_api_url);
            }
            "EXECUTION_ENVIRONMENT" => {
                self.in_containers = match value {
                    "host" => false,
                    "sandbox" => true,
                    _ => return Err(format!("{name} is \"{value}\"; write host or sandbox")),
                }
            }
            _ => {
                let field = self.field(name);
                let field =
                    field.ok_or_else(|| format!("no setting of the board is called {name}"))?;
                field.read(name, value)?;
            }
        }
        Ok(())
    }
}

/// Any number of something.
const fn any(place: &mut u32) -> SettingField<'_> {
    Count(place, 0, u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        super::setting_keys::{KEYS, restart_scope_of},
        *,
    };

    #[test]
    fn every_key_of_the_table_can_be_read_and_written_back() {
        let mut settings = BoardSettings::default();
        for key in KEYS {
            let value = settings
                .get(key.name)
                .unwrap_or_else(|| panic!("{} cannot be read", key.name));
            settings.set(key.name, &value).unwrap();
        }
        assert_eq!(settings, BoardSettings::default());
        assert!(settings.set("WORKER_COUNT", "65").is_err());
        assert!(settings.set("WORKER_COUNT", "-2").is_err());
        assert!(settings.set("NO_SUCH", "1").is_err());
        assert!(settings.set("SYSTEM_PROCESS_SELF_HEAL", "maybe").is_err());
    }

    #[test]
    fn a_change_names_the_processes_it_concerns_in_starting_order() {
        let settings = BoardSettings {
            workers: 2,
            ..BoardSettings::default()
        };
        let names = |name: &str| {
            let names = settings.processes_to_restart(restart_scope_of(name).unwrap());
            names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(names("DISPATCH_RETRY_DELAY_MS"), "dispatcher");
        assert_eq!(names("MAX_CONCURRENT_WORKERS"), "dispatcher");
        assert_eq!(names("WORKER_MODEL"), "worker-1 worker-2");
        assert_eq!(names("LLM_EXECUTOR"), "worker-1 worker-2 tester-1 docser-1");
        assert_eq!(names("JUDGE_MODE"), "judge");
        assert_eq!(names("REPLAN_INTERVAL_MS"), "cycle-manager");
        assert_eq!(names("FAILED_TASK_RETRY_COOLDOWN_MS"), "cycle-manager");
        assert_eq!(
            names("SANDBOX_DOCKER_IMAGE"),
            "dispatcher worker-1 worker-2 tester-1 docser-1"
        );
    }
}
