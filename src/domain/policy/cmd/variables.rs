//! Variables of `cmd`, their substrings and replacements.

use crate::domain::policy::{
    partial_text::{NAME, UNKNOWN},
    resolved_path,
    shell::ShellInterpreter,
};

/// Puts in the values of variables: `%x%`, `!x!`, `%x:~1,2%`, `%x:a=b%`.
pub(super) fn expanded(shell: &mut ShellInterpreter<'_, '_>, raw: &str) -> String {
    if !raw.contains(['%', '!']) {
        return raw.replace('\u{1}', "");
    }
    let raw = raw.replace('\u{1}', "");
    let mut text = String::new();
    let mut rest = raw.as_str();
    while let Some(at) = rest.find(['%', '!']) {
        let (head, tail) = rest.split_at(at);
        text.push_str(head);
        let sign = tail.chars().next().unwrap_or('%');
        let tail = tail.get(1..).unwrap_or("");
        let closed = tail.find(sign).filter(|end| {
            *end > 0
                && tail.get(..*end).is_some_and(|name| {
                    let (bare, _) = name.split_once(':').unwrap_or((name, ""));
                    let is_name = !bare.contains([' ', '"', '&', '\\', '/', '(', ')']);
                    is_name && name.len() < 200 && !name.contains('"')
                })
        });
        if let Some(end) = closed {
            let name = tail.get(..end).unwrap_or("");
            text.push_str(&variable(shell, name));
            rest = tail.get(end + 1..).unwrap_or("");
        } else if sign == '%' {
            let (value, used) = loop_variable(shell, tail);
            text.push_str(&value);
            rest = tail.get(used..).unwrap_or("");
        } else {
            text.push(sign);
            rest = tail;
        }
    }
    text.push_str(rest);
    if shell.reading.spend_value(text.len()) {
        text
    } else {
        UNKNOWN.to_string()
    }
}

/// Returns the value of `%i`, `%~i` or `%1` and how much of the text it took.
pub(super) fn loop_variable(shell: &mut ShellInterpreter<'_, '_>, tail: &str) -> (String, usize) {
    let mut used = 0;
    let mut chars = tail.chars().peekable();
    let mut tilde = false;
    while let Some(c) = chars.peek().copied() {
        if c == '%'
            || c == '~'
            || (tilde
                && "fdpnxsatz".contains(c)
                && chars.clone().nth(1).is_some_and(char::is_alphanumeric))
        {
            tilde |= c == '~';
            used += c.len_utf8();
            chars.next();
        } else {
            break;
        }
    }
    match chars.next() {
        Some(c) if c.is_ascii_alphabetic() => {
            let value = shell.lookup(&format!("%{c}"));
            (
                value.map_or_else(|| format!("%{c}"), |value| value.concat()),
                used + 1,
            )
        }
        Some(c) if c.is_ascii_digit() || c == '*' => (UNKNOWN.to_string(), used + 1),
        _ => ("%".to_owned(), used),
    }
}

pub(super) fn variable(shell: &mut ShellInterpreter<'_, '_>, name: &str) -> String {
    let (name, change) = name
        .split_once(':')
        .map_or((name, None), |(name, change)| (name, Some(change)));
    let value = known(shell, &name.to_lowercase());
    let Some(change) = change else {
        return value;
    };
    if let Some(range) = change.strip_prefix('~') {
        return substring(&value, range);
    }
    let (from, to) = change.split_once('=').unwrap_or((change, ""));
    if value.contains(UNKNOWN) {
        value
    } else {
        value.replace(from, to)
    }
}

pub(super) fn known(shell: &mut ShellInterpreter<'_, '_>, name: &str) -> String {
    if let Some(value) = shell.lookup(name).filter(|_| shell.is_known(name)) {
        return value.concat();
    }
    match name {
        "comspec" => "C:\\Windows\\system32\\cmd.exe".to_owned(),
        // What follows is the path of the home folder, which here is written with its drive.
        "homedrive" => String::new(),
        "systemroot" | "windir" => "C:\\Windows".to_owned(),
        "systemdrive" => "C:".to_owned(),
        "programfiles" | "programw6432" => "C:\\Program Files".to_owned(),
        "programdata" | "allusersprofile" => "C:\\ProgramData".to_owned(),
        "public" => "C:\\Users\\Public".to_owned(),
        "userprofile" | "homepath" => resolved_path::home(shell.reading.world),
        "appdata" => format!(
            "{}/AppData/Roaming",
            resolved_path::home(shell.reading.world)
        ),
        "localappdata" => format!("{}/AppData/Local", resolved_path::home(shell.reading.world)),
        "temp" | "tmp" => "/tmp".to_owned(),
        "cd" => shell
            .folder()
            .map_or_else(|| UNKNOWN.to_string(), str::to_owned),
        "os" => "Windows_NT".to_owned(),
        "pathext" => ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC".to_owned(),
        "processor_architecture" => "AMD64".to_owned(),
        "random"
        | "date"
        | "time"
        | "errorlevel"
        | "username"
        | "computername"
        | "number_of_processors" => NAME.to_string(),
        _ => UNKNOWN.to_string(),
    }
}

pub(super) fn substring(value: &str, range: &str) -> String {
    let (start, length) = range.split_once(',').unwrap_or((range, ""));
    if length.trim() == "0" {
        return String::new();
    }
    if value.contains(UNKNOWN) {
        return UNKNOWN.to_string();
    }
    let count = i64::try_from(value.chars().count()).unwrap_or(0);
    let start = start.trim().parse::<i64>().unwrap_or(0);
    let start = if start < 0 {
        (count + start).max(0)
    } else {
        start
    };
    let end = match length.trim().parse::<i64>() {
        Ok(length) if length < 0 => count + length,
        Ok(length) => start.saturating_add(length),
        Err(_) => count,
    };
    let skip = usize::try_from(start).unwrap_or(0);
    value
        .chars()
        .skip(skip)
        .take(usize::try_from(end - start).unwrap_or(0))
        .collect()
}
