//! One plan on a page of its own: its tasks can be changed before they are made, by a form that works without a script.
//!
//! Nothing here is swapped while somebody writes. The form carries the version that was seen; a later one is refused.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    response::{Html, Redirect},
};
use maud::{Markup, html};

use crate::{
    domain::board::{Input, PlanId, PlanStatus, PlanTaskEdit, RequirementPlan, TaskSpec},
    interfaces::{
        http::{
            api::plans::apply_plan_edits,
            error::ApiError,
            extract::{ApiForm, ApiPath, parse_id},
            state::HttpState,
        },
        report::page::text,
    },
};

use super::{frame::page, plans::shown, view::PageContext};

/// The page of one plan.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
    ApiPath(id): ApiPath,
) -> Result<Html<String>, ApiError> {
    let id: PlanId = parse_id(&id)?;
    let board = service.snapshot();
    let plan = board.plan(id);
    let plan = plan.ok_or_else(|| ApiError::unknown(id))?;
    let body = html! {
        p { a href="/ui/plans" { (view.t("All plans")) } }
        @if plan.status == PlanStatus::Proposed { (form(&view, plan)) }
        @else { section id="plan" data-live { h2 { (view.t("Plan")) } (shown(&view, &board, plan)) } }
    };
    Ok(Html(page(&view, Some(&board), &id.to_string(), &body)))
}

fn form(view: &PageContext, plan: &RequirementPlan) -> Markup {
    let id = plan.id.0;
    html! {
        h2 { (view.t("Change the tasks before they are made")) }
        p.faint { (view.t("What waits for a task that is left out waits for what that one waits for.")) }
        form.stack method="post" action={ "/ui/plans/" (id) "/edit" } {
            input type="hidden" name="edits" value=(plan.edits);
            @for (place, task) in (1_u64..).zip(&plan.proposal) { (fields(view, place, task)) }
            div.row {
                button name="then" value="keep" { (view.t("Save")) }
                button.ok name="then" value="accept" { (view.t("Save and make these tasks")) }
            }
        }
        form.row method="post" action={ "/ui/plans/" (id) } {
            button.bad name="accept" value="no" { (view.t("Decline")) }
        }
        details { summary { (view.t("The text")) } pre tabindex="0" { (text(&plan.requirement)) } }
    }
}

fn fields(view: &PageContext, place: u64, task: &TaskSpec) -> Markup {
    let needs: Vec<String> = task
        .dependencies
        .iter()
        .map(|one| one.task.0.to_string())
        .collect();
    html! {
        fieldset.card {
            legend { (view.t("Task")) " " (place) }
            label { (view.t("Title")) input name={ "title-" (place) } maxlength="200" value=(text(&task.title)); }
            label { (view.t("What to do, and how one sees that it is done"))
                textarea name={ "goal-" (place) } rows="8" { (text(&task.goal)) } }
            label { (view.t("Files it may touch, one pattern a line"))
                textarea name={ "paths-" (place) } rows="2" { (text(&task.paths.join("\n"))) } }
            label { (view.t("After tasks (numbers)")) input name={ "after-" (place) } value=(needs.join(", ")); }
            label.check { input type="checkbox" name={ "remove-" (place) } value="yes"; " " (view.t("Leave this task out")) }
        }
    }
}

/// Changes a proposal, and accepts it when that is asked for.
pub(super) async fn edit(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiForm(form): ApiForm<BTreeMap<String, String>>,
) -> Result<Redirect, ApiError> {
    let id: PlanId = parse_id(&id)?;
    let accepts = match form.get("then").map(String::as_str) {
        Some("keep") => false,
        Some("accept") => true,
        _ => return Err(ApiError::invalid("`then` has to be keep or accept")),
    };
    let version = count(&form, "edits")?;
    let board = service.snapshot();
    let tasks = board.plan(id).map_or(0, |plan| plan.proposal.len() as u64);
    let edits = (1..=tasks).map(|place| read(&form, place));
    let edits = edits.collect::<Result<Vec<_>, _>>()?;
    apply_plan_edits(&service, id, version, edits, "page").await?;
    if !accepts {
        return Ok(Redirect::to(&format!("/ui/plans/{}", id.0)));
    }
    let accept = Input::DecidePlan {
        plan: id,
        accept: true,
        by: "page".to_owned(),
    };
    service.submit(accept).await?;
    Ok(Redirect::to("/ui/plans"))
}

fn count(form: &BTreeMap<String, String>, name: &str) -> Result<u32, ApiError> {
    let text = form.get(name).map_or("", String::as_str);
    text.parse()
        .map_err(|_| ApiError::invalid(format!("`{name}` is \"{text}\"; write a number")))
}

/// Reads what the form says of one task.
fn read(form: &BTreeMap<String, String>, place: u64) -> Result<PlanTaskEdit, ApiError> {
    // Browsers end lines with two characters.
    let field = |name: &str| {
        let value = form.get(&format!("{name}-{place}"));
        value.map(|value| value.replace("\r\n", "\n"))
    };
    let lines = |text: String| {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let numbers = |text: String| {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let numbers = words.map(|word| {
            word.trim_start_matches('#').parse().map_err(|_| {
                ApiError::invalid(format!(
                    "task {place} comes after \"{word}\"; write numbers of tasks of this plan"
                ))
            })
        });
        numbers.collect::<Result<Vec<u64>, _>>()
    };
    Ok(PlanTaskEdit {
        place,
        remove: field("remove").is_some_and(|value| value == "yes"),
        title: field("title"),
        goal: field("goal"),
        paths: field("paths").map(lines),
        dependencies: field("after").map(numbers).transpose()?,
    })
}
