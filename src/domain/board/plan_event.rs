//! What happened with requirements beyond being handed in and being over: asked again, proposed, decided, paid.
//!
//! Events are versioned and never change once written; a new meaning is a new event.

use serde::{Deserialize, Serialize};

use super::{budget::Spend, ids::PlanId, task::TaskSpec};

/// Something about a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum PlanEvent {
    /// What is left of a requirement is planned again by itself.
    #[serde(rename = "planner.replan_triggered")]
    Replanned {
        /// The number of the new plan.
        plan: PlanId,
        /// The plan it goes on from.
        of: PlanId,
        /// The text, which is the same.
        requirement: String,
    },
    /// A person wants to see its tasks before they are made.
    #[serde(rename = "planner.preview_wanted")]
    PreviewWanted {
        /// Which.
        plan: PlanId,
    },
    /// A planner used something up.
    #[serde(rename = "planner.spent")]
    Spent {
        /// For which plan.
        plan: PlanId,
        /// How much.
        spend: Spend,
    },
    /// A planner named tasks.
    #[serde(rename = "planner.proposed")]
    Proposed {
        /// For which plan.
        plan: PlanId,
        /// What planned: `model`, `agent`.
        maker: String,
        /// The tasks; their dependencies are places in this list, counted from 1.
        tasks: Vec<TaskSpec>,
    },
    /// A person changed the tasks.
    #[serde(rename = "planner.edited")]
    Edited {
        /// Which.
        plan: PlanId,
        /// The tasks now; their dependencies are places in this list, counted from 1.
        tasks: Vec<TaskSpec>,
        /// Who.
        by: String,
    },
    /// A person does not want these tasks.
    #[serde(rename = "planner.declined")]
    Declined {
        /// Which.
        plan: PlanId,
        /// Who.
        by: String,
    },
    /// A planner says that nothing is left to do.
    #[serde(rename = "planner.nothing_left")]
    NothingLeft {
        /// Which.
        plan: PlanId,
        /// What planned.
        maker: String,
        /// Why.
        detail: String,
    },
}

impl PlanEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Replanned { .. } => "planner.replan_triggered",
            Self::PreviewWanted { .. } => "planner.preview_wanted",
            Self::Spent { .. } => "planner.spent",
            Self::Proposed { .. } => "planner.proposed",
            Self::Edited { .. } => "planner.edited",
            Self::Declined { .. } => "planner.declined",
            Self::NothingLeft { .. } => "planner.nothing_left",
        }
    }
}
