//! Reads PowerShell text: what its commands, methods and nested interpreters would do.
//!
//! This is a reader of its own rather than a general grammar: PowerShell decides word by word whether it reads a
//! command or an expression, and the disguises that matter (quotes and backticks inside names, names put
//! together from constants, other dashes and quotes, methods of .NET) are easiest to undo while reading.
//! What is invoked by a name that is not constant is opaque.

mod cmdlets;
mod expression;
mod fold;
mod given;
mod handed_out;
mod machine;
mod methods;
mod names;
mod objects;
mod parameters;
mod removing;

use parameters::{declared_parameters, parameters_of};

use crate::domain::policy::{
    partial_text::{TextScanner, UNKNOWN},
    programs::vague_code,
    shell::{ShellInterpreter, bracketed},
};

/// Looks at the text of a command.
pub(super) fn read(shell: &mut ShellInterpreter<'_, '_>, code: &str) {
    if !shell.reading.spend_text(code) {
        return;
    }
    let code = plain_signs(code);
    handed_out::names_disk(shell, &code);
    handed_out::whole_text(shell, &code);
    drop(Reader { shell }.statements(&code, ""));
}

/// Looks at a text reached through another program.
pub(super) fn run(shell: &mut ShellInterpreter<'_, '_>, code: &str, via: &str) {
    if shell.reading.enter(via) {
        vague_code(shell, code, via);
        read(shell, code);
        shell.reading.leave();
    }
}

/// Looks at the arguments of `powershell` or `pwsh`.
pub(super) fn program(shell: &mut ShellInterpreter<'_, '_>, args: &[String], stdin: &str) {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        let word = plain_signs(arg).to_lowercase();
        let name = word.trim_start_matches(['-', '/']);
        let dashed = name.len() < word.len() && !name.is_empty();
        let rest = args.get(at + 1..).unwrap_or_default();
        if !dashed {
            run(
                shell,
                &args.get(at..).unwrap_or_default().join(" "),
                "powershell",
            );
            return;
        }
        if "encodedcommand".starts_with(name) || name == "ec" {
            let code = rest.first().and_then(|text| decoded(text));
            match code {
                Some(code) => run(shell, &code, "powershell"),
                None => shell
                    .reading
                    .opaque("an encoded command that cannot be decoded"),
            }
            return;
        }
        if "command".starts_with(name) || name == "commandwithargs" || name == "cwa" {
            let code = rest.join(" ");
            run(
                shell,
                if code.trim() == "-" { stdin } else { &code },
                "powershell",
            );
            return;
        }
        if "file".starts_with(name) {
            if let Some(code) = rest
                .first()
                .and_then(|file| shell.remembered(&super::windows::path(file)))
            {
                run(shell, &code, "powershell");
            } else if rest.first().is_some_and(|file| file == "-") {
                run(shell, stdin, "powershell");
            } else if let Some(file) = rest.first() {
                shell.runs_file(&super::windows::path(file));
            }
            return;
        }
        let valued = [
            "executionpolicy",
            "ep",
            "ex",
            "windowstyle",
            "version",
            "outputformat",
            "inputformat",
            "configurationname",
            "psconsolefile",
            "workingdirectory",
            "wd",
            "settingsfile",
            "custompipename",
        ];
        let takes = valued.iter().any(|long| long.starts_with(name))
            && !"noprofile".starts_with(name)
            && !"noninteractive".starts_with(name);
        at += if takes { 2 } else { 1 };
    }
    if !stdin.is_empty() {
        run(shell, stdin, "powershell");
    }
}

/// Decodes base64 of UTF-16, the form of encoded commands.
fn decoded(text: &str) -> Option<String> {
    let bytes = super::programs::base64_bytes(text.trim_matches(['"', '\'']))?;
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| {
            pair.iter()
                .rev()
                .fold(0, |sum, byte| (sum << 8) | u16::from(*byte))
        })
        .collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}

/// Turns the other dashes and quotes that PowerShell takes for plain ones into plain ones.
fn plain_signs(code: &str) -> String {
    if code.is_ascii() {
        return code.to_owned();
    }
    code.chars()
        .map(|c| match c {
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FF0D}' | '\u{FE63}' => '-',
            '\u{2018}'..='\u{201B}' => '\'',
            '\u{201C}'..='\u{201F}' => '"',
            '\u{A0}'
            | '\u{2000}'..='\u{200A}'
            | '\u{202F}'
            | '\u{205F}'
            | '\u{3000}'
            | '\u{85}'
            | '\u{2028}'
            | '\u{2029}' => ' ',
            other => other,
        })
        .collect()
}

/// Reads PowerShell on behalf of a shell, whose variables, functions and folder it uses.
struct Reader<'s, 'r, 'w> {
    shell: &'s mut ShellInterpreter<'r, 'w>,
}

/// An argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Arg {
    /// A value, or several.
    Values(Vec<String>),
    /// A parameter name as written, for programs that tell `-d` from `-D`, and the value glued to it.
    Name(String, Option<String>),
    /// A script block, as text.
    Block(String),
}

impl Reader<'_, '_, '_> {
    /// Reads statements, and returns what they print.
    fn statements(&mut self, code: &str, input: &str) -> String {
        let mut scan = TextScanner::new(code);
        let mut printed = String::new();
        loop {
            skip_blank(&mut scan, true);
            if scan.rest().is_empty() || !self.shell.reading.spend() {
                return printed;
            }
            let before = scan.rest().len();
            self.keyword(&mut scan);
            let text = self.pipeline(&mut scan, input);
            if printed.len() < 32 * 1024 {
                printed.push_str(&text);
            }
            if scan.rest().len() == before {
                scan.bump();
            }
        }
    }

    /// Reads a keyword; what follows it is read as statements of their own.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    fn keyword(&mut self, scan: &mut TextScanner<'_>) {
        let word: String = scan
            .rest()
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect::<String>()
            .to_lowercase();
        let after = scan.rest().get(word.len()..).unwrap_or("").chars().next();
        if after.is_some_and(|c| c.is_alphanumeric() || "-.\\/:".contains(c)) {
            return;
        }
        match word.as_str() {
            "if" | "elseif" | "else" | "while" | "do" | "until" | "for" | "try" | "finally"
            | "begin" | "process" | "end" | "return" | "throw" | "exit" | "break" | "continue"
            | "using" | "dynamicparam" | "parallel" | "switch" | "default" | "trap" | "data" => {
                scan.take(word.len());
                skip_blank(scan, false);
            }
            "catch" => {
                scan.take(word.len());
                skip_blank(scan, false);
                while scan.eat("[") {
                    bracketed(scan, '[', ']');
                    skip_blank(scan, false);
                }
            }
            "foreach" => {
                let start = *scan;
                scan.take(word.len());
                skip_blank(scan, false);
                if !scan.eat("(") {
                    *scan = start;
                    return;
                }
                let head = bracketed(scan, '(', ')');
                if let Some((name, list)) = split_in(head) {
                    let values: Vec<String> = self
                        .statements(list, "")
                        .lines()
                        .map(str::to_owned)
                        .collect();
                    self.shell.assign_all(&name, &values);
                }
            }
            "function" | "filter" | "workflow" => {
                scan.take(word.len());
                skip_blank(scan, false);
                let name = scan
                    .take_while(|c| !c.is_whitespace() && c != '{' && c != '(')
                    .to_lowercase();
                let scope = ["global:", "script:", "local:", "private:"];
                let name = scope
                    .iter()
                    .find_map(|scope| name.strip_prefix(scope))
                    .map_or_else(|| name.clone(), str::to_owned);
                skip_blank(scan, true);
                let mut parameters = Vec::new();
                if scan.eat("(") {
                    parameters = parameters_of(bracketed(scan, '(', ')'));
                    skip_blank(scan, true);
                }
                if scan.eat("{") {
                    let body = bracketed(scan, '{', '}').to_owned();
                    parameters.extend(declared_parameters(&body));
                    self.shell.assign(&format!("parameters:{name}"), parameters);
                    self.shell.assign(&format!("function:{name}"), vec![body]);
                }
            }
            "param" => {
                scan.take(word.len());
                skip_blank(scan, false);
                if scan.eat("(") {
                    bracketed(scan, '(', ')');
                }
            }
            _ => {}
        }
    }

    /// Reads one pipeline up to its end.
    fn pipeline(&mut self, scan: &mut TextScanner<'_>, input: &str) -> String {
        let mut text = input.to_owned();
        let mut first = true;
        loop {
            skip_blank(scan, !first);
            text = self.element(scan, &text, first);
            first = false;
            skip_blank(scan, false);
            if scan.eat("||") || scan.eat("&&") {
                first = true;
                continue;
            }
            if scan.eat("|") {
                continue;
            }
            if scan.peek() == Some('>') {
                if let (Some(file), true) = (self.redirection(scan), text.trim().is_empty()) {
                    self.shell.empties(&file);
                }
                skip_blank(scan, false);
            }
            let _ = scan.eat(";")
                || scan.eat("\n")
                || scan.eat("\r")
                || scan.eat("&")
                || scan.eat("}")
                || scan.eat(")");
            return text;
        }
    }

    fn element(&mut self, scan: &mut TextScanner<'_>, input: &str, first: bool) -> String {
        let rest = scan.rest();
        let calls = rest.starts_with('&') && !rest.starts_with("&&");
        let sources = rest.starts_with('.')
            && rest
                .chars()
                .nth(1)
                .is_some_and(|c| c.is_whitespace() || "({$'\"&".contains(c));
        if calls || sources {
            scan.bump();
            skip_blank(scan, false);
            return self.called(scan, input);
        }
        match scan.peek() {
            None => String::new(),
            Some('{') if first => {
                scan.bump();
                let code = bracketed(scan, '{', '}').to_owned();
                self.block(&code, input)
            }
            Some('\'' | '"' | '$' | '(' | '[' | '@' | '-' | '+' | '!' | '{') => {
                self.expression(scan).join("\n")
            }
            Some(c) if c.is_ascii_digit() => self.expression(scan).join("\n"),
            Some(_) => {
                let name = self.word(scan, true);
                let args = self.arguments(scan);
                self.invoke(&name, args, input)
            }
        }
    }

    /// Reads what follows a call operator.
    fn called(&mut self, scan: &mut TextScanner<'_>, input: &str) -> String {
        if scan.eat("{") {
            let code = bracketed(scan, '{', '}').to_owned();
            drop(self.arguments(scan));
            return self.block(&code, input);
        }
        let plain = scan.peek().is_some_and(|c| !"'\"$(@[".contains(c));
        let name = if plain {
            self.word(scan, true)
        } else {
            self.operand(scan).concat()
        };
        let args = self.arguments(scan);
        if let Some(code) = name
            .strip_prefix('{')
            .and_then(|code| code.strip_suffix('}'))
        {
            return self.block(code, input);
        }
        self.invoke(&name, args, input)
    }

    /// Reads a script block with `$_` standing for its input.
    fn block(&mut self, code: &str, input: &str) -> String {
        if !self.shell.reading.enter("{}") {
            return UNKNOWN.to_string();
        }
        let lines: Vec<String> = input.lines().map(str::to_owned).collect();
        if !lines.is_empty() {
            self.shell.assign("_", lines);
        }
        let printed = self.statements(code, "");
        self.shell.reading.leave();
        printed
    }

    /// Reads arguments up to the end of the command.
    fn arguments(&mut self, scan: &mut TextScanner<'_>) -> Vec<Arg> {
        let mut found: Vec<Arg> = Vec::new();
        loop {
            skip_blank(scan, false);
            let Some(c) = scan.peek() else {
                return found;
            };
            match c {
                '|' | ';' | '\n' | '\r' | ')' | '}' => return found,
                '&' => return found,
                '>' | '<' => drop(self.redirection(scan)),
                '0'..='9' | '*' if scan.rest().chars().nth(1) == Some('>') => {
                    scan.bump();
                    drop(self.redirection(scan));
                }
                ',' => {
                    scan.bump();
                    skip_blank(scan, true);
                    let more = self.operand(scan);
                    match found.last_mut() {
                        Some(Arg::Values(values)) => values.extend(more),
                        _ => found.push(Arg::Values(more)),
                    }
                }
                '{' => {
                    scan.bump();
                    found.push(Arg::Block(bracketed(scan, '{', '}').to_owned()));
                }
                '-' if scan
                    .rest()
                    .chars()
                    .nth(1)
                    .is_some_and(|c| c.is_alphabetic() || c == '`' || c == '-') =>
                {
                    found.push(self.parameter_name(scan));
                }
                _ => {
                    let values = self.operand(scan);
                    let block = values
                        .first()
                        .and_then(|value| value.strip_prefix('{'))
                        .and_then(|code| code.strip_suffix('}'))
                        .map(str::to_owned);
                    found.push(block.map_or(Arg::Values(values), Arg::Block));
                }
            }
        }
    }

    fn parameter_name(&mut self, scan: &mut TextScanner<'_>) -> Arg {
        let word = scan
            .take_while(|c| c.is_alphanumeric() || "-_`?".contains(c))
            .replace('`', "");
        if scan.eat(":") {
            skip_blank(scan, false);
            let value = self.operand(scan).concat();
            return Arg::Name(word, Some(value));
        }
        let glued = scan.take_while(|c| !c.is_whitespace() && !"|;(){},&\"'".contains(c));
        Arg::Name(format!("{word}{glued}"), None)
    }

    /// Reads a redirection and returns the file that gets a new content.
    fn redirection(&mut self, scan: &mut TextScanner<'_>) -> Option<String> {
        let signs = scan.take_while(|c| c == '>' || c == '<');
        if scan.eat("&") {
            scan.bump();
            return None;
        }
        skip_blank(scan, false);
        let file = super::windows::path(&self.operand(scan).concat());
        if file.is_empty() || !signs.starts_with('>') {
            return None;
        }
        self.shell.writes(&file);
        (signs == ">").then_some(file)
    }

    /// Reads an argument or the right side of an operator.
    fn operand(&mut self, scan: &mut TextScanner<'_>) -> Vec<String> {
        match scan.peek() {
            Some('\'' | '"' | '$' | '(' | '[' | '@' | '{') => {
                let value = self.primary(scan);
                let glued = scan
                    .peek()
                    .is_some_and(|c| c.is_alphanumeric() || "\\/.:-_*".contains(c));
                if glued && value.len() == 1 {
                    let rest = self.word(scan, false);
                    return vec![format!("{}{rest}", value.concat())];
                }
                value
            }
            _ => vec![self.word(scan, false)],
        }
    }

    /// Reads a word with the quotes, backticks and variables inside it undone.
    fn word(&mut self, scan: &mut TextScanner<'_>, name: bool) -> String {
        let mut text = String::new();
        while let Some(c) = scan.peek() {
            match c {
                '`' => {
                    scan.bump();
                    text.extend(scan.bump().filter(|c| *c != '\n'));
                }
                '\'' => {
                    scan.bump();
                    text.push_str(&single_quoted(scan));
                }
                '"' => {
                    scan.bump();
                    text.push_str(&self.double_quoted(scan));
                }
                '$' => text.push_str(&self.primary(scan).concat()),
                '(' if !name && text.is_empty() => text.push_str(&self.primary(scan).concat()),
                c if c.is_whitespace() || "|;(){},&<>".contains(c) => break,
                c => {
                    scan.bump();
                    text.push(c);
                }
            }
        }
        text
    }
}

/// Skips blanks, comments and continued lines; with `lines` also ends of lines and stray separators.
fn skip_blank(scan: &mut TextScanner<'_>, lines: bool) {
    loop {
        let before = scan.rest().len();
        scan.take_while(|c| (c.is_whitespace() && c != '\n') || (lines && (c == '\n' || c == ';')));
        if scan.eat("`\r\n") || scan.eat("`\n") {
            continue;
        }
        if scan.eat("<#") {
            let end = scan
                .rest()
                .find("#>")
                .map_or(scan.rest().len(), |at| at + 2);
            scan.take(end);
        }
        if scan.peek() == Some('#') {
            scan.take_while(|c| c != '\n');
        }
        if scan.rest().len() == before {
            return;
        }
    }
}

/// Reads the rest of a single-quoted text.
fn single_quoted(scan: &mut TextScanner<'_>) -> String {
    let mut text = String::new();
    while let Some(c) = scan.bump() {
        if c == '\'' && !scan.eat("'") {
            break;
        }
        text.push(c);
    }
    text
}

/// Splits `$x in list`.
fn split_in(head: &str) -> Option<(String, &str)> {
    let head = head.trim().strip_prefix('$')?;
    let (name, rest) = head.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let list = rest
        .get(..2)
        .filter(|word| word.eq_ignore_ascii_case("in"))
        .and_then(|_| rest.get(2..))?;
    Some((name.to_lowercase(), list))
}
