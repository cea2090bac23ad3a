//! `if` and `for` of `cmd`.

use crate::domain::policy::{
    cmd::{
        command, line_of,
        words::{behind_condition, parts},
    },
    partial_text::{NAME, UNKNOWN},
    rule::EffectKind,
    shell::ShellInterpreter,
    windows,
};

/// Looks at both sides of `if`.
pub(super) fn condition(shell: &mut ShellInterpreter<'_, '_>, rest: &str) {
    let text = behind_condition(rest);
    // `( … ) else ( … )`
    if let (Some(inner), Some(end)) = (text.strip_prefix('('), text.find(") else ")) {
        line_of(shell, inner.get(..end.saturating_sub(1)).unwrap_or(""));
        line_of(shell, text.get(end + 7..).unwrap_or(""));
    } else {
        line_of(shell, text);
    }
}

/// Looks at the body of `for` with everything its variable may be.
pub(super) fn each(shell: &mut ShellInterpreter<'_, '_>, rest: &str) {
    let lower = rest.to_lowercase();
    let Some(at) = rest
        .find('%')
        .filter(|at| lower.get(at + 1..).is_some_and(|tail| tail.contains("in")))
        .or_else(|| lower.find(" in ").map(|at| at.saturating_sub(1)))
    else {
        return;
    };
    let name = rest
        .get(at..)
        .unwrap_or("")
        .trim_start_matches('%')
        .chars()
        .next()
        .unwrap_or('i');
    let flags = lower.get(..at).unwrap_or("");
    let list_start = rest.find('(').map_or(rest.len(), |at| at + 1);
    let Some(list_end) = lower.find(") do").or_else(|| lower.find(")do")) else {
        return;
    };
    let list = rest.get(list_start..list_end).unwrap_or("").to_owned();
    let body = rest
        .get(list_end..)
        .unwrap_or("")
        .trim_start_matches([')', ' '])
        .get(2..)
        .unwrap_or("")
        .to_owned();
    let steps: Vec<&str> = list.split(',').map(str::trim).collect();
    if flags.contains("/l") && (steps.get(1) == Some(&"0") || steps.len() < 3) {
        let starts = body.to_lowercase().contains("start");
        let what = if starts {
            "starts processes"
        } else {
            "goes on"
        };
        shell.reading.does(
            EffectKind::System,
            format!("a loop that {what} without end"),
        );
    }
    let values = seen_from(flags, each_value(shell, flags, &list));
    for value in values.iter().take(48) {
        for offset in 0..4 {
            // `tokens=1,2` also fills the letters that follow.
            let letter = char::from_u32(u32::from(name) + offset).unwrap_or(name);
            let token = value
                .split_whitespace()
                .nth(offset as usize)
                .unwrap_or(value);
            let token = if flags.contains("tokens") && !flags.contains('*') {
                token
            } else {
                value
            };
            shell.assign(&format!("%{letter}"), vec![token.to_owned()]);
        }
        if shell.reading.enter("for") {
            line_of(shell, &body);
            shell.reading.leave();
        }
    }
}

/// Returns values as `/r FOLDER` finds them: it goes through that folder instead of this one.
fn seen_from(flags: &str, values: Vec<String>) -> Vec<String> {
    let root = flags
        .split_once("/r")
        .map_or("", |(_, behind)| behind.trim());
    if root.is_empty() {
        return values;
    }
    let root = windows::path(root);
    values
        .iter()
        .map(|value| format!("{root}/{NAME}/{value}"))
        .collect()
}

pub(super) fn each_value(
    shell: &mut ShellInterpreter<'_, '_>,
    flags: &str,
    list: &str,
) -> Vec<String> {
    if flags.contains("/f") {
        let list = list.trim();
        let command = list
            .strip_prefix('\'')
            .and_then(|list| list.strip_suffix('\''));
        let text = list
            .strip_prefix('"')
            .and_then(|list| list.strip_suffix('"'));
        return match (command, text) {
            (Some(code), _) => {
                let mut printed = String::new();
                for (part, piped) in parts(code) {
                    let input = if piped {
                        std::mem::take(&mut printed)
                    } else {
                        String::new()
                    };
                    printed = command_output(shell, &part, &input);
                }
                printed.lines().map(|line| line.trim().to_owned()).collect()
            }
            (None, Some(text)) if !flags.contains("usebackq") => vec![text.to_owned()],
            // The names of files, which are read line by line.
            (None, quoted) => {
                let ticked = list
                    .strip_prefix('`')
                    .and_then(|list| list.strip_suffix('`'));
                if let Some(code) = ticked {
                    drop(command_output(shell, code, ""));
                } else {
                    for file in
                        quoted.map_or_else(|| list.split_whitespace().collect(), |file| vec![file])
                    {
                        shell.reads(&windows::path(file));
                    }
                }
                vec![UNKNOWN.to_string()]
            }
        };
    }
    if flags.contains("/l") {
        return vec![NAME.to_string()];
    }
    list.split([' ', ',', ';', '\t', '='])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn command_output(
    shell: &mut ShellInterpreter<'_, '_>,
    code: &str,
    input: &str,
) -> String {
    if !shell.reading.enter("for /f") {
        return UNKNOWN.to_string();
    }
    let printed = command(shell, code, input);
    shell.reading.leave();
    printed
}
