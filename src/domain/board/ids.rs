//! Names of the things on a board: numbers that only grow, and the names of processes.
//!
//! A number is never given twice. `worker-1` is a process and, while it is up, the agent of that name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since 1970 on the clock of the board, which never goes backwards, or a duration in milliseconds.
pub type Millis = u64;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let number = text.strip_prefix(concat!($prefix, "-")).unwrap_or(text);
                number.parse().map(Self).map_err(|_| {
                    format!(concat!("\"{}\" is no ", $prefix, "; write ", $prefix, "-1 or 1"), text)
                })
            }
        }
    };
}

numbered!(
    /// A task.
    TaskId,
    "task"
);
numbered!(
    /// One attempt of a worker at a task.
    RunId,
    "run"
);
numbered!(
    /// One examination of an attempt by a judge.
    JudgementId,
    "judgement"
);
numbered!(
    /// One entry of the merge queue.
    MergeId,
    "merge"
);
numbered!(
    /// One question to a person.
    ApprovalId,
    "approval"
);
numbered!(
    /// One requirement that a planner turns into tasks.
    PlanId,
    "plan"
);
numbered!(
    /// One list of tasks that is carried out in order.
    SessionId,
    "session"
);
numbered!(
    /// The number of a lease. It only grows; whoever holds an older one is refused.
    Fence,
    "fence"
);

/// How many processes of one role there may be.
pub const MAX_PROCESSES_PER_ROLE: u16 = 64;

/// What an agent does.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AgentRole {
    /// Judges attempts.
    Judge,
    /// Writes code.
    #[default]
    Worker,
    /// Writes tests.
    Tester,
    /// Writes documents.
    Docser,
}

impl AgentRole {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Judge, Self::Worker, Self::Tester, Self::Docser];

    /// Returns the word used in names and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Judge => "judge",
            Self::Worker => "worker",
            Self::Tester => "tester",
            Self::Docser => "docser",
        }
    }

    /// Returns whether agents of this role carry out tasks.
    pub const fn executes(self) -> bool {
        !matches!(self, Self::Judge)
    }
}

/// The name of a supervised process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ProcessName {
    /// Hands queued tasks to idle agents.
    Dispatcher,
    /// Brings back what waits: retries, quota pauses, expired leases, cycles.
    CycleManager,
    /// Turns a requirement into tasks.
    Planner,
    /// Opens and checks the database.
    DbUp,
    /// Refuses writes until `db-up`.
    DbDown,
    /// Brings the database to the newest schema.
    DbPush,
    /// An agent: `judge`, `judge-2`, `worker-1`, `tester-1`, `docser-1`.
    Agent(AgentRole, u16),
}

/// The name of an agent is the name of its process.
pub type AgentId = ProcessName;

impl ProcessName {
    /// The processes that exist once.
    pub const FIXED: [Self; 6] = [
        Self::Planner,
        Self::Dispatcher,
        Self::CycleManager,
        Self::DbUp,
        Self::DbDown,
        Self::DbPush,
    ];

    /// Returns the role of an agent.
    pub const fn role(self) -> Option<AgentRole> {
        match self {
            Self::Agent(role, _) => Some(role),
            Self::Dispatcher
            | Self::CycleManager
            | Self::Planner
            | Self::DbUp
            | Self::DbDown
            | Self::DbPush => None,
        }
    }

    /// Returns whether it can be stopped: commands on the database run to their end.
    pub const fn is_stoppable(self) -> bool {
        !matches!(self, Self::DbUp | Self::DbDown | Self::DbPush)
    }

    /// Returns whether it is started again when it ends by itself.
    pub const fn is_restarted(self) -> bool {
        matches!(
            self,
            Self::Dispatcher | Self::CycleManager | Self::Agent(..)
        )
    }

    /// Returns the name of the agent, which for the first judge is `judge-1`.
    pub fn agent_name(self) -> String {
        match self {
            Self::Agent(role, number) => format!("{}-{number}", role.as_str()),
            Self::Dispatcher
            | Self::CycleManager
            | Self::Planner
            | Self::DbUp
            | Self::DbDown
            | Self::DbPush => self.to_string(),
        }
    }

    /// Returns what it is for, in one sentence.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Dispatcher => "hands queued tasks to idle agents",
            Self::CycleManager => "brings back what waits: retries, quota pauses, expired leases",
            Self::Planner => "turns a requirement into tasks",
            Self::DbUp => "opens and checks the database",
            Self::DbDown => "refuses writes until db-up",
            Self::DbPush => "brings the database to the newest schema",
            Self::Agent(AgentRole::Judge, _) => "tests attempts on the merge result and decides",
            Self::Agent(AgentRole::Worker, _) => "writes code in a work tree of its own",
            Self::Agent(AgentRole::Tester, _) => "writes tests in a work tree of its own",
            Self::Agent(AgentRole::Docser, _) => "writes documents in a work tree of its own",
        }
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dispatcher => f.write_str("dispatcher"),
            Self::CycleManager => f.write_str("cycle-manager"),
            Self::Planner => f.write_str("planner"),
            Self::DbUp => f.write_str("db-up"),
            Self::DbDown => f.write_str("db-down"),
            Self::DbPush => f.write_str("db-push"),
            Self::Agent(AgentRole::Judge, 1) => f.write_str("judge"),
            Self::Agent(role, number) => write!(f, "{}-{number}", role.as_str()),
        }
    }
}

impl FromStr for ProcessName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "judge" {
            return Ok(Self::Agent(AgentRole::Judge, 1));
        }
        if let Some(fixed) = Self::FIXED
            .into_iter()
            .find(|name| name.to_string() == text)
        {
            return Ok(fixed);
        }
        let agent = text.rsplit_once('-').and_then(|(role, number)| {
            let role = AgentRole::ALL
                .into_iter()
                .find(|known| known.as_str() == role)?;
            let plain = !number.starts_with(['0', '+']);
            let number: u16 = number.parse().ok()?;
            (plain && (1..=MAX_PROCESSES_PER_ROLE).contains(&number))
                .then_some(Self::Agent(role, number))
        });
        agent.ok_or_else(|| {
            format!(
                "no process is called \"{text}\"; there are planner, dispatcher, cycle-manager, db-up, db-down, db-push, judge, \
                 judge-2, worker-1, tester-1, docser-1 and so on, up to {MAX_PROCESSES_PER_ROLE} of each"
            )
        })
    }
}

impl TryFrom<String> for ProcessName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ProcessName> for String {
    fn from(name: ProcessName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_are_read_as_they_are_written() {
        for text in [
            "planner",
            "db-push",
            "judge",
            "judge-2",
            "worker-1",
            "docser-64",
        ] {
            let name: ProcessName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        let first: ProcessName = "judge-1".parse().unwrap();
        assert_eq!(first.to_string(), "judge");
        assert_eq!(first.agent_name(), "judge-1");
        for wrong in [
            "worker",
            "worker-0",
            "worker-01",
            "worker-65",
            "worker-+1",
            "boss-1",
            "",
            "-1",
        ] {
            assert!(wrong.parse::<ProcessName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_read_with_and_without_their_prefix() {
        assert_eq!("task-12".parse(), Ok(TaskId(12)));
        assert_eq!("12".parse(), Ok(TaskId(12)));
        assert!("run-12".parse::<TaskId>().is_err());
    }
}
