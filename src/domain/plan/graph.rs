//! Who depends on whom: the edges of a plan in both directions, their order, and the circle where there is one.

use crate::domain::plan::task::{Plan, TaskIndex};

/// The edges of a plan. Built once; a hundred thousand tasks cost a few megabytes.
#[derive(Debug, Clone, Default)]
pub struct PlanGraph {
    upstream: Edges,
    downstream: Edges,
}

#[derive(Debug, Clone, Default)]
struct Edges {
    starts: Vec<u32>,
    targets: Vec<TaskIndex>,
}

impl Edges {
    fn of(&self, task: TaskIndex) -> &[TaskIndex] {
        let task = task as usize;
        let range = self.starts.get(task).zip(self.starts.get(task + 1));
        range
            .and_then(|(from, to)| self.targets.get(*from as usize..*to as usize))
            .unwrap_or_default()
    }
}

impl PlanGraph {
    /// Builds the graph of `plan`.
    pub fn of(plan: &Plan) -> Self {
        Self::from_edges(plan.tasks.iter().map(|task| task.depends_on.as_slice()))
    }

    /// Builds a graph from what each task depends on; positions beyond the end are ignored.
    pub fn from_edges<'a>(depends_on: impl IntoIterator<Item = &'a [TaskIndex]>) -> Self {
        let mut upstream = Edges {
            starts: vec![0],
            targets: Vec::new(),
        };
        for list in depends_on {
            upstream.targets.extend_from_slice(list);
            upstream.starts.push(position(upstream.targets.len()));
        }
        let downstream = reversed(&upstream);
        Self {
            upstream,
            downstream,
        }
    }

    /// Returns how many tasks there are.
    pub fn len(&self) -> usize {
        self.upstream.starts.len().saturating_sub(1)
    }

    /// Returns true where there is no task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all positions.
    pub fn tasks(&self) -> std::ops::Range<TaskIndex> {
        0..position(self.len())
    }

    /// Returns what `task` depends on.
    pub fn dependencies(&self, task: TaskIndex) -> &[TaskIndex] {
        self.upstream.of(task)
    }

    /// Returns what depends on `task`.
    pub fn dependents(&self, task: TaskIndex) -> &[TaskIndex] {
        self.downstream.of(task)
    }

    /// Returns the tasks in an order in which nothing comes before what it depends on: first in, first out,
    /// roots as in the plan. Tasks on a circle, or behind one, are missing.
    pub fn topological_order(&self) -> Vec<TaskIndex> {
        let mut open: Vec<usize> = self
            .tasks()
            .map(|task| self.dependencies(task).len())
            .collect();
        let mut order: Vec<TaskIndex> = self
            .tasks()
            .filter(|task| self.dependencies(*task).is_empty())
            .collect();
        let mut next = 0;
        while let Some(task) = order.get(next).copied() {
            next += 1;
            for after in self.dependents(task) {
                if let Some(count) = open.get_mut(*after as usize) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        order.push(*after);
                    }
                }
            }
        }
        order
    }

    /// Returns one circle, each task depending on the next and the last on the first.
    pub fn find_cycle(&self) -> Option<Vec<TaskIndex>> {
        let order = self.topological_order();
        if order.len() == self.len() {
            return None;
        }
        let mut ordered = vec![false; self.len()];
        for task in order {
            if let Some(flag) = ordered.get_mut(task as usize) {
                *flag = true;
            }
        }
        let is_stuck = |task: &TaskIndex| ordered.get(*task as usize) == Some(&false);
        let mut task = self.tasks().find(is_stuck)?;
        let mut seen_at = vec![usize::MAX; self.len()];
        let mut path = Vec::new();
        loop {
            let seen = seen_at.get_mut(task as usize)?;
            if *seen != usize::MAX {
                return path.get(*seen..).map(<[TaskIndex]>::to_vec);
            }
            *seen = path.len();
            path.push(task);
            // Every stuck task waits for a stuck one, so the walk ends only on the circle.
            task = self.dependencies(task).iter().copied().find(is_stuck)?;
        }
    }

    /// Returns `roots` and everything behind them.
    pub fn transitive_dependents(&self, roots: &[TaskIndex]) -> Vec<TaskIndex> {
        self.reach(roots, |task| self.dependents(task))
    }

    /// Returns `roots` and everything before them.
    pub fn transitive_dependencies(&self, roots: &[TaskIndex]) -> Vec<TaskIndex> {
        self.reach(roots, |task| self.dependencies(task))
    }

    fn reach<'a>(
        &self,
        roots: &[TaskIndex],
        next: impl Fn(TaskIndex) -> &'a [TaskIndex],
    ) -> Vec<TaskIndex> {
        let mut found = vec![false; self.len()];
        let mut open = roots.to_vec();
        while let Some(task) = open.pop() {
            match found.get_mut(task as usize) {
                Some(flag) if !*flag => *flag = true,
                _ => continue,
            }
            open.extend_from_slice(next(task));
        }
        self.tasks()
            .zip(found)
            .filter(|(_, found)| *found)
            .map(|(task, _)| task)
            .collect()
    }

    /// Returns the chain of tasks whose costs add up to the most, and that sum.
    pub fn critical_path(&self, cost: impl Fn(TaskIndex) -> u64) -> (Vec<TaskIndex>, u64) {
        let mut best: Vec<(u64, Option<TaskIndex>)> = vec![(0, None); self.len()];
        let mut last = None;
        let mut longest = 0;
        for task in self.topological_order() {
            let before = self
                .dependencies(task)
                .iter()
                .filter_map(|up| best.get(*up as usize).map(|(sum, _)| (*sum, Some(*up))))
                .max()
                .unwrap_or((0, None));
            let sum = before.0 + cost(task);
            if let Some(slot) = best.get_mut(task as usize) {
                *slot = (sum, before.1);
            }
            if sum >= longest {
                (longest, last) = (sum, Some(task));
            }
        }
        let mut path = Vec::new();
        while let Some(task) = last {
            path.push(task);
            last = best.get(task as usize).and_then(|(_, before)| *before);
        }
        path.reverse();
        (path, longest)
    }

    /// Returns for each task the length of the longest chain before it.
    pub fn depths(&self) -> Vec<u32> {
        let mut levels = vec![0_u32; self.len()];
        for task in self.topological_order() {
            let before = self
                .dependencies(task)
                .iter()
                .filter_map(|up| levels.get(*up as usize))
                .max();
            let level = before.map_or(0, |level| level + 1);
            if let Some(slot) = levels.get_mut(task as usize) {
                *slot = level;
            }
        }
        levels
    }
}

fn reversed(edges: &Edges) -> Edges {
    let tasks = edges.starts.len().saturating_sub(1);
    let mut starts = vec![0_u32; tasks + 1];
    for target in &edges.targets {
        if let Some(count) = starts.get_mut(*target as usize + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut next = starts.clone();
    let mut targets = vec![0; sum as usize];
    for task in 0..position(tasks) {
        for target in edges.of(task) {
            let Some(slot) = next
                .get_mut(*target as usize)
                .filter(|_| (*target as usize) < tasks)
            else {
                continue;
            };
            if let Some(place) = targets.get_mut(*slot as usize) {
                *place = task;
            }
            *slot += 1;
        }
    }
    Edges { starts, targets }
}

fn position(index: usize) -> TaskIndex {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[&[u32]]) -> PlanGraph {
        PlanGraph::from_edges(edges.iter().copied())
    }

    #[test]
    fn the_order_is_first_in_first_out_with_roots_as_in_the_plan() {
        let diamond = graph(&[&[], &[0], &[0], &[1, 2], &[]]);
        assert_eq!(diamond.topological_order(), [0, 4, 1, 2, 3]);
        assert_eq!(diamond.dependents(0), [1, 2]);
        assert_eq!(diamond.depths(), [0, 1, 1, 2, 0]);
        assert_eq!(diamond.transitive_dependents(&[1]), [1, 3]);
        assert_eq!(diamond.transitive_dependencies(&[3]), [0, 1, 2, 3]);
        assert_eq!(diamond.find_cycle(), None);
        assert_eq!(
            diamond.critical_path(|task| u64::from(task) + 1),
            (vec![0, 2, 3], 8)
        );
    }

    #[test]
    fn a_circle_is_shown_without_the_tasks_that_only_lead_to_it() {
        assert_eq!(
            graph(&[&[2], &[0], &[1], &[0], &[3]]).find_cycle(),
            Some(vec![0, 2, 1])
        );
        assert_eq!(graph(&[&[1], &[2], &[1]]).find_cycle(), Some(vec![1, 2]));
    }
}
