//! Draws the graph of a plan: a column for each level, an arrow for each dependency.

use crate::{
    domain::plan::{Plan, PlanTask, graph::PlanGraph, state::RunState},
    interfaces::report::plan::push_fmt,
};

const BOX_WIDTH: u32 = 150;
const BOX_HEIGHT: u32 = 30;
const GAP_X: u32 = 60;
const GAP_Y: u32 = 14;
const MARGIN: u32 = 16;
/// Long dependencies lie side by side in so many lanes, so far apart.
const LANES: u32 = 8;
const LANE: u32 = 5;

/// Returns text that is safe between tags and in attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns the name, shortened in the middle to fit a box.
fn short(id: &str) -> String {
    const MOST: usize = 18;
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= MOST {
        return id.to_owned();
    }
    let head: String = chars.iter().take(10).collect();
    let tail: String = chars.iter().skip(chars.len() - 7).collect();
    format!("{head}…{tail}")
}

/// Returns the picture as a file of its own, readable on light and dark ground.
pub fn standalone_svg(plan: &Plan) -> String {
    let style = "<style>svg{background:#fff;color:#1c2430}.box{fill:#eef2f7;stroke:#7b8794}.edge{stroke:#7b8794}\
.name{fill:#1c2430}@media (prefers-color-scheme:dark){svg{background:#12161c;color:#e6eaf0}.box{fill:#222a35;stroke:#8c99a8}\
.edge{stroke:#8c99a8}.name{fill:#e6eaf0}}</style>";
    graph_svg(plan, None, style)
}

/// Returns where each box stands, and how many stand in each column.
fn layout(plan: &Plan) -> (Vec<(u32, u32)>, Vec<u32>) {
    let graph = PlanGraph::of(plan);
    let levels = graph.depths();
    let mut heights: Vec<u32> = Vec::new();
    let mut places = Vec::with_capacity(levels.len());
    for level in &levels {
        let level = *level as usize;
        if heights.len() <= level {
            heights.resize(level + 1, 0);
        }
        let row = heights.get_mut(level).map_or(0, |height| {
            *height += 1;
            *height - 1
        });
        let x = MARGIN + u32::try_from(level).unwrap_or(0) * (BOX_WIDTH + GAP_X);
        places.push((x, MARGIN + row * (BOX_HEIGHT + GAP_Y)));
    }
    (places, heights)
}

/// Returns the column that begins at `x`.
const fn column(x: u32) -> u32 {
    x.saturating_sub(MARGIN) / (BOX_WIDTH + GAP_X)
}

/// Draws a dependency. One that passes over columns goes below their boxes: behind a box it would look like two
/// dependencies that are not there.
fn edge(from: (u32, u32), to: (u32, u32), source: u32, heights: &[u32], svg: &mut String) {
    let bend = GAP_X / 2;
    let (x1, y1) = (from.0 + BOX_WIDTH, from.1 + BOX_HEIGHT / 2);
    let (x2, y2) = (to.0, to.1 + BOX_HEIGHT / 2);
    push_fmt(
        svg,
        format_args!("<path class=\"edge\" fill=\"none\" d=\"M{x1} {y1}"),
    );
    let (first, last) = (column(from.0) + 1, column(to.0));
    if first < last {
        let passed = heights.get(first as usize..last as usize);
        // Of very many columns the highest of all is taken: looking at each of them for every line would take too long.
        let rows = passed
            .filter(|passed| passed.len() <= 64)
            .unwrap_or(heights)
            .iter()
            .copied()
            .max()
            .unwrap_or(0);
        let y = MARGIN + rows * (BOX_HEIGHT + GAP_Y) - GAP_Y / 2 + source % LANES * LANE;
        let (down, up) = (x1 + GAP_X, x2.saturating_sub(GAP_X));
        push_fmt(
            svg,
            format_args!(
                "C{} {y1} {} {y} {down} {y}H{up}C{} {y} {} {y2} {x2} {y2}\"/>\n",
                x1 + bend,
                down - bend,
                up + bend,
                x2.saturating_sub(bend)
            ),
        );
        return;
    }
    push_fmt(
        svg,
        format_args!(
            "C{} {y1} {} {y2} {x2} {y2}\"/>\n",
            x1 + bend,
            x2.saturating_sub(bend)
        ),
    );
}

/// Returns the picture for a page that brings its own colours; boxes carry the class of their task's status.
pub fn graph_svg(plan: &Plan, state: Option<&RunState>, style: &str) -> String {
    let (places, heights) = layout(plan);
    let columns = u32::try_from(heights.len()).unwrap_or(1).max(1);
    let rows = heights.iter().copied().max().unwrap_or(1);
    let width = 2 * MARGIN + columns * BOX_WIDTH + (columns - 1) * GAP_X;
    let is_long = |(task, to): (&PlanTask, &(u32, u32))| {
        let mut ups = task.depends_on.iter();
        ups.any(|up| {
            places
                .get(*up as usize)
                .is_some_and(|from| column(to.0) > column(from.0) + 1)
        })
    };
    let lanes = if plan.tasks.iter().zip(&places).any(is_long) {
        LANES * LANE
    } else {
        0
    };
    let height = 2 * MARGIN + rows * BOX_HEIGHT + rows.saturating_sub(1) * GAP_Y + lanes;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
role=\"img\" aria-label=\"graph of {} tasks\" font-family=\"ui-sans-serif,system-ui,sans-serif\" font-size=\"12\">{style}\n",
        plan.tasks.len()
    );
    for (task, to) in plan.tasks.iter().zip(&places) {
        for up in &task.depends_on {
            if let Some(from) = places.get(*up as usize) {
                edge(*from, *to, *up, &heights, &mut svg);
            }
        }
    }
    for (index, (task, (x, y))) in plan.tasks.iter().zip(&places).enumerate() {
        let class = state
            .and_then(|state| state.tasks.get(index))
            .map_or("", |task| task.word());
        let id = escape(&task.id);
        push_fmt(
            &mut svg,
            format_args!(
                "<g><title>{id} {class}</title><rect class=\"box {class}\" x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\"/>\
<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text></g>\n",
                x + BOX_WIDTH / 2,
                y + BOX_HEIGHT / 2 + 4,
                escape(&short(&task.id))
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_dependency_passes_below_the_boxes_between() {
        let heights = [1, 2, 1];
        let line = |from, to| {
            let mut svg = String::new();
            edge(from, to, 0, &heights, &mut svg);
            svg
        };
        let place = |column| (MARGIN + column * (BOX_WIDTH + GAP_X), MARGIN);
        assert_eq!(
            line(place(0), place(1)),
            "<path class=\"edge\" fill=\"none\" d=\"M166 31C196 31 196 31 226 31\"/>\n"
        );
        assert_eq!(
            line(place(0), place(2)),
            "<path class=\"edge\" fill=\"none\" d=\"M166 31C196 31 196 97 226 97H376C406 97 406 31 436 31\"/>\n"
        );
    }
}
