//! Files that say what a task runner runs, and that the command itself changed.

use crate::domain::policy::{
    partial_text::{NAME, base_name, is_in},
    programs::{
        build_files::{is_build_file, is_one_of, tells_to_run},
        install::leading_options,
        is_question,
    },
    shell::ShellInterpreter,
};

/// Runners, and the files from which they take what they run.
const RUNNERS: [(&str, &str); 20] = [
    (
        "make gmake bmake nmake remake",
        "Makefile makefile GNUmakefile *.mk",
    ),
    (
        "npm pnpm yarn bun lerna turbo nx rush moon npm-run-all run-s run-p deno node",
        "package.json deno.json deno.jsonc project.json",
    ),
    ("just", "justfile Justfile .justfile *.just"),
    (
        "task go-task",
        "Taskfile.yml Taskfile.yaml taskfile.yml taskfile.yaml Taskfile.dist.yml Taskfile.dist.yaml",
    ),
    ("rake", "Rakefile rakefile Rakefile.rb rakefile.rb *.rake"),
    ("tox", "tox.ini tox.toml"),
    ("nox", "noxfile.py"),
    ("invoke inv", "tasks.py"),
    ("fab", "fabfile.py"),
    ("cargo", "build.rs Makefile.toml"),
    ("ninja", "build.ninja"),
    ("gulp", "gulpfile.js gulpfile.mjs gulpfile.ts"),
    ("grunt", "Gruntfile.js Gruntfile.coffee"),
    ("mage", "magefile.go"),
    ("ant", "build.xml"),
    ("foreman honcho overmind hivemind", "Procfile"),
    ("composer", "composer.json"),
    ("pre-commit prek", ".pre-commit-config.yaml"),
    ("lefthook", "lefthook.yml lefthook.yaml"),
    ("snakemake", "Snakefile"),
];
/// Verbs of package managers that run no script.
const QUIET: &str = "
ls list ll la outdated view info show audit config get root prefix bin why explain fund doctor help search ping whoami pkg query sbom diff
licenses validate fmt lint tree metadata clean
";
/// Words with which a runner only says what it would run.
const LISTS: &str = "--list -l --list-all --summary -T list listenvs --listenvs";

/// Returns whether `sed` only puts numbers and options in place of others.
fn puts_in_numbers(words: &[String]) -> bool {
    let Some((program, rest)) = words.split_first() else {
        return false;
    };
    let mut scripts = 0;
    for word in rest.iter().filter(|word| !word.starts_with('-')) {
        if let Some((from, to)) = substitute(word) {
            scripts += 1;
            let plain = |c: char| c.is_alphanumeric() || "._-=:+~^\"', ".contains(c);
            // What stood there before may stay.
            let is_tame = |part: &str| {
                from.split_whitespace().any(|own| own == part)
                    || part.starts_with('-')
                    || is_number(part)
            };
            if !to.chars().all(plain) || !to.split_whitespace().all(is_tame) {
                return false;
            }
        } else if word.contains([' ', '{', ';', '\\']) {
            return false;
        }
    }
    let by_file = rest
        .iter()
        .any(|word| word.starts_with("-f") || word.starts_with("--file"));
    is_in("sed gsed", base_name(program)) && scripts > 0 && !by_file
}

/// Returns whether a word is a number or a version, with signs around it.
fn is_number(word: &str) -> bool {
    let bare = word.trim_start_matches(|c: char| "\"'^~=:v+".contains(c));
    bare.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns what a single `s` of sed looks for, and what it puts in.
pub(super) fn substitute(script: &str) -> Option<(&str, &str)> {
    let body = script.trim_start_matches(|c: char| c.is_ascii_digit() || ",$ ".contains(c));
    let body = body.strip_prefix('s')?;
    let first = body.chars().next();
    let sign = first.filter(|c| !c.is_alphanumeric() && *c != '.' && *c != '-')?;
    let mut parts = body.get(sign.len_utf8()..)?.split(sign);
    let (from, to, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let ends = parts.next().is_none() && flags.chars().all(|c| "gIip0123456789".contains(c));
    ends.then_some((from, to))
}

impl ShellInterpreter<'_, '_> {
    /// Records that a file is changed where it lies: what a runner would take from it is not known any more.
    pub(super) fn edits(&mut self, word: &str) {
        let act = self.reading.acts.last();
        let words = act.map_or(&[][..], |act| act.words.as_slice());
        if is_build_file(word) {
            let text = words.join(" ");
            // A wrapper runs what it fetches.
            let fetches = word.ends_with("wrapper.properties") && text.contains("//");
            self.edits_build(word, fetches || tells_to_run(&text));
            return;
        }
        if RUNNERS.iter().any(|(_, files)| is_one_of(files, word)) {
            // A pattern names more than these.
            if !base_name(word).contains(NAME) && !self.has_written(word) && puts_in_numbers(words)
            {
                self.changes(word);
                return;
            }
            self.forget(word);
        }
        self.writes(word);
    }

    /// Records that a file of a build is changed where it lies; `runs`: what is put in would make the build run something.
    pub(super) fn edits_build(&mut self, word: &str, runs: bool) {
        if runs || self.has_written(word) {
            self.forget(word);
            self.writes(word);
        } else {
            self.changes(word);
        }
    }

    /// Looks at a runner of tasks: the command itself may have changed what it is told to run.
    pub(super) fn edited_tasks(&mut self, name: &str, args: &[String]) {
        let name = name.strip_suffix(".exe").unwrap_or(name);
        let runner = RUNNERS.iter().find(|(names, _)| is_in(names, name));
        let Some((_, files)) = runner else { return };
        let lists = !is_in("make gmake bmake nmake remake ninja", name)
            && args.iter().any(|arg| is_in(LISTS, arg));
        let verb = leading_options(name, args).rest.into_iter().next();
        let is_quiet = is_in("npm pnpm yarn bun composer cargo deno", name)
            && verb.is_some_and(|verb| is_in(QUIET, &verb));
        let is_script = name == "node" && !args.iter().any(|arg| arg.starts_with("--run"));
        if is_quiet || lists || is_script || !args.is_empty() && is_question(args) {
            return;
        }
        let unread = self.unread_files();
        if let Some(file) = unread.iter().find(|path| is_one_of(files, path)) {
            self.reading.opaque(format!(
                "{name} with {}, which the command itself changed",
                base_name(file).replace(NAME, "*")
            ));
        }
    }
}
