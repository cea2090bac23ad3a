//! Draws the graph of a plan: a column for each level, an arrow for each dependency.

use crate::{
    domain::plan::{Plan, graph::Graph, state::RunState},
    interfaces::report::plan::push,
};

const BOX_WIDTH: u32 = 150;
const BOX_HEIGHT: u32 = 30;
const GAP_X: u32 = 60;
const GAP_Y: u32 = 14;
const MARGIN: u32 = 16;

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
pub fn standalone(plan: &Plan) -> String {
    let style = "<style>svg{background:#fff;color:#1c2430}.box{fill:#eef2f7;stroke:#7b8794}.edge{stroke:#7b8794}\
.name{fill:#1c2430}@media (prefers-color-scheme:dark){svg{background:#12161c;color:#e6eaf0}.box{fill:#222a35;stroke:#8c99a8}\
.edge{stroke:#8c99a8}.name{fill:#e6eaf0}}</style>";
    drawing(plan, None, style)
}

/// Returns where each box stands, and how many stand in each column.
fn layout(plan: &Plan) -> (Vec<(u32, u32)>, Vec<u32>) {
    let graph = Graph::of(plan);
    let levels = graph.levels();
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

/// Returns the picture for a page that brings its own colours; boxes carry the class of their task's status.
pub fn drawing(plan: &Plan, state: Option<&RunState>, style: &str) -> String {
    let (places, heights) = layout(plan);
    let columns = u32::try_from(heights.len()).unwrap_or(1).max(1);
    let rows = heights.iter().copied().max().unwrap_or(1);
    let width = 2 * MARGIN + columns * BOX_WIDTH + (columns - 1) * GAP_X;
    let height = 2 * MARGIN + rows * BOX_HEIGHT + rows.saturating_sub(1) * GAP_Y;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
role=\"img\" aria-label=\"graph of {} tasks\" font-family=\"ui-sans-serif,system-ui,sans-serif\" font-size=\"12\">{style}\n",
        plan.tasks.len()
    );
    for (task, (x, y)) in plan.tasks.iter().zip(&places) {
        for (from_x, from_y) in task
            .depends_on
            .iter()
            .filter_map(|up| places.get(*up as usize))
        {
            let (x1, y1, y2) = (
                from_x + BOX_WIDTH,
                from_y + BOX_HEIGHT / 2,
                y + BOX_HEIGHT / 2,
            );
            let bend = GAP_X / 2;
            push(
                &mut svg,
                format_args!(
                    "<path class=\"edge\" fill=\"none\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x} {y2}\"/>\n",
                    x1 + bend,
                    x.saturating_sub(bend)
                ),
            );
        }
    }
    for (index, (task, (x, y))) in plan.tasks.iter().zip(&places).enumerate() {
        let class = state
            .and_then(|state| state.tasks.get(index))
            .map_or("", |task| task.word());
        let id = escape(&task.id);
        push(
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
