//! A person changes the tasks of a plan before they are made.
//!
//! A change names the version that the person saw, so that nobody overwrites what somebody else changed meanwhile. What waited for a
//! task that is left out waits for what that one waited for. Tasks may be put in any order; circles are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Board, BoardResponse, Dependency, Draft, OnDependencyCancelled, PlanEvent, PlanId, PlanStatus,
    Refusal, RefusalCode, RequirementPlan, TaskId, TaskSpec, create::invalid,
};

/// What a person wants of one proposed task; what is not named stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanTaskEdit {
    /// Its place in the plan, from 1.
    pub place: u64,
    /// It is not made.
    pub remove: bool,
    /// One line.
    pub title: Option<String>,
    /// What is asked for, and how one sees that it is done.
    pub goal: Option<String>,
    /// What it may touch.
    pub paths: Option<Vec<String>>,
    /// The places of the tasks it waits for.
    pub dependencies: Option<Vec<u64>>,
}

impl Board {
    /// Changes the tasks of a plan that waits for a person.
    pub(super) fn edit_plan(
        &self,
        draft: &mut Draft,
        id: PlanId,
        version: u32,
        edits: &[PlanTaskEdit],
        by: &str,
    ) -> Result<(), Refusal> {
        let plan = self.require_proposed_plan(id)?;
        if plan.edits != version {
            return Err(Refusal::new(
                RefusalCode::Stale,
                format!("{id} was changed meanwhile"),
                "look at it again, and change it then",
            ));
        }
        let tasks = apply_edits(&plan.proposal, edits).map_err(invalid)?;
        self.check_planned(&tasks)?;
        if tasks != plan.proposal {
            draft.event(PlanEvent::Edited {
                plan: id,
                tasks,
                by: by.to_owned(),
            });
        }
        draft.answer(BoardResponse::Plan { plan: id });
        Ok(())
    }

    /// Returns a plan whose tasks wait for a person.
    pub(super) fn require_proposed_plan(&self, id: PlanId) -> Result<&RequirementPlan, Refusal> {
        let plan = self.require_plan(id)?;
        if plan.status == PlanStatus::Proposed {
            return Ok(plan);
        }
        Err(Refusal::new(
            RefusalCode::Conflict,
            format!("{id} does not wait for an answer"),
            "`tos board plans` shows where it stands",
        ))
    }
}

/// Returns a proposal with changes, each task after all it waits for.
pub fn apply_edits(proposal: &[TaskSpec], edits: &[PlanTaskEdit]) -> Result<Vec<TaskSpec>, String> {
    let mut tasks: BTreeMap<u64, TaskSpec> = (1_u64..).zip(proposal.iter().cloned()).collect();
    let mut removed = BTreeSet::new();
    let mut named = BTreeSet::new();
    for edit in edits {
        let place = edit.place;
        let Some(task) = tasks.get_mut(&place) else {
            return Err(format!("the plan has no task {place}"));
        };
        if !named.insert(place) {
            return Err(format!("task {place} is named twice"));
        }
        if edit.remove {
            removed.insert(place);
        }
        change(task, edit);
    }
    for (place, task) in &tasks {
        for needed in &task.dependencies {
            let needed = needed.task.0;
            if needed == *place || !tasks.contains_key(&needed) {
                return Err(format!(
                    "task {place} cannot wait for {needed}, which is no other task of the plan"
                ));
            }
        }
    }
    for place in &removed {
        leave_out(&mut tasks, *place);
    }
    if tasks.is_empty() {
        return Err("no task is left; decline the plan instead".to_owned());
    }
    in_order(tasks)
}

fn change(task: &mut TaskSpec, edit: &PlanTaskEdit) {
    if let Some(title) = &edit.title {
        title.trim().clone_into(&mut task.title);
    }
    if let Some(goal) = &edit.goal {
        goal.trim().clone_into(&mut task.goal);
    }
    if let Some(paths) = &edit.paths {
        task.paths.clone_from(paths);
    }
    let Some(wanted) = &edit.dependencies else {
        return;
    };
    let wanted: BTreeSet<u64> = wanted.iter().copied().collect();
    let dependencies = wanted.into_iter().map(|place| {
        let known = task.dependencies.iter();
        let known = known.copied().find(|one| one.task.0 == place);
        known.unwrap_or(Dependency {
            task: TaskId(place),
            on_fail: OnDependencyCancelled::Block,
        })
    });
    task.dependencies = dependencies.collect();
}

/// Takes a task away; what waited for it waits for what that waited for.
fn leave_out(tasks: &mut BTreeMap<u64, TaskSpec>, place: u64) {
    let Some(gone) = tasks.remove(&place) else {
        return;
    };
    for (other, task) in tasks.iter_mut() {
        let before = task.dependencies.len();
        task.dependencies.retain(|needed| needed.task.0 != place);
        if task.dependencies.len() == before {
            continue;
        }
        for needed in &gone.dependencies {
            let is_there = task.dependencies.iter().any(|one| one.task == needed.task);
            if !is_there && needed.task.0 != *other {
                task.dependencies.push(*needed);
            }
        }
    }
}

/// Puts each task after all it waits for, keeps the order otherwise, and counts the places anew.
fn in_order(mut left: BTreeMap<u64, TaskSpec>) -> Result<Vec<TaskSpec>, String> {
    let mut places: BTreeMap<u64, u64> = BTreeMap::new();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().find(|(_, task)| {
            let mut needed = task.dependencies.iter();
            needed.all(|needed| places.contains_key(&needed.task.0))
        });
        let Some((place, mut task)) = ready.map(|(place, task)| (*place, task.clone())) else {
            let circle: Vec<String> = left.keys().map(ToString::to_string).collect();
            return Err(format!(
                "the tasks {} wait for each other in a circle",
                circle.join(", ")
            ));
        };
        left.remove(&place);
        for needed in &mut task.dependencies {
            if let Some(new) = places.get(&needed.task.0) {
                needed.task = TaskId(*new);
            }
        }
        task.dependencies.sort_by_key(|needed| needed.task);
        ordered.push(task);
        places.insert(place, ordered.len() as u64);
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(title: &str, needs: &[u64]) -> TaskSpec {
        TaskSpec {
            title: title.to_owned(),
            dependencies: needs
                .iter()
                .map(|place| Dependency {
                    task: TaskId(*place),
                    on_fail: OnDependencyCancelled::Block,
                })
                .collect(),
            ..TaskSpec::default()
        }
    }

    fn shown(tasks: &[TaskSpec]) -> Vec<(&str, Vec<u64>)> {
        let needs = |task: &TaskSpec| task.dependencies.iter().map(|one| one.task.0).collect();
        tasks
            .iter()
            .map(|task| (task.title.as_str(), needs(task)))
            .collect()
    }

    fn edit(place: u64) -> PlanTaskEdit {
        PlanTaskEdit {
            place,
            ..PlanTaskEdit::default()
        }
    }

    fn chain() -> Vec<TaskSpec> {
        vec![task("a", &[]), task("b", &[1]), task("c", &[2])]
    }

    #[test]
    fn what_waited_for_a_task_that_is_left_out_waits_for_what_that_waited_for() {
        let gone = PlanTaskEdit {
            remove: true,
            ..edit(2)
        };
        let left = apply_edits(&chain(), &[gone]).unwrap();
        assert_eq!(shown(&left), [("a", vec![]), ("c", vec![1])]);
        let all: Vec<PlanTaskEdit> = (1..=3)
            .map(|place| PlanTaskEdit {
                remove: true,
                ..edit(place)
            })
            .collect();
        let left = apply_edits(&chain(), &all[..2]).unwrap();
        assert_eq!(shown(&left), [("c", vec![])]);
        assert!(apply_edits(&chain(), &all).unwrap_err().contains("decline"));
    }

    #[test]
    fn tasks_are_put_in_another_order_and_circles_are_refused() {
        let needs = |place, dependencies: &[u64]| PlanTaskEdit {
            dependencies: Some(dependencies.to_vec()),
            ..edit(place)
        };
        let turned = apply_edits(&chain(), &[needs(1, &[3, 3]), needs(2, &[]), needs(3, &[])]);
        assert_eq!(
            shown(&turned.unwrap()),
            [("b", vec![]), ("c", vec![]), ("a", vec![2])]
        );
        let circle = apply_edits(&chain(), &[needs(1, &[3])]).unwrap_err();
        assert!(circle.contains("1, 2, 3 wait for each other"), "{circle}");
        for (wrong, words) in [
            (needs(1, &[4]), "cannot wait for 4"),
            (needs(1, &[0]), "cannot wait for 0"),
            (needs(1, &[1]), "cannot wait for 1"),
            (edit(4), "no task 4"),
            (edit(0), "no task 0"),
        ] {
            let told = apply_edits(&chain(), &[wrong]).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
        let twice = apply_edits(&chain(), &[edit(1), edit(1)]).unwrap_err();
        assert!(twice.contains("twice"));
    }

    #[test]
    fn what_is_not_named_stays() {
        assert_eq!(apply_edits(&chain(), &[edit(2)]).unwrap(), chain());
        let other = PlanTaskEdit {
            title: Some(" other ".to_owned()),
            goal: Some("do it\n".to_owned()),
            paths: Some(vec!["src/a".to_owned()]),
            ..edit(2)
        };
        let changed = apply_edits(&chain(), &[other]).unwrap();
        assert_eq!(shown(&changed)[1], ("other", vec![1]));
        assert_eq!(
            (changed[1].goal.as_str(), changed[1].paths.len()),
            ("do it", 1)
        );
    }
}
