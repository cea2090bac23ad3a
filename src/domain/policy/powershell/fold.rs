//! Constant results of PowerShell operators.

use crate::domain::policy::{
    partial_text::{NAME, TextScanner, UNKNOWN, is_vague},
    shell::bracketed,
};

/// Reads a variable's name from behind its dollar sign.
pub(super) fn variable_name<'a>(scan: &mut TextScanner<'a>) -> &'a str {
    if scan.eat("{") {
        return bracketed(scan, '{', '}');
    }
    let rest = scan.rest();
    let mut end = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let scope = c == ':'
            && chars
                .peek()
                .is_some_and(|(_, next)| next.is_alphanumeric() || *next == '_');
        let special = at == 0 && "?^$".contains(c);
        if !(c.is_alphanumeric() || c == '_' || scope || special) {
            break;
        }
        end = at + c.len_utf8();
    }
    let name = scan.take(end);
    for scope in [
        "global:",
        "script:",
        "local:",
        "private:",
        "variable:",
        "using:",
    ] {
        if name.len() > scope.len()
            && name
                .get(..scope.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(scope))
        {
            return name.get(scope.len()..).unwrap_or(name);
        }
    }
    name
}

pub(super) fn added(left: &[String], right: &[String]) -> Vec<String> {
    if left.len() > 1 {
        return [left, right].concat();
    }
    let (one, more) = (left.concat(), right.join(" "));
    match (one.parse::<i64>(), more.parse::<i64>()) {
        (Ok(one), Ok(more)) => vec![one.saturating_add(more).to_string()],
        _ => vec![format!("{one}{more}")],
    }
}

pub(super) fn range(from: &str, to: &str) -> Vec<String> {
    match (from.parse::<i64>(), to.parse::<i64>()) {
        (Ok(from), Ok(to)) if from <= to => (from..=to).take(512).map(|n| n.to_string()).collect(),
        (Ok(from), Ok(to)) => (to..=from).rev().take(512).map(|n| n.to_string()).collect(),
        _ => vec![NAME.to_string()],
    }
}

pub(super) fn operated(word: &str, left: &[String], right: &[String]) -> Vec<String> {
    match word {
        "f" => vec![formatted(&left.concat(), right)],
        "join" => vec![left.join(&right.concat())],
        "replace" | "creplace" | "ireplace" => {
            let (from, to) = (
                right.first().map_or("", String::as_str),
                right.get(1).map_or("", String::as_str),
            );
            left.iter().map(|text| replaced(text, from, to)).collect()
        }
        "split" | "csplit" | "isplit" => {
            let by = right
                .first()
                .map_or(" ", String::as_str)
                .trim_start_matches('\\');
            left.iter()
                .flat_map(|text| text.split(by).map(str::to_owned))
                .collect()
        }
        "as" => left.to_vec(),
        "bxor" | "band" | "bor" | "shl" | "shr" => vec![UNKNOWN.to_string()],
        _ => vec![NAME.to_string()],
    }
}

pub(super) fn replaced(text: &str, from: &str, to: &str) -> String {
    if is_vague(text) {
        return text.to_owned();
    }
    let change = regex::RegexBuilder::new(from)
        .case_insensitive(true)
        .size_limit(100_000)
        .build();
    change.map_or_else(
        |_| text.replace(from, to),
        |change| change.replace_all(text, to).into_owned(),
    )
}

pub(super) fn formatted(format: &str, values: &[String]) -> String {
    let mut text = format.to_owned();
    for (at, value) in values.iter().enumerate().take(32) {
        text = text.replace(&format!("{{{at}}}"), value);
    }
    text
}

pub(super) fn indexed(value: &[String], index: &[String]) -> Vec<String> {
    let at = |list_len: usize, index: &str| -> Option<usize> {
        let index = index.parse::<i64>().ok()?;
        let len = i64::try_from(list_len).ok()?;
        usize::try_from(if index < 0 { len + index } else { index }).ok()
    };
    if let [text] = value {
        if text.contains(UNKNOWN) {
            return vec![UNKNOWN.to_string()];
        }
        let chars: Vec<char> = text.chars().collect();
        return index
            .iter()
            .filter_map(|index| chars.get(at(chars.len(), index)?))
            .map(ToString::to_string)
            .collect();
    }
    let found: Vec<String> = index
        .iter()
        .filter_map(|index| value.get(at(value.len(), index)?).cloned())
        .collect();
    if found.is_empty() {
        vec![UNKNOWN.to_string()]
    } else {
        found
    }
}

pub(super) fn cast(name: &str, value: &[String]) -> Vec<String> {
    if name.starts_with("char") || name.starts_with("system.char") {
        return value.iter().map(|value| character(value)).collect();
    }
    if name == "string" && value.len() > 1 {
        return vec![value.join(" ")];
    }
    value.to_vec()
}

/// Returns the character a number stands for; a text stays what it is.
pub(super) fn character(value: &str) -> String {
    let lower = value.to_lowercase();
    let number = lower.strip_prefix("0x").map_or_else(
        || lower.parse::<u32>().ok(),
        |digits| u32::from_str_radix(digits, 16).ok(),
    );
    number
        .and_then(char::from_u32)
        .map_or_else(|| value.to_owned(), |c| c.to_string())
}
