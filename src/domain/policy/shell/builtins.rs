//! What the shell does itself: change folder, set variables, read text again as commands.

use crate::domain::policy::{
    partial_text::{NAME, has_option, is_vague},
    programs,
    shell::{
        ShellInterpreter,
        state::{ShellVariable, unknown},
    },
};

impl ShellInterpreter<'_, '_> {
    /// Runs a builtin of the shell; `None` when the word is not one.
    pub(in crate::domain::policy) fn builtin(
        &mut self,
        words: &[String],
        stdin: &str,
    ) -> Option<String> {
        let (name, args) = words.split_first()?;
        match name.as_str() {
            "cd" | "pushd" => self.change_folder(args),
            "popd" => self.state.folders.insert(0, None),
            // What they start is a builtin that acts on this very shell.
            "builtin" | "command" if !has_option(args, "vV", &[]) => {
                let options = programs::Options::leading(args, "", &[]);
                return self.builtin(&options.rest, stdin);
            }
            "eval" => {
                let code = args.join(" ");
                return Some(self.run_text(&code, "eval", stdin.to_owned()));
            }
            "source" | "." => return Some(self.source(args, stdin)),
            "set" if args.is_empty() => self.shows_environment("set"),
            "set" => self.set(args),
            "shift" => self.shift(args),
            "export" | "declare" | "typeset" | "readonly"
                if args.iter().all(|arg| arg.starts_with('-')) && !has_option(args, "fF", &[]) =>
            {
                self.shows_environment(name);
            }
            "compgen"
                if has_option(args, "ev", &[])
                    || args.iter().any(|arg| arg == "variable" || arg == "export") =>
            {
                self.shows_environment(name);
            }
            "export" | "declare" | "typeset" | "local" | "readonly" => self.declare(name, args),
            "unset" | "let" | "getopts" | "wait" => self.indexed(args),
            "test" | "[" => self.indexed(args),
            "read" => self.read(args, stdin),
            "mapfile" | "readarray" => self.read_list(args, stdin),
            "trap" => self.trap(args),
            "alias" => self.alias(args),
            "hash" => self.hash(args),
            "enable" if has_option(args, "f", &[]) => {
                self.reading.opaque("a builtin loaded from a file");
            }
            "bind" if has_option(args, "x", &[]) => {
                let code = args.join(" ");
                drop(self.run_text(&code, name, String::new()));
            }
            "compgen" | "complete" if has_option(args, "CFW", &[]) => self.completes(args),
            "bind"
                if args
                    .iter()
                    .any(|arg| arg.contains(": \"") || arg.contains(":\"")) =>
            {
                self.reading.opaque("keys that stand for commands");
            }
            "history" | "fc" => self.history(name, args),
            "pwd" => {
                return Some(format!(
                    "{}\n",
                    self.folder().map_or_else(unknown, str::to_owned)
                ));
            }
            ":" | "true" | "false" | "exit" | "return" | "break" | "continue" | "jobs" | "fg"
            | "bg" | "umask" | "ulimit" | "shopt" | "times" | "caller" | "dirs" | "disown"
            | "unalias" | "compgen" | "compopt" | "help" | "logout" | "suspend" | "bind"
            | "complete" | "enable" => {}
            _ => return None,
        }
        Some(String::new())
    }

    /// Looks at what the history of the shell is written to, and at commands taken from it.
    fn history(&mut self, name: &str, args: &[String]) {
        if name == "history" && has_option(args, "aw", &[]) {
            for file in args.iter().filter(|arg| !arg.starts_with('-')) {
                self.writes(file);
            }
        }
        if name == "fc" && args.iter().any(|arg| arg == "-s" || arg == "-e") {
            self.reading
                .opaque("a command from the history of the shell");
        }
    }

    /// Looks at what a completion runs.
    fn completes(&mut self, args: &[String]) {
        let spec = programs::Options::parse(args, "CFoAGWPSX", &[]);
        for words in spec.values(&["W"]).map(str::to_owned).collect::<Vec<_>>() {
            self.hidden_substitutions(&words);
        }
        for code in spec
            .values(&["C", "F"])
            .map(str::to_owned)
            .collect::<Vec<_>>()
        {
            programs::vague_code(self, &code, "complete");
            drop(self.aside(|shell| shell.run_text(&code, "complete", String::new())));
        }
    }

    fn change_folder(&mut self, args: &[String]) {
        let target = args
            .iter()
            .find(|arg| !arg.starts_with('-') || arg.as_str() == "-");
        let folder = match target.map(String::as_str) {
            None => Some(crate::domain::policy::resolved_path::home(
                self.reading.world,
            )),
            Some("-") => self.state.folders.get(1).cloned().flatten(),
            Some(word) => crate::domain::policy::resolved_path::absolute(word, self.folder()),
        };
        // It is looked for below other folders first, which of them nobody can tell.
        let is_looked_for = target.is_some_and(|word| {
            let first = word.split('/').next().unwrap_or("");
            !["", ".", "..", "-"].contains(&first)
        });
        let starts = self.lookup("CDPATH").unwrap_or_default().concat();
        let leads_on = starts
            .split(':')
            .any(|start| !["", ".", "./"].contains(&start));
        self.state.folders = vec![folder];
        if is_looked_for && leads_on {
            self.state.folders.insert(0, None);
        }
    }

    fn source(&mut self, args: &[String], stdin: &str) -> String {
        let Some((file, rest)) = args.split_first() else {
            return String::new();
        };
        self.reads(file);
        self.traces_keys(file);
        if let Some(text) = self.remembered(file) {
            programs::vague_code(self, &text, "source");
            let outer = (!rest.is_empty())
                .then(|| std::mem::replace(&mut self.state.parameters, rest.to_vec()));
            let printed = self.run_text(&text, "source", stdin.to_owned());
            if let Some(outer) = outer {
                self.state.parameters = outer;
            }
            return printed;
        }
        if programs::is_stream(file) {
            programs::vague_code(self, &unknown(), "source");
        } else {
            self.runs_file(file);
        }
        unknown()
    }

    fn set(&mut self, args: &[String]) {
        let is_option = |arg: &&String| arg.starts_with(['-', '+']) && *arg != "--";
        for option in args.iter().take_while(is_option) {
            let letters = option.trim_start_matches(['-', '+']);
            if letters.contains('x')
                || letters.ends_with('o') && args.iter().any(|arg| arg == "xtrace")
            {
                self.state.traces = option.starts_with('-');
            }
            let named = letters.ends_with('o') && args.iter().any(|arg| arg == "errexit");
            if !letters.contains('e') && !named {
                continue;
            }
            // Under a condition it may not come to it.
            self.state.stops_on_failure =
                option.starts_with('-') && self.state.conditions == 0 && self.state.pipes == 0;
        }
        let plain = args.iter().position(|arg| arg == "--");
        if let Some(at) = plain {
            self.state.parameters = args.get(at + 1..).unwrap_or_default().to_vec();
        } else if args.first().is_some_and(|arg| !arg.starts_with(['-', '+'])) {
            self.state.parameters = args.to_vec();
        }
    }

    fn shift(&mut self, args: &[String]) {
        let count = args
            .first()
            .and_then(|arg| arg.parse::<usize>().ok())
            .unwrap_or(1);
        let left = self
            .state
            .parameters
            .get(count..)
            .unwrap_or_default()
            .to_vec();
        self.state.parameters = left;
    }

    fn declare(&mut self, name: &str, args: &[String]) {
        let names_value = has_option(args, "n", &[]) && name != "export";
        let exports_functions = has_option(args, "f", &[]) && name == "export";
        for arg in args.iter().filter(|arg| !arg.starts_with('-')) {
            if exports_functions {
                drop(self.call(arg, &[], unknown()));
                continue;
            }
            let Some((variable, value)) = arg.split_once('=') else {
                self.hidden_substitutions(arg);
                continue;
            };
            let variable = variable.trim_end_matches('+');
            self.hidden_substitutions(variable);
            if has_option(args, "i", &[]) {
                // It is computed.
                self.hidden_substitutions(value);
            }
            programs::inspect_variable(self, variable, value);
            if names_value {
                // Whatever the other name is given later goes to this one.
                programs::inspect_variable(self, value, "/nowhere/x");
            }
            let variable = variable.split('[').next().unwrap_or(variable).to_owned();
            let value = if names_value {
                self.lookup(value).unwrap_or_else(|| vec![unknown()])
            } else {
                vec![value.to_owned()]
            };
            self.assign(&variable, value);
        }
    }

    /// Looks at words that name variables, whose index is computed.
    fn indexed(&mut self, args: &[String]) {
        for arg in args {
            if arg.contains('[') || arg.contains('=') || arg.contains("$(") {
                let index = arg.split_once('[').map_or(arg.as_str(), |(_, index)| index);
                self.hidden_substitutions(index);
            }
        }
    }

    fn read(&mut self, args: &[String], stdin: &str) {
        self.indexed(args);
        let spec = programs::Options::parse(args, "adinNptu", &[]);
        let line = stdin.lines().next().unwrap_or("").to_owned();
        let known = !is_vague(stdin);
        if let Some(list) = spec.value("a") {
            let fields = if known {
                line.split_whitespace().map(str::to_owned).collect()
            } else {
                vec![unknown()]
            };
            self.assign(list, fields);
            return;
        }
        let lines: Vec<String> = stdin.lines().map(str::to_owned).collect();
        if let ([only], true) = (spec.rest.as_slice(), lines.len() > 1) {
            self.assign_all(only, &lines);
            return;
        }
        let ifs = self.lookup("IFS").unwrap_or_default().concat();
        let mut left = line.as_str();
        let names = if spec.rest.is_empty() {
            vec!["REPLY".to_owned()]
        } else {
            spec.rest
        };
        let last = names.len() - 1;
        for (at, name) in names.iter().enumerate() {
            let value = if at == last {
                left.trim().to_owned()
            } else {
                let (head, tail) = left
                    .trim_start()
                    .split_once(|c| ifs.contains(c))
                    .unwrap_or((left, ""));
                left = tail;
                head.to_owned()
            };
            let value = if known || !value.is_empty() {
                value
            } else {
                unknown()
            };
            programs::inspect_variable(self, name, &value);
            self.assign(name, vec![value]);
        }
    }

    fn read_list(&mut self, args: &[String], stdin: &str) {
        let spec = programs::Options::parse(args, "dnOsuCc", &[]);
        if let Some(code) = spec.value("C") {
            // It is handed the number and the text of a line.
            let line = if stdin.is_empty() {
                unknown()
            } else {
                stdin.lines().next().unwrap_or("").to_owned()
            };
            let words = code.split_whitespace().map(str::to_owned);
            let words: Vec<String> = words.chain(["0".to_owned(), line]).collect();
            let code = code.to_owned();
            drop(self.aside(|shell| shell.run_text(&code, "mapfile", String::new())));
            drop(self.aside(|shell| shell.dispatch(words, String::new())));
        }
        let name = spec
            .rest
            .first()
            .map_or("MAPFILE", String::as_str)
            .to_owned();
        let lines = stdin.lines().map(str::to_owned).collect();
        drop(self.state.variables.insert(
            name,
            ShellVariable {
                values: vec![lines],
            },
        ));
    }

    fn trap(&mut self, args: &[String]) {
        let words: Vec<&String> = args.iter().skip_while(|arg| *arg == "--").collect();
        if let [code, _, ..] = words.as_slice()
            && !code.starts_with('-')
        {
            programs::vague_code(self, code, "trap");
            // It runs when the shell ends, with what the variables hold then.
            self.state.traps.push((*code).clone());
        }
    }

    fn alias(&mut self, args: &[String]) {
        for arg in args {
            if let Some((name, value)) = arg.split_once('=') {
                drop(self.aside(|shell| shell.run_text(value, "alias", String::new())));
                drop(self.state.aliases.insert(name.to_owned(), value.to_owned()));
            }
        }
    }

    fn hash(&mut self, args: &[String]) {
        let spec = programs::Options::parse(args, "p", &[]);
        if let (Some(path), Some(name)) = (spec.value("p"), spec.rest.first()) {
            drop(self.state.bound.insert(name.clone(), path.to_owned()));
        }
        if spec.rest.iter().any(|name| name.contains(NAME)) {
            self.reading.opaque("a program bound to an unknown name");
        }
    }
}
