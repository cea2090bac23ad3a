//! What all pages share: the frame with its one style sheet, facts, timelines, badges.
//!
//! Templates escape whatever comes from outside; [`text`] makes control characters visible, which no escaping does. A page
//! needs nothing but itself: no script, no picture, no font from elsewhere, and follows the reader's choice of light or dark.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

/// Colours, cards, tables, badges: what reports and the page of the service have in common.
pub(in crate::interfaces) const STYLE: &str = include_str!("plan.css");

/// Returns the text of a page.
pub(super) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

/// Returns text in which control characters are seen; line ends and tabs stay.
pub(in crate::interfaces) fn text(text: &str) -> String {
    let visible = |c: char| {
        if c.is_control() && c != '\t' && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(visible).collect()
}

/// The figures at the head of a page: values and what they count.
pub(in crate::interfaces) fn facts(facts: &[(String, &str)]) -> Markup {
    html! {
        div.facts {
            @for (value, name) in facts { div { b { (text(value)) } span { (name) } } }
        }
    }
}

/// A word in the colour of what it means.
pub(in crate::interfaces) fn badge(class: &str, word: &str) -> Markup {
    html! { span class={ "badge " (class) } { (word) } }
}

/// A table in a card that scrolls; `columns` are names, with `true` for numbers.
pub(in crate::interfaces) fn table(columns: &[(&str, bool)], rows: &impl Render) -> Markup {
    html! {
        div class="card scroll" {
            table {
                @if !columns.is_empty() {
                    tr { @for (name, is_number) in columns { th.n[*is_number] { (name) } } }
                }
                (rows)
            }
        }
    }
}

/// A stretch of a timeline: from, to (in any unit), the class of its colour, what is said of it.
pub(super) struct TimelineBar {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// One line of a timeline that begins at `begin` and lasts `all`.
pub(super) fn timeline_row(
    name: &str,
    bars: &[TimelineBar],
    begin: i64,
    all: i64,
    took: &str,
) -> Markup {
    let name = text(name);
    html! {
        div.lane {
            span title=(name) { (name) }
            span.track {
                @for bar in bars {
                    span class={ "bar " (bar.class) }
                        style={ "left:" (share(bar.from - begin, all)) "%;width:" (share(bar.to - bar.from, all)) "%" }
                        title=(text(&bar.title)) {}
                }
            }
            span { (took) }
        }
    }
}

/// Returns a part of a whole in percent, with two decimals.
fn share(part: i64, whole: i64) -> String {
    let hundredths = part.max(0).saturating_mul(10_000) / whole.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        let evil = "</title><script>alert(1)</script>\u{1b}[31m\" onload=\"x";
        let bar = TimelineBar {
            from: 0,
            to: 5,
            class: "FAILED",
            title: evil.into(),
        };
        let body =
            html! { (timeline_row(evil, &[bar], 0, 10, "1s")) (facts(&[(evil.into(), "x")])) };
        let page = page(evil, &body);
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("\" onload"), "{page}");
        assert!(!page.contains('\u{1b}'), "{page}");
        assert!(page.contains("left:0.00%;width:50.00%"), "{page}");
    }
}
