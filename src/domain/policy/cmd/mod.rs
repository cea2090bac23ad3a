//! Reads text for the command interpreter of Windows (`cmd`).
//!
//! Carets fall away, variables and their substrings are put in, `for`, `if`, `call`, `start` and nested
//! interpreters are opened up, and every command that remains is looked at.

mod blocks;
mod variables;
mod words;

use crate::domain::policy::{
    partial_text::{NAME, UNKNOWN, base_name},
    programs::{inspect_variable, is_known_program, leads_here, vague_code},
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
    windows,
    windows::{is_switch, path},
};
use blocks::{condition, each};
use variables::expanded;
use words::{ascii_forms, parts, statements, words};

/// Looks at the text of a command.
pub(super) fn read(shell: &mut ShellInterpreter<'_, '_>, code: &str) {
    if !shell.reading.spend_text(code) {
        return;
    }
    let code = ascii_forms(code);
    let plain = code.to_lowercase();
    let ends = ["if ", "exit", "timeout", "choice", "ping "];
    if plain.contains("goto ")
        && plain.contains("start ")
        && !ends.iter().any(|word| plain.contains(word))
    {
        shell
            .reading
            .does(EffectKind::System, "a loop starts processes without end");
    }
    for statement in statements(&code) {
        line_of(shell, &statement);
    }
}

/// Looks at a text reached through another program.
impl ShellInterpreter<'_, '_> {
    /// Looks at a text of this interpreter that was reached through another program.
    pub(in crate::domain::policy) fn run_cmd(&mut self, code: &str, via: &str) {
        run(self, code, via);
    }
}

pub(super) fn run(shell: &mut ShellInterpreter<'_, '_>, code: &str, via: &str) {
    if shell.reading.enter(via) {
        vague_code(shell, code, via);
        read(shell, code);
        shell.reading.leave();
    }
}

/// Looks at the arguments of `cmd` itself, given as words.
pub(super) fn read_line(shell: &mut ShellInterpreter<'_, '_>, args: &[String]) {
    let at = args.iter().position(|arg| {
        let lower = arg.to_lowercase();
        lower.starts_with("/c") || lower.starts_with("/k") || lower.starts_with("/r")
    });
    let Some((flag, rest)) = at
        .and_then(|at| args.get(at..))
        .and_then(<[String]>::split_first)
    else {
        return;
    };
    let glued = flag.get(2..).unwrap_or("");
    let code = format!("{glued} {}", rest.join(" "));
    vague_code(shell, &code, "cmd");
    read(shell, unquoted(code.trim()));
}

/// Looks at programs that exist on other systems' tables, too.
pub(super) fn machine_program(shell: &mut ShellInterpreter<'_, '_>, name: &str, args: &[String]) {
    windows::program(shell, name, args);
}

fn unquoted(code: &str) -> &str {
    let code = code
        .strip_prefix("\"\"")
        .and_then(|code| code.strip_suffix("\"\""))
        .unwrap_or(code);
    let inner = code
        .strip_prefix('"')
        .and_then(|code| code.strip_suffix('"'));
    inner.unwrap_or(code)
}

/// Splits a line at its operators and looks at every part.
fn line_of(shell: &mut ShellInterpreter<'_, '_>, line: &str) {
    let mut printed = String::new();
    if !shell.reading.enter("cmd") {
        return;
    }
    let all = parts(line);
    for (at, (part, piped)) in all.iter().enumerate() {
        let behind = all.get(at + 1..).unwrap_or_default();
        shell.state.filters = behind
            .iter()
            .take_while(|(_, piped)| *piped)
            .any(|(part, _)| {
                let mut words = part.split_whitespace();
                let name = words.next().unwrap_or("").to_lowercase();
                let args: Vec<&str> = words.filter(|word| !word.starts_with('/')).collect();
                crate::domain::policy::programs::environment::narrows(&name, &args)
            });
        if !shell.reading.spend() {
            break;
        }
        let input = if *piped {
            std::mem::take(&mut printed)
        } else {
            String::new()
        };
        printed = command(shell, part, &input);
    }
    shell.reading.leave();
}

/// Looks at one command, and returns what it would print.
fn command(shell: &mut ShellInterpreter<'_, '_>, raw: &str, input: &str) -> String {
    let text = expanded(shell, raw);
    let text = text.trim_start_matches([' ', '\t', '@', ',', ';', '=', '\u{B}', '\u{C}']);
    if text.is_empty() || text.starts_with("::") || text.starts_with(':') {
        return String::new();
    }
    if text.starts_with('>')
        && let Some((head, block)) = text.split_once('(')
        && !head.contains('\n')
        && redirects(shell, head).trim().is_empty()
    {
        return command(shell, &format!("({block}"), input);
    }
    if let Some(inner) = text.strip_prefix('(') {
        let end = inner.rfind(')').unwrap_or(inner.len());
        for statement in statements(inner.get(..end).unwrap_or("")) {
            line_of(shell, &statement);
        }
        let behind = inner.get(end..).unwrap_or("").trim_start_matches(')');
        let behind = redirects(shell, behind);
        if !behind.trim().is_empty() {
            line_of(shell, &behind);
        }
        return UNKNOWN.to_string();
    }
    // What stands in the body of these is redirected there.
    let first = text.split([' ', '(']).next().unwrap_or("").to_lowercase();
    let text = if ["for", "if"].contains(&first.as_str()) {
        text.to_owned()
    } else {
        redirects(shell, text)
    };
    let words = words(&text);
    let Some((first, rest)) = words.split_first() else {
        return String::new();
    };
    let name = program_name(first);
    shell.reading.act(&words);
    run_named(shell, &name, first, rest, &text, input)
}

/// Takes redirections out of a text and records the files they write.
fn redirects(shell: &mut ShellInterpreter<'_, '_>, text: &str) -> String {
    if !text.contains(['<', '>']) {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '"' {
            quoted = !quoted;
        }
        if quoted || (c != '>' && c != '<') {
            kept.push(c);
            continue;
        }
        if kept.ends_with(|c: char| c.is_ascii_digit())
            && kept.chars().rev().nth(1).is_none_or(char::is_whitespace)
        {
            kept.pop();
        }
        while chars.next_if(|c| *c == '>' || *c == ' ').is_some() {}
        let mut file = String::new();
        let mut inside = false;
        while let Some(c) = chars.next_if(|c| inside || !c.is_whitespace() && !"<>)".contains(*c)) {
            inside ^= c == '"';
            file.push(c);
        }
        if c == '>' && !file.starts_with('&') && !file.is_empty() {
            shell.reading.act(&["redirection".to_owned()]);
            let says = kept.trim().to_lowercase();
            if ["", "type nul", "break", "rem", "cd.", "copy nul", "echo."].contains(&says.as_str())
            {
                shell.empties(&path(&file));
            }
            let target = path(&file);
            let lower = base_name(&target).to_lowercase();
            let endings = [".cmd", ".bat", ".exe", ".com"];
            let program = endings.iter().find_map(|end| lower.strip_suffix(end));
            if program.is_some_and(is_known_program) {
                let why = format!("{lower}, which is then taken for the program of that name");
                shell.reading.opaque(why);
            }
            shell.writes(&target);
        }
    }
    kept
}

fn program_name(word: &str) -> String {
    let lower = word.to_lowercase().replace('\\', "/");
    let base = lower.rsplit('/').next().unwrap_or(&lower).to_owned();
    let base = base.trim_end_matches('.');
    [".exe", ".com", ".cmd", ".bat"]
        .iter()
        .find_map(|end| base.strip_suffix(end))
        .unwrap_or(base)
        .to_owned()
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm for each name, and an arm is a line or two"
)]
fn run_named(
    shell: &mut ShellInterpreter<'_, '_>,
    name: &str,
    first: &str,
    args: &[String],
    text: &str,
    input: &str,
) -> String {
    let rest = || {
        text.trim_start()
            .get(first.len()..)
            .unwrap_or("")
            .trim()
            .to_owned()
    };
    let files: Vec<&String> = args.iter().filter(|arg| !is_switch(arg)).collect();
    let asks = args.iter().any(|arg| arg == "/?");
    match name {
        _ if name.contains(UNKNOWN) || name.contains('%') || name.contains('!') => {
            shell
                .reading
                .opaque("the name of the program is only known at run time");
            let stripped =
                crate::domain::policy::partial_text::stripped(name).replace(['%', '!'], "");
            if !stripped.is_empty() && shell.reading.enter("an unknown name") {
                let printed = run_named(shell, &stripped, first, args, text, input);
                shell.reading.leave();
                return printed;
            }
        }
        "assoc" | "ftype" if text.contains('=') => shell.reading.does(
            EffectKind::Persistence,
            format!("{name} changes what opens files"),
        ),
        "set" if rest().is_empty() => shell.shows_environment("set"),
        "rem" | "title" | "color" | "cls" | "pause" | "ver" | "vol" | "prompt" | "exit"
        | "goto" | "setlocal" | "endlocal" | "break" | "dir" | "type" | "date" | "time"
        | "path" | "verify" | "shift" | "popd" | "help" | "assoc" | "ftype" | "where"
        | "findstr" => {
            return if name == "dir" {
                format!("{NAME}\n")
            } else if name == "type" {
                for file in &files {
                    shell.reads(&path(file));
                }
                UNKNOWN.to_string()
            } else if name == "findstr" {
                let deep = args.iter().any(|arg| arg.eq_ignore_ascii_case("/s"));
                for file in files.iter().skip(1) {
                    shell.reads(&path(file));
                    let at_home = |place: &ResolvedPath| matches!(place, ResolvedPath::Home(_));
                    if deep && shell.resolve_all(&path(file)).iter().any(at_home) {
                        shell
                            .reading
                            .opaque("findstr through the folders of the account");
                    }
                }
                UNKNOWN.to_string()
            } else {
                String::new()
            };
        }
        "echo" => return format!("{}\n", rest()),
        "del" | "erase" | "rd" | "rmdir" if !asks => {
            for file in files {
                shell.deletes(&path(file));
            }
        }
        "move" => {
            for source in files.iter().take(files.len().saturating_sub(1).max(1)) {
                shell.deletes(&path(source));
            }
            if let Some(target) = files.last() {
                shell.writes(&path(target));
            }
        }
        "ren" | "rename" => {
            if let Some(source) = files.first() {
                shell.deletes(&path(source));
            }
        }
        "copy" | "md" | "mkdir" => {
            for source in files
                .iter()
                .take(files.len().saturating_sub(1))
                .filter(|_| name == "copy")
            {
                shell.reads(&path(source));
            }
            let target = if name == "copy" {
                files.get(1..).and_then(<[_]>::last)
            } else {
                files.first()
            };
            if let Some(target) = target {
                if name == "copy" {
                    for source in files.iter().rev().skip(1) {
                        shell.copies_keys(&path(source), &path(target));
                    }
                }
                // One file over all of them leaves none.
                if let ("copy", [source, _]) = (name, files.as_slice())
                    && !source.contains(['*', '?', UNKNOWN, NAME])
                {
                    shell.empties(&path(target));
                }
                shell.writes(&path(target));
            }
        }
        "cd" | "chdir" | "pushd" => {
            if let Some(folder) = files.last() {
                shell.go_to(&path(folder));
            }
        }
        "set" => set(shell, &rest(), input),
        "call" | "start" => start(shell, name, args, &rest()),
        "if" => condition(shell, &rest()),
        "else" => line_of(shell, &rest()),
        "for" => each(shell, &rest()),
        "cmd" => {
            if let Some(at) = rest().to_lowercase().find(
                ['c', 'k', 'r']
                    .map(|c| format!("/{c}"))
                    .iter()
                    .find(|flag| rest().to_lowercase().contains(flag.as_str()))
                    .map_or("/c", String::as_str),
            ) {
                let code = rest();
                let code = code.get(at + 2..).unwrap_or("").trim();
                run(shell, unquoted(code), "cmd");
            } else if !input.is_empty() {
                run(shell, input, "cmd");
            }
        }
        "powershell" | "pwsh" => crate::domain::policy::powershell::program(shell, args, input),
        _ => other(shell, (name, first), args, input),
    }
    UNKNOWN.to_string()
}

fn other(
    shell: &mut ShellInterpreter<'_, '_>,
    (name, typed): (&str, &str),
    args: &[String],
    input: &str,
) {
    if windows::program(shell, name, args) {
        return;
    }
    // A script is looked for in the folder first.
    let lower = typed.to_lowercase();
    let script = [".bat", ".cmd"]
        .iter()
        .any(|ending| lower.ends_with(ending));
    let mut words = vec![if typed.contains(['/', '\\']) {
        windows::path(typed)
    } else if script {
        format!("./{typed}")
    } else {
        name.to_owned()
    }];
    words.extend(args.iter().cloned());
    drop(shell.dispatch(words, input.to_owned()));
}

fn set(shell: &mut ShellInterpreter<'_, '_>, rest: &str, input: &str) {
    let rest = unquoted(rest).trim_start();
    let lower = rest.to_lowercase();
    if let Some(tail) = lower.strip_prefix("/p") {
        let name = tail
            .trim()
            .trim_start_matches('"')
            .split('=')
            .next()
            .unwrap_or("")
            .to_owned();
        let value = if input.is_empty() {
            UNKNOWN.to_string()
        } else {
            input.trim().to_owned()
        };
        shell.assign(&name, vec![value]);
        return;
    }
    if lower.starts_with("/a") {
        let name = rest
            .get(2..)
            .unwrap_or("")
            .trim()
            .split(['=', '+'])
            .next()
            .unwrap_or("")
            .to_lowercase();
        shell.assign(&name, vec![NAME.to_string()]);
        return;
    }
    if let Some((name, value)) = rest.split_once('=') {
        let name = name.trim_start_matches('"').to_lowercase();
        let value = value.trim_end_matches('"').to_owned();
        inspect_variable(shell, &name.to_uppercase(), &value);
        shell.assign(&name, vec![value]);
    }
}

fn start(shell: &mut ShellInterpreter<'_, '_>, name: &str, args: &[String], rest: &str) {
    // The first quoted word of `start` is a title.
    let mut text = rest.trim();
    if name == "start" && text.starts_with('"') {
        text = text
            .get(1..)
            .and_then(|text| text.split_once('"'))
            .map_or("", |(_, after)| after)
            .trim_start();
    }
    let leaves = |arg: &String| arg.starts_with("http") && !leads_here(arg);
    if text.contains("://") && args.iter().any(leaves) {
        shell
            .reading
            .does(EffectKind::Network, "start opens an address");
    }
    loop {
        let lower = text.to_lowercase();
        let takes = ["/d ", "/node ", "/affinity "]
            .iter()
            .any(|flag| lower.starts_with(flag));
        // A path may begin like a switch.
        let word = text.split_once(' ').map_or(text, |(word, _)| word);
        if !is_switch(word) || name == "call" && word != "/?" {
            break;
        }
        text = text
            .split_once(' ')
            .map_or("", |(_, after)| after)
            .trim_start();
        if takes {
            text = text
                .split_once(' ')
                .map_or("", |(_, after)| after)
                .trim_start();
        }
    }
    if shell.reading.enter(name) {
        line_of(shell, text);
        shell.reading.leave();
    }
}
