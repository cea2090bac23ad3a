//! Parameters of functions that a text of PowerShell defines, and the values that a call gives them.
//!
//! Danger: a value bound to the wrong name makes an unknown path look harmless, so what is not sure stays unknown.

use crate::domain::policy::{
    partial_text::{TextScanner, UNKNOWN},
    powershell::{Arg, Reader, bracketed, skip_blank},
};

impl Reader<'_, '_, '_> {
    /// Gives the parameters of a function their values: those that are named, then the others in their order.
    pub(super) fn bind_parameters(&mut self, function: &str, args: &[Arg]) {
        let key = format!("parameters:{function}");
        let mut left = self.shell.lookup(&key).unwrap_or_default();
        // What is not given is not known, and nothing is left from the call before.
        for name in &left {
            let name = name.trim_start_matches('-');
            self.shell.assign(name, vec![UNKNOWN.to_string()]);
        }
        let mut args = args.iter().peekable();
        let mut unnamed = Vec::new();
        let mut is_clear = true;
        while let Some(arg) = args.next() {
            let Arg::Name(name, glued) = arg else {
                unnamed.extend(value_of(arg));
                continue;
            };
            let bare = name.trim_start_matches('-').to_lowercase();
            let is = |own: &String| own.trim_start_matches('-') == bare;
            let begins = |own: &String| own.trim_start_matches('-').starts_with(&bare);
            let at = left.iter().position(is);
            let Some(at) = at.or_else(|| left.iter().position(begins)) else {
                // Whether a value belongs to it nobody can say.
                is_clear = false;
                continue;
            };
            let name = left.remove(at);
            let value = if name.starts_with('-') {
                vec!["True".to_owned()]
            } else if let Some(value) = glued {
                vec![value.clone()]
            } else {
                let next = args.next_if(|next| !matches!(next, Arg::Name(..)));
                let value = next.and_then(value_of);
                value.unwrap_or_else(|| vec![UNKNOWN.to_string()])
            };
            self.shell.assign(name.trim_start_matches('-'), value);
        }
        let places = left.iter().filter(|name| !name.starts_with('-'));
        for (name, value) in places.zip(unnamed).filter(|_| is_clear) {
            self.shell.assign(name, value);
        }
    }
}

/// Returns the value that an argument is, a block in its braces.
fn value_of(arg: &Arg) -> Option<Vec<String>> {
    match arg {
        Arg::Values(values) => Some(values.clone()),
        Arg::Block(code) => Some(vec![format!("{{{code}}}")]),
        Arg::Name(..) => None,
    }
}

/// Returns the names of parameters from what stands in their brackets: `[string]$a, [int]$b = 3`; a dash in front marks a switch.
pub(super) fn parameters_of(head: &str) -> Vec<String> {
    let mut depth = 0_u32;
    let parts = head.split(|c: char| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let name_of = |part: &str| {
        let before = part.split('=').next().unwrap_or(part);
        let (_, behind) = before.rsplit_once('$')?;
        let name = behind
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()?;
        let is_switch = before.to_lowercase().contains("[switch]");
        let mark = if is_switch { "-" } else { "" };
        (!name.is_empty()).then(|| format!("{mark}{}", name.to_lowercase()))
    };
    parts.filter_map(name_of).collect()
}

/// Returns the parameters that the body of a function begins with.
pub(super) fn declared_parameters(body: &str) -> Vec<String> {
    let mut scan = TextScanner::new(body);
    skip_blank(&mut scan, true);
    while scan.eat("[") {
        bracketed(&mut scan, '[', ']');
        skip_blank(&mut scan, true);
    }
    let word = scan.take_while(char::is_alphabetic).to_lowercase();
    skip_blank(&mut scan, true);
    if word == "param" && scan.eat("(") {
        parameters_of(bracketed(&mut scan, '(', ')'))
    } else {
        Vec::new()
    }
}
