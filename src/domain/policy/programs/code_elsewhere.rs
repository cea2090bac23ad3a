//! Tools that run code from a file or folder they are given, where it may be none of the project.

use crate::domain::policy::{
    partial_text::{is_in, is_vague},
    programs::{Language, install::leading_options},
    shell::ShellInterpreter,
};

/// Options of `go` with a value of their own.
const GO_VALUES: &str = "
exec toolexec o tags ldflags gcflags asmflags gccgoflags C mod modfile p overlay pgo buildmode compiler installsuffix pkgdir covermode
coverpkg coverprofile cpuprofile memprofile blockprofile mutexprofile trace outputdir run bench benchtime count cpu parallel timeout
shuffle skip fuzz fuzztime fuzzminimizetime vet list
";
/// Interpreters whose first word is a program, and which are not read.
const UNREAD: &str = "elixir guile racket sbcl clisp octave ocaml runghc runhaskell escript";

impl ShellInterpreter<'_, '_> {
    /// Looks at where the code lies that a tool is told to run.
    pub(super) fn code_elsewhere(&mut self, name: &str, args: &[String]) {
        match name {
            "go" => self.go_code(args),
            "npm" => self.npm_folder(args),
            "bun"
                if leading_options(name, args)
                    .rest
                    .first()
                    .is_some_and(|verb| verb == "test") =>
            {
                for file in args
                    .iter()
                    .filter(|arg| !arg.starts_with('-') && arg.contains('/'))
                {
                    self.runs_foreign(file);
                }
            }
            "tclsh" | "wish" => {
                let file = args.first().filter(|arg| !arg.starts_with('-'));
                if let Some(file) = file.filter(|file| self.remembered(file).is_none()) {
                    self.runs_file(file);
                }
            }
            _ if is_in(UNREAD, name) => {
                // What stands behind an option may be code or a value.
                let file = args.iter().find(|arg| !arg.starts_with('-'));
                let is_path =
                    |file: &&String| file.contains('/') && !file.contains([' ', '(', '"']);
                if let Some(file) = file.filter(is_path) {
                    self.runs_file(file);
                }
            }
            _ => {}
        }
    }

    /// Looks at the files and packages that `go` compiles and runs.
    fn go_code(&mut self, args: &[String]) {
        let Some((verb, rest)) = args.split_first() else {
            return;
        };
        if !["run", "build", "test", "generate", "install"].contains(&verb.as_str()) {
            return;
        }
        let mut is_named = false;
        let mut is_value = false;
        for word in rest {
            if std::mem::take(&mut is_value) {
                continue;
            }
            if let Some(option) = word.strip_prefix('-') {
                let option = option.trim_start_matches('-');
                if option == "args" {
                    return;
                }
                is_value = is_in(GO_VALUES, option);
                continue;
            }
            let is_file = word.rsplit_once('.').is_some_and(|(_, end)| end == "go");
            // Behind its files and its package, what is run takes the rest.
            if verb == "run" && is_named && !is_file {
                return;
            }
            is_named = true;
            if !is_file {
                self.runs_foreign(word.trim_end_matches("/..."));
            } else if self.remembered(word).is_none() {
                self.runs_file(word);
            }
            if verb == "run" && !is_file {
                return;
            }
        }
    }

    /// Looks at the folder in which npm looks for the scripts of a package.
    fn npm_folder(&mut self, args: &[String]) {
        let mut before = "";
        for arg in args {
            let behind = (before == "--prefix").then_some(arg.as_str());
            if let Some(folder) = arg.strip_prefix("--prefix=").or(behind) {
                self.runs_foreign(folder);
            }
            before = arg;
        }
    }
}

/// Returns code of a file with the modules it loads as they are named from where the command runs: `../dist/a.js` in `build/b.mjs` is `./dist/a.js`.
/// What lies above the project, or where nobody can say, stays as it was written.
pub(super) fn seen_from_here(language: Language, file: &str, code: String) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = folder.trim_start_matches("./");
    let is_plain =
        !folder.is_empty() && !folder.starts_with(['/', '~', '.']) && !folder.contains("..");
    if language != Language::JavaScript || !is_plain || is_vague(folder) {
        return code;
    }
    let mut found = String::with_capacity(code.len());
    let mut rest = code.as_str();
    while let Some(at) = rest.find(['\'', '"']) {
        let (head, tail) = rest.split_at(at);
        let quote = tail.get(..1).unwrap_or("");
        let inside = tail.get(1..).unwrap_or("");
        found.push_str(head);
        found.push_str(quote);
        let loads = ["from", "import", "require(", "import("];
        let is_loaded = loads.iter().any(|word| head.trim_end().ends_with(word));
        rest = inside;
        if is_loaded
            && let Some((name, _)) = inside.split_once(quote)
            && let Some(path) = named_from_above(folder, name)
        {
            found.push_str(&path);
            rest = inside.get(name.len()..).unwrap_or("");
        }
    }
    found.push_str(rest);
    found
}

/// Returns the name of a module as it is seen from the folder above, if it lies there: `../dist/a.js` in `build`.
fn named_from_above(folder: &str, name: &str) -> Option<String> {
    if !name.starts_with("./") && !name.starts_with("../") {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(format!("./{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(file: &str, code: &str) -> String {
        seen_from_here(Language::JavaScript, file, code.to_owned())
    }

    #[test]
    fn modules_are_named_from_where_the_command_runs() {
        let code = "import { a } from \"../dist/a.js\"; const b = require('./b'); log('../c')";
        let here = "import { a } from \"./dist/a.js\"; const b = require('./build/b'); log('../c')";
        assert_eq!(seen("build/x.mjs", code), here);
        for file in ["x.mjs", "/tmp/x.mjs", "../build/x.mjs", "a/../x.mjs"] {
            assert_eq!(seen(file, code), code);
        }
        let above = "import '../../a.js'";
        assert_eq!(seen("build/x.mjs", above), above);
    }
}
