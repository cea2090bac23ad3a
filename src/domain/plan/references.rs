//! What concerns several tasks at once: names that have to exist, conditions about others, circles.

use std::collections::BTreeMap;

use crate::domain::plan::{
    graph::PlanGraph,
    node::{PlanError, SourcePosition},
    task::{PlanTask, TaskIndex},
};

pub(super) fn resolve_dependency(
    name: &str,
    mark: SourcePosition,
    id: &str,
    positions: &BTreeMap<String, TaskIndex>,
    groups: &BTreeMap<String, Vec<TaskIndex>>,
) -> Result<Vec<TaskIndex>, PlanError> {
    if let Some(found) = positions.get(name) {
        return Ok(vec![*found]);
    }
    if let Some(members) = groups.get(name) {
        return Ok(members.clone());
    }
    let near = positions
        .keys()
        .map(String::as_str)
        .filter(|known| known.len().abs_diff(name.len()) <= 2)
        .take(5000);
    Err(PlanError::new(
        mark,
        format!("task `{id}` depends on `{name}`, which does not exist"),
    )
    .with_suggestions(name, near))
}

pub(super) fn check_when(
    task: &PlanTask,
    mark: SourcePosition,
    positions: &BTreeMap<String, TaskIndex>,
) -> Result<(), PlanError> {
    let Some(when) = task.condition() else {
        return Ok(());
    };
    for name in when.task_names() {
        if !positions
            .get(name)
            .is_some_and(|up| task.depends_on.contains(up))
        {
            let message = format!(
                "the `when` of task `{}` asks about `{name}`, on which it does not depend",
                task.id
            );
            return Err(
                PlanError::new(mark, message).with_remedy(format!("add `{name}` to `depends_on`"))
            );
        }
    }
    Ok(())
}

pub(super) fn check_acyclic(tasks: &[PlanTask], marks: &[SourcePosition]) -> Result<(), PlanError> {
    let graph = PlanGraph::from_edges(tasks.iter().map(|task| task.depends_on.as_slice()));
    let Some(mut circle) = graph.find_cycle() else {
        return Ok(());
    };
    let mark = circle
        .first()
        .and_then(|first| marks.get(*first as usize))
        .copied()
        .unwrap_or_default();
    let length = circle.len();
    circle.extend(circle.first().copied());
    let ids: Vec<&str> = circle
        .iter()
        .filter_map(|index| tasks.get(*index as usize))
        .map(|task| &*task.id)
        .collect();
    let shown = if ids.len() > 12 {
        let (head, tail) = (
            ids.get(..6).unwrap_or_default(),
            ids.get(ids.len() - 3..).unwrap_or_default(),
        );
        format!("{} -> … -> {}", head.join(" -> "), tail.join(" -> "))
    } else {
        ids.join(" -> ")
    };
    let message = format!("{length} tasks depend on each other in a circle: {shown}");
    Err(PlanError::new(mark, message).with_remedy("remove one of these dependencies"))
}
