//! `validate` and `graph`: a plan seen without running it.

use std::{collections::BTreeMap, io, io::Write};

use serde_json::json;

use super::{
    PlanCliError, PlanCommands,
    args::{GraphArgs, GraphFormat, ValidateArgs},
    doubt, floor,
};
use crate::{
    domain::plan::{Plan, graph::PlanGraph},
    interfaces::{cli::exit::CliExit, report::plan::svg},
};

/// Checks a plan.
pub(super) fn validate(
    args: &ValidateArgs,
    context: PlanCommands<'_>,
) -> Result<CliExit, PlanCliError> {
    let params: BTreeMap<String, String> = args.params.params.iter().cloned().collect();
    let plan = context.plan_store.load(&args.plan, &params)?;
    floor::hold(context, &plan, &context.plan_store.workdir(".".as_ref())?)?;
    doubt(context, &plan);
    let graph = PlanGraph::of(&plan);
    let edges: usize = graph
        .tasks()
        .map(|task| graph.dependencies(task).len())
        .sum();
    let depth = graph
        .depths()
        .into_iter()
        .max()
        .map_or(0, |level| level + 1);
    if context.printer.is_json() {
        let document = json!({"valid": true, "tasks": plan.tasks.len(), "dependencies": edges, "depth": depth, "goal": plan.goal,
            "agents": plan.guarded.is_some()});
        context.printer.document(&document);
    } else {
        let tasks = plan.tasks.len();
        let whose = if plan.guarded.is_some() {
            " for agents"
        } else {
            ""
        };
        context.printer.line(&format!(
            "{}: valid, {tasks} tasks{whose}, {edges} dependencies, {depth} levels",
            args.plan.display()
        ));
    }
    Ok(CliExit::Success)
}

/// Shows the graph of a plan.
pub(super) fn graph(args: &GraphArgs, context: PlanCommands<'_>) -> Result<CliExit, PlanCliError> {
    let params: BTreeMap<String, String> = args.params.params.iter().cloned().collect();
    let plan = context.plan_store.load(&args.plan, &params)?;
    if context.printer.is_json() {
        context.printer.document(&document(&plan));
        return Ok(CliExit::Success);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        GraphFormat::Text => text(&plan, &mut out)?,
        GraphFormat::Mermaid => mermaid(&plan, &mut out)?,
        GraphFormat::Dot => dot(&plan, &mut out)?,
        GraphFormat::Svg => out.write_all(svg::standalone_svg(&plan).as_bytes())?,
    }
    out.flush()?;
    Ok(CliExit::Success)
}

fn document(plan: &Plan) -> serde_json::Value {
    let graph = PlanGraph::of(plan);
    let levels = graph.depths();
    let tasks: Vec<_> = graph
        .topological_order()
        .into_iter()
        .filter_map(|index| {
            let task = plan.task(index)?;
            let upstream = graph.dependencies(index).iter();
            let names: Vec<&str> = upstream
                .filter_map(|up| plan.task(*up))
                .map(|up| &*up.id)
                .collect();
            Some(json!({ "id": task.id, "level": levels.get(index as usize), "depends_on": names }))
        })
        .collect();
    json!({ "goal": plan.goal, "tasks": tasks })
}

fn text(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let graph = PlanGraph::of(plan);
    let levels = graph.depths();
    for task in graph.topological_order() {
        let level = levels.get(task as usize).copied().unwrap_or(0) as usize;
        let upstream: Vec<&str> = graph
            .dependencies(task)
            .iter()
            .filter_map(|up| plan.task(*up))
            .map(|up| &*up.id)
            .collect();
        let id = plan.task(task).map_or("", |task| &*task.id);
        let after = if upstream.is_empty() {
            String::new()
        } else {
            format!("  <- {}", upstream.join(", "))
        };
        writeln!(out, "{}{id}{after}", "  ".repeat(level.min(40)))?;
    }
    Ok(())
}

fn mermaid(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    for (index, task) in plan.tasks.iter().enumerate() {
        writeln!(out, "  t{index}[\"{}\"]", task.id)?;
        for up in &task.depends_on {
            writeln!(out, "  t{up} --> t{index}")?;
        }
    }
    Ok(())
}

fn dot(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "digraph plan {{\n  rankdir=LR;\n  node [shape=box];")?;
    for task in &plan.tasks {
        writeln!(out, "  \"{}\";", task.id)?;
        for up in task.depends_on.iter().filter_map(|up| plan.task(*up)) {
            writeln!(out, "  \"{}\" -> \"{}\";", up.id, task.id)?;
        }
    }
    writeln!(out, "}}")
}
