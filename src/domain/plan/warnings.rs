//! What is allowed in a plan and probably not meant.

use std::collections::BTreeMap;

use crate::domain::plan::Plan;

/// Returns one sentence for each doubt.
pub fn of(plan: &Plan) -> Vec<String> {
    let mut found: BTreeMap<(&str, &str, &'static str), (&str, usize)> = BTreeMap::new();
    for task in &plan.tasks {
        for (name, value) in task.env.iter().flatten() {
            if let Some(what) = unexpanded(value) {
                let (_, count) = found.entry((name, value, what)).or_insert((&task.id, 0));
                *count += 1;
            }
        }
    }
    found
        .into_iter()
        .map(|((name, value, what), (id, count))| {
            let others = match count {
                1 => String::new(),
                more => format!(" and {} more", more - 1),
            };
            format!(
                "`{name}: {value}` in the `env` of task `{id}`{others} holds `{what}`, which is passed on as it is: values \
                 are not expanded; write the whole value, or set it in a `shell` task"
            )
        })
        .collect()
}

/// Returns the part of a value that a shell would have expanded.
fn unexpanded(value: &str) -> Option<&'static str> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('$') {
        if after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Some("$NAME");
        }
        if after.starts_with('{') {
            return Some("${NAME}");
        }
        rest = after;
    }
    let is_home = |part: &str| part == "~" || part.starts_with("~/");
    value.split(':').any(is_home).then_some("~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_only_a_shell_would_expand_are_doubted() {
        for (value, found) in [
            ("/x:$PATH", Some("$NAME")),
            ("${HOME}/bin", Some("${NAME}")),
            ("~", Some("~")),
            ("~/bin:/bin", Some("~")),
            ("/bin:~/bin", Some("~")),
            ("costs 5$", None),
            ("$5", None),
            ("a~b", None),
        ] {
            assert_eq!(unexpanded(value), found, "{value}");
        }
    }
}
