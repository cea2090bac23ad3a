//! Programs that only print: what they print is worked out where that is possible, because it may be run.

use crate::domain::policy::{
    partial_text::{NAME, SECRET, UNKNOWN, base_name, is_in, is_vague, without_own},
    programs::{Options, environment::names_secret, is_stream, project_data},
    rule::EffectKind,
    shell::{ShellInterpreter, ansi_text},
};

impl ShellInterpreter<'_, '_> {
    /// Looks at a program that prints, and returns what it prints.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    #[expect(clippy::format_collect, reason = "a handful of short lines")]
    pub(super) fn printer(&mut self, name: &str, args: &[String], stdin: &str) -> String {
        let unknown = UNKNOWN.to_string();
        let stdin_line = stdin.to_owned();
        let name_line = || format!("{NAME}\n");
        if name == "dc" || name == "bc" {
            let texts = args.iter().chain(std::iter::once(&stdin_line));
            for text in texts.filter(|text| text.contains('!')) {
                let code = text.split_once('!').map_or("", |(_, code)| code).to_owned();
                if name == "dc" && !code.trim_start().starts_with(['<', '>', '=']) {
                    drop(self.run_text(&code, name, String::new()));
                }
            }
        }
        if name == "hostname"
            && args
                .iter()
                .any(|arg| !arg.starts_with('-') || arg == "-F" || arg == "-b")
        {
            self.reading.does(
                EffectKind::System,
                "hostname gives the machine another name",
            );
        }
        match name {
            "echo" => return echo(args),
            "printf" => {
                self.hidden_substitutions(
                    args.iter()
                        .skip_while(|arg| *arg != "-v")
                        .nth(1)
                        .map_or("", String::as_str),
                );
                return self.printf(args);
            }
            "yes" => {
                return format!(
                    "{}\n",
                    if args.is_empty() {
                        "y".to_owned()
                    } else {
                        args.join(" ")
                    }
                );
            }
            "sleep" | "clear" | "reset" | "stty" | "tput" | "logger" => return String::new(),
            "which" | "whereis" | "type" => {
                return args
                    .iter()
                    .filter(|arg| !arg.starts_with('-'))
                    .map(|arg| format!("/usr/bin/{arg}\n"))
                    .collect();
            }
            "mktemp" => return self.mktemp(args),
            "date" => return self.date(args),
            "whoami" | "id" | "hostname" | "uname" | "nproc" | "wc" | "seq" | "arch" | "cksum"
            | "md5sum" | "sha1sum" | "sha256sum" | "expr" | "bc" | "dc" | "factor" | "uptime"
            | "tty" | "getconf" | "stat" | "du" | "df" => {
                self.read_files(args);
                return name_line();
            }
            "ls" | "eza" | "exa" | "tree" => return ls(args),
            // Numbers of processes that somebody else started.
            "pgrep" | "pidof" | "lsof" | "ps" | "ss" | "netstat" => return format!("2{NAME}\n"),
            "basename" => return format!("{}\n", args.first().map_or("", |path| base_name(path))),
            "dirname" => {
                return args
                    .iter()
                    .filter(|arg| !arg.starts_with('-'))
                    .map(|path| format!("{}\n", folder_of(path)))
                    .collect();
            }
            "realpath" | "readlink" => return self.real_path(args),
            "man" | "info" => {
                let options = Options::parse(args, "PHt", &["pager", "html"]);
                for code in options.values(&["P", "pager", "H", "html"]) {
                    drop(self.run_text(code, name, String::new()));
                }
            }
            // Numbers of a range.
            "shuf"
                if args
                    .iter()
                    .any(|arg| arg.starts_with("-i") || arg.starts_with("--input-range")) =>
            {
                return name_line();
            }
            "shuf" if args.iter().any(|arg| arg == "-e") => {
                return args
                    .iter()
                    .filter(|arg| *arg != "-e")
                    .map(|arg| format!("{arg}\n"))
                    .collect();
            }
            "openssl" => return self.openssl(args, stdin),
            "envsubst" => {
                let names = |text: &String| {
                    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                        .any(names_secret)
                };
                let holds = names(&stdin_line) || args.iter().any(names);
                return format!(
                    "{UNKNOWN}{}",
                    if holds {
                        SECRET.to_string()
                    } else {
                        String::new()
                    }
                );
            }
            "rg" | "less" | "more" | "bat" | "xmllint" => self.previewer(name, args),
            "xxd"
                if args
                    .iter()
                    .any(|arg| arg.starts_with("-r") || arg == "-revert") =>
            {
                let options = Options::parse(args, "clos", &[]);
                if let Some(file) = options.rest.get(1) {
                    self.writes(file);
                }
            }
            "shuf" | "uniq" => {
                let options =
                    Options::parse(args, "oneifsw", &["output", "head-count", "input-range"]);
                let second = options.rest.get(1).filter(|_| name == "uniq");
                for file in options
                    .values(&["o", "output"])
                    .chain(second.map(String::as_str))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
                {
                    self.writes(&file);
                }
            }
            "yq" if args
                .iter()
                .any(|arg| ["-i", "--inplace", "--in-place"].contains(&arg.as_str())) =>
            {
                let options = Options::parse(args, "po", &["output-format", "input-format"]);
                for file in options.rest.iter().skip(1) {
                    self.writes(file);
                }
            }
            "uudecode" => {
                let options = Options::parse(args, "o", &[]);
                if let Some(file) = options.value("o") {
                    self.writes(file);
                }
            }
            _ => {}
        }
        if is_process(stdin)
            && [
                "grep", "egrep", "head", "tail", "cut", "tr", "sort", "uniq", "paste",
            ]
            .contains(&name)
        {
            return stdin.to_owned();
        }
        let lists = args.iter().any(|arg| {
            let cluster = arg.starts_with('-') && !arg.starts_with("--");
            cluster && arg.contains(['l', 'L']) || arg.starts_with("--files")
        });
        if ["grep", "egrep", "fgrep", "rg", "ag"].contains(&name) && lists {
            let options = Options::parse(args, "efABCmgt", &["glob", "include", "exclude", "type"]);
            let skip = usize::from(!options.has(&["e", "f", "regexp", "files"]));
            let folders = options.rest.iter().skip(skip);
            let found: String = folders
                .map(|folder| format!("{}/{NAME}x\n", folder.trim_end_matches('/')))
                .collect();
            return if found.is_empty() {
                format!("{NAME}x\n")
            } else {
                found
            };
        }
        let input = self.input(name, args, stdin);
        decoded(name, args, &input).unwrap_or(unknown)
    }

    /// Returns what a filter reads: its files, else its input.
    fn input(&mut self, name: &str, args: &[String], stdin: &str) -> String {
        let values = match name {
            "head" | "tail" => "nc",
            "cut" => "dfcb",
            "xxd" => "clos",
            "base64" | "base32" | "fold" => "wi",
            "grep" | "egrep" | "fgrep" | "rg" => "efABCm",
            _ => "",
        };
        let options = Options::parse(args, values, &[]);
        let skip = usize::from(
            ["grep", "egrep", "fgrep", "rg", "ag", "tr", "jq"].contains(&name)
                && !options.has(&["e", "f", "regexp"]),
        ) + usize::from(name == "tr" && !options.has(&["d"]));
        let files: Vec<&String> = options.rest.iter().skip(skip).collect();
        if files.is_empty() {
            return stdin.to_owned();
        }
        let mut text = String::new();
        for file in files {
            if is_stream(file) && self.remembered(file).is_none() {
                text.push_str(stdin);
            } else {
                self.reads(file);
                text.push_str(&self.contents(file));
            }
        }
        text
    }

    fn read_files(&mut self, args: &[String]) {
        for file in args.iter().filter(|arg| arg.contains('/')) {
            self.reads(file);
        }
    }

    fn printf(&mut self, args: &[String]) -> String {
        let (target, args) = match args {
            [flag, name, rest @ ..] if flag == "-v" => (Some(name.clone()), rest),
            [flag, rest @ ..] if flag == "--" => (None, rest),
            all => (None, all),
        };
        let Some((format, values)) = args.split_first() else {
            return String::new();
        };
        let mut text = formatted(format, values);
        if values.iter().any(|value| value.contains(SECRET)) && !text.contains(SECRET) {
            text.push(SECRET);
        }
        match target {
            Some(name) => {
                super::inspect_variable(self, &name, &text);
                self.assign(&name, vec![text]);
                String::new()
            }
            None => text,
        }
    }

    fn date(&mut self, args: &[String]) -> String {
        if args
            .iter()
            .any(|arg| arg == "-s" || arg.starts_with("--set"))
        {
            self.reading.does(EffectKind::System, "date sets the clock");
        }
        let format = args
            .iter()
            .find_map(|arg| arg.strip_prefix('+'))
            .unwrap_or("%c");
        format!("{}\n", percent_names(format))
    }

    fn real_path(&mut self, args: &[String]) -> String {
        let path = args
            .iter()
            .rfind(|arg| !arg.starts_with('-'))
            .map_or(".", String::as_str);
        match crate::domain::policy::resolved_path::absolute(path, self.folder()) {
            Some(path) => format!("{path}\n"),
            None => UNKNOWN.to_string(),
        }
    }

    fn openssl(&mut self, args: &[String], stdin: &str) -> String {
        let verb = args.first().map_or("", String::as_str);
        let peer = args.iter().skip_while(|arg| *arg != "-connect").nth(1);
        let here = verb == "s_client" && peer.is_some_and(|peer| super::leads_here(peer));
        if ["s_client", "s_server", "s_time", "ocsp", "cmp"].contains(&verb) && !here {
            self.reading.does(
                EffectKind::Network,
                format!("openssl {verb} opens a connection"),
            );
        }
        let after = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
        if let Some(file) = after("-out").cloned() {
            self.writes(&file);
        }
        if args
            .iter()
            .any(|arg| arg == "-engine" || arg == "-provider-path")
        {
            self.reading.opaque("openssl loads a library");
        }
        let base64 = verb == "base64"
            || args
                .iter()
                .any(|arg| arg == "-base64" || arg == "-a" || arg == "-A");
        let input = after("-in").map_or_else(|| stdin.to_owned(), |file| self.contents(file));
        if base64
            && args.iter().any(|arg| arg == "-d")
            && !args
                .iter()
                .any(|arg| arg == "-k" || arg == "-pass" || arg.starts_with("-aes"))
        {
            return base64_text(&input).unwrap_or_else(|| UNKNOWN.to_string());
        }
        if verb == "rand" || verb == "dgst" {
            return format!("{NAME}\n");
        }
        UNKNOWN.to_string()
    }

    fn previewer(&mut self, name: &str, args: &[String]) {
        let written = Options::parse(args, "oOkpPtTxyzjDb", &["log-file", "LOG-FILE", "output"]);
        let logs = written.values(&["o", "O", "log-file", "LOG-FILE", "output"]);
        if ["less", "xmllint"].contains(&name) {
            for file in logs {
                self.writes(file);
            }
        }
        let options = Options::parse(args, "efABCm", &["pre", "hostname-bin", "pager"]);
        for code in options.values(&["pre", "hostname-bin", "pager"]) {
            drop(self.run_text(code, "a previewer", String::new()));
        }
        for arg in args {
            if let Some(code) = arg.strip_prefix("+!") {
                drop(self.run_text(code, "less", String::new()));
            }
        }
    }
}

/// Returns whether a text is the number of a process that somebody else started.
pub(super) fn is_process(text: &str) -> bool {
    text.strip_prefix('2')
        .is_some_and(|rest| rest.starts_with(NAME))
}

/// Returns what a filter makes of its input, where that can be told.
fn decoded(name: &str, args: &[String], input: &str) -> Option<String> {
    if input.contains(UNKNOWN) {
        let keeps = is_in("cat tac head tail uniq", name) && !without_own(input).contains(UNKNOWN);
        return keeps.then(|| input.to_owned());
    }
    let flag = |letter: char| {
        args.iter()
            .any(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(letter))
    };
    match name {
        "cat" | "tac" | "zcat" | "head" | "tail" | "uniq" | "fmt" | "fold" | "column"
        | "expand" | "nl" | "iconv" | "shuf" => Some(input.to_owned()),
        "grep" | "egrep" | "fgrep" | "cut" | "jq" | "yq" | "comm" | "paste" | "join" | "ag" => {
            let is_name = input.starts_with(NAME) && input.trim_end().lines().count() == 1;
            if is_name && project_data::keeps_lines(name, args) {
                Some(input.to_owned())
            } else if is_vague(input) {
                Some(format!("{NAME}\n"))
            } else {
                None
            }
        }
        "rev" => Some(
            input
                .lines()
                .map(|line| line.chars().rev().chain(['\n']).collect::<String>())
                .collect(),
        ),
        "base64" if flag('d') || flag('D') || args.iter().any(|arg| arg.starts_with("--d")) => {
            base64_text(input)
        }
        "xxd" if flag('r') => hex_text(input),
        "tr" => translated(args, input),
        "base64" | "base32" | "xxd" | "od" | "hexdump" | "diff" | "cmp" | "file" => {
            Some(format!("{NAME}\n"))
        }
        _ => None,
    }
}

/// Returns what `echo` prints; escapes are taken both ways when they differ, the live reading last.
fn echo(args: &[String]) -> String {
    let mut words = args;
    let (mut newline, mut escapes) = (true, false);
    while let Some((first, rest)) = words.split_first() {
        let flags = first
            .strip_prefix('-')
            .filter(|flags| !flags.is_empty() && flags.chars().all(|c| "neE".contains(c)));
        let Some(flags) = flags else {
            break;
        };
        newline &= !flags.contains('n');
        escapes |= flags.contains('e');
        words = rest;
    }
    let text = words.join(" ");
    let text = if escapes { ansi_text(&text) } else { text };
    if newline { format!("{text}\n") } else { text }
}

/// Returns what `printf` makes of a format and values.
fn formatted(format: &str, values: &[String]) -> String {
    let format = ansi_text(format);
    let mut values = values.iter();
    let mut text = String::new();
    loop {
        let before = values.len();
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            let mut kind = chars.next();
            while kind.is_some_and(|c| c.is_ascii_digit() || "-+ #.*".contains(c)) {
                kind = chars.next();
            }
            let value = || values.next().cloned().unwrap_or_default();
            match kind {
                Some('%') | None => text.push('%'),
                Some('b') => text.push_str(&ansi_text(&{ value }())),
                Some('s' | 'q' | 'c') => text.push_str(&{ value }()),
                Some('d' | 'i' | 'u') => text.push_str(&{ value }()),
                Some('o' | 'x' | 'X') => text.push_str(&based(&{ value }(), kind)),
                Some(_) => text.push(NAME),
            }
        }
        if values.len() == 0 || values.len() == before || text.len() > 32 * 1024 {
            return text;
        }
    }
}

fn based(value: &str, kind: Option<char>) -> String {
    match (value.parse::<i64>(), kind) {
        (Ok(number), Some('o')) => format!("{number:o}"),
        (Ok(number), Some('x')) => format!("{number:x}"),
        (Ok(number), _) => format!("{number:X}"),
        (Err(_), _) => NAME.to_string(),
    }
}

/// Returns what `dirname` says of a path.
fn folder_of(path: &str) -> &str {
    let bare = path.trim_end_matches('/');
    match bare.rsplit_once('/') {
        Some((head, _)) if head.trim_end_matches('/').is_empty() => "/",
        Some((head, _)) => head.trim_end_matches('/'),
        None if bare.is_empty() && !path.is_empty() => "/",
        None => ".",
    }
}

fn percent_names(format: &str) -> String {
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            chars.next();
            text.push(NAME);
        } else {
            text.push(c);
        }
    }
    text
}

fn ls(args: &[String]) -> String {
    let folders: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    if folders.is_empty() {
        return format!("{NAME}\n");
    }
    folders
        .iter()
        .map(|folder| {
            if is_vague(folder) {
                format!("{folder}\n")
            } else {
                format!("{NAME}\n")
            }
        })
        .collect()
}

/// Decodes base64, as text; what is not text in the result is replaced.
pub(super) fn base64_text(input: &str) -> Option<String> {
    base64_bytes(input).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Decodes base64, skipping blanks; both alphabets.
pub(in crate::domain::policy) fn base64_bytes(input: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut bytes = Vec::new();
    for c in input
        .bytes()
        .filter(|c| !c.is_ascii_whitespace() && *c != b'=')
    {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xFF).unwrap_or(0));
        }
    }
    Some(bytes)
}

/// Decodes hexadecimal digits, skipping everything else.
#[expect(
    clippy::unnecessary_wraps,
    reason = "one of several decoders with the same shape"
)]
pub(super) fn hex_text(input: &str) -> Option<String> {
    let digits: Vec<u32> = input.chars().filter_map(|c| c.to_digit(16)).collect();
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair.iter().fold(0, |sum, digit| sum * 16 + digit)).unwrap_or(0))
        .collect();
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn translated(args: &[String], input: &str) -> Option<String> {
    let options = Options::parse(args, "", &[]);
    let from = set_of(&ansi_text(options.rest.first()?));
    if options.has(&["d", "delete"]) {
        return Some(input.chars().filter(|c| !from.contains(c)).collect());
    }
    if options.has(&["c", "C"]) {
        return None;
    }
    let Some(to) = options.rest.get(1) else {
        return Some(input.to_owned());
    };
    let to = set_of(&ansi_text(to));
    let last = to.last().copied()?;
    Some(
        input
            .chars()
            .map(|c| {
                from.iter()
                    .position(|own| *own == c)
                    .map_or(c, |at| to.get(at).copied().unwrap_or(last))
            })
            .collect(),
    )
}

/// Returns the characters of a set of `tr`.
fn set_of(text: &str) -> Vec<char> {
    let text = text
        .replace("[:upper:]", "A-Z")
        .replace("[:lower:]", "a-z")
        .replace("[:digit:]", "0-9")
        .replace("[:space:]", " \t\n\r")
        .replace("[:alpha:]", "A-Za-z");
    let chars: Vec<char> = text.chars().collect();
    let mut set = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(to)) if *to >= c => {
                set.extend((c..=*to).take(512));
                at += 3;
            }
            _ => {
                set.push(c);
                at += 1;
            }
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_filters_print_is_worked_out() {
        assert_eq!(base64_text("aGVsbG8=").as_deref(), Some("hello"));
        assert_eq!(hex_text("68 65 6c 6c 6f").as_deref(), Some("hello"));
        assert_eq!(
            translated(&words(&["a-z", "n-za-m"]), "uryyb").as_deref(),
            Some("hello")
        );
        assert_eq!(
            formatted("%s-%s\\n", &words(&["a", "b", "c", "d"])),
            "a-b\nc-d\n"
        );
        assert_eq!(echo(&words(&["-n", "-e", "\\x41b"])), "Ab");
        let folders = ["/tmp", "/srv/x/", "/", "x", "a//b", ""].map(folder_of);
        assert_eq!(folders, ["/", "/srv", "/", ".", "a", "."]);
    }
}
